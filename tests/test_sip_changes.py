"""Word of changes, in the transaction that makes them (docs/spec/sip.md §3)."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from sipxconfig_soap.domain.rules import Rules
from sipxconfig_soap.domain.sip import CHANNEL, publish_domains
from tests.support.system import MAC, System

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sipxconfig_soap.db import Database
    from tests.support.soap import Soap

Heard = "Callable[[], list[str]]"
END = "the end"


@pytest.fixture
def system(soap: Soap, database: Database) -> System:
    system = System(soap, database)
    system.add_users("1", "2")
    ring = {"userName": "1", "type": "delayed", "expiration": 5}
    system.do("addCallGroup", callGroup={"name": "my group", "rings": ring})
    system.add_phone(MAC, lines=[{"userId": "1"}])
    return system


@pytest.fixture
def heard(system: System, make_database: Callable[..., Database]) -> Iterator[Heard]:
    """Tells what was heard since the last time, in alphabetic order."""
    connection = make_database(pool_size=1).connect()
    connection.exec_driver_sql(f"LISTEN {CHANNEL}")
    driver: Any = connection.connection.driver_connection

    def hear() -> list[str]:
        sql(system, f"NOTIFY {CHANNEL}, '{END}'")
        until = time.monotonic() + 30
        while not driver.notifies or driver.notifies[-1].payload != END:
            assert time.monotonic() < until
            connection.exec_driver_sql("SELECT")
        payloads = sorted(each.payload for each in driver.notifies if each.payload != END)
        driver.notifies.clear()
        return payloads

    yield hear
    connection.close()


def sql(system: System, *statements: str) -> None:
    """Carry out statements in one transaction."""
    with system.database.engine.begin() as connection:
        for each in statements:
            connection.exec_driver_sql(each)


def test_a_new_user(system: System, heard: Heard) -> None:
    system.add_users("3", aliases=["a", "b"], groups=["g"], permissions=["900Dialing"])
    assert heard() == ["user 3"]


def test_what_was_refused_is_not_told(system: System, heard: Heard) -> None:
    system.refusal("addUser", user={"userName": "1"})
    assert heard() == []


EDITS = {
    "sipPassword": "x",
    "aliases": "a b",
    "groups": "administrators",
    "permissions": "Mobile",
    "firstName": "F",
}


@pytest.mark.parametrize("field", EDITS)
def test_an_edit_of_a_user(system: System, heard: Heard, field: str) -> None:
    system.edit_user("1", **{field: EDITS[field]})
    assert heard() == ["user 1"]


def test_an_alias_that_goes(system: System, heard: Heard) -> None:
    system.edit_user("1", aliases="a")
    heard()
    system.edit_user("1", aliases="")
    assert heard() == ["user 1"]


def test_a_rename_is_told_by_both_names(system: System, heard: Heard) -> None:
    system.edit_user("1", userName="3")
    assert heard() == ["user 1", "user 3"]


def test_a_deleted_user_takes_rings_and_lines_away(system: System, heard: Heard) -> None:
    system.do("manageUser", search={"byUserName": "1"}, deleteUser=True)
    assert heard() == ["callGroup my group", f"phone {MAC}", "user 1"]


def test_groups_and_orbits(system: System, heard: Heard) -> None:
    system.do("addParkOrbit", parkOrbit={"name": "p q", "extension": "600"})
    assert heard() == ["parkOrbit p q"]
    system.do("removeCallGroup", callGroup="my group")
    assert heard() == ["callGroup my group"]


def test_phones(system: System, heard: Heard) -> None:
    system.manage_phone(MAC, addLine={"userId": "2"})
    assert heard() == [f"phone {MAC}"]
    system.manage_phone(MAC, restart=True)
    assert heard() == []
    system.manage_phone(MAC, deletePhone=True)
    assert heard() == [f"phone {MAC}"]


def test_permissions_and_what_groups_have_of_them(system: System, heard: Heard) -> None:
    name = system.add_permission("Fax")
    assert heard() == [f"permission {name}"]
    sql(system, "UPDATE user_group_permissions SET enabled = NOT enabled")
    assert heard() == ["user *"]


def test_the_domain(system: System, heard: Heard) -> None:
    for realm, told in (("a", ["domain x"]), ("a", []), ("b", ["domain x"])):
        rules = Rules("x", realm, (), frozenset())
        system.database.change(lambda connection, rules=rules: publish_domains(connection, rules))
        assert heard() == told


def test_sql_by_hand_is_told_too_and_what_is_rolled_back_is_not(
    system: System, heard: Heard
) -> None:
    sql(system, "UPDATE rings SET expiration = 9", "UPDATE users SET first_name = 'x'")
    assert heard() == ["callGroup my group", "user 1", "user 2", "user superadmin"]
    sql(
        system,
        "SAVEPOINT s",
        "UPDATE users SET first_name = 'y'",
        "ROLLBACK TO s",
        "UPDATE users SET first_name = 'z' WHERE user_name = '1'",
    )
    assert heard() == ["user 1"]


MANY = """
    WITH added AS (
        INSERT INTO users (user_name, sip_password)
        SELECT 'u' || number, 'x' FROM generate_series({}, {}) AS number RETURNING id, user_name
    )
    INSERT INTO names (value, folded, kind, user_id)
    SELECT user_name, user_name, 'userName', id FROM added
"""


def test_very_many_are_told_as_all(system: System, heard: Heard) -> None:
    sql(system, MANY.format(1, 1000))
    assert len(heard()) == 1000
    sql(system, MANY.format(2001, 2900), MANY.format(3001, 3900), "UPDATE rings SET expiration = 7")
    told = heard()
    # One by one as far as 1,000, then all; other kinds are counted by themselves.
    assert len(told) == 1002
    assert [each for each in told if not each.startswith("user u")] == [
        "callGroup my group",
        "user *",
    ]
    # The next transaction counts anew, on the same connection too.
    system.edit_user("1", firstName="F")
    assert heard() == ["user 1"]


def test_the_longest_names_are_told(system: System, heard: Heard) -> None:
    name = "\U0001f4de" * 255
    system.do("addCallGroup", callGroup={"name": name})
    assert heard() == [f"callGroup {name}"]
