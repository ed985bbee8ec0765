"""Groups and branches: names that are created on demand (services.md §1).

User groups and phone groups are two lists of names alike, so both are a `Grouping`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import aggregate_order_by, insert

from sipxconfig_soap.domain.searches import VALUE, Matcher
from sipxconfig_soap.domain.tables import (
    among,
    given,
    identity,
    metadata,
    owned_by,
    text,
)
from sipxconfig_soap.values import trim

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.dialects.postgresql import Insert
    from sqlalchemy.sql.selectable import LateralFromClause as Lateral

    from sipxconfig_soap.domain.work import Work


def _named(name: str) -> sa.Table:
    return sa.Table(
        name, metadata, identity(), text("name", nullable=False), sa.UniqueConstraint("name")
    )


branches = _named("branches")


def _ensured(table: sa.Table) -> sa.CompoundSelect[Any]:
    """The ids of ``names``; missing ones are created in the order in which they are given."""
    names = given("names", sa.Text())
    wanted = sa.func.unnest(names).table_valued("name", with_ordinality="place")
    wanted = wanted.render_derived(name="wanted")
    known = table.alias("known")
    missing = (
        sa.select(wanted.c.name)
        .where(~sa.exists().where(known.c.name == wanted.c.name))
        .order_by(wanted.c.place)
    )
    new = insert(table).inline().from_select(["name"], missing)
    # Who creates the same name at once is waited for, and the row is then there for us too.
    new = new.on_conflict_do_update(index_elements=["name"], set_={"name": new.excluded.name})
    made = new.returning(table.c.id).cte("made")
    return sa.union_all(
        sa.select(made.c.id), sa.select(known.c.id).where(known.c.name == sa.any_(names))
    )


_ENSURE_BRANCH = _ensured(branches).execution_options(prepared=True)


def branch_id(work: Work, name: str) -> int:
    """The id of a branch, which is created when it is new."""
    found: int = work.execute(_ENSURE_BRANCH, {"names": [name]}).scalar_one()
    return found


class Grouping:
    """The groups of one kind of entity and who is in them.

    Attributes:
        groups: the table of groups.
        members: the table of memberships; its ``entity_id`` is the entity's id.
    """

    def __init__(self, kind: str, entities: str) -> None:
        self.groups = _named(f"{kind}_groups")
        self.members = sa.Table(
            f"{kind}_group_members",
            metadata,
            owned_by("entity_id", f"{entities}.id"),
            owned_by("group_id", f"{kind}_groups.id"),
            sa.PrimaryKeyConstraint("entity_id", "group_id"),
            sa.Index(None, "group_id", "entity_id"),
        )
        self._ensure = _ensured(self.groups)
        self._join = self._joining().execution_options(prepared=True)

    def _joining(self) -> Insert:
        """Puts ``entities`` into the groups of ``names``."""
        entity = sa.func.unnest(given("entities", sa.BigInteger())).column_valued("entity")
        group = _ensured(self.groups).subquery("group_")
        pairs = sa.select(entity, group.c.id).select_from(
            entity.scalar_alias.join(group, sa.true())
        )
        joining = insert(self.members).inline().from_select(["entity_id", "group_id"], pairs)
        return joining.on_conflict_do_nothing()

    def in_group(self, entity_id: sa.Column[int]) -> Matcher:
        """Matches the entities that are in the group of a name."""
        group = sa.select(self.groups.c.id).where(self.groups.c.name == VALUE)
        members = sa.select(self.members.c.entity_id).where(
            self.members.c.group_id == group.scalar_subquery()
        )
        return Matcher(entity_id.in_(members), lambda value: {"value": trim(value)})

    def of_entity(self, entity_id: sa.Column[int]) -> Lateral:
        """One row for an entity: its groups' ``ids`` and ``names`` in the order of creation."""
        groups, members = self.groups, self.members
        return (
            sa.select(
                _list(groups.c.id, groups.c.id).label("ids"),
                _list(groups.c.name, groups.c.id).label("names"),
            )
            .select_from(members.join(groups, groups.c.id == members.c.group_id))
            .where(members.c.entity_id == entity_id)
            .lateral(f"{groups.name}_of_entity")
        )

    def ensure(self, work: Work, names: Sequence[str]) -> None:
        """Create the groups of these names that are missing, in their order; no name twice."""
        if names:
            work.execute(self._ensure, {"names": list(names)})

    def join(self, work: Work, entities: Sequence[int], names: Sequence[str]) -> None:
        """Put every entity into every group; who is in one stays in it."""
        if entities and names:
            work.execute(self._join, {"entities": list(entities), "names": list(names)})

    def leave(self, work: Work, entities: Sequence[int], name: str | None = None) -> None:
        """Take every entity out of the group of this name, or of all groups."""
        members = self.members
        gone = members.delete().where(among(members.c.entity_id, entities))
        if name is not None:
            group = sa.select(self.groups.c.id).where(self.groups.c.name == name)
            gone = gone.where(members.c.group_id == group.scalar_subquery())
        work.execute(gone)

    def apply(
        self,
        work: Work,
        entities: Sequence[int],
        *,
        replace: Sequence[str] | None,
        add: str | None,
        remove: str | None,
    ) -> None:
        """Carry out what a manage operation says of groups, in its order.

        Args:
            work: the operation.
            entities: ids of the matched entities.
            replace: the edited list of groups, None without such an edit.
            add: the group to enter, None for none.
            remove: the group to leave, None for none.
        """
        if replace is not None:
            self.leave(work, entities)
            self.join(work, entities, replace)
        if add is not None:
            self.join(work, entities, [add])
        if remove is not None:
            self.leave(work, entities, remove)


def _list(column: sa.Column[Any], order: sa.Column[Any]) -> sa.ColumnElement[Any]:
    return sa.func.array_agg(aggregate_order_by(column, order))


USER_GROUPS = Grouping("user", "users")
PHONE_GROUPS = Grouping("phone", "phones")
