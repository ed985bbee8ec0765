"""The one pool of names and extensions: who gets a value that several have (migration.md §9).

A userName comes first, then what call groups and park orbits are called, then their extensions, and
an alias last, since its user can be reached without it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from sipxconfig_soap.domain import pool
from sipxconfig_soap.domain.pool import ALIAS, EXTENSION, NAME, USER_NAME, Claim
from sipxconfig_soap.domain.properties import Given
from sipxconfig_soap.domain.tables import among
from sipxconfig_soap.legacy import staging
from sipxconfig_soap.legacy.staging import Entry

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sipxconfig_soap.legacy.run import Run

STEPS = (
    ("user_id", USER_NAME),
    ("call_group_id", NAME),
    ("park_orbit_id", NAME),
    ("call_group_id", EXTENSION),
    ("park_orbit_id", EXTENSION),
    ("user_id", ALIAS),
)
"""Whose values come before whose: the column of the pool, and the kind of the value."""

OWNERS = {
    "user_id": ("users", staging.users),
    "call_group_id": ("call groups", staging.call_groups),
    "park_orbit_id": ("park orbits", staging.park_orbits),
}
"""What the report calls those who have names, and their tables."""

_ITSELF = {
    ("user_id", ALIAS): "the userName itself",
    ("park_orbit_id", EXTENSION): "the name itself",
}
"""Who cannot have the same value twice; a call group may be called like its extension."""


def rows_of(
    owner: str, entity_id: int, entity: str, claims: Sequence[Claim]
) -> list[dict[str, Any]]:
    """What an entity is to be called, for the table of names.

    Args:
        owner: the pool's column for this kind of entity.
        entity_id: in the source.
        entity: what it is called.
        claims: its values.
    """
    return [
        {
            "owner": owner,
            "id": entity_id,
            "entity": entity,
            "kind": claim.kind,
            "rank": STEPS.index((owner, claim.kind)),
            **pool.value_columns(claim.value),
            **pool.NOBODY,
            **claim.person,
        }
        for claim in claims
    ]


def settle(run: Run, replaced: int | None) -> None:
    """Decide who gets each value; who does not is refused, or does without.

    Args:
        run: the import.
        replaced: id of a user of the target whose place one of the source takes, if any.
    """
    for rank, (owner, kind) in enumerate(STEPS):
        for piece in run.staging.rows(_held_here(rank, replaced)):
            there = pool.holders(run.work(), [row.value for row in piece])
            _lose(run, owner, kind, [(row, there[row.value].words) for row in piece])
        for piece in run.staging.rows(_held_before(rank)):
            losers = [(row, _words(owner, kind, row)) for row in piece]
            _lose(run, owner, kind, losers)


def _held_here(rank: int, replaced: int | None) -> sa.Select[Any]:
    """The values of one step that the target has already."""
    mine, there = staging.names, pool.names
    taken = sa.exists().where(there.c.value == mine.c.value)
    if replaced is not None:
        taken = taken.where(there.c.user_id.is_distinct_from(replaced))
    held = sa.select(mine.c.id, mine.c.entity, mine.c.value).where(mine.c.rank == rank, taken)
    return held.order_by(mine.c.id, mine.c.value)


def _held_before(rank: int) -> sa.Select[Any]:
    """The values of one step that something else of the source gets, with what that is."""
    mine, other = staging.names.alias("mine"), staging.names.alias("other")
    same = sa.and_(mine.c.owner == other.c.owner, mine.c.id == other.c.id)
    itself = sa.literal(STEPS[rank] in _ITSELF)
    earlier = sa.or_(other.c.rank < rank, sa.and_(other.c.rank == rank, other.c.id < mine.c.id))
    nth = sa.func.row_number().over(
        partition_by=(mine.c.id, mine.c.value), order_by=(other.c.rank, other.c.id)
    )
    found = (
        sa.select(
            *(mine.c.id, mine.c.entity, mine.c.value, same.label("same"), nth.label("nth")),
            *(other.c[name].label(f"other_{name}") for name in ("owner", "kind", "entity")),
        )
        .join_from(mine, other, mine.c.value == other.c.value)
        .where(mine.c.rank == rank, earlier, sa.or_(sa.not_(same), itself))
        .subquery()
    )
    return sa.select(found).where(found.c.nth == 1).order_by(found.c.id, found.c.value)


def _words(owner: str, kind: str, row: sa.Row[Any]) -> str:
    if row.same:
        return _ITSELF[owner, kind]
    return pool.in_words(row.other_owner, row.other_kind, row.other_entity)


def _lose(run: Run, owner: str, kind: str, losers: Sequence[tuple[sa.Row[Any], str]]) -> None:
    """Note who does not get a value, and take it away; without a name an entity is none."""
    plural, table = OWNERS[owner]
    mine = staging.names
    for row, words in losers:
        field = "aliases" if kind == ALIAS else kind
        problem = pool.in_use(Claim(row.value, kind, Given(field, row.value)), words)
        if kind == EXTENSION:
            run.staging.leave_out(Entry(plural, row.id, row.entity), problem)
        else:
            entry = Entry("aliases" if kind == ALIAS else plural, row.id, row.entity)
            run.staging.refuse(entry, problem)
    ids = [row.id for row, _words in losers]
    gone = mine.delete().where(mine.c.owner == owner)
    if kind in (EXTENSION, ALIAS):
        pairs = [(row.id, row.value) for row, _words in losers]
        gone = gone.where(mine.c.kind == kind, sa.tuple_(mine.c.id, mine.c.value).in_(pairs))
    else:
        gone = gone.where(among(mine.c.id, ids))
        run.staging.connection.execute(table.delete().where(among(table.c.id, ids)))
    run.staging.connection.execute(gone)
