"""The queue of jobs for phones: profiles to write, phones to restart (phones.md §2).

Jobs are queued in the transaction of the call that asks for them, so that they exist if and only if
the change does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from sipxconfig_soap.domain.tables import among, identity, metadata, one_of, text
from sipxconfig_soap.provisioning.models import cleaned_serial

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from sipxconfig_soap.domain.work import Work

PROFILES, RESTART, REMOVAL = "profiles", "restart", "removal"
WAITING, RUNNING, DONE = "waiting", "running", "done"
FAILED, UNSUPPORTED, CANCELLED = "failed", "unsupported", "cancelled"

KINDS = (PROFILES, RESTART, REMOVAL)
UNFINISHED = (WAITING, RUNNING)
ENDED = (DONE, FAILED, UNSUPPORTED, CANCELLED)
STATES = (*UNFINISHED, *ENDED)

jobs = sa.Table(
    "jobs",
    metadata,
    identity(),
    text("kind", nullable=False),
    # A job outlives its phone: what became of it can still be read.
    sa.Column("phone_id", sa.BigInteger, sa.ForeignKey("phones.id", ondelete="SET NULL")),
    text("serial", nullable=False),
    # What the phone fetches: jobs about one file are done in their order, whosever it is now.
    sa.Column("target", sa.Text, nullable=False),
    sa.Column("files", sa.ARRAY(sa.Text), nullable=False, server_default="{}"),
    text("state", nullable=False),
    sa.Column("reason", sa.Text),
    sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
    sa.Column("created", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
    sa.Column("finished", sa.DateTime(timezone=True)),
    # When it may be tried; later than created after a try that came to nothing.
    sa.Column("due", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
    # Key of the advisory lock that the worker holds which is at it.
    sa.Column("worker", sa.BigInteger),
    one_of("kind", KINDS, "kind"),
    one_of("state", STATES, "state"),
    sa.CheckConstraint("attempts >= 0", name="attempts"),
    sa.CheckConstraint("(worker IS NULL) = (state <> 'running')", name="worker"),
    sa.CheckConstraint("(finished IS NULL) = (state IN ('waiting', 'running'))", name="finished"),
)

_MERGED = sa.text("state = 'waiting' AND kind <> 'removal'")
_waiting = sa.Index(
    "uq_jobs_waiting", jobs.c.phone_id, jobs.c.kind, unique=True, postgresql_where=_MERGED
)
"""Waiting jobs of one phone and kind are one; each removal names files of its own."""

_UNFINISHED = sa.text("state IN ('waiting', 'running')")
_unfinished = sa.Index("ix_jobs_unfinished", jobs.c.id, postgresql_where=_UNFINISHED)
"""What workers look through, however many jobs have ended."""

_by_target = sa.Index("ix_jobs_target", jobs.c.target, postgresql_where=sa.text("finished IS NULL"))
_by_phone = sa.Index("ix_jobs_phone_id_state", jobs.c.phone_id, jobs.c.state)
"""What a job may have to wait for; the second also finds the jobs of a phone that is deleted."""

_ENDED = sa.text("finished IS NOT NULL")
_by_end = sa.Index("ix_jobs_finished", jobs.c.finished, postgresql_where=_ENDED)
"""What is old enough to be deleted; of no use for jobs that have not ended, as must be."""

_by_serial = sa.Index("ix_jobs_serial", sa.func.lower(jobs.c.serial), jobs.c.id)
"""The jobs of a phone, newest or oldest first, also of one that is gone."""

CHANNEL = "sipxconfig_jobs"
"""Where PostgreSQL notifies workers."""


def announce(connection: sa.Connection) -> None:
    """Wake the workers when the transaction is committed."""
    connection.execute(sa.select(sa.func.pg_notify(CHANNEL, "")))


def queue(connection: sa.Connection, kind: str, phones: sa.Select[Any]) -> None:
    """Queue a job for each phone, unless one of its kind is waiting already.

    Args:
        connection: in the transaction in which the jobs appear.
        kind: `PROFILES` or `RESTART`.
        phones: selects ids, serial numbers and profile files.
    """
    rows = phones.add_columns(sa.literal(kind), sa.literal(WAITING))
    columns = ["phone_id", "serial", "target", "kind", "state"]
    merged = insert(jobs).from_select(columns, rows)
    merged = merged.on_conflict_do_update(
        index_elements=["phone_id", "kind"],
        index_where=_MERGED,
        # Nothing changes, but the waiting job is locked: no worker can take it before the change
        # that it is to carry out is committed, and so miss that change.
        set_={"kind": jobs.c.kind},
    )
    connection.execute(merged)
    announce(connection)


class Removal(NamedTuple):
    """Profile files to be removed.

    Attributes:
        serial: of the phone whose files they are.
        target: the file that the phone fetches, by which jobs are kept in their order.
        paths: of the files, relative to the profile root.
        phone_id: of a phone that stays and gets new files instead; None for a deleted one.
    """

    serial: str
    target: str
    paths: Sequence[str]
    phone_id: int | None


def queue_removals(connection: sa.Connection, removals: Sequence[Removal]) -> None:
    """Queue the removal of files by name, since their phones are gone or renamed by then."""
    if removals:
        rows = [
            {
                "kind": REMOVAL,
                "serial": each.serial,
                "target": each.target,
                "files": list(each.paths),
                "phone_id": each.phone_id,
                "state": WAITING,
            }
            for each in removals
        ]
        connection.execute(jobs.insert(), rows)
        announce(connection)


def cancel(work: Work, phone_ids: Sequence[int]) -> None:
    """Cancel the waiting jobs of phones that are being deleted.

    A waiting removal stays: the files of an earlier serial number must go all the same.
    """
    work.execute(
        jobs.update()
        .where(among(jobs.c.phone_id, phone_ids), jobs.c.state == WAITING, jobs.c.kind != REMOVAL)
        .values(state=CANCELLED, reason="the phone was deleted", finished=sa.func.now())
    )


def list_jobs(
    connection: sa.Connection,
    *,
    state: str | None = None,
    serial: str | None = None,
    since: datetime | None = None,
    ended_since: datetime | None = None,
) -> Iterator[sa.Row[Any]]:
    """Jobs, oldest first, in the columns `SHOWN`.

    Args:
        connection: to the database.
        state: only those in this state.
        serial: only those of the phone that had this serial number, however it is written.
        since: only those queued from this time on.
        ended_since: only those that ended from this time on, or have not ended.
    """
    statement = _shown(state, serial).order_by(jobs.c.id)
    if since is not None:
        statement = statement.where(jobs.c.created >= since)
    if ended_since is not None:
        statement = statement.where(
            sa.or_(jobs.c.finished >= ended_since, jobs.c.finished.is_(None))
        )
    return iter(connection.execute(statement, execution_options={"yield_per": 500}))


def newest_jobs(
    connection: sa.Connection,
    *,
    limit: int,
    state: str | None = None,
    serial: str | None = None,
    before: int | None = None,
) -> Sequence[Any]:
    """So many of the jobs that `list_jobs` lists, newest first.

    Args:
        connection: to the database.
        limit: how many at most.
        state: only those in this state.
        serial: only those of the phone that had this serial number, however it is written.
        before: only those older than the job with this number.
    """
    statement = _shown(state, serial).order_by(jobs.c.id.desc()).limit(limit)
    if before is not None:
        statement = statement.where(jobs.c.id < before)
    return connection.execute(statement).all()


SHOWN = ("id", "kind", "serial", "state", "reason", "attempts", "created", "finished")
"""The columns of a job that people see."""


def _shown(state: str | None, serial: str | None) -> sa.Select[Any]:
    statement = sa.select(*(jobs.c[name] for name in SHOWN))
    if state is not None:
        statement = statement.where(jobs.c.state == state)
    if serial is not None:
        statement = statement.where(sa.func.lower(jobs.c.serial) == cleaned_serial(serial))
    return statement


def waiting(connection: sa.Connection, kind: str, phone_ids: sa.Select[Any]) -> list[int]:
    """The ids of the jobs of this kind that wait for these phones."""
    chosen = (jobs.c.state == WAITING, jobs.c.kind == kind, jobs.c.phone_id.in_(phone_ids))
    return list(connection.execute(sa.select(jobs.c.id).where(*chosen)).scalars())


def count_states(connection: sa.Connection, ids: Sequence[int]) -> dict[str, int]:
    """How many of these jobs are in which state."""
    counted = sa.select(jobs.c.state, sa.func.count()).where(among(jobs.c.id, ids))
    return {row[0]: row[1] for row in connection.execute(counted.group_by(jobs.c.state))}


def summary(connection: sa.Connection) -> Sequence[sa.Row[Any]]:
    """Kind, state, number, and the age of the oldest in seconds, where there are any.

    Of those that have ended the last day's count: there may be a month of them.
    """
    day = sa.func.now() - sa.text("interval '1 day'")
    chosen = sa.union_all(
        sa.select(jobs.c.kind, jobs.c.state, jobs.c.created).where(_UNFINISHED),
        sa.select(jobs.c.kind, jobs.c.state, jobs.c.created).where(jobs.c.finished > day),
    ).subquery()
    age = sa.extract("epoch", sa.func.clock_timestamp() - sa.func.min(chosen.c.created))
    return connection.execute(
        sa.select(
            chosen.c.kind,
            chosen.c.state,
            sa.func.count().label("number"),
            sa.cast(age, sa.Float).label("age"),
        ).group_by(chosen.c.kind, chosen.c.state)
    ).all()
