"""Park orbits: numbers on which calls wait (services.md §5)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from sipxconfig_soap.domain import extensions, pool
from sipxconfig_soap.domain.properties import (
    Flag,
    Text,
    by_name,
    clean_all,
    column_values,
    view,
)
from sipxconfig_soap.domain.searches import Finder
from sipxconfig_soap.values import snake_case

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sipxconfig_soap.domain.work import Query, Work

PROPERTIES = by_name(
    Text("name", required=True, trimmed=True),
    Text("extension", trimmed=True),
    Text("description"),
    Flag("enabled"),
    Text("music"),
)

park_orbits = extensions.table("park_orbits", PROPERTIES)

_COLUMNS = [snake_case(name) for name in PROPERTIES]

ParkOrbitView = view("ParkOrbitView", _COLUMNS)
"""A park orbit as getParkOrbits shows it."""

_FINDER = Finder(
    sa.select(*(park_orbits.c[name] for name in _COLUMNS)).order_by(park_orbits.c.id), {}
)


def add(work: Work, values: Mapping[str, Any]) -> None:
    """Add a park orbit.

    Raises:
        Refused: required, tooLong, reservedName, nameInUse, extensionInUse.
    """
    cleaned = clean_all(PROPERTIES, values, work.problems)
    claims = extensions.claims_of(cleaned, values)
    extensions.check(work, claims, "park_orbit_id")
    for claim in claims[1:]:
        # A call group may be called like its own extension, a park orbit may not.
        pool.check_distinct(work, claim, claims[:1])
    work.problems.check()
    row = column_values(cleaned, park_orbits)
    extensions.insert(work, park_orbits, row, "park_orbit_id", claims)


def get_all(query: Query) -> Iterator[Any]:
    """All park orbits in the order of creation."""
    return map(ParkOrbitView._make, _FINDER.rows(query))


def delete_all(work: Work) -> None:
    """Delete every park orbit."""
    extensions.delete(work, park_orbits, sa.true())
