"""The connections that sessions share: at most so many, kept open, the one used last first.

Nobody asks a connection whether it lives before it is used: that would cost a round trip every time
(docs/adr/0006-prepared-readings.md).
"""

from __future__ import annotations

import time
from contextlib import suppress
from queue import Empty, LifoQueue
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from psycopg2.extensions import STATUS_READY

from sipxconfig_soap.prepared import Link

if TYPE_CHECKING:
    from collections.abc import Iterator

CONNECT_TIMEOUT = 5
"""Seconds to wait for a connection to be made, or to come free."""

_LINK = "link"


class NoneFree(Exception):
    """All connections are in use, for longer than one should wait."""


def link_of(connection: sa.Connection) -> Link:
    """The way around SQLAlchemy to the connection of psycopg2."""
    link: Link = connection.info[_LINK]
    return link


def _make_link(driver: Any, record: Any) -> None:
    record.info[_LINK] = Link(driver)


class Connections:
    """What sessions take connections from and give them back to.

    Args:
        engine: makes them.
        size: how many there are at most.
    """

    def __init__(self, engine: sa.Engine, size: int) -> None:
        sa.event.listen(engine, "connect", _make_link)
        self._engine = engine
        self._size = size
        # The one used last has the warmest process at its other end; None is yet to be made.
        self._idle: LifoQueue[sa.Connection | None] = LifoQueue()
        for _ in range(size):
            self._idle.put(None)
        self._suspected = 0.0

    @property
    def in_use(self) -> int:
        """How many sessions hold at this moment; tests look whether all came back."""
        return self._size - self._idle.qsize()

    def take(self) -> sa.Connection:
        """A connection outside of any transaction; it may have died while nobody used it.

        Raises:
            NoneFree: all are in use.
            sqlalchemy.exc.OperationalError: no new one can be made.
        """
        try:
            held = self._idle.get(timeout=CONNECT_TIMEOUT)
        except Empty as error:
            raise NoneFree from error
        if held is not None and link_of(held).made > self._suspected:
            return held
        try:
            _end(held)
            return self._engine.connect()
        except BaseException:
            self._idle.put(None)
            raise

    def give_back(self, held: sa.Connection) -> None:
        """Keep a connection for the next session, if it is in order."""
        link = None if held.invalidated or held.in_transaction() else link_of(held)
        if link and link.sound and not link.driver.closed and link.driver.status == STATUS_READY:
            self._idle.put(held)
            return
        try:
            _end(held)
        finally:
            self._idle.put(None)

    def suspect(self) -> None:
        """Have all connections that exist now replaced before they are used again."""
        self._suspected = time.monotonic()

    def dispose(self) -> None:
        """Close all idle connections."""
        for held in list(self._all_idle()):
            try:
                _end(held)
            finally:
                self._idle.put(None)

    def _all_idle(self) -> Iterator[sa.Connection | None]:
        with suppress(Empty):
            while True:
                yield self._idle.get_nowait()


def _end(held: sa.Connection | None) -> None:
    """Close a connection, whatever it is in the middle of."""
    if held is not None:
        held.invalidate()
        held.close()
