"""Many clients at once (docs/spec/services.md §1): one wins, the others learn why they did not."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from itertools import permutations
from threading import Barrier
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from tests.support.soap import SoapFault
from tests.support.system import MAC, System, edits, refused

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sipxconfig_soap.db import Database
    from tests.support.soap import Problem, Soap

CLIENTS = 20


@pytest.fixture
def system(soap: Soap, database: Database) -> System:
    system = System(soap, database)
    for find in ("findUser", "findPermission", "findPhone", "getCallGroups", "getParkOrbits"):
        system.do(find)  # the login is known, and the schemas are compiled
    return system


def at_once(
    system: System, requests: Sequence[tuple[str, dict[str, Any]]]
) -> list[list[Problem] | None]:
    """Send all requests at the same moment; the problems of each, None for success."""
    barrier = Barrier(len(requests))

    def send(request: tuple[str, dict[str, Any]]) -> list[Problem] | None:
        operation, values = request
        barrier.wait()
        try:
            system.do(operation, **values)
        except SoapFault as fault:
            if fault.code != "soapenv:Server.userException":
                raise
            return fault.problems
        return None

    with ThreadPoolExecutor(len(requests)) as pool:
        return list(pool.map(send, requests))


def add_user(name: str, **fields: Any) -> tuple[str, dict[str, Any]]:
    return "addUser", {"user": {"userName": name, **fields}}


CONTESTED = {
    "userName": add_user("500"),
    "alias": ("addUser", {"user": {"aliases": ["500"]}}),
    "call group": ("addCallGroup", {"callGroup": {"extension": "500"}}),
    "park orbit": ("addParkOrbit", {"parkOrbit": {"extension": "500"}}),
}
NAMES = {"addUser": ("user", "userName"), "addCallGroup": ("callGroup", "name")}


def named(request: tuple[str, dict[str, Any]], number: int) -> tuple[str, dict[str, Any]]:
    """The same request for a thing with a name of its own, if it has none."""
    operation, values = request
    thing, field = NAMES.get(operation, ("parkOrbit", "name"))
    return operation, {thing: {field: f"n-{number}"} | values[thing]}


@pytest.mark.parametrize("kind", CONTESTED)
def test_one_of_twenty_clients_gets_the_extension(system: System, kind: str) -> None:
    outcomes = at_once(system, [named(CONTESTED[kind], n) for n in range(CLIENTS)])
    assert outcomes.count(None) == 1
    code, field = {
        "userName": ("nameInUse", "userName"),
        "alias": ("nameInUse", "aliases[0]"),
        "call group": ("extensionInUse", "extension"),
        "park orbit": ("extensionInUse", "extension"),
    }[kind]
    losers = [outcome for outcome in outcomes if outcome is not None]
    assert losers == [[refused(code, field, "500")]] * (CLIENTS - 1)
    assert system.scalar("SELECT count(*) FROM names WHERE value = '500'") == 1


def test_one_of_all_kinds_of_entities_gets_the_extension(system: System) -> None:
    kinds = list(CONTESTED.values())
    outcomes = at_once(system, [named(kinds[n % 4], n) for n in range(CLIENTS)])
    assert outcomes.count(None) == 1
    codes = {outcome[0].code for outcome in outcomes if outcome}
    assert codes == {"nameInUse", "extensionInUse"}


def test_one_of_twenty_clients_gets_the_serial_number(system: System) -> None:
    phone = {"phone": {"serialNumber": MAC, "modelId": "polycom331"}}
    outcomes = at_once(system, [("addPhone", phone)] * CLIENTS)
    assert outcomes.count(None) == 1
    assert [refused("duplicateSerialNumber", "serialNumber", MAC)] in outcomes
    assert system.serials() == [MAC]


def test_one_of_twenty_spellings_of_a_serial_number_gets_in(system: System) -> None:
    spellings = [f"{n:05b}".replace("0", "a").replace("1", "A") for n in range(CLIENTS)]
    phones = [{"serialNumber": serial, "modelId": "bria"} for serial in spellings]
    outcomes = at_once(system, [("addPhone", {"phone": phone}) for phone in phones])
    winner = spellings[outcomes.index(None)]
    assert system.serials() == [winner]
    for serial, outcome in zip(spellings, outcomes, strict=True):
        if serial != winner:
            assert outcome == [refused("duplicateSerialNumber", "serialNumber", serial)]


def test_one_of_twenty_clients_gets_the_profile_file(system: System) -> None:
    requests = [
        ("addPhone", {"phone": {"serialNumber": f"{n:06x}aabbcc", "modelId": "hitachi5000"}})
        for n in range(CLIENTS)
    ]
    assert at_once(system, requests).count(None) == 1
    assert len(system.serials()) == 1


def test_one_of_twenty_clients_gets_the_label(system: System) -> None:
    outcomes = at_once(system, [("addPermission", {"permission": {"label": "Fax"}})] * CLIENTS)
    assert outcomes.count(None) == 1
    assert [refused("duplicatePermission", "label", "Fax")] in outcomes


def test_twenty_clients_rename_to_one_name(system: System) -> None:
    names = [f"u{n:02}" for n in range(CLIENTS)]
    system.add_users(*names)
    outcomes = at_once(
        system,
        [
            ("manageUser", {"search": {"byUserName": name}, "edit": edits(userName="new")})
            for name in names
        ],
    )
    assert outcomes.count(None) == 1
    winner = names[outcomes.index(None)]
    assert system.user_names() == sorted({*names, "new", "superadmin"} - {winner})


def test_groups_and_branches_are_created_once(system: System) -> None:
    orders = list(permutations(("A", "B", "C")))
    requests = [
        add_user(f"u{n}", groups=list(orders[n % len(orders)]), branchName="X")
        for n in range(CLIENTS)
    ]
    assert at_once(system, requests) == [None] * CLIENTS
    assert len(system.user_names(byGroup="B")) == CLIENTS
    assert system.scalar("SELECT count(*) FROM user_groups") == 4
    assert system.scalar("SELECT count(*) FROM branches") == 1
    listed = {
        tuple(user["groups"]) for user in system.do("findUser") if "u" in user["userName"][:1]
    }
    assert len(listed) == 1


def test_aliases_in_opposite_orders_end_with_one_owner(system: System) -> None:
    requests = [
        add_user(f"u{n}", aliases=["a", "b", "c"] if n % 2 else ["c", "b", "a"]) for n in range(6)
    ]
    outcomes = at_once(system, requests)
    assert outcomes.count(None) == 1
    assert {problem.code for outcome in outcomes for problem in outcome or ()} == {"nameInUse"}


def test_bulk_edits_of_overlapping_users_all_succeed(system: System) -> None:
    system.add_users(*(f"u{n:02}" for n in range(10)), groups=["G", "H"])
    requests: list[tuple[str, dict[str, Any]]] = []
    for n in range(5):
        requests += [
            ("manageUser", {"search": {"byGroup": "G"}, "edit": edits(firstName=f"g{n}")}),
            ("manageUser", {"search": {"byGroup": "H"}, "addGroup": f"I{n}", "edit": []}),
            ("manageUser", {"search": {"byFuzzyUserNameOrAlias": "u"}, "updateBranch": f"b{n}"}),
            ("manageUser", {"edit": edits(permissions="Mobile")}),
        ]
    assert at_once(system, requests) == [None] * len(requests)
    users = [user for user in system.do("findUser") if user["userName"] != "superadmin"]
    assert {user["firstName"] for user in users} in [{f"g{n}"} for n in range(5)]
    assert {len(user["groups"]) for user in users} == {7}


def test_groups_created_in_opposite_orders_do_not_stop_anyone(system: System) -> None:
    system.add_users("1", "2")
    system.add_phone("p1", "bria", lines=[{"userId": "1"}])
    system.add_phone("p2", "bria", lines=[{"userId": "2"}])
    requests: list[tuple[str, dict[str, Any]]] = []
    for n in range(4):
        first, second = ("A", "B") if n % 2 else ("B", "A")
        groups = [f"{first}{k}" for k in range(30)] + [f"{second}{k}" for k in range(30)]
        requests += [
            add_user(f"u{n}", groups=groups),
            ("manageUser", {"search": {"byUserName": "1"}, "edit": edits(groups=" ".join(groups))}),
            ("managePhone", {"edit": edits(groups=" ".join(groups)), "generateProfiles": True}),
        ]
    assert at_once(system, requests) == [None] * len(requests)
    assert len(system.user("u0")["groups"]) == 60


def test_a_deadlock_is_tried_again(system: System) -> None:
    """Another transaction holds user 2 and wants user 1, which the bulk edit has locked."""
    system.add_users("1", "2")
    lock = sa.text("SELECT id FROM users WHERE user_name = :name FOR UPDATE")
    errors: list[str] = []

    def note(context: sa.engine.ExceptionContext) -> None:
        errors.append(str(getattr(context.original_exception, "pgcode", None)))

    sa.event.listen(system.database.engine, "handle_error", note)
    with ThreadPoolExecutor(1) as pool, system.database.engine.connect() as other:
        with other.begin():
            # The bulk edit is the first to find out, and gives way.
            other.exec_driver_sql("SET LOCAL deadlock_timeout = '60s'")
            other.execute(lock, {"name": "2"})
            edited = pool.submit(system.do, "manageUser", edit=edits(firstName="x"))
            while not waiting_for_a_lock(system):
                assert not edited.done()
            other.execute(lock, {"name": "1"})
        edited.result()
    sa.event.remove(system.database.engine, "handle_error", note)
    assert errors == ["40P01"]
    assert system.user("1")["firstName"] == "x"


def waiting_for_a_lock(system: System) -> bool:
    return bool(
        system.scalar(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
    )


def test_a_user_is_deleted_while_it_gets_rings_and_lines(system: System) -> None:
    system.add_users("1", "2")
    system.add_phone(MAC, "polycom650")
    ring = {"userName": "1", "type": "delayed", "expiration": 1}
    requests: list[tuple[str, dict[str, Any]]] = [
        ("manageUser", {"search": {"byUserName": "1"}, "deleteUser": True})
    ]
    for n in range(6):
        phone = {"serialNumber": f"b{n}", "modelId": "bria", "lines": {"userId": "1"}}
        requests += [
            ("addCallGroup", {"callGroup": {"name": f"c{n}", "rings": ring}}),
            ("addPhone", {"phone": phone}),
            ("managePhone", {"search": {"bySerialNumber": MAC}, "addLine": {"userId": "1"}}),
        ]
    outcomes = at_once(system, requests)
    assert outcomes[0] is None
    codes = Counter(problem.code for outcome in outcomes for problem in outcome or ())
    assert set(codes) <= {"unknownUser"}
    assert system.user_names() == ["2", "superadmin"]
    assert all("rings" not in group for group in system.do("getCallGroups"))
    assert all("lines" not in phone for phone in system.do("findPhone"))


def test_lines_added_at_once_do_not_pass_the_limit(system: System) -> None:
    system.add_users("1")
    system.add_phone()
    request = ("managePhone", {"search": {"bySerialNumber": MAC}, "addLine": {"userId": "1"}})
    outcomes = at_once(system, [request] * CLIENTS)
    assert outcomes.count(None) == 2
    assert [refused("tooManyLines", "addLine", entity=MAC)] in outcomes
    assert system.line_users() == ["1", "1"]


def test_jobs_asked_for_at_once_are_merged(system: System) -> None:
    system.add_phone()
    system.add_phone("bria1", "bria")
    requests = [
        ("managePhone", {"generateProfiles": True, "restart": bool(n % 2)}) for n in range(CLIENTS)
    ]
    assert at_once(system, requests) == [None] * CLIENTS
    assert Counter(system.jobs()) == Counter(
        (kind, serial) for kind in ("profiles", "restart") for serial in (MAC, "bria1")
    )


def test_a_reset_among_other_changes_is_one_of_them(system: System) -> None:
    system.add_users("1")
    requests: list[tuple[str, dict[str, Any]]] = [
        ("resetServices", {"phone": True, "user": True, "callGroup": True}) for _ in range(3)
    ]
    for n in range(5):
        phone = {"serialNumber": f"b{n}", "modelId": "bria", "groups": ["G"]}
        requests += [
            add_user(f"u{n}", groups=["G"]),
            ("addPhone", {"phone": phone}),
            ("managePhone", {"addGroup": "H", "generateProfiles": True}),
            ("addCallGroup", {"callGroup": {"name": f"c{n}"}}),
        ]
    assert at_once(system, requests) == [None] * len(requests)
    left = {*system.user_names(), *(group["name"] for group in system.do("getCallGroups"))}
    assert left - {"superadmin"} == set(
        system.scalar(
            "SELECT coalesce(array_agg(value), '{}') FROM names WHERE value <> 'superadmin'"
        )
    )
