"""A client's connection: a request is collected without a thread, and nothing blocks for long.

The event loop of `sipxconfig_soap.gunicorn_worker` receives what comes, until a request is there.
Then a thread reads it, as if it came from the network just then, and sends the answer.
"""

from __future__ import annotations

import errno
import re
import select
import socket
import time
from typing import TYPE_CHECKING, Any

from gunicorn.http.errors import LimitRequestHeaders

if TYPE_CHECKING:
    from typing import Self

REQUEST_SECONDS = 30
"""How long a client may take to send a request, and may stall within it or within an answer."""

LEAST_RATE = 1000
"""Bytes per second that a request must come in with, after the first `REQUEST_SECONDS`."""

ANSWER_RATE = 10_000
"""Bytes per second that a client must take of an answer, after `REQUEST_SECONDS` of waiting.

Only time counts in which the server waits for the client. Answers can be much larger than
requests, and an unfinished one holds a thread and a database connection.
"""

PIECE = 64 * 1024
"""Bytes of an answer that are sent at a time."""

BUFFER = 64 * 1024
"""Bytes of requests that are kept for a connection without a thread.

A request with a larger body, or one of unknown length, gets its thread when its head is there; a
larger head is refused.
"""

FINISH_SECONDS = 5.0
"""How much longer than idle clients those may take that have begun a request when the server stops.
"""

LINGER_SECONDS = 5.0
"""How long a client may take to close a connection on which nothing more will be sent."""

LINGER_BYTES = 32 * 1024 * 1024
"""Bytes that a client may still send on such a connection; they are thrown away.

A client that sends a large body before it has been asked to log in reads the answer only when it
has sent all of it.
"""

# A large send buffer counts as writable only when a third of it is free; some room comes earlier.
_PROBE_SECONDS = 1.0

_LENGTH = b"\r\ncontent-length:"
_BARE_LF = re.compile(rb"(?<!\r)\n")


class StalledClient(ConnectionResetError):
    """The client was too slow; its connection is closed without a word, as if it had left."""

    def __init__(self) -> None:
        super().__init__(errno.ECONNRESET, "the client stalled")


class ClientLeft(ConnectionResetError):
    """The client has closed the connection between two requests, or has been left."""

    def __init__(self) -> None:
        super().__init__(errno.ECONNRESET, "the client left")


class PatientSocket(socket.socket):
    """A client's connection on which nothing blocks for long.

    For the operating system it never blocks: `recv` and `sendall` try first and wait only when they
    must, and its timeout can be set without a system call.
    """

    __slots__ = ("_deadline", "_left", "_needed", "_patience", "_received", "_searched", "_timeout")

    _deadline: float  # when the event loop, or reading, gives up
    _left: int | None  # bytes that are still thrown away; None until the last one is sent
    _needed: int  # bytes for which the event loop waits; 0 before the end of the head is found
    _patience: float  # seconds that sending may still wait
    _received: bytes
    _searched: int  # where to go on looking for the end of the head
    _timeout: float

    @classmethod
    def take(cls, plain: socket.socket) -> Self:
        """Take over the connection of another socket object."""
        taken = cls(plain.family, plain.type, plain.proto, fileno=plain.detach())
        socket.socket.settimeout(taken, 0)
        taken._timeout = REQUEST_SECONDS
        taken._left = None
        taken._needed = taken._searched = 0
        taken._received = b""
        taken.expect_request()
        return taken

    # What the event loop does.

    def collect(self) -> bool:
        """Receive what has come; return whether a thread should have the connection.

        Raises:
            OSError: the connection is over.
        """
        received = self._received
        try:
            data = super().recv(BUFFER if self._left is not None else BUFFER - len(received))
        except BlockingIOError:
            return False
        if self._left is not None:
            self._left -= len(data)
            if not data or self._left < 0:
                raise ClientLeft
            return False
        if not data:
            if not received:
                raise ClientLeft
            # The parser, or who reads the body, knows what is missing.
            return True
        now = time.monotonic()
        if received:
            self._received = received + data
            self._extend(len(data), now)
        else:
            self._received = data
            self._deadline = now + REQUEST_SECONDS
        return self._is_there()

    def expect_another(self, ahead: bytes, idle: float) -> bool:
        """A request has been answered; return whether the next one is there already.

        Args:
            ahead: what the parser has read beyond the request.
            idle: seconds that the client may be silent before its next request.
        """
        self._needed = self._searched = 0
        self._received = ahead + self._received
        if not self._received:
            self._deadline = time.monotonic() + idle
            return False
        self._deadline = time.monotonic() + REQUEST_SECONDS
        return self._is_there()

    def leave(self) -> None:
        """Say that nothing more will be sent; what still comes will be thrown away.

        Closing at once would make the system destroy the end of an answer that is under way, if the
        client is still sending.
        """
        self._left = LINGER_BYTES
        self._received = b""
        self._deadline = time.monotonic() + LINGER_SECONDS
        try:
            self.shutdown(socket.SHUT_WR)
        except OSError:
            self._deadline = 0.0

    def is_late(self, now: float, idle_until: float | None = None) -> bool:
        """Whether a connection that waits without a thread has waited long enough.

        Args:
            now: by the monotonic clock.
            idle_until: when it is over for connections that have not begun a request, since the
                server stops; those that have get `FINISH_SECONDS` more.
        """
        if idle_until is not None and self._left is None:
            begun = FINISH_SECONDS if self._received else 0.0
            if now > idle_until + begun:
                return True
        return now > self._deadline

    def _is_there(self) -> bool:
        """Whether so much of a request is there that it should have a thread."""
        received = self._received
        if not self._needed:
            end = received.find(b"\r\n\r\n", self._searched)
            if end < 0:
                # The parser refuses a bare LF, and what never gets a blank line.
                searched, self._searched = self._searched, max(len(received) - 3, 0)
                strange = _BARE_LF.search(received, searched) is not None
                return strange or len(received) >= BUFFER
            self._needed = end + 4 + _announced(received[:end])
            if self._needed > BUFFER:
                self._needed = end + 4
        return len(received) >= self._needed

    def _extend(self, size: int, now: float) -> None:
        """What has come buys time, but never more than for one pause."""
        self._deadline = min(self._deadline + size / LEAST_RATE, now + 2 * REQUEST_SECONDS)

    # What a thread does.

    def expect_request(self) -> None:
        """A request is about to be read: the time of what is not there yet starts."""
        self._deadline = time.monotonic() + REQUEST_SECONDS
        self._patience = REQUEST_SECONDS

    def setblocking(self, flag: bool, /) -> None:  # noqa: FBT001 - the base class has it so
        """Blocking means here: for `REQUEST_SECONDS`."""
        self._timeout = REQUEST_SECONDS if flag else 0.0

    def settimeout(self, value: float | None, /) -> None:
        """How many seconds reading may wait; None is `REQUEST_SECONDS`."""
        self._timeout = REQUEST_SECONDS if value is None else value

    def gettimeout(self) -> float:
        """How many seconds reading may wait."""
        return self._timeout

    def recv(self, size: int, flags: int = 0, /) -> bytes:
        """Read what was collected, then from the network, unless the request takes too long.

        Raises:
            StalledClient: nothing came, or too little for too long.
            LimitRequestHeaders: what was collected is full, and there is no end of a head in it.
        """
        received = self._received
        if received:
            self._received = received[size:]
            return received[:size]
        if self._searched and not self._needed and self._searched >= BUFFER - 3:
            raise LimitRequestHeaders("the head")
        while True:
            now = time.monotonic()
            if now > self._deadline:
                raise StalledClient
            try:
                data = super().recv(size, flags)
            except BlockingIOError:
                self._await_data(min(self._timeout, self._deadline - now))
            else:
                self._extend(len(data), now)
                return data

    def send(self, data: Any, flags: int = 0, /) -> int:
        """Send everything; like `sendall`."""
        self.sendall(data, flags)
        return len(data)

    def sendall(self, data: Any, flags: int = 0, /) -> None:
        """Send everything, piece by piece.

        Raises:
            StalledClient: the client took nothing, or too little for too long.
        """
        if len(data) <= PIECE:
            sent = self._try_send(data, flags)
            if sent == len(data):
                return
        else:
            sent = 0
        view = memoryview(data)
        while sent < len(view):
            size = self._try_send(view[sent : sent + PIECE], flags)
            sent += size
            if size:
                self._patience = min(self._patience + size / ANSWER_RATE, REQUEST_SECONDS)
            else:
                self._await_room()

    def _try_send(self, data: Any, flags: int) -> int:
        """Send what there is room for, and return its size."""
        try:
            return super().send(data, flags)
        except BlockingIOError:
            if not self._timeout:
                raise
            return 0

    def _await_room(self) -> None:
        started = time.monotonic()
        poll = select.poll()
        poll.register(self, select.POLLOUT)
        poll.poll(min(_PROBE_SECONDS, self._patience) * 1000)
        self._patience -= time.monotonic() - started
        if self._patience <= 0:
            raise StalledClient

    def _await_data(self, seconds: float) -> None:
        if not self._timeout:
            raise BlockingIOError(errno.EAGAIN, "nothing has come")
        poll = select.poll()
        poll.register(self, select.POLLIN)
        if not poll.poll(seconds * 1000):
            raise StalledClient


def _announced(head: bytes) -> int:
    """How many bytes of a body to wait for; 0 where it is better not to.

    What it returns decides only when a thread looks at the request, never where it ends: that does
    gunicorn's parser. So all that is unusual is left to that.
    """
    head = head.lower()
    start = head.find(_LENGTH)
    if start < 0 or b"\r\ntransfer-encoding:" in head or b"\r\nexpect:" in head:
        return 0
    start += len(_LENGTH)
    end = head.find(b"\r\n", start)
    length = (head[start:] if end < 0 else head[start:end]).strip(b" \t")
    if len(length) > 9 or not length.isdigit() or head.find(_LENGTH, start) >= 0:
        return 0
    return int(length)
