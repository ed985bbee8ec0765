"""Call groups with their rings, and park orbits (migration.md §4)."""

from __future__ import annotations

from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from sipxconfig_soap.domain import call_groups, extensions, park_orbits, pool
from sipxconfig_soap.domain.properties import Text, clean_all, column_values
from sipxconfig_soap.errors import Problems
from sipxconfig_soap.legacy import names, staging
from sipxconfig_soap.legacy.staging import Entry

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sipxconfig_soap.domain.properties import AnyProperty
    from sipxconfig_soap.legacy.run import Run

CALL_GROUPS, RINGS, PARK_ORBITS = "call groups", "rings", "park orbits"

RING_TYPES = {
    "If no response": call_groups.DELAYED,
    "At the same time": call_groups.IMMEDIATE,
}
"""What the source calls the types of rings."""

_ORBIT = "P"
"""The type of a park orbit; other rows of that table hold the default music."""


def stage(run: Run) -> None:
    """Take over call groups, their rings, and park orbits."""
    group = run.source.table("call_group")
    wanted = sa.select(
        group.c.call_group_id.label("id"),
        *(group.c[name] for name in ("name", "extension", "description", "enabled")),
    ).order_by(group.c.call_group_id)
    _stage(run, CALL_GROUPS, wanted, "call_group_id", call_groups.PROPERTIES)
    run.staging.put(staging.rings, _rings(run))
    orbit = run.source.table("park_orbit")
    music = sa.select(orbit.c.park_orbit_id).where(orbit.c.orbit_type != _ORBIT)
    run.staging.no_place["default music of park orbits (park_orbit)"] += run.source.count(music)
    wanted = (
        sa.select(
            orbit.c.park_orbit_id.label("id"),
            *(orbit.c[name] for name in ("name", "extension", "description", "enabled", "music")),
        )
        .where(orbit.c.orbit_type == _ORBIT)
        .order_by(orbit.c.park_orbit_id)
    )
    _stage(run, PARK_ORBITS, wanted, "park_orbit_id", park_orbits.PROPERTIES)


def _stage(
    run: Run, kind: str, wanted: sa.Select[Any], owner: str, properties: Mapping[str, AnyProperty]
) -> None:
    """Take over entities that have a name and an extension."""
    table = names.OWNERS[owner][1]
    for piece in staging.pieces(_judged(run, kind, wanted, owner, properties)):
        rows = [column_values(cleaned, table) | {"id": row_id} for row_id, cleaned, _ in piece]
        run.staging.put(table, rows)
        run.staging.put(staging.names, [name for *_, found in piece for name in found])


def _judged(
    run: Run, kind: str, wanted: sa.Select[Any], owner: str, properties: Mapping[str, AnyProperty]
) -> Iterator[tuple[int, dict[str, Any], list[dict[str, Any]]]]:
    """The id, the cleaned values and the names of each entity that is not refused."""
    for row in run.read(kind, wanted):
        entry = Entry(kind, row.id, row.name or "")
        sent = {name: getattr(row, name) for name in properties}
        texts = [name for name, each in properties.items() if isinstance(each, Text)]
        sent = run.legible(entry, sent, *texts)
        work = run.work()
        cleaned = clean_all(properties, sent, work.problems)
        claims = extensions.claims_of(cleaned, sent)
        pool.check_reserved(work, claims)
        if run.accepts(entry, work.problems, ["name"]):
            run.note_trimmed(entry, {claim.given: claim.value for claim in claims})
            unfit = {each.field for each in work.problems.found}
            fit = [each for each in claims if each.kind not in unfit]
            yield row.id, cleaned, names.rows_of(owner, row.id, cleaned["name"], fit)


def _rings(run: Run) -> Iterator[dict[str, Any]]:
    """The rings of call groups in their order, counted from 0."""
    ring, group = run.source.table("user_ring"), run.source.table("call_group")
    users = run.source.table("users")
    columns = ("user_ring_id", "call_group_id", "user_id", "ring_type", "expiration")
    wanted = (
        sa.select(
            *(ring.c[name] for name in columns),
            group.c.name.label("group_name"),
            users.c.user_name,
        )
        .join_from(ring, group, group.c.call_group_id == ring.c.call_group_id)
        .outerjoin(users, users.c.user_id == ring.c.user_id)
        .order_by(ring.c.call_group_id, ring.c.position, ring.c.user_ring_id)
    )
    for group_id, rows in groupby(run.read(RINGS, wanted), attrgetter("call_group_id")):
        for position, row in enumerate(rows):
            user_name = row.user_name or f"number {row.user_id}"
            entity = f"{row.group_name or ''}, {user_name}"
            problems = Problems()
            kind = RING_TYPES.get(row.ring_type, row.ring_type)
            sent = {"type": kind, "expiration": row.expiration}
            made = call_groups.ring_columns(sent, problems)
            entry = Entry(RINGS, row.user_ring_id, entity)
            if run.accepts(entry, problems, ["type", "expiration"]):
                yield {
                    "id": row.user_ring_id,
                    "call_group": group_id,
                    "user_id": row.user_id,
                    "user_name": user_name,
                    "position": position,
                    "entity": entity,
                    **made,
                }
