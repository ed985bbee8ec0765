"""Databases for tests: made, dropped, and better used again.

To make one and drop it takes PostgreSQL a tenth of a second of a processor and more: it consists of
300 files.
"""

from __future__ import annotations

import subprocess
from collections import defaultdict
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import sqlalchemy as sa

from sipxconfig_soap.embedded.programs import find_programs

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from sipxconfig_soap.embedded import EmbeddedPostgres

_CATALOGS = (
    "attrdef attribute class constraint extension index namespace policy proc sequence trigger type"
)
_ALTERED = " UNION ALL ".join(
    [
        *(f"SELECT count(*), max(xmin::text::bigint) FROM pg_{each}" for each in _CATALOGS.split()),
        # Settings that a database has for itself.
        "SELECT count(*), max(setdatabase::bigint) FROM pg_db_role_setting",
        "SELECT 1, xmin::text::bigint FROM pg_database WHERE datname = current_database()",
    ]
)
"""What is different as soon as anything but rows and positions of sequences is."""

_ALONE = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()
"""


@contextmanager
def created_database(
    postgres: EmbeddedPostgres, name: str, template: str = "template1", more: str = ""
) -> Iterator[str]:
    """A database of this name, a copy of another one, for as long as the context lasts."""
    engine = sa.create_engine(postgres.url("postgres"), isolation_level="AUTOCOMMIT")
    try:
        with engine.connect() as connection:
            connection.exec_driver_sql(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
            connection.exec_driver_sql(f'CREATE DATABASE "{name}" TEMPLATE "{template}" {more}')
            yield postgres.url(name)
            connection.exec_driver_sql(f'DROP DATABASE "{name}" WITH (FORCE)')
    finally:
        engine.dispose()


def drop_templates(url: str) -> None:
    """Drop what databases are copied from; there need be no more."""
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql("UPDATE pg_database SET datistemplate = false")
        for name in ("template0", "template1"):
            connection.exec_driver_sql(f"DROP DATABASE {name}")
    engine.dispose()


def shorten_log(cluster: Path) -> None:
    """Have PostgreSQL write its log ahead in files of 1 MB, not of 16."""
    owner = cluster.stat()
    command = [find_programs(cluster) / "pg_resetwal", "--wal-segsize=1", "-D", cluster]
    subprocess.run(
        command, check=True, capture_output=True, cwd="/", user=owner.st_uid, group=owner.st_gid
    )


class Kept:
    """A database that can be made what it is now.

    Args:
        database: that is dropped with `drop`.
    """

    def __init__(self, database: AbstractContextManager[str]) -> None:
        self._stack = ExitStack()
        self.url = self._stack.enter_context(database)
        self._engine = sa.create_engine(self.url, poolclass=sa.NullPool)
        with self._engine.begin() as connection:
            self._catalogs = connection.exec_driver_sql(_ALTERED).all()
            tables = connection.exec_driver_sql(
                "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
            )
            self._rows = {
                table: connection.exec_driver_sql(f"SELECT each::text FROM {table} each")
                .scalars()
                .all()
                for table in tables.scalars()
            }
            sequences = connection.exec_driver_sql(
                "SELECT sequencename FROM pg_sequences WHERE schemaname = 'public'"
            )
            positions = [
                (
                    each,
                    *connection.exec_driver_sql(f"SELECT last_value, is_called FROM {each}").one(),
                )
                for each in sequences.scalars()
            ]
        self._emptied = ";".join(
            [
                # No triggers: all rows go, and nobody is to be told of each.
                "SET LOCAL session_replication_role = replica",
                *(f"DELETE FROM {table}" for table in self._rows),
                *(f"SELECT setval('{name}', {last}, {called})" for name, last, called in positions),
            ]
        )

    def restore(self) -> bool:
        """Have no connections and the rows of then; False if more than rows has changed."""
        with self._engine.begin() as connection:
            connection.exec_driver_sql(_ALONE)
            if connection.exec_driver_sql(_ALTERED).all() != self._catalogs:
                return False
            connection.exec_driver_sql(self._emptied)
            for table, rows in self._rows.items():
                if rows:
                    every = f"SELECT (each::{table}).* FROM unnest(:rows) each"
                    insert = sa.text(f"INSERT INTO {table} OVERRIDING SYSTEM VALUE {every}")
                    connection.execute(insert, {"rows": rows})
        return True

    def drop(self) -> None:
        """Drop the database."""
        self._stack.close()


class Stock:
    """Databases that are lent to one test after another, each as it was at first."""

    def __init__(self) -> None:
        self._free: dict[Hashable, list[Kept]] = defaultdict(list)

    @contextmanager
    def lent(
        self, kind: Hashable, make: Callable[[], AbstractContextManager[str]]
    ) -> Iterator[str]:
        """The URL of one of a kind, made if none is free."""
        free = self._free[kind]
        kept = free.pop() if free else Kept(make())
        yield kept.url
        if kept.restore():
            free.append(kept)
        else:
            kept.drop()

    def drop(self) -> None:
        """Drop all that are not lent."""
        for free in self._free.values():
            while free:
                free.pop().drop()
