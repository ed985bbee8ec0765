"""The audit log: who changed what, when, from where, and how it ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import sqlalchemy as sa

from sipxconfig_soap.domain.tables import identity, metadata, one_of, text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
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


def record(connection: sa.Connection, entry: Entry) -> None:
    """Write an entry, in the transaction of the change."""
    connection.execute(audit_log.insert().inline(), entry._asdict())


def record_local(connection: sa.Connection, operation: str, entities: Sequence[str]) -> None:
    """Write an entry of a change that was made from the command line."""
    where_from = {"administrator": "-", "address": "local", "service": "command line"}
    entry = Entry(**where_from, operation=operation, entities=entities, outcome=DONE)
    record(connection, entry)


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
    newest = sa.select(audit_log).order_by(audit_log.c.id.desc()).limit(limit)
    if since is not None:
        newest = newest.where(audit_log.c.time >= since)
    if user is not None:
        newest = newest.where(audit_log.c.administrator == user)
    entries = newest.subquery()
    return iter(connection.execute(sa.select(entries).order_by(entries.c.id)))
