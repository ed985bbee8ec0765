"""The database: one engine per process, one connection per request, and the ways to use it.

A read is one statement on a connection in autocommit, and so one snapshot; a long list comes from a
server-side cursor, which is a snapshot too; a change is one transaction (`transactions.change`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import sqlalchemy as sa

from sipxconfig_soap import prepared
from sipxconfig_soap.availability import availability
from sipxconfig_soap.errors import Unavailable
from sipxconfig_soap.transactions import change, with_transactions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from sipxconfig_soap.transactions import Receipt

T = TypeVar("T")

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

    def change(
        self,
        work: Callable[[sa.Connection], T],
        receipt: Callable[[T], Receipt | None] | None = None,
    ) -> T:
        """`transactions.change` on a connection of its own."""
        with self.connect() as connection:
            return change(connection, work, receipt)

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
    given_up = False
    try:
        with availability():
            with_transactions(connection)
            with connection.begin():
                options = {"yield_per": PIECE}
                rows = connection.execute(statement, parameters, execution_options=options)
                try:
                    yield from rows
                except GeneratorExit:
                    given_up = True
                    raise
    except Unavailable:
        # That the rest is not there either is nothing to tell.
        if not given_up:
            raise
