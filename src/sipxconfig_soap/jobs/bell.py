"""Waking a worker: a bell that other threads can ring, and PostgreSQL's notifications."""

from __future__ import annotations

import secrets
import select
import socket
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self

import sqlalchemy as sa

from sipxconfig_soap.domain.jobs import CHANNEL

if TYPE_CHECKING:
    from types import TracebackType

    from sipxconfig_soap.db import Database


class Bell:
    """Wakes a sleeping thread from another one."""

    def __init__(self) -> None:
        self._ear, self._clapper = socket.socketpair()
        self._ear.settimeout(0.0)
        self._clapper.settimeout(0.0)

    def fileno(self) -> int:
        """What is readable when it has been rung."""
        return self._ear.fileno()

    def ring(self) -> None:
        """Wake the sleeper, or keep it from falling asleep; from whatever thread."""
        # It may have been rung so often that it cannot be missed.
        with suppress(BlockingIOError):
            self._clapper.send(b"!")

    def hush(self) -> None:
        """Forget that it was rung."""
        with suppress(BlockingIOError):
            while self._ear.recv(1024):
                pass

    def close(self) -> None:
        """Take it down; nobody may ring it afterwards."""
        self._ear.close()
        self._clapper.close()


class Listener:
    """A connection that hears of new jobs, and says that this worker lives; a context manager.

    Attributes:
        worker: the key of this worker's advisory lock, new for every connection.
    """

    def __init__(self, database: Database, bell: Bell) -> None:
        self._bell = bell
        self.worker = secrets.randbits(62)
        self._turns: set[int] = set()
        self._connection = database.connect()
        try:
            self._connection.execute(sa.select(sa.func.pg_advisory_lock(self.worker)))
            self._connection.exec_driver_sql(f"LISTEN {CHANNEL}")
        except BaseException:
            self.close()
            raise

    def take_turn(self, key: int) -> bool:
        """Try to hold an advisory lock that one worker may have; whether it is new to this one."""
        if key in self._turns:
            return False
        free = sa.select(sa.func.pg_try_advisory_lock(key))
        if not self._connection.execute(free).scalar():
            return False
        self._turns.add(key)
        return True

    def has_turn(self, key: int) -> bool:
        """Whether this worker holds a lock that it took."""
        return key in self._turns

    def wait(self, seconds: float) -> None:
        """Sleep until somebody rings or PostgreSQL notifies, ``seconds`` at most.

        Raises:
            psycopg2.Error: the connection is gone.
        """
        connection = self._driver()
        if not connection.notifies:
            select.select([connection, self._bell], [], [], max(0.0, seconds))
        connection.poll()
        connection.notifies.clear()
        self._bell.hush()

    def check(self) -> None:
        """See whether others know still that this worker lives, without asking anybody.

        Raises:
            psycopg2.Error: the connection is gone, and the locks with it.
        """
        # The first look may read no more than PostgreSQL's farewell; the second sees the end.
        for _ in range(2):
            self._driver().poll()

    def _driver(self) -> Any:
        """The connection of psycopg2."""
        return self._connection.connection.driver_connection

    def close(self) -> None:
        """Stop listening; the locks go with the connection."""
        # It has listened and holds locks, so nobody else should get it from the pool.
        self._connection.invalidate()
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
