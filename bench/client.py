"""A client of HTTP over raw sockets, and a load of many of them in processes of their own.

``python -m bench.client`` reads a job from standard input, as JSON, and prints what came of it.
"""

from __future__ import annotations

import json
import socket
import sys
import threading
import time
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Self

from bench.request import SPARE, Request

if TYPE_CHECKING:
    from collections.abc import Sequence

TIMEOUT = 120
"""Seconds that a server may be silent."""


class BadAnswer(Exception):
    """The server answered with something else than 200, or not as HTTP has it."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer and how long it took.

    Attributes:
        status: of HTTP.
        content_type: the header.
        body: empty when only its length was asked for.
        length: bytes of the body.
        first_byte: seconds until the answer began.
        seconds: until it was there.
    """

    status: int
    content_type: str
    body: bytes
    length: int
    first_byte: float
    seconds: float


class Connection:
    """A connection that is kept open from request to request; a context manager."""

    def __init__(self, host: str) -> None:
        name, _, port = host.rpartition(":")
        self._socket = socket.create_connection((name, int(port)), TIMEOUT)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._reader = self._socket.makefile("rb", 256 * 1024)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._reader.close()
        self._socket.close()

    def exchange(self, request: bytes, *, keep: bool = False) -> Answer:
        """Send a request and read its answer.

        Raises:
            BadAnswer: the server hung up in the middle.
        """
        started = time.perf_counter()
        self._socket.sendall(request)
        status_line = self._reader.readline()
        first_byte = time.perf_counter() - started
        if not status_line:
            raise BadAnswer("the server closed the connection")
        headers = {}
        while line := self._reader.readline().strip():
            name, _, value = line.partition(b":")
            headers[name.lower()] = value.strip().decode()
        pieces: list[bytes] = []
        length = self._read_body(headers, pieces if keep else None)
        seconds = time.perf_counter() - started
        status = int(status_line.split()[1])
        content_type = headers.get(b"content-type", "")
        return Answer(status, content_type, b"".join(pieces), length, first_byte, seconds)

    def _read_body(self, headers: dict[bytes, str], pieces: list[bytes] | None) -> int:
        if headers.get(b"transfer-encoding") != "chunked":
            return self._read(int(headers.get(b"content-length", "0")), pieces)
        total = 0
        while size := int(self._reader.readline() or b"0", 16):
            total += self._read(size, pieces)
            self._reader.readline()
        self._reader.readline()
        return total

    def _read(self, size: int, pieces: list[bytes] | None) -> int:
        data = self._reader.read(size)
        if len(data) < size:
            raise BadAnswer("the answer broke off")
        if pieces is not None:
            pieces.append(data)
        return size


@dataclass(slots=True)
class Job:
    """What one process of a load does.

    Attributes:
        host: and port of the server.
        requests: sent in turn.
        connections: at once, each by a thread.
        seconds: for how long.
        offset: how many requests of the series count as sent.
    """

    host: str
    requests: Sequence[Request]
    connections: int
    seconds: float
    offset: int = 0


@dataclass(slots=True)
class Outcome:
    """What came of a load.

    Attributes:
        times: of each answer, in seconds.
        first_bytes: of each answer, in seconds.
        seconds: from the first request to the last answer.
        errors: answers that were not 200, and connections that broke.
    """

    times: list[float] = field(default_factory=list)
    first_bytes: list[float] = field(default_factory=list)
    seconds: float = 0.0
    errors: int = 0


def run(job: Job) -> Outcome:
    """Send requests until the time is over; every answer that was begun is waited for."""
    outcome = Outcome()
    started = time.perf_counter()
    threads = [
        threading.Thread(target=_send, args=(job, each, started + job.seconds, outcome))
        for each in range(job.connections)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    outcome.seconds = time.perf_counter() - started
    return outcome


def _send(job: Job, number: int, deadline: float, outcome: Outcome) -> None:
    """Keep one connection busy; a list's ``append`` needs no lock."""
    index = job.offset + number
    try:
        with Connection(job.host) as connection:
            while time.perf_counter() < deadline:
                request = job.requests[index // job.connections % len(job.requests)]
                answer = connection.exchange(request.bytes_of(job.host, index))
                index += job.connections
                if answer.status != 200:
                    outcome.errors += 1
                    continue
                outcome.times.append(answer.seconds)
                outcome.first_bytes.append(answer.first_byte)
    except (OSError, BadAnswer):
        outcome.errors += 1


def jobs(
    host: str, requests: Sequence[Request], connections: int, seconds: float, offset: int
) -> list[Job]:
    """Share a load among processes: two, unless there is one connection only."""
    shares = [connections - connections // 2, connections // 2]
    return [
        Job(host, requests, share, seconds, offset=offset + place * SPARE // 2)
        for place, share in enumerate(shares)
        if share
    ]


def main() -> None:
    """Do one job."""
    values = json.load(sys.stdin)
    values["requests"] = [Request(**each) for each in values["requests"]]
    json.dump(asdict(run(Job(**values))), sys.stdout)


if __name__ == "__main__":
    main()
