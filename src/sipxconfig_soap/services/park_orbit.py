"""ParkOrbitService (services.md §5)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sipxconfig_soap.domain import park_orbits
from sipxconfig_soap.services.messages import fields
from sipxconfig_soap.soap import types
from sipxconfig_soap.soap.service import Service, operation

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sipxconfig_soap.domain.work import Query, Work


class ParkOrbitService(Service):
    """Park orbits: numbers on which calls wait, with music, until somebody takes them."""

    @operation(types.AddParkOrbit)
    def addParkOrbit(work: Work, message: Any) -> None:
        """Add a park orbit."""
        park_orbits.add(work, fields(message.parkOrbit))

    @operation(returns=types.GetParkOrbitsResponse)
    def getParkOrbits(query: Query) -> Iterable[Any]:
        """All park orbits in the order of their creation."""
        return park_orbits.get_all(query)
