"""The documentation's 24 example requests in its order, as curl sends them."""

from __future__ import annotations

import re
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from lxml import etree

from sipxconfig_soap.domain import jobs
from tests.support.client import ADMINISTRATOR, basic
from tests.support.schema import schema_of
from tests.support.server import serve
from tests.support.soap import HEAD, NS, TAIL, envelope

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sipxconfig_soap.db import Database
    from tests.support.server import RunningServer

REQUESTS = {path.stem: path for path in (Path(__file__).parent / "data" / "requests").iterdir()}

SERVICES = {
    "Permission": "PermissionService",
    "CallGroup": "CallGroupService",
    "User": "UserService",
    "ParkOrbit": "ParkOrbitService",
    "Phone": "PhoneService",
    "ResetServices": "TestService",
}
EMPTY = {"05-empty": "CallGroupService", "16-empty": "ParkOrbitService"}

DEFAULTS = (
    "FreeswitchVoicemailServer",
    "InternationalDialing",
    "LocalDialing",
    "LongDistanceDialing",
    "Mobile",
    "TollFree",
    "Voicemail",
    "music-on-hold",
    "personal-auto-attendant",
    "subscribe-to-presence",
    "tui-change-pin",
)
"""The permissions that every user has without anybody's doing."""


class Curl:
    """Sends bodies to a running server as ``curl --data-binary @FILE`` does."""

    def __init__(self, server: RunningServer) -> None:
        self._server = server
        self._schemas: dict[str, etree.XMLSchema] = {}

    def _open(self, service: str, query: str = "", data: bytes | None = None) -> bytes:
        headers = {"Authorization": basic(*ADMINISTRATOR)}
        request = urllib.request.Request(self._server.service(service) + query, data, headers)
        if data is not None:
            assert "Content-type" not in request.headers  # urllib adds the type that curl sends
        with urllib.request.urlopen(request, timeout=60) as response:
            content: bytes = response.read()
            return content

    def send(self, service: str, body: bytes) -> str:
        """Returns the content of the answer's Body, to the byte, but for what is random."""
        answer = self._open(service, data=body)
        assert answer.startswith(HEAD)
        assert answer.endswith(TAIL)
        (content,) = etree.fromstring(answer)[0]
        if len(content):
            if service not in self._schemas:
                self._schemas[service] = schema_of(self._open(service, "?wsdl"))
            self._schemas[service].assertValid(etree.fromstring(etree.tostring(content)))
        return mask(answer[len(HEAD) : -len(TAIL)].decode())

    def example(self, name: str) -> str:
        """Send one of the documented requests to the service that it is for."""
        service = EMPTY.get(name)
        if service is None:
            (service,) = (service for key, service in SERVICES.items() if key in name)
        return self.send(service, REQUESTS[name].read_bytes())

    def call(self, service: str, body: str) -> str:
        return self.send(service, envelope(body))


def mask(body: str) -> str:
    """Replace hashes of PINs, and the SIP password that was made up for superadmin."""
    body = re.sub(r"<pintoken>\$argon2id\$[^<]+<", "<pintoken>(hash)<", body)
    made_up = r"(<userName>superadmin<.*?<sipPassword>)[A-Za-z0-9]{12}<"
    return re.sub(made_up, r"\1(random)<", body)


def done(operation: str) -> str:
    return f'<{operation}Response xmlns="{NS}"></{operation}Response>'


def listed(root: str, member: str, *items: str) -> str:
    inside = "".join(f"<item>{item}</item>" for item in items)
    members = f'<{member} xmlns="">{inside}</{member}>' if items else f'<{member} xmlns=""/>'
    return f'<{root} xmlns="{NS}">{members}</{root}>'


def users(*items: str) -> str:
    return listed("FindUserResponse", "users", *items)


def permissions(*items: str) -> str:
    return listed("FindPermissionResponse", "permissions", *items)


def phones(*items: str) -> str:
    return listed("FindPhoneResponse", "phones", *items)


def nillable(name: str, value: str | None) -> str:
    return f"<{name}>{value}</{name}>" if value else f'<{name} xsi:nil="true"/>'


def user(
    name: str,
    *,
    last: str | None = None,
    first: str | None = None,
    email: str | None = None,
    group: str | None = None,
    permissions: tuple[str, ...] = DEFAULTS,
    branch: str | None = None,
    sip_password: str = "4567",
) -> str:
    granted = "".join(f"<permissions>{each}</permissions>" for each in permissions)
    return (
        f"<userName>{name}</userName><pintoken>(hash)</pintoken>"
        f"{nillable('lastName', last)}{nillable('firstName', first)}"
        f"<sipPassword>{sip_password}</sipPassword>{nillable('emailAddress', email)}"
        f"{f'<groups>{group}</groups>' if group else ''}{granted}{nillable('branchName', branch)}"
    )


def permission(name: str, label: str, *, default: bool, kind: str = "CALL", more: str = "") -> str:
    return (
        f"<name>{name}</name><label>{label}</label>{more}"
        f"<defaultValue>{str(default).lower()}</defaultValue><type>{kind}</type>"
        f"<builtIn>{str(not name.startswith('perm_')).lower()}</builtIn>"
    )


def built_in(name: str, kind: str, *, default: bool) -> str:
    return permission(name, name, default=default, kind=kind)


SUPERADMIN = user(
    "superadmin",
    group="administrators",
    sip_password="(random)",
    permissions=(*DEFAULTS[:-1], "superadmin"),
)
TEST_THREE = permission(
    "perm_9",
    "Test Three",
    default=False,
    more="<description>Third test permission</description>",
)
PERMISSIONS = (
    built_in("900Dialing", "CALL", default=False),
    built_in("AutoAttendant", "CALL", default=False),
    built_in("ExchangeUMVoicemailServer", "VOICEMAIL_SERVER", default=False),
    built_in("FreeswitchVoicemailServer", "VOICEMAIL_SERVER", default=True),
    built_in("InternationalDialing", "CALL", default=True),
    built_in("LocalDialing", "CALL", default=True),
    built_in("LongDistanceDialing", "CALL", default=True),
    built_in("Mobile", "CALL", default=True),
    built_in("RecordSystemPrompts", "CALL", default=False),
    built_in("TollFree", "CALL", default=True),
    built_in("Voicemail", "CALL", default=True),
    built_in("dbauth-only", "APPLICATION", default=False),
    built_in("group-music-on-hold", "APPLICATION", default=False),
    built_in("music-on-hold", "APPLICATION", default=True),
    *(permission(f"perm_{n}", f"Custom {n}", default=False) for n in range(1, 9)),
    TEST_THREE,
    built_in("personal-auto-attendant", "APPLICATION", default=True),
    built_in("subscribe-to-presence", "APPLICATION", default=True),
    built_in("superadmin", "APPLICATION", default=False),
    built_in("tui-change-pin", "APPLICATION", default=True),
)
EINSTEIN = (*DEFAULTS[:8], "perm_8", *DEFAULTS[8:])


def ring(position: int, user_name: str, kind: str, seconds: int) -> str:
    return (
        f"<rings><expiration>{seconds}</expiration><type>{kind}</type>"
        f"<position>{position}</position><userName>{user_name}</userName></rings>"
    )


def phone(serial: str, *, group: bool = True, lines: int = 1) -> str:
    line = '<lines><userId>221</userId><uri>"Marie Curie"&lt;sip:221@example.org&gt;</uri></lines>'
    line = line.replace('"', "&quot;")
    return (
        f"<serialNumber>{serial}</serialNumber><modelId>polycom321</modelId>"
        "<description>SOAP added phone</description>"
        f"{'<groups>FirstPhoneGroup</groups>' if group else ''}{line * lines}"
        "<deviceVersion>polycom4.0.X</deviceVersion>"
    )


U211, U212, U215 = (user(name) for name in ("211", "212", "215"))
U221 = user("221", last="Curie", first="Marie", group="Managers")
U223 = user(
    "223",
    last="Einstein",
    first="Albert",
    email="albertE@yahoo.com",
    group="Managers",
    permissions=EINSTEIN,
    branch="Berlin",
)
U221_ALONE, U223_ALONE = (each.replace("<groups>Managers</groups>", "") for each in (U221, U223))
U211_IN_BERLIN = user("211", last="SuperDog", first="I am", group="Managers", branch="Berlin")

FIRST_PHONE = (
    "<serialNumber>000000000001</serialNumber><modelId>polycom321</modelId>"
    "<deviceVersion>polycom4.0.X</deviceVersion>"
)
CALL_GROUP = (
    "<name>TestGroup2</name><extension>556</extension>"
    "<description>Sample SOAP created Hunt Group</description><enabled>true</enabled>"
    + ring(0, "212", "delayed", 10)
    + ring(1, "215", "immediate", 10)
    + ring(2, "211", "immediate", 15)
    + ring(3, "221", "delayed", 15)
)
PARK_ORBIT = (
    "<name>ParkSales</name><extension>46</extension>"
    "<description>Sales calls park orbit</description><enabled>true</enabled>"
)

STEPS = [
    # The name that is sent with a permission is ignored: the server makes its own.
    ("01-AddPermission", done("addPermission")),
    ("02-FindPermission", permissions(*PERMISSIONS)),
    ("03-FindPermission", permissions(TEST_THREE)),
    ("04-AddCallGroup", done("addCallGroup")),
    ("05-empty", listed("GetCallGroupsResponse", "callGroups", CALL_GROUP)),
    ("06-AddUser", done("addUser")),
    ("07-FindUser", users(U211, U212, U215, U221, U223, SUPERADMIN)),
    ("08-FindUser", users(U221, U223)),
    ("09-FindUser", users(U223)),
    ("10-FindUser", users(U221, U223)),
    # 221 and 223 leave Managers; 211 comes in, so it alone is renamed, and goes to Berlin.
    ("11-ManageUser", done("manageUser")),
    ("08-FindUser", users()),
    ("10-FindUser", users(U221_ALONE, U223_ALONE)),
    ("12-ManageUser", done("manageUser")),
    ("08-FindUser", users(user("211", group="Managers"))),
    ("13-ManageUser", done("manageUser")),
    ("08-FindUser", users(user("211", last="SuperDog", first="I am", group="Managers"))),
    ("14-ManageUser", done("manageUser")),
    ("07-FindUser", users(U211_IN_BERLIN, U212, U215, U221_ALONE, U223_ALONE, SUPERADMIN)),
    ("15-AddParkOrbit", done("addParkOrbit")),
    ("16-empty", listed("GetParkOrbitsResponse", "parkOrbits", PARK_ORBIT)),
    # The uri that is sent with a line is not read, and the version is that of the model.
    ("17-AddPhone", done("addPhone")),
    ("18-FindPhone", phones(FIRST_PHONE, phone("000000000002"))),
    ("19-FindPhone", phones(phone("000000000002"))),
    ("20-FindPhone", phones(FIRST_PHONE)),
    ("21-ManagePhone", done("managePhone")),
    ("18-FindPhone", phones(FIRST_PHONE)),
    # The phone comes back, gets a second line, new profiles and a restart, and leaves its group.
    ("17-AddPhone", done("addPhone")),
    ("22-ManagePhone", done("managePhone")),
    ("19-FindPhone", phones(phone("000000000002", lines=2))),
    ("23-ManagePhone", done("managePhone")),
    ("19-FindPhone", phones()),
    ("18-FindPhone", phones(FIRST_PHONE, phone("000000000002", group=False, lines=2))),
    # Hunt groups, park orbits and custom permissions go; users and phones stay.
    ("24-ResetServices", done("resetServices")),
    ("05-empty", listed("GetCallGroupsResponse", "callGroups")),
    ("16-empty", listed("GetParkOrbitsResponse", "parkOrbits")),
    ("02-FindPermission", permissions(*(p for p in PERMISSIONS if "<name>perm_" not in p))),
    ("09-FindUser", users(U223_ALONE.replace("<permissions>perm_8</permissions>", ""))),
    ("18-FindPhone", phones(FIRST_PHONE, phone("000000000002", group=False, lines=2))),
]
"""The examples and the Body of each answer; where one changes something, others show what."""


@pytest.fixture
def curl(database_url: str, database: Database, tmp_path: Path) -> Iterator[Curl]:
    """A server with what the examples presuppose: four users, eight permissions, one phone."""
    names = "<lastName>Curie</lastName><firstName>Marie</firstName><groups>Managers</groups>"
    assert database
    environment = {"SIPXCONFIG_DATABASE_URL": database_url, "SIPXCONFIG_TEST_SERVICE": "true"}
    # Without a worker beside it, so that jobs stay as they were queued.
    with serve(tmp_path, environment, "--no-worker") as server:
        curl = Curl(server)
        for name, more in {"211": "", "212": "", "215": "", "221": names}.items():
            inside = f"<userName>{name}</userName><sipPassword>4567</sipPassword>{more}"
            curl.call("UserService", f"<addUser><user>{inside}</user><pin>1234</pin></addUser>")
        for number in range(1, 9):
            inside = f"<permission><label>Custom {number}</label></permission>"
            curl.call("PermissionService", f"<addPermission>{inside}</addPermission>")
        inside = "<serialNumber>00:00:00:00:00:01</serialNumber><modelId>polycom321</modelId>"
        curl.call("PhoneService", f"<addPhone><phone>{inside}</phone></addPhone>")
        yield curl


def test_there_are_24_examples() -> None:
    assert sorted(int(name[:2]) for name in REQUESTS) == list(range(1, 25))
    assert {name for name, _ in STEPS} == set(REQUESTS)


def test_every_example_does_what_the_documentation_says(curl: Curl, database: Database) -> None:
    for number, (name, answer) in enumerate(STEPS):
        assert curl.example(name) == answer, f"step {number}: {name}"
    with database.engine.connect() as connection:
        queued = [(job.kind, job.serial) for job in jobs.list_jobs(connection)]
    assert [job for job in queued if job[0] != jobs.REMOVAL] == [
        (jobs.PROFILES, "000000000002"),
        (jobs.RESTART, "000000000002"),
    ]
