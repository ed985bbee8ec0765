"""A real server in a process of its own, started as an administrator would start it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import psutil

from tests.support.client import PIN

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

START_SECONDS = 60
"""How long a server may take to start before the test gives up."""

_PROGRAM = "import runpy; runpy.run_module('sipxconfig_soap', run_name='__main__')"

_SERVICES = re.compile(r"Services: (\S+)/sipxconfig/services/")


@dataclass
class RunningServer:
    """A server that takes requests.

    Attributes:
        process: the command ``sipxconfig-soap serve``.
        url: its base URL, without a slash at the end.
        output: the lines it has printed so far, log lines included.
    """

    process: subprocess.Popen[str]
    url: str = ""
    output: list[str] = field(default_factory=list)

    @property
    def address(self) -> tuple[str, int]:
        """Host and port, for tests that speak HTTP themselves."""
        parts = urlsplit(self.url)
        return str(parts.hostname), int(parts.port or 0)

    def service(self, name: str) -> str:
        """The URL of a service."""
        return f"{self.url}/sipxconfig/services/{name}"

    def children(self, command: str) -> set[psutil.Process]:
        """Its processes that live: those for "serve", which answer, or the one for "worker"."""
        found = set()
        for child in psutil.Process(self.process.pid).children():
            with suppress(psutil.Error):  # it has ended just now
                if command in child.cmdline():
                    found.add(child)
        return found

    def stop(self) -> int:
        """End the server as a service manager does; returns its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(START_SECONDS)


@contextmanager
def serve(
    directory: Path, environment: Mapping[str, str], *options: str, before: str = "pass"
) -> Iterator[RunningServer]:
    """Run ``sipxconfig-soap serve`` on a free port until the context ends.

    Args:
        directory: for its data.
        environment: settings that differ from the usual ones.
        options: of the command.
        before: a statement that the process carries out first.
    """
    base = {name: value for name, value in os.environ.items() if not name.startswith("SIPXCONFIG_")}
    defaults = {
        "SIPXCONFIG_BIND": "127.0.0.1:0",
        "SIPXCONFIG_DATA_DIR": str(directory / "data"),
        "SIPXCONFIG_ADMIN_PIN": PIN,
        "SIPXCONFIG_WORKERS": "2",
    }
    process = subprocess.Popen(
        [sys.executable, "-c", f"{before}\n{_PROGRAM}", "serve", *options],
        env=base | defaults | dict(environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
    )
    server = RunningServer(process)
    ready = threading.Event()
    reader = threading.Thread(target=_read, args=(server, ready), daemon=True)
    reader.start()
    try:
        ready.wait(START_SECONDS)
        assert server.url, "the server did not start:\n" + "".join(server.output)
        yield server
    finally:
        server.stop()
        reader.join(START_SECONDS)
        assert process.stdout is not None
        process.stdout.close()


def _read(server: RunningServer, ready: threading.Event) -> None:
    """Keep what the server prints, and find out where it listens."""
    assert server.process.stdout is not None
    for line in server.process.stdout:
        server.output.append(line)
        if found := _SERVICES.search(line):
            server.url = found.group(1)
            ready.set()
    ready.set()
