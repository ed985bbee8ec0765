"""Gunicorn's threaded worker, made patient with slow clients but not for ever.

As gunicorn has it, a client that sends half a request or stops reading an answer keeps its thread
for good, and the head of an answer leaves in a packet of its own (wire.md §4 wants one piece). Here
the event loop collects requests, see `sipxconfig_soap.gunicorn_socket`, and threads answer them.
Written for gunicorn 27; these modules are the only ones that know its insides.
"""

from __future__ import annotations

import errno
import logging
import time
from contextlib import suppress
from functools import lru_cache, partial
from selectors import EVENT_READ
from typing import TYPE_CHECKING, Any

from gunicorn import util
from gunicorn.http import errors, wsgi
from gunicorn.workers.gthread import TConn, ThreadWorker

from sipxconfig_soap import logs
from sipxconfig_soap.gunicorn_shares import Shares
from sipxconfig_soap.gunicorn_socket import BUFFER, PatientSocket
from sipxconfig_soap.gunicorn_threads import Threads
from sipxconfig_soap.incident import report

if TYPE_CHECKING:
    import socket

SWEEP_SECONDS = 1.0
"""How often connections are looked for that have waited too long."""

NOTICE_SECONDS = 0.5
"""How often, at most, the arbiter is told that we live; it kills who was silent for long."""

YIELD_SECONDS = 0.005
"""How long a process with more connections than another leaves a new one to that, at most."""

_PAUSE_SECONDS = 0.001

# What was left to others longer ago than that was another connection, and they have taken it.
_FORGOTTEN_SECONDS = 0.1

_logger = logging.getLogger(__name__)

_shares = Shares()

MOST_CHECKED = 100
"""Headers that are remembered to have been checked."""

_VARYING = frozenset({"content-length", "location"})
_checked: set[tuple[str, str]] = set()


@lru_cache(maxsize=1)
def _date(seconds: int) -> str:
    return str(util.http_date(seconds))


class JoinedResponse(wsgi.Response):
    """An answer whose head waits for the first bytes of the body and leaves with them."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.version = "sipxconfig-soap"
        self.headers_sent: bool = False
        self._head = b""

    def process_headers(self, headers: list[tuple[str, str]]) -> None:
        """Check headers, those that come in every answer only once."""
        for header in headers:
            if header in _checked:
                self.headers.append(header)
                continue
            super().process_headers([header])
            # Only what is to be sent as it is, and again: no lengths, no places to go to.
            sent = self.headers[-1:] == [header] and header[0].lower() not in _VARYING
            if sent and len(_checked) < MOST_CHECKED:
                _checked.add(header)

    def send_headers(self) -> None:
        """Keep the head back."""
        if not self.headers_sent:
            major, minor = self.req.version
            lines = [f"HTTP/{major}.{minor} {self.status}"]
            lines += [f"Server: {self.version}", f"Date: {_date(int(time.time()))}"]
            lines.append(f"Connection: {'close' if self.should_close() else 'keep-alive'}")
            if self.chunked:
                lines.append("Transfer-Encoding: chunked")
            lines += [f"{name}: {value}" for name, value in self.headers]
            self._head = "\r\n".join([*lines, "", ""]).encode("latin-1")
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


class Connection(TConn):
    """A client's connection.

    It belongs to the event loop, or to a thread while it is busy. So no lock is needed: only the
    event loop makes it busy, and only the thread ends that.
    """

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        # What the base class would have a thread wait for has been collected.
        self.data_ready = True
        self.busy = False
        self.polled = False


class PatientWorker(ThreadWorker):
    """Threads that serve requests; waiting for one takes none of them."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._connections: set[Connection] = set()
        self._next_notice = self._next_sweep = 0.0
        self._idle_until: float | None = None
        self._yields_since: float | None = None
        self._pauses_until = 0.0

    def get_thread_pool(self) -> Threads[Connection]:
        """Make the threads."""
        return Threads(self.cfg.threads, self._serve)

    def notify(self) -> None:
        """Tell the arbiter that we live; not at every request."""
        now = time.monotonic()
        if now >= self._next_notice:
            self._next_notice = now + NOTICE_SECONDS
            super().notify()

    # In the event loop.

    def set_accept_enabled(self, enabled: bool) -> None:  # noqa: FBT001 - the base class has it so
        """Take new connections, or leave them to others.

        That is done while all threads are held up, and for a moment after `_yields`.
        """
        enabled = enabled and not self.tpool.is_stuck()
        if not enabled:
            _shares.forget(self.age)
        elif not self._accepting:
            if time.monotonic() < self._pauses_until:
                return
            _shares.note(self.age, self.nr_conns)
        self._pauses_until = 0.0
        super().set_accept_enabled(enabled)

    def wait_for_and_dispatch_events(self, timeout: float) -> None:
        """Wait for what comes next; not for long after a connection was left to others."""
        if self._pauses_until:
            timeout = min(timeout, _PAUSE_SECONDS)
        super().wait_for_and_dispatch_events(timeout)

    def _yields(self) -> bool:
        """Whether a new connection is left to others for a moment."""
        if not _shares.is_ahead(self.age):
            self._yields_since = None
            return False
        now = time.monotonic()
        if (
            self._yields_since is None
            or now > self._yields_since + YIELD_SECONDS + _FORGOTTEN_SECONDS
        ):
            self._yields_since = now
        elif now > self._yields_since + YIELD_SECONDS:
            # Nobody took it. That is so for this one; the next is left to others again.
            self._yields_since = None
            return False
        self._pauses_until = now + _PAUSE_SECONDS
        super().set_accept_enabled(enabled=False)
        return True

    def accept(self, listener: socket.socket) -> None:
        """Take a new connection, and look whether its request has come with it."""
        if self.tpool.is_stuck():
            self.set_accept_enabled(enabled=False)
            return
        if self._yields():
            return
        try:
            plain, address = listener.accept()
        except OSError as error:
            if error.errno in (errno.EAGAIN, errno.ECONNABORTED):
                return
            raise
        sock = PatientSocket.take(plain)
        connection = Connection(self.cfg, sock, address, listener.getsockname())
        self._count(1)
        self._connections.add(connection)
        self._look(connection)

    def _count(self, more: int) -> None:
        self.nr_conns += more
        if self._accepting:
            _shares.note(self.age, self.nr_conns)

    def _readable(self, connection: Connection, _: Any) -> None:
        if connection.busy:
            # The client is ahead, or gone. Looking away only now saves doing it at every request.
            self.poller.unregister(connection.sock)
            connection.polled = False
            # The thread may have come to its end just before that, and would not know.
            if connection.busy:
                return
        self._look(connection)

    def _look(self, connection: Connection) -> None:
        """Receive what has come; may be called once too often."""
        if connection.busy or connection not in self._connections:
            return
        try:
            there = connection.sock.collect()
        except OSError:
            self._close(connection)
            return
        if there:
            connection.busy = True
            self.tpool.put(connection)
        elif not connection.polled:
            connection.polled = True
            ready = partial(self._readable, connection)
            self.poller.register(connection.sock, EVENT_READ, ready)

    def _close(self, connection: Connection) -> None:
        if connection.polled:
            self.poller.unregister(connection.sock)
        self._connections.remove(connection)
        self._count(-1)
        connection.close()

    def murder_keepalived(self, force: bool = False) -> None:  # noqa: FBT001, FBT002 - as the base
        """Close what has waited too long; all that waits if ``force`` is set."""
        now = time.monotonic()
        if now < self._next_sweep and not force:
            return
        self._next_sweep = now + SWEEP_SECONDS
        for connection in tuple(self._connections):
            if not connection.busy and (force or connection.sock.is_late(now, self._idle_until)):
                self._close(connection)

    def murder_pending(self) -> None:
        """Nothing: they are no kind of their own."""

    def _cap_keepalive(self, deadline: float) -> None:
        """Stop: called when no more connections are accepted."""
        self._idle_until = deadline
        # Who comes now shall be refused, and not wait for somebody who never comes.
        for listener in self.sockets:
            listener.close()

    # In a thread.

    def _serve(self, connection: Connection) -> None:
        """Answer requests, as long as the next one is there and no other connection waits."""
        while self._answer(connection):
            if self.tpool.is_wanted():
                self.tpool.put(connection)
                return

    def _answer(self, connection: Connection) -> bool:
        """Answer one request; give the connection back unless the next one is there."""
        sock: PatientSocket = connection.sock
        there = keep = False
        try:
            sock.expect_request()
            keep = self.handle(connection)
            if keep:
                ahead = connection.parser.unreader.take_buffered()
                there = sock.expect_another(ahead, self.cfg.keepalive)
                if not there and not connection.polled:
                    # The client is known to have sent something meanwhile.
                    there = sock.collect()
        except OSError:
            keep = there = False
        except Exception as error:  # noqa: BLE001 - the thread is needed for others
            keep = there = False
            report("unanswered", error)
        finally:
            if not there:
                if not keep:
                    sock.leave()
                connection.busy = False
                if not connection.polled:
                    self.method_queue.defer(self._look, connection)
        return there

    def handle_request(self, req: Any, conn: Any) -> bool:
        """Answer one request; return whether its connection can serve another."""
        response, environ = wsgi.create(
            req, conn.sock, conn.client, conn.server, self.cfg, response_class=JoinedResponse
        )
        environ["wsgi.multithread"] = True
        self.nr += 1
        full = self.nr_conns > self.max_keepalived
        if full or not self.alive or not self.cfg.keepalive:
            response.force_close()
        try:
            pieces = self.wsgi(environ, response.start_response)
            if _has_more(req, environ):
                response.force_close()
            self._respond(response, pieces)
        except OSError:
            raise
        except Exception as error:
            if not response.headers_sent:
                raise
            # Half an answer is out, so the client must see that the rest is missing.
            report("broken-off", error)
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


def has_left(_arbiter: object, worker: PatientWorker) -> None:
    """A process has ended, perhaps without a word: others need not leave it anything."""
    _shares.forget(worker.age)


def _has_more(req: Any, environ: dict[str, Any]) -> bool:
    """Whether a body that nobody wanted may be on its way still: a thread would wait for it.

    The event loop throws it away after the answer, and the connection ends.
    """
    reader = req.body.reader
    left = getattr(reader, "length", 0)
    in_chunks = getattr(reader, "parser", None) is not None
    return in_chunks or left > BUFFER or (left > 0 and "HTTP_EXPECT" in environ)


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
