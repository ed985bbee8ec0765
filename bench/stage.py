"""The stage: an embedded PostgreSQL of its own, and server and floor side by side on it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench import load, usage
from bench.data import Store
from bench.request import PIN
from bench.workloads import BY_NAME
from sipxconfig_soap.embedded import EmbeddedPostgres

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

START_SECONDS = 60
STOP_SECONDS = 40

WARM_CONNECTIONS = 16
WARM_SECONDS = 0.5

SERVER, FLOOR = "server", "floor"
SIDES = (SERVER, FLOOR)

_COMMANDS = {
    # Jobs are not what is measured.
    SERVER: ("-m", "sipxconfig_soap", "serve", "--no-worker"),
    FLOOR: ("-m", "bench.floor"),
}
_ADDRESS = re.compile(r"Services: http://(\S+?)/")


@dataclass(frozen=True, slots=True)
class Application:
    """A running server or floor.

    Attributes:
        pid: of the process that the workers are children of.
        host: where it listens, with the port.
    """

    pid: int
    host: str

    def workers(self) -> list[int]:
        """The processes that answer requests."""
        return usage.tree(self.pid)[1:]


class Stage:
    """What the workloads run on; made by `opened`.

    Attributes:
        directory: where its files are.
        url: of the database.
        store: the data.
        postgres_pid: of the database server's first process.
    """

    def __init__(self, directory: Path, store: Store, url: str) -> None:
        self.directory = directory
        self.url = url
        self.store = store
        status = directory / "data" / "postgresql" / "postmaster.pid"
        self.postgres_pid = int(status.read_text().splitlines()[0])
        self._kept: dict[str, Application] = {}
        self._stack = ExitStack()

    @contextmanager
    def applications(self, *, fresh: bool) -> Iterator[dict[str, Application]]:
        """Run both sides, warmed up.

        Args:
            fresh: whether they are started for this context and end with it; else they are started
                once and serve until `close`.
        """
        if fresh:
            with ExitStack() as stack:
                yield self._started(stack)
            return
        if not self._kept:
            self._kept = self._started(self._stack)
        yield self._kept

    def close(self) -> None:
        """End what still runs."""
        self._stack.close()

    def _started(self, stack: ExitStack) -> dict[str, Application]:
        found = {side: stack.enter_context(self._application(side)) for side in SIDES}
        for each in found.values():
            load.press_by_client(each.host, (BY_NAME,), WARM_CONNECTIONS, WARM_SECONDS)
        return found

    @contextmanager
    def _application(self, side: str) -> Iterator[Application]:
        environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith("SIPX")},
            "SIPXCONFIG_DATABASE_URL": self.url,
            "SIPXCONFIG_BIND": "127.0.0.1:0",
            "SIPXCONFIG_DATA_DIR": str(self.directory / side),
            "SIPXCONFIG_ADMIN_PIN": PIN,
        }
        output = self.directory / f"{side}.log"
        with output.open("w") as log:
            process = subprocess.Popen(  # noqa: S603 - our own list of arguments
                [sys.executable, *_COMMANDS[side]],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        try:
            yield Application(process.pid, _address(process, output))
        finally:
            _stop(process)


def _address(process: subprocess.Popen[bytes], output: Path) -> str:
    """Wait until an application says where it listens."""
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        if found := _ADDRESS.search(output.read_text()):
            return found.group(1)
        time.sleep(0.05)
    raise RuntimeError(f"An application did not start:\n{output.read_text()[-2000:]}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End a process and all that it started."""
    family = usage.tree(process.pid)
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        for pid in family:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait()


@contextmanager
def opened(directory: Path) -> Iterator[Stage]:
    """Start the database in a directory, and stop it when the context ends."""
    directory.chmod(0o711)
    with EmbeddedPostgres(directory / "data") as postgres:
        store = Store(postgres.url())
        stage = Stage(directory, store, postgres.url())
        try:
            yield stage
        finally:
            stage.close()
            store.close()
