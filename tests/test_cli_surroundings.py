"""Where the command has to live: a database that comes late, no home, nothing to write into."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from tests.support.cli import WAIT_SECONDS, Cli, Processes, Server
from tests.support.isolated import STRANGER, by_stranger, mounted, needs_mounts, needs_root
from tests.support.worker import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sipxconfig_soap.embedded import EmbeddedPostgres

WAITING = "waiting for the database"


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    return Processes(tmp_path)


# -- a database that comes late ------------------------------------------------------------------


@pytest.fixture
def late(own: Cli) -> Iterator[Path]:
    """Where the socket of the database will be, as its URL says; it is not there yet."""
    url = sa.make_url(own.environ["SIPXCONFIG_DATABASE_URL"])
    with tempfile.TemporaryDirectory(prefix="sx-") as short:
        there = Path(short) / "s"
        query = {"host": str(there)}
        late = url.set(query=query).render_as_string(hide_password=False)
        own.environ["SIPXCONFIG_DATABASE_URL"] = late
        yield there


def come_up(there: Path, postgres: EmbeddedPostgres) -> None:
    there.symlink_to(str(sa.make_url(postgres.url()).query["host"]))


@contextmanager
def started(cli: Cli, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """A command that runs, and its log."""
    log = Path(cli.environ["HOME"]) / "log"
    with log.open("w") as errors, cli.popen(*arguments, stderr=errors) as process:
        try:
            yield process, log
        finally:
            process.send_signal(signal.SIGTERM)


@pytest.mark.parametrize("command", [["worker"], ["serve", "--bind", "127.0.0.1:0"]])
def test_the_database_is_waited_for(
    own: Cli, late: Path, postgres: EmbeddedPostgres, command: list[str]
) -> None:
    with started(own, *command) as (process, log):
        wait_for(lambda: WAITING in log.read_text())
        assert process.poll() is None
        come_up(late, postgres)
        if command == ["worker"]:
            wait_for(lambda: listeners(own, postgres))
        else:
            assert process.stdout is not None
            assert process.stdout.readline().startswith("Services: ")
        process.send_signal(signal.SIGTERM)
        assert process.wait(WAIT_SECONDS) == 0
    # It says once what it waits for, and why.
    (line,) = [line for line in log.read_text().splitlines() if WAITING in line]
    assert "No such file or directory" in line
    assert "seconds=60" in line


def listeners(cli: Cli, postgres: EmbeddedPostgres) -> int:
    name = sa.make_url(cli.environ["SIPXCONFIG_DATABASE_URL"]).database
    engine = sa.create_engine(postgres.url(str(name)), poolclass=sa.NullPool)
    with engine.connect() as connection:
        return int(
            connection.exec_driver_sql(
                "SELECT count(*) FROM pg_locks JOIN pg_database d ON d.oid = database"
                " WHERE locktype = 'advisory' AND classid <> 0 AND datname = current_database()"
            ).scalar_one()
        )


@pytest.mark.usefixtures("late")
@pytest.mark.parametrize("command", [["worker"], ["serve", "--bind", "127.0.0.1:0"]])
def test_it_is_not_waited_for_for_ever(own: Cli, command: list[str]) -> None:
    own.environ["SIPXCONFIG_DATABASE_WAIT"] = "0.5"
    code, _, errors = own.run(*command)
    first, last = errors.splitlines()
    assert code == 1
    assert WAITING in first
    assert last.endswith("Check SIPXCONFIG_DATABASE_URL and that PostgreSQL runs there.")
    own.environ["SIPXCONFIG_DATABASE_WAIT"] = "0"
    assert own.fails(*command) == last.removeprefix("Error: ")


def test_a_service_that_is_stopped_while_it_waits_ends(own: Cli, late: Path) -> None:
    assert not late.exists()
    with started(own, "serve", "--bind", "127.0.0.1:0") as (process, log):
        wait_for(lambda: WAITING in log.read_text())
        process.send_signal(signal.SIGTERM)
        assert process.wait(WAIT_SECONDS) == 128 + signal.SIGTERM
    assert "Traceback" not in log.read_text()


# -- users without a home and without an entry in passwd -----------------------------------------


@pytest.fixture
def homeless(cli: Cli) -> Cli:
    del cli.environ["HOME"]
    cli.environ.pop("XDG_DATA_HOME", None)
    return cli


@pytest.fixture
def open_directory() -> Iterator[Path]:
    """A directory that all users may pass, and the stranger may write."""
    with tempfile.TemporaryDirectory(prefix="sx-") as name:
        directory = Path(name)
        directory.chmod(0o755)
        (directory / "data").mkdir()
        os.chown(directory / "data", STRANGER, STRANGER)
        yield directory


def as_stranger(cli: Cli, *arguments: str) -> tuple[int, str, str]:
    with cli.popen(*arguments, before=by_stranger(), cwd="/", stderr=subprocess.PIPE) as process:
        output, errors = process.communicate(timeout=WAIT_SECONDS)
    assert "Traceback" not in errors
    return process.returncode, output, errors


@needs_root
def test_what_needs_no_directory_works_for_who_has_none(
    homeless: Cli, open_directory: Path
) -> None:
    del homeless.environ["SIPXCONFIG_DATA_DIR"]
    target = str(open_directory / "data")
    code, _, errors = as_stranger(homeless, "wsdl", target, "--base-url", "https://h")
    assert (code, errors) == (0, "")
    homeless.environ["SIPXCONFIG_DATABASE_URL"] = f"postgresql:///d?host={open_directory}"
    _, _, errors = as_stranger(homeless, "jobs")
    assert errors.endswith(". Name the user of the database in SIPXCONFIG_DATABASE_URL.\n")
    homeless.environ["SIPXCONFIG_DATABASE_URL"] = f"postgresql://u@/d?host={open_directory}"
    _, _, errors = as_stranger(homeless, "jobs")
    assert errors.endswith(". Check SIPXCONFIG_DATABASE_URL and that PostgreSQL runs there.\n")


@needs_root
def test_what_needs_one_names_the_setting(homeless: Cli) -> None:
    del homeless.environ["SIPXCONFIG_DATA_DIR"]
    code, output, _ = as_stranger(homeless, "doctor")
    assert code == 1
    assert "name another one in SIPXCONFIG_DATA_DIR" in output
    code, _, errors = as_stranger(homeless, "migrate")
    assert code == 1
    assert "Choose another with SIPXCONFIG_DATA_DIR" in errors


@needs_root
def test_a_stranger_can_run_everything(homeless: Cli, open_directory: Path) -> None:
    homeless.environ["SIPXCONFIG_DATA_DIR"] = str(open_directory / "data")
    code, output, errors = as_stranger(homeless, "migrate")
    assert (code, errors) == (0, "")
    assert "PIN of superadmin: " in output
    assert as_stranger(homeless, "jobs", "--json") == (0, "", "")


# -- nothing temporary can be written ------------------------------------------------------------


class Confined(Processes):
    """The command where all directories for temporary files are closed."""

    def __init__(self, home: Path, *more: str) -> None:
        super().__init__(home)
        self.environ["TMPDIR"] = "/tmp"
        closed = [f"-o bind {each} {each}" for each in ("/tmp", "/var/tmp", *more)]
        # Bound first: it may lie in one of them.
        self._before = mounted(
            f"-o bind {home} {home}",
            *(
                line
                for each in closed
                for line in (each.replace("bind", "rbind"), each.replace("bind", "remount,bind,ro"))
            ),
        )

    def popen(self, *arguments: str, **more: Any) -> subprocess.Popen[str]:
        return super().popen(*arguments, before=self._before, cwd="/proc", **more)


@needs_mounts
def test_the_server_takes_shared_memory_for_what_is_temporary(tmp_path: Path, own: Cli) -> None:
    confined = Confined(tmp_path)
    confined.environ["SIPXCONFIG_DATABASE_URL"] = own.environ["SIPXCONFIG_DATABASE_URL"]
    server = Server(confined, "--no-worker")
    assert server.status("first") == 200
    assert server.end(signal.SIGTERM) == 0
    assert "Traceback" not in server.log.read_text()


@needs_mounts
def test_without_that_it_names_the_variable(tmp_path: Path, own: Cli) -> None:
    confined = Confined(tmp_path, "/dev/shm")
    confined.environ["SIPXCONFIG_DATABASE_URL"] = own.environ["SIPXCONFIG_DATABASE_URL"]
    assert confined.fails("serve", "--bind", "127.0.0.1:0").endswith(
        "name a directory that can be written in TMPDIR."
    )
    code, output, _ = confined.run("doctor")
    assert code == 1
    assert "fail  directory  Nothing temporary can be written" in output
    # Who needs none works.
    assert confined.ok("jobs", "--json") == ""
