"""An address of its own for whoever watches the server, served by threads of the main process.

So it answers even when no thread that serves clients is free. It is for the machine itself or an
inner network: there is no login. Whoever calls `serving` says what is to be seen there.
"""

from __future__ import annotations

import math
import os
import socket
import threading
import time
from contextlib import contextmanager
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from socketserver import TCPServer, ThreadingMixIn
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from sipxconfig_soap.setting_values import UNIX

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

COUNTERS = "PROMETHEUS_MULTIPROC_DIR"
"""By this variable prometheus_client learns where all processes keep what they count.

It reads the variable when it is imported, which must not happen earlier. A worker beside the server
inherits it, so that its jobs are counted there, too.
"""

STALL_SECONDS = 5
"""How long a client here may stall."""

MOST_THREADS = 64
"""Threads of this process beyond which no more clients are answered here."""

FREE_SECONDS = 3
"""How long the server may take to find a thread for a request."""

READY_SECONDS = 5
"""How long it may take to find out whether it is ready."""

FRESH_SECONDS = 1
"""How long an answer counts, so that many who ask are one client of the server."""


LAST_SECONDS = 30
"""How long it is told again to who asks while somebody else is waiting for the next one.

Else they would wait too, and take all threads when the server answers nobody.
"""


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    block_on_close = False
    # The system drops who is beyond the usual 5 at one moment; they try again after a second.
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], application: WSGIApplication) -> None:
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        super().__init__(address, _Handler)
        self.set_app(application)

    def server_bind(self) -> None:
        # That of the base class asks the name service for our name.
        TCPServer.server_bind(self)
        host, port = self.server_address[:2]
        self.server_name, self.server_port = str(host), int(port)
        self.setup_environ()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer a client in a thread of its own, or hang up when there are too many."""
        if threading.active_count() > MOST_THREADS:
            self.shutdown_request(request)
        else:
            super().process_request(request, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client here that stalls or goes away is nothing to report."""


class _Handler(WSGIRequestHandler):
    timeout = STALL_SECONDS

    def log_message(self, *_: Any) -> None:
        """Nothing is logged of those who watch."""


@contextmanager
def serving(address: tuple[str, int], application: WSGIApplication) -> Iterator[str]:
    """Serve an application beside what else this process does, until the context ends.

    A process that is forked meanwhile does not serve it, nor keep its port.

    Args:
        address: host and port.
        application: must not fail; may be called by several threads at a time.

    Yields:
        The URL.

    Raises:
        OSError: the address cannot be had.
    """
    server, owner = _Server(address, application), os.getpid()
    os.register_at_fork(after_in_child=server.socket.close)
    thread = threading.Thread(target=server.serve_forever, name="management", daemon=True)
    thread.start()
    host = f"[{server.server_name}]" if ":" in server.server_name else server.server_name
    try:
        yield f"http://{host}:{server.server_port}"
    finally:
        # Forks leave by the same way.
        if os.getpid() == owner:
            server.shutdown()
            server.server_close()


_METHODS = "GET, HEAD"


class Watch:
    """The application: ``/healthz``, ``/readyz`` and ``/metrics``.

    Args:
        ready: finds out whether the program can work; the status and a sentence. It may take its
            time, but is asked once a second at most.
        metrics: answers ``/metrics``.
    """

    def __init__(self, ready: Callable[[], tuple[int, str]], metrics: WSGIApplication) -> None:
        self._ask = ready
        self._metrics = metrics
        self._lock = threading.Lock()
        self._answer = (0, "")
        self._asked = -math.inf

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request."""
        path, method = environ.get("PATH_INFO"), environ.get("REQUEST_METHOD")
        more = []
        if path not in ("/healthz", "/readyz", "/metrics"):
            status, sentence = 404, "There is nothing here but /healthz, /readyz and /metrics."
        elif method not in ("GET", "HEAD"):
            status, sentence = 405, f"Not for this method. Allowed are {_METHODS}."
            more = [("Allow", _METHODS)]
        elif path == "/metrics":
            # It knows no HEAD.
            pieces = self._metrics({**environ, "REQUEST_METHOD": "GET"}, start_response)
            return [] if method == "HEAD" else pieces
        else:
            status, sentence = self._ready() if path == "/readyz" else (200, "alive")
        body = f"{sentence}\n".encode()
        headers = [
            ("Content-Type", "text/plain; charset=UTF-8"),
            ("Content-Length", str(len(body))),
            ("Cache-Control", "no-store"),
            *more,
        ]
        start_response(f"{status} {HTTPStatus(status).phrase}", headers)
        return [] if method == "HEAD" else [body]

    def _ready(self) -> tuple[int, str]:
        known = time.monotonic() - self._asked < LAST_SECONDS
        if self._lock.acquire(blocking=not known):
            try:
                if time.monotonic() - self._asked >= FRESH_SECONDS:
                    self._answer, self._asked = self._ask(), time.monotonic()
            finally:
                self._lock.release()
        return self._answer


class ServerHealth:
    """Whether the server at a URL is ready, for which it is asked there.

    Attributes:
        url: of the server, such as ``http://127.0.0.1:8080`` or ``unix:/run/x``; None while it
            starts.
    """

    def __init__(self) -> None:
        self.url: str | None = None

    def __call__(self) -> tuple[int, str]:
        """Ask the server like any client, first for what needs a free thread and nothing else.

        Both questions go over one connection, so the same process answers them.
        """
        if self.url is None:
            return 503, _SILENT
        connection = _connection(self.url, FREE_SECONDS)
        try:
            _get(connection, "/healthz", FREE_SECONDS)
        except TimeoutError:
            connection.close()
            return 503, f"not ready: no request thread was free within {FREE_SECONDS} s"
        except PermissionError:
            connection.close()
            return 503, f"not ready: {self.url} cannot be asked: {_CLOSED}"
        except (OSError, HTTPException):
            connection.close()
            return 503, _SILENT
        try:
            return _get(connection, "/readyz", READY_SECONDS)
        except (OSError, HTTPException):
            return 503, "not ready: the server did not find out in time whether it is"
        finally:
            connection.close()


_SILENT = "not ready: the server does not answer"
_CLOSED = "the server's own user may not open it (SocketUser= of the unit that made it)"


def _get(connection: HTTPConnection, path: str, seconds: float) -> tuple[int, str]:
    """Status and sentence of the server's own answer."""
    connection.timeout = seconds
    if connection.sock is not None:
        connection.sock.settimeout(seconds)
    connection.request("GET", path, headers={"Host": "localhost"})
    response = connection.getresponse()
    return response.status, response.read().decode().strip()


class _UnixConnection(HTTPConnection):
    """To a server on a Unix socket, whose path stands for the host."""

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.host)


def _connection(url: str, seconds: float) -> HTTPConnection:
    if url.startswith(UNIX):
        return _UnixConnection(url.removeprefix(UNIX), timeout=seconds)
    parts = urlsplit(url)
    return HTTPConnection(parts.hostname or "", parts.port, timeout=seconds)
