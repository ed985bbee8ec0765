"""Addresses of good logins outlive the process that saw them (wire.md §7, "many failures")."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa
from passlib.hash import argon2

from sipxconfig_soap.domain.known_addresses import KNOWN_DAYS, known_addresses
from sipxconfig_soap.domain.users import users
from tests.support.client import PIN, basic
from tests.support.logs import events
from tests.support.soap import envelope

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sipxconfig_soap.db import Database
    from tests.support.client import Client

PATH = "/sipxconfig/services/UserService"
FIND = envelope("<con:FindUser><search><byUserName>superadmin</byUserName></search></con:FindUser>")
BOSS = "boss"
HOME = "192.0.2.1"


@pytest.fixture
def client(client: Client) -> Client:
    """With a second administrator, who can be deleted."""
    user = f"<userName>{BOSS}</userName><groups>administrators</groups>"
    add = envelope(f"<con:AddUser><user>{user}</user><pin>{PIN}</pin></con:AddUser>")
    assert client.request("POST", PATH, add).status == 200
    return client


def login(client: Client, address: str = HOME, pin: str = PIN, name: str = BOSS) -> int:
    environ = {"REMOTE_ADDR": address}
    return client.request("POST", PATH, FIND, auth=(name, pin), environ=environ).status


def attack(client: Client, name: str = BOSS) -> None:
    """Somebody guesses from thirty addresses."""
    guesses = [login(client, f"198.51.100.{number}", "wrong", name) for number in range(30)]
    assert guesses == [401] * 30
    assert login(client, "203.0.113.1", "wrong", name) == 429


def known(database: Database) -> list[tuple[str, int]]:
    """Addresses and the days since the last login from them, of everybody."""
    age = sa.func.current_date() - known_addresses.c.day
    with database.connect() as connection:
        rows = connection.execute(sa.select(known_addresses.c.address, age).order_by("address"))
        return [(address, days) for address, days in rows]


def age(database: Database, days: int, address: str = HOME) -> None:
    """Let the last login from an address have been so many days ago."""
    row = known_addresses.update().where(known_addresses.c.address == address)
    with database.engine.begin() as connection:
        connection.execute(row.values(day=sa.func.current_date() - days))


@contextmanager
def statements(database: Database) -> Iterator[list[str]]:
    """Collects what is asked of the tables of addresses."""
    sent: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_others: object) -> None:
        if "known_addresses" in statement:
            sent.append(statement.split(maxsplit=1)[0])

    sa.event.listen(database.reads, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        sa.event.remove(database.reads, "before_cursor_execute", note)


def test_a_known_address_gets_in_during_an_attack_though_its_process_is_a_new_one(
    client: Client, make_client: Callable[..., Client]
) -> None:
    assert login(client) == 200
    other = make_client()
    attack(other)
    assert login(other) == 200
    assert login(other, "192.0.2.2") == 429


@pytest.mark.parametrize(("days", "status"), [(KNOWN_DAYS, 200), (KNOWN_DAYS + 1, 429)])
def test_an_address_is_known_for_ninety_days(
    client: Client,
    make_client: Callable[..., Client],
    database: Database,
    days: int,
    status: int,
) -> None:
    assert login(client) == 200
    age(database, days)
    other = make_client()
    attack(other)
    assert login(other) == status


def test_an_ipv6_address_counts_as_its_network(
    client: Client, make_client: Callable[..., Client], database: Database
) -> None:
    # What follows the first 64 bits changes every day by itself.
    assert login(client, "2001:db8:0:1:aaaa::1") == 200
    assert known(database) == [("127.0.0.1", 0), ("2001:db8:0:1::/64", 0)]
    fresh = make_client()
    attack(fresh)
    assert login(fresh, "2001:db8:0:1:bbbb::2") == 200
    assert login(fresh, "2001:db8:0:2:aaaa::1") == 429


def test_who_has_a_network_has_not_as_many_tries_as_it_has_addresses(client: Client) -> None:
    guesses = [login(client, f"2001:db8::{number:x}", "wrong") for number in range(1, 7)]
    assert guesses == [401] * 5 + [429]
    assert login(client, "2001:db8:0:9::1", "wrong") == 401


def test_nobody_is_known_by_an_address_that_nobody_knows(
    make_client: Callable[..., Client], database: Database
) -> None:
    client = make_client(trusted_proxies=HOME)
    headers = {"X-Forwarded-For": "unknown"}
    environ = {"REMOTE_ADDR": HOME}
    answer = client.request("POST", PATH, FIND, headers, environ=environ)
    assert answer.status == 200
    assert known(database) == []


def test_it_is_known_for_its_user_alone(client: Client, make_client: Callable[..., Client]) -> None:
    assert login(client, name="superadmin") == 200
    other = make_client()
    attack(other)
    assert login(other) == 429


def test_a_known_address_that_guesses_is_held_up_like_any_other(
    client: Client, make_client: Callable[..., Client]
) -> None:
    assert login(client) == 200
    other = make_client()
    attack(other)
    assert [login(other, pin="wrong") for _ in range(6)] == [401] * 5 + [429]
    assert login(other) == 429


def test_the_failures_of_a_known_address_with_many_names_hold_it_up(
    client: Client, make_client: Callable[..., Client]
) -> None:
    assert login(client) == 200
    other = make_client()
    attack(other)
    assert {login(other, pin="wrong", name=f"user{n}") for n in range(101)} == {401}
    assert login(other) == 429


def test_failed_logins_and_those_of_other_users_are_not_kept(
    client: Client, database: Database
) -> None:
    user = "<user><userName>200</userName></user><pin>4711</pin>"
    assert (
        client.request("POST", PATH, envelope(f"<con:AddUser>{user}</con:AddUser>")).status == 200
    )
    assert login(client, pin="wrong") == 401
    assert login(client, pin="4711", name="200") == 403
    assert [address for address, _ in known(database)] == ["127.0.0.1"]


def test_a_deleted_user_leaves_no_addresses(client: Client, database: Database) -> None:
    assert login(client) == 200
    assert (HOME, 0) in known(database)
    delete = "<search><byUserName>boss</byUserName></search><deleteUser>true</deleteUser>"
    call = envelope(f"<con:ManageUser>{delete}</con:ManageUser>")
    assert client.request("POST", PATH, call).status == 200
    assert [address for address, _ in known(database)] == ["127.0.0.1"]


def test_a_login_is_written_once_a_day_and_takes_the_old_ones_along(
    client: Client, make_client: Callable[..., Client], database: Database
) -> None:
    assert login(client, "192.0.2.9") == 200
    age(database, KNOWN_DAYS + 1, "192.0.2.9")
    with statements(database) as sent:
        assert [login(client) for _ in range(3)] == [200] * 3
    assert len(sent) == 1
    assert known(database) == [("127.0.0.1", 0), (HOME, 0)]
    # Another process does not know that, and PostgreSQL changes no row.
    versions = sa.select(sa.literal_column("xmin::text, xmax::text")).select_from(known_addresses)
    with database.connect() as connection:
        before = connection.execute(versions).all()
        assert login(make_client()) == 200
        assert connection.execute(versions).all() == before
    age(database, 3)
    assert login(make_client()) == 200
    assert (HOME, 0) in known(database)
    # An address that comes back after a long time is among those that would be removed.
    age(database, KNOWN_DAYS + 5)
    assert login(make_client()) == 200
    assert (HOME, 0) in known(database)


def test_a_login_whose_pin_is_hashed_anew_is_kept_too(client: Client, database: Database) -> None:
    old = argon2.using(type="ID", time_cost=2, memory_cost=64, parallelism=1).hash(PIN)
    stored = users.c.user_name == BOSS
    with database.engine.begin() as connection:
        connection.execute(users.update().where(stored).values(pin_hash=old))
    assert login(client) == 200
    with database.connect() as connection:
        assert connection.scalar(sa.select(users.c.pin_hash).where(stored)) != old
    assert (HOME, 0) in known(database)


def test_guessing_makes_the_database_be_asked_once_and_not_for_every_guess(
    client: Client, make_client: Callable[..., Client], database: Database
) -> None:
    assert login(client) == 200
    other = make_client()
    with statements(database) as sent:
        attack(other)
        assert {login(other, f"203.0.113.{number}", "wrong") for number in range(100)} == {429}
    assert sent == ["SELECT"]


def test_no_hold_up_by_other_pauses_asks_the_database(client: Client, database: Database) -> None:
    with statements(database) as sent:
        assert [login(client, pin="wrong") for _ in range(9)] == [401] * 5 + [429] * 4
    assert sent == []


def test_a_login_that_cannot_be_noted_counts_all_the_same(
    client: Client, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    headers = {"Content-Type": "text/xml", "Authorization": basic(BOSS, PIN)}
    with database.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE known_addresses RENAME TO elsewhere")
    try:
        answer = client.request("POST", PATH, FIND, headers)
    finally:
        with database.engine.begin() as connection:
            connection.exec_driver_sql("ALTER TABLE elsewhere RENAME TO known_addresses")
    assert answer.status == 200
    (event,) = events(caplog, "login not noted")
    assert event["sqlstate"] == "42P01"
