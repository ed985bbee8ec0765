"""The command line: what it does, and that every mistake is one sentence without a secret."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from sipxconfig_soap import __version__, schema
from tests.support.cli import Cli, execute

if TYPE_CHECKING:
    from sipxconfig_soap.embedded import EmbeddedPostgres

SERVICES = {
    *("PermissionService", "CallGroupService", "UserService", "ParkOrbitService"),
    *("PhoneService", "TestService", "SystemService"),
}
COMMANDS = ["serve", "migrate", "admin", "wsdl", "jobs", "audit", "doctor"]


# -- help and settings -----------------------------------------------------------------------------


def test_help_and_version(cli: Cli) -> None:
    output = cli.ok("--help")
    for name in COMMANDS:
        assert re.search(rf"^  {name} +[A-Z]", output, re.MULTILINE)
        assert "Usage: sipxconfig-soap" in cli.ok(name, "--help")
    assert cli.ok("--version") == f"sipxconfig-soap, version {__version__}\n"


def test_serve_has_an_option_for_every_setting_but_the_secret_ones(cli: Cli) -> None:
    output = cli.ok("serve", "--help")
    for option in ("--bind", "--workers", "--data-dir", "--no-test-service", "--log-level"):
        assert option in output
    assert "--admin-pin" not in output
    assert "--database-url" not in output


def test_all_bad_settings_are_told_at_once(cli: Cli) -> None:
    cli.environ |= {"SIPXCONFIG_DOMAIN": "?", "SIPXCONFIG_DATABASE_URL": "mysql://u:s3cret@h/d"}
    code, _, errors = cli.run("serve", "--bind", "8080")
    assert code == 1
    assert "SIPXCONFIG_DATABASE_URL has a value that is not shown here: it must be a URL" in errors
    assert "SIPXCONFIG_DOMAIN is '?': it must be a host name" in errors
    assert "--bind is '8080': it must be HOST:PORT" in errors
    assert "s3cret" not in errors


def test_a_misspelt_setting_is_a_warning(own: Cli) -> None:
    own.environ["SIPXCONFIG_TRUSTED_PROXYS"] = "10.0.0.1"
    code, _, errors = own.run("jobs")
    assert code == 0
    assert errors == (
        "Warning: SIPXCONFIG_TRUSTED_PROXYS is not a setting: "
        "did you mean SIPXCONFIG_TRUSTED_PROXIES?\n"
    )


# -- databases that cannot be used -----------------------------------------------------------------


@pytest.mark.parametrize("command", [["migrate"], ["jobs"], ["audit"], ["serve"]])
def test_no_server(cli: Cli, command: list[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    cli.environ["SIPXCONFIG_DATABASE_URL"] = f"postgresql://u:s3cret@127.0.0.1:{port}/d"
    cli.environ["SIPXCONFIG_DATABASE_WAIT"] = "0"
    if command == ["serve"]:
        command = ["serve", "--bind", "127.0.0.1:0"]
    sentence = cli.fails(*command)
    assert "Connection refused" in sentence
    assert sentence.endswith("Check SIPXCONFIG_DATABASE_URL and that PostgreSQL runs there.")
    assert "s3cret" not in sentence


def test_no_such_host(cli: Cli) -> None:
    cli.environ["SIPXCONFIG_DATABASE_URL"] = "postgresql://u:s3cret@no-such-host.invalid/d"
    sentence = cli.fails("jobs")
    assert "no-such-host.invalid" in sentence
    assert "Check SIPXCONFIG_DATABASE_URL" in sentence


def test_wrong_password(cli: Cli, postgres: EmbeddedPostgres) -> None:
    role = f"guest_{os.getpid()}"
    url = postgres.url("postgres")
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with engine.connect() as connection:
        rules = Path(connection.exec_driver_sql("SHOW hba_file").scalar_one())
        before = rules.read_text()
        connection.exec_driver_sql(f"CREATE ROLE {role} LOGIN PASSWORD 'right'")
        try:
            rules.write_text(f"local all {role} scram-sha-256\n{before}")
            connection.exec_driver_sql("SELECT pg_reload_conf()")
            socket_directory = sa.make_url(url).query["host"]
            cli.environ["SIPXCONFIG_DATABASE_URL"] = (
                f"postgresql://{role}:s3cret@/postgres?host={socket_directory}"
            )
            sentence = cli.fails("jobs")
        finally:
            rules.write_text(before)
            connection.exec_driver_sql("SELECT pg_reload_conf()")
            connection.exec_driver_sql(f"DROP ROLE {role}")
    assert "password authentication failed" in sentence
    assert sentence.endswith("Check user and password in SIPXCONFIG_DATABASE_URL.")
    assert "s3cret" not in sentence


@pytest.mark.parametrize("command", [["jobs"], ["worker"], ["serve", "--bind", "127.0.0.1:0"]])
def test_no_such_role(cli: Cli, postgres: EmbeddedPostgres, command: list[str]) -> None:
    url = sa.make_url(postgres.url("postgres")).set(username="no-such-role")
    cli.environ["SIPXCONFIG_DATABASE_URL"] = url.render_as_string()
    # Nor is it waited for: it does not come by itself.
    assert cli.fails(*command).endswith(
        'FATAL:  role "no-such-role" does not exist. Create the role (createuser --pwprompt '
        "no-such-role), or check SIPXCONFIG_DATABASE_URL."
    )


@pytest.mark.parametrize("command", [["migrate"], ["serve", "--bind", "127.0.0.1:0"]])
def test_a_database_that_cannot_hold_every_name(
    cli: Cli, latin_url: str, command: list[str]
) -> None:
    cli.environ["SIPXCONFIG_DATABASE_URL"] = latin_url
    assert cli.fails(*command) == (
        "The encoding of the database is LATIN1; create the database anew with --encoding=UTF8."
    )


def test_no_such_database(cli: Cli, postgres: EmbeddedPostgres) -> None:
    cli.environ["SIPXCONFIG_DATABASE_URL"] = postgres.url("no_such_database")
    assert "createdb --encoding=UTF8" in cli.fails("jobs")


@pytest.mark.parametrize("command", [["jobs"], ["audit"], ["serve", "--bind", "127.0.0.1:0"]])
def test_an_own_database_that_is_behind_is_refused(
    cli: Cli, empty_url: str, command: list[str]
) -> None:
    cli.environ["SIPXCONFIG_DATABASE_URL"] = empty_url
    assert cli.fails(*command) == (
        f"The database has no schema yet, but this version needs {schema.head_revision()}: "
        "run sipxconfig-soap migrate."
    )


@pytest.mark.parametrize("command", ["jobs", "migrate"])
def test_a_database_of_a_newer_version_is_left_alone(own: Cli, command: str) -> None:
    url = own.environ["SIPXCONFIG_DATABASE_URL"]
    execute(url, "UPDATE alembic_version SET version_num = '9999'")
    assert own.fails(command) == (
        "The database has schema 9999, which this version does not know: "
        "it was used by a newer sipxconfig-soap; install that one."
    )


def test_without_an_embedded_database_nothing_is_created(cli: Cli, tmp_path: Path) -> None:
    for command in (["jobs"], ["audit"], ["admin", "set-pin", "--stdin"]):
        assert "There is no database in" in cli.fails(*command)
    assert not (tmp_path / "data").exists()


# -- wsdl ------------------------------------------------------------------------------------------


def test_wsdl_writes_one_file_for_each_service(cli: Cli, tmp_path: Path) -> None:
    target = tmp_path / "new" / "wsdl"
    cli.ok("wsdl", str(target), "--base-url", "https://pbx.example.com/")
    assert {path.stem for path in target.iterdir()} == SERVICES
    for path in target.iterdir():
        address = f"https://pbx.example.com/sipxconfig/services/{path.stem}"
        assert f'location="{address}"' in path.read_text()


def test_wsdl_refuses(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert cli.fails("wsdl", str(tmp_path / "file" / "x"), "--base-url", "http://h") == (
        f"{tmp_path}/file/x cannot be written: Not a directory."
    )
    code, _, errors = cli.run("wsdl", str(tmp_path), "--base-url", "pbx.example.com")
    assert code == 2
    assert "it must be an http or https URL" in errors


# -- jobs and audit --------------------------------------------------------------------------------


@pytest.fixture
def with_rows(own: Cli) -> Cli:
    """Three jobs and two audit entries, with texts as a hostile client makes them."""
    url = own.environ["SIPXCONFIG_DATABASE_URL"]
    job = (
        "INSERT INTO jobs (kind, serial, target, state, reason, attempts, created, finished)"
        " VALUES (:kind, :serial, :serial, :state, :reason, :attempts, :created, :finished)"
    )
    for kind, serial, state, reason, attempts, finished in (
        ("profiles", "0004f2000001", "done", None, 1, "2026-01-02T03:04:06+01:00"),
        ("restart", "0004f2000001", "failed", "no\x1b[2J\nanswer", 5, "2026-01-02 03:05:00Z"),
        ("restart", "0004f2000002", "waiting", None, 0, None),
    ):
        execute(
            url,
            job,
            kind=kind,
            serial=serial,
            state=state,
            reason=reason,
            attempts=attempts,
            created="2026-01-02 03:04:05Z",
            finished=finished,
        )
    entry = (
        "INSERT INTO audit_log (time, administrator, address, service, operation, entities,"
        " outcome) VALUES (:time, :administrator, '10.0.0.1', 'UserService', 'addUser',"
        " :entities, 'done')"
    )
    # That of the first administrator is as old as this test.
    execute(url, "DELETE FROM audit_log")
    execute(url, entry, time="2020-01-01Z", administrator="old", entities=["200"])
    execute(url, entry, time="2026-01-02Z", administrator="superadmin", entities=["a\nb", "\u202e"])
    return own


def test_jobs_as_a_table(with_rows: Cli) -> None:
    head, first, second, third = with_rows.ok("jobs").splitlines()
    assert head.split() == [
        *("id", "kind", "serial", "state", "reason", "attempts", "created", "finished")
    ]
    assert first.split() == [
        *("1", "profiles", "0004f2000001", "done", "-", "1"),
        *("2026-01-02T03:04:05Z", "2026-01-02T02:04:06Z"),
    ]
    assert "no\\u001b[2J\\nanswer" in second
    assert third.split()[-1] == "-"


def test_jobs_by_state_and_phone(with_rows: Cli) -> None:
    assert len(with_rows.ok("jobs", "--state", "failed").splitlines()) == 2
    assert len(with_rows.ok("jobs", "--serial", "0004f2000001").splitlines()) == 3
    assert with_rows.ok("jobs", "--serial", "0004f2000002", "--state", "done", "--json") == ""


def test_jobs_as_json(with_rows: Cli) -> None:
    _, second, third = map(json.loads, with_rows.ok("jobs", "--json").splitlines())
    assert second == {
        "id": 2,
        "kind": "restart",
        "serial": "0004f2000001",
        "state": "failed",
        "reason": "no\x1b[2J\nanswer",
        "attempts": 5,
        "created": "2026-01-02T03:04:05Z",
        "finished": "2026-01-02T03:05:00Z",
    }
    assert (third["finished"], third["reason"]) == (None, None)


def test_audit_as_a_table_and_as_json(with_rows: Cli) -> None:
    head, old, new = with_rows.ok("audit").splitlines()
    assert head.split()[:2] == ["time", "administrator"]
    assert old.split() == [
        *("2020-01-01T00:00:00Z", "old", "10.0.0.1", "UserService", "addUser", "done", "200")
    ]
    assert new.endswith("a\\nb, \\u202e")
    (line,) = with_rows.ok("audit", "--json", "--user", "superadmin").splitlines()
    assert json.loads(line)["entities"] == ["a\nb", "\u202e"]


def test_audit_since_and_limit(with_rows: Cli) -> None:
    assert len(with_rows.ok("audit", "--json", "--since", "2025-01-01").splitlines()) == 1
    assert len(with_rows.ok("audit", "--json", "--since", "10000w").splitlines()) == 2
    assert with_rows.ok("audit", "--json", "--since", "0m") == ""
    (line,) = with_rows.ok("audit", "--json", "--limit", "1").splitlines()
    assert json.loads(line)["administrator"] == "superadmin"
    for wrong in ("yesterday", "5y", "99999999999w"):
        code, _, errors = with_rows.run("audit", "--since", wrong)
        assert code == 2
        assert "is neither like 12h or 7d nor like 2026-01-31T08:00" in errors


def test_a_reader_that_has_seen_enough_is_no_error(with_rows: Cli) -> None:
    url = with_rows.environ["SIPXCONFIG_DATABASE_URL"]
    execute(
        url,
        "INSERT INTO jobs (kind, serial, target, state, reason) SELECT 'removal', '00', '00',"
        " 'waiting',"
        " repeat('x', 100) FROM generate_series(1, 5000)",
    )
    pipe = subprocess.PIPE
    with with_rows.popen("jobs", "--json", stderr=pipe) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline().startswith('{"id": 1,')
        process.stdout.close()
        assert process.stderr.read() == ""
