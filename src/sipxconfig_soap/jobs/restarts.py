"""Jobs that restart phones: many under way at a time, their starts spaced out (phones.md §4)."""

from __future__ import annotations

from queue import SimpleQueue
from typing import TYPE_CHECKING

from sipxconfig_soap import incident
from sipxconfig_soap.domain import jobs as queued
from sipxconfig_soap.jobs import snapshots
from sipxconfig_soap.jobs.queue import Ending
from sipxconfig_soap.provisioning.notify import CannotNotify, Result, plan

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    import sqlalchemy as sa

    from sipxconfig_soap.jobs.queue import Claimed
    from sipxconfig_soap.provisioning.notify import Notification, Notifier, Outcome
    from sipxconfig_soap.provisioning.phone import ProvisioningSettings

_STATES = {
    Result.DONE: queued.DONE,
    Result.FAILED: queued.FAILED,
    Result.PASSING: queued.WAITING,
}


def prepare(
    connection: sa.Connection, job: Claimed, settings: ProvisioningSettings
) -> Notification | Ending:
    """What to send for a job, or how it ends when there is nothing to send."""
    found = {} if job.phone_id is None else snapshots.load(connection, [job.phone_id])
    if job.phone_id not in found:
        return Ending(job, queued.CANCELLED, "the phone was deleted")
    phone = found[job.phone_id]
    if not phone.model.restart_supported:
        return Ending(job, queued.UNSUPPORTED, phone.model.no_restart)
    try:
        return plan(phone, settings)
    except CannotNotify as error:
        return Ending(job, queued.FAILED, str(error))


class Sending:
    """The restarts that are under way.

    Args:
        notifier: sends them.
        on_ending: called, in another thread, when one has ended.
    """

    def __init__(self, notifier: Notifier, on_ending: Callable[[], None]) -> None:
        self._notifier = notifier
        self._on_ending = on_ending
        self._ended: SimpleQueue[Ending] = SimpleQueue()

    def send(self, job: Claimed, notification: Notification) -> None:
        """Send the restart of a job."""

        def note(future: Future[Outcome]) -> None:
            if not future.cancelled():
                self._ended.put(_ending(job, future))
                self._on_ending()

        self._notifier.send(notification).add_done_callback(note)

    def ended(self) -> list[Ending]:
        """How restarts ended since the last look."""
        return [self._ended.get() for _ in range(self._ended.qsize())]


def _ending(job: Claimed, future: Future[Outcome]) -> Ending:
    error = future.exception()
    if error is not None:
        # A job must not stay as it is because of what nobody foresaw.
        reference = incident.report(error)
        return Ending(job, queued.FAILED, f"internal error (reference {reference})")
    outcome = future.result()
    done = outcome.result is Result.DONE
    return Ending(job, _STATES[outcome.result], None if done else outcome.reason)
