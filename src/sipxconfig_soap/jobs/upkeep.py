"""What an administrator does with jobs that have ended: try again, tidy up."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from sipxconfig_soap.domain.jobs import DONE, FAILED, PROFILES, REMOVAL, WAITING, announce, jobs
from sipxconfig_soap.domain.tables import among

if TYPE_CHECKING:
    from collections.abc import Sequence


def retry_failed(connection: sa.Connection, ids: Sequence[int] | None = None) -> int:
    """Let failed jobs wait again with all their tries; returns how many did.

    Of several failed jobs of one phone and kind the newest stands for all. A job whose phone is
    gone, or for whose phone the same is waiting, stays as it is; so does the removal of a file
    that was written for another phone since.

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
    again = connection.execute(
        jobs.update()
        .where(chosen)
        .values(state=WAITING, attempts=0, finished=None, due=sa.func.clock_timestamp())
    )
    announce(connection)
    return again.rowcount


def purge(connection: sa.Connection, days: float) -> int:
    """Delete jobs that ended more than ``days`` days ago; returns how many there were."""
    age = sa.func.make_interval(0, 0, 0, 0, 0, 0, days * 86400)
    old = jobs.c.finished < sa.func.clock_timestamp() - age
    return connection.execute(jobs.delete().where(old)).rowcount
