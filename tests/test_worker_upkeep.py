"""Old jobs and audit entries go, some at a time, and nothing else does (phones.md §2)."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from sipxconfig_soap.jobs import upkeep
from sipxconfig_soap.jobs.upkeep import STEP_ROWS, Upkeep
from sipxconfig_soap.settings import Settings
from tests.support.logs import events
from tests.support.system import MAC, System
from tests.support.worker import all_jobs, ended, wait_for, working

if TYPE_CHECKING:
    from pathlib import Path

    from sipxconfig_soap.db import Database

JOBS = """
    INSERT INTO jobs (kind, serial, target, state, created, finished, due)
    SELECT 'profiles', n, n, {state}, now() - interval '{days} days', {finished}, 'infinity'
    FROM generate_series(1, {count}) n
"""
ENTRIES = """
    INSERT INTO audit_log (time, administrator, address, service, operation, entities, outcome)
    SELECT now() - interval '{days} days', 'a', 'b', 'c', 'd', '{{}}', 'done'
    FROM generate_series(1, {count})
"""


def add_jobs(database: Database, days: float, count: int = 1, state: str = "done") -> None:
    """Add jobs that ended so long ago, or that have waited for so long."""
    finished = "NULL" if state == "waiting" else f"now() - interval '{days} days'"
    with database.engine.begin() as connection:
        connection.exec_driver_sql(
            JOBS.format(state=f"'{state}'", days=days, finished=finished, count=count)
        )


def add_entries(database: Database, days: float, count: int = 1) -> None:
    with database.engine.begin() as connection:
        connection.exec_driver_sql(ENTRIES.format(days=days, count=count))


def left(database: Database) -> tuple[int, int]:
    """How many jobs and audit entries there are."""
    with database.engine.connect() as connection:
        counts = (
            connection.scalar(sa.text(f"SELECT count(*) FROM {table}"))
            for table in ("jobs", "audit_log")
        )
        jobs, entries = counts
        return jobs, entries


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings.load({}, data_dir=str(tmp_path))


def test_what_is_old_goes_and_what_is_not_stays(database: Database) -> None:
    for state in ("done", "failed", "unsupported", "cancelled"):
        add_jobs(database, 30.1, state=state)
        add_jobs(database, 29.9, state=state)
    # It has waited for a year, and may still be wanted.
    add_jobs(database, 365, state="waiting")
    add_entries(database, 365.1)
    add_entries(database, 364.9)
    assert database.change(Upkeep(30, 365).step) is False
    assert left(database) == (5, 1)
    with database.engine.connect() as connection:
        states = connection.scalars(sa.text("SELECT state FROM jobs")).all()
    assert sorted(states) == ["cancelled", "done", "failed", "unsupported", "waiting"]


def test_nought_days_are_for_ever(database: Database) -> None:
    add_jobs(database, 36500)
    add_entries(database, 36500)
    assert not Upkeep(0, 0).is_due
    database.change(Upkeep(0, 1).step)
    assert left(database) == (1, 0)
    database.change(Upkeep(1, 0).step)
    assert left(database) == (0, 0)


def test_a_step_is_small_and_the_oldest_go_first(database: Database) -> None:
    add_jobs(database, 40, STEP_ROWS)
    add_jobs(database, 50, STEP_ROWS)
    add_entries(database, 400, STEP_ROWS + 1)
    steps = Upkeep(30, 365)
    assert database.change(steps.step) is True
    assert left(database) == (STEP_ROWS, 1)
    with database.engine.connect() as connection:
        oldest = connection.scalar(sa.text("SELECT now() - min(finished) FROM jobs"))
    assert oldest.days == 40
    assert steps.is_due
    assert database.change(steps.step) is True
    assert database.change(steps.step) is False
    assert left(database) == (0, 0)
    assert not steps.is_due


def test_a_worker_removes_them_all_by_itself(
    database: Database, database_url: str, settings: Settings
) -> None:
    add_jobs(database, 31, 2 * STEP_ROWS + 1)
    add_jobs(database, 1)
    add_entries(database, 366, 2 * STEP_ROWS + 1)
    add_entries(database, 1)
    with working(database_url, settings), working(database_url, settings):
        wait_for(lambda: left(database) == (1, 1))


def test_a_job_that_waits_again_is_not_removed(database: Database) -> None:
    add_jobs(database, 31, state="failed")
    steps, result = Upkeep(30, 0), []
    with database.engine.begin() as connection:
        connection.execute(sa.text("UPDATE jobs SET state = 'waiting', finished = NULL"))
        thread = threading.Thread(target=lambda: result.append(database.change(steps.step)))
        thread.start()
        wait_for(lambda: waits_for_a_lock(database))
    thread.join()
    assert result == [False]
    assert [job.state for job in all_jobs(database.engine)] == ["waiting"]


def waits_for_a_lock(database: Database) -> Any:
    with database.engine.connect() as connection:
        return connection.scalar(
            sa.text(
                "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
                " AND datname = current_database()"
            )
        )


def test_jobs_are_done_though_old_rows_cannot_be_removed(
    system: System,
    database_url: str,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    broken = sa.text("DELETE FROM a_table_that_is_not_there")
    monkeypatch.setattr(upkeep, "_removal", lambda *_: broken)
    system.add_phone(MAC, "polycom331")
    with working(database_url, settings):
        wait_for(lambda: events(caplog, "internal error"))
        system.manage_phone(generateProfiles=True)
        (job,) = ended(system.database.engine)
    assert (job.state, job.attempts) == ("done", 1)
    # The next attempt is not at once.
    assert len(events(caplog, "internal error")) == 1


def test_old_jobs_are_found_by_an_index(database: Database) -> None:
    add_jobs(database, 1, 5000)
    with database.reads.connect() as connection:
        connection.exec_driver_sql("ANALYZE jobs")
        (statement,) = Upkeep(30, 0)._steps
        text = statement.compile(connection.engine, compile_kwargs={"literal_binds": True})
        plan = "\n".join(connection.scalars(sa.text(f"EXPLAIN {text}")))
    assert "ix_jobs_finished" in plan
    assert "Seq Scan" not in plan
