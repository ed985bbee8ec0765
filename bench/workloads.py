"""What is measured, as one table: the request, what the floor does for it, and the target."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from bench import floor
from bench.data import ADD_PHONE, ADD_USER, FIRST_ADDED, FIRST_USER, LARGE_GROUP, PHONES

if TYPE_CHECKING:
    from bench.floor import Floor

BLOCK = 100_000
"""Numbers of one load: each load begins a block, so that what is added is new."""

_MANY = 100 * BLOCK


@dataclass(frozen=True, slots=True)
class Request:
    """A call of a service; where ``{n}`` stands in its envelope it has a number."""

    service: str
    envelope: str
    first: int = 1
    count: int = _MANY  # Then the numbers begin again.
    digits: int = 7  # All requests are equally long.

    def number(self, index: int) -> str:
        """The number that comes after so many others."""
        return f"{self.first + index % self.count:0{self.digits}}"

    def content(self, index: int) -> bytes:
        """What is posted, with its number."""
        return self.envelope.replace("{n}", self.number(index)).encode()


class Target(NamedTuple):
    """What a figure shall reach: the limit is the most, or the least."""

    limit: float
    at_least: bool = False

    def met(self, figure: float) -> bool:
        """Whether a figure keeps the limit."""
        return figure >= self.limit if self.at_least else figure <= self.limit


@dataclass(frozen=True, slots=True)
class Workload:
    """One line of the table."""

    name: str
    request: Request
    known_by: bytes  # To the floor, which is given the group.
    answer: Floor
    target: Target  # At least this part of the floor's rate, or at most so many times its time.
    shown_by: Request | None = None  # What a call with the same number has changed.
    long: bool = False  # One connection is enough, and the time grows with the number of users.


def _call(service: str, body: str, *numbers: int) -> Request:
    begin = '<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/" xmlns:con='
    envelope = f'{begin}"{floor.NS}"><e:Body>{body}</e:Body></e:Envelope>'
    return Request(f"{service}Service", envelope, *numbers)


def _find_user(name: str, *numbers: int) -> Request:
    search = f"<search><byUserName>{name}</byUserName></search>"
    return _call("User", f"<con:FindUser>{search}</con:FindUser>", *numbers)


def _find_phone(*numbers: int) -> Request:
    search = "<search><bySerialNumber>{n}</bySerialNumber></search>"
    return _call("Phone", f"<con:FindPhone>{search}</con:FindPhone>", *numbers)


BY_NAME = _find_user("{n}", FIRST_USER, 1000)
ALL_USERS = _call("User", "<con:FindUser/>")
_PERMISSIONS = _call("Permission", "<con:FindPermission/>")
_CALL_GROUPS = _call("CallGroup", "")
_EDIT = _call(
    "User",
    f"<con:ManageUser><search><byGroup>{LARGE_GROUP}</byGroup></search><edit><property>"
    "emailAddress</property><value>e{n}@example.org</value></edit></con:ManageUser>",
)
_EDITED = _find_user(str(FIRST_USER + 7))

_NEW_USERS = (FIRST_ADDED, _MANY, 8)
_NEW_PHONES = (PHONES, _MANY, 12)

_READ, _ADD = Target(0.7, at_least=True), Target(0.6, at_least=True)

# fmt: off
WORKLOADS = (
    Workload("findUser by name", BY_NAME, rb"<byUserName>([^<]*)", floor.find_user, _READ),
    Workload("findPhone by serial", _find_phone(0, 1000, 12),
             rb"<bySerialNumber>([^<]*)", floor.find_phone, _READ),
    Workload("findPermission all", _PERMISSIONS,
             rb"<con:FindPermission/>()", floor.find_permissions, _READ),
    Workload("getCallGroups", _CALL_GROUPS,
             rb"<e:Body></e:Body>()", floor.get_call_groups, _READ),
    Workload("findUser all", ALL_USERS,
             rb"<con:FindUser/>()", floor.find_users, Target(1.3), long=True),
    Workload("manageUser of 1,000", _EDIT,
             rb"<value>([^<]*)", floor.edit_users, Target(8), _EDITED, long=True),
    Workload("addUser", Request("UserService", ADD_USER, *_NEW_USERS),
             rb"<userName>([^<]*)</userName>\s*<lastName>", floor.add_user, _ADD,
             _find_user("{n}", *_NEW_USERS)),
    Workload("addPhone", Request("PhoneService", ADD_PHONE, *_NEW_PHONES),
             rb"<serialNumber>([^<]*)", floor.add_phone, _ADD, _find_phone(*_NEW_PHONES)),
)
# fmt: on
