"""The states of jobs: claimed by a worker, then ended, or waiting for another try.

A claim is committed before the work begins, so everybody sees what is running. Whether a worker
lives is said by the advisory lock that its connection holds: when the process dies, or PostgreSQL
restarts, the lock is gone, and what the worker was at waits again.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import sqlalchemy as sa

from sipxconfig_soap.domain.jobs import (
    CANCELLED,
    FAILED,
    PROFILES,
    REMOVAL,
    RESTART,
    RUNNING,
    UNFINISHED,
    WAITING,
    announce,
    jobs,
)
from sipxconfig_soap.domain.tables import among, text_array
from sipxconfig_soap.transactions import Receipt

if TYPE_CHECKING:
    from collections.abc import Sequence

FILE_KINDS = (PROFILES, REMOVAL)
"""Jobs that write or remove files."""

MOST_ATTEMPTS = 20
"""Tries after which a job whose workers keep dying is given up."""

CLAIM_KEY = 1_846_355_004
"""Key of the advisory lock that makes claims one after the other."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """A job that this worker is at.

    Attributes:
        id: of the job.
        kind: profiles, restart or removal.
        serial: of the phone when the job was queued.
        target: the file that the phone fetched then.
        phone_id: of the phone; None when it is gone.
        files: paths of the files to be removed.
        attempts: the tries made, this one included.
    """

    id: int
    kind: str
    serial: str
    target: str
    phone_id: int | None
    files: tuple[str, ...]
    attempts: int


@dataclass(frozen=True, slots=True)
class Ending:
    """How a try of a job ended.

    Attributes:
        job: the job.
        state: the final one; *waiting* if it came to nothing and another try may do better.
        reason: why it came to nothing.
    """

    job: Claimed
    state: str
    reason: str | None = None


class Failed(NamedTuple):
    """A job that has failed for good.

    Attributes:
        id: of the job.
        kind: profiles, restart or removal.
        serial: of the phone when the job was queued.
        reason: why it failed; there is no secret in it.
    """

    id: int
    kind: str
    serial: str
    reason: str


class Ended(NamedTuple):
    """What became of tries that ended.

    Attributes:
        lost: jobs that were the worker's no longer, since it was taken for dead.
        failed: jobs that failed for good, and the restarts that failed with them.
        receipt: tells later whether that was committed; None where nothing failed.
    """

    lost: list[Claimed]
    failed: list[Failed]
    receipt: Receipt | None = None


class Recovered(NamedTuple):
    """What became of jobs whose worker was no more.

    Attributes:
        number: of these jobs.
        failed: of these, and restarts with them, what failed for good.
        receipt: as in `Ended`.
    """

    number: int
    failed: list[Failed]
    receipt: Receipt | None = None


def claim_files(connection: sa.Connection, worker: int, most: int) -> list[Claimed]:
    """Take jobs that write or remove files, oldest first, of those about one file one at a time.

    Phones of two models may have a file in common if one comes with the serial number of the other
    that was deleted, though what they fetch has different names.
    """
    other = jobs.alias("other")
    # A job that had failed and waits again is older than one that may be running.
    first = (
        other.c.kind.in_(FILE_KINDS),
        sa.or_(other.c.id < jobs.c.id, other.c.state == RUNNING),
    )
    # The first condition is that of the index of targets, and of no other.
    same_file = _exists(other, other.c.finished.is_(None), other.c.target == jobs.c.target, *first)
    same_serial = _exists(other, _unfinished(other), _serial(other) == _serial(jobs), *first)
    free = (jobs.c.kind.in_(FILE_KINDS), ~same_file, ~same_serial)
    return _claim(connection, worker, most, free)


def claim_restarts(connection: sa.Connection, worker: int, most: int) -> list[Claimed]:
    """Take restarts, oldest first, of phones about whose files there is nothing left to do."""
    other = jobs.alias("other")
    before = _exists(
        other,
        _unfinished(other),
        other.c.phone_id == jobs.c.phone_id,
        sa.or_(other.c.kind.in_(FILE_KINDS), other.c.state == RUNNING),
    )
    return _claim(connection, worker, most, (jobs.c.kind == RESTART, ~before))


def _serial(table: sa.FromClause) -> sa.ColumnElement[str]:
    """The serial number of a job as an index has it."""
    return sa.func.lower(table.c.serial)


def _unfinished(table: sa.FromClause) -> sa.ColumnElement[bool]:
    """Whether a job has not ended, said so that PostgreSQL takes it for no index's condition."""
    states = sa.func.array(sa.select(sa.func.unnest(text_array(UNFINISHED))).scalar_subquery())
    return table.c.state == sa.any_(states)


def _exists(other: sa.FromClause, *such: sa.ColumnElement[bool]) -> sa.ColumnElement[bool]:
    """Whether there is another such job, found by an index for each job by itself.

    While PostgreSQL believes that there are no jobs, since the queue was empty when it last looked
    at the table, all plans cost the same to it, also those that look at all pairs of jobs. So it is
    left no choice: a subquery with an offset is not made a join, and only one index may be used
    with the conditions.
    """
    rows: sa.Select[Any] = sa.select(sa.literal_column("1")).where(*such)
    return rows.select_from(other).correlate(jobs).offset(sa.literal_column("0")).exists()


def _claim(
    connection: sa.Connection, worker: int, most: int, free: Sequence[sa.ColumnElement[bool]]
) -> list[Claimed]:
    # What is free is only certain when nobody else claims at the same time.
    connection.execute(sa.select(sa.func.pg_advisory_xact_lock(CLAIM_KEY)))
    due = sa.select(jobs.c.id).where(
        # Both conditions on the state are needed: the second one is that of the index.
        jobs.c.state == WAITING,
        jobs.c.state.in_(UNFINISHED),
        jobs.c.due <= sa.func.clock_timestamp(),
        *free,
    )
    # A job that somebody is adding to, or cancelling, is left for later.
    chosen = due.order_by(jobs.c.id).limit(most).with_for_update(skip_locked=True)
    ids = connection.execute(chosen).scalars().all()
    claimed = connection.execute(
        jobs.update()
        .where(among(jobs.c.id, ids))
        .values(state=RUNNING, worker=worker, attempts=jobs.c.attempts + 1)
        .returning(
            jobs.c.id,
            jobs.c.kind,
            jobs.c.serial,
            jobs.c.target,
            jobs.c.phone_id,
            jobs.c.files,
            jobs.c.attempts,
        )
    )
    rows: Sequence[Any] = sorted(claimed.all())
    return [
        Claimed(number, kind, serial, target, phone, tuple(files), attempts)
        for number, kind, serial, target, phone, files, attempts in rows
    ]


def settled(ending: Ending, delays: Sequence[float]) -> Ending:
    """The same, but failed when the job has had all its tries."""
    if ending.state == WAITING and ending.job.attempts > len(delays):
        return replace(ending, state=FAILED)
    return ending


def end(
    connection: sa.Connection, worker: int, endings: Sequence[Ending], delays: Sequence[float]
) -> Ended:
    """Note how tries ended.

    Args:
        connection: in a transaction.
        worker: whose tries they were.
        endings: of the tries, settled.
        delays: seconds of the pauses before further tries, the first after the first try.
    """
    final: dict[tuple[str, str | None], list[int]] = defaultdict(list)
    noted: set[int] = set()
    failed: list[Failed] = []
    for ending in endings:
        job = ending.job
        if ending.state == WAITING:
            pause = delays[job.attempts - 1]
            noted.update(_wait_again(connection, worker, [job.id], ending.reason, pause))
        else:
            final[ending.state, ending.reason].append(job.id)
    for (state, reason), ids in final.items():
        finished, among_them = _finish(connection, worker, ids, state, reason)
        noted.update(finished)
        failed += among_them
    announce(connection)
    lost = [ending.job for ending in endings if ending.job.id not in noted]
    return Ended(lost, failed, _receipt(connection, failed))


def _receipt(connection: sa.Connection, failed: Sequence[Failed]) -> Receipt | None:
    """How to find out later whether these jobs have failed: who is to be told is told then."""
    if not failed:
        return None
    this = sa.cast(sa.func.pg_current_xact_id(), sa.Text)
    number = failed[0].id
    row = sa.select(this, jobs.c.finished).where(jobs.c.id == number)
    transaction, finished = connection.execute(row).one()
    mine = (jobs.c.id == number) & (jobs.c.finished == finished)
    return Receipt(transaction, sa.select(jobs.c.id).where(mine))


def _finish(
    connection: sa.Connection, worker: int, ids: Sequence[int], state: str, reason: str | None
) -> tuple[list[int], list[Failed]]:
    """End jobs of this worker in a final state.

    Returns:
        The ids of those that were the worker's still; and what failed, restarts with it.
    """
    now = sa.func.clock_timestamp()
    ended = connection.execute(
        jobs.update()
        .where(_at(worker, ids))
        .values(state=state, reason=reason, finished=now, worker=None)
        .returning(*_SHOWN, jobs.c.phone_id)
    ).all()
    failed: list[Failed] = []
    if state == FAILED:
        failed = [Failed(*row[:-1]) for row in ended]
        phones = [each.phone_id for each in ended if each.kind == PROFILES and each.phone_id]
        if phones:
            failed += _fail_restarts(connection, phones, f"its profiles failed: {reason}")
    return [row.id for row in ended], failed


_SHOWN = (jobs.c.id, jobs.c.kind, jobs.c.serial, jobs.c.reason)


def _fail_restarts(
    connection: sa.Connection, phone_ids: Sequence[int], reason: str
) -> list[Failed]:
    """Fail the restarts that waited for profiles, unless others are to be written already."""
    other = jobs.alias("other")
    more = sa.exists().where(
        other.c.phone_id == jobs.c.phone_id,
        other.c.state.in_(UNFINISHED),
        other.c.kind == PROFILES,
    )
    waiting = (jobs.c.kind == RESTART, jobs.c.state == WAITING)
    rows = connection.execute(
        jobs.update()
        .where(among(jobs.c.phone_id, phone_ids), *waiting, ~more)
        .values(state=FAILED, reason=reason, finished=sa.func.clock_timestamp())
        .returning(*_SHOWN)
    )
    return [Failed(*row) for row in rows]


def _at(worker: int, ids: Sequence[int]) -> sa.ColumnElement[bool]:
    """Which of these jobs the worker still is at."""
    return sa.and_(among(jobs.c.id, ids), jobs.c.state == RUNNING, jobs.c.worker == worker)


def _wait_again(
    connection: sa.Connection,
    worker: int,
    ids: Sequence[int],
    reason: str | None,
    seconds: float = 0,
) -> list[int]:
    """Let jobs of this worker wait; one whose phone has the same waiting is merged into it."""
    other = jobs.alias("other")
    same = sa.exists().where(
        other.c.phone_id == jobs.c.phone_id,
        other.c.kind == jobs.c.kind,
        other.c.kind != REMOVAL,
        other.c.state == WAITING,
    )
    now = sa.func.clock_timestamp()
    merged = connection.execute(
        jobs.update()
        .where(_at(worker, ids), same)
        .values(state=CANCELLED, reason=f"{reason}; a newer job waits", finished=now, worker=None)
        .returning(jobs.c.id)
    ).scalars()
    pause = sa.func.make_interval(0, 0, 0, 0, 0, 0, seconds)
    again = connection.execute(
        jobs.update()
        .where(_at(worker, ids))
        .values(state=WAITING, reason=reason, due=now + pause, worker=None)
        .returning(jobs.c.id)
    ).scalars()
    return [*merged, *again]


def give_back(connection: sa.Connection, worker: int) -> None:
    """Let the jobs wait again that a worker is still at when it stops."""
    mine = sa.select(jobs.c.id).where(jobs.c.state == RUNNING, jobs.c.worker == worker)
    ids = list(connection.execute(mine).scalars())
    if ids:
        _wait_again(connection, worker, ids, "its worker was stopped")
        announce(connection)


def recover(connection: sa.Connection) -> Recovered:
    """Let jobs wait again whose worker is no more, but for those whose workers keep dying."""
    locks = sa.table("pg_locks", *map(sa.column, ("locktype", "database", "classid", "objid")))
    key = (
        locks.c.classid.cast(sa.BigInteger).op("<<")(32).op("|")(locks.c.objid.cast(sa.BigInteger))
    )
    here = sa.text("(SELECT oid FROM pg_database WHERE datname = current_database())")
    alive = sa.select(key).where(locks.c.locktype == "advisory", locks.c.database == here)
    lost = connection.execute(
        sa.select(jobs.c.id, jobs.c.worker, jobs.c.attempts)
        .where(jobs.c.state == RUNNING, jobs.c.worker.not_in(alive))
        .with_for_update(skip_locked=True)
    ).all()
    failed: list[Failed] = []
    for row in lost:
        if row.attempts >= MOST_ATTEMPTS:
            reason = f"{row.attempts} workers died of it"
            failed += _finish(connection, row.worker, [row.id], FAILED, reason)[1]
        else:
            _wait_again(connection, row.worker, [row.id], "its worker died")
    if lost:
        announce(connection)
    return Recovered(len(lost), failed, _receipt(connection, failed))


def next_due(connection: sa.Connection, kinds: Sequence[str]) -> float | None:
    """Seconds until the next pause of a job of these kinds ends; None when there is none."""
    now = sa.func.clock_timestamp()
    first = sa.select(sa.func.min(jobs.c.due)).where(
        jobs.c.state == WAITING,
        jobs.c.state.in_(UNFINISHED),
        jobs.c.kind.in_(kinds),
        jobs.c.due > now,
    )
    seconds = sa.func.extract("epoch", first.scalar_subquery() - now)
    found = connection.execute(sa.select(seconds)).scalar()
    return None if found is None else max(0.0, float(found))
