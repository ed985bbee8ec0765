"""CallGroupService (services.md §4)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sipxconfig_soap.domain import call_groups
from sipxconfig_soap.services.messages import fields, members
from sipxconfig_soap.soap import types
from sipxconfig_soap.soap.service import Service, operation

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sipxconfig_soap.domain.work import Query, Work


class CallGroupService(Service):
    """Call groups, also called hunt groups: one number that rings several users."""

    @operation(types.AddCallGroup)
    def addCallGroup(work: Work, message: Any) -> None:
        """Add a call group with its rings."""
        group = message.callGroup
        call_groups.add(work, fields(group), members(group.rings))

    @operation(returns=types.GetCallGroupsResponse)
    def getCallGroups(query: Query) -> Iterable[Any]:
        """All call groups in the order of their creation."""
        return call_groups.get_all(query)

    @operation(types.RemoveCallGroup)
    def removeCallGroup(work: Work, message: Any) -> None:
        """Remove the call groups with this name or extension."""
        call_groups.remove(work, message.callGroup)
