"""The embedded PostgreSQL where something is in its way: users, disks, being killed for ever."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from sipxconfig_soap.embedded import EmbeddedError, EmbeddedPostgres, entry, keep_running, keeper
from sipxconfig_soap.embedded.account import account_for
from sipxconfig_soap.embedded.programs import find_programs
from tests.support.isolated import STRANGER, by_stranger, mounted, needs_mounts, needs_root
from tests.support.logs import events
from tests.support.worker import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

START = """
import sys
from pathlib import Path
from sipxconfig_soap import logs
from sipxconfig_soap.embedded import EmbeddedError, EmbeddedPostgres
logs.setup("error")
try:
    with EmbeddedPostgres(Path(sys.argv[1]), durable=False):
        print("it runs")
except EmbeddedError as error:
    print(error)
"""


@pytest.fixture
def directory() -> Iterator[Path]:
    """A directory with a short path that all users may pass."""
    made = Path(tempfile.mkdtemp(prefix="sx-"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


def start(data_dir: Path, *before: str) -> str:
    """What comes of a start by a process of its own."""
    command = [*before, sys.executable, "-c", START, str(data_dir)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd="/")
    assert done.stderr == ""
    return done.stdout.strip()


# -- users ---------------------------------------------------------------------------------------


def hand_over(data_dir: Path, owner: int, group: int, mode: int) -> None:
    data_dir.mkdir()
    os.chown(data_dir, owner, group)
    data_dir.chmod(mode)


@needs_root
def test_a_user_without_an_entry_in_passwd(directory: Path) -> None:
    hand_over(directory / "data", STRANGER, STRANGER, 0o700)
    assert start(directory / "data", *by_stranger()) == "it runs"
    # What it was told of itself is not left behind.
    assert {path.name for path in (directory / "data").iterdir()} == {
        *("postgresql", "postgresql.lock", "postgresql.users")
    }


def library_is_there() -> bool:
    command = ["env", "LD_PRELOAD=libnss_wrapper.so", "true"]
    return not subprocess.run(command, check=False, capture_output=True).stderr


def may_have_namespaces() -> bool:
    command = [*by_stranger(), *entry.by_namespace(), "true"]
    return os.geteuid() == 0 and subprocess.run(command, check=False).returncode == 0


@contextmanager
def not_to_be_had(*_: object) -> Iterator[list[str]]:
    yield []


@needs_root
@pytest.mark.parametrize("way", ["library", "namespace", "none"])
def test_the_ways_to_an_entry(directory: Path, monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    if way == "library" and not library_is_there():
        pytest.skip("nss_wrapper is not here (Debian: libnss-wrapper)")
    if way == "namespace" and not may_have_namespaces():
        pytest.skip("this system allows no namespaces of users")
    if way != "library":
        monkeypatch.setattr(entry, "by_library", not_to_be_had)
    if way != "namespace":
        monkeypatch.setattr(entry, "by_namespace", list)
    data_dir = directory / "data"
    hand_over(data_dir, STRANGER, STRANGER, 0o700)
    if way == "none":
        with pytest.raises(EmbeddedError) as caught:
            EmbeddedPostgres(data_dir, durable=False).start()
        for way_out in (f"ID {STRANGER}", "libnss-wrapper", "SIPXCONFIG_DATABASE_URL"):
            assert way_out in str(caught.value)
        return
    with EmbeddedPostgres(data_dir, durable=False):
        assert (data_dir / "postgresql").stat().st_uid == STRANGER


def test_a_namespace_that_is_forbidden_is_named_too(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def saying(words: str) -> list[str]:
        return ["sh", "-c", f"echo '{words}'; exit 1"]

    @contextmanager
    def without_library(*_: object) -> Iterator[list[str]]:
        yield saying(f"initdb: {entry.MISSING} 1: user does not exist")

    forbidden = saying("unshare: unshare failed: Operation not permitted")
    monkeypatch.setattr(entry, "has_entry", lambda _account: False)
    monkeypatch.setattr(entry, "by_library", without_library)
    monkeypatch.setattr(entry, "by_namespace", lambda: forbidden)
    with pytest.raises(EmbeddedError, match="Operation not permitted") as caught:
        EmbeddedPostgres(directory / "data", durable=False).start()
    assert entry.WAYS_OUT in str(caught.value)


@pytest.mark.parametrize("name", ["postgresql.lock", "postgresql.users"])
def test_no_link_in_the_data_directory_is_followed(directory: Path, name: str) -> None:
    victim = directory / "victim"
    victim.write_text("x")
    before = victim.stat()
    data_dir = directory / "data"
    data_dir.mkdir()
    if os.geteuid() == 0:
        os.chown(data_dir, STRANGER, STRANGER)
    (data_dir / name).symlink_to(victim)
    with pytest.raises(EmbeddedError, match="cannot be used: Too many levels of symbolic links"):
        EmbeddedPostgres(data_dir, durable=False).start()
    assert victim.stat() == before


def all_may_reach(path: Path) -> bool:
    return all(each.stat().st_mode & stat.S_IXOTH for each in path.parents)


@needs_root
@pytest.mark.skipif(
    not all_may_reach(find_programs(Path("no data yet")) / "initdb"),
    reason="PostgreSQL's programs lie where another user cannot run them",
)
def test_a_directory_of_root_whose_group_may_write(directory: Path) -> None:
    hand_over(directory / "data", 0, 0, 0o770)
    assert "belongs to root: run this as that user" in start(directory / "data", *by_stranger())
    for _ in range(2):
        assert start(directory / "data", *by_stranger(group=0)) == "it runs"
    (directory / "data").chmod(0o750)
    assert "Permission denied" not in start(directory / "data", *by_stranger(group=0))


def test_the_group_counts_for_directories_of_root_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = list(os.stat_result(tmp_path.stat()))

    def owned(mode: int, uid: int, gid: int) -> None:
        values = [stat.S_IFDIR | mode, *found[1:4], uid, gid, *found[6:]]
        monkeypatch.setattr(Path, "stat", lambda _: os.stat_result(values))

    monkeypatch.setattr(os, "geteuid", lambda: STRANGER)
    monkeypatch.setattr(os, "getegid", lambda: 7)
    monkeypatch.setattr(os, "getgroups", lambda: [8])
    for gid in (7, 8):
        owned(0o770, 0, gid)
        assert account_for(tmp_path) is None
    for mode, uid, gid in ((0o750, 0, 7), (0o777, 0, 9), (0o770, 1, 7)):
        owned(mode, uid, gid)
        with pytest.raises(EmbeddedError, match="belongs to"):
            account_for(tmp_path)


# -- disks ---------------------------------------------------------------------------------------


@needs_mounts
def test_a_disk_that_is_too_small_for_the_data(directory: Path) -> None:
    said = start(directory / "data", *mounted(f"-t tmpfs -o size=20m,mode=755 tmpfs {directory}"))
    assert "The embedded PostgreSQL could not create its data: " in said
    assert "No space left on device" in said


@needs_mounts
@pytest.mark.parametrize("full", ["data", "memory"])
def test_a_disk_that_is_full_or_shared_memory_that_is_small(directory: Path, full: str) -> None:
    data_dir = directory / "data"
    assert start(data_dir) == "it runs"
    if full == "memory":
        before = mounted("-t tmpfs -o size=4k,mode=1777 tmpfs /dev/shm")
    else:
        # The data as they are, on a disk that has no room for anything else.
        aside = directory.with_name(f"{directory.name}-aside")
        copied = f"cp -a {data_dir} {aside}/ && mount --bind {aside}/data {data_dir}"
        filled = f"dd if=/dev/zero of={aside}/filled bs=4k 2>/dev/null; true"
        aside.mkdir()
        before = mounted(f"-t tmpfs -o size=120m,mode=755 tmpfs {aside}")
        before = [*before, "sh", "-c", f'{copied} && {filled}; exec "$@"', "sh"]
    try:
        said = start(data_dir, *before)
    finally:
        if full == "data":
            aside.rmdir()
    assert "The embedded PostgreSQL could not start: " in said
    assert "No space left on device" in said
    assert f"Its own log is {data_dir}/postgresql/server.log." in said


# -- killed --------------------------------------------------------------------------------------


def server_pid(data_dir: Path) -> int:
    return int((data_dir / "postgresql" / "postmaster.pid").read_text().split()[0])


def starts(caplog: pytest.LogCaptureFixture) -> list[str]:
    """The reasons of the starts so far."""
    return [
        each["reason"]
        for each in events(caplog, "PostgreSQL had ended and was started again")
        if each["logger"] == keeper.__name__
    ]


def test_it_is_told_why_the_server_had_ended(
    directory: Path,
    embedded_data: Callable[[Path], None],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(keeper, "LOOK_SECONDS", 0.1)
    data_dir = directory / "data"
    embedded_data(data_dir)
    with EmbeddedPostgres(data_dir, durable=False) as server, keep_running(server):
        for how in (signal.SIGKILL, signal.SIGINT):
            before = len(starts(caplog))
            os.kill(server_pid(data_dir), how)
            wait_for(lambda: len(starts(caplog)) > before)  # noqa: B023 - used at once
    assert starts(caplog) == [keeper.UNKNOWN, "received fast shutdown request"]


def test_the_pause_grows_though_the_server_lives_for_a_while_each_time(
    directory: Path,
    embedded_data: Callable[[Path], None],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(keeper, "LOOK_SECONDS", 0.2)
    data_dir = directory / "data"
    embedded_data(data_dir)
    pauses = []
    with EmbeddedPostgres(data_dir, durable=False) as server, keep_running(server):
        for number in range(1, 5):
            time.sleep(0.5)  # looked at, and found alive
            os.kill(server_pid(data_dir), signal.SIGKILL)
            killed = time.monotonic()
            wait_for(lambda: len(starts(caplog)) == number)  # noqa: B023 - used at once
            pauses.append(time.monotonic() - killed)
    # Without a pause, and then after 0.2, 0.4 and 0.8 seconds at least.
    assert pauses[2] >= 0.4
    assert pauses[3] >= 0.8
