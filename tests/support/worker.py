"""Workers under test, the phone system that they work for, and a peer that speaks SIP."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import sqlalchemy as sa

from sipxconfig_soap.db import Database
from sipxconfig_soap.domain.jobs import jobs
from sipxconfig_soap.jobs.worker import Worker
from tests.support.sip import answer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from sipxconfig_soap.settings import Settings

LIMIT = 60.0
"""Seconds after which a test gives up waiting."""


class Job(NamedTuple):
    """What a test looks at of a job."""

    kind: str
    serial: str
    state: str
    reason: str | None
    attempts: int


def wait_for(condition: Callable[[], Any], what: str = "") -> Any:
    """Wait until a condition holds; returns what it returned."""
    deadline = time.monotonic() + LIMIT
    while not (found := condition()):
        assert time.monotonic() < deadline, what or "it never happened"
        time.sleep(0.02)
    return found


def all_jobs(engine: sa.Engine) -> list[Job]:
    """All jobs, oldest first."""
    columns = (jobs.c.kind, jobs.c.serial, jobs.c.state, jobs.c.reason, jobs.c.attempts)
    with engine.connect() as connection:
        return [Job(*row) for row in connection.execute(sa.select(*columns).order_by(jobs.c.id))]


def ended(engine: sa.Engine) -> list[Job]:
    """All jobs, once all of them have ended."""

    def look() -> list[Job]:
        found = all_jobs(engine)
        return [] if any(job.state in ("waiting", "running") for job in found) else found

    return list(wait_for(look, "a job did not end"))


def files_below(root: Path) -> list[str]:
    """The paths of all files below a directory, hidden ones too."""
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if not path.is_dir())


@contextmanager
def working(url: str, settings: Settings) -> Iterator[None]:
    """Run a worker in threads of this process."""
    database = Database(url, pool_size=4)
    try:
        with Worker(database, settings):
            yield
    finally:
        database.dispose()


def own_environment(directory: Path, environment: Mapping[str, str]) -> dict[str, str]:
    """An environment for commands, with no settings but these."""
    base = {name: value for name, value in os.environ.items() if not name.startswith("SIPXCONFIG_")}
    return base | {"SIPXCONFIG_DATA_DIR": str(directory / "data"), **environment}


@contextmanager
def worker_process(
    directory: Path, environment: Mapping[str, str], **more: Any
) -> Iterator[subprocess.Popen[bytes]]:
    """Run ``sipxconfig-soap worker`` until the context ends."""
    with subprocess.Popen(
        [sys.executable, "-m", "sipxconfig_soap", "worker"],
        env=own_environment(directory, environment),
        stdin=subprocess.DEVNULL,
        **more,
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                process.wait(LIMIT)


class SipPeer:
    """Answers every NOTIFY with one code; keeps what it heard and when."""

    def __init__(self, code: int | None = 200, port: int = 0) -> None:
        self.code = code
        self.heard: list[bytes] = []
        self.times: list[float] = []
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", port))
        self._thread = threading.Thread(target=self._listen)

    @property
    def address(self) -> str:
        """``host:port``."""
        return f"127.0.0.1:{self._socket.getsockname()[1]}"

    def _listen(self) -> None:
        while True:
            data, sender = self._socket.recvfrom(65535)
            if data == b"end":
                return
            self.heard.append(data)
            self.times.append(time.monotonic())
            if self.code is not None:
                self._socket.sendto(answer(data, self.code, "Noted"), sender)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            other.sendto(b"end", self._socket.getsockname())
        self._thread.join()
        self._socket.close()


def closed_port() -> str:
    """An address of this machine on which nobody listens."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as unused:
        unused.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{unused.getsockname()[1]}"
