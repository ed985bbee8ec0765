"""Who calls is looked at on every request, whatever it asks for (wire.md §7)."""

from __future__ import annotations

import io
import os
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import psycopg2
import pytest

from sipxconfig_soap.domain import accounts, pins
from sipxconfig_soap.domain.searches import FEW
from tests.support.client import ADMINISTRATOR, PIN, Client
from tests.support.logs import events
from tests.support.soap import Soap, envelope

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sipxconfig_soap.db import Database
    from sipxconfig_soap.settings import Settings
    from tests.support.client import Response

SERVICES = "/sipxconfig/services/"
XML = {"Content-Type": "text/xml"}
ADD = "<con:AddPermission><permission><label>new</label></permission></con:AddPermission>"
BAD = "<con:AddPermission><permission><lebal/></permission></con:AddPermission>"
EVERY = "<con:FindUser/>"
SOME = "<con:FindUser><search><byUserName>superadmin</byUserName></search></con:FindUser>"
NONE = "<con:FindUser><search><byUserName>nobody</byUserName></search></con:FindUser>"

REQUESTS: dict[str, tuple[str, str, bytes, Mapping[str, str], int]] = {
    "the list": ("GET", "", b"", {}, 200),
    "a page": ("GET", "UserService", b"", {}, 200),
    "a WSDL": ("GET", "UserService?wsdl", b"", {}, 200),
    "options": ("OPTIONS", "UserService", b"", {}, 204),
    "a wrong method": ("PUT", "UserService", b"", {}, 405),
    "no service": ("GET", "NoService", b"", {}, 404),
    "a short read": ("POST", "UserService", envelope(SOME), XML, 200),
    "nothing": ("POST", "UserService", envelope(NONE), XML, 200),
    "nothing at all": ("POST", "ParkOrbitService", envelope(""), XML, 200),
    "a list": ("POST", "UserService", envelope(EVERY), XML, 200),
    "no statement": ("POST", "SystemService", envelope("<con:systemInfo/>"), XML, 200),
    "a change": ("POST", "PermissionService", envelope(ADD), XML, 200),
    "a refused change": ("POST", "PermissionService", envelope(BAD), XML, 500),
    "no XML": ("POST", "UserService", b"<", XML, 500),
    "no operation": ("POST", "UserService", envelope("<con:Nothing/>"), XML, 500),
    "another type": ("POST", "UserService", b"{}", {"Content-Type": "application/json"}, 415),
}


def send(client: Client, request: str) -> Response:
    method, path, body, headers, _ = REQUESTS[request]
    return client.request(method, SERVICES + path, body, headers)


def set_pin(database: Database, pin: str) -> None:
    with database.engine.begin() as connection:
        assert accounts.set_pin(connection, "superadmin", pin)


def count(database: Database, query: str) -> int:
    with database.engine.begin() as connection:
        found: int = connection.exec_driver_sql(query).scalar_one()
        return found


def fill(database: Database) -> None:
    """Have so many users that a list is streamed."""
    with database.engine.begin() as connection:
        connection.exec_driver_sql(
            "WITH new AS (INSERT INTO users (user_name, sip_password) SELECT 'u' || n, 'x'"
            f" FROM generate_series(1, {FEW + 10}) n RETURNING id, user_name)"
            " INSERT INTO names (value, folded, kind, user_id)"
            " SELECT user_name, user_name, 'userName', id FROM new"
        )


def end_connections(database: Database) -> None:
    """Have PostgreSQL end all connections but the one that asks."""
    with database.engine.begin() as connection:
        connection.exec_driver_sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


@pytest.mark.parametrize("request_", REQUESTS)
def test_an_administrator_is_answered_as_ever(
    client: Client, database: Database, request_: str
) -> None:
    fill(database)
    expected = REQUESTS[request_][-1]
    assert [send(client, request_).status for _ in range(2)] == [
        expected,
        # The permission is there now.
        500 if request_ == "a change" else expected,
    ]


@pytest.mark.parametrize("request_", REQUESTS)
def test_another_pin_counts_for_the_very_next_request_of_every_kind(
    client: Client, database: Database, request_: str
) -> None:
    fill(database)
    send(client, "a short read")
    set_pin(database, "another")
    audited = count(database, "SELECT count(*) FROM audit_log")
    before = count(database, "SELECT count(*) FROM permissions")
    answer = send(client, request_)
    assert answer.status == 401
    assert b"user" not in answer.body
    assert count(database, "SELECT count(*) FROM permissions") == before
    assert count(database, "SELECT count(*) FROM audit_log") == audited
    assert client.request("GET", SERVICES, auth=("superadmin", "another")).status == 200


@pytest.mark.parametrize("request_", REQUESTS)
def test_a_lost_permission_counts_for_the_very_next_request_of_every_kind(
    client: Client, database: Database, soap: Soap, request_: str
) -> None:
    soap.operation(
        "UserService",
        "addUser",
        {"user": {"userName": "200", "groups": "administrators"}, "pin": PIN},
    )
    method, path, body, headers, _ = REQUESTS[request_]
    login = ("200", PIN)
    assert client.request("GET", SERVICES, auth=login).status == 200
    with database.engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM user_group_members")
    audited = count(database, "SELECT count(*) FROM audit_log")
    assert client.request(method, SERVICES + path, body, headers, auth=login).status == 403
    assert count(database, "SELECT count(*) FROM audit_log") == audited
    assert count(database, "SELECT count(*) FROM permissions WHERE NOT built_in") == 0


def test_who_is_not_let_in_is_not_named_in_the_log(
    client: Client, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    send(client, "a short read")
    set_pin(database, "another")
    caplog.clear()
    caplog.set_level("INFO")
    assert send(client, "a short read").status == 401
    (line,) = events(caplog, "request")
    assert line["user"] is None


def test_a_success_that_is_remembered_ends_a_row_of_failures(client: Client) -> None:
    assert client.request("GET", SERVICES).status == 200
    wrong = (ADMINISTRATOR[0], "wrong")
    for _ in range(3):
        assert [client.request("GET", SERVICES, auth=wrong).status for _ in range(4)] == [401] * 4
        assert client.request("GET", SERVICES).status == 200


def test_an_outdated_pin_ends_no_row_of_failures(client: Client, database: Database) -> None:
    assert client.request("GET", SERVICES).status == 200
    set_pin(database, "another")
    statuses = [client.request("GET", SERVICES).status for _ in range(6)]
    assert statuses == [401] * 5 + [429]


def test_it_is_looked_at_without_hashing(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    send(client, "a short read")

    def hashing(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(pins, "verify_pin", hashing)
    assert send(client, "a short read").status == 200


@pytest.mark.parametrize("request_", ["a page", "a short read", "a list", "a change"])
def test_connections_that_died_meanwhile_are_replaced(
    client: Client, database: Database, request_: str
) -> None:
    fill(database)
    with ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(database.connect())
    send(client, "a short read")
    end_connections(database)
    assert send(client, request_).status == 200
    assert [send(client, "a short read").status for _ in range(5)] == [200] * 5


@pytest.mark.parametrize("request_", REQUESTS)
def test_another_pin_counts_on_a_connection_that_died_too(
    client: Client, database: Database, request_: str
) -> None:
    send(client, "a short read")
    set_pin(database, "another")
    end_connections(database)
    assert send(client, request_).status == 401


REFUSED_BODIES: dict[str, tuple[bytes, Mapping[str, str], bytes]] = {
    "damaged": (b"no gzip", {**XML, "Content-Encoding": "gzip"}, b"Content-Encoding gzip"),
    "too large": (b" " * 2000, XML, b"larger than 1024 bytes"),
    "too large in chunks": (b" " * 1025, {**XML, "Content-Length": ""}, b"larger than 1024 bytes"),
}


@pytest.mark.parametrize("refused", REFUSED_BODIES)
def test_a_refused_body_is_refused_alike_when_the_same_pin_was_set_anew(
    make_client: Callable[..., Client], database: Database, refused: str
) -> None:
    client = make_client(max_request_bytes="1024")
    body, headers, words = REFUSED_BODIES[refused]
    chunks = {"wsgi.input_terminated": True}

    def answer() -> Response:
        return client.request("POST", f"{SERVICES}UserService", body, headers, environ=chunks)

    assert client.request("GET", SERVICES).status == 200
    first = answer()
    set_pin(database, PIN)
    assert answer() == first
    assert words in first.body


LATE_BODIES: dict[str, Mapping[str, object]] = {
    "large": {"CONTENT_LENGTH": "100000"},
    "in chunks": {"CONTENT_LENGTH": "", "wsgi.input_terminated": True},
    "announced": {"CONTENT_LENGTH": "10", "HTTP_EXPECT": "100-continue"},
}


@pytest.mark.parametrize("late", LATE_BODIES)
def test_nobody_is_waited_for_who_is_not_let_in(
    client: Client, database: Database, late: str
) -> None:
    class Waiting(io.BytesIO):
        def read(self, _size: int | None = -1, /) -> bytes:
            raise AssertionError

    assert client.request("GET", SERVICES).status == 200
    set_pin(database, "another")
    environ = {**LATE_BODIES[late], "wsgi.input": Waiting()}
    answer = client.request("POST", f"{SERVICES}UserService", b"", XML, environ=environ)
    assert answer.status == 401


@pytest.mark.parametrize("request_", ["a page", "a short read", "a list", "a change"])
def test_a_database_that_is_away_is_asked_once_and_nobody_is_named(
    make_database: Callable[..., Database],
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    request_: str,
) -> None:
    database = make_database()
    client = Client(settings, database)
    database.dispose()
    asked = []

    def away(*_: object, **__: object) -> None:
        asked.append(1)
        raise psycopg2.OperationalError

    monkeypatch.setattr(database.engine.dialect, "connect", away)
    caplog.set_level("INFO")
    assert send(client, request_).status == 503
    assert len(asked) == 1
    (line,) = events(caplog, "request")
    assert line["user"] is None


@pytest.mark.skipif(
    os.environ.get("TEST_PGBOUNCER") == "true", reason="PgBouncer has another connection at hand"
)
@pytest.mark.parametrize("request_", ["a short read", "a list", "a change", "a refused change"])
def test_a_connection_that_dies_after_the_login_is_a_database_that_is_away(
    client: Client,
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    request_: str,
) -> None:
    fill(database)
    send(client, "a short read")
    find = accounts.find_account

    def find_and_die(*arguments: Any) -> accounts.Account | None:
        found = find(*arguments)
        end_connections(database)
        return found

    with monkeypatch.context() as patch:
        patch.setattr(accounts, "find_account", find_and_die)
        answer = send(client, request_)
    assert answer.status == 503
    assert b"Internal error" not in answer.body
    assert events(caplog, "internal error") == []
    assert send(client, "a list").status == 200
