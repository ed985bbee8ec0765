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


def _statement() -> sa.Select[Any]:
    aliases = (
        sa.select(sa.func.array_agg(aggregate_order_by(pool.names.c.value, pool.names.c.value)))
        .where(pool.names.c.user_id == users.c.id, pool.names.c.kind == pool.ALIAS)
        .scalar_subquery()
    )
    groups = grouping.USER_GROUPS.of_entity(users.c.id)
    in_order = sa.func.row_number().over(order_by=users.c.user_name)
    branches = grouping.branches
    return (
        sa.select(
            *(users.c[name] for name in _TEXTS),
            users.c.pin_hash,
            aliases,
            groups.c.ids,
            groups.c.names,
            grants.own_values(users.c.id),
            branches.c.name,
            sa.case((in_order == 1, grants.catalogue())),
        )
        .select_from(
            users.outerjoin(branches, branches.c.id == users.c.branch_id).join(groups, sa.true())
        )
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
