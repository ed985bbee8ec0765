"""PhoneService (services.md §6)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sipxconfig_soap.domain import phone_changes, phones
from sipxconfig_soap.services.messages import criterion, edits, fields, members, optional_fields
from sipxconfig_soap.soap import types
from sipxconfig_soap.soap.service import Service, operation

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sipxconfig_soap.domain.work import Query, Work


class PhoneService(Service):
    """Phones, their lines, their configuration files and their restart."""

    @operation(types.AddPhone)
    def addPhone(work: Work, message: Any) -> None:
        """Add a phone with lines of users."""
        values = fields(message.phone)
        phones.add(work, values | {"lines": members(values["lines"])})

    @operation(types.FindPhone, returns=types.FindPhoneResponse)
    def findPhone(query: Query, message: Any) -> Iterable[Any]:
        """Find phones: all, one by serial number, or those of a group."""
        return phones.find(query, criterion(message.search))

    @operation(types.ManagePhone)
    def managePhone(work: Work, message: Any) -> None:
        """Edit, provision, restart or delete the phones that the search matches."""
        actions = phone_changes.Actions(
            delete=bool(message.deletePhone),
            remove_line_by_user_id=message.removeLineByUserId,
            remove_line_by_uri=message.removeLineByUri,
            add_line=optional_fields(message.addLine),
            add_external_line=optional_fields(message.addExternalLine),
            add_group=message.addGroup,
            remove_group=message.removeGroup,
            generate_profiles=bool(message.generateProfiles),
            restart=bool(message.restart),
        )
        phone_changes.manage(work, criterion(message.search), edits(message.edit), actions)
