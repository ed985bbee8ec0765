"""TestService.resetServices (docs/spec/services.md §7)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from sipxconfig_soap.domain import pins
from tests.support.client import PIN
from tests.support.soap import Soap
from tests.support.system import MAC, System, edits, refused

if TYPE_CHECKING:
    from collections.abc import Callable

    from sipxconfig_soap.db import Database
    from tests.support.client import Client

FLAGS = ("callGroup", "parkOrbit", "phone", "permission", "user", "superAdmin")


@pytest.fixture
def system(soap: Soap, database: Database) -> System:
    """A system with something of every kind."""
    system = System(soap, database)
    custom = system.add_permission("Fax")
    system.add_users("1", groups=["G"], permissions=[custom], branchName="B", aliases=["one"])
    ring = {"userName": "1", "type": "delayed", "expiration": 1}
    system.do("addCallGroup", callGroup={"name": "c", "extension": "500", "rings": ring})
    system.do("addParkOrbit", parkOrbit={"name": "p", "extension": "600"})
    system.add_phone(MAC, lines=[{"userId": "1"}], groups=["PG"])
    system.manage_phone(generateProfiles=True)
    return system


def counts(system: System) -> dict[str, int]:
    return {
        "callGroup": len(system.do("getCallGroups")),
        "parkOrbit": len(system.do("getParkOrbits")),
        "phone": len(system.do("findPhone")),
        "permission": len(system.do("findPermission")) - 18,
        "user": len(system.do("findUser")) - 1,
    }


@pytest.mark.parametrize("flag", FLAGS)
def test_a_flag_deletes_its_own_kind_alone(system: System, flag: str) -> None:
    system.do("resetServices", **{flag: True})
    expected = dict.fromkeys(("callGroup", "parkOrbit", "phone", "permission", "user"), 1)
    assert counts(system) == {kind: 0 if kind == flag else n for kind, n in expected.items()}


@pytest.mark.parametrize(
    "flags", [{}, dict.fromkeys(FLAGS, False), dict.fromkeys(FLAGS), dict.fromkeys(FLAGS, "")]
)
def test_without_a_true_flag_nothing_happens(system: System, flags: dict[str, Any]) -> None:
    before = system.dump()
    system.do("resetServices", **flags)
    assert system.dump() == before


def test_all_flags_together_empty_the_system(system: System) -> None:
    system.do("resetServices", **dict.fromkeys(FLAGS, True))
    assert set(counts(system).values()) == {0}
    system.do("resetServices", **dict.fromkeys(FLAGS, True))
    system.add_users("1", "one", "c", "500", "p", "600")


def test_phones_go_with_lines_files_groups_and_waiting_jobs(system: System) -> None:
    system.do("resetServices", phone=True)
    assert system.scalar("SELECT count(*) FROM lines") == 0
    assert system.scalar("SELECT count(*) FROM phone_groups") == 0
    assert system.jobs() == [("removal", MAC)]
    assert system.jobs(state="cancelled") == [("profiles", MAC)]


def test_permissions_go_with_what_users_hold_of_them(system: System) -> None:
    assert system.permission_of("1", "perm_1")
    system.do("resetServices", permission=True)
    assert not system.permission_of("1", "perm_1")


def test_users_go_while_groups_and_branches_stay(system: System) -> None:
    system.do("resetServices", user=True)
    assert "rings" not in system.do("getCallGroups")[0]
    assert "lines" not in system.phone()
    assert system.jobs() == [("profiles", MAC)]
    assert system.scalar("SELECT count(*) FROM user_groups WHERE name = 'G'") == 1
    assert system.scalar("SELECT count(*) FROM branches") == 1


def test_new_profiles_are_queued_for_phones_of_users_that_go(system: System) -> None:
    with system.database.engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM jobs")
    system.do("resetServices", user=True)
    assert system.jobs() == [("profiles", MAC)]


def test_phones_that_go_first_need_no_profiles_for_users_that_go_later(system: System) -> None:
    system.do("resetServices", user=True, phone=True)
    assert system.jobs() == [("removal", MAC)]


def test_superadmin_is_brought_back_to_its_beginnings(system: System) -> None:
    system.edit_user(
        "superadmin",
        firstName="A",
        lastName="B",
        aliases="root",
        emailAddress="a@b",
        branchName="B",
        groups="G,H",
        permissions="900Dialing",
        sipPassword="old",
    )
    system.add_phone("bria1", "bria", lines=[{"userId": "superadmin"}])
    before = system.user("superadmin")
    system.do("resetServices", superAdmin=True)
    after = system.user("superadmin")
    assert set(after) == {"userName", "pintoken", "sipPassword", "groups", "permissions"}
    assert after["groups"] == ["administrators"]
    assert "900Dialing" not in after["permissions"]
    assert "Voicemail" in after["permissions"]
    assert after["pintoken"] == before["pintoken"]
    assert pins.verify_pin(PIN, after["pintoken"]).ok
    assert after["sipPassword"] != "old"
    assert len(after["sipPassword"]) == 12
    assert system.user_names(byFuzzyUserNameOrAlias="root") == []
    assert ("profiles", "bria1") in system.jobs()
    system.add_users("root")


def test_a_missing_superadmin_is_created(system: System) -> None:
    system.add_users("boss", groups=["administrators"])
    with system.database.engine.begin() as connection:
        connection.exec_driver_sql(
            "UPDATE users SET pin_hash = (SELECT pin_hash FROM users"
            " WHERE user_name = 'superadmin') WHERE user_name = 'boss'"
        )
        connection.exec_driver_sql("DELETE FROM users WHERE user_name = 'superadmin'")
    request = (
        b'<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body><ResetServices>'
        b"<superAdmin>true</superAdmin></ResetServices></e:Body></e:Envelope>"
    )
    path = "/sipxconfig/services/TestService"
    headers = {"Content-Type": "text/xml"}
    response = system.soap.client.request("POST", path, request, headers, auth=("boss", PIN))
    assert response.status == 200
    with system.database.engine.connect() as connection:
        found = connection.exec_driver_sql(
            "SELECT g.name, u.pin_hash FROM users u JOIN user_group_members m"
            " ON m.entity_id = u.id JOIN user_groups g ON g.id = m.group_id"
            " WHERE u.user_name = 'superadmin'"
        ).one()
    assert found.name == "administrators"
    assert not pins.verify_pin(PIN, found.pin_hash).ok


def test_a_reset_that_is_refused_deletes_nothing(system: System) -> None:
    system.refuses(
        refused("invalidValue", "user", "maybe"),
        refused("unknownElement", "everything"),
        operation="resetServices",
        callGroup=True,
        user="maybe",
        everything=True,
    )


def test_the_service_can_be_switched_off(
    make_client: Callable[..., Client], database: Database
) -> None:
    system = System(Soap(make_client(test_service="false")), database)
    before = system.dump()
    response = system.soap.post("TestService", b"<x/>")
    assert response.status == 404
    assert system.dump() == before


def test_edited_groups_of_superadmin_do_not_survive(system: System) -> None:
    system.do("manageUser", edit=edits(groups="H"))
    system.do("resetServices", superAdmin=True)
    assert system.user("superadmin")["groups"] == ["administrators"]
    assert system.user("1")["groups"] == ["H"]
