"""The way of an answer out of gunicorn: in one piece where it fits, and to its last byte."""

from __future__ import annotations

import socket
import sys
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from sipxconfig_soap.web.forwarded import UNIX_PEER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

LINGER_SECONDS = 5.0
"""How long a client may still send on a connection on which it is sent nothing more."""

LINGER_PAUSE_SECONDS = 1.0
"""How long it may be silent meanwhile without closing the connection."""

LINGER_BYTES = 32 * 1024 * 1024
"""Bytes that it may still send; they are thrown away.

A client that sends a large body before it has been asked to log in reads the answer only when it
has sent all of it.
"""

_PIECE = 64 * 1024

_thread = threading.local()


def note(_worker: object, request: Any) -> None:
    """Gunicorn's request of this thread, which the environment of WSGI does not have."""
    _thread.request = request


def in_one_piece(application: Application) -> Application:
    """The application, whose answers leave with their heads where they fit (wire.md §4)."""

    def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        def start(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            if any(name == "Content-Length" for name, _ in headers):
                _hold_back(environ["gunicorn.socket"], held=True)
            if status.startswith(("4", "503")) and _may_be_unread(environ):
                # The next request on this connection would be lost; so the client is told.
                _thread.request.force_close()
            return start_response(status, headers, *rest)

        if environ["gunicorn.socket"].family == socket.AF_UNIX:
            environ["REMOTE_ADDR"] = UNIX_PEER  # gunicorn has none
        return application(environ, start)

    return answer


def send_rest(_worker: object, _request: object, environ: dict[str, Any], _: object) -> None:
    """An answer is complete, or given up."""
    if "gunicorn.socket" in environ:
        _hold_back(environ["gunicorn.socket"], held=False)


def see_off(sock: socket.socket) -> None:
    """Wait for a client to close. To close before would destroy the end of its answer."""
    until, left = time.monotonic() + LINGER_SECONDS, LINGER_BYTES
    with suppress(OSError):
        sock.shutdown(socket.SHUT_WR)
        sock.settimeout(LINGER_PAUSE_SECONDS)
        while left > 0 and time.monotonic() < until:
            data = sock.recv(_PIECE)
            if not data:
                return
            left -= len(data)
    with suppress(OSError):
        # It has not closed; gunicorn, which would wait too, shall not.
        sock.shutdown(socket.SHUT_RD)


def _may_be_unread(environ: dict[str, Any]) -> bool:
    """Whether more of a refused body may be under way than gunicorn takes before it hangs up."""
    length = int(environ.get("CONTENT_LENGTH") or 0)
    return length > _PIECE or "HTTP_TRANSFER_ENCODING" in environ or "HTTP_EXPECT" in environ


def _hold_back(sock: socket.socket, *, held: bool) -> None:
    """Gunicorn sends head and body one by one; let the system send them together."""
    if sys.platform == "linux":
        with suppress(OSError):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, held)
