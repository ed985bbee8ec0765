"""Jobs that write and remove profile files.

What is to be done is found out in the transaction of the claim: a change that is committed later
finds the job running and queues another one. Files are written without a transaction, so that a
slow disk holds no phone locked. Jobs about one file are done one after the other (the queue sees
to that), so the removal of a deleted phone's files comes after whatever was still written.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from sipxconfig_soap import incident
from sipxconfig_soap.domain import jobs as queued
from sipxconfig_soap.domain.phone_tables import phones, queue_jobs, serial_key
from sipxconfig_soap.domain.tables import among
from sipxconfig_soap.jobs import metrics, snapshots
from sipxconfig_soap.jobs.queue import Ending
from sipxconfig_soap.provisioning import files
from sipxconfig_soap.provisioning.models import MODELS
from sipxconfig_soap.provisioning.profiles import (
    CannotCarry,
    OwnTemplateError,
    Renderer,
    Unreadable,
    shared_file,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from sipxconfig_soap.jobs.queue import Claimed
    from sipxconfig_soap.provisioning.phone import PhoneSnapshot, ProvisioningSettings


@dataclass(frozen=True, slots=True)
class Task:
    """What is to be done for a job.

    Attributes:
        job: the job.
        phone: whose files are to be written; None for a removal.
    """

    job: Claimed
    phone: PhoneSnapshot | None


class FileJobs:
    """Carries out jobs of the kinds profiles and removal.

    Args:
        root: the profile root.
        settings: what stands in profiles beside phones and users.
    """

    def __init__(self, root: Path, settings: ProvisioningSettings) -> None:
        self._root = root
        self._settings = settings
        self._renderer = Renderer(settings)

    def close(self) -> None:
        """Free what rendering holds."""
        self._renderer.close()

    def moved(self, tasks: Sequence[Task]) -> list[int]:
        """The phones of which files are to be removed that are there, and that only moved.

        Those of which the same round writes the new files are left out.
        """
        written = {task.job.phone_id for task in tasks if task.phone is not None}
        return [
            task.job.phone_id
            for task in tasks
            if task.job.phone_id is not None
            and task.job.phone_id not in written
            and any(_may_be_there(self._root / path) for path in task.job.files)
        ]

    def carry_out(self, task: Task) -> Ending:
        """Write or remove the files of one job."""
        job = task.job
        try:
            if task.phone is None:
                self._remove(job.files)
            else:
                self._write(task.phone)
        except (CannotCarry, OwnTemplateError) as error:
            return Ending(job, queued.FAILED, str(error))
        except Unreadable as error:
            return Ending(job, queued.WAITING, str(error))
        except OSError as error:
            return Ending(job, queued.WAITING, self._reason(job, error))
        except Exception as error:  # noqa: BLE001 - one phone must not stop those behind it
            reference = incident.report(error)
            return Ending(job, queued.FAILED, f"internal error (reference {reference})")
        return Ending(job, queued.DONE)

    def _write(self, phone: PhoneSnapshot) -> None:
        try:
            rendered = self._renderer.render(phone)
        except CannotCarry:
            # The old file says what is no longer so. An own template that cannot be used says
            # nothing of the phone, and its file stays.
            self._remove(_paths(phone))
            raise
        for each in rendered:
            files.replace(self._root, each.path, each.content)
            metrics.FILES_WRITTEN.inc()
        shared = shared_file(phone.model, self._settings)
        if shared is not None and files.create(self._root, shared.path, shared.content):
            metrics.FILES_WRITTEN.inc()

    def _remove(self, paths: Sequence[str]) -> None:
        for path in paths:
            files.remove(self._root, path)

    def _reason(self, job: Claimed, error: OSError) -> str:
        what = error.strerror or type(error).__name__
        return f"{self._root / job.target}: {what}"


def _may_be_there(path: Path) -> bool:
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        # What cannot be seen may be there all the same.
        return True
    return True


def plan(connection: sa.Connection, claimed: Sequence[Claimed]) -> tuple[list[Task], list[Ending]]:
    """Find out what claimed jobs mean now, in the transaction in which they were claimed.

    Returns:
        What is to be done, and the jobs for which there is nothing to do.
    """
    ids = [job.phone_id for job in claimed if job.phone_id is not None]
    found = snapshots.load(connection, ids)
    tasks: list[Task] = []
    endings: list[Ending] = []
    moved: list[int] = []
    for job in claimed:
        phone = None if job.phone_id is None else found.get(job.phone_id)
        if job.kind == queued.REMOVAL:
            tasks.append(Task(job, None))
        elif phone is None or job.phone_id is None:
            endings.append(Ending(job, queued.CANCELLED, "the phone was deleted"))
        elif phone.model.profile_path(phone.serial) != job.target:
            # Its turn is after the jobs about the file that the phone fetches now.
            endings.append(Ending(job, queued.CANCELLED, "its serial number has changed"))
            moved.append(job.phone_id)
        else:
            tasks.append(Task(job, phone))
    renew(connection, moved)
    return tasks, endings


def renew(connection: sa.Connection, phone_ids: Sequence[int]) -> None:
    """Queue new profiles for phones that moved."""
    if phone_ids:
        queue_jobs(connection, queued.PROFILES, among(phones.c.id, phone_ids))


def make_up_for(connection: sa.Connection, lost: Sequence[Task]) -> None:
    """Queue anew what a worker did that was taken for dead while it was at it.

    Others have been at these files since, so it may have put an older one in the place of a newer
    one or of none, or may have removed a newer one.
    """
    targets = [task.job.target for task in lost]
    serials = [task.job.serial.lower() for task in lost]
    owned = sa.or_(phones.c.profile_file.in_(targets), serial_key.in_(serials))
    owners: Sequence[Any] = connection.execute(
        sa.select(phones.c.model_id, phones.c.serial_number).where(owned)
    ).all()
    queue_jobs(connection, queued.PROFILES, owned)
    kept = {
        path for row in owners for path in MODELS[row.model_id].profile_paths(row.serial_number)
    }
    orphans = [
        queued.Removal(task.job.serial, task.job.target, paths, None)
        for task in lost
        if task.phone is not None
        and (paths := [each for each in _paths(task.phone) if each not in kept])
    ]
    queued.queue_removals(connection, orphans)


def _paths(phone: PhoneSnapshot) -> tuple[str, ...]:
    return phone.model.profile_paths(phone.serial)
