"""The health of the server (wire.md §1)."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from sipxconfig_soap.db import Database
from tests.support.client import Client

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sipxconfig_soap.settings import Settings

NOBODY_LISTENS = "postgresql://nobody@127.0.0.1:1/nothing"


@pytest.fixture
def away(settings: Settings) -> Iterator[Client]:
    """A server whose database is away."""
    database = Database(NOBODY_LISTENS)
    yield Client(settings, database)
    database.dispose()


@contextmanager
def revision(database: Database, name: str) -> Iterator[None]:
    """The schema calls itself another revision for a while."""
    change = sa.text("UPDATE alembic_version SET version_num = :name RETURNING version_num")
    with database.engine.begin() as connection:
        known = connection.scalar(sa.text("SELECT version_num FROM alembic_version"))
        connection.execute(change, {"name": name})
    try:
        yield
    finally:
        with database.engine.begin() as connection:
            connection.execute(change, {"name": known})


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_a_healthy_server_says_so_to_anybody(client: Client, path: str) -> None:
    assert client.request("GET", path, auth=None).status == 200


def test_a_server_without_its_database_is_alive_but_not_ready(away: Client) -> None:
    assert away.request("GET", "/healthz", auth=None).status == 200
    response = away.request("GET", "/readyz", auth=None)
    assert response.status == 503
    assert b"nobody" not in response.body


@pytest.mark.parametrize("name", ["0000", "ffff"])
def test_a_server_with_another_schema_is_not_ready(
    client: Client, database: Database, name: str
) -> None:
    with revision(database, name):
        assert client.request("GET", "/readyz", auth=None).status == 503
    assert client.request("GET", "/readyz", auth=None).status == 200


def test_a_server_whose_database_cannot_be_read_is_not_ready(
    client: Client, database: Database
) -> None:
    rename = "ALTER TABLE {} RENAME TO {}"
    with database.engine.begin() as connection:
        connection.exec_driver_sql(rename.format("alembic_version", "elsewhere"))
        connection.exec_driver_sql("CREATE TABLE alembic_version (other text)")
    try:
        answer = client.request("GET", "/readyz", auth=None)
    finally:
        with database.engine.begin() as connection:
            connection.exec_driver_sql("DROP TABLE alembic_version")
            connection.exec_driver_sql(rename.format("elsewhere", "alembic_version"))
    assert (answer.status, answer.body) == (503, b"not ready: the database cannot be read\n")


def test_a_server_whose_database_takes_too_long_says_so(client: Client, database: Database) -> None:
    with database.engine.begin() as connection:
        connection.exec_driver_sql("LOCK TABLE alembic_version")
        answer = client.request("GET", "/readyz", auth=None)
    late = b"not ready: the database does not answer in time\n"
    assert (answer.status, answer.body) == (503, late)


def test_the_patience_of_a_health_check_does_not_outlive_it(
    client: Client, database: Database
) -> None:
    client.request("GET", "/readyz", auth=None)
    with database.engine.connect() as connection:
        assert connection.scalar(sa.text("SHOW statement_timeout")) == "1min"


def test_without_the_database_a_call_gets_a_fault_and_a_page_a_sentence(away: Client) -> None:
    path = "/sipxconfig/services/UserService"
    call = away.request("POST", path, b"<x/>", {"Content-Type": "text/xml"})
    assert call.status == 503
    assert b"<faultcode>soapenv:Server.unavailable</faultcode>" in call.body
    assert call.headers["content-type"] == "text/xml; charset=UTF-8"
    soap12 = away.request("POST", path, b"<x/>", {"Content-Type": "application/soap+xml"})
    assert soap12.status == 503
    assert soap12.headers["content-type"] == "application/soap+xml; charset=UTF-8"
    assert b"con:unavailable<" in soap12.body
    page = away.request("GET", path)
    assert page.status == 503
    assert page.headers["content-type"].startswith("text/plain")
    for response in (call, soap12, page):
        assert int(response.headers["retry-after"]) > 0
