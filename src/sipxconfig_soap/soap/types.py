"""The message types of the six documented services and of SystemService, as Spyne classes.

Field names, order, occurrence and nillability are those of the documented WSDLs with the
differences of docs/spec/wire.md §2. The reader, the writer and the WSDL are all derived from these
classes: a new field is one line here (and one property in its domain module).
"""

from __future__ import annotations

from typing import Any

import sipxconfig_soap.soap.compat  # noqa: F401 - what follows needs it

# isort: split
# Spyne can be imported only after the module above.
from spyne.model.complex import ComplexModel
from spyne.model.primitive import Boolean as _Boolean
from spyne.model.primitive import Integer32 as _Integer
from spyne.model.primitive import Unicode as _Unicode

NS = "http://www.sipfoundry.org/2007/08/21/ConfigService"


class Message(ComplexModel):
    """Base of all complex types of the contract."""

    __namespace__ = NS
    __abstract__ = True


_ONE = {"min_occurs": 1, "max_occurs": 1, "nillable": False}
_OPTIONAL = {"min_occurs": 0, "max_occurs": 1, "nillable": False}
_NILLABLE = {"min_occurs": 0, "max_occurs": 1, "nillable": True}
_NIL = {"min_occurs": 1, "max_occurs": 1, "nillable": True}
_MANY = {"min_occurs": 0, "max_occurs": "unbounded", "nillable": True}
_ITEMS = {"min_occurs": 0, "max_occurs": "unbounded", "nillable": False}

Text = _Unicode(**_ONE)
OptionalText = _Unicode(**_OPTIONAL)
NillableText = _Unicode(**_NILLABLE)
Texts = _Unicode(**_MANY)
PlainTexts = _Unicode(**_ITEMS)
Number = _Integer(**_ONE)
OptionalNumber = _Integer(**_OPTIONAL)
Flag = _Boolean(**_NILLABLE)
NilText = _Unicode(**_NIL, nil_when_null=True)
"""A text that answers carry as ``xsi:nil`` instead of leaving it out (wire.md §4)."""


def simple_kind(field: Any) -> str:
    """What a simple element holds: ``text``, ``flag`` (a boolean) or ``number`` (an int)."""
    kinds = ((_Boolean, "flag"), (_Integer, "number"))
    return next((word for kind, word in kinds if issubclass(field, kind)), "text")


def one(message: type[Message]) -> Any:
    """A complex element that must stand once."""
    return message.customize(**_ONE)


def added(message: type[Message]) -> Any:
    """The thing that an operation adds: fields in faults are named from inside it."""
    return message.customize(**_ONE, added=True)


def search_to_find(message: type[Message]) -> Any:
    """Selects what is shown: everything where it is absent."""
    return message.customize(**_OPTIONAL)


def search_to_manage(message: type[Message]) -> Any:
    """Selects what is changed: clients must send it, but absent it is read as everything."""
    return message.customize(**_ONE, absent_is_read=True)


def optional(message: type[Message]) -> Any:
    """A complex element that may be absent or nil."""
    return message.customize(**_NILLABLE)


def many(message: type[Message]) -> Any:
    """A complex element that may stand any number of times."""
    return message.customize(**_MANY)


def array_of(message: type[Message]) -> Any:
    """The documented array wrapper, ``ArrayOfUser`` for ``User``, with ``item`` elements."""
    name = f"ArrayOf{message.get_type_name()}"
    wrapper: Any = type(
        name, (Message,), {"__doc__": f"A list of {name[7:]}.", "item": message.customize(**_ITEMS)}
    )
    return wrapper.customize(**_ONE)


class Property(Message):
    """One edit: the name of a property and its new value."""

    property = Text
    value = _Unicode(**_NIL)


Edits = Property.customize(min_occurs=0, max_occurs="unbounded", nillable=False)


class Permission(Message):
    """What users may do: a built-in permission or a custom one."""

    name = Text
    label = NillableText
    description = NillableText
    defaultValue = Flag
    type = NillableText
    builtIn = Flag


class AddPermission(Message):
    """Add a custom permission."""

    permission = added(Permission)


class PermissionSearch(Message):
    """Selects one permission."""

    byName = OptionalText
    byLabel = OptionalText


class FindPermission(Message):
    """Ask for permissions."""

    search = search_to_find(PermissionSearch)


class FindPermissionResponse(Message):
    """The permissions found."""

    permissions = array_of(Permission)


class ManagePermission(Message):
    """Edit or delete custom permissions."""

    search = search_to_manage(PermissionSearch)
    edit = Edits
    deletePermission = Flag


class UserRing(Message):
    """One user of a call group and when its phones ring."""

    expiration = Number
    type = Text
    position = OptionalNumber
    userName = Text


class CallGroup(Message):
    """A call group (hunt group): a number that rings several users."""

    name = Text
    extension = NillableText
    description = NillableText
    enabled = Flag
    rings = many(UserRing)


class AddCallGroup(Message):
    """Add a call group."""

    callGroup = added(CallGroup)


class GetCallGroupsResponse(Message):
    """All call groups."""

    callGroups = array_of(CallGroup)


class RemoveCallGroup(Message):
    """Remove call groups by name or extension."""

    callGroup = Text


class User(Message):
    """A user of the telephone system."""

    userName = Text
    pintoken = NilText
    lastName = NilText
    firstName = NilText
    sipPassword = NilText
    aliases = Texts
    emailAddress = NilText
    groups = Texts
    permissions = Texts
    branchName = NilText


class AddUser(Message):
    """Add a user."""

    user = added(User)
    pin = OptionalText
    vmpin = OptionalText


class UserSearch(Message):
    """Selects users."""

    byUserName = OptionalText
    byFuzzyUserNameOrAlias = OptionalText
    byGroup = OptionalText


class FindUser(Message):
    """Ask for users."""

    search = search_to_find(UserSearch)


class FindUserResponse(Message):
    """The users found."""

    users = array_of(User)


class ManageUser(Message):
    """Edit or delete users."""

    search = search_to_manage(UserSearch)
    edit = Edits
    deleteUser = Flag
    addGroup = NillableText
    removeGroup = NillableText
    updateGroup = NillableText
    updateBranch = NillableText


class ParkOrbit(Message):
    """A park orbit: a number on which calls wait."""

    name = Text
    extension = NillableText
    description = NillableText
    enabled = Flag
    music = NillableText


class AddParkOrbit(Message):
    """Add a park orbit."""

    parkOrbit = added(ParkOrbit)


class GetParkOrbitsResponse(Message):
    """All park orbits."""

    parkOrbits = array_of(ParkOrbit)


class Line(Message):
    """A line of a phone."""

    userId = Text
    uri = OptionalText


class Phone(Message):
    """A phone."""

    serialNumber = Text
    modelId = Text
    description = NillableText
    groups = Texts
    lines = many(Line)
    deviceVersion = NillableText


class AddPhone(Message):
    """Add a phone."""

    phone = added(Phone)


class PhoneSearch(Message):
    """Selects phones."""

    bySerialNumber = OptionalText
    byGroup = OptionalText


class FindPhone(Message):
    """Ask for phones."""

    search = search_to_find(PhoneSearch)


class FindPhoneResponse(Message):
    """The phones found."""

    phones = array_of(Phone)


class AddExternalLine(Message):
    """A line that registers with another server."""

    userId = Text
    displayName = OptionalText
    password = OptionalText
    registrationServer = Text
    voiceMail = OptionalText


class ManagePhone(Message):
    """Edit, delete, provision or restart phones."""

    search = search_to_manage(PhoneSearch)
    edit = Edits
    deletePhone = Flag
    addGroup = NillableText
    removeGroup = NillableText
    addLine = optional(Line)
    addExternalLine = optional(AddExternalLine)
    removeLineByUserId = NillableText
    removeLineByUri = NillableText
    generateProfiles = Flag
    restart = Flag


class ResetServices(Message):
    """Delete all entities of the kinds whose flag is true."""

    callGroup = Flag
    parkOrbit = Flag
    permission = Flag
    phone = Flag
    user = Flag
    superAdmin = Flag


class Domain(Message):
    """The SIP domain that the server configures."""

    name = Text
    realm = Text
    aliases = PlainTexts


class SystemInfo(Message):
    """What the server is responsible for."""

    domain = one(Domain)
