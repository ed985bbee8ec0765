"""The sides, server and floor: they are started, asked, pressed, and their memory is looked at.

Small reads are pressed by wrk where it is installed. Else, and for changes and long lists, threads
of our own make the load, which wait for all answers. oha is of no use: it numbers no requests.
"""

from __future__ import annotations

import base64
import itertools
import os
import re
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from tempfile import NamedTemporaryFile, TemporaryDirectory
from typing import TYPE_CHECKING, NamedTuple

import click
import psutil

from bench.workloads import ADMINISTRATOR, BY_NAME, PIN

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bench.workloads import Request

SERVER = ("-m", "sipxconfig_soap", "serve", "--no-worker")
FLOOR = ("-m", "bench.floor")

_ROOT = Path(__file__).parents[1]
_ADDRESS = re.compile(r"Services: http://([^/\s]+)/")
_HEADERS = {
    "Authorization": "Basic " + base64.b64encode(f"{ADMINISTRATOR}:{PIN}".encode()).decode(),
    "Content-Type": "text/xml; charset=utf-8",
    "SOAPAction": '""',
}
_WRK_SCRIPT = """\
local form, first, index, count = "%s", %d, %d, %d
request = function()
  index = index + 1
  return string.format(form, first + (index - 1) %% count)
end
"""


class Wrong(click.ClickException):
    """An answer is an error, or not what it has to be; so no figure means anything."""


class Answer(NamedTuple):
    """An answer, and the seconds until it began and until it was there."""

    content: bytes
    begun: float
    seconds: float


class Side(NamedTuple):
    """A side that runs: its first process, where it listens, and its database."""

    pid: int
    host: str
    url: str

    def answer(self, request: Request, index: int = 0) -> Answer:
        """The answer to one request."""
        with closing(self._connection()) as connection:
            return _ask(connection, request, index)

    def press(self, request: Request, connections: int, seconds: int, index: int) -> float:
        """Keep so many connections busy, by wrk if it is there; the answers per second."""
        program = shutil.which("wrk")
        if program is None:
            return self.press_by_threads(request, connections, seconds, index)
        headers = _HEADERS | {"Host": self.host, "Content-Length": str(len(request.content(0)))}
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        path = f"/sipxconfig/services/{request.service}"
        text = f"POST {path} HTTP/1.1\r\n{head}\r\n{request.envelope}"
        form = text.replace("%", "%%").replace("{n}", "%.0f").encode()
        quoted = "".join(f"\\{byte:03}" for byte in form)
        with NamedTemporaryFile("w", suffix=".lua") as script:
            script.write(_WRK_SCRIPT % (quoted, request.first, index, request.count))
            script.flush()
            length = ["-t1", f"-c{connections}", f"-d{seconds}s", "--timeout=60s"]
            command = [program, *length, "-s", script.name, f"http://{self.host}/"]
            done = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603
        rate = float(done.stdout.partition("Requests/sec:")[2].split()[0])
        if "Socket errors" in done.stdout or "Non-2xx" in done.stdout or not rate:
            raise Wrong(f"{done.stdout}Errors, or no answer in {seconds} s: {request.envelope}")
        return rate

    def press_by_threads(
        self, request: Request, connections: int, seconds: int, index: int
    ) -> float:
        """The same by threads, with one answer for each connection at least."""
        indexes = itertools.count(index)
        begin = time.perf_counter()

        def run(_number: int) -> int:
            answers = 0
            with closing(self._connection()) as connection:
                while not answers or time.perf_counter() < begin + seconds:
                    _ask(connection, request, next(indexes))
                    answers += 1
            return answers

        with ThreadPoolExecutor(connections) as threads:
            answers = sum(threads.map(run, range(connections)))
        return answers / (time.perf_counter() - begin)

    def _connection(self) -> HTTPConnection:
        return HTTPConnection(self.host, timeout=300)  # Long calls are silent for long.

    def forget_peaks(self) -> None:
        """Let `peaks` begin anew at what is resident now."""
        for pid in self._workers():
            Path(f"/proc/{pid}/clear_refs").write_text("5")

    def peaks(self) -> list[float]:
        """The most that each worker process had resident, in MiB."""
        texts = [Path(f"/proc/{pid}/status").read_text() for pid in self._workers()]
        return [int(each.partition("VmHWM:")[2].split()[0]) / 1024 for each in texts]

    def _workers(self) -> list[int]:
        return sorted(each.pid for each in psutil.Process(self.pid).children())


def _ask(connection: HTTPConnection, request: Request, index: int) -> Answer:
    begin = time.perf_counter()
    path = f"/sipxconfig/services/{request.service}"
    connection.request("POST", path, request.content(index), _HEADERS)
    response = connection.getresponse()
    first = response.read(1)
    begun = time.perf_counter() - begin
    content = first + response.read()
    if response.status != 200:
        raise Wrong(f"{response.status} answers {request.envelope}: {content[:1000]!r}")
    return Answer(content, begun, time.perf_counter() - begin)


@contextmanager
def started(command: Sequence[str], url: str) -> Iterator[Side]:
    """Run a side on this database, and warm it up."""
    with TemporaryDirectory(prefix="bench-") as directory, Path(directory, "log").open("w") as log:
        environment = {
            **{name: text for name, text in os.environ.items() if not name.startswith("SIPX")},
            "SIPXCONFIG_DATABASE_URL": url,
            "SIPXCONFIG_BIND": "127.0.0.1:0",
            "SIPXCONFIG_DATA_DIR": directory,
        }
        with subprocess.Popen(  # noqa: S603 - our own list of arguments
            [sys.executable, *command],
            cwd=_ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        ) as process:
            try:
                found = next(filter(None, map(_ADDRESS.match, process.stdout or ())), None)
                if found is None:
                    raise RuntimeError(f"{command} did not start:\n{Path(log.name).read_text()}")
                side = Side(process.pid, found[1], url)
                side.press_by_threads(BY_NAME, connections=32, seconds=1, index=0)
                yield side
            finally:
                process.terminate()
