"""The audit log: who changed what, when, from where, and how it ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import sqlalchemy as sa

from sipxconfig_soap.domain.tables import identity, metadata, one_of, text
from sipxconfig_soap.transactions import Receipt

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime

DONE, REFUSED, FAILED = "done", "refused", "failed"

audit_log = sa.Table(
    "audit_log",
    metadata,
    identity(),
    sa.Column("time", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
    text("administrator", nullable=False),
    text("address", nullable=False),
    text("service", nullable=False),
    text("operation", nullable=False),
    sa.Column("entities", sa.ARRAY(sa.Text), nullable=False),
    text("outcome", nullable=False),
    one_of("outcome", (DONE, REFUSED, FAILED), "outcome"),
    sa.Index(None, "time"),
)


class Entry(NamedTuple):
    """One change, or the attempt at one.

    Attributes:
        administrator: userName of who called.
        address: of the client.
        service: name of the service.
        operation: name of the operation.
        entities: names of the entities that were changed; never secrets.
        outcome: one of the three above.
    """

    administrator: str
    address: str
    service: str
    operation: str
    entities: Sequence[str]
    outcome: str


_RECORD = audit_log.insert().returning(
    sa.cast(sa.func.pg_current_xact_id(), sa.Text), audit_log.c.id, audit_log.c.time
)


def record(connection: sa.Connection, entry: Entry) -> Receipt:
    """Write an entry, in the transaction of the change; the entry tells later if that was done."""
    transaction, number, when = connection.execute(_RECORD, entry._asdict()).one()
    # A crash may let another entry have the same number, but not at the same microsecond.
    mine = (audit_log.c.id == number) & (audit_log.c.time == when)
    return Receipt(transaction, sa.select(audit_log.c.id).where(mine))


def record_local(connection: sa.Connection, operation: str, entities: Sequence[str]) -> Receipt:
    """Like `record`, of a change that is made from the command line."""
    where_from = {"administrator": "-", "address": "local", "service": "command line"}
    entry = Entry(**where_from, operation=operation, entities=entities, outcome=DONE)
    return record(connection, entry)


def list_entries(
    connection: sa.Connection,
    *,
    since: datetime | None = None,
    user: str | None = None,
    limit: int = 100,
) -> Iterator[sa.Row[Any]]:
    """The newest entries, oldest of them first.

    Args:
        connection: to the database.
        since: only entries from this time on.
        user: only changes by this administrator.
        limit: how many at most.
    """
    newest = newest_entries(connection, Chosen(since, user=user), limit=limit, names=None)
    return iter(newest[::-1])


class Chosen(NamedTuple):
    """Which entries are wanted; what is None does not matter.

    Attributes:
        since: from this time on.
        until: before this time.
        user: changes by this administrator.
        service: by operations of this service.
        operation: by operations of this name.
        before: older than the entry with this id.
    """

    since: datetime | None = None
    until: datetime | None = None
    user: str | None = None
    service: str | None = None
    operation: str | None = None
    before: int | None = None

    def conditions(self) -> Iterator[sa.ColumnElement[bool]]:
        """The same in SQL."""
        column = audit_log.c
        comparisons: tuple[Callable[[Any], sa.ColumnElement[bool]], ...] = (
            column.time.__ge__,
            column.time.__lt__,
            column.administrator.__eq__,
            column.service.__eq__,
            column.operation.__eq__,
            column.id.__lt__,
        )
        for compare, value in zip(comparisons, self, strict=True):
            if value is not None:
                yield compare(value)


def newest_entries(
    connection: sa.Connection, chosen: Chosen, *, limit: int, names: int | None
) -> Sequence[Any]:
    """Entries, newest first, each also with the ``count`` of its entities.

    Args:
        connection: to the database.
        chosen: which.
        limit: how many at most.
        names: how many entities of each are named at most; None for all.
    """
    entities = audit_log.c.entities
    others = (column for column in audit_log.c if column is not entities)
    named = entities if names is None else entities[1:names]
    statement = (
        sa.select(*others, named.label("entities"), sa.func.cardinality(entities).label("count"))
        .where(*chosen.conditions())
        .order_by(audit_log.c.id.desc())
        .limit(limit)
    )
    return connection.execute(statement).all()
