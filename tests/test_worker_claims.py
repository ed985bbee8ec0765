"""A claim of jobs looks at few of them, whatever PostgreSQL believes of the tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from sipxconfig_soap.domain import jobs as queued
from sipxconfig_soap.domain.phone_tables import queue_jobs
from sipxconfig_soap.jobs import queue

if TYPE_CHECKING:
    from collections.abc import Callable

    from sipxconfig_soap.db import Database
    from sipxconfig_soap.jobs.queue import Claimed

ME = 11


def rows_looked_at(plan: dict[str, Any]) -> float:
    """How many rows all steps of a plan have looked at."""
    own = plan["Actual Rows"] + sum(
        value for name, value in plan.items() if name.startswith("Rows Removed by")
    )
    return float(own * plan["Actual Loops"]) + sum(map(rows_looked_at, plan.get("Plans", [])))


def fill(database: Database, count: int) -> None:
    """Queue both kinds of jobs for so many phones, which are added where there are none."""
    with database.engine.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO phones (serial_number, model_id, profile_file) SELECT n, 'snom300', n"
            f" FROM generate_series(1, {count}) n ON CONFLICT DO NOTHING"
        )
        for kind in (queued.PROFILES, queued.RESTART):
            queue_jobs(connection, kind, sa.true())


BELIEFS: dict[str, list[str]] = {
    "no statistics": [],
    "analysed when full": ["fill", "ANALYZE jobs, phones"],
    # Pages without rows, as a queue has them whose jobs have been purged.
    "analysed when emptied": ["fill", "DELETE FROM jobs", "ANALYZE jobs, phones"],
    "vacuumed when emptied": ["fill", "DELETE FROM jobs", "VACUUM ANALYZE jobs, phones"],
    "vacuumed before there was any": ["VACUUM ANALYZE jobs, phones"],
    "rewritten when emptied": ["fill", "DELETE FROM jobs", "VACUUM FULL jobs", "ANALYZE jobs"],
}
"""What PostgreSQL may believe of the tables, and how it comes to that."""


@pytest.mark.parametrize("belief", BELIEFS)
@pytest.mark.parametrize("claim", [queue.claim_files, queue.claim_restarts])
def test_a_claim_does_not_look_at_every_pair_of_jobs(
    database: Database, claim: Callable[..., list[Claimed]], belief: str
) -> None:
    count = 5000
    for step in BELIEFS[belief]:
        if step == "fill":
            fill(database, count)
        else:
            with database.reads.connect() as connection:
                connection.exec_driver_sql(step)
    fill(database, count)
    statements: list[tuple[str, Any]] = []
    with database.engine.connect() as connection:
        sa.event.listen(
            connection,
            "before_cursor_execute",
            lambda _c, _cursor, text, values, *_: statements.append((text, values)),
        )
        claim(connection, ME, 25)
        connection.rollback()
        plans = [
            connection.exec_driver_sql(f"EXPLAIN (ANALYZE, FORMAT JSON) {text}", values)
            for text, values in tuple(statements)
        ]
        looked_at = sum(rows_looked_at(plan.scalar_one()[0]["Plan"]) for plan in plans)
        connection.rollback()
    # Each of the 25 that are claimed may look at all jobs once; all pairs would be 25,000,000.
    assert looked_at < 200 * count
