"""Phones that had one serial number after another, and files of the same name (phones.md §2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from sipxconfig_soap.jobs import files, queue, upkeep
from sipxconfig_soap.provisioning.models import MODELS
from sipxconfig_soap.provisioning.phone import ProvisioningSettings
from sipxconfig_soap.settings import Settings
from tests.support.system import MAC, System
from tests.support.worker import all_jobs, ended, files_below, wait_for, working

if TYPE_CHECKING:
    from collections.abc import Callable
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


def whose(root: Path) -> str:
    """The user in the file that both models have."""
    (user,) = {user for user in ("201", "202") if f"{user}@" in (root / COMMON).read_text()}
    return user


@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_the_files_of_the_first_go_before_those_of_the_second_come(
    system: System, first: str, second: str
) -> None:
    def claim(worker: int) -> Any:
        return system.database.change(lambda c: queue.claim_files(c, worker, 1))

    system.add_phone(MAC, first)
    replace(system, second)
    (removal,) = claim(ME)
    assert removal.kind == "removal"
    assert claim(OTHER_WORKER) == []
    ending = queue.Ending(removal, "done")
    system.database.change(lambda c: queue.end(c, ME, [ending], ()))
    assert [job.kind for job in claim(OTHER_WORKER)] == ["profiles"]


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
