"""The queue of jobs for phones: profiles to write, phones to restart (phones.md §2).

Jobs are queued in the transaction of the call that asks for them, so that they exist if and only if
the change does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from sipxconfig_soap.domain.tables import among, identity, metadata, one_of, text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sipxconfig_soap.domain.work import Work

PROFILES, RESTART, REMOVAL = "profiles", "restart", "removal"
WAITING, RUNNING, DONE = "waiting", "running", "done"
FAILED, UNSUPPORTED, CANCELLED = "failed", "unsupported", "cancelled"

KINDS = (PROFILES, RESTART, REMOVAL)
STATES = (WAITING, RUNNING, DONE, FAILED, UNSUPPORTED, CANCELLED)

jobs = sa.Table(
    "jobs",
    metadata,
    identity(),
    text("kind", nullable=False),
    # A job outlives its phone: what became of it can still be read.
    sa.Column("phone_id", sa.BigInteger, sa.ForeignKey("phones.id", ondelete="SET NULL")),
    text("serial", nullable=False),
    sa.Column("files", sa.ARRAY(sa.Text), nullable=False, server_default="{}"),
    text("state", nullable=False),
    sa.Column("reason", sa.Text),
    sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
    sa.Column("created", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
    sa.Column("finished", sa.DateTime(timezone=True)),
    one_of("kind", KINDS, "kind"),
    one_of("state", STATES, "state"),
    sa.CheckConstraint("attempts >= 0", name="attempts"),
    sa.CheckConstraint("(finished IS NULL) = (state IN ('waiting', 'running'))", name="finished"),
)

_waiting = sa.Index(
    "uq_jobs_waiting",
    jobs.c.phone_id,
    jobs.c.kind,
    unique=True,
    postgresql_where=sa.text("state = 'waiting' AND kind <> 'removal'"),
)
"""Waiting jobs of one phone and kind are one; each removal names files of its own."""


def queue(work: Work, kind: str, phones: sa.Select[Any]) -> None:
    """Queue a job for each phone, unless one of its kind is waiting already.

    Args:
        work: the operation, in whose transaction the jobs appear.
        kind: `PROFILES` or `RESTART`.
        phones: selects ids and serial numbers.
    """
    rows = phones.add_columns(sa.literal(kind), sa.literal(WAITING))
    columns = ["phone_id", "serial", "kind", "state"]
    work.execute(insert(jobs).from_select(columns, rows).on_conflict_do_nothing())


class Removal(NamedTuple):
    """Profile files to be removed.

    Attributes:
        serial: of the phone whose files they are.
        paths: of the files, relative to the profile root.
        phone_id: of a phone that stays and gets new files instead; None for a deleted one.
    """

    serial: str
    paths: Sequence[str]
    phone_id: int | None


def queue_removals(work: Work, removals: Sequence[Removal]) -> None:
    """Queue the removal of files by name, since their phones are gone or renamed by then."""
    if removals:
        rows = [
            {
                "kind": REMOVAL,
                "serial": each.serial,
                "files": list(each.paths),
                "phone_id": each.phone_id,
                "state": WAITING,
            }
            for each in removals
        ]
        work.execute(jobs.insert(), rows)


def cancel(work: Work, phone_ids: Sequence[int]) -> None:
    """Cancel the waiting jobs of phones that are being deleted."""
    work.execute(
        jobs.update()
        .where(among(jobs.c.phone_id, phone_ids), jobs.c.state == WAITING)
        .values(state=CANCELLED, reason="the phone was deleted", finished=sa.func.now())
    )


def list_jobs(
    connection: sa.Connection, *, state: str | None = None, serial: str | None = None
) -> Iterator[sa.Row[Any]]:
    """Jobs, oldest first, in the columns that ``sipxconfig-soap jobs`` shows."""
    names = ("id", "kind", "serial", "state", "reason", "attempts", "created", "finished")
    statement = sa.select(*(jobs.c[name] for name in names)).order_by(jobs.c.id)
    if state is not None:
        statement = statement.where(jobs.c.state == state)
    if serial is not None:
        statement = statement.where(jobs.c.serial == serial)
    return iter(connection.execute(statement, execution_options={"yield_per": 500}))
