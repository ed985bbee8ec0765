"""PermissionService (services.md §2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sipxconfig_soap.domain import permissions
from sipxconfig_soap.services.messages import criterion, edits, fields
from sipxconfig_soap.soap import types
from sipxconfig_soap.soap.service import Service, operation

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sipxconfig_soap.domain.work import Query, Work


class PermissionService(Service):
    """Permissions say what users may do. Built-in ones are fixed, custom ones are yours."""

    @operation(types.AddPermission)
    def addPermission(work: Work, message: Any) -> None:
        """Add a custom permission. Its name is made by the server: perm_ and a number."""
        permissions.add(work, fields(message.permission))

    @operation(types.FindPermission, returns=types.FindPermissionResponse)
    def findPermission(query: Query, message: Any) -> Iterable[Any]:
        """Find permissions: all, or one by name or label."""
        return permissions.find(query, criterion(message.search))

    @operation(types.ManagePermission)
    def managePermission(work: Work, message: Any) -> None:
        """Edit or delete custom permissions; built-in ones are passed over."""
        permissions.manage(
            work,
            criterion(message.search),
            edits(message.edit),
            delete=bool(message.deletePermission),
        )
