"""Serving by gunicorn: its configuration, and an application built in each worker process.

The knowledge of gunicorn's insides is in `sipxconfig_soap.gunicorn_worker` and its neighbours.
"""

from __future__ import annotations

import errno
import logging
import os
import socket
from typing import TYPE_CHECKING, Any

from gunicorn.app.base import BaseApplication
from gunicorn.glogging import Logger

from sipxconfig_soap.gunicorn_worker import PatientWorker, has_left

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sipxconfig_soap.settings import Settings

    Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

KEEP_ALIVE_SECONDS = 30
"""How long a connection without requests stays open; it takes no thread meanwhile."""

GRACEFUL_SECONDS = 30
"""How long requests may take that are being answered when the server is told to stop."""


class CannotListen(OSError):
    """The address to listen on cannot be had."""


def check_address(settings: Settings) -> None:
    """Find out whether the address is free, before anything else is started.

    Raises:
        CannotListen: it is not; the text says why.
    """
    host, port = settings.address
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, address = found[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        known = error.errno if error.errno in errno.errorcode else None
        reason = os.strerror(known) if known else "there is no such address"
        raise CannotListen(f"Cannot listen on {settings.bind}: {reason}.") from error


def run(
    settings: Settings, build: Callable[[], Application], announce: Callable[[str], None]
) -> None:
    """Serve until a signal ends it, by SystemExit; worker processes leave by it too.

    Args:
        settings: what the administrator decided.
        build: makes the WSGI application; called in each worker process, after the fork.
        announce: called with ``http://host:port`` once clients can connect.
    """
    _Gunicorn(settings, build, announce).run()


class _Gunicorn(BaseApplication):
    """Gunicorn's view of this program."""

    def __init__(
        self, settings: Settings, build: Callable[[], Application], announce: Callable[[str], None]
    ) -> None:
        self._settings = settings
        self._build = build
        self._announce = announce
        super().__init__()

    def load_config(self) -> None:
        """Set what differs from gunicorn's defaults, and what the environment could change."""
        chosen: dict[str, Any] = {
            "bind": self._settings.bind,
            "workers": self._settings.workers,
            "threads": self._settings.threads,
            "worker_class": PatientWorker,
            "keepalive": KEEP_ALIVE_SECONDS,
            "graceful_timeout": GRACEFUL_SECONDS,
            "proc_name": "sipxconfig-soap",
            "logger_class": _Log,
            "loglevel": _gunicorn_level(self._settings.log_level),
            # X-Forwarded-… is read by our own edge, from the proxies of our own setting.
            "forwarded_allow_ips": "",
            "secure_scheme_headers": {},
            "forwarder_headers": "",
            # The same parser whatever else is installed, and nothing that manages from outside.
            "http_parser": "python",
            "control_socket_disable": True,
            "when_ready": self._when_ready,
            "child_exit": has_left,
        }
        for name, value in chosen.items():
            self.cfg.set(name, value)

    def load(self) -> Application:
        """Build the application."""
        return self._build()

    def _when_ready(self, arbiter: Any) -> None:
        host, port = arbiter.LISTENERS[0].sock.getsockname()[:2]
        shown = f"[{host}]" if ":" in host else host
        self._announce(f"http://{shown}:{port}")


class _Log(Logger):
    """Hands gunicorn's messages to our own logging; requests are logged by the edge."""

    def setup(self, cfg: Any) -> None:
        self.cfg = cfg
        self.error_log.setLevel(cfg.loglevel.upper())
        self.error_log.propagate = True

    def access(self, *_: Any) -> None:
        """Log no requests here."""

    def reopen_files(self) -> None:
        """Nothing to reopen: lines go to standard error."""

    def close_on_exec(self) -> None:
        """Nothing to close: lines go to standard error."""


def _gunicorn_level(level: str) -> str:
    """Warnings at least: below, gunicorn writes of its processes and, at debug, whole logins."""
    return level if logging.getLevelName(level.upper()) > logging.INFO else "warning"
