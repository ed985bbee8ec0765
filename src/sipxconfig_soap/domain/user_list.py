"""Finding users, with their aliases, groups and effective permissions (services.md §3).

One statement serves one user and a hundred thousand: what all users share, the catalogue of
permissions, rides on the first row, so the answer is one snapshot without a transaction.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import aggregate_order_by

from sipxconfig_soap.domain import grants, grouping, pool
from sipxconfig_soap.domain.permissions import SUPERADMIN
from sipxconfig_soap.domain.searches import Finder
from sipxconfig_soap.domain.users import SEARCHES, is_superadmin, users

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sipxconfig_soap.domain.searches import Criterion
    from sipxconfig_soap.domain.work import Query


class UserView(NamedTuple):
    """A user as findUser shows it; the fields are those of the contract."""

    user_name: str
    pintoken: str | None
    last_name: str | None
    first_name: str | None
    sip_password: str
    aliases: Sequence[str] | None
    email_address: str | None
    groups: Sequence[str] | None
    permissions: Sequence[str]
    branch_name: str | None


def find(query: Query, criterion: Criterion) -> Iterator[UserView]:
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
            users.c.user_name,
            users.c.pin_hash,
            users.c.last_name,
            users.c.first_name,
            users.c.sip_password,
            aliases,
            users.c.email_address,
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


def _views(rows: Iterator[Any]) -> Iterator[UserView]:
    resolver = None
    for row in rows:
        name, pin, last, first, sip, aliases, email, ids, names, own, branch, facts = row
        if resolver is None:
            resolver = grants.Resolver(facts)
        always = SUPERADMIN if is_superadmin(name) else None
        permissions = resolver.names(own, ids, always=always)
        yield UserView(name, pin, last, first, sip, aliases, email, names, permissions, branch)
