"""zeep, given nothing but ``?wsdl``, calls every operation of every service of a running server."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests
import zeep
from lxml import etree
from zeep.exceptions import Fault, ValidationError
from zeep.helpers import serialize_object
from zeep.transports import Transport

from sipxconfig_soap.domain import jobs
from tests.support.client import ADMINISTRATOR
from tests.support.server import serve
from tests.support.soap import NS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sipxconfig_soap.db import Database
    from tests.support.server import RunningServer

OPERATIONS = {
    "PermissionService": {"addPermission", "findPermission", "managePermission"},
    "CallGroupService": {"addCallGroup", "getCallGroups", "removeCallGroup"},
    "UserService": {"addUser", "findUser", "manageUser"},
    "ParkOrbitService": {"addParkOrbit", "getParkOrbits"},
    "PhoneService": {"addPhone", "findPhone", "managePhone"},
    "TestService": {"resetServices"},
    "SystemService": {"systemInfo"},
}


@pytest.fixture(scope="module")
def server(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    environment = {
        "SIPXCONFIG_DATABASE_URL": database_url,
        "SIPXCONFIG_TEST_SERVICE": "true",
        "SIPXCONFIG_DOMAIN": "pbx.example.com",
        "SIPXCONFIG_DOMAIN_ALIASES": "a.example.com b.example.com",
    }
    with serve(tmp_path_factory.mktemp("server"), environment, "--no-worker") as running:
        yield running


@pytest.fixture
def services(server: RunningServer, database: Database) -> Iterator[Callable[[str], Any]]:
    """Makes a zeep client of a service of the running server, whose database is empty."""
    assert database
    clients = []

    def client(name: str) -> Any:
        session = requests.Session()
        session.auth = ADMINISTRATOR
        made = zeep.Client(f"{server.service(name)}?wsdl", transport=Transport(session=session))
        clients.append(session)
        return made.service

    yield client
    for session in clients:
        session.close()


@pytest.fixture
def users(services: Callable[[str], Any]) -> Any:
    """UserService, with the users 201 and 202."""
    service = services("UserService")
    for name in ("201", "202"):
        service.addUser(user={"userName": name}, pin="1234")
    return service


@pytest.mark.parametrize("name", OPERATIONS)
def test_the_wsdl_offers_every_operation(services: Callable[[str], Any], name: str) -> None:
    proxy = services(name)
    assert set(proxy._binding._operations) == OPERATIONS[name]
    (port,) = proxy._client.wsdl.services["ConfigImplService"].ports.values()
    assert port.binding_options["address"].endswith(f"/sipxconfig/services/{name}")


def test_permissions(services: Callable[[str], Any]) -> None:
    service = services("PermissionService")
    assert service.addPermission(permission={"name": "x", "label": "Fax"}) is None
    service.addPermission(permission={"name": "", "label": "Door", "defaultValue": True})
    (fax,) = service.findPermission(search={"byLabel": "Fax"})
    assert serialize_object(fax, dict) == {
        "name": "perm_1",
        "label": "Fax",
        "description": None,
        "defaultValue": False,
        "type": "CALL",
        "builtIn": False,
    }
    assert [each.label for each in service.findPermission(search={"byName": "perm_2"})] == ["Door"]
    assert len(service.findPermission()) == 20
    edits = [{"property": "label", "value": "Telefax"}, {"property": "defaultValue", "value": "1"}]
    assert service.managePermission(search={"byName": "perm_1"}, edit=edits) is None
    (fax,) = service.findPermission(search={"byName": "perm_1"})
    assert (fax.label, fax.defaultValue) == ("Telefax", True)
    service.managePermission(search={"byName": "perm_1"}, deletePermission=True)
    assert not service.findPermission(search={"byName": "perm_1"})


@pytest.mark.usefixtures("users")
def test_call_groups(services: Callable[[str], Any]) -> None:
    service = services("CallGroupService")
    assert not service.getCallGroups()
    rings = [
        {"expiration": 10, "type": "delayed", "position": 1, "userName": "201"},
        {"expiration": 5, "type": "immediate", "position": 0, "userName": "202"},
    ]
    group = {"name": "sales", "extension": "300", "enabled": True, "rings": rings}
    assert service.addCallGroup(callGroup=group) is None
    service.addCallGroup(callGroup={"name": "support"})
    sales, support = service.getCallGroups()
    assert (sales.name, sales.extension, sales.description, sales.enabled) == (
        "sales",
        "300",
        None,
        True,
    )
    assert [(ring.userName, ring.type, ring.expiration, ring.position) for ring in sales.rings] == [
        ("202", "immediate", 5, 0),
        ("201", "delayed", 10, 1),
    ]
    assert (support.enabled, support.rings) == (False, [])
    assert service.removeCallGroup(callGroup="300") is None
    assert [group.name for group in service.getCallGroups()] == ["support"]


def test_users(services: Callable[[str], Any]) -> None:
    service = services("UserService")
    user = {
        "userName": "201",
        "lastName": "Müller \U0001f4de",
        "firstName": 'J. "<&>" R.',
        "sipPassword": "s3cret",
        "aliases": ["302", "301"],
        "emailAddress": "j@example.com",
        "groups": ["Sales Team", "Managers"],
        "permissions": ["900Dialing"],
        "branchName": "Berlin",
    }
    assert service.addUser(user=user, pin="1234", vmpin="5678") is None
    (found,) = service.findUser(search={"byUserName": "201"})
    assert found.pintoken.startswith("$argon2id$")
    assert found.permissions[0] == "900Dialing"
    assert {**serialize_object(found, dict), "pintoken": None, "permissions": None} == {
        **user,
        "aliases": ["301", "302"],
        "pintoken": None,
        "permissions": None,
    }
    for search in ({"byFuzzyUserNameOrAlias": "MÜLL"}, {"byGroup": "Managers"}):
        assert [each.userName for each in service.findUser(search=search)] == ["201"]
    assert len(service.findUser()) == 2
    edits = [
        {"property": "lastName", "value": None},
        {"property": "groups", "value": '"Sales Team"'},
    ]
    one = {"byUserName": "201"}
    assert service.manageUser(search=one, edit=edits, addGroup="New") is None
    service.manageUser(search=one, removeGroup="Sales Team", updateBranch="Paris")
    (found,) = service.findUser(search=one)
    assert (found.lastName, found.groups, found.branchName) == (None, ["New"], "Paris")
    assert service.manageUser(search=one, deleteUser=True) is None
    assert not service.findUser(search=one)


def test_a_user_without_anything_has_none_for_nil(users: Any) -> None:
    (user,) = users.findUser(search={"byUserName": "201"})
    assert [user.lastName, user.firstName, user.emailAddress, user.branchName] == [None] * 4
    assert (user.aliases, user.groups) == ([], [])
    assert len(user.sipPassword) == 12


def test_a_copy_of_a_user_that_was_found_keeps_all_but_the_name(
    server: RunningServer, users: Any
) -> None:
    one = {"byUserName": "201"}
    edits = [
        {"property": "lastName", "value": "Curie"},
        {"property": "permissions", "value": "superadmin Mobile"},
    ]
    users.manageUser(search=one, edit=edits, addGroup="Managers", updateBranch="Paris")
    (found,) = users.findUser(search=one)
    copy = serialize_object(found, dict) | {"userName": "203"}
    users.addUser(user=copy)
    (copied,) = users.findUser(search={"byUserName": "203"})
    same, other = serialize_object(found, dict), serialize_object(copied, dict)
    # What the groups and defaults grant is granted to the copy too.
    assert set(same.pop("permissions")) <= set(other.pop("permissions"))
    assert other == same | {"userName": "203"}
    url = f"{server.service('UserService')}?wsdl"
    answer = requests.get(url, auth=("203", "1234"), timeout=60)
    assert answer.status_code == 200


def test_park_orbits(services: Callable[[str], Any]) -> None:
    service = services("ParkOrbitService")
    assert not service.getParkOrbits()
    orbit = {"name": "park", "extension": "46", "description": "d", "music": "/music/a.wav"}
    assert service.addParkOrbit(parkOrbit=orbit) is None
    (found,) = service.getParkOrbits()
    assert serialize_object(found, dict) == {**orbit, "enabled": False}


@pytest.mark.usefixtures("users")
def test_phones(services: Callable[[str], Any], database: Database) -> None:
    service = services("PhoneService")
    phone = {
        "serialNumber": "00:00:00:00:00:0A",
        "modelId": "polycom650",
        "groups": ["Lobby"],
        "lines": [{"userId": "201"}],
    }
    assert service.addPhone(phone=phone) is None
    one = {"bySerialNumber": "00000000000a"}
    external = {
        "userId": "9000",
        "displayName": "Desk",
        "password": "p",
        "registrationServer": "sip.example.net:5070",
        "voiceMail": "*97",
    }
    edit = {"property": "description", "value": "Lobby phone"}
    service.managePhone(search=one, edit=edit, addLine={"userId": "202"}, addGroup="More")
    assert service.managePhone(search=one, addExternalLine=external, removeGroup="Lobby") is None
    (found,) = service.findPhone(search=one)
    assert (found.serialNumber, found.description, found.groups) == (
        "00000000000a",
        "Lobby phone",
        ["More"],
    )
    assert [(line.userId, line.uri) for line in found.lines] == [
        ("201", "sip:201@pbx.example.com"),
        ("202", "sip:202@pbx.example.com"),
        ("9000", '"Desk"<sip:9000@sip.example.net:5070>'),
    ]
    service.managePhone(search=one, removeLineByUserId="201")
    service.managePhone(search=one, removeLineByUri=found.lines[2].uri)
    (found,) = service.findPhone(search={"byGroup": "More"})
    assert [line.userId for line in found.lines] == ["202"]
    service.managePhone(search=one, generateProfiles=True, restart=True)
    with database.engine.connect() as connection:
        assert [job.kind for job in jobs.list_jobs(connection)] == [jobs.PROFILES, jobs.RESTART]
    with pytest.raises(ValidationError, match="Missing element search"):
        service.managePhone(deletePhone=True)
    assert len(service.findPhone()) == 1
    assert service.managePhone(search=one, deletePhone=True) is None
    assert not service.findPhone()


def test_reset(services: Callable[[str], Any], users: Any) -> None:
    service = services("TestService")
    assert service.resetServices() is None
    assert len(users.findUser()) == 3
    assert service.resetServices(user=True, callGroup=False) is None
    assert [user.userName for user in users.findUser()] == ["superadmin"]


def test_system_info(services: Callable[[str], Any]) -> None:
    info = services("SystemService").systemInfo()
    assert serialize_object(info, dict) == {
        "name": "pbx.example.com",
        "realm": "pbx.example.com",
        "aliases": ["a.example.com", "b.example.com"],
    }


def test_a_refusal_is_a_fault_with_every_problem_in_its_detail(users: Any) -> None:
    with pytest.raises(Fault) as caught:
        users.addUser(user={"userName": "201", "aliases": ["202", "3 0"]})
    fault = caught.value
    assert fault.code == "soapenv:Server.userException"
    assert fault.message == (
        "aliases[1] '3 0' has characters that the user part of a SIP address cannot have."
        " (2 more problems)"
    )
    assert isinstance(fault.detail, etree._Element)
    assert [(str(error.tag), dict(error.attrib)) for error in fault.detail] == [
        (f"{{{NS}}}error", {"code": code, "field": field, "value": value})
        for code, field, value in (
            ("invalidValue", "aliases[1]", "3 0"),
            ("nameInUse", "userName", "201"),
            ("nameInUse", "aliases[0]", "202"),
        )
    ]


def test_a_refusal_of_a_matched_entity_names_it(users: Any) -> None:
    edits = [{"property": "aliases", "value": "300"}]
    with pytest.raises(Fault) as caught:
        users.manageUser(search={"byFuzzyUserNameOrAlias": "20"}, edit=edits)
    (error,) = caught.value.detail
    assert (error.get("code"), error.get("entity")) == ("nameInUse", "202")


def test_what_is_missing_is_a_fault_too(services: Callable[[str], Any]) -> None:
    service = services("CallGroupService")
    with pytest.raises(Fault) as caught:
        service.removeCallGroup(callGroup=" ")
    assert caught.value.message == "callGroup is required and must not be blank."


def test_the_example_of_the_readme_lists_whom_it_finds_and_survives_finding_nobody(
    server: RunningServer, users: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    readme = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"^```python\n(.*?)^```", readme, re.MULTILINE | re.DOTALL)
    for placeholder, value in {
        "http://127.0.0.1:8080": server.url,
        "the PIN": ADMINISTRATOR[1],
    }.items():
        assert placeholder in example
        example = example.replace(placeholder, value)
    program = compile(example, "README.md", "exec")
    exec(program, {})
    assert capsys.readouterr().out == ""
    users.addUser(user={"userName": "200", "lastName": "Curie"})
    exec(program, {})
    assert capsys.readouterr().out.startswith("200 None Curie [")
