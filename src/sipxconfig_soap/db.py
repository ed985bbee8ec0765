"""The database: one engine per process, one connection per request, and the ways to use it.

A read is one statement on a connection in autocommit, and so one snapshot; a long list comes from a
server-side cursor, which is a snapshot too; a change is one transaction that is tried again when it
lost a race, so that the second try meets the winner's rows and says so.
"""

from __future__ import annotations

import random
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import psycopg2
import sqlalchemy as sa
import structlog
from sqlalchemy import exc

from sipxconfig_soap import prepared
from sipxconfig_soap.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

T = TypeVar("T")

_logger = structlog.stdlib.get_logger(__name__)

CONNECT_TIMEOUT = 5
"""Seconds to wait for a connection to be made, or to come free."""

SESSION = {
    # In milliseconds: for a statement, for a row that another transaction holds, and for a
    # transaction whose client does nothing, as a list does that waits for a slow reader.
    "statement_timeout": "60000",
    "lock_timeout": "10000",
    "idle_in_transaction_session_timeout": "600000",
    "timezone": "UTC",
    "jit": "off",
    # Lists are read to their end, so a plan that only begins quickly is none.
    "cursor_tuple_fraction": "1.0",
}
"""Settings of PostgreSQL for every connection of ours."""

PIECE = 500
"""Rows of a list that are fetched at a time."""

ATTEMPTS = 5
"""How often a change is tried when it loses races."""

_LOST_RACES = frozenset({"23503", "23505", "23P01", "40001", "40P01"})
"""SQLSTATEs of a race lost: a foreign key gone, a value taken, a conflict, a deadlock."""

_DEAD = (psycopg2.OperationalError, psycopg2.InterfaceError)
_AWAY = (exc.OperationalError, exc.InterfaceError, exc.TimeoutError, *_DEAD)


class Database:
    """An engine, in two views that share its connections.

    Made in the process that uses it, never before a fork. A request has one connection, in
    autocommit: each statement is a snapshot of its own; `change` and `stream` begin a transaction.

    Args:
        url: of a PostgreSQL database.
        pool_size: connections there are at most, one for each thread.
        prepare_statements: whether statements of every call are planned once for each connection.

    Attributes:
        reads: the engine in autocommit.
        engine: the engine with transactions.
    """

    def __init__(self, url: str, *, pool_size: int = 8, prepare_statements: bool = True) -> None:
        self.reads = sa.create_engine(
            sa.make_url(url).set(drivername="postgresql+psycopg2"),
            isolation_level="AUTOCOMMIT",
            pool_size=pool_size,
            max_overflow=0,
            pool_timeout=CONNECT_TIMEOUT,
            # The one used last has the warmest process at its other end.
            pool_use_lifo=True,
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
            },
        )
        sa.event.listen(self.reads, "connect", _set_up)
        self.engine = self.reads.execution_options(isolation_level="READ COMMITTED")
        if prepare_statements:
            prepared.listen(self.reads)

    def connect(self) -> sa.Connection:
        """A connection in autocommit, to be closed by the caller.

        Raises:
            Unavailable: the database is away, or all connections are in use for too long.
        """
        with availability():
            return self.reads.connect()

    def change(self, work: Callable[[sa.Connection], T]) -> T:
        """`change` on a connection of its own."""
        with self.connect() as connection:
            return change(connection, work)

    def dispose(self) -> None:
        """Close all idle connections."""
        self.reads.dispose()


def _set_up(connection: Any, _record: object) -> None:
    """Set what `SESSION` says on a new connection, by a statement.

    As a parameter of the connection, ``options``, older poolers refuse it.
    """
    before, connection.autocommit = connection.autocommit, True
    with connection.cursor() as cursor:
        cursor.execute("; ".join(f"SET {name} TO {value}" for name, value in SESSION.items()))
    connection.autocommit = before


def change(connection: sa.Connection, work: Callable[[sa.Connection], T]) -> T:
    """Do some work in one transaction; do it again when it loses a race.

    Args:
        connection: in autocommit until now.
        work: gets the connection; is called again after a lost race, on a clean slate.

    Raises:
        Unavailable: the database is away, or it found a deadlock at every try.
    """
    with availability():
        _with_transactions(connection)
        for attempt in range(1, ATTEMPTS):
            try:
                with connection.begin():
                    return work(connection)
            except exc.DBAPIError as error:
                # Only because another one came first.
                if _sqlstate(error) not in _LOST_RACES:
                    raise
            # Two that block each other should not meet again in step.
            time.sleep(random.uniform(0, 0.01 * attempt))  # noqa: S311  no secret
        with connection.begin():
            return work(connection)


def stream(
    connection: sa.Connection, statement: sa.Select[Any], parameters: Mapping[str, Any]
) -> Iterator[sa.Row[Any]]:
    """The rows of an answer of any length, from one snapshot, in bounded memory.

    Args:
        connection: in autocommit until now; not to be used otherwise before the end.
        statement: selects the rows.
        parameters: of the statement.

    Raises:
        Unavailable: the database is away; also while rows are being fetched.
    """
    with availability():
        _with_transactions(connection)
        options = {"stream_results": True, "yield_per": PIECE}
        with connection.begin():
            yield from connection.execute(statement, parameters, execution_options=options)


def _with_transactions(connection: sa.Connection) -> None:
    # Ends what SQLAlchemy calls a transaction though PostgreSQL knows of none.
    connection.commit()
    try:
        connection.execution_options(isolation_level="READ COMMITTED")
    except _DEAD:
        # It has died since it was asked whether it lives; SQLAlchemy does not notice it here.
        connection.invalidate()
        raise


@contextmanager
def availability() -> Iterator[None]:
    """Turn the many faces of a database that is away into `Unavailable`, and log which it was."""
    try:
        yield
    except (exc.DBAPIError, exc.TimeoutError, psycopg2.Error) as error:
        if not isinstance(error, _AWAY) and not getattr(error, "connection_invalidated", False):
            raise
        _logger.warning(
            "database unavailable",
            kind=type(error).__name__,
            sqlstate=_sqlstate(error),
        )
        raise Unavailable from error


def _sqlstate(error: Exception) -> str | None:
    state: str | None = getattr(getattr(error, "orig", error), "pgcode", None)
    return state
