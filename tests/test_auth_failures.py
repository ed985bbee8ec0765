"""Many failed logins against the real server (wire.md §7); the clock stands still."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from sipxconfig_soap.web.throttle import Throttle
from tests.support.soap import envelope

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.client import Client, Response

PATH = "/sipxconfig/services/UserService"
FIND = envelope("<con:FindUser><search><byUserName>superadmin</byUserName></search></con:FindUser>")


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def guarded(
    clock: Clock, monkeypatch: pytest.MonkeyPatch, make_client: Callable[..., Client]
) -> Client:
    """A server that lives by the clock of the test."""
    monkeypatch.setattr("sipxconfig_soap.web.app.Throttle", lambda: Throttle(clock))
    return make_client()


def attempt(
    client: Client, pin: str = "wrong", name: str = "superadmin", address: str = "192.0.2.1"
) -> Response:
    environ = {"REMOTE_ADDR": address}
    return client.request("POST", PATH, FIND, auth=(name, pin), environ=environ)


def test_the_sixth_attempt_after_five_failures_has_to_wait(guarded: Client, clock: Clock) -> None:
    assert [attempt(guarded).status for _ in range(5)] == [401] * 5
    held = attempt(guarded, "1234")
    assert (held.status, held.headers["retry-after"]) == (429, "1")
    assert "www-authenticate" not in held.headers
    clock.now += 1
    assert attempt(guarded).status == 401
    assert attempt(guarded).headers["retry-after"] == "2"
    clock.now += 2
    assert attempt(guarded, "1234").status == 200
    assert [attempt(guarded).status for _ in range(6)] == [401] * 5 + [429]


def test_an_unknown_name_is_held_up_like_a_known_one(guarded: Client) -> None:
    statuses = [attempt(guarded, name="nobody").status for _ in range(7)]
    assert statuses == [401] * 5 + [429] * 2


def test_a_login_known_a_moment_ago_waits_too(guarded: Client) -> None:
    assert attempt(guarded, "1234").status == 200
    for _ in range(5):
        attempt(guarded)
    assert attempt(guarded, "1234").status == 429


def test_others_are_not_held_up(guarded: Client) -> None:
    for _ in range(6):
        attempt(guarded)
    assert attempt(guarded, "1234", address="192.0.2.2").status == 200
    assert attempt(guarded, name="201").status == 401
    assert guarded.request("GET", "/readyz", auth=None).status == 200
    without = guarded.request("GET", PATH, auth=None, environ={"REMOTE_ADDR": "192.0.2.1"})
    assert without.status == 401


def test_failures_of_a_user_who_is_no_administrator_count(guarded: Client) -> None:
    add = "<con:AddUser><user><userName>200</userName></user><pin>4711</pin></con:AddUser>"
    assert guarded.request("POST", PATH, envelope(add)).status == 200
    for _ in range(4):
        assert attempt(guarded, name="200").status == 401
    assert attempt(guarded, "4711", name="200").status == 403
    assert [attempt(guarded, name="200").status for _ in range(6)] == [401] * 5 + [429]


def test_attempts_at_the_same_moment_are_no_way_around(guarded: Client) -> None:
    with ThreadPoolExecutor(8) as threads:
        statuses = list(threads.map(lambda _: attempt(guarded).status, range(24)))
    assert statuses.count(401) == 5
    assert statuses.count(429) == 19


def test_right_logins_at_the_same_moment_are_no_failures(guarded: Client) -> None:
    assert attempt(guarded).status == 401
    with ThreadPoolExecutor(8) as threads:
        statuses = list(threads.map(lambda _: attempt(guarded, "1234").status, range(24)))
    assert statuses == [200] * 24


def test_addresses_behind_a_trusted_proxy_are_told_apart(
    clock: Clock, monkeypatch: pytest.MonkeyPatch, make_client: Callable[..., Client]
) -> None:
    monkeypatch.setattr("sipxconfig_soap.web.app.Throttle", lambda: Throttle(clock))
    client = make_client(trusted_proxies="127.0.0.1")

    def status(address: str, pin: str) -> int:
        headers = {"X-Forwarded-For": address}
        return client.request("POST", PATH, FIND, headers, auth=("superadmin", pin)).status

    assert [status("192.0.2.1", "wrong") for _ in range(6)] == [401] * 5 + [429]
    assert status("192.0.2.2", "1234") == 200
    assert status("192.0.2.1", "1234") == 429
