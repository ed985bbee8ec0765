"""The command line: what it does, and that every mistake is one sentence without a secret."""

from __future__ import annotations

import base64
import json
import os
import pty
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError

import pytest
import sqlalchemy as sa

from sipxconfig_soap import __version__, schema
from sipxconfig_soap.domain import accounts, pins
from tests.conftest import created_database

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sipxconfig_soap.embedded import EmbeddedPostgres

WAIT_SECONDS = 60
SERVICES = {
    *("PermissionService", "CallGroupService", "UserService", "ParkOrbitService"),
    *("PhoneService", "TestService", "SystemService"),
}
COMMANDS = ["serve", "migrate", "admin", "wsdl", "jobs", "audit", "doctor"]


class Cli:
    """Runs the command in a process of its own, with nothing but the given settings."""

    def __init__(self, home: Path) -> None:
        inherited = {
            name: value for name, value in os.environ.items() if not name.startswith("SIPXCONFIG_")
        }
        self.environ = inherited | {
            "HOME": str(home),
            "COLUMNS": "200",
            "SIPXCONFIG_DATA_DIR": str(home / "data"),
            "SIPXCONFIG_DOMAIN": "pbx.example.com",
        }

    def popen(self, *arguments: str, **more: Any) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "sipxconfig_soap", *arguments],
            env=self.environ,
            text=True,
            stdout=subprocess.PIPE,
            **more,
        )

    def run(self, *arguments: str, stdin: str = "") -> tuple[int, str, str]:
        """The exit code, the output and the error output."""
        pipe = subprocess.PIPE
        with self.popen(*arguments, stdin=pipe, stderr=pipe) as process:
            output, errors = process.communicate(stdin, WAIT_SECONDS)
        assert "Traceback" not in errors
        return process.returncode, output, errors

    def ok(self, *arguments: str, stdin: str = "") -> str:
        code, output, errors = self.run(*arguments, stdin=stdin)
        assert (code, errors) == (0, "")
        return output

    def fails(self, *arguments: str, stdin: str = "") -> str:
        """The one sentence of a command that fails."""
        code, _, errors = self.run(*arguments, stdin=stdin)
        assert code == 1
        (line,) = errors.splitlines()
        assert line.startswith("Error: ")
        return line.removeprefix("Error: ")


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    return Cli(tmp_path)


@pytest.fixture
def empty_url(postgres: EmbeddedPostgres) -> Iterator[str]:
    """A database without a schema, as an own PostgreSQL has it at first."""
    with created_database(postgres, f"cli_{os.getpid()}") as url:
        yield url


@pytest.fixture(scope="session")
def migrated(postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The name of a database as the command migrate makes it, for others to be copies of."""
    name = f"cli_migrated_{os.getpid()}"
    with created_database(postgres, name) as url:
        cli = Cli(tmp_path_factory.mktemp("migrated"))
        cli.environ["SIPXCONFIG_DATABASE_URL"] = url
        cli.ok("migrate")
        yield name


@pytest.fixture
def own(cli: Cli, postgres: EmbeddedPostgres, migrated: str) -> Iterator[Cli]:
    """The command on an own PostgreSQL whose schema is current."""
    with created_database(postgres, f"cli_{os.getpid()}", template=migrated) as url:
        cli.environ["SIPXCONFIG_DATABASE_URL"] = url
        yield cli


def execute(url: str, statement: str, **values: object) -> None:
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.begin() as connection:
        connection.execute(sa.text(statement), values)


# -- help and settings -------------------------------------------------------------------------


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


# -- databases that cannot be used -------------------------------------------------------------


@pytest.mark.parametrize("command", [["migrate"], ["jobs"], ["audit"], ["serve"]])
def test_no_server(cli: Cli, command: list[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    cli.environ["SIPXCONFIG_DATABASE_URL"] = f"postgresql://u:s3cret@127.0.0.1:{port}/d"
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


# -- migrate -----------------------------------------------------------------------------------


def test_migrate_says_what_it_did(cli: Cli, empty_url: str) -> None:
    cli.environ["SIPXCONFIG_DATABASE_URL"] = empty_url
    head = schema.head_revision()
    assert cli.ok("migrate") == f"The schema went from nothing to {head}.\n"
    assert cli.ok("migrate") == f"The schema is current ({head}).\n"


def test_two_migrations_at_once_take_turns(cli: Cli, empty_url: str) -> None:
    cli.environ["SIPXCONFIG_DATABASE_URL"] = empty_url
    both = [cli.popen("migrate", stderr=subprocess.STDOUT) for _ in range(2)]
    outputs = [process.communicate(timeout=WAIT_SECONDS)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs


# -- admin -------------------------------------------------------------------------------------


@pytest.fixture
def with_superadmin(own: Cli) -> Cli:
    engine = sa.create_engine(own.environ["SIPXCONFIG_DATABASE_URL"], poolclass=sa.NullPool)
    with engine.begin() as connection:
        accounts.bootstrap(connection, admin_pin="first")
    return own


def pin_is(cli: Cli, user: str, pin: str) -> bool:
    engine = sa.create_engine(cli.environ["SIPXCONFIG_DATABASE_URL"], poolclass=sa.NullPool)
    with engine.connect() as connection:
        stored = connection.scalar(
            sa.text("SELECT pin_hash FROM users WHERE user_name = :user"), {"user": user}
        )
    return pins.verify_pin(pin, stored).ok


def test_set_pin_from_standard_input(with_superadmin: Cli) -> None:
    output = with_superadmin.ok("admin", "set-pin", "--stdin", stdin="a new, pin \n")
    assert output == "The PIN of superadmin is set.\n"
    assert pin_is(with_superadmin, "superadmin", "a new, pin ")
    assert not pin_is(with_superadmin, "superadmin", "first")


@pytest.mark.parametrize(
    ("arguments", "stdin", "sentence"),
    [
        (["nobody"], "1\n", "There is no user 'nobody'; names are exact."),
        (["SuperAdmin"], "1\n", "There is no user 'SuperAdmin'; names are exact."),
        ([], "\n", "The PIN is empty."),
        ([], "", "The PIN is empty."),
        ([], "1\x002\n", "The PIN has control characters, which no client can send."),
    ],
)
def test_set_pin_refuses(
    with_superadmin: Cli, arguments: list[str], stdin: str, sentence: str
) -> None:
    command = ("admin", "set-pin", *arguments, "--stdin")
    assert with_superadmin.fails(*command, stdin=stdin) == sentence
    assert pin_is(with_superadmin, "superadmin", "first")


def test_set_pin_asks_on_a_terminal_without_echo(with_superadmin: Cli) -> None:
    ours, theirs = pty.openpty()
    process = with_superadmin.popen(
        "admin", "set-pin", stdin=theirs, stderr=theirs, start_new_session=True
    )
    os.close(theirs)
    seen = b""
    for prompt in (b"New PIN: ", b"The same again: "):
        while not seen.endswith(prompt):
            seen += os.read(ours, 1024)
        os.write(ours, b"t0p-s3cret\n")
    output, _ = process.communicate(timeout=WAIT_SECONDS)
    os.close(ours)
    assert process.returncode == 0
    assert output.endswith("The PIN of superadmin is set.\n")
    assert b"s3cret" not in seen
    assert pin_is(with_superadmin, "superadmin", "t0p-s3cret")


def test_set_pin_without_a_terminal_says_how(with_superadmin: Cli) -> None:
    code, _, errors = with_superadmin.run("admin", "set-pin")
    assert code == 2
    assert "use --stdin" in errors


# -- wsdl --------------------------------------------------------------------------------------


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


# -- jobs and audit ----------------------------------------------------------------------------


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


# -- doctor ------------------------------------------------------------------------------------


def verdicts(output: str) -> dict[str, str]:
    return {line.split()[1]: line.split()[0] for line in output.splitlines()}


def test_doctor_finds_all_well(own: Cli) -> None:
    everything = ("settings", "database", "encoding", "schema", "clock")
    assert verdicts(own.ok("doctor")) == dict.fromkeys(everything, "ok")


def test_doctor_before_the_first_start(cli: Cli, tmp_path: Path) -> None:
    output = cli.ok("doctor")
    assert verdicts(output) == {"settings": "ok", "directory": "ok", "database": "warn"}
    assert not (tmp_path / "data").exists()


def test_doctor_finds_what_is_wrong(cli: Cli, postgres: EmbeddedPostgres, empty_url: str) -> None:
    cli.environ["SIPXCONFIG_DATABASE_URL"] = empty_url
    code, output, _ = cli.run("doctor")
    assert (code, verdicts(output)["schema"]) == (1, "fail")
    assert "run sipxconfig-soap migrate" in output

    execute(empty_url, "SELECT 1")
    cli.ok("migrate")
    execute(empty_url, "ALTER TABLE jobs DROP COLUMN files")
    code, output, _ = cli.run("doctor")
    assert (code, verdicts(output)["schema"]) == (0, "warn")

    cli.environ["SIPXCONFIG_DATABASE_URL"] = postgres.url("no_such_database")
    code, output, _ = cli.run("doctor")
    assert (code, verdicts(output)["database"]) == (1, "fail")

    cli.environ |= {"SIPXCONFIG_DATABASE_URL": "", "SIPXCONFIG_DATA_DIR": "/dev/null/data"}
    code, output, _ = cli.run("doctor")
    assert (code, verdicts(output)["directory"]) == (1, "fail")

    cli.environ |= {"SIPXCONFIG_BIND": "x", "SIPXCONFIG_BNID": "x"}
    code, output, _ = cli.run("doctor")
    assert code == 1
    assert output.splitlines()[0].startswith("warn  settings   SIPXCONFIG_BNID")
    assert output.splitlines()[1].startswith("fail  settings   SIPXCONFIG_BIND")


def test_doctor_counts_the_connections_of_an_own_postgresql(own: Cli) -> None:
    own.environ |= {"SIPXCONFIG_WORKERS": "64", "SIPXCONFIG_THREADS": "63"}
    code, output, _ = own.run("doctor")
    assert (code, verdicts(output)["database"]) == (0, "warn")
    assert "clients, but 4038 may come: raise its max_connections, or lower" in output


def test_doctor_knows_an_encoding_that_cannot_hold_every_name(
    cli: Cli, postgres: EmbeddedPostgres
) -> None:
    name = f"latin_{os.getpid()}"
    engine = sa.create_engine(
        postgres.url("postgres"), isolation_level="AUTOCOMMIT", poolclass=sa.NullPool
    )
    with engine.connect() as connection:
        connection.exec_driver_sql(
            f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'LATIN1' LOCALE_PROVIDER libc"
            " LOCALE 'C'"
        )
        try:
            cli.environ["SIPXCONFIG_DATABASE_URL"] = postgres.url(name)
            code, output, _ = cli.run("doctor")
        finally:
            connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")
    assert (code, verdicts(output)["encoding"]) == (1, "fail")


# -- serve on the embedded database ------------------------------------------------------------


class Server:
    """``serve`` on the embedded database of ``cli``, up to the line that says where it is."""

    def __init__(self, cli: Cli, *options: str) -> None:
        self.log = Path(cli.environ["HOME"]) / "log"
        with self.log.open("w") as log:
            self.process = cli.popen("serve", "--bind", "127.0.0.1:0", *options, stderr=log)
        assert self.process.stdout is not None
        self.printed: list[str] = []
        for line in self.process.stdout:
            self.printed.append(line.rstrip("\n"))
            if line.startswith("Administrator: "):
                break
        self.url = next(
            line.removeprefix("Services: ") for line in self.printed if "Services: " in line
        )

    def status(self, pin: str) -> int:
        """The status of the list of services with this PIN of superadmin."""
        login = base64.b64encode(f"superadmin:{pin}".encode()).decode()
        request = urllib.request.Request(self.url, headers={"Authorization": f"Basic {login}"})
        try:
            with urllib.request.urlopen(request, timeout=WAIT_SECONDS) as answer:
                return int(answer.status)
        except HTTPError as error:
            with error:
                return error.code

    def end(self, how: int) -> int:
        self.process.send_signal(how)
        assert self.process.stdout is not None
        rest = self.process.stdout.read()
        self.process.stdout.close()
        assert rest == ""
        return self.process.wait(WAIT_SECONDS)


@pytest.fixture
def start(cli: Cli) -> Iterator[Callable[..., Server]]:
    servers: list[Server] = []

    def run(*options: str) -> Server:
        servers.append(Server(cli, "--workers", "2", *options))
        return servers[-1]

    yield run
    for server in servers:
        if server.process.poll() is None:
            server.end(signal.SIGTERM)


def postgres_runs(cli: Cli) -> bool:
    return (Path(cli.environ["SIPXCONFIG_DATA_DIR"]) / "postgresql/postmaster.pid").exists()


def test_a_newcomer_starts_it_twice(cli: Cli, start: Callable[..., Server]) -> None:
    first = start()
    pin_line, shown_once, services, administrator = first.printed
    pin = pin_line.removeprefix("PIN of superadmin: ")
    assert "not shown again" in shown_once
    assert re.fullmatch(r"Services: http://127\.0\.0\.1:\d+/sipxconfig/services/", services)
    assert administrator == "Administrator: superadmin"
    assert first.status(pin) == 200
    assert first.status("wrong") == 401
    # Other commands share the running database, and leave it running.
    assert cli.ok("jobs", "--json") == ""
    assert first.status(pin) == 200
    assert first.end(signal.SIGTERM) == 0
    assert not postgres_runs(cli)
    # They start it for a moment when nothing else does.
    assert cli.ok("jobs", "--json") == ""
    assert not postgres_runs(cli)

    second = start()
    assert second.printed[0].startswith("Services: ")
    assert second.status(pin) == 200
    cli.ok("admin", "set-pin", "--stdin", stdin="another\n")
    assert (second.status(pin), second.status("another")) == (401, 200)
    assert second.end(signal.SIGINT) == 0
    assert not postgres_runs(cli)
    assert pin not in second.log.read_text()


def test_a_given_pin_counts_at_creation_only_and_is_not_printed(
    cli: Cli, start: Callable[..., Server]
) -> None:
    cli.environ["SIPXCONFIG_ADMIN_PIN"] = "g1ven"
    first = start()
    assert [line.split(":")[0] for line in first.printed] == ["Services", "Administrator"]
    assert first.status("g1ven") == 200
    first.end(signal.SIGTERM)
    cli.environ["SIPXCONFIG_ADMIN_PIN"] = "0ther"
    second = start()
    assert (second.status("0ther"), second.status("g1ven")) == (401, 200)


def test_a_killed_server_leaves_a_database_that_the_next_takes_over(
    cli: Cli, start: Callable[..., Server]
) -> None:
    cli.environ["SIPXCONFIG_ADMIN_PIN"] = "g1ven"
    first = start()
    first.process.kill()
    first.process.wait(WAIT_SECONDS)
    assert first.process.stdout is not None
    first.process.stdout.close()
    second = start()
    assert second.status("g1ven") == 200
    assert second.end(signal.SIGTERM) == 0


def test_the_default_domain_is_a_warning(cli: Cli, start: Callable[..., Server]) -> None:
    del cli.environ["SIPXCONFIG_DOMAIN"]
    server = start()
    assert server.log.read_text().startswith(
        "Warning: the SIP domain is the default example.org; phones need the real one: "
        "set SIPXCONFIG_DOMAIN or --domain.\n"
    )


def test_a_public_url_is_the_one_that_is_announced(start: Callable[..., Server]) -> None:
    server = start("--public-url", "https://pbx.example.com/")
    assert server.printed[-2] == "Services: https://pbx.example.com/sipxconfig/services/"


def test_a_taken_port_is_told_before_anything_is_started(cli: Cli, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        bind = f"127.0.0.1:{taken.getsockname()[1]}"
        assert cli.fails("serve", "--bind", bind) == (
            f"Cannot listen on {bind}: Address already in use. Choose another address with --bind."
        )
    assert not (tmp_path / "data").exists()
