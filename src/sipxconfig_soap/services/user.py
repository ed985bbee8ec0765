"""UserService (services.md §3)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sipxconfig_soap.domain import user_changes, user_list, users
from sipxconfig_soap.services.messages import criterion, edits, fields
from sipxconfig_soap.soap import types
from sipxconfig_soap.soap.service import Service, operation

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sipxconfig_soap.domain.work import Query, Work


class UserService(Service):
    """Users have a number or name to be called by, a PIN to log in with, groups and permissions."""

    @operation(types.AddUser)
    def addUser(work: Work, message: Any) -> None:
        """Add a user. Groups and the branch it names are created when they are new."""
        users.add(work, fields(message.user), pin=message.pin, voicemail_pin=message.vmpin)

    @operation(types.FindUser, returns=types.FindUserResponse)
    def findUser(query: Query, message: Any) -> Iterable[Any]:
        """Find users: all, one by userName, those of a group, or by a part of any name."""
        return user_list.find(query, criterion(message.search))

    @operation(types.ManageUser)
    def manageUser(work: Work, message: Any) -> None:
        """Edit, move or delete the users that the search matches: without a search, all."""
        actions = user_changes.Actions(
            delete=bool(message.deleteUser),
            add_group=message.addGroup,
            remove_group=message.removeGroup,
            update_branch=message.updateBranch,
            update_group=message.updateGroup,
        )
        user_changes.manage(work, criterion(message.search), edits(message.edit), actions)
