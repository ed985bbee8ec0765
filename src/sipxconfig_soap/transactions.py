"""Changes: one transaction each, tried again after a lost race, and never of an unknown outcome.

A connection can die inside COMMIT. Then only PostgreSQL knows whether the change is there, and it
is asked on a new connection. So who changes something may say with a `Receipt` how to find that
out.
"""

from __future__ import annotations

import random
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import psycopg2
import sqlalchemy as sa
import structlog
from sqlalchemy import exc

from sipxconfig_soap.availability import DEAD, availability, described, sqlstate
from sipxconfig_soap.errors import OutcomeUnknown

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

_logger = structlog.stdlib.get_logger(__name__)

ATTEMPTS = 5
"""How often a change is tried when it loses races."""

OUTCOME_SECONDS = 20.0
"""How long PostgreSQL is asked what became of a change, and waited for while it is away."""

PATIENCE_SECONDS = 1.0
"""How long a COMMIT that was sent may take to arrive; after this it will not."""

LONGEST_PAUSE = 0.5
"""Seconds between two questions; the first follow each other faster."""

_LOST_RACES = frozenset({"23503", "23505", "23P01", "40001", "40P01"})
"""SQLSTATEs of a race lost: a foreign key gone, a value taken, a conflict, a deadlock."""

_NEVER_SEEN = "22023"
"""SQLSTATE when a transaction's id is greater than any: a crash has undone it with its id."""

_STATUS = sa.text("SELECT pg_xact_status(CAST(:id AS xid8))")
_END_IF_IDLE = sa.text(
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE backend_xid = CAST(CAST(:id AS xid8) AS xid) AND state LIKE 'idle in transaction%'"
)


class Receipt(NamedTuple):
    """How to find out later whether a transaction was committed.

    Attributes:
        transaction: its id, an ``xid8`` of PostgreSQL.
        trace: finds a row that this transaction wrote and no other can have written. The id alone
            is no proof: after a crash another transaction may be given the same one.
    """

    transaction: str
    trace: sa.Select[Any]


class _LostInCommit(Exception):
    """The connection died inside COMMIT."""

    def __init__(self, result: Any, receipt: Receipt, error: exc.DBAPIError) -> None:
        super().__init__("the connection died inside COMMIT")
        self.result = result
        self.receipt = receipt
        self.error = error


def change(
    connection: sa.Connection,
    work: Callable[[sa.Connection], T],
    receipt: Callable[[T], Receipt | None] | None = None,
) -> T:
    """Do some work in one transaction; do it again when it loses a race.

    Args:
        connection: in autocommit until now; has transactions from then on.
        work: gets the connection; is called again after a lost race, on a clean slate.
        receipt: takes the receipt out of what the work returned. With it the work is known to have
            been done or not, even if the connection dies inside COMMIT: then it is done again if
            it has not been. It may find none where the work has changed nothing.

    Raises:
        Unavailable: the database is away, or it found a deadlock at every try; nothing is changed
            unless there is no receipt.
        OutcomeUnknown: the connection died inside COMMIT, and PostgreSQL stayed away.
    """
    with availability():
        with_transactions(connection)
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return _once(connection, work, receipt)
            except _LostInCommit as lost:
                if _is_there(connection, lost):
                    result: T = lost.result
                    return result
                if attempt == ATTEMPTS:
                    raise lost.error from None
                with_transactions(connection)
            except exc.DBAPIError as error:
                # Only because another one came first.
                if not is_lost_race(error) or attempt == ATTEMPTS:
                    raise
            # Two that block each other should not meet again in step.
            time.sleep(random.uniform(0, 0.01 * attempt))  # noqa: S311  no secret
    raise AssertionError("the last attempt ends the loop")  # pragma: no cover


def commit(connection: sa.Connection, receipt: Receipt) -> None:
    """Commit a change that is too large to be made a second time.

    Args:
        connection: in the transaction.
        receipt: with which it is found out what became of it if the connection dies meanwhile.

    Raises:
        Unavailable: the database is away; nothing is changed.
        OutcomeUnknown: the connection died inside COMMIT, and PostgreSQL stayed away.
    """
    with availability():
        try:
            connection.commit()
        except exc.DBAPIError as error:
            if not error.connection_invalidated:
                raise
            # Of the transaction that went with the connection; a new one is asked.
            connection.rollback()
            if not _is_there(connection, _LostInCommit(None, receipt, error)):
                raise


def is_lost_race(error: BaseException) -> bool:
    """Whether an error means only that another change came first."""
    return sqlstate(error) in _LOST_RACES


def with_transactions(connection: sa.Connection) -> None:
    """Let a connection that was in autocommit until now have transactions."""
    _set_isolation(connection, "READ COMMITTED")


def without_transactions(connection: sa.Connection) -> None:
    """Let each statement of a connection that had transactions be for itself again.

    Raises:
        Unavailable: the database is away.
    """
    with availability():
        _set_isolation(connection, "AUTOCOMMIT")


def _set_isolation(connection: sa.Connection, level: Any) -> None:
    # Ends what SQLAlchemy calls a transaction though PostgreSQL knows of none.
    connection.commit()
    try:
        connection.execution_options(isolation_level=level)
    except DEAD:
        # It has died since it was asked whether it lives; SQLAlchemy does not notice it here.
        connection.invalidate()
        raise


def _once(
    connection: sa.Connection,
    work: Callable[[sa.Connection], T],
    receipt: Callable[[T], Receipt | None] | None,
) -> T:
    returned = False
    try:
        with connection.begin():
            result = work(connection)
            returned = True
    except exc.DBAPIError as error:
        # On a connection that lives, an error of COMMIT means that there was none.
        if not returned or receipt is None or not error.connection_invalidated:
            raise
        found = receipt(result)
        if found is None:
            raise
        raise _LostInCommit(result, found, error) from error
    return result


def _is_there(connection: sa.Connection, lost: _LostInCommit) -> bool:
    """Whether a change is there whose connection died inside COMMIT; asks on a new connection.

    Raises:
        OutcomeUnknown: PostgreSQL stayed away, or was not done with it in time.
    """
    started, pause = time.monotonic(), 0.01
    outcome, reason = "unknown", described(lost.error)
    try:
        while time.monotonic() - started < OUTCOME_SECONDS:
            try:
                waited = time.monotonic() - started > PATIENCE_SECONDS
                if _has_ended(connection, lost.receipt.transaction, end=waited):
                    there = connection.execute(lost.receipt.trace).first() is not None
                    outcome = "done" if there else "nothing changed"
                    return there
            except (exc.DBAPIError, exc.TimeoutError, psycopg2.Error) as error:
                reason = described(error)
                # What is left of the connection must not be in the way of the next.
                with suppress(exc.DBAPIError):
                    connection.rollback()
            time.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)
        raise OutcomeUnknown from lost.error
    finally:
        _logger.warning("connection lost in commit", outcome=outcome, **reason)


def _has_ended(connection: sa.Connection, transaction: str, *, end: bool) -> bool:
    """Whether a transaction is over, one way or the other.

    Args:
        connection: the dead one, which is replaced now, or its successor.
        transaction: its id.
        end: whether to end it when its COMMIT has not arrived.
    """
    # Each statement is to see what has just been committed.
    _set_isolation(connection, "AUTOCOMMIT")
    try:
        status = connection.scalar(_STATUS, {"id": transaction})
    except exc.DBAPIError as error:
        if sqlstate(error) != _NEVER_SEEN:
            raise
        connection.rollback()
        return True
    if status == "in progress" and end:
        connection.execute(_END_IF_IDLE, {"id": transaction})
    return bool(status != "in progress")
