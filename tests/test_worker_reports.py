"""What a worker tells the administrator: jobs that failed, a profile directory that is closed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from sipxconfig_soap.jobs import worker
from sipxconfig_soap.settings import Settings
from tests.support.logs import events, printed
from tests.support.proxy import Cut, cutting_proxy
from tests.support.system import MAC, System
from tests.support.worker import closed_port, ended, files_below, wait_for, working

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from pathlib import Path

    from sipxconfig_soap.db import Database

    Work = Callable[..., AbstractContextManager[None]]

CLOSED = "the profile directory cannot be written"
OPEN = "the profile directory can be written again"


@pytest.fixture
def work(database_url: str, tmp_path: Path) -> Work:
    """Runs a worker with these settings beside the usual ones of these tests."""

    def run(**settings: str) -> AbstractContextManager[None]:
        values = {"data_dir": str(tmp_path), "job_retry_delays": "0.05 0.05", **settings}
        return working(database_url, Settings.load({}, **values))

    return run


def failures(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    kept = ("level", "job", "kind", "phone", "reason", "retry")
    return [
        {name: value for name, value in event.items() if name in kept}
        for event in events(caplog, "job failed")
    ]


def test_a_job_that_fails_is_one_warning_with_the_way_to_retry(
    system: System, work: Work, caplog: pytest.LogCaptureFixture
) -> None:
    system.add_users("1", sipPassword='a"s3cret')
    system.add_phone("0004f2000009", "cisco7960", lines=[{"userId": "1"}])
    system.do("managePhone", generateProfiles=True, restart=True)
    with work():
        first, second = ended(system.database.engine)
    numbers = [
        system.scalar("SELECT id FROM jobs WHERE kind = :kind", kind=kind)
        for kind in ("profiles", "restart")
    ]
    # Who reads it need not know that the restart waited for the profile.
    assert failures(caplog) == [
        {
            "level": "warning",
            "job": number,
            "kind": job.kind,
            "phone": "0004f2000009",
            "reason": job.reason,
            "retry": f"sipxconfig-soap jobs retry {number}",
        }
        for number, job in zip(numbers, (first, second), strict=True)
    ]
    assert "password" in str(first.reason)
    assert "s3cret" not in printed(caplog)


@pytest.mark.parametrize("cut", [Cut.BEFORE, Cut.AFTER, Cut.ANSWER])
def test_a_failure_whose_commit_is_cut_is_told_of_once(
    system: System, database_url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture, cut: Cut
) -> None:
    system.add_users("1", sipPassword='a"s3cret')
    system.add_phone("0004f2000009", "cisco7960", lines=[{"userId": "1"}])
    system.do("managePhone", generateProfiles=True, restart=True)
    with cutting_proxy(database_url) as proxy:
        proxy.only, proxy.cuts = b"SET state='failed'", [cut]
        with working(proxy.url, Settings.load({}, data_dir=str(tmp_path))):
            both = ended(system.database.engine)
            wait_for(lambda: len(failures(caplog)) == 2)
        assert proxy.made == [cut]
    assert [(job.state, job.attempts) for job in both] == [("failed", 1), ("failed", 0)]
    assert [each["kind"] for each in failures(caplog)] == ["profiles", "restart"]


def test_a_job_that_may_yet_succeed_is_none(
    system: System, work: Work, caplog: pytest.LogCaptureFixture
) -> None:
    system.add_phone(MAC, "polycom331")
    with work(sip_proxy=closed_port(), job_retry_delays="0.01 0.01 0.01"):
        system.manage_phone(restart=True)
        (job,) = ended(system.database.engine)
    assert (job.state, job.attempts) == ("failed", 4)
    assert [each["reason"] for each in failures(caplog)] == [job.reason]


def directories(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [each["event"] for each in events(caplog) if each["event"] in (CLOSED, OPEN)]


def test_a_profile_directory_that_is_closed_and_opened_is_told_once_each(
    system: System, work: Work, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    system.add_phone(MAC, "polycom331")
    root = tmp_path / "profiles"
    with work(job_retry_delays="0.05 " * 100):
        system.manage_phone(generateProfiles=True)
        ended(system.database.engine)
        assert directories(caplog) == []
        aside = root.rename(tmp_path / "aside")
        root.write_text("")
        system.manage_phone(generateProfiles=True)
        wait_for(lambda: directories(caplog))
        (closed,) = events(caplog, CLOSED)
        assert (closed["directory"], closed["reason"]) == (root, "Not a directory")
        root.unlink()
        aside.rename(root)
        ended(system.database.engine)
        wait_for(lambda: len(directories(caplog)) > 1)
    assert directories(caplog) == [CLOSED, OPEN]
    assert failures(caplog) == []
    assert len(files_below(root)) == 2


def test_it_is_looked_at_without_a_job_too(
    database: Database,
    work: Work,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert database
    monkeypatch.setattr(worker, "LOOK_SECONDS", 0.05)
    root = tmp_path / "profiles"
    root.write_text("")
    with work():
        wait_for(lambda: directories(caplog) == [CLOSED])
        root.unlink()
        wait_for(lambda: directories(caplog) == [CLOSED, OPEN])
    # Nothing was made to find that out.
    assert not root.exists()


def test_it_is_not_looked_at_for_every_job(
    system: System, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[Path] = []

    def look(directory: Path) -> None:
        looks.append(directory)

    monkeypatch.setattr(worker, "why_not_writable", look)
    system.add_phone(MAC, "polycom331")
    with work():
        for _ in range(5):
            system.manage_phone(generateProfiles=True)
            ended(system.database.engine)
    assert len(looks) == 1
