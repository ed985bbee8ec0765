"""Profiles of many phones: how long workers take for them, and on how many cores.

The phones are those of `bench.data`: two lines each, two files each.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psycopg2

from bench import usage
from bench.data import dsn_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

PHONES = 1_000
PATIENCE_SECONDS = 300
LOOK_SECONDS = 0.01

_QUEUE = """
    INSERT INTO jobs (kind, phone_id, serial, target, state)
    SELECT 'profiles', id, serial_number, profile_file, 'waiting'
    FROM phones ORDER BY id LIMIT %(phones)s
"""
_LISTENING = """
    SELECT count(*) FROM pg_locks JOIN pg_database d ON d.oid = database
    WHERE locktype = 'advisory' AND d.datname = current_database() AND classid <> 0
"""
_UNDONE = "SELECT count(*) FROM jobs WHERE state IN ('waiting', 'running')"
_FAILED = "SELECT count(*) FROM jobs WHERE state <> 'done'"


@dataclass(frozen=True, slots=True)
class ProfilesResult:
    """The time from queueing profiles until all of them are written.

    Attributes:
        phones: how many.
        workers: processes that shared them.
        seconds: until the last one was written.
        worker_cpu: processor seconds of all workers together.
        postgres_cpu: processor seconds of PostgreSQL.
    """

    phones: int
    workers: int
    seconds: float
    worker_cpu: float
    postgres_cpu: float

    @property
    def rate_per_core(self) -> float:
        """Phones per second on one core, if that one did all the work, PostgreSQL's too."""
        return self.phones / (self.worker_cpu + self.postgres_cpu)


def measure_profiles(
    directory: Path, url: str, postgres_pid: int, *, workers: int = 1, phones: int = PHONES
) -> ProfilesResult:
    """Let workers write profiles, with nothing else going on.

    Args:
        directory: for the files; should be on a disk, since every file is flushed to it.
        url: of a database with the phones of `bench.data`.
        postgres_pid: of its first process.
        workers: how many processes share the work.
        phones: of how many phones.

    Raises:
        RuntimeError: a profile was not written.
    """
    connection: Any = psycopg2.connect(dsn_of(url))
    connection.autocommit = True
    with ExitStack() as stack:
        stack.callback(connection.close)
        pids = [stack.enter_context(_worker(directory, url)) for _ in range(workers)]
        with connection.cursor() as cursor:
            cursor.execute("TRUNCATE jobs")
            _until(cursor, _LISTENING, lambda count: count >= 2 * workers)
            before = sum(map(usage.cpu_seconds, pids)), usage.cpu_seconds(postgres_pid)
            begun = time.monotonic()
            cursor.execute(_QUEUE, {"phones": phones})
            cursor.execute("NOTIFY sipxconfig_jobs")
            _until(cursor, _UNDONE, lambda count: count == 0)
            seconds = time.monotonic() - begun
            after = sum(map(usage.cpu_seconds, pids)), usage.cpu_seconds(postgres_pid)
            cursor.execute(_FAILED)
            failed = cursor.fetchone()[0]
            cursor.execute("TRUNCATE jobs")
    if failed:
        raise RuntimeError(f"{failed} profiles were not written")
    worker_cpu, postgres_cpu = (late - early for early, late in zip(before, after, strict=True))
    return ProfilesResult(phones, workers, seconds, worker_cpu, postgres_cpu)


@contextmanager
def _worker(directory: Path, url: str) -> Iterator[int]:
    """Run a worker until the context ends; its process id."""
    environment = {
        **{key: value for key, value in os.environ.items() if not key.startswith("SIPX")},
        "SIPXCONFIG_DATABASE_URL": url,
        "SIPXCONFIG_DATA_DIR": str(directory / "worker"),
        "SIPXCONFIG_PROFILE_ROOT": str(directory / "profiles"),
    }
    with subprocess.Popen(
        [sys.executable, "-m", "sipxconfig_soap", "worker"],
        env=environment,
        stdin=subprocess.DEVNULL,
    ) as process:
        try:
            yield process.pid
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait()


def _until(cursor: Any, query: str, enough: Callable[[int], bool]) -> None:
    """Ask for a number again and again until it is enough."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        cursor.execute(query)
        if enough(cursor.fetchone()[0]):
            return
        if time.monotonic() > deadline:
            raise RuntimeError("The workers do not come to an end.")
        time.sleep(LOOK_SECONDS)
