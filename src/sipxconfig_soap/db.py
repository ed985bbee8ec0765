"""The database: one engine per process, one session per request.

A session holds one pooled connection, taken on first use. Reads run without a transaction of their
own (each is one statement, so one snapshot); changes run in one transaction that is tried again
when it lost a race, so that the second try meets the winner's rows and says so.
"""

from __future__ import annotations

import logging
import random
import time
from contextlib import contextmanager
from itertools import count
from typing import TYPE_CHECKING, Any, Self, TypeVar

import psycopg2
import sqlalchemy as sa
from sqlalchemy import exc
from sqlalchemy.dialects import postgresql

from sipxconfig_soap import logs
from sipxconfig_soap.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from types import TracebackType

T = TypeVar("T")

logger = logging.getLogger(__name__)

STATEMENT_TIMEOUT = 60_000
"""Milliseconds after which PostgreSQL gives up a statement."""

LOCK_TIMEOUT = 10_000
"""Milliseconds a statement waits for a row that another transaction holds."""

IDLE_TIMEOUT = 120_000
"""Milliseconds after which PostgreSQL ends a transaction whose client does nothing.

A list that is being sent to a slow reader waits inside its transaction.
"""

CONNECT_TIMEOUT = 5
"""Seconds to wait for a connection to be made, or to come free in the pool."""

ATTEMPTS = 5
"""How often a change is tried when it loses races."""

STREAM_ROWS = 500
"""Rows that a list fetches at a time."""

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


_AWAY = (
    exc.OperationalError,
    exc.InterfaceError,
    psycopg2.OperationalError,
    psycopg2.InterfaceError,
)


@contextmanager
def _availability() -> Iterator[None]:
    """Turn the many faces of a database that is away into `Unavailable`."""
    try:
        yield
    except (*_AWAY, exc.TimeoutError) as error:
        diagnosis = getattr(getattr(error, "orig", None), "diag", None)
        state = getattr(diagnosis, "sqlstate", None)
        kind = type(error).__name__
        logs.event(logger, logging.WARNING, "database unavailable", kind=kind, sqlstate=state)
        raise Unavailable from error


class Reading:
    """A reading statement, compiled once and planned once for each connection.

    Args:
        statement: with named parameters for what differs from call to call.
    """

    _numbers = count(1)

    def __init__(self, statement: sa.Select[Any]) -> None:
        self.statement = statement
        self._name = f"reading_{next(self._numbers)}"
        dialect = postgresql.dialect(paramstyle="numeric_dollar")  # type: ignore[no-untyped-call]
        compiled = statement.compile(dialect=dialect)
        self._constants = compiled.params
        self._order = tuple(compiled.positiontup or ())
        self._sql = f"PREPARE {self._name} AS {compiled}"
        marks = ", ".join(["%s"] * len(self._order))
        self._execute = f"EXECUTE {self._name} ({marks})" if marks else f"EXECUTE {self._name}"

    def run(self, connection: Any, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """All rows, from a connection of psycopg2 as the pool lends it."""
        with connection.cursor() as cursor:
            if self._name not in connection.info:
                cursor.execute(self._sql)
                connection.info[self._name] = True
            known = self._constants | values
            cursor.execute(self._execute, [known[name] for name in self._order])
            rows: list[tuple[Any, ...]] = cursor.fetchall()
            return rows


class Database:
    """An engine and its pool; made in the process that uses it, never before a fork."""

    def __init__(self, url: str, *, pool_size: int = 8) -> None:
        """Prepare a pool of at most ``pool_size`` connections; none is made yet."""
        self.engine = sa.create_engine(
            normalise_url(url),
            pool_size=pool_size,
            max_overflow=0,
            pool_timeout=CONNECT_TIMEOUT,
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

        sa.event.listen(self.engine, "checkin", _end_autocommit)

    def session(self) -> Session:
        """A session for one request; a context manager."""
        return Session(self.engine)

    def dispose(self) -> None:
        """Close all idle connections."""
        self.engine.dispose()


class Session:
    """One request's hold on one connection."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._held: sa.Connection | None = None

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
            held.close()

    def read(self) -> sa.Connection:
        """The connection, each statement by itself.

        Raises:
            Unavailable: the database is away.
        """
        return self._connection(autocommit=True)

    def fetch(
        self, reading: Reading, parameters: Mapping[str, Any] | None = None
    ) -> list[tuple[Any, ...]]:
        """All rows of an answer that is known to be small, in one round trip.

        Raises:
            Unavailable: the database is away.
        """
        with _availability():
            return reading.run(self.read().connection, parameters or {})

    def stream(
        self, reading: Reading, parameters: Mapping[str, Any] | None = None
    ) -> Iterator[sa.Row[Any]]:
        """The rows of an answer as they are asked for, however many: a server-side cursor.

        Raises:
            Unavailable: the database is away; also while rows are being fetched.
        """
        with _availability():
            connection = self._connection(autocommit=False)
            with connection.begin():
                options = {"stream_results": True, "yield_per": STREAM_ROWS}
                yield from connection.execute(
                    reading.statement, parameters, execution_options=options
                )

    def write(self, work: Callable[[sa.Connection], T]) -> T:
        """Do some work in one transaction; do it again when it loses a race.

        Args:
            work: gets the connection; is called again after a lost race, on a clean slate.

        Raises:
            Unavailable: the database is away, or it found a deadlock at every try.
        """
        with _availability():
            connection = self._connection(autocommit=False)
            for attempt in count(1):
                try:
                    with connection.begin():
                        return work(connection)
                except exc.DBAPIError as error:
                    if attempt == ATTEMPTS or not _lost_race(error):
                        raise
                # Two that block each other should not meet again in step.
                time.sleep(random.uniform(0, 0.01 * attempt))  # noqa: S311  no secret
        raise Unavailable

    def _connection(self, *, autocommit: bool) -> sa.Connection:
        """The connection, outside of any transaction.

        Autocommit is a flag of psycopg2, which changes it without asking the server.
        SQLAlchemy's isolation levels would cost a round trip at either end of a session.
        """
        with _availability():
            if self._held is None:
                self._held = self._engine.connect()
            self._held.rollback()
            driver: Any = self._held.connection.driver_connection
            driver.autocommit = autocommit
            return self._held


def _end_autocommit(driver: Any, _record: object) -> None:
    """Give a connection back to the pool as whoever takes it next expects it."""
    if driver is not None and not driver.closed:
        driver.autocommit = False


def _lost_race(error: exc.DBAPIError) -> bool:
    """Whether a change failed only because another one came first."""
    return getattr(error.orig, "pgcode", None) in _LOST_RACES and not error.connection_invalidated
