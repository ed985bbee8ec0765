"""Phones that had one serial number after another, and files of the same name (phones.md §2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from sipxconfig_soap.jobs import files, queue, upkeep
from sipxconfig_soap.provisioning.models import MODELS
from sipxconfig_soap.provisioning.phone import ProvisioningSettings
from sipxconfig_soap.settings import Settings
from tests.support.system import MAC, System
from tests.support.worker import all_jobs, ended, files_below, wait_for, working

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from sipxconfig_soap.db import Database
    from tests.support.soap import Soap

    Work = Callable[[], AbstractContextManager[None]]

ME, OTHER_WORKER = 11, 12
PAIRS = [("avaya-1220", "nortel11xx"), ("nortel11xx", "avaya-1220")]
COMMON = f"SIP{MAC.upper()}.cfg"


@pytest.fixture
def system(soap: Soap, database: Database) -> System:
    system = System(soap, database)
    system.add_users("201", "202")
    return system


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "profiles"


@pytest.fixture
def work(database_url: str, tmp_path: Path) -> Work:
    def run() -> AbstractContextManager[None]:
        settings = Settings.load({}, data_dir=str(tmp_path), job_retry_delays="0.05")
        return working(database_url, settings)

    return run


def generate(system: System, model_id: str, user: str) -> None:
    """Add a phone and have its files written."""
    system.add_phone(MAC, model_id, lines=[{"userId": user}])
    system.manage_phone(generateProfiles=True)


def replace(system: System, model_id: str) -> None:
    """Delete the phone and give its number to another one, with a line of another user."""
    system.manage_phone(deletePhone=True)
    generate(system, model_id, "202")


def claim(system: System, worker: int, most: int = 1) -> Sequence[queue.Claimed]:
    """Have a worker take some jobs."""
    claimed: Sequence[queue.Claimed] = system.database.change(
        lambda c: queue.claim_files(c, worker, most)
    )
    return claimed


def end(system: System, ending: queue.Ending) -> None:
    """Note how a job of the first worker ended."""
    system.database.change(lambda c: queue.end(c, ME, [ending], ()))


def whose(root: Path) -> str:
    """The user in the file that both models have."""
    (user,) = {user for user in ("201", "202") if f"{user}@" in (root / COMMON).read_text()}
    return user


@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_the_files_of_the_first_go_before_those_of_the_second_come(
    system: System, first: str, second: str
) -> None:
    system.add_phone(MAC, first)
    replace(system, second)
    (removal,) = claim(system, ME)
    assert removal.kind == "removal"
    assert claim(system, OTHER_WORKER) == []
    end(system, queue.Ending(removal, "done"))
    assert [job.kind for job in claim(system, OTHER_WORKER)] == ["profiles"]


@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_a_removal_that_is_tried_again_much_later(
    system: System, work: Work, root: Path, first: str, second: str
) -> None:
    with work():
        generate(system, first, "201")
        ended(system.database.engine)
        (root / COMMON).unlink()
        (root / COMMON).mkdir()
        system.manage_phone(deletePhone=True)
        assert ended(system.database.engine)[-1].state == "failed"
        (root / COMMON).rmdir()
        generate(system, second, "202")
        assert ended(system.database.engine)[-1].state == "done"
        assert system.database.change(upkeep.retry_failed) == 1
        assert ended(system.database.engine)[-1].state == "done"
    assert whose(root) == "202"


def failed_removal(system: System, model_id: str) -> None:
    """A phone of this model was there, and its files could not be removed."""
    system.add_phone(MAC, model_id)
    system.manage_phone(deletePhone=True)
    (removal,) = claim(system, ME)
    end(system, queue.Ending(removal, "failed", "x"))


@pytest.mark.parametrize(("first", "second"), [*PAIRS, ("avaya-1220", "avaya-1220")])
def test_a_removal_that_is_tried_again_while_the_file_is_written(
    system: System, work: Work, root: Path, first: str, second: str
) -> None:
    failed_removal(system, first)
    generate(system, second, "202")
    writer = files.FileJobs(root, ProvisioningSettings(domain="example.org"))
    ((task,), _) = system.database.change(lambda c: files.plan(c, queue.claim_files(c, ME, 1)))
    assert system.database.change(upkeep.retry_failed) == 1
    assert claim(system, OTHER_WORKER) == []
    end(system, writer.carry_out(task))
    assert whose(root) == "202"
    with work():
        assert {job.state for job in ended(system.database.engine)[1:]} == {"done"}
    assert whose(root) == "202"


@pytest.mark.parametrize(("first", "second"), [*PAIRS, ("avaya-1220", "avaya-1220")])
def test_nothing_is_written_while_a_removal_is_about_to_be_tried_again(
    system: System, first: str, second: str
) -> None:
    failed_removal(system, first)
    generate(system, second, "202")
    with system.database.engine.begin() as connection:
        assert upkeep.retry_failed(connection) == 1
        assert claim(system, ME) == []
    assert [job.kind for job in claim(system, ME)] == ["removal"]


def test_a_phone_that_never_had_files_gets_none_by_a_removal(system: System) -> None:
    failed_removal(system, "avaya-1220")
    system.add_phone(MAC, "nortel11xx")
    assert system.database.change(upkeep.retry_failed) == 1
    assert [job.kind for job in all_jobs(system.database.engine)] == ["removal"]


def test_what_postgresql_is_asked_does_not_grow_with_the_removals(system: System) -> None:
    asked: list[list[str]] = []
    for count in (1, 3):
        for number in range(count):
            system.add_phone(f"0004f2aabb0{number}", "avaya-1220")
        system.do("managePhone", deletePhone=True)
        for removal in claim(system, ME, 3):
            end(system, queue.Ending(removal, "failed", "x"))
        texts: list[str] = []
        with system.database.engine.begin() as connection:
            sa.event.listen(
                connection, "before_cursor_execute", lambda *event, to=texts: to.append(event[2])
            )
            assert upkeep.retry_failed(connection) == count
        asked.append(texts)
        for removal in claim(system, ME, 3):
            end(system, queue.Ending(removal, "done"))
    assert asked[0] == asked[1]


@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_a_worker_that_was_taken_for_dead(
    system: System, work: Work, root: Path, first: str, second: str
) -> None:
    generate(system, first, "201")
    late = files.FileJobs(root, ProvisioningSettings(domain="example.org"))
    tasks, _ = system.database.change(lambda c: files.plan(c, queue.claim_files(c, ME, 25)))
    system.database.change(queue.recover)
    replace(system, second)
    with work():
        ended(system.database.engine)
        late.carry_out(tasks[0])
        assert whose(root) == "201"
        system.database.change(lambda c: files.make_up_for(c, tasks))
        ended(system.database.engine)
        assert whose(root) == "202"
        assert files_below(root) == sorted(MODELS[second].profile_paths(MAC))
        system.manage_phone(deletePhone=True)
        wait_for(lambda: files_below(root) == [], str(all_jobs(system.database.engine)))
