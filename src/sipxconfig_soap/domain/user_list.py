"""Finding users, with their aliases, groups and effective permissions (services.md §3).

One statement serves one user and a hundred thousand: what all users share, the catalogue of
permissions, rides on the first row, so the answer is one snapshot.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import aggregate_order_by

from sipxconfig_soap.domain import grants, grouping, pool
from sipxconfig_soap.domain.permissions import SUPERADMIN
from sipxconfig_soap.domain.properties import view
from sipxconfig_soap.domain.searches import Finder
from sipxconfig_soap.domain.users import SEARCHES, TEXTS, is_superadmin, users
from sipxconfig_soap.values import snake_case

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sipxconfig_soap.domain.searches import Criterion
    from sipxconfig_soap.domain.work import Query


_TEXTS = tuple(snake_case(each.name) for each in TEXTS)
_USER_NAME = _TEXTS.index("user_name")

UserView = view(
    "UserView", [*_TEXTS, "pintoken", "aliases", "groups", "permissions", "branch_name"]
)
"""A user as findUser shows it: its texts, and what is read from other tables."""


def find(query: Query, criterion: Criterion) -> Iterator[Any]:
    """The users that match, by userName, code point by code point."""
    return _views(_FINDER.rows(query, criterion))


_ALIAS = pool.names.c.value
ALIASES = (
    sa.select(sa.func.array_agg(aggregate_order_by(_ALIAS, _ALIAS)))
    .where(pool.names.c.user_id == users.c.id, pool.names.c.kind == pool.ALIAS)
    .scalar_subquery()
)
"""The aliases of a user."""

GROUPS = grouping.USER_GROUPS.of_entity(users.c.id)
BRANCH_NAME = grouping.branches.c.name

WITH_BRANCH_AND_GROUPS = users.outerjoin(
    grouping.branches, grouping.branches.c.id == users.c.branch_id
).join(GROUPS, sa.true())
"""Users, each with `BRANCH_NAME` and `GROUPS`."""


def _statement() -> sa.Select[Any]:
    in_order = sa.func.row_number().over(order_by=users.c.user_name)
    return (
        sa.select(
            *(users.c[name] for name in _TEXTS),
            users.c.pin_hash,
            ALIASES,
            GROUPS.c.ids,
            GROUPS.c.names,
            grants.own_values(users.c.id),
            BRANCH_NAME,
            sa.case((in_order == 1, grants.catalogue())),
        )
        .select_from(WITH_BRANCH_AND_GROUPS)
        .order_by(users.c.user_name)
    )


_FINDER = Finder(_statement(), SEARCHES)


def _views(rows: Iterable[Any]) -> Iterator[Any]:
    resolver = None
    for *texts, pin, aliases, ids, names, own, branch, facts in rows:
        if resolver is None:
            resolver = grants.Resolver(facts)
        always = SUPERADMIN if is_superadmin(texts[_USER_NAME]) else None
        permissions = resolver.names(own, ids, always=always)
        yield UserView(*texts, pin, aliases, names, permissions, branch)
