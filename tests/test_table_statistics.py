"""PostgreSQL knows how large tables are that have just been filled."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import sqlalchemy as sa

from sipxconfig_soap import logs
from sipxconfig_soap.db import Database
from sipxconfig_soap.domain.grouping import USER_GROUPS, branches
from sipxconfig_soap.table_statistics import refresh

if TYPE_CHECKING:
    from collections.abc import Callable

MANY = 500


def known(database: Database, table: sa.Table) -> tuple[int, int]:
    """Rows that a table has by PostgreSQL's statistics, and columns that it knows values of."""
    counted = sa.text(
        "SELECT reltuples, (SELECT count(*) FROM pg_stats"
        " WHERE schemaname = 'public' AND tablename = relname)"
        " FROM pg_class WHERE oid = CAST(:name AS regclass)"
    )
    with database.engine.connect() as connection:
        rows, columns = connection.execute(counted, {"name": table.name}).one()
    return int(rows), columns


def fill(database: Database, table: sa.Table) -> None:
    with database.engine.begin() as connection:
        # Nobody else counts here, and what earlier tests left is not what is counted.
        connection.exec_driver_sql(f"ALTER TABLE {table.name} SET (autovacuum_enabled = false)")
        connection.exec_driver_sql(f"ANALYZE {table.name}")
        connection.execute(table.insert(), [{"name": str(n)} for n in range(MANY)])


def test_tables_that_were_filled_are_known(database: Database) -> None:
    fill(database, branches)
    assert known(database, branches)[0] < MANY
    refresh(database, [branches])
    assert known(database, branches) == (MANY, len(branches.c))


def test_a_table_that_is_held_stops_nothing(
    database: Database, make_database: Callable[..., Database]
) -> None:
    fill(database, USER_GROUPS.groups)
    fill(database, branches)
    impatient = make_database(pool_size=1)

    @sa.event.listens_for(impatient.reads, "checkout")
    def _(connection: sa.PoolProxiedConnection, *_rest: object) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout TO 10")

    said = io.StringIO()
    logs.setup("warning", stream=said)
    try:
        with database.engine.begin() as connection:
            connection.exec_driver_sql("LOCK TABLE user_groups IN SHARE UPDATE EXCLUSIVE MODE")
            refresh(impatient, [USER_GROUPS.groups, branches])
    finally:
        logs.setup("warning", stream=io.StringIO())
    assert known(database, branches)[0] == MANY
    assert "table not analyzed" in said.getvalue()
    assert "lock timeout" in said.getvalue()


def test_a_database_that_went_away_stops_nothing(
    make_database: Callable[..., Database], database_url: str
) -> None:
    away = sa.make_url(database_url).set(port=1, host="127.0.0.1")
    gone = Database(away.render_as_string(hide_password=False))
    refresh(gone, [branches])
    gone.dispose()
    full = make_database(pool_size=1)
    full.reads.pool._timeout = 0.1  # type: ignore[attr-defined]
    with full.engine.connect():
        refresh(full, [branches])
