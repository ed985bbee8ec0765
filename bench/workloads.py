"""What is measured: the table of workloads, each a series of requests.

A new workload is one entry here and, if it asks something new, one entry in the floor's tables.
"""

from __future__ import annotations

from dataclasses import dataclass

from bench.data import (
    FIRST_ADDED,
    FIRST_USER,
    GROUP_SIZE,
    LARGE_GROUP,
    PHONES,
    RARE_NAME,
)
from bench.request import SPARE, Request


@dataclass(frozen=True, slots=True)
class Workload:
    """One line of the table of results.

    Attributes:
        name: for the table and for ``--only``.
        requests: sent in turn.
        users: how many users are stored; None for as many as the command line says.
        listing: whether the answer is long: one connection, every answer timed by itself, the time
            to its first byte too.
        connections: at once; None for those of the command line.
        writes: whether it changes anything, which is tidied up after every measurement.
        growth_of: the small call that is measured with more and more users stored; None for what
            is no part of that.
    """

    name: str
    requests: tuple[Request, ...]
    users: int | None = None
    listing: bool = False
    connections: tuple[int, ...] | None = None
    writes: bool = False
    growth_of: str | None = None


def _find_user(criterion: str, value: str) -> str:
    search = f"<search><{criterion}>{value}</{criterion}></search>"
    return f"<con:FindUser>{search}</con:FindUser>"


BY_NAME = Request("UserService", _find_user("byUserName", "{n}"), FIRST_USER, 1000)
"""Also what warms a server up."""

# What somebody has typed so far, and the search finds it anywhere in a name. Three digits that
# stand in few names: our names begin alike, so 100 and 000 would be in most of them.
_FUZZY = Request(
    "UserService", _find_user("byFuzzyUserNameOrAlias", "{n}"), first=234, count=64, digits=3
)
_RARE = Request("UserService", _find_user("byFuzzyUserNameOrAlias", RARE_NAME[:6].lower()))
_GROUP = Request(
    "UserService", _find_user("byGroup", "team-{n}"), count=1000 // GROUP_SIZE, digits=5
)
_ALL_USERS = Request("UserService", "<con:FindUser/>")
_PERMISSIONS = Request("PermissionService", "<con:FindPermission></con:FindPermission>")
_CALL_GROUPS = Request("CallGroupService", "")
_PHONE = Request(
    "PhoneService",
    "<con:FindPhone><search><bySerialNumber>{n}</bySerialNumber></search></con:FindPhone>",
    count=PHONES,
    digits=12,
)
_ALL_PHONES = Request("PhoneService", "<con:FindPhone/>")

_EXAMPLE_PERMISSIONS = "".join(
    f"<permissions>{name}</permissions>"
    for name in (
        *("FreeswitchVoicemailServer", "InternationalDialing", "LocalDialing"),
        *("LongDistanceDialing", "Mobile", "TollFree", "Voicemail", "music-on-hold", "perm_8"),
        *("personal-auto-attendant", "tui-change-pin"),
    )
)


def _add_user(pintoken: str, pin: str) -> Request:
    """The documented example, with the PIN in clear text or as a hash."""
    return Request(
        "UserService",
        f"<con:AddUser><user><userName>{{n}}</userName>{pintoken}<lastName>Einstein</lastName>"
        "<firstName>Albert</firstName><sipPassword>4567</sipPassword>"
        "<emailAddress>albertE@yahoo.com</emailAddress><branchName>Berlin</branchName>"
        f"<groups>Managers</groups>{_EXAMPLE_PERMISSIONS}</user>{pin}</con:AddUser>",
        first=FIRST_ADDED,
        count=20 * SPARE,
        digits=8,
    )


_HASH = (
    "$argon2id$v=19$m=19456,t=2,p=1$Q0jpfY+RUopR6l3LGcM4Bw$"
    "ORBZmtamTXD172cK5MGEx6mUqcmGUwSn+bAdjX7a6w8"
)
_ADD_USER = _add_user("", "<pin>1234</pin>")
_ADD_USER_HASHED = _add_user(f"<pintoken>{_HASH}</pintoken>", "")
_ADD_PHONE = Request(
    "PhoneService",
    "<con:AddPhone><phone><serialNumber>{n}</serialNumber><modelId>polycom321</modelId>"
    "<description>SOAP added phone</description><groups>FirstPhoneGroup</groups>"
    f"<lines><userId>{FIRST_USER + 221}</userId><uri>221@example.org</uri></lines>"
    "</phone></con:AddPhone>",
    first=PHONES,
    count=20 * SPARE,
    digits=12,
)
_EDIT_GROUP = Request(
    "UserService",
    f"<con:ManageUser><search><byGroup>{LARGE_GROUP}</byGroup></search><edit>"
    "<property>emailAddress</property><value>e{n}@example.org</value></edit></con:ManageUser>",
    count=SPARE,
)

_ONE = (1,)
_GROWTH = (1_000, 100_000, 1_000_000)
"""Users that are stored while a small call is repeated; what it finds stays the same."""

_SMALL_CALLS = (
    ("findUser by name", BY_NAME, False),
    ("findUser fuzzy", _RARE, False),
    ("findUser by group", _GROUP, False),
    ("findPermission", _PERMISSIONS, False),
    ("getCallGroups", _CALL_GROUPS, False),
    ("findPhone by serial", _PHONE, False),
    ("addUser with pintoken", _ADD_USER_HASHED, True),
    ("addPhone", _ADD_PHONE, True),
)
"""Each with whether it writes."""

WORKLOADS = (
    Workload("findUser by name", (BY_NAME,)),
    Workload("findUser fuzzy", (_FUZZY,)),
    Workload("findUser by group of 100", (_GROUP,)),
    Workload("findPermission all", (_PERMISSIONS,)),
    Workload("getCallGroups", (_CALL_GROUPS,)),
    Workload("findPhone by serial", (_PHONE,)),
    Workload("addUser", (_ADD_USER,), writes=True),
    Workload("addUser with pintoken", (_ADD_USER_HASHED,), writes=True),
    Workload("addPhone", (_ADD_PHONE,), writes=True),
    Workload("manageUser of 1,000", (_EDIT_GROUP,), connections=_ONE, writes=True),
    Workload(
        "90 % reads, 10 % writes",
        (BY_NAME, _PHONE, _PERMISSIONS, *(BY_NAME,) * 3, _GROUP, _PHONE, _CALL_GROUPS, _ADD_PHONE),
        connections=(8,),
        writes=True,
    ),
    Workload("findPhone all 10,000", (_ALL_PHONES,), listing=True),
    Workload("findUser all 1,000", (_ALL_USERS,), users=1_000, listing=True),
    Workload("findUser all 10,000", (_ALL_USERS,), users=10_000, listing=True),
    Workload("findUser all 100,000", (_ALL_USERS,), users=100_000, listing=True),
    *(
        Workload(
            f"growth: {call} of {users:,}",
            (request,),
            users=users,
            connections=_ONE,
            writes=writes,
            growth_of=call,
        )
        for users in _GROWTH
        for call, request, writes in _SMALL_CALLS
    ),
)
