"""Who may call (wire.md §7), with the real users of a real database."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from passlib.hash import argon2
from psycopg2.extensions import TRANSACTION_STATUS_IDLE

from sipxconfig_soap.domain import accounts, pins
from sipxconfig_soap.domain.accounts import find_account
from sipxconfig_soap.web import credentials
from sipxconfig_soap.web.app import _Edge
from sipxconfig_soap.web.credentials import Credentials, VerifiedLogins, read_basic
from tests.support.client import Client, basic
from tests.support.logs import events, printed
from tests.support.soap import Soap, envelope

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sipxconfig_soap.db import Database
    from sipxconfig_soap.web.exchange import Exchange
    from sipxconfig_soap.web.fields import Visit
    from tests.support.client import Response

PATH = "/sipxconfig/services/UserService"
FIND = envelope("<con:FindUser><search><byUserName>superadmin</byUserName></search></con:FindUser>")
CHALLENGE = 'Basic realm="example.org", charset="UTF-8"'


@pytest.fixture
def examined(monkeypatch: pytest.MonkeyPatch) -> list[str | None]:
    """The stored hashes that PINs were checked against, one entry each time it was done."""
    seen: list[str | None] = []
    verify = pins.verify_pin

    def counting(pin: str, stored: str | None) -> pins.Verdict:
        seen.append(stored)
        return verify(pin, stored)

    monkeypatch.setattr(pins, "verify_pin", counting)
    return seen


@pytest.fixture
def other(client: Client, database: Database) -> Client:
    """Another process on the same database."""
    return Client(client.settings, database)


def add_user(soap: Soap, name: str, pin: str | None = "4711", **fields: Any) -> None:
    values = {"user": {"userName": name, **fields}} | ({"pin": pin} if pin else {})
    soap.operation("UserService", "addUser", values)


def edit_user(soap: Soap, name: str, field: str, value: str | None) -> None:
    edit = {"property": field, "value": value}
    values = {"search": {"byUserName": name}, "edit": edit}
    soap.operation("UserService", "manageUser", values)


def login(client: Client, name: str = "superadmin", pin: str = "1234") -> int:
    return client.request("POST", PATH, FIND, auth=(name, pin)).status


def with_header(client: Client, value: str) -> Response:
    return client.request("GET", PATH, headers={"Authorization": value}, auth=None)


def refusal(response: Response) -> tuple[int, bytes, Mapping[str, str]]:
    return response.status, response.body, response.headers


def test_without_a_login_there_is_a_challenge(client: Client) -> None:
    response = client.request("POST", PATH, FIND, auth=None)
    assert response.status == 401
    assert response.headers["www-authenticate"] == CHALLENGE


def test_the_realm_is_the_configured_one(make_client: Callable[..., Client]) -> None:
    response = make_client(realm="The office").request("GET", PATH, auth=None)
    assert response.headers["www-authenticate"] == 'Basic realm="The office", charset="UTF-8"'


def test_an_administrator_gets_in(client: Client) -> None:
    assert login(client) == 200


def test_every_wrong_login_gets_the_same_answer(client: Client, soap: Soap) -> None:
    add_user(soap, "nopin", pin=None, groups=["administrators"])
    answers = [
        client.request("POST", PATH, FIND, auth=auth)
        for auth in [("superadmin", "wrong"), ("nobody", "1234"), ("nopin", ""), ("", ""), None]
    ]
    assert all(refusal(answer) == refusal(answers[0]) for answer in answers)
    assert answers[0].status == 401


def test_user_names_are_exact(client: Client) -> None:
    for name in ("SUPERADMIN", "superadmin ", " superadmin", "superadmin\0", "super", "%"):
        assert login(client, name) == 401


def test_an_alias_is_no_login(client: Client, soap: Soap) -> None:
    add_user(soap, "200", groups=["administrators"], aliases=["chief"])
    assert login(client, "200", "4711") == 200
    assert login(client, "chief", "4711") == 401


def test_who_is_no_administrator_is_told_so(client: Client, soap: Soap) -> None:
    add_user(soap, "200")
    response = client.request("POST", PATH, FIND, auth=("200", "4711"))
    assert response.status == 403
    assert "www-authenticate" not in response.headers
    assert login(client, "200", "wrong") == 401


def test_the_permission_counts_wherever_it_comes_from(client: Client, soap: Soap) -> None:
    add_user(soap, "200", permissions=["superadmin"])
    add_user(soap, "201", groups=["administrators"])
    assert login(client, "200", "4711") == 200
    assert login(client, "201", "4711") == 200


def test_a_lost_permission_counts_at_once_everywhere(
    client: Client, other: Client, soap: Soap
) -> None:
    add_user(soap, "200", groups=["administrators"])
    assert [login(each, "200", "4711") for each in (client, other)] == [200, 200]
    edit_user(soap, "200", "groups", "")
    assert [login(each, "200", "4711") for each in (client, other)] == [403, 403]
    edit_user(soap, "200", "groups", "administrators")
    assert [login(each, "200", "4711") for each in (client, other)] == [200, 200]


def test_another_pin_counts_at_once_everywhere(client: Client, other: Client, soap: Soap) -> None:
    add_user(soap, "200", groups=["administrators"])
    assert [login(each, "200", "4711") for each in (client, other)] == [200, 200]
    edit_user(soap, "200", "pin", "0815")
    assert [login(each, "200", "4711") for each in (client, other)] == [401, 401]
    assert [login(each, "200", "0815") for each in (client, other)] == [200, 200]
    edit_user(soap, "200", "pin", None)
    assert [login(each, "200", "0815") for each in (client, other)] == [401, 401]


def test_a_deleted_user_is_gone_at_once_everywhere(
    client: Client, other: Client, soap: Soap
) -> None:
    add_user(soap, "200", groups=["administrators"])
    assert [login(each, "200", "4711") for each in (client, other)] == [200, 200]
    values = {"search": {"byUserName": "200"}, "deleteUser": True}
    soap.operation("UserService", "manageUser", values)
    assert [login(each, "200", "4711") for each in (client, other)] == [401, 401]


def test_a_user_added_again_with_another_pin_is_another(client: Client, soap: Soap) -> None:
    add_user(soap, "200", groups=["administrators"])
    assert login(client, "200", "4711") == 200
    soap.operation(
        "UserService", "manageUser", {"search": {"byUserName": "200"}, "deleteUser": True}
    )
    add_user(soap, "200", pin="0815", groups=["administrators"])
    assert login(client, "200", "4711") == 401


def test_a_verified_login_is_not_hashed_again(client: Client, examined: list[str | None]) -> None:
    assert [login(client) for _ in range(5)] == [200] * 5
    assert len(examined) == 1


def test_a_wrong_pin_is_examined_each_time(client: Client, examined: list[str | None]) -> None:
    login(client)
    assert [login(client, pin="wrong") for _ in range(3)] == [401] * 3
    assert len(examined) == 4


def test_an_unknown_user_costs_one_examination_like_any_other(
    client: Client, soap: Soap, examined: list[str | None]
) -> None:
    add_user(soap, "nopin", pin=None)
    examined.clear()
    for name in ("nobody", "nopin", "x" * 5000, "a\0b", "\u202e"):
        assert login(client, name, "1234") == 401
    assert examined == [None] * 5


def test_a_login_is_remembered_for_a_minute(
    monkeypatch: pytest.MonkeyPatch,
    make_client: Callable[..., Client],
    examined: list[str | None],
) -> None:
    now = 1000.0
    monkeypatch.setattr(
        "sipxconfig_soap.web.app.VerifiedLogins", lambda: VerifiedLogins(lambda: now)
    )
    client = make_client()
    login(client)
    now += 59
    login(client)
    assert len(examined) == 1
    now += 1
    login(client)
    assert len(examined) == 2


@pytest.mark.usefixtures("costly_pins")
def test_a_hash_with_old_parameters_is_made_anew_at_a_login(
    client: Client, database: Database, examined: list[str | None]
) -> None:
    old = argon2.using(type="ID", time_cost=1, memory_cost=64, parallelism=1).hash("1234")
    with database.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE users SET pin_hash = %s", (old,))
    assert login(client, pin="wrong") == 401
    assert stored_hash(database) == old
    assert login(client) == 200
    new = stored_hash(database)
    assert new is not None
    assert new != old
    assert not pins.verify_pin("1234", new).rehash
    examined.clear()
    assert login(client) == 200
    assert examined == []


@pytest.mark.usefixtures("costly_pins")
def test_no_transaction_is_left_of_a_hash_that_was_made_anew(
    client: Client, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the request reads after it would else keep its snapshot until its answer is sent."""
    old = argon2.using(type="ID", time_cost=1, memory_cost=64, parallelism=1).hash("1234")
    with database.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE users SET pin_hash = %s", (old,))
    found, enter = [], _Edge._enter

    def look(edge: _Edge, exchange: Exchange) -> Visit:
        visit = enter(edge, exchange)
        visit.connection.execute(sa.select(1))
        found.append(visit.connection.connection.driver_connection.info.transaction_status)
        return visit

    monkeypatch.setattr(_Edge, "_enter", look)
    assert login(client) == 200
    assert stored_hash(database) != old
    assert found == [TRANSACTION_STATUS_IDLE]


def stored_hash(database: Database) -> str | None:
    with database.connect() as connection:
        account = find_account(connection, "superadmin")
    assert account is not None
    return account.pin_hash


@pytest.mark.usefixtures("costly_pins")
def test_a_pin_that_changes_during_a_login_stays_changed(
    client: Client, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = argon2.using(type="ID", time_cost=1, memory_cost=64, parallelism=1).hash("1234")
    with database.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE users SET pin_hash = %s", (old,))
    hash_pin = pins.hash_pin

    def slowly(pin: str) -> str:
        monkeypatch.setattr(pins, "hash_pin", hash_pin)
        with database.engine.begin() as connection:
            assert accounts.set_pin(connection, "superadmin", "5678")
        return hash_pin(pin)

    monkeypatch.setattr(pins, "hash_pin", slowly)
    login(client)
    assert login(client, pin="1234") == 401
    assert login(client, pin="5678") == 200


@pytest.mark.parametrize("pin", ["", ":", "a:b:c", "p\u00e4ss", "\U0001f511", " ", "x" * 255])
def test_any_pin_can_be_sent(client: Client, soap: Soap, pin: str) -> None:
    add_user(soap, "200", pin=pin, groups=["administrators"])
    assert login(client, "200", pin) == (200 if pin else 401)


def test_clients_that_send_iso_8859_1_get_in_too(client: Client, soap: Soap) -> None:
    add_user(soap, "200", pin="p\u00e4ss", groups=["administrators"])
    for encoding in ("utf-8", "iso-8859-1"):
        token = base64.b64encode("200:p\u00e4ss".encode(encoding)).decode()
        assert with_header(client, f"Basic {token}").status == 200


def test_the_name_of_the_scheme_has_any_case(client: Client) -> None:
    token = basic("superadmin", "1234").partition(" ")[2]
    for header in (f"basic {token}", f"BASIC   {token}", f" Basic {token} "):
        assert with_header(client, header).status == 200


@pytest.mark.parametrize(
    "header",
    ["", "Basic", "Basic ", "Basic %%%", "Basic YQ", "Basic YQ==", "Bearer YTpi", "Basic \xe9"],
)
def test_what_is_no_basic_login_is_a_request_without_one(header: str) -> None:
    assert read_basic(header) is None


def test_requests_without_a_login_are_no_failures(client: Client) -> None:
    for _ in range(20):
        assert client.request("POST", PATH, FIND, auth=None).status == 401
        assert with_header(client, "Basic %%%").status == 401
    assert login(client) == 200


def test_nothing_secret_is_logged(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    login(client)
    login(client, pin="hush-hush")
    login(client, name="hush-hush", pin="x")
    client.request("GET", "/hush-hush?hush-hush", auth=None)
    told = printed(caplog) + " ".join(record.getMessage() for record in caplog.records)
    assert "login failed" in told
    for secret in ("hush-hush", "1234", basic("superadmin", "1234").partition(" ")[2]):
        assert secret not in told


def test_a_request_is_told_in_one_line(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "sipxconfig_soap.web.exchange")
    response = client.request("POST", PATH, FIND)
    client.request("PUT", "/x\ny", auth=None)
    first, second = events(caplog)
    assert first.pop("ms") >= 0
    # What every line has.
    told = {name: first.pop(name) for name in ("time", "level", "logger", "event", "request_id")}
    assert (told["level"], told["event"]) == ("info", "request")
    assert first == {
        "method": "POST",
        "route": PATH,
        "status": 200,
        "bytes": len(response.body),
        "user": "superadmin",
        "address": "127.0.0.1",
    }
    assert (second["method"], second["route"], second["user"]) == ("PUT", "unknown", None)


def login_of(user_name: str, pin: str) -> Credentials:
    found = read_basic(basic(user_name, pin))
    assert found is not None
    return found


def test_a_login_is_hashed_once_however_it_is_spelled(
    client: Client, soap: Soap, examined: list[str | None]
) -> None:
    add_user(soap, "joe", "4711")
    del examined[:]
    token = basic("joe", "4711").partition(" ")[2]
    for header in (f"Basic {token}", f"bAsIc {token}", f"Basic   {token}", f" basic {token} "):
        answer = client.request("GET", "/sipxconfig/services/", headers={"Authorization": header})
        assert answer.status == 403
    assert len(examined) == 1


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(credentials, "CAPACITY", 10)
    logins = VerifiedLogins()
    for number in range(100):
        logins.remember(login_of(f"user{number}", "1"), "hash")
    assert len(logins) == 10
    assert logins.knows(login_of("user99", "1"), "hash")
    assert not logins.knows(login_of("user0", "1"), "hash")


def test_no_two_logins_are_taken_for_each_other() -> None:
    logins = VerifiedLogins()
    logins.remember(login_of("ab", "c"), "hash")
    for user_name, pin, pin_hash in (
        ("a", "bc", "hash"),
        ("ab", "ch", "ash"),
        ("ab", "c", "other"),
        ("ab", "", "chash"),
        ("ab1:c", "", "hash"),
        ("abc", "", "hash"),
        ("", "abc", "hash"),
    ):
        assert not logins.knows(login_of(user_name, pin), pin_hash)
    assert not logins.knows(login_of("ab", "c"), None)


def test_a_pin_longer_than_any_is_wrong_and_counts(client: Client) -> None:
    answers = [
        client.request("GET", "/sipxconfig/services/", auth=("superadmin", "1" * 5000)).status
        for _ in range(6)
    ]
    assert answers == [401] * 5 + [429]
