"""The database: one engine per process, one session per request.

A session holds one connection, taken on first use. A short read is one statement without a
transaction of its own, a long one a cursor, so each is one snapshot; changes run in one transaction
that is tried again when it lost a race, so that the second try meets the winner's rows and says so.

What runs at every request is prepared (`sipxconfig_soap.prepared`) and goes to psycopg2 directly;
SQLAlchemy makes connections and runs the statements whose shape depends on the request.
"""

from __future__ import annotations

import logging
import random
import time
from typing import TYPE_CHECKING, Any, Self, TypeVar

import psycopg2
import sqlalchemy as sa
from sqlalchemy import exc

from sipxconfig_soap import logs
from sipxconfig_soap.connections import CONNECT_TIMEOUT, Connections, NoneFree
from sipxconfig_soap.errors import Unavailable
from sipxconfig_soap.prepared import OUTDATED, SHORT, Prepared, run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from types import TracebackType

    from sipxconfig_soap.connections import Held
    from sipxconfig_soap.prepared import Link, Reading, Step

T = TypeVar("T")

logger = logging.getLogger(__name__)

STATEMENT_TIMEOUT = 60_000
"""Milliseconds after which PostgreSQL gives up a statement."""

LOCK_TIMEOUT = 10_000
"""Milliseconds a statement waits for a row that another transaction holds."""

IDLE_TIMEOUT = 600_000
"""Milliseconds after which PostgreSQL ends a transaction whose client does nothing.

A list that is being sent to a slow reader waits inside its transaction; who reads too slowly is let
go by the server (`sipxconfig_soap.gunicorn_socket`), which takes less for all but enormous rows.
"""

ATTEMPTS = 5
"""How often a change is tried when it loses races."""

_LOST_RACES = frozenset({"23503", "23505", "23P01", "40001", "40P01"})
"""SQLSTATEs of a race lost: a foreign key gone, a value taken, a conflict, a deadlock."""


def normalise_url(url: str) -> sa.URL:
    """Read a database URL; one without a driver means psycopg2.

    Raises:
        ValueError: it is no URL of a PostgreSQL database.
    """
    try:
        parsed = sa.make_url(url)
    except exc.ArgumentError:
        raise ValueError("not a database URL (postgresql://user@host/database)") from None
    if parsed.drivername in ("postgresql", "postgres"):
        parsed = parsed.set(drivername="postgresql+psycopg2")
    if parsed.drivername != "postgresql+psycopg2":
        raise ValueError(f"'{parsed.drivername}' is not PostgreSQL (postgresql://…)")
    return parsed


_BROKEN = (
    exc.OperationalError,
    exc.InterfaceError,
    psycopg2.OperationalError,
    psycopg2.InterfaceError,
)
_AWAY = (*_BROKEN, NoneFree)


def _unavailable(error: BaseException) -> Unavailable:
    """Log one of the many faces of a database that is away; what to raise from it."""
    # Ending the transaction on a dead connection fails too, and says less.
    cause = error.__context__ if _state(error) is None else None
    state = _state(error) or (_state(cause) if cause else None)
    kind = type(error).__name__
    logs.event(logger, logging.WARNING, "database unavailable", kind=kind, sqlstate=state)
    return Unavailable()


class _Availability:
    """Turns what `_unavailable` knows into `Unavailable`; a context manager."""

    def __enter__(self) -> None:
        pass

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        if isinstance(error, _AWAY):
            raise _unavailable(error) from error


_availability = _Availability()


def _state(error: BaseException) -> str | None:
    """The SQLSTATE of an error of psycopg2, also inside one of SQLAlchemy; None for none."""
    state: str | None = getattr(getattr(error, "orig", error), "pgcode", None)
    return state


class Database:
    """An engine, and the connections that sessions share.

    Made in the process that uses it, never before a fork.

    Attributes:
        engine: of SQLAlchemy; whoever uses it directly gets a connection beside those of sessions.
        connections: those of sessions.
    """

    def __init__(self, url: str, *, pool_size: int = 8) -> None:
        """Prepare for at most ``pool_size`` sessions at once; no connection is made yet."""
        self.engine = sa.create_engine(
            normalise_url(url),
            # Sessions keep theirs, which are counted there.
            pool_size=1,
            max_overflow=-1,
            pool_pre_ping=True,
            hide_parameters=True,
            connect_args={
                "connect_timeout": CONNECT_TIMEOUT,
                # A host that vanished is noticed within a minute, also by who only listens.
                "keepalives_idle": 30,
                "keepalives_interval": 10,
                "keepalives_count": 3,
                "tcp_user_timeout": 30_000,
                "application_name": "sipxconfig-soap",
                "client_encoding": "utf8",
                "options": (
                    f"-c statement_timeout={STATEMENT_TIMEOUT} -c lock_timeout={LOCK_TIMEOUT}"
                    f" -c idle_in_transaction_session_timeout={IDLE_TIMEOUT}"
                    " -c timezone=UTC -c jit=off"
                ),
            },
        )
        self.connections = Connections(self.engine, pool_size)

    def session(self) -> Session:
        """A session for one request; a context manager."""
        return Session(self.connections)

    def dispose(self) -> None:
        """Close all idle connections."""
        self.connections.dispose()
        self.engine.dispose()


class Session:
    """One request's hold on one connection."""

    __slots__ = ("_connections", "_held", "_used")

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._held: Held | None = None
        self._used = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the connection back; whatever it was in the middle of is rolled back."""
        if self._held is not None:
            held, self._held = self._held, None
            self._connections.give_back(held)

    def fetch(self, prepared: Prepared, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """All rows of an answer that is known to be small, in one round trip.

        Raises:
            Unavailable: the database is away.
        """
        try:
            return self._run(prepared.with_values(values))
        except _AWAY as error:
            raise _unavailable(error) from error

    def _run(self, step: Step) -> list[tuple[Any, ...]]:
        """Run a statement on a connection that lives."""
        link = self._link(autocommit=True)
        try:
            rows = run(link, step)
        except (*_BROKEN, *OUTDATED):
            if self._used or (link.sound and not link.driver.closed):
                raise
            # It died while nobody used it, or its plans did, and so may those of others have:
            # PostgreSQL was restarted, or its schema changed.
            self._connections.suspect()
            self.close()
            rows = run(self._link(autocommit=True), step)
        self._used = True
        return rows

    def rows(self, reading: Reading, values: Mapping[str, Any]) -> Iterable[tuple[Any, ...]]:
        """The rows of an answer of any length, from one snapshot, in bounded memory.

        Raises:
            Unavailable: the database is away; also while rows are being fetched.
        """
        if not reading.is_long:
            rows = self.fetch(reading.short, values)
            if len(rows) <= SHORT:
                return rows
            reading.is_long = True
        return self._stream(reading, values)

    def _stream(self, reading: Reading, values: Mapping[str, Any]) -> Iterator[tuple[Any, ...]]:
        """The rows as they are asked for: a server-side cursor, which is a snapshot."""
        with _availability:
            driver = self._link(autocommit=False).driver
            try:
                with driver.cursor("answer") as cursor:
                    reading.long.run(cursor, values)
                    rows = cursor.fetchmany(SHORT)
                    reading.is_long = len(rows) == SHORT
                    while rows:
                        yield from rows
                        rows = cursor.fetchmany(SHORT) if len(rows) == SHORT else ()
            finally:
                if not driver.closed:
                    driver.rollback()

    def write(self, work: Callable[[sa.Connection], T]) -> T:
        """Do some work in one transaction; do it again when it loses a race.

        Args:
            work: gets the connection; is called again after a lost race, on a clean slate.

        Raises:
            Unavailable: the database is away, or it found a deadlock at every try.
        """
        with _availability:
            if not self._used:
                # Only what has changed nothing can be done again on another connection.
                self.fetch(_NOTHING, {})
            self._link(autocommit=False)
            connection = self._take().connection
            for attempt in range(1, ATTEMPTS + 1):
                try:
                    with connection.begin():
                        return work(connection)
                except (exc.DBAPIError, psycopg2.Error) as error:
                    # Only because another one came first.
                    if attempt == ATTEMPTS or _state(error) not in _LOST_RACES:
                        raise
                # Two that block each other should not meet again in step.
                time.sleep(random.uniform(0, 0.01 * attempt))  # noqa: S311  no secret
        raise Unavailable

    def _take(self) -> Held:
        """The connection; another one when it has broken."""
        held = self._held
        if held is not None:
            if not held.link.driver.closed:
                return held
            self.close()
        self._held = held = self._connections.take()
        return held

    def _link(self, *, autocommit: bool) -> Link:
        """The connection of psycopg2, outside of any transaction.

        Autocommit is a flag of psycopg2, which changes it without asking the server.
        SQLAlchemy's isolation levels would cost a round trip at either end of a session.
        """
        link = self._take().link
        if link.driver.autocommit != autocommit:
            link.driver.autocommit = autocommit
        return link


_NOTHING = Prepared(sa.select(sa.literal_column("1")))
"""Finds out whether a connection is alive."""
