"""Permission values of users and groups, and what follows from them (services.md §3).

A user's own value counts, else that of its groups (the group created last wins), else the
permission's default.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from sipxconfig_soap.domain.grouping import USER_GROUPS
from sipxconfig_soap.domain.permissions import SUPERADMIN, permissions
from sipxconfig_soap.domain.tables import among, each_of, id_array, metadata, owned_by

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sipxconfig_soap.domain.work import Work


def _values(name: str, owner: str, owners: str) -> sa.Table:
    return sa.Table(
        name,
        metadata,
        owned_by(owner, f"{owners}.id"),
        owned_by("permission_id", "permissions.id"),
        sa.Column("enabled", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint(owner, "permission_id"),
        sa.Index(None, "permission_id"),
    )


user_values = _values("user_permissions", "user_id", "users")
group_values = _values("user_group_permissions", "group_id", "user_groups")


def grant(work: Work, user_id: int, permission_ids: Sequence[int]) -> None:
    """Give a user these permissions as its own values."""
    if permission_ids:
        rows = [
            {"user_id": user_id, "permission_id": each, "enabled": True} for each in permission_ids
        ]
        work.execute(user_values.insert(), rows)


def revoke_own(work: Work, user_ids: Sequence[int]) -> None:
    """Drop all own values of users."""
    work.execute(user_values.delete().where(among(user_values.c.user_id, user_ids)))


def make_exactly(work: Work, user_ids: Sequence[int], permission_ids: Sequence[int]) -> None:
    """Make exactly these permissions effective for users.

    The listed ones get the own value true; those that are not listed but effective by groups or
    default get the own value false; the rest have no own value.
    """
    revoke_own(work, user_ids)
    user = each_of(id_array(user_ids), "user_")
    listed = among(permissions.c.id, permission_ids)
    wanted = (
        sa.select(user, permissions.c.id, listed)
        .select_from(user.scalar_alias.join(permissions, sa.true()))
        .where(sa.or_(listed, inherited(user, permissions.c.id, permissions.c.default_value)))
    )
    columns = ["user_id", "permission_id", "enabled"]
    work.execute(user_values.insert().from_select(columns, wanted))


def inherited(user_id: Any, permission_id: Any, default: Any) -> sa.ColumnElement[bool]:
    """The value of a permission that a user without an own one has."""
    members = USER_GROUPS.members
    by_group = (
        sa.select(group_values.c.enabled)
        .select_from(group_values.join(members, members.c.group_id == group_values.c.group_id))
        .where(members.c.entity_id == user_id, group_values.c.permission_id == permission_id)
        .order_by(group_values.c.group_id.desc())
        .limit(1)
        # The user may be two levels out, farther than SQLAlchemy looks by itself.
        .correlate_except(group_values, members)
        .scalar_subquery()
    )
    return sa.func.coalesce(by_group, default)


def effective(user_id: Any, permission: str) -> sa.ColumnElement[bool]:
    """Whether a user effectively has the permission of this name, as one SQL expression."""
    own = sa.select(user_values.c.enabled).where(
        user_values.c.user_id == user_id, user_values.c.permission_id == permissions.c.id
    )
    return (
        sa.select(
            sa.func.coalesce(
                own.correlate_except(user_values).scalar_subquery(),
                inherited(user_id, permissions.c.id, permissions.c.default_value),
            )
        )
        .where(permissions.c.name == permission)
        .scalar_subquery()
    )


def own_values(user_id: sa.Column[int]) -> sa.ColumnElement[Any]:
    """A user's own values as an array: ids of permissions, negative where the value is false."""
    signed = sa.case(
        (user_values.c.enabled, user_values.c.permission_id), else_=-user_values.c.permission_id
    )
    return (
        sa.select(sa.func.array_agg(signed)).where(user_values.c.user_id == user_id)
    ).scalar_subquery()


def catalogue() -> sa.ColumnElement[Any]:
    """All that effective permissions depend on beside the user, as one JSON value.

    ``permissions``: id, name and default of each, by name; ``groups``: group, permission and value.
    """
    ordered = (
        sa.select(permissions.c.id, permissions.c.name, permissions.c.default_value)
        .order_by(permissions.c.name)
        .subquery()
    )
    defaults = sa.select(
        sa.func.json_agg(
            sa.func.json_build_array(ordered.c.id, ordered.c.name, ordered.c.default_value)
        )
    ).scalar_subquery()
    groups = sa.select(
        sa.func.json_agg(
            sa.func.json_build_array(
                group_values.c.group_id, group_values.c.permission_id, group_values.c.enabled
            )
        )
    ).scalar_subquery()
    # As parameters of a prepared statement the two names would have no type.
    return sa.func.json_build_object(
        sa.literal_column("'permissions'"), defaults, sa.literal_column("'groups'"), groups
    )


class Resolver:
    """Works out the names of effective permissions from a `catalogue`.

    Users with the same values and groups have the same permissions, so each combination is worked
    out once.
    """

    def __init__(self, facts: dict[str, Any]) -> None:
        self._permissions: list[tuple[int, str, bool]] = facts["permissions"] or []
        self._by_group: dict[int, dict[int, bool]] = {}
        for group, permission, enabled in facts["groups"] or ():
            self._by_group.setdefault(group, {})[permission] = enabled
        self._known: dict[tuple[object, ...], tuple[str, ...]] = {}

    def names(
        self, own: Sequence[int] | None, groups: Sequence[int] | None, *, always: str | None = None
    ) -> tuple[str, ...]:
        """The names of what is effectively enabled, in the order of findPermission.

        Args:
            own: own values as `own_values` has them.
            groups: ids of the user's groups in the order of creation.
            always: a permission that is enabled whatever else is said.
        """
        deciding = tuple(group for group in groups or () if group in self._by_group)
        key = (tuple(own or ()), deciding, always)
        names = self._known.get(key)
        if names is None:
            names = self._known[key] = self._resolve(own or (), deciding, always)
        return names

    def _resolve(
        self, own: Sequence[int], groups: Sequence[int], always: str | None
    ) -> tuple[str, ...]:
        values: dict[int, bool] = {}
        for group in groups:
            values |= self._by_group[group]
        values |= {abs(permission): permission > 0 for permission in own}
        return tuple(
            name
            for permission, name, default in self._permissions
            if name == always or values.get(permission, default)
        )


def administrator(user_id: Any, user_name: Any) -> sa.ColumnElement[bool]:
    """Whether a user may configure the system: the user superadmin always may."""
    return sa.or_(user_name == SUPERADMIN, effective(user_id, SUPERADMIN))
