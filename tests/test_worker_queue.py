"""The states of jobs: what may run beside what, and what becomes of jobs whose worker is lost."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from sipxconfig_soap.db import Database
from sipxconfig_soap.domain import jobs as queued
from sipxconfig_soap.domain.phone_tables import phones, queue_jobs
from sipxconfig_soap.jobs import files, queue, upkeep
from sipxconfig_soap.jobs.bell import Bell, Listener
from sipxconfig_soap.jobs.queue import Claimed, Ending
from sipxconfig_soap.provisioning import files as disk
from sipxconfig_soap.provisioning.phone import ProvisioningSettings
from sipxconfig_soap.settings import Settings
from tests.support.system import MAC, System, edits
from tests.support.worker import (
    LIMIT,
    Job,
    SipPeer,
    all_jobs,
    ended,
    files_below,
    wait_for,
    working,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import sqlalchemy as sa

    from tests.support.soap import Soap

ME, OTHER_WORKER = 11, 12
OTHER, NEW = "0004f2000002", "0004f2000003"
DELAYS = (0.0, 0.0)
SETTINGS = ProvisioningSettings(domain="example.org")
BOTH = sorted([f"{MAC}-sipx-phone.cfg", f"{MAC}.cfg"])


@pytest.fixture
def system(soap: Soap, database: Database) -> System:
    system = System(soap, database)
    system.add_users("201")
    system.add_phone(MAC, "polycom331", lines=[{"userId": "201"}])
    return system


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "profiles"


class Queue:
    """Does what workers do, step by step."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def write(self, work: Callable[[sa.Connection], Any]) -> Any:
        return self._database.change(work)

    def files(self, worker: int = ME) -> list[Claimed]:
        return list(self.write(lambda c: queue.claim_files(c, worker, 100)))

    def restarts(self, worker: int = ME) -> list[Claimed]:
        return list(self.write(lambda c: queue.claim_restarts(c, worker, 100)))

    def end(
        self, job: Claimed, state: str = "done", reason: str | None = None, worker: int = ME
    ) -> list[Claimed]:
        ending = Ending(job, state, reason)
        ended: queue.Ended = self.write(lambda c: queue.end(c, worker, [ending], DELAYS))
        return ended.lost


@pytest.fixture
def steps(database: Database) -> Queue:
    return Queue(database)


def states(system: System) -> list[tuple[str, str]]:
    return [(job.kind, job.state) for job in all_jobs(system.database.engine)]


# -- order ---------------------------------------------------------------------------------------


def test_a_change_that_is_not_committed_is_not_missed(system: System, steps: Queue) -> None:
    system.manage_phone(generateProfiles=True)
    with system.database.engine.begin() as connection:
        # It is merged into the waiting job, which must wait for the rest of this transaction.
        queue_jobs(connection, queued.PROFILES, phones.c.serial_number == MAC)
        assert steps.files() == []
    assert len(steps.files()) == 1
    assert len(all_jobs(system.database.engine)) == 1


def test_a_change_during_a_job_queues_another(system: System, steps: Queue) -> None:
    system.manage_phone(generateProfiles=True)
    (running,) = steps.files()
    system.edit_user("201", firstName="x")
    assert states(system) == [("profiles", "running"), ("profiles", "waiting")]
    assert steps.files() == []
    steps.end(running)
    assert len(steps.files()) == 1


def test_a_removal_waits_for_the_profile_that_is_written(system: System, steps: Queue) -> None:
    system.manage_phone(generateProfiles=True)
    (running,) = steps.files()
    system.manage_phone(deletePhone=True)
    assert steps.files() == []
    steps.end(running)
    (removal,) = steps.files()
    assert removal.kind == "removal"


def test_a_restart_waits_for_files(system: System, steps: Queue) -> None:
    system.manage_phone(generateProfiles=True, restart=True)
    assert steps.restarts() == []
    (profiles,) = steps.files()
    assert steps.restarts() == []
    steps.end(profiles)
    (restart,) = steps.restarts()
    system.manage_phone(restart=True)
    assert steps.restarts() == []
    steps.end(restart)
    assert len(steps.restarts()) == 1


def test_a_restart_waits_until_a_moved_phone_has_its_files(system: System, steps: Queue) -> None:
    system.manage_phone(edit=edits(serialNumber=NEW), restart=True)
    assert steps.restarts() == []
    (removal,) = steps.files()
    steps.end(removal)
    assert len(steps.restarts()) == 1


def test_an_old_job_that_is_retried_waits_for_a_newer_one(system: System, steps: Queue) -> None:
    system.manage_phone(generateProfiles=True)
    steps.end(steps.files()[0], "failed", "x")
    system.manage_phone(generateProfiles=True)
    (running,) = steps.files()
    assert steps.write(upkeep.retry_failed) == 1
    assert steps.files() == []
    steps.end(running)
    assert len(steps.files()) == 1


def test_the_removal_of_a_file_that_was_written_since_is_not_retried(
    system: System, steps: Queue
) -> None:
    system.manage_phone(deletePhone=True)
    steps.end(steps.files()[0], "failed", "x")
    system.add_phone(MAC, "polycom331")
    system.manage_phone(generateProfiles=True)
    (running,) = steps.files()
    steps.end(running)
    assert steps.write(upkeep.retry_failed) == 0


def test_a_restart_does_not_fail_when_newer_profiles_wait(system: System, steps: Queue) -> None:
    system.manage_phone(generateProfiles=True, restart=True)
    (running,) = steps.files()
    system.edit_user("201", firstName="x")
    steps.end(running, "failed", "x")
    assert ("restart", "waiting") in states(system)
    (newer,) = steps.files()
    steps.end(newer, "failed", "y")
    assert all_jobs(system.database.engine)[1] == Job(
        "restart", MAC, "failed", "its profiles failed: y", 0
    )


# -- tries ---------------------------------------------------------------------------------------


def test_tries_are_counted_and_end(system: System, steps: Queue) -> None:
    system.manage_phone(generateProfiles=True)
    for attempt in (1, 2):
        (job,) = steps.files()
        assert job.attempts == attempt
        ending = queue.settled(Ending(job, "waiting", "x"), DELAYS)
        assert ending.state == "waiting"
        steps.end(job, "waiting", "x")
    (job,) = steps.files()
    assert queue.settled(Ending(job, "waiting", "x"), DELAYS).state == "failed"


def test_a_pause_lasts(system: System, steps: Queue) -> None:
    system.manage_phone(generateProfiles=True)
    (job,) = steps.files()
    ending = Ending(job, "waiting", "x")
    steps.write(lambda c: queue.end(c, ME, [ending], [1000.0]))
    assert steps.files() == []
    due = steps.write(lambda c: queue.next_due(c, queue.FILE_KINDS))
    assert 900 < due <= 1000
    assert steps.write(lambda c: queue.next_due(c, ["restart"])) is None


def test_a_try_that_came_to_nothing_is_merged_into_a_newer_job(
    system: System, steps: Queue
) -> None:
    system.manage_phone(generateProfiles=True)
    (job,) = steps.files()
    system.manage_phone(generateProfiles=True)
    steps.end(job, "waiting", "no room")
    first, second = all_jobs(system.database.engine)
    assert first == Job("profiles", MAC, "cancelled", "no room; a newer job waits", 1)
    assert second.state == "waiting"


# -- workers that are lost -----------------------------------------------------------------------


@pytest.fixture
def listener(database_url: str) -> Iterator[Listener]:
    database, bell = Database(database_url, pool_size=1), Bell()
    with Listener(database, bell) as listener:
        yield listener
    bell.close()
    database.dispose()


def test_jobs_of_a_living_worker_are_left_alone(
    system: System, steps: Queue, listener: Listener
) -> None:
    system.manage_phone(generateProfiles=True)
    steps.files(listener.worker)
    assert steps.write(queue.recover) == (0, [], None)
    with system.database.engine.connect() as connection:
        connection.exec_driver_sql(
            "SELECT pg_terminate_backend(pid) FROM pg_locks JOIN pg_database d ON d.oid = database"
            " WHERE locktype = 'advisory' AND datname = current_database()"
        )
    wait_for(lambda: steps.write(queue.recover) == (1, [], None))
    assert all_jobs(system.database.engine) == [
        Job("profiles", MAC, "waiting", "its worker died", 1)
    ]


def test_a_job_that_kills_its_workers_is_given_up(system: System, steps: Queue) -> None:
    system.manage_phone(generateProfiles=True, restart=True)
    for _ in range(queue.MOST_ATTEMPTS):
        assert len(steps.files()) == 1
        recovered, failed, _ = steps.write(queue.recover)
        assert recovered == 1
    assert [each.kind for each in failed] == ["profiles", "restart"]
    first, second = all_jobs(system.database.engine)
    assert (first.state, first.reason) == ("failed", "20 workers died of it")
    assert second.state == "failed"


def test_who_was_taken_for_dead_ends_nothing_and_does_it_again(
    system: System, steps: Queue, root: Path
) -> None:
    jobs = files.FileJobs(root, SETTINGS)
    system.manage_phone(generateProfiles=True)
    tasks, _ = steps.write(lambda c: files.plan(c, queue.claim_files(c, ME, 25)))
    steps.write(queue.recover)
    (taken_up,) = steps.files(OTHER_WORKER)
    assert jobs.carry_out(tasks[0]).state == "done"
    lost = steps.end(tasks[0].job)
    assert lost == [tasks[0].job]
    assert states(system) == [("profiles", "running")]
    steps.write(lambda c: files.make_up_for(c, tasks))
    assert steps.end(taken_up, worker=OTHER_WORKER) == []
    assert states(system) == [("profiles", "done"), ("profiles", "waiting")]


def test_who_was_taken_for_dead_leaves_no_file_of_a_deleted_phone(
    system: System, steps: Queue, root: Path, database_url: str, tmp_path: Path
) -> None:
    jobs = files.FileJobs(root, SETTINGS)
    system.manage_phone(generateProfiles=True)
    tasks, _ = steps.write(lambda c: files.plan(c, queue.claim_files(c, ME, 25)))
    steps.write(queue.recover)
    system.manage_phone(deletePhone=True)
    settings = Settings.load({}, data_dir=str(tmp_path))
    with working(database_url, settings):
        ended(system.database.engine)
        jobs.carry_out(tasks[0])
        assert files_below(root) == BOTH
        assert steps.end(tasks[0].job)
        steps.write(lambda c: files.make_up_for(c, tasks))
        ended(system.database.engine)
    assert files_below(root) == []


def test_a_worker_that_dies_while_a_phone_moves(
    system: System, steps: Queue, root: Path, database_url: str, tmp_path: Path
) -> None:
    settings = Settings.load({}, data_dir=str(tmp_path))
    with working(database_url, settings):
        system.manage_phone(generateProfiles=True)
        ended(system.database.engine)
    system.manage_phone(edit=edits(serialNumber=NEW))
    jobs = files.FileJobs(root, SETTINGS)
    tasks, _ = steps.write(lambda c: files.plan(c, queue.claim_files(c, ME, 25)))
    steps.write(lambda c: files.renew(c, jobs.moved(tasks)))
    jobs.carry_out(tasks[0])
    # Here it dies: the old files are gone, and nobody could see any more that they were there.
    assert files_below(root) == []
    with working(database_url, settings):
        ended(system.database.engine)
    assert files_below(root) == sorted([f"{NEW}-sipx-phone.cfg", f"{NEW}.cfg"])


def test_a_slow_disk_holds_no_phone(
    system: System,
    root: Path,
    database_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    writing, go_on = threading.Event(), threading.Event()
    write = disk.replace

    def slow(*arguments: Any) -> None:
        writing.set()
        go_on.wait(LIMIT)
        write(*arguments)

    monkeypatch.setattr(disk, "replace", slow)
    with working(database_url, Settings.load({}, data_dir=str(tmp_path))):
        system.manage_phone(generateProfiles=True)
        writing.wait(LIMIT)
        system.manage_phone(edit=edits(description="x"))
        system.edit_user("201", firstName="x")
        system.manage_phone(deletePhone=True)
        assert ("profiles", "running") in states(system)
        go_on.set()
        ended(system.database.engine)
    assert files_below(root) == []


# -- restarts in turn ----------------------------------------------------------------------------


def test_the_next_worker_keeps_the_distance(
    system: System, database_url: str, tmp_path: Path
) -> None:
    system.add_phone(OTHER, "polycom331")
    with SipPeer() as peer:
        values = {"sip_proxy": peer.address, "restart_spacing": "0.5"}
        settings = Settings.load({}, data_dir=str(tmp_path), **values)
        with working(database_url, settings):
            system.manage_phone(restart=True)
            ended(system.database.engine)
        with working(database_url, settings):
            system.manage_phone(OTHER, restart=True)
            ended(system.database.engine)
    assert peer.times[1] - peer.times[0] >= 0.45


def test_two_workers_restart_in_turn(system: System, database_url: str, tmp_path: Path) -> None:
    serials = [f"0004f200010{number}" for number in range(5)]
    for serial in serials:
        system.add_phone(serial, "polycom331", groups=["G"])
    with SipPeer() as peer:
        values = {"sip_proxy": peer.address, "restart_spacing": "0.2"}
        settings = Settings.load({}, data_dir=str(tmp_path), **values)
        with working(database_url, settings), working(database_url, settings):
            system.do("managePhone", search={"byGroup": "G"}, restart=True)
            found = ended(system.database.engine)
    assert {(job.state, job.attempts) for job in found} == {("done", 1)}
    assert len(peer.heard) == len(serials)
    assert peer.times[-1] - peer.times[0] >= 4 * 0.2 - 0.15


# -- waking --------------------------------------------------------------------------------------


def test_a_ring_wakes_and_is_not_lost(listener: Listener) -> None:
    bell = listener._bell
    for _ in range(100_000):
        bell.ring()
    begun = time.monotonic()
    listener.wait(LIMIT)
    threading.Timer(0.1, bell.ring).start()
    listener.wait(LIMIT)
    assert time.monotonic() - begun < LIMIT


def test_only_what_is_committed_wakes(system: System, listener: Listener) -> None:
    with system.database.engine.begin() as connection:
        queued.announce(connection)
        listener.wait(0.2)
        begun = time.monotonic()
    listener.wait(LIMIT)
    assert time.monotonic() - begun < LIMIT
