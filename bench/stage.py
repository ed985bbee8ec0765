"""The stage: an embedded PostgreSQL with databases of several sizes, and applications on them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING, NamedTuple

from bench import data, load
from bench.workloads import BY_NAME

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sipxconfig_soap.embedded import EmbeddedPostgres

SERVER = ("-m", "sipxconfig_soap", "serve", "--no-worker")
FLOOR = ("-m", "bench", "--floor")

_ROOT = Path(__file__).parents[1]
_ADDRESS = re.compile(r"Services: http://([^/\s]+)/")


class Side(NamedTuple):
    """What is started to be measured: its command, and its database."""

    command: tuple[str, ...]
    url: str


class Application(NamedTuple):
    """A running side: its first process, where it listens, and its database."""

    pid: int
    host: str
    url: str

    def workers(self) -> list[int]:
        """The processes that answer requests."""
        tasks = Path(f"/proc/{self.pid}/task").glob("*/children")
        return [int(each) for task in tasks for each in task.read_text().split()]


class Stage:
    """What the workloads run on; the directory is for data and logs."""

    def __init__(self, directory: Path, postgres: EmbeddedPostgres) -> None:
        self._directory = directory
        self._postgres = postgres
        self._made: set[int] = set()

    def database(self, users: int) -> str:
        """The URL of a database with so many users, which is made when it is first asked for."""
        url = self._postgres.url(f"users_{users}")
        if users not in self._made:
            self._made.add(users)
            data.execute(self._postgres.url("postgres"), f"CREATE DATABASE users_{users}")
            data.load(url, users)
        return url

    @contextmanager
    def running(self, sides: Mapping[str, Side]) -> Iterator[dict[str, Application]]:
        """Run these at once, and warm them up."""
        with ExitStack() as stack:
            found = {name: stack.enter_context(self._running(side)) for name, side in sides.items()}
            for each in found.values():
                load.by_threads(each.host, BY_NAME, connections=16, seconds=1, index=0)
            yield found

    @contextmanager
    def _running(self, side: Side) -> Iterator[Application]:
        environment = {
            **{name: text for name, text in os.environ.items() if not name.startswith("SIPX")},
            "SIPXCONFIG_DATABASE_URL": side.url,
            "SIPXCONFIG_BIND": "127.0.0.1:0",
            "SIPXCONFIG_DATA_DIR": str(self._directory),
        }
        with (
            NamedTemporaryFile("w+", dir=self._directory) as log,
            subprocess.Popen(  # noqa: S603 - our own list of arguments
                [sys.executable, *side.command],
                cwd=_ROOT,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            ) as process,
        ):
            try:
                found = next(filter(None, map(_ADDRESS.match, process.stdout or ())), None)
                if found is None:
                    raise RuntimeError(f"{side} did not start:\n{Path(log.name).read_text()}")
                yield Application(process.pid, found[1], side.url)
            finally:
                process.terminate()


def resident(pid: int, what: str = "VmRSS") -> float:
    """Resident memory of a process in MiB, or with ``VmHWM`` the most since `forget_peak`."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition(f"{what}:")[2].split()[0]) / 1024


def forget_peak(pid: int) -> None:
    """Let the peak begin anew at what is resident now."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")
