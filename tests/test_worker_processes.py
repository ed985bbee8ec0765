"""Workers as processes: sharing, dying, and being cut off lose and double nothing."""

from __future__ import annotations

import os
import resource
import signal
import socket
import stat
import subprocess
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

import psutil
import pytest
import sqlalchemy as sa

from sipxconfig_soap.cli import worker as worker_command
from sipxconfig_soap.domain.jobs import PROFILES, announce
from sipxconfig_soap.domain.phone_tables import queue_jobs
from sipxconfig_soap.embedded import EmbeddedPostgres
from tests.support.logs import events
from tests.support.server import serve
from tests.support.system import MAC, System
from tests.support.worker import (
    LIMIT,
    all_jobs,
    ended,
    files_below,
    own_environment,
    wait_for,
    worker_process,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from pathlib import Path

    from sipxconfig_soap.db import Database
    from tests.support.server import RunningServer
    from tests.support.soap import Soap

    Start = Callable[..., AbstractContextManager[subprocess.Popen[bytes]]]

PHONES = 200
"""Several times what a worker claims at once."""

_STOCK = (
    """
    INSERT INTO phones (serial_number, model_id, profile_file)
    SELECT s, 'polycom331', s || '.cfg'
    FROM (SELECT '0004f2' || lpad(n::text, 6, '0') AS s FROM generate_series(1000, {last}) n) x
    """,
    """
    INSERT INTO lines (phone_id, external_user_id, registration_server, display_name)
    SELECT id, ltrim(right(serial_number, 6), '0'), 'h', 'First ' || serial_number FROM phones
    """,
)


def stock(engine: sa.Engine, count: int = PHONES) -> None:
    """Add phones with a line each, and queue a profile for every phone."""
    with engine.begin() as connection:
        for statement in _STOCK:
            connection.exec_driver_sql(statement.format(last=999 + count))
        queue_jobs(connection, PROFILES, sa.true())


def check_files(root: Path, count: int = PHONES) -> None:
    """Every phone has its two files, whole, and nothing else is there."""
    serials = [f"0004f2{number:06d}" for number in range(1000, 1000 + count)]
    names = [f"{serial}{end}" for serial in serials for end in ("-sipx-phone.cfg", ".cfg")]
    assert files_below(root) == sorted(names)
    for number, serial in enumerate(serials, 1000):
        text = (root / f"{serial}-sipx-phone.cfg").read_text()
        assert f'reg.1.address="{number}"' in text
        assert f'reg.1.displayName="First {serial}"' in text
        assert text.endswith(("</phone1>\n", "</polycomConfig>\n"))


def states(engine: sa.Engine) -> set[str]:
    return {job.state for job in ended(engine)}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "profiles"


@pytest.fixture
def start(database_url: str, tmp_path: Path, root: Path) -> Start:
    """Starts a worker on the test's database."""

    def run(**environment: str) -> AbstractContextManager[subprocess.Popen[bytes]]:
        known = {"SIPXCONFIG_DATABASE_URL": database_url, "SIPXCONFIG_PROFILE_ROOT": str(root)}
        return worker_process(tmp_path, known | environment)

    return run


def listeners(engine: sa.Engine) -> int:
    """How many connections of workers listen for jobs: two of each."""
    with engine.connect() as connection:
        return int(
            connection.exec_driver_sql(
                "SELECT count(*) FROM pg_locks JOIN pg_database d ON d.oid = database"
                " WHERE locktype = 'advisory' AND classid <> 0 AND datname = current_database()"
            ).scalar_one()
        )


def stop_at_work(process: subprocess.Popen[bytes], engine: sa.Engine) -> None:
    """Stop a worker, until it is told to go on, at a moment when it is in the middle of jobs.

    When it was too fast, all jobs wait once more.
    """

    def caught() -> bool:
        process.send_signal(signal.SIGSTOP)
        found = {job.state for job in all_jobs(engine)}
        if found == {"waiting", "running", "done"}:
            return True
        process.send_signal(signal.SIGCONT)
        if found == {"done"}:
            with engine.begin() as connection:
                connection.exec_driver_sql(
                    "UPDATE jobs SET state = 'waiting', attempts = 0, finished = NULL"
                )
                announce(connection)
        return False

    wait_for(caught, "the worker was never caught at work")


def kill_at_work(process: subprocess.Popen[bytes], engine: sa.Engine) -> None:
    """Kill a worker at such a moment."""
    stop_at_work(process, engine)
    process.kill()
    process.wait(LIMIT)


def test_several_workers_do_every_job_once(database: Database, start: Start, root: Path) -> None:
    with start(), start(), start():
        stock(database.engine)
        found = ended(database.engine)
    assert {(job.state, job.attempts, job.reason) for job in found} == {("done", 1, None)}
    assert len(found) == PHONES
    check_files(root)


def test_a_worker_that_is_killed_loses_nothing(
    database: Database, start: Start, root: Path
) -> None:
    stock(database.engine)
    with start() as first:
        kill_at_work(first, database.engine)
    assert "waiting" in {job.state for job in all_jobs(database.engine)}
    with start():
        found = ended(database.engine)
    assert {job.state for job in found} == {"done"}
    again = [job for job in found if job.attempts != 1]
    assert 0 < len(again) <= 25
    assert {job.attempts for job in again} == {2}
    check_files(root)


def test_a_worker_whose_lock_is_gone_does_little_twice(
    database: Database, start: Start, root: Path
) -> None:
    stock(database.engine)
    with start() as worker:
        stop_at_work(worker, database.engine)
        with database.engine.begin() as connection:
            connection.exec_driver_sql(
                "SELECT pg_terminate_backend(pid)"
                " FROM pg_locks JOIN pg_database d ON d.oid = database"
                " WHERE locktype = 'advisory' AND classid <> 0 AND datname = current_database()"
            )
        worker.send_signal(signal.SIGCONT)
        found = ended(database.engine)
    assert {job.state for job in found} == {"done"}
    # What it was at counts as lost; before it takes more, it notices.
    assert sum(job.attempts - 1 for job in found) <= 25
    check_files(root)


def test_a_worker_takes_over_from_one_that_is_killed_beside_it(
    database: Database, start: Start, root: Path
) -> None:
    stock(database.engine)
    with start() as first, start():
        kill_at_work(first, database.engine)
        assert states(database.engine) == {"done"}
    check_files(root)


def test_postgresql_restarts_in_the_middle(
    tmp_path: Path, root: Path, embedded_data: Callable[[Path], None]
) -> None:
    tmp_path.chmod(0o711)
    embedded_data(tmp_path / "own")
    with EmbeddedPostgres(tmp_path / "own") as postgres:
        engine = sa.create_engine(postgres.url(), pool_pre_ping=True)
        known = {
            "SIPXCONFIG_DATABASE_URL": postgres.url(),
            "SIPXCONFIG_PROFILE_ROOT": str(root),
        }
        with worker_process(tmp_path, known) as first, worker_process(tmp_path, known) as second:
            wait_for(lambda: listeners(engine) == 4)
            stock(engine)
            wait_for(lambda: "done" in {job.state for job in all_jobs(engine)})
            pid = int((tmp_path / "own/postgresql/postmaster.pid").read_text().split("\n")[0])
            # As pg_ctl stop -m immediate does.
            os.kill(pid, signal.SIGQUIT)
            wait_for(lambda: not psutil.pid_exists(pid))
            postgres.start()
            assert {job.state for job in ended(engine)} == {"done"}
            # It is awake again, not only finishing what was left.
            with engine.begin() as connection:
                queue_jobs(connection, PROFILES, sa.true())
            assert len(ended(engine)) == 2 * PHONES
            assert first.poll() is None
            assert second.poll() is None
        check_files(root)
        engine.dispose()


def test_a_full_disk(database: Database, start: Start, root: Path) -> None:
    stock(database.engine, 3)
    with start(SIPXCONFIG_JOB_RETRY_DELAYS="0.5 " * 60) as worker:
        ended(database.engine)
        before = (root / "0004f2001000-sipx-phone.cfg").read_bytes()
        # What is longer is cut off in the middle, as on a disk without room.
        resource.prlimit(worker.pid, resource.RLIMIT_FSIZE, (100, resource.RLIM_INFINITY))
        with database.engine.begin() as connection:
            connection.exec_driver_sql("UPDATE lines SET display_name = 'New'")
            queue_jobs(connection, PROFILES, sa.true())
        wait_for(lambda: all_jobs(database.engine)[3].reason is not None)
        job = all_jobs(database.engine)[3]
        assert job.state in ("waiting", "running")
        assert job.reason == f"{root}/0004f2001000.cfg: File too large"
        assert (root / "0004f2001000-sipx-phone.cfg").read_bytes() == before
        unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
        resource.prlimit(worker.pid, resource.RLIMIT_FSIZE, unlimited)
        assert states(database.engine) == {"done"}
        assert b'"New"' in (root / "0004f2001000-sipx-phone.cfg").read_bytes()
    assert len(files_below(root)) == 6


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_worker_ends_on_a_signal(database: Database, start: Start, how: signal.Signals) -> None:
    stock(database.engine, 1)
    with start() as worker:
        ended(database.engine)
        worker.send_signal(how)
        assert worker.wait(LIMIT) == 0


def test_a_worker_ends_with_its_input(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    stock(database.engine, 1)
    known = {"SIPXCONFIG_DATABASE_URL": database_url}
    with subprocess.Popen(
        [sys.executable, "-m", "sipxconfig_soap", "worker", "--while-input"],
        env=own_environment(tmp_path, known),
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        ended(database.engine)
        _, errors = process.communicate(b"", LIMIT)
    assert process.returncode == 0
    assert errors == b""


def test_a_worker_does_not_start_on_another_schema(
    tmp_path: Path, postgres: EmbeddedPostgres
) -> None:
    environment = own_environment(tmp_path, {"SIPXCONFIG_DATABASE_URL": postgres.url("postgres")})
    done = subprocess.run(
        [sys.executable, "-m", "sipxconfig_soap", "worker"],
        env=environment,
        check=False,
        capture_output=True,
        text=True,
        timeout=LIMIT,
    )
    assert done.returncode == 1
    assert "run sipxconfig-soap migrate" in done.stderr


# -- the worker of serve -------------------------------------------------------------------------


def workers_of(server: RunningServer) -> list[psutil.Process]:
    """The worker processes that a server has started."""
    children = psutil.Process(server.process.pid).children()
    return [child for child in children if "--while-input" in command(child)]


def command(process: psutil.Process) -> list[str]:
    try:
        return list(process.cmdline())
    except psutil.Error:
        return []


def worker_of(server: RunningServer) -> psutil.Process:
    (found,) = wait_for(lambda: workers_of(server))
    assert isinstance(found, psutil.Process)
    return found


@pytest.fixture
def system(soap: Soap, database: Database) -> System:
    system = System(soap, database)
    system.add_phone(MAC, "polycom331")
    return system


def test_the_server_has_a_worker_that_is_started_again(
    system: System, run_server: Callable[..., AbstractContextManager[RunningServer]], root: Path
) -> None:
    with run_server(worker=True, SIPXCONFIG_PROFILE_ROOT=str(root)) as server:
        first = worker_of(server)
        system.manage_phone(generateProfiles=True)
        assert states(system.database.engine) == {"done"}
        first.kill()
        wait_for(lambda: [each for each in workers_of(server) if each.pid != first.pid])
        system.manage_phone(generateProfiles=True)
        assert states(system.database.engine) == {"done"}
        second = worker_of(server)
        assert server.stop() == 0
        assert not second.is_running()
    assert sorted(files_below(root)) == sorted([f"{MAC}-sipx-phone.cfg", f"{MAC}.cfg"])


@pytest.mark.usefixtures("database")
def test_a_worker_that_cannot_be_started_is_started_later(
    database_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(worker_command, "RESTART_SECONDS", 0.1)
    python = sys.executable
    # As while the virtual environment is made anew.
    monkeypatch.setattr(sys, "executable", str(tmp_path / "nowhere"))
    environment = {"SIPXCONFIG_DATABASE_URL": database_url, "SIPXCONFIG_DATA_DIR": str(tmp_path)}
    for name, text in environment.items():
        monkeypatch.setenv(name, text)
    before = set(psutil.Process().children())
    with worker_command.beside({}):
        first, *_ = wait_for(lambda: events(caplog, "the worker cannot be started"))
        assert first["reason"] == "No such file or directory"
        monkeypatch.setattr(sys, "executable", python)
        (started,) = wait_for(lambda: set(psutil.Process().children()) - before)
        assert "worker" in wait_for(started.cmdline)
    assert not started.is_running()


def refuses(address: tuple[str, int]) -> bool:
    try:
        socket.create_connection(address, LIMIT).close()
    except ConnectionRefusedError:
        return True
    return False


@pytest.mark.usefixtures("database")
def test_clients_are_refused_though_a_worker_takes_its_time_to_end(
    run_server: Callable[..., AbstractContextManager[RunningServer]],
) -> None:
    with run_server(worker=True) as server:
        first = worker_of(server)
        # Another one is started when the server listens already.
        first.kill()
        wait_for(lambda: [each for each in workers_of(server) if each.pid != first.pid])
        second = worker_of(server)
        second.suspend()
        try:
            server.process.send_signal(signal.SIGTERM)
            wait_for(lambda: refuses(server.address))
            assert server.process.poll() is None
        finally:
            with suppress(psutil.NoSuchProcess):
                second.resume()
        assert server.process.wait(LIMIT) == 0


def test_the_worker_ends_when_its_server_is_killed(
    system: System, run_server: Callable[..., AbstractContextManager[RunningServer]], root: Path
) -> None:
    with run_server(worker=True, SIPXCONFIG_PROFILE_ROOT=str(root)) as server:
        worker = worker_of(server)
        system.manage_phone(generateProfiles=True)
        assert states(system.database.engine) == {"done"}
        server.process.kill()
        server.process.wait(LIMIT)
        worker.wait(LIMIT)
        assert not worker.is_running()


def test_options_of_serve_count_for_its_worker_too(
    system: System, database_url: str, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    known = {"SIPXCONFIG_DATABASE_URL": database_url}
    with serve(tmp_path, known, "--profile-root", str(elsewhere), "--domain", "pbx.example.net"):
        system.add_users("1")
        system.manage_phone(addLine={"userId": "1"}, generateProfiles=True)
        assert states(system.database.engine) == {"done"}
    assert "pbx.example.net" in (elsewhere / f"{MAC}-sipx-phone.cfg").read_text()


def test_a_server_without_a_worker(system: System, database_url: str, tmp_path: Path) -> None:
    known = {"SIPXCONFIG_DATABASE_URL": database_url}
    with serve(tmp_path, known, "--no-worker") as server:
        system.manage_phone(generateProfiles=True)
        assert workers_of(server) == []
        assert system.jobs() == [("profiles", MAC)]


def test_server_and_worker_share_the_embedded_database(
    tmp_path: Path, embedded_data: Callable[[Path], None]
) -> None:
    tmp_path.chmod(0o711)
    embedded_data(tmp_path / "data")
    with serve(tmp_path, {}) as server:
        worker_of(server)
        found = EmbeddedPostgres(tmp_path / "data")
        with found as postgres:
            engine = sa.create_engine(postgres.url())
            stock(engine, 2)
            assert states(engine) == {"done"}
            engine.dispose()
        assert server.stop() == 0
    check_files(tmp_path / "data" / "profiles", 2)
    assert not (tmp_path / "data" / "postgresql" / "postmaster.pid").exists()


def test_new_folders_hand_the_group_on_whatever_the_umask(
    database: Database, database_url: str, tmp_path: Path, root: Path
) -> None:
    with database.engine.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO phones (serial_number, model_id, profile_file)"
            " VALUES ('000b82aabbcc', 'gsPhoneGxp2020', 'gs_config/cfg000b82aabbcc.xml')"
        )
        queue_jobs(connection, PROFILES, sa.true())
    known = {"SIPXCONFIG_DATABASE_URL": database_url, "SIPXCONFIG_PROFILE_ROOT": str(root)}
    umask = os.umask(0o077)
    try:
        with worker_process(tmp_path, known):
            ended(database.engine)
    finally:
        os.umask(umask)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (root, *root.rglob("*"))}
    assert modes == {"profiles": 0o2750, "gs_config": 0o2750, "cfg000b82aabbcc.xml": 0o640}
