"""The audit log: every change and every attempt (docs/spec/services.md, first page)."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import TYPE_CHECKING, Any

import pytest

from sipxconfig_soap import logs
from sipxconfig_soap.domain.audit import list_entries
from tests.support.client import PIN
from tests.support.soap import SoapFault, envelope
from tests.support.system import MAC, System, edits

if TYPE_CHECKING:
    from collections.abc import Iterator


SECRETS = ("hush-pin", "hush-voicemail", "hush-sip", "hush-line")


@pytest.fixture
def log() -> Iterator[StringIO]:
    """What the server logs, as it is printed."""
    written = StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(logs.formatter("logfmt"))
    root = logging.getLogger("sipxconfig_soap")
    level = root.level
    root.addHandler(handler)
    root.setLevel("INFO")
    yield written
    root.removeHandler(handler)
    root.setLevel(level)


def entries(system: System, **chosen: Any) -> list[tuple[str, str, list[str], str]]:
    """Service, operation, entities and outcome of the entries, oldest first."""
    with system.database.engine.connect() as connection:
        return [
            (row.service, row.operation, row.entities, row.outcome)
            for row in list_entries(connection, **chosen)
        ]


def test_every_change_is_noted_with_the_names_of_what_was_changed(system: System) -> None:
    system.add_permission("Fax")
    system.do("managePermission", search={"byLabel": "Fax"}, edit=edits(label="Pager"))
    system.add_users("2", "1")
    system.do("manageUser", search={"byFuzzyUserNameOrAlias": "_"}, addGroup="G")
    system.edit_user("1", userName="3")
    system.do("addCallGroup", callGroup={"name": "c", "extension": "500"})
    system.do("removeCallGroup", callGroup="500")
    system.do("addParkOrbit", parkOrbit={"name": "p"})
    system.add_phone()
    system.manage_phone(restart=True)
    system.manage_phone(deletePhone=True)
    system.do("manageUser", deleteUser=True)
    system.do("managePermission", deletePermission=True)
    assert entries(system) == [
        ("PermissionService", "addPermission", ["perm_1"], "done"),
        ("PermissionService", "managePermission", ["perm_1"], "done"),
        ("UserService", "addUser", ["2"], "done"),
        ("UserService", "addUser", ["1"], "done"),
        ("UserService", "manageUser", [], "done"),
        ("UserService", "manageUser", ["1"], "done"),
        ("CallGroupService", "addCallGroup", ["c"], "done"),
        ("CallGroupService", "removeCallGroup", ["c"], "done"),
        ("ParkOrbitService", "addParkOrbit", ["p"], "done"),
        ("PhoneService", "addPhone", [MAC], "done"),
        ("PhoneService", "managePhone", [MAC], "done"),
        ("PhoneService", "managePhone", [MAC], "done"),
        ("UserService", "manageUser", ["2", "3"], "done"),
        ("PermissionService", "managePermission", ["perm_1"], "done"),
    ]


def test_a_reset_names_all_that_went(system: System) -> None:
    system.add_users("1")
    system.add_permission("Fax")
    system.do("addCallGroup", callGroup={"name": "c"})
    flags = ("callGroup", "parkOrbit", "phone", "permission", "user", "superAdmin")
    system.do("resetServices", **dict.fromkeys(flags, True))
    service, operation, names, outcome = entries(system)[-1]
    assert (service, operation, outcome) == ("TestService", "resetServices", "done")
    assert names == ["c", "perm_1", "1", "superadmin"]


def test_reading_is_not_noted(system: System) -> None:
    system.do("findUser")
    system.do("getCallGroups")
    with pytest.raises(SoapFault):
        system.do("findUser", search={"byColor": "red"})
    assert entries(system) == []


def test_a_refused_attempt_is_noted(system: System) -> None:
    system.refusal("addUser", user={"userName": "superadmin"})
    system.refusal("manageUser", edit=edits(color="red"))
    assert entries(system) == [
        ("UserService", "addUser", [], "refused"),
        ("UserService", "manageUser", [], "refused"),
    ]


def test_an_attempt_that_failed_is_noted(system: System, log: StringIO) -> None:
    with system.database.engine.begin() as connection:
        connection.exec_driver_sql(
            "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql"
            " AS $$ BEGIN RAISE 'hush'; END $$;"
            "CREATE TRIGGER fail BEFORE INSERT ON park_orbits EXECUTE FUNCTION fail()"
        )
    try:
        before = system.dump()
        with pytest.raises(SoapFault) as caught:
            system.do("addParkOrbit", parkOrbit={"name": "p"})
        assert system.dump() == before
    finally:
        with system.database.engine.begin() as connection:
            connection.exec_driver_sql("DROP FUNCTION fail CASCADE")
    assert caught.value.code == "soapenv:Server"
    assert "hush" not in caught.value.text
    assert entries(system) == [("ParkOrbitService", "addParkOrbit", [], "failed")]
    assert "outcome=failed" in log.getvalue()


def test_an_entry_says_who_and_from_where_and_when(system: System) -> None:
    system.do("addUser", user={"userName": "boss", "groups": ["administrators"]}, pin=PIN)
    body = "<AddParkOrbit><parkOrbit><name>p</name></parkOrbit></AddParkOrbit>"
    system.soap.client.request(
        "POST",
        "/sipxconfig/services/ParkOrbitService",
        envelope(body),
        {"Content-Type": "text/xml"},
        auth=("boss", PIN),
        environ={"REMOTE_ADDR": "192.0.2.7"},
    )
    with system.database.engine.connect() as connection:
        _, entry = list_entries(connection)
    assert (entry.administrator, entry.address) == ("boss", "192.0.2.7")
    assert abs(datetime.now(UTC) - entry.time) < timedelta(minutes=5)


def test_entries_can_be_chosen(system: System) -> None:
    system.add_users("1", "2", "3")
    assert [names for _, _, names, _ in entries(system, limit=2)] == [["2"], ["3"]]
    assert len(entries(system, user="superadmin")) == 3
    assert entries(system, user="nobody") == []
    now = datetime.now(UTC)
    assert entries(system, since=now + timedelta(hours=1)) == []
    assert len(entries(system, since=now - timedelta(hours=1))) == 3


def test_a_change_is_a_line_of_the_log(system: System, log: StringIO) -> None:
    system.add_users("1")
    system.refusal("addUser", user={"userName": "1"})
    done, refused = (line for line in log.getvalue().splitlines() if "event=change" in line)
    for word in ("service=UserService", "operation=addUser", "administrator=superadmin"):
        assert word in done
        assert word in refused
    assert "outcome=done" in done
    assert "outcome=refused" in refused


def test_no_secret_stands_in_the_log(system: System, log: StringIO) -> None:
    pin, voicemail, sip, password = SECRETS
    user = {"userName": "1", "sipPassword": sip, "pintoken": pin}
    system.do("addUser", user=user, pin=pin, vmpin=voicemail)
    system.refusal("addUser", user=user | {"sipPassword": f"{sip}\x80"}, pin=pin, vmpin=voicemail)
    system.edit_user("1", pin=pin, sipPassword=sip)
    system.add_phone()
    line = {"userId": "x", "registrationServer": "h", "password": password}
    system.manage_phone(addExternalLine=line)
    system.refusal("managePhone", addExternalLine=line | {"password": f"{password}\x80"})
    with system.database.engine.connect() as connection:
        noted = connection.exec_driver_sql("SELECT audit_log::text FROM audit_log").scalars().all()
    written = log.getvalue() + "".join(noted)
    assert "UserService" in written
    assert not [secret for secret in SECRETS if secret in written]
