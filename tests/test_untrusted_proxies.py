"""A proxy that nobody has named in TRUSTED_PROXIES is noticed (wire.md §7)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sipxconfig_soap.db import Database
from sipxconfig_soap.domain import untrusted_proxies
from sipxconfig_soap.domain.untrusted_proxies import UntrustedProxies, seen_lately
from tests.support.client import Client
from tests.support.logs import events

if TYPE_CHECKING:
    from collections.abc import Callable

    from sipxconfig_soap.settings import Settings
    from tests.support.cli import Cli

LIST = "/sipxconfig/services/"
EVENT = "forwarded headers are not believed: their sender is no trusted proxy"
FORWARDED = {"X-Forwarded-For": "203.0.113.7", "X-Forwarded-Proto": "https"}


def get(client: Client, peer: str = "127.0.0.1", **headers: str) -> tuple[int, str]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    answer = client.request("GET", LIST, headers=named, environ={"REMOTE_ADDR": peer})
    return answer.status, answer.text


def noticed(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [event["setting"] for event in events(caplog, EVENT)]


@pytest.mark.parametrize("name", ["For", "Proto", "Host", "Port"])
def test_it_is_logged_with_the_setting_to_use(
    client: Client, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    assert get(client, "192.0.2.8", **{f"X-Forwarded-{name}": "x"})[0] == 200
    assert noticed(caplog) == ["SIPXCONFIG_TRUSTED_PROXIES=192.0.2.8"]


def test_trusted_proxies_and_those_without_such_headers_are_not(
    make_client: Callable[..., Client], caplog: pytest.LogCaptureFixture, database: Database
) -> None:
    client = make_client(trusted_proxies="127.0.0.1")
    assert get(client, **FORWARDED)[0] == 200
    assert get(client, "192.0.2.1")[0] == 200
    # Clients number their requests, too.
    assert get(client, "192.0.2.1", X_Request_ID="1")[0] == 200
    assert noticed(caplog) == []
    with database.connect() as connection:
        assert seen_lately(connection) == []


def test_it_is_logged_once_an_hour_whichever_process_sees_it(
    make_client: Callable[..., Client], caplog: pytest.LogCaptureFixture, database: Database
) -> None:
    first, second = make_client(), make_client()
    for client in (first, first, second):
        get(client, **FORWARDED)
    assert len(noticed(caplog)) == 1
    with database.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE untrusted_proxies SET seen = seen - interval '61 min'")
    get(make_client(), **FORWARDED)
    assert len(noticed(caplog)) == 2


def test_a_process_asks_the_database_once_an_hour(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    now = 1000.0
    proxies = UntrustedProxies(database, lambda: now)
    proxies.noticed("192.0.2.1")
    proxies.noticed("192.0.2.2")
    assert len(noticed(caplog)) == 1
    now += 3600
    proxies.noticed("192.0.2.2")
    assert len(noticed(caplog)) == 2
    with database.connect() as connection:
        assert {row.address for row in seen_lately(connection)} == {"192.0.2.1", "192.0.2.2"}


def test_what_was_seen_long_ago_goes(database: Database) -> None:
    UntrustedProxies(database).noticed("192.0.2.1")
    with database.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE untrusted_proxies SET seen = seen - interval '25 hours'")
        assert seen_lately(connection) == []
    UntrustedProxies(database).noticed("192.0.2.2")
    with database.connect() as connection:
        kept = connection.execute(untrusted_proxies.untrusted_proxies.select()).all()
    assert [row.address for row in kept] == ["192.0.2.2"]


def test_without_a_database_it_is_logged_all_the_same(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    away = Database("postgresql://nobody@127.0.0.1:1/nothing")
    assert get(Client(settings, away), **FORWARDED)[0] == 503
    assert noticed(caplog) == ["SIPXCONFIG_TRUSTED_PROXIES=127.0.0.1"]


@pytest.mark.parametrize("peer", ["127.0.0.1", "::1", "192.0.2.8"])
def test_where_https_is_required_it_is_refused_and_the_setting_named(
    make_client: Callable[..., Client], peer: str
) -> None:
    client = make_client(require_https="true", trusted_proxies="10.0.0.7")
    status, text = get(client, peer, **FORWARDED)
    assert (status, "SIPXCONFIG_TRUSTED_PROXIES" in text) == (403, True)
    assert peer not in text
    status, text = get(client, peer)
    assert (status, "SIPXCONFIG" in text) == (200 if peer != "192.0.2.8" else 403, False)
    # The named one says that it was https.
    assert get(client, "10.0.0.7", **FORWARDED)[0] == 200
    assert client.request("GET", "/healthz", headers=FORWARDED, auth=None).status == 200


def test_doctor_tells_of_it_until_the_setting_is_made(
    client: Client, database_url: str, cli: Cli
) -> None:
    get(client, **FORWARDED)
    get(client, "192.0.2.8", **FORWARDED)
    cli.environ["SIPXCONFIG_DATABASE_URL"] = database_url
    (line,) = [each for each in cli.ok("doctor").splitlines() if " proxies " in each]
    assert line.startswith("warn  proxies    127.0.0.1 sends X-Forwarded-… headers")
    assert "SIPXCONFIG_TRUSTED_PROXIES" in line
    cli.environ["SIPXCONFIG_TRUSTED_PROXIES"] = "127.0.0.0/8"
    assert "proxies" not in cli.ok("doctor")
