"""What becomes of jobs that have ended, and of audit entries: trying again, tidying up."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from sipxconfig_soap.domain.audit import audit_log
from sipxconfig_soap.domain.jobs import (
    DONE,
    FAILED,
    PROFILES,
    REMOVAL,
    UNFINISHED,
    WAITING,
    announce,
    jobs,
)
from sipxconfig_soap.domain.phone_tables import phones, queue_jobs, serial_key
from sipxconfig_soap.domain.tables import among, text_array

if TYPE_CHECKING:
    from collections.abc import Sequence


STEP_ROWS = 1000
"""Rows of a table that are removed in one transaction."""

PAUSE_SECONDS = 3600.0
"""Between two looks for what has become old."""

ALL_FAILED = "all that failed"
"""What the audit log names when not certain jobs wait again, but all."""


def retry_failed(connection: sa.Connection, ids: Sequence[int] | None = None) -> int:
    """Let failed jobs wait again with all their tries; returns how many did.

    Of several failed jobs of one phone and kind the newest stands for all. A job whose phone is
    gone, or for whose phone the same is waiting, stays as it is; so does the removal of a file
    that was written for another phone since. A removal may take a file of a phone that has the
    serial number now, so what was written for that one, or is being written, is written anew.

    Args:
        connection: in a transaction.
        ids: of the jobs; None for all that failed.
    """
    other = jobs.alias("other")
    covered = sa.exists().where(
        other.c.phone_id == jobs.c.phone_id,
        other.c.kind == jobs.c.kind,
        sa.or_(
            other.c.state == WAITING,
            sa.and_(other.c.state == FAILED, other.c.id > jobs.c.id),
        ),
    )
    written = sa.exists().where(
        other.c.target == jobs.c.target,
        other.c.kind == PROFILES,
        other.c.state == DONE,
        other.c.id > jobs.c.id,
    )
    useful = sa.case(
        (jobs.c.kind == REMOVAL, ~written), else_=sa.and_(jobs.c.phone_id.is_not(None), ~covered)
    )
    chosen = sa.and_(jobs.c.state == FAILED, useful)
    if ids is not None:
        chosen = sa.and_(chosen, among(jobs.c.id, ids))
    removals = sa.select(sa.func.lower(jobs.c.serial)).where(chosen, jobs.c.kind == REMOVAL)
    serials = connection.execute(removals).scalars().all()
    if serials:
        # The removal waits for what is running, and takes its file then. What waits is kept from
        # running before the removal waits too. All before any job is locked, since phones are.
        has_files = sa.exists().where(
            jobs.c.phone_id == phones.c.id,
            jobs.c.kind == PROFILES,
            jobs.c.state.in_((*UNFINISHED, DONE)),
        )
        queue_jobs(connection, PROFILES, (serial_key == sa.any_(text_array(serials))) & has_files)
    again = connection.execute(
        jobs.update()
        .where(chosen)
        .values(state=WAITING, attempts=0, finished=None, due=sa.func.clock_timestamp())
    )
    announce(connection)
    return again.rowcount


def purge(connection: sa.Connection, days: float) -> int:
    """Delete jobs that ended more than ``days`` days ago; returns how many there were."""
    return connection.execute(jobs.delete().where(_older(jobs.c.finished, days))).rowcount


def _older(moment: sa.ColumnElement[Any], days: float) -> sa.ColumnElement[bool]:
    age = sa.func.make_interval(0, 0, 0, 0, 0, 0, days * 86400)
    return moment < sa.func.clock_timestamp() - age


class Upkeep:
    """Removes old jobs and audit entries, some at a time, so that nobody waits for it.

    Args:
        job_days: for how many days jobs are kept that have ended; 0 is for ever.
        audit_days: the same for entries of the audit log.
    """

    def __init__(self, job_days: int, audit_days: int) -> None:
        kept = [(jobs, jobs.c.finished, job_days), (audit_log, audit_log.c.time, audit_days)]
        self._steps = [_removal(*each) for each in kept if each[2]]
        self._due = 0.0

    @property
    def is_due(self) -> bool:
        """Whether it is time for a step."""
        return bool(self._steps) and time.monotonic() >= self._due

    def step(self, connection: sa.Connection) -> bool:
        """Remove some of what is old; whether there may be more.

        Args:
            connection: in a transaction.
        """
        # Whatever comes of it, the next step is not at once.
        self._due = time.monotonic() + PAUSE_SECONDS
        more = STEP_ROWS in [connection.execute(step).rowcount for step in self._steps]
        if more:
            self._due = 0.0
        return more


def _removal(table: sa.Table, moment: sa.Column[Any], days: int) -> sa.Delete:
    """Delete some of the rows whose moment is so many days ago, the oldest first."""
    old = _older(moment, days)
    oldest = sa.select(table.c.id).where(old).order_by(moment).limit(STEP_ROWS)
    chosen = table.c.id == sa.any_(sa.func.array(oldest.scalar_subquery()))
    # Looked at again when the row is locked: somebody may have let a job wait again.
    return table.delete().where(chosen, old)
