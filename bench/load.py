"""Load for a server: by wrk where it is installed, else by threads of our own.

oha is of no use here: what is added needs a new number each time.
"""

from __future__ import annotations

import base64
import itertools
import json
import shutil
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http.client import HTTPConnection
from typing import TYPE_CHECKING, NamedTuple

from bench.data import ADMINISTRATOR, PIN

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.workloads import Request

TIMEOUT = 300
"""Seconds that a server may be silent."""

_HEADERS = {
    "Authorization": "Basic " + base64.b64encode(f"{ADMINISTRATOR}:{PIN}".encode()).decode(),
    "Content-Type": "text/xml; charset=utf-8",
    "SOAPAction": '""',
}
_WRK_SCRIPT = """\
local before, after = %s, %s
local first, index, count, form = %d, %d, %d, "%%0%dd"
request = function()
  index = index + 1
  return before .. (after and string.format(form, first + (index - 1) %% count) .. after or "")
end
done = function(summary)
  local bad = summary.errors
  io.write(string.format('\\nOUTCOME {"answers": %%d, "seconds": %%f, "errors": %%d}\\n',
    summary.requests, summary.duration / 1e6,
    bad.connect + bad.read + bad.write + bad.timeout + bad.status))
end
"""


class Wrong(Exception):
    """An answer is an error, or not what it has to be; so no figure means anything."""


class Load(NamedTuple):
    """What came of a load, with the seconds until each answer began; wrk does not tell those."""

    answers: int
    seconds: float
    errors: int = 0
    first_bytes: Sequence[float] = ()

    @property
    def rate(self) -> float:
        """Answers per second."""
        return self.answers / self.seconds


def _ask(connection: HTTPConnection, request: Request, index: int) -> tuple[bytes, float]:
    """The answer, and the seconds until it began."""
    begin = time.perf_counter()
    path = f"/sipxconfig/services/{request.service}"
    connection.request("POST", path, request.content(index), _HEADERS)
    response = connection.getresponse()
    first = response.read(1)
    until = time.perf_counter() - begin
    content = first + response.read()
    if response.status != 200:
        raise Wrong(f"{response.status} answers {request.envelope}: {content[:1000]!r}")
    return content, until


def answer(host: str, request: Request, index: int) -> bytes:
    """The answer to one request."""
    with closing(HTTPConnection(host, timeout=TIMEOUT)) as connection:
        return _ask(connection, request, index)[0]


def by_threads(host: str, request: Request, connections: int, seconds: float, index: int) -> Load:
    """Keep so many connections busy for some seconds, each for one answer at least."""
    indexes = itertools.count(index)
    begin = time.perf_counter()

    def run(_number: int) -> list[float]:
        with closing(HTTPConnection(host, timeout=TIMEOUT)) as connection:
            found = [_ask(connection, request, next(indexes))[1]]
            while time.perf_counter() < begin + seconds:
                found.append(_ask(connection, request, next(indexes))[1])
        return found

    with ThreadPoolExecutor(connections) as threads:
        first_bytes = [each for found in threads.map(run, range(connections)) for each in found]
    return Load(len(first_bytes), time.perf_counter() - begin, first_bytes=first_bytes)


def press(host: str, request: Request, connections: int, seconds: int, index: int) -> Load:
    """The same by wrk, if it is there."""
    program = shutil.which("wrk")
    if program is None:
        return by_threads(host, request, connections, seconds, index)
    headers = _HEADERS | {"Host": host, "Content-Length": str(len(request.content(0)))}
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    text = f"POST /sipxconfig/services/{request.service} HTTP/1.1\r\n{head}\r\n{request.envelope}"
    before, numbered, after = text.partition("{n}")
    numbers = (request.first, index, request.count, request.digits)
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        end = _lua(after) if numbered else "nil"
        script.write(_WRK_SCRIPT % (_lua(before), end, *numbers))
        script.flush()
        length = ["-t1", f"-c{connections}", f"-d{seconds}s", "--timeout=60s"]
        command = [program, *length, "-s", script.name, f"http://{host}/"]
        done = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603
    load = Load(**json.loads(done.stdout.rpartition("OUTCOME ")[2]))
    if load.errors or not load.answers:
        raise Wrong(f"{load.errors} of {load.answers} answers are errors: {request.envelope}")
    return load


def _lua(text: str) -> str:
    return '"' + "".join(f"\\{byte:03}" for byte in text.encode()) + '"'
