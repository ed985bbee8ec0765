"""The worker: two loops, each with a connection that listens (phones.md §2).

One loop writes and removes files, the other restarts phones. Any number of workers share the
queue; restarts are sent by one of them at a time, so that their starts are spaced out for all.
An idle loop sleeps in the kernel until PostgreSQL notifies it or a retry is due.
"""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from functools import partial
from typing import TYPE_CHECKING, Self, TypeVar

import psycopg2
import sqlalchemy as sa
import structlog
from sqlalchemy import exc

from sipxconfig_soap import incident
from sipxconfig_soap.directories import why_not_writable
from sipxconfig_soap.domain.jobs import FAILED, RESTART, WAITING
from sipxconfig_soap.errors import Unavailable
from sipxconfig_soap.jobs import files, metrics, queue, restarts, upkeep
from sipxconfig_soap.jobs.bell import Bell, Listener
from sipxconfig_soap.jobs.queue import Claimed, Ending, Failed
from sipxconfig_soap.provisioning.notify import Notifier
from sipxconfig_soap.provisioning.phone import provisioning_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from sipxconfig_soap.db import Database
    from sipxconfig_soap.provisioning.notify import Notification
    from sipxconfig_soap.settings import Settings

T = TypeVar("T")

logger = structlog.stdlib.get_logger(__name__)

BATCH = 25
"""File jobs that a worker takes at a time; what it was at when it dies is done once more."""

LOOK_SECONDS = 30.0
"""How often an idle loop looks for jobs whose worker died, and whether files can be written."""

SENDER_KEY = 1_846_355_003
"""Key of the advisory lock of the one worker that sends restarts."""

RECONNECT_SECONDS = (0.5, 1.0, 2.0, 5.0)
"""Pauses while the database is away, the last one again and again."""

_AWAY = (Unavailable, exc.OperationalError, exc.InterfaceError, exc.TimeoutError, psycopg2.Error)


class Loop(ABC):
    """Takes jobs of some kinds from the queue until it is told to stop."""

    kinds: Sequence[str]

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._settings = settings
        self._bell = Bell()
        self._stopping = threading.Event()
        self._failures = 0

    def stop(self) -> None:
        """End after what is being done."""
        self._stopping.set()
        self._bell.ring()

    def close(self) -> None:
        """Free what is left when the loop has ended."""
        self._bell.close()

    def run(self) -> None:
        """Work; whenever the database is away, come back when it is there again."""
        while not self._stopping.is_set():
            try:
                with Listener(self._database, self._bell) as listener:
                    self._serve(listener)
                    self._write(partial(queue.give_back, worker=listener.worker))
            except _AWAY:
                pause = RECONNECT_SECONDS[min(self._failures, len(RECONNECT_SECONDS) - 1)]
                self._failures += 1
                logger.warning("worker waits for the database", seconds=pause)
                self._stopping.wait(pause)
            except Exception as error:  # noqa: BLE001 - a worker that gives up helps nobody
                incident.report(error)
                self._stopping.wait(RECONNECT_SECONDS[-1])

    def _serve(self, listener: Listener) -> None:
        """Work as long as the connection lasts."""
        while not self._stopping.is_set():
            recovered = self._database.change(queue.recover, receipt=lambda each: each.receipt)
            metrics.RECOVERED.inc(recovered.number)
            _note(recovered.failed)
            # Asked before the steps: what becomes due while they look is not slept through.
            look_at = time.monotonic() + self._next_look()
            while not self._stopping.is_set() and self._step(listener):
                # Whose lock is gone counts as dead: whatever it takes is taken from it again.
                listener.check()
            self._failures = 0
            if not self._stopping.is_set():
                listener.wait(self._pause(look_at))

    @abstractmethod
    def _step(self, listener: Listener) -> bool:
        """Do what can be done now; whether there may be more."""

    def _next_look(self) -> float:
        """Seconds until there may be something to do that nobody announces."""
        due = self._write(lambda c: queue.next_due(c, self.kinds))
        return LOOK_SECONDS if due is None else min(due, LOOK_SECONDS)

    def _pause(self, look_at: float) -> float:
        """Seconds to sleep, unless woken before."""
        return look_at - time.monotonic()

    def _end(self, listener: Listener, endings: Sequence[Ending]) -> list[Claimed]:
        """Note how jobs ended; returns those that others have taken up."""
        if not endings:
            return []
        delays = self._settings.job_retry_delays
        settled = [queue.settled(ending, delays) for ending in endings]
        # Nobody would tell of a failure whose connection died inside COMMIT.
        ended = self._database.change(
            lambda c: queue.end(c, listener.worker, settled, delays),
            receipt=lambda each: each.receipt,
        )
        for each in settled:
            if each.state == WAITING:
                metrics.RETRIED.labels(each.job.kind).inc()
            elif each.state != FAILED:
                metrics.FINISHED.labels(each.job.kind, each.state).inc()
        _note(ended.failed)
        return ended.lost

    def _write(self, work: Callable[[sa.Connection], T]) -> T:
        return self._database.change(work)


def _note(failed: Sequence[Failed]) -> None:
    """Tell of jobs that failed for good: who asked for them was answered long ago."""
    for job in failed:
        metrics.FINISHED.labels(job.kind, FAILED).inc()
        logger.warning(
            "job failed",
            job=job.id,
            kind=job.kind,
            phone=job.serial,
            reason=job.reason,
            retry=f"sipxconfig-soap jobs retry {job.id}",
        )


class FileLoop(Loop):
    """Writes and removes profile files, and removes old rows when there is nothing to do."""

    kinds = queue.FILE_KINDS

    def __init__(self, database: Database, settings: Settings) -> None:
        super().__init__(database, settings)
        self._jobs = files.FileJobs(settings.profile_root, provisioning_settings(settings))
        self._root = _Root(settings.profile_root)
        self._upkeep = upkeep.Upkeep(settings.job_days, settings.audit_days)

    def _next_look(self) -> float:
        if self._root.is_due:
            self._root.look()
        return super()._next_look()

    def _pause(self, look_at: float) -> float:
        # Between two steps of upkeep there may be a job to do.
        more = self._upkeep.is_due and self._tidy()
        return 0.0 if more else super()._pause(look_at)

    def _tidy(self) -> bool:
        """Remove some old rows; whether there may be more. No job waits because that fails."""
        try:
            return self._write(self._upkeep.step)
        except (Unavailable, exc.DBAPIError) as error:
            incident.report(error)
            return False

    def close(self) -> None:
        """Free what is left when the loop has ended."""
        self._jobs.close()
        super().close()

    def _step(self, listener: Listener) -> bool:
        tasks, endings = self._write(
            lambda c: files.plan(c, queue.claim_files(c, listener.worker, BATCH))
        )
        moved = self._jobs.moved(tasks)
        if moved:
            # Committed before the old files go: nobody could know of them afterwards.
            self._write(lambda c: files.renew(c, moved))
        with metrics.BATCH_SECONDS.time():
            endings += [self._jobs.carry_out(task) for task in tasks]
        if any(each.state == WAITING for each in endings) or (endings and self._root.is_closed):
            self._root.look()
        lost = self._end(listener, endings)
        if lost:
            redone = [task for task in tasks if task.job in lost]
            self._write(lambda c: files.make_up_for(c, redone))
        return bool(endings)


class _Root:
    """Tells when the profile root begins and ceases to be writable."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._reason: str | None = None
        self._due = 0.0

    @property
    def is_due(self) -> bool:
        """Whether it was not looked at for a while."""
        return time.monotonic() >= self._due

    @property
    def is_closed(self) -> bool:
        """Whether it could not be written at the last look."""
        return self._reason is not None

    def look(self) -> None:
        """Try to write a file, which nobody sees."""
        self._due = time.monotonic() + LOOK_SECONDS
        reason = why_not_writable(self._root)
        if reason is not None and reason != self._reason:
            logger.warning(
                "the profile directory cannot be written", directory=self._root, reason=reason
            )
        elif reason is None and self._reason is not None:
            logger.warning("the profile directory can be written again", directory=self._root)
        self._reason = reason


class RestartLoop(Loop):
    """Restarts phones."""

    kinds = (RESTART,)

    def __init__(self, database: Database, settings: Settings) -> None:
        super().__init__(database, settings)
        self._not_before = 0.0
        # Seconds for which the last step was held up by the spacing.
        self._held = 0.0

    def _serve(self, listener: Listener) -> None:
        """Send as long as the connection lasts; what is under way when it ends is sent again."""
        with Notifier(spacing=self._settings.restart_spacing) as notifier:
            self._notifier = notifier
            self._sending = restarts.Sending(notifier, self._bell.ring)
            super()._serve(listener)
        self._end(listener, self._sending.ended())

    def _step(self, listener: Listener) -> bool:
        self._end(listener, self._sending.ended())
        if listener.take_turn(SENDER_KEY):
            # Whose turn it was may have sent something just now.
            self._not_before = time.monotonic() + self._settings.restart_spacing
        self._held = max(self._notifier.wait, self._not_before - time.monotonic(), 0.0)
        if self._held or not listener.has_turn(SENDER_KEY):
            return False
        started = self._write(lambda c: self._start(c, listener.worker))
        for job, notification in started:
            if isinstance(notification, Ending):
                self._end(listener, [notification])
            else:
                self._sending.send(job, notification)
        return bool(started)

    def _start(
        self, connection: sa.Connection, worker: int
    ) -> list[tuple[Claimed, Notification | Ending]]:
        settings = provisioning_settings(self._settings)
        return [
            (job, restarts.prepare(connection, job, settings))
            for job in queue.claim_restarts(connection, worker, 1)
        ]

    def _pause(self, look_at: float) -> float:
        # What the last step saw, or the moment at which the next may start could be missed.
        return self._held or super()._pause(look_at)


class Worker:
    """Both loops, each in a thread of its own, until the context ends."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._loops: list[Loop] = [FileLoop(database, settings), RestartLoop(database, settings)]
        self._threads = [
            threading.Thread(target=loop.run, name=type(loop).__name__) for loop in self._loops
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        for loop in self._loops:
            loop.stop()
        for loop, thread in zip(self._loops, self._threads, strict=True):
            thread.join()
            loop.close()
