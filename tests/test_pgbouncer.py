"""A server behind PgBouncer: in transaction mode, which its worker avoids, or in session mode."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
import requests
import sqlalchemy as sa

from sipxconfig_soap.db import Database
from tests.support.client import ADMINISTRATOR
from tests.support.pgbouncer import pgbouncer
from tests.support.soap import children, envelope
from tests.support.worker import ended, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import Any

    from tests.support.cli import Cli
    from tests.support.server import RunningServer

pytestmark = pytest.mark.skipif(
    shutil.which("pgbouncer") is None, reason="PgBouncer is not here (Debian: pgbouncer)"
)

PATIENCE = 30


def send(server: RunningServer, service: str, operation: str, **values: Any) -> requests.Response:
    return requests.post(
        server.service(service),
        envelope(f"<con:{operation}>{children(values)}</con:{operation}>"),
        auth=ADMINISTRATOR,
        headers={"Content-Type": "text/xml"},
        timeout=PATIENCE,
    )


@pytest.fixture
def behind(database: Database, database_url: str, tmp_path: Path, run_server: Any) -> Any:
    """Starts PgBouncer and a server that knows it and the database behind it."""
    assert database
    with pgbouncer(tmp_path, database_url) as url:
        through = url.render_as_string(hide_password=False)
        with run_server(
            worker=True,
            SIPXCONFIG_DATABASE_URL=through,
            SIPXCONFIG_DIRECT_DATABASE_URL=database_url,
            SIPXCONFIG_PREPARE_STATEMENTS="false",
        ) as server:
            yield server


def test_reads_changes_long_lists_and_jobs(
    behind: RunningServer, database: Database, tmp_path: Path
) -> None:
    with database.engine.begin() as connection:
        connection.exec_driver_sql(
            "WITH new AS (INSERT INTO users (user_name, sip_password) SELECT 'u' || n, 'x'"
            " FROM generate_series(1, 5000) n RETURNING id, user_name)"
            " INSERT INTO names (value, folded, kind, user_id)"
            " SELECT user_name, user_name, 'userName', id FROM new"
        )
    added = send(behind, "UserService", "AddUser", user={"userName": "200", "groups": "G"})
    assert added.status_code == 200
    again = send(behind, "UserService", "AddUser", user={"userName": "200"})
    assert "nameInUse" in again.text
    found = send(behind, "UserService", "FindUser", search={"byGroup": "G"})
    assert "<userName>200</userName>" in found.text
    assert send(behind, "UserService", "FindUser").text.count("<item>") == 5002
    phone = {"serialNumber": "p", "modelId": "bria", "lines": {"userId": "200"}}
    assert send(behind, "PhoneService", "AddPhone", phone=phone).status_code == 200
    assert send(behind, "PhoneService", "ManagePhone", generateProfiles="true").status_code == 200
    assert [(job.kind, job.state) for job in ended(database.engine)] == [("profiles", "done")]
    assert [path for path in (tmp_path / "data" / "profiles").rglob("*") if path.is_file()]


def test_connections_that_are_cut_behind_it_are_replaced(
    behind: RunningServer, database: Database
) -> None:
    assert send(behind, "UserService", "FindUser").status_code == 200
    with database.connect() as connection:
        connection.execute(
            sa.text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        )
    statuses = [send(behind, "UserService", "FindUser").status_code for _ in range(10)]
    assert {*statuses} <= {200, 503}
    assert statuses[-1] == 200


# -- session mode --------------------------------------------------------------------------------


@pytest.fixture
def keeping(database: Database, database_url: str, tmp_path: Path) -> Iterator[str]:
    """The URL of the database through PgBouncer in session mode."""
    assert database
    with pgbouncer(tmp_path, database_url, "session") as url:
        yield url.render_as_string(hide_password=False)


def test_session_mode_needs_nothing_else(keeping: str, run_server: Any, tmp_path: Path) -> None:
    phone = {"serialNumber": "p", "modelId": "bria"}
    with run_server(worker=True, SIPXCONFIG_DATABASE_URL=keeping) as server:
        assert send(server, "UserService", "AddUser", user={"userName": "200"}).status_code == 200
        assert send(server, "PhoneService", "AddPhone", phone=phone).status_code == 200
        made = send(server, "PhoneService", "ManagePhone", generateProfiles="true")
        assert made.status_code == 200
        root = tmp_path / "data" / "profiles"
        wait_for(lambda: [path for path in root.rglob("*") if path.is_file()])


def test_the_limits_of_a_session_are_set_through_it_too(keeping: str) -> None:
    through = Database(keeping)
    with through.engine.connect() as connection:
        assert connection.scalar(sa.text("SHOW statement_timeout")) == "1min"
        connection.rollback()
        assert connection.scalar(sa.text("SHOW lock_timeout")) == "10s"
    through.dispose()


# -- what doctor says ----------------------------------------------------------------------------


def test_doctor_tells_whether_sessions_are_kept(own: Cli, tmp_path: Path) -> None:
    direct = own.environ["SIPXCONFIG_DATABASE_URL"]
    for mode in ("session", "transaction"):
        directory = tmp_path / mode
        directory.mkdir()
        with pgbouncer(directory, direct, mode) as url:
            own.environ["SIPXCONFIG_DATABASE_URL"] = url.render_as_string(hide_password=False)
            if mode == "session":
                assert "ok    sessions   are kept" in own.ok("doctor")
                continue
            code, output, _ = own.run("doctor")
            assert code == 1
            assert (
                "fail  sessions   a connection pooler does not keep them: set "
                "SIPXCONFIG_PREPARE_STATEMENTS=false, and name PostgreSQL itself in "
                "SIPXCONFIG_DIRECT_DATABASE_URL\n"
            ) in output
            own.environ["SIPXCONFIG_PREPARE_STATEMENTS"] = "false"
            own.environ["SIPXCONFIG_DIRECT_DATABASE_URL"] = direct
            assert "ok    sessions   a connection pooler does not keep them, as" in own.ok("doctor")
            own.environ["SIPXCONFIG_DIRECT_DATABASE_URL"] = own.environ["SIPXCONFIG_DATABASE_URL"]
            code, output, _ = own.run("doctor")
            assert code == 1
            assert "what SIPXCONFIG_DIRECT_DATABASE_URL names does not keep them" in output
