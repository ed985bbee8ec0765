"""How many round trips to PostgreSQL an operation takes, however many entities it is about.

Every request looks at the account of who calls; a short read takes one more, and so does the first
login of a day from an address, which is noted. What a change takes depends on what it does and not
on how many entities match; the beginning and the end of its transaction are not counted.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from psycopg2.extensions import cursor

from sipxconfig_soap.db import PIECE
from sipxconfig_soap.domain.searches import FEW
from tests.support.soap import children, envelope
from tests.support.system import System, edits

if TYPE_CHECKING:
    from collections.abc import Iterator


READS: list[tuple[str, dict[str, Any]]] = [
    ("findPermission", {}),
    ("findPermission", {"search": {"byName": "perm_1"}}),
    ("findPermission", {"search": {"byLabel": "label 1"}}),
    ("getCallGroups", {}),
    ("getParkOrbits", {}),
    ("findUser", {}),
    ("findUser", {"search": {"byUserName": "u1"}}),
    ("findUser", {"search": {"byFuzzyUserNameOrAlias": "u"}}),
    ("findUser", {"search": {"byGroup": "G"}}),
    ("findPhone", {}),
    ("findPhone", {"search": {"bySerialNumber": "p1"}}),
    ("findPhone", {"search": {"byGroup": "G"}}),
]
CHANGES: list[tuple[str, dict[str, Any]]] = [
    ("managePermission", {"edit": edits(description="x", defaultValue="true")}),
    ("managePermission", {"deletePermission": True}),
    ("manageUser", {"edit": edits(firstName="x", sipPassword=None, aliases=None)}),
    ("manageUser", {"edit": edits(groups="A,B", permissions="Mobile", branchName="B")}),
    ("manageUser", {"edit": edits(pin="1234")}),
    ("manageUser", {"addGroup": "H", "removeGroup": "G", "updateBranch": "C"}),
    ("manageUser", {"deleteUser": True}),
    ("managePhone", {"edit": edits(description="x", groups="A,B", deviceVersion=None)}),
    ("managePhone", {"removeLineByUserId": "u1", "addLine": {"userId": "u1"}, "addGroup": "H"}),
    ("managePhone", {"generateProfiles": True, "restart": True}),
    ("managePhone", {"deletePhone": True}),
    ("resetServices", {"callGroup": True, "parkOrbit": True, "permission": True}),
    ("resetServices", {"phone": True, "user": True, "superAdmin": True}),
]
MOST_OF_A_CHANGE = 25
PING = "SELECT 1"
"""What the pool asks a connection before it is used."""


def ids(operations: list[tuple[str, dict[str, Any]]]) -> list[str]:
    return [f"{name} {' '.join(map(str, values.values()))[:60]}" for name, values in operations]


def populate(system: System, count: int) -> None:
    """Add so many entities of every kind, each with some of what it may have."""
    many = f"generate_series(1, {count}) n"
    with system.database.engine.begin() as connection:
        for statement in (
            "INSERT INTO user_groups (name) VALUES ('G'), ('H')",
            "INSERT INTO phone_groups (name) VALUES ('G'), ('H')",
            (
                "INSERT INTO permissions (name, label, default_value, type, built_in)"
                f" SELECT 'perm_' || n, 'label ' || n, false, 'CALL', false FROM {many}"
            ),
            f"SELECT setval('permission_numbers', {count})",
            (
                "WITH new AS (INSERT INTO users (user_name, sip_password, first_name)"
                f" SELECT 'u' || n, 'x', 'U' FROM {many} RETURNING id, user_name)"
                " INSERT INTO names (value, folded, kind, user_id)"
                " SELECT user_name, user_name, 'userName', id FROM new UNION ALL"
                " SELECT 'a-' || user_name, 'a-' || user_name, 'alias', id FROM new"
            ),
            (
                "INSERT INTO user_group_members (entity_id, group_id) SELECT u.id, g.id"
                " FROM users u, user_groups g WHERE u.user_name <> 'superadmin'"
            ),
            (
                "INSERT INTO user_permissions (user_id, permission_id, enabled)"
                " SELECT u.id, p.id, true FROM users u, permissions p"
                " WHERE p.name IN ('perm_1', '900Dialing')"
            ),
            (
                "WITH new AS (INSERT INTO call_groups (name, enabled)"
                f" SELECT 'c' || n, true FROM {many} RETURNING id, name)"
                " INSERT INTO names (value, folded, kind, call_group_id)"
                " SELECT name, name, 'name', id FROM new"
            ),
            (
                "INSERT INTO rings (call_group_id, user_id, type, expiration, position)"
                " SELECT c.id, u.id, 'delayed', 1, 0 FROM call_groups c, users u"
                " WHERE u.user_name = 'u1'"
            ),
            (
                "WITH new AS (INSERT INTO park_orbits (name, enabled)"
                f" SELECT 'o' || n, true FROM {many} RETURNING id, name)"
                " INSERT INTO names (value, folded, kind, park_orbit_id)"
                " SELECT name, name, 'name', id FROM new"
            ),
            (
                "INSERT INTO phones (serial_number, model_id, profile_file)"
                f" SELECT 'p' || n, 'bria', 'p' || n || '.ini' FROM {many}"
            ),
            (
                "INSERT INTO phone_group_members (entity_id, group_id) SELECT p.id, g.id"
                " FROM phones p, phone_groups g WHERE g.name = 'G'"
            ),
            (
                "INSERT INTO lines (phone_id, user_id) SELECT p.id, u.id FROM phones p, users u"
                " WHERE u.user_name = 'u1'"
            ),
        ):
            connection.exec_driver_sql(statement)


@contextmanager
def round_trips(system: System) -> Iterator[list[str]]:
    """Collects what is sent to PostgreSQL meanwhile, but for beginnings and ends.

    Whether its connection lives is asked once for a request, and not collected.
    """
    sent: list[str] = []
    pings: list[str] = []

    class NotingCursor(cursor):
        def execute(self, query: Any, vars: Any = None) -> None:  # noqa: A002 - psycopg2 has it so
            super().execute(query, vars)
            text = (self.query or b"").decode()
            (pings if text == PING else sent).append(text)

        def fetchmany(self, size: int | None = None) -> list[tuple[Any, ...]]:
            if self.name:
                sent.append("FETCH")
            return super().fetchmany(size)

    def note(driver: Any, *_others: Any) -> None:
        driver.cursor_factory = NotingCursor

    engine = system.database.reads
    sa.event.listen(engine, "connect", note)
    system.database.dispose()
    try:
        # The first connection is a new one, of which nothing is asked.
        with system.database.connect():
            pass
        yield sent
        assert len(pings) == 1
    finally:
        sa.event.remove(engine, "connect", note)
        system.database.dispose()


def send(system: System, operation: str, values: dict[str, Any]) -> bytes:
    """Send one request and no other, valid or not."""
    service = "SystemService"
    if operation != "systemInfo":
        kind = re.sub("^(find|manage|get|add)", "", operation)
        service = {"resetServices": "TestService"}.get(operation, f"{kind.rstrip('s')}Service")
    name = operation[0].upper() + operation[1:]
    response = system.soap.client.request(
        "POST",
        f"/sipxconfig/services/{service}",
        envelope(f"<{name}>{children(values)}</{name}>"),
        {"Content-Type": "text/xml"},
    )
    return response.body


def count_of(system: System, *request: Any, refused: bool = False) -> int:
    """How many round trips a request takes, of somebody who logged in a moment ago."""
    with round_trips(system) as sent:
        answer = send(system, *request)
    assert (b"Fault>" in answer) == refused
    return len(sent)


def clear(system: System) -> None:
    """Empty the system but for what it was made with."""
    kinds = ("callGroup", "parkOrbit", "phone", "permission", "user", "superAdmin")
    system.do("resetServices", **dict.fromkeys(kinds, True))
    with system.database.engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM user_groups WHERE name <> 'administrators'")
        connection.exec_driver_sql("DELETE FROM branches")
        connection.exec_driver_sql("DELETE FROM jobs")


def test_every_request_looks_at_the_account_of_who_calls(system: System) -> None:
    system.do("findUser")
    assert count_of(system, "systemInfo", {}) == 1


def test_the_first_login_of_a_day_from_an_address_takes_one_more(system: System) -> None:
    assert count_of(system, "systemInfo", {}) == 2
    assert count_of(system, "systemInfo", {}) == 1


def test_a_short_read_takes_one_round_trip_more(system: System) -> None:
    found: dict[str, list[int]] = {}
    for count in (1, 10, FEW - 50):
        clear(system)
        populate(system, count)
        for name, (operation, values) in zip(ids(READS), READS, strict=True):
            shown = send(system, operation, values).count(b"</item>")
            found.setdefault(name, []).append(shown)
            assert count_of(system, operation, values) == 2, (name, count)
    unique = {"bySerialNumber", "byUserName", "byName", "byLabel"}
    for name, (_, values) in zip(ids(READS), READS, strict=True):
        if unique & values.get("search", {}).keys():
            assert found[name] == [1, 1, 1], name
        else:
            assert found[name][2] - found[name][1] == FEW - 60, name


@pytest.mark.parametrize("operation", ["findUser", "findPhone", "findPermission"])
def test_a_long_read_takes_one_for_each_piece(system: System, operation: str) -> None:
    clear(system)
    populate(system, 3 * FEW)
    shown = send(system, operation, {}).count(b"</item>")
    # The account, and the look whether there are few; then a cursor, read piece by piece.
    pieces = count_of(system, operation, {}) - 2 - 1
    # SQLAlchemy knows the end by one or two empty pieces.
    assert shown / PIECE < pieces <= shown // PIECE + 3


ADDS: list[tuple[str, dict[str, Any], int]] = [
    ("addUser", {"user": {"userName": "1", "groups": "G", "branchName": "B"}}, 7),
    ("addUser", {"user": {"userName": "1", "permissions": ["Mobile", "perm_1"]}}, 7),
    ("addPhone", {"phone": {"serialNumber": "p", "modelId": "bria", "groups": "G"}}, 5),
    ("addPhone", {"phone": {"serialNumber": "p", "modelId": "bria", "lines": {"userId": "u1"}}}, 6),
    ("addCallGroup", {"callGroup": {"name": "n", "extension": "7"}}, 5),
    ("addParkOrbit", {"parkOrbit": {"name": "n", "extension": "7"}}, 5),
    ("addPermission", {"permission": {"label": "new"}}, 4),
]


@pytest.mark.parametrize(
    ("operation", "values", "most"), ADDS, ids=ids([each[:2] for each in ADDS])
)
def test_an_addition_takes_few_round_trips(
    system: System, operation: str, values: dict[str, Any], most: int
) -> None:
    populate(system, 10)
    system.do("findUser")
    assert count_of(system, operation, values) <= most


@pytest.mark.parametrize(("operation", "values"), CHANGES, ids=ids(CHANGES))
def test_a_change_takes_as_many_round_trips_for_many_as_for_few(
    system: System, operation: str, values: dict[str, Any]
) -> None:
    counts = []
    for count in (2, 100):
        clear(system)
        populate(system, count)
        counts.append(count_of(system, operation, values))
    assert counts[0] == counts[1]
    assert counts[0] <= MOST_OF_A_CHANGE


@pytest.mark.parametrize(
    ("operation", "name"),
    [("manageUser", "userName"), ("managePhone", "serialNumber"), ("managePermission", "label")],
)
def test_a_refusal_of_many_takes_as_many_round_trips_as_that_of_few(
    system: System, operation: str, name: str
) -> None:
    counts = []
    for count in (2, 100):
        clear(system)
        populate(system, count)
        values = {"edit": edits((name, "x"))}
        counts.append(count_of(system, operation, values, refused=True))
        assert send(system, operation, values).count(b"<error") >= count - 1
    assert counts[0] == counts[1]
