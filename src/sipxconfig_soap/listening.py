"""Where the server listens: at a port, on a Unix socket, or where systemd has opened one."""

from __future__ import annotations

import errno
import os
import socket
import stat
import time
from pathlib import Path
from typing import TYPE_CHECKING

from sipxconfig_soap.setting_values import UNIX, host_and_port

if TYPE_CHECKING:
    from sipxconfig_soap.settings import Settings

ORPHAN_SECONDS = 3.0
"""How long a start waits for a port that processes hold which have lost their main process."""

_FIRST_OF_SYSTEMD = 3


class CannotListen(OSError):
    """An address to listen on cannot be had.

    Attributes:
        option: of ``serve`` that names it.
    """

    def __init__(self, sentence: str, option: str) -> None:
        super().__init__(sentence)
        self.option = option


def check_address(settings: Settings) -> None:
    """Find out whether the addresses are free, before anything else is started.

    Where systemd has opened a socket, gunicorn takes that one and no other. Processes whose main
    process was killed may still hold one for a moment.

    Raises:
        CannotListen: one is not; the text says why.
    """
    if opened := _opened_by_systemd():
        for descriptor in opened:
            # Nothing that is started before gunicorn takes them shall keep them open.
            os.set_inheritable(descriptor, False)  # noqa: FBT003 - its only form
    else:
        _check(settings.bind, "--bind")
    if settings.management_bind is not None:
        _check(settings.management_bind, "--management-bind")


def _check(bind: str, option: str) -> None:
    until = time.monotonic() + ORPHAN_SECONDS
    while True:
        try:
            _try(bind)
        except OSError as error:
            if error.errno != errno.EADDRINUSE or time.monotonic() > until:
                known = error.errno if error.errno in errno.errorcode else None
                reason = os.strerror(known) if known else "there is no such address"
                raise CannotListen(f"Cannot listen on {bind}: {reason}.", option) from error
            time.sleep(0.1)
        else:
            return


def shown(name: tuple[str, int] | str) -> str:
    """How clients call a socket of this name: ``http://host:port`` or ``unix:path``."""
    if isinstance(name, str):
        return f"{UNIX}{name}"
    host, port = name[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _opened_by_systemd() -> range:
    """The descriptors of sockets that systemd has opened for this process (sd_listen_fds)."""
    meant = os.environ.get("LISTEN_PID") == str(os.getpid())
    number = os.environ.get("LISTEN_FDS", "") if meant else ""
    return range(_FIRST_OF_SYSTEMD, _FIRST_OF_SYSTEMD + int(number if number.isdigit() else 0))


def _try(bind: str) -> None:
    if bind.startswith(UNIX):
        _try_path(Path(bind.removeprefix(UNIX)))
        return
    host, port = host_and_port(bind)
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, kind, protocol, _, address = found[0]
    with socket.socket(family, kind, protocol) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(address)


def _try_path(path: Path) -> None:
    """Gunicorn takes the place of a socket on which nobody listens any more, of nothing else."""
    if not path.parent.stat() or not os.access(path.parent, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, "")
    try:
        there = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(there.st_mode):
        raise FileExistsError(errno.EEXIST, "")
    with socket.socket(socket.AF_UNIX) as probe:
        if probe.connect_ex(str(path)) != errno.ECONNREFUSED:
            raise OSError(errno.EADDRINUSE, "")
