"""The connections that sessions share: at most so many, kept open, the one used last first.

Nobody asks a connection whether it lives before it is used: that would cost a round trip every time
(docs/adr/0006-prepared-readings.md).
"""

from __future__ import annotations

import codecs
import time
from contextlib import suppress
from json import JSONDecoder
from threading import Condition
from typing import Any, NamedTuple

import sqlalchemy as sa
from psycopg2.extensions import STATUS_READY, encodings, new_type, register_type

from sipxconfig_soap.prepared import Link

CONNECT_TIMEOUT = 5
"""Seconds to wait for a connection to be made, or to come free."""

_LINK = "link"

_UTF8 = "sipxconfig_utf8"


class NoneFree(Exception):
    """All connections are in use, for longer than one should wait."""


class Held(NamedTuple):
    """A connection, and the way around SQLAlchemy to that of psycopg2."""

    connection: sa.Connection
    link: Link


def link_of(connection: sa.Connection) -> Link:
    """The way around SQLAlchemy to a connection of psycopg2."""
    link: Link = connection.info[_LINK]
    return link


def _make_link(driver: Any, record: Any) -> None:
    record.info[_LINK] = Link(driver)
    register_type(_JSON, driver)


# PostgreSQL sends nothing but the value, so the looks around it can be spared.
_read = JSONDecoder().raw_decode


def _read_json(text: str | None, _cursor: object) -> Any:
    return None if text is None else _read(text)[0]


_JSON_OID = 114
_JSON = new_type((_JSON_OID,), "JSON", _read_json)


def _find_codec(name: str) -> codecs.CodecInfo | None:
    return codecs.CodecInfo(codecs.utf_8_encode, codecs.utf_8_decode) if name == _UTF8 else None


# psycopg2 has Python decode the name of every column of every answer, and the usual codec is a
# function of Python.
codecs.register(_find_codec)
encodings["UTF8"] = _UTF8


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
        self._idle: list[Held | None] = [None] * size
        self._freed = Condition()
        self._waiting = 0
        self._suspected = 0.0

    @property
    def in_use(self) -> int:
        """How many sessions hold at this moment; tests look whether all came back."""
        return self._size - len(self._idle)

    def take(self) -> Held:
        """A connection outside of any transaction; it may have died while nobody used it.

        Raises:
            NoneFree: all are in use.
            sqlalchemy.exc.OperationalError: no new one can be made.
        """
        try:
            held = self._idle.pop()
        except IndexError:
            held = self._wait()
        if held is not None and held.link.made > self._suspected:
            return held
        try:
            _end(held)
            connection = self._engine.connect()
            return Held(connection, link_of(connection))
        except BaseException:
            self._put(None)
            raise

    def give_back(self, held: Held) -> None:
        """Keep a connection for the next session, if it is in order."""
        driver = held.link.driver
        busy = driver.closed or driver.status != STATUS_READY or held.connection.in_transaction()
        if held.link.sound and not busy:
            self._put(held)
            return
        try:
            _end(held)
        finally:
            self._put(None)

    def suspect(self) -> None:
        """Have all connections that exist now replaced before they are used again."""
        self._suspected = time.monotonic()

    def dispose(self) -> None:
        """Close all idle connections."""
        idle = []
        with suppress(IndexError):
            while True:
                idle.append(self._idle.pop())
        for held in idle:
            try:
                _end(held)
            finally:
                self._put(None)

    def _put(self, held: Held | None) -> None:
        self._idle.append(held)
        # Who begins to wait counts first and looks then, so that one of both sees the other.
        if self._waiting:
            with self._freed:
                self._freed.notify()

    def _wait(self) -> Held | None:
        """One that comes free soon."""
        found: list[Held | None] = []

        def take() -> bool:
            try:
                found.append(self._idle.pop())
            except IndexError:
                return False
            return True

        with self._freed:
            self._waiting += 1
            try:
                if not self._freed.wait_for(take, CONNECT_TIMEOUT):
                    raise NoneFree
            finally:
                self._waiting -= 1
        return found[0]


def _end(held: Held | None) -> None:
    """Close a connection, whatever it is in the middle of."""
    if held is not None:
        held.connection.invalidate()
        held.connection.close()
