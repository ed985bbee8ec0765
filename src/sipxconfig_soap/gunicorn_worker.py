"""Gunicorn's threaded worker, made patient with slow clients but not for ever.

As gunicorn has it, a client that sends half a request or stops reading an answer keeps its thread
for good, and the head of an answer leaves in a packet of its own (wire.md §4 wants one piece).
Written for gunicorn 27; this module is the only one that knows its insides.
"""

from __future__ import annotations

import errno
import logging
import socket
import time
from contextlib import suppress
from functools import partial
from selectors import EVENT_READ
from typing import TYPE_CHECKING, Any

from gunicorn import util
from gunicorn.http import errors, wsgi
from gunicorn.workers.gthread import ThreadWorker

from sipxconfig_soap import logs
from sipxconfig_soap.incident import report

if TYPE_CHECKING:
    from typing import Self

REQUEST_SECONDS = 30
"""How long a client may take to send a request, and may stall within it or within an answer."""

LEAST_RATE = 1000
"""Bytes per second that a request must come in with, after the first `REQUEST_SECONDS`."""

PIECE = 64 * 1024
"""Bytes of an answer that are sent at a time; a client has `REQUEST_SECONDS` to take each."""

_logger = logging.getLogger(__name__)


class StalledClient(ConnectionResetError):
    """The client was too slow; its connection is closed without a word, as if it had left."""

    def __init__(self) -> None:
        super().__init__(errno.ECONNRESET, "the client stalled")


class PatientSocket(socket.socket):
    """A client's connection on which nothing blocks for long."""

    __slots__ = ("_deadline",)

    @classmethod
    def take(cls, plain: socket.socket) -> Self:
        """Take over the connection of another socket object."""
        taken = cls(plain.family, plain.type, plain.proto, fileno=plain.detach())
        taken.expect_request()
        return taken

    def expect_request(self) -> None:
        """A new request is about to be read: its time starts."""
        self._deadline = time.monotonic() + REQUEST_SECONDS

    def setblocking(self, flag: bool, /) -> None:  # noqa: FBT001 - the base class has it so
        """Blocking means here: for `REQUEST_SECONDS`."""
        self.settimeout(REQUEST_SECONDS if flag else 0.0)

    def recv(self, size: int, flags: int = 0, /) -> bytes:
        """Read, unless the request takes too long already.

        Raises:
            StalledClient: nothing came, or too little for too long.
        """
        now = time.monotonic()
        if now > self._deadline:
            raise StalledClient
        try:
            data = super().recv(size, flags)
        except TimeoutError:
            raise StalledClient from None
        # What has come buys time, but never more than for one pause.
        self._deadline = min(self._deadline + len(data) / LEAST_RATE, now + 2 * REQUEST_SECONDS)
        return data

    def sendall(self, data: Any, flags: int = 0, /) -> None:
        """Send everything, piece by piece.

        Raises:
            StalledClient: a piece was not taken in time.
        """
        try:
            if len(data) <= PIECE:
                super().sendall(data, flags)
                return
            view = memoryview(data)
            for start in range(0, len(view), PIECE):
                super().sendall(view[start : start + PIECE], flags)
        except TimeoutError:
            raise StalledClient from None


class JoinedResponse(wsgi.Response):
    """An answer whose head waits for the first bytes of the body and leaves with them."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.version = "sipxconfig-soap"
        self.headers_sent: bool = False
        self._head = b""

    def send_headers(self) -> None:
        """Keep the head back."""
        if not self.headers_sent:
            lines = self.default_headers()
            lines += [f"{name}: {value}\r\n" for name, value in self.headers]
            self._head = ("".join(lines) + "\r\n").encode("latin-1")
            self.headers_sent = True

    def _emit_body(self, data: bytes) -> None:
        if self.chunked:
            data = b"%X\r\n%b\r\n" % (len(data), data)
        self._send(data)

    def close(self) -> None:
        """End the answer; a head without a body leaves now."""
        self.send_headers()
        self._send(b"0\r\n\r\n" if self.chunked else b"")

    def _send(self, data: bytes) -> None:
        head, self._head = self._head, b""
        if head or data:
            self.sock.sendall(head + data if head else data)


class PatientWorker(ThreadWorker):
    """Threads that serve requests; waiting for one takes none of them."""

    def enqueue_req(self, conn: Any) -> None:
        """Let a new connection wait for its first bytes without a thread."""
        if isinstance(conn.sock, PatientSocket):
            super().enqueue_req(conn)
            return
        conn.sock = PatientSocket.take(conn.sock)
        conn.sock.settimeout(0)
        conn.timeout = time.monotonic() + REQUEST_SECONDS
        self.pending_conns.append(conn)
        ready = partial(self.on_pending_socket_readable, conn)
        self.poller.register(conn.sock, EVENT_READ, ready)

    def handle(self, conn: Any) -> Any:
        """Read and answer one request, in a thread."""
        conn.sock.expect_request()
        return super().handle(conn)

    def handle_request(self, req: Any, conn: Any) -> bool:
        """Answer one request; return whether its connection can serve another."""
        response, environ = wsgi.create(
            req, conn.sock, conn.client, conn.server, self.cfg, response_class=JoinedResponse
        )
        environ["wsgi.multithread"] = True
        self.nr += 1
        full = len(self.keepalived_conns) >= self.max_keepalived
        if full or not self.alive or not self.cfg.keepalive:
            response.force_close()
        try:
            self._respond(response, self.wsgi(environ, response.start_response))
        except OSError:
            raise
        except Exception as error:
            if not response.headers_sent:
                raise
            # Half an answer is out, so the client must see that the rest is missing.
            report("broken-off", error)
            util.close_graceful(conn.sock)
            raise StopIteration from None
        return not response.should_close()

    @staticmethod
    def _respond(response: JoinedResponse, pieces: Any) -> None:
        try:
            for piece in pieces:
                response.write(piece)
            response.close()
        finally:
            if hasattr(pieces, "close"):
                pieces.close()

    def handle_error(self, _request: Any, client: socket.socket, addr: Any, exc: Exception) -> None:
        """Answer what is no HTTP request, or what the application could not; tell no details."""
        status, reason = _status(exc)
        address = addr[0] if addr else None
        if status == 500:
            report("unanswered", exc)
        else:
            kind = type(exc).__name__
            logs.event(_logger, logging.WARNING, "bad request", address=address, kind=kind)
        body = f"{status} {reason}\n"
        head = (
            f"HTTP/1.1 {status} {reason}\r\nConnection: close\r\n"
            f"Content-Type: text/plain; charset=utf-8\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        with suppress(OSError):
            util.write_nonblock(client, (head + body).encode("ascii"))


_STATUS: dict[type[Exception], tuple[int, str]] = {
    errors.LimitRequestLine: (414, "URI Too Long"),
    errors.LimitRequestHeaders: (431, "Request Header Fields Too Large"),
    errors.ExpectationFailed: (417, "Expectation Failed"),
    errors.UnsupportedTransferCoding: (501, "Not Implemented"),
    errors.ConfigurationProblem: (500, "Internal Server Error"),
    errors.InvalidResponseHeader: (500, "Internal Server Error"),
    errors.InvalidResponseHeaderName: (500, "Internal Server Error"),
}


def _status(error: Exception) -> tuple[int, str]:
    """The status of an error from gunicorn's parser; of anything else 500."""
    if type(error) in _STATUS:
        return _STATUS[type(error)]
    if isinstance(error, errors.ParseException):
        return 400, "Bad Request"
    return 500, "Internal Server Error"
