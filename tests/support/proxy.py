"""A proxy before PostgreSQL that cuts connections at COMMIT, when a test says so."""

from __future__ import annotations

import select
import socket
import struct
import threading
import time
from contextlib import contextmanager, suppress
from enum import Enum
from typing import TYPE_CHECKING

import sqlalchemy as sa

if TYPE_CHECKING:
    from collections.abc import Iterator

COMMIT = b"COMMIT"


class Cut(Enum):
    """Where a connection is cut."""

    BEFORE = "COMMIT does not reach the server, which notices that its client is gone"
    UNNOTICED = "COMMIT does not reach the server, which waits for it"
    AFTER = "COMMIT reaches the server, and both sides are cut at once"
    LATE = "COMMIT reaches the server some time after the client has been cut"
    ANSWER = "the server answers, and the client does not hear it"


class Proxy:
    """Passes everything on, but for what `cut` says.

    Attributes:
        url: of the database behind it.
        cuts: what happens to the next COMMITs, one for each.
        made: the cuts that were made.
        closed: whether new connections are refused; those that are there go on.
        only: a text; only COMMITs are cut of transactions in which it was sent. None for all.
    """

    def __init__(self, behind: str, delay: float = 0.02) -> None:
        url = sa.make_url(behind)
        self._socket = f"{url.query['host']}/.s.PGSQL.5432"
        self._delay = delay
        self._listener = socket.create_server(("127.0.0.1", 0))
        port = self._listener.getsockname()[1]
        self.url = url.set(host="127.0.0.1", port=port, query={}).render_as_string(
            hide_password=False
        )
        self.cuts: list[Cut] = []
        self.made: list[Cut] = []
        self.closed = False
        self.only: bytes | None = None
        self._kept: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                if self.closed:
                    client.close()
                    continue
                server = socket.socket(socket.AF_UNIX)
                server.connect(self._socket)
                threading.Thread(target=self._pass_on, args=(client, server), daemon=True).start()

    def _pass_on(self, client: socket.socket, server: socket.socket) -> None:
        with client, server, suppress(OSError):
            sent = b""
            while True:
                readable, _, _ = select.select([client, server], [], [])
                if server in readable:
                    data = server.recv(65536)
                    if not data:
                        return
                    client.sendall(data)
                if client in readable:
                    data = client.recv(65536)
                    if not data:
                        return
                    meant = self.only is None or self.only in sent
                    sent = b"" if is_commit(data) else sent + data
                    if is_commit(data) and meant and self.cuts:
                        self._cut(self.cuts.pop(0), client, server, data)
                        return
                    server.sendall(data)

    def _cut(self, cut: Cut, client: socket.socket, server: socket.socket, data: bytes) -> None:
        self.made.append(cut)
        if cut is Cut.UNNOTICED:
            self._kept.append(server.dup())
        if cut is Cut.LATE:
            hang_up(client)
            time.sleep(self._delay)
        if cut in (Cut.AFTER, Cut.LATE, Cut.ANSWER):
            server.sendall(data)
        if cut is Cut.ANSWER:
            server.recv(65536)

    def close(self) -> None:
        hang_up(self._listener)
        for each in self._kept:
            each.close()


def hang_up(sock: socket.socket) -> None:
    """Close a connection now, whoever else is waiting for it."""
    with suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)
    sock.close()


def is_commit(data: bytes) -> bool:
    """Whether this is the message that ends a transaction: a simple query of that word."""
    return data == b"Q" + struct.pack("!I", 4 + len(COMMIT) + 1) + COMMIT + b"\0"


@contextmanager
def cutting_proxy(behind: str, delay: float = 0.02) -> Iterator[Proxy]:
    """A proxy before this database, as long as the context lasts.

    Args:
        behind: URL of a database whose server listens on a Unix socket.
        delay: seconds by which a late COMMIT is late.
    """
    proxy = Proxy(behind, delay)
    try:
        yield proxy
    finally:
        proxy.close()
