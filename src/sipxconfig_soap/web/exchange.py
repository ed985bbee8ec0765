"""One request and its answer, until the last byte is sent, and the line about it in the log."""

from __future__ import annotations

import errno
import logging
import time
from typing import TYPE_CHECKING

import structlog
from structlog.contextvars import bind_contextvars, clear_contextvars

from sipxconfig_soap import incident, metrics
from sipxconfig_soap.errors import Unavailable
from sipxconfig_soap.web.packing import packed

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator
    from wsgiref.types import StartResponse

    import sqlalchemy as sa

    from sipxconfig_soap.web.request import Request
    from sipxconfig_soap.web.responses import Response

_logger = structlog.stdlib.get_logger(__name__)

ALWAYS = [
    # Answers hold what only an administrator may see, and no browser shall guess what they are.
    ("Cache-Control", "no-store"),
    ("X-Content-Type-Options", "nosniff"),
]
"""Headers of every answer, beside its number."""

_METHODS = frozenset({"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})


class Exchange:
    """What is known of a request until its answer is sent or given up; the iterable of WSGI.

    Attributes:
        request: what came.
        route: what was asked for, in our words: a client's path is never logged.
        user: the administrator who has logged in.
        connection: to the database, held until the end once there is one.
        log_level: of the line in the log.
        service: what it is counted for; "" for what is none.
        operation: the same.
        fault: the code of the SOAP fault that is its answer.
        for_people: whether the answer is read by a person, whatever the method.
    """

    def __init__(self, request: Request) -> None:
        self.request = request
        # Whatever was left of another request of this thread goes.
        clear_contextvars()
        bind_contextvars(request_id=request.id)
        self.route = "unknown"
        self.user: str | None = None
        self.connection: sa.Connection | None = None
        self.log_level = logging.INFO
        self.service = self.operation = ""
        self.fault: str | None = None
        self.for_people = False
        self._started = time.perf_counter()
        self._status: int | None = None
        self._chunks: Iterable[bytes] = ()
        self._pieces = self._counted()
        self._sent = 0
        self._complete = False

    def deliver(self, response: Response, start_response: StartResponse) -> Iterable[bytes]:
        """Start the answer; its body follows by iteration. HEAD gets the head alone."""
        environ = self.request.environ
        accepted = environ.get("HTTP_ACCEPT_ENCODING")
        if accepted is not None:
            response = packed(response, accepted)
        # From here on nobody else holds what may be reading from the database.
        self._chunks = response.iter_encoded()
        response.response, response.direct_passthrough = self, True
        pieces, status, headers = response.get_wsgi_response(environ)
        start_response(status, [*headers, *ALWAYS, ("X-Request-ID", self.request.id)])
        self._status = response.status_code
        # Werkzeug iterates over nothing where there is no body to be sent.
        self._complete = pieces is not self
        return pieces

    def _counted(self) -> Generator[bytes, None, None]:
        try:
            for piece in self._chunks:
                self._sent += len(piece)
                yield piece
        except Exception as error:
            # The client sees that the rest is missing. For the server it is a connection that
            # broke, since all that is to be said of it is said here, where its number is known.
            if not isinstance(error, Unavailable):
                incident.report(error)
            raise ConnectionResetError(errno.ECONNRESET, "the answer broke off") from error
        self._complete = True

    def __iter__(self) -> Iterator[bytes]:
        return self._pieces

    def close(self) -> None:
        """End it, wherever it stands: the server calls this when a client goes away, too."""
        self._chunks = ()
        # A list that is being read ends before the connection that it reads from is given back.
        self._pieces.close()
        if self.connection is not None:
            self.connection.close()
        request, seconds = self.request, time.perf_counter() - self._started
        broken = {} if self._complete else {"complete": False}
        _logger.log(
            self.log_level,
            "request",
            method=request.method if request.method in _METHODS else "other",
            route=self.route,
            status=self._status,
            user=self.user,
            address=request.address,
            ms=round(seconds * 1000, 1),
            bytes=self._sent,
            **broken,
        )
        clear_contextvars()
        if self.log_level >= logging.INFO:  # who watches is not counted
            outcome = metrics.outcome(self._status, self.fault, complete=self._complete)
            metrics.count_request(self.service, self.operation, outcome, seconds)
