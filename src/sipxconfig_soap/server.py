"""Serving by gunicorn: its configuration, and an application built in each worker process.

Gunicorn's threaded worker waits for a client in a thread. So the kernel lets go of a client that
stalls, and a proxy that buffers belongs in front of anything but a trusted network.
"""

from __future__ import annotations

import logging
import os
import socket
import struct
import sys
from typing import TYPE_CHECKING, Any

import structlog
from gunicorn.app.base import BaseApplication
from gunicorn.glogging import Logger
from gunicorn.http.errors import ParseException
from gunicorn.workers.gthread import ThreadWorker

from sipxconfig_soap import descriptors, incident, sending
from sipxconfig_soap.listening import shown
from sipxconfig_soap.management import COUNTERS

if TYPE_CHECKING:
    from collections.abc import Callable

    from sipxconfig_soap.sending import Application
    from sipxconfig_soap.settings import Settings

_logger = structlog.stdlib.get_logger(__name__)

RECEIVE_SECONDS = 15.0
"""How long the server waits for a client's next bytes."""

SEND_SECONDS = 8.0
"""How long it waits for a client to take some of an answer.

A client that stops reading is let go after about three times this: the system takes a little more
into its own memory twice before it takes nothing.
"""

KEEP_ALIVE_SECONDS = 30
"""How long a connection without requests stays open; it takes no thread meanwhile."""

GRACEFUL_SECONDS = 30
"""How long requests may take that are being answered when the server is told to stop."""


def run(
    settings: Settings,
    build: Callable[[], Application],
    announce: Callable[[str], None],
    *,
    receive_seconds: float = RECEIVE_SECONDS,
    send_seconds: float = SEND_SECONDS,
) -> None:
    """Serve until a signal ends it, by SystemExit; worker processes leave by it too.

    Args:
        settings: what the administrator decided.
        build: makes the WSGI application; called in each worker process, after the fork.
        announce: called with ``http://host:port`` or ``unix:path`` once clients can connect.
        receive_seconds: see `RECEIVE_SECONDS`.
        send_seconds: see `SEND_SECONDS`.
    """
    connections = descriptors.prepare(settings.threads)
    limits = {socket.SO_RCVTIMEO: receive_seconds, socket.SO_SNDTIMEO: send_seconds}
    _Gunicorn(settings, build, announce, limits, connections).run()


class _Gunicorn(BaseApplication):
    """Gunicorn's view of this program."""

    def __init__(
        self,
        settings: Settings,
        build: Callable[[], Application],
        announce: Callable[[str], None],
        limits: dict[int, float],
        connections: int,
    ) -> None:
        self._settings = settings
        self._build = build
        self._announce = announce
        self._limits = limits
        self._connections = connections
        super().__init__()

    def load_config(self) -> None:
        """Set what differs from gunicorn's defaults, and what the environment could change."""
        chosen: dict[str, Any] = {
            "bind": self._settings.bind,
            # A Unix socket is for this user and its group.
            "umask": 0o007,
            "workers": self._settings.workers,
            "threads": self._settings.threads,
            "worker_class": _Worker,
            "worker_connections": self._connections,
            "keepalive": KEEP_ALIVE_SECONDS,
            "graceful_timeout": GRACEFUL_SECONDS,
            "proc_name": "sipxconfig-soap",
            "logger_class": _Log,
            "loglevel": _gunicorn_level(self._settings.log_level),
            # X-Forwarded-… is read by our own edge, from the proxies of our own setting.
            "forwarded_allow_ips": "",
            "secure_scheme_headers": {},
            "forwarder_headers": "",
            "when_ready": self._when_ready,
            "child_exit": _forget,
            "pre_request": sending.note,
            "post_request": sending.send_rest,
            # Through this socket others could manage the server.
            "control_socket_disable": True,
        }
        for name, value in chosen.items():
            self.cfg.set(name, value)

    def load(self) -> Application:
        """Build the application."""
        return sending.in_one_piece(self._build())

    def _when_ready(self, arbiter: Any) -> None:
        """Accepted connections inherit from the listener how long they may stall."""
        for listener in arbiter.LISTENERS:
            # A worker for jobs that is started from here would keep it open when the server stops.
            listener.set_inheritable(False)
            for option, limit in self._limits.items():
                seconds, fraction = divmod(limit, 1)
                value = struct.pack("ll", int(seconds), int(fraction * 1_000_000))
                listener.setsockopt(socket.SOL_SOCKET, option, value)
        self._announce(shown(arbiter.LISTENERS[0].getsockname()))


class _Worker(ThreadWorker):
    """Gunicorn's threaded worker, for clients that come or leave late, or send what is no HTTP."""

    _shortage = descriptors.Shortage()

    def accept(self, listener: Any) -> None:
        """Accept a client; when there is no descriptor for it, clients wait in the system."""
        with self._shortage.endured():
            super().accept(listener)
        if sys.platform == "linux":
            os.sched_yield()  # of clients that come at once, another process takes some

    def set_accept_enabled(self, enabled: bool) -> None:  # noqa: FBT001 - the base class has it so
        """Accept new clients or not; when the server stops, they are refused at once."""
        super().set_accept_enabled(enabled and self.alive)
        for listener in () if self.alive else self.sockets:
            listener.close()

    def is_parent_alive(self) -> bool:
        """Whether to go on; without a main process nobody does, and the port is free at once."""
        there: bool = super().is_parent_alive()
        if not there:
            self.alive = False
        return there

    def murder_pending(self) -> None:
        """Close connections that never said anything: late ones, and all when the server stops."""
        for connection in () if self.alive else self.pending_conns:
            connection.timeout = 0.0
        super().murder_pending()

    def handle_quit(self, sig: int, frame: Any) -> None:
        """End at once, but not here: the signal may have come while a lock was held."""
        self.method_queue.defer(super().handle_quit, sig, frame)

    def handle(self, conn: Any) -> Any:
        """Answer a request; the base class would see a client off where all others wait for it."""
        keep = super().handle(conn)
        if not keep:
            sending.see_off(conn.sock)
        return keep

    def handle_error(self, req: Any, client: Any, addr: Any, exc: Exception) -> None:
        """Refuse what is no HTTP without quoting it: in it may be a login."""
        super().handle_error(req, client, addr, _unquoted(exc))


def _unquoted(error: Exception) -> Exception:
    """An error of the same class whose text is its name instead of what the client sent."""
    if not isinstance(error, ParseException):
        return error
    kind = type(error)
    bare: type[Exception] = type(kind.__name__, (kind,), {"__str__": lambda _: kind.__name__})
    return bare.__new__(bare)


def _forget(_arbiter: object, worker: Any) -> None:
    """What a process that has ended held is held no more (as prometheus_client's manual says)."""
    if COUNTERS in os.environ:
        from prometheus_client.multiprocess import mark_process_dead  # noqa: PLC0415

        mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]


class _Log(Logger):
    """Hands gunicorn's messages to our own logging; requests are logged by the edge."""

    def setup(self, cfg: Any) -> None:
        self.cfg = cfg
        self.error_log.setLevel(cfg.loglevel.upper())
        self.error_log.propagate = True

    def access(self, *_: Any) -> None:
        """Log no requests here."""

    def exception(self, *_: Any, **__: Any) -> None:
        """Report without what a client sent; of clients that stall, or that there is no descriptor
        for, there is nothing to report.
        """
        error = sys.exc_info()[1]
        full = error is not None and descriptors.are_missing(error)
        if error is not None and not full and not isinstance(error, BlockingIOError | TimeoutError):
            incident.report(error)

    def reopen_files(self) -> None:
        """Nothing to reopen: lines go to standard error."""

    def close_on_exec(self) -> None:
        """Nothing to close: lines go to standard error."""


def _gunicorn_level(level: str) -> str:
    """Warnings at least: below, gunicorn writes of its processes and, at debug, whole logins."""
    return level if logging.getLevelName(level.upper()) > logging.INFO else "warning"
