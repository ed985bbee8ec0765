"""Bytes over a socket, for requests that no decent client would send."""

from __future__ import annotations

import socket
from contextlib import contextmanager, suppress
from http.client import BadStatusLine, HTTPResponse, IncompleteRead
from typing import TYPE_CHECKING, Any

from tests.support.client import ADMINISTRATOR, Response, basic

if TYPE_CHECKING:
    from collections.abc import Iterator

PATIENCE = 60
"""Seconds after which a test gives up; what is tested takes a few at most."""

AUTHORIZATION = basic(*ADMINISTRATOR)


def head(service: str, *lines: str, method: str = "POST", version: str = "HTTP/1.1") -> bytes:
    """The head of a request with a login, these lines and the blank one at its end."""
    all_lines = [
        f"{method} /sipxconfig/services/{service} {version}",
        "Host: localhost",
        f"Authorization: {AUTHORIZATION}",
        *lines,
    ]
    return "".join(f"{line}\r\n" for line in (*all_lines, "")).encode("latin-1")


def post(service: str, body: bytes, *lines: str) -> bytes:
    """A whole request."""
    return head(service, f"Content-Length: {len(body)}", *lines) + body


def chunked(service: str, *chunks: bytes) -> bytes:
    """A whole request in chunks."""
    framed = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in (*chunks, b""))
    return head(service, "Content-Type: text/xml", "Transfer-Encoding: chunked") + framed


class Wire:
    """Connections to a server at this address."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._address = address

    @contextmanager
    def connection(self) -> Iterator[socket.socket]:
        """One connection."""
        with socket.create_connection(self._address, PATIENCE) as connection:
            yield connection

    def send(self, *pieces: bytes, end: bool = False) -> Response | None:
        """Send these bytes on a connection of their own.

        Args:
            pieces: each is sent by itself.
            end: whether to say that nothing more will come.

        Returns:
            The answer; None when the server closes the connection without one.
        """
        with self.connection() as connection:
            # A server that has heard enough may close while it is still being talked to.
            with suppress(ConnectionError):
                for piece in pieces:
                    connection.sendall(piece)
            if end:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_WR)
            return read_answer(connection)


class _Exact:
    """Reads from a connection what is asked for, and nothing of an answer that comes after it."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self.closed = False

    def readline(self, limit: int) -> bytes:
        line = b""
        while len(line) < limit and not line.endswith(b"\n"):
            byte = self._connection.recv(1)
            if not byte:
                break
            line += byte
        return line

    def read(self, size: int = -1) -> bytes:
        pieces = []
        while size:
            piece = self._connection.recv(65536 if size < 0 else min(size, 65536))
            if not piece:
                break
            pieces.append(piece)
            size -= len(piece) if size > 0 else 0
        return b"".join(pieces)

    def flush(self) -> None:
        pass

    def close(self) -> None:
        self.closed = True

    def makefile(self, *_: Any) -> _Exact:
        return self


def read_answer(connection: socket.socket) -> Response | None:
    """Read one answer; None when the connection is closed before a whole one has come."""
    stream: Any = _Exact(connection)
    response = HTTPResponse(stream, method="POST")
    try:
        response.begin()
        body = response.read()
    except (BadStatusLine, ConnectionError, IncompleteRead):
        return None
    finally:
        response.close()
    headers = {name.lower(): value for name, value in response.getheaders()}
    # What gunicorn refuses itself has no number.
    request_id = headers.pop("x-request-id", "")
    return Response(response.status, headers, body, request_id)
