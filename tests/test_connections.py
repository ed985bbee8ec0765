"""Connections that sessions share: kept, replaced when they are of no use, never lost."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from sipxconfig_soap import connections
from sipxconfig_soap.db import Database
from sipxconfig_soap.domain.grouping import branches
from sipxconfig_soap.domain.rules import Rules
from sipxconfig_soap.domain.work import Work
from sipxconfig_soap.errors import Problems, Unavailable
from sipxconfig_soap.prepared import SHORT, Prepared, Reading

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sipxconfig_soap.db import Session

PID = Prepared(sa.select(sa.func.pg_backend_pid()))
NAMES = Prepared(sa.select(branches.c.name).order_by(branches.c.name))
ADD = Prepared(branches.insert().inline(), ["name"])
RULES = Rules("example.org", "example.org", (), frozenset())
GONE_SECONDS = 30


@pytest.fixture
def small(database: Database, database_url: str) -> Iterator[Database]:
    """Three connections at most."""
    assert database
    small = Database(database_url, pool_size=3)
    yield small
    small.dispose()


def pid(session: Session) -> int:
    ((found,),) = session.fetch(PID, {})
    return int(found)


def living(database: Database, pids: set[int]) -> int:
    with database.engine.connect() as connection:
        query = sa.text("SELECT count(*) FROM pg_stat_activity WHERE pid = ANY(:pids)")
        return int(connection.execute(query, {"pids": list(pids)}).scalar_one())


def test_the_one_used_last_is_used_next(small: Database) -> None:
    sessions = [small.session() for _ in range(3)]
    pids = [pid(session) for session in sessions]
    assert len(set(pids)) == 3
    for session in sessions:
        session.close()
    for _ in range(3):
        with small.session() as session:
            assert pid(session) == pids[-1]


def test_all_are_closed_in_the_end(small: Database, database: Database) -> None:
    sessions = [small.session() for _ in range(3)]
    pids = {pid(session) for session in sessions}
    for session in sessions:
        session.close()
    assert living(database, pids) == 3
    small.dispose()
    deadline = time.monotonic() + GONE_SECONDS
    while living(database, pids) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert living(database, pids) == 0
    # They can be had anew.
    with small.session() as session:
        assert pid(session) not in pids


def test_who_finds_none_free_is_told_and_so_is_the_log(
    small: Database, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(connections, "CONNECT_TIMEOUT", 0.05)
    sessions = [small.session() for _ in range(3)]
    for session in sessions:
        pid(session)
    with small.session() as fourth, pytest.raises(Unavailable):
        pid(fourth)
    (line,) = [each for each in caplog.records if each.getMessage() == "database unavailable"]
    assert vars(line)["sipxconfig_fields"]["kind"] == "NoneFree"
    for session in sessions:
        session.close()
    assert small.connections.in_use == 0


def test_one_that_was_left_in_a_transaction_is_not_used_again(small: Database) -> None:
    long = Reading(sa.select(sa.func.generate_series(1, 3 * SHORT)))
    with small.session() as session:
        first = pid(session)
        rows = iter(session.rows(long, {}))
        assert next(rows) == (1,)
    with small.session() as session:
        assert pid(session) != first
    del rows
    assert small.connections.in_use == 0


def test_plans_that_have_become_useless_are_made_anew(small: Database) -> None:
    outdated = Prepared(sa.select(sa.table("outdated", sa.column("value")).c.value))

    def execute(sql: str) -> None:
        with small.engine.begin() as connection:
            connection.exec_driver_sql(sql)

    execute("CREATE TABLE outdated (value integer)")
    try:
        sessions = [small.session() for _ in range(3)]
        for session in sessions:
            assert session.fetch(outdated, {}) == []
        for session in sessions:
            session.close()
        execute("ALTER TABLE outdated ALTER value TYPE text")
        for _ in range(3):
            with small.session() as session:
                assert session.fetch(outdated, {}) == []
    finally:
        execute("DROP TABLE outdated")
    assert small.connections.in_use == 0


def test_what_was_put_off_is_done_once_when_a_race_was_lost(small: Database) -> None:
    tries: list[int] = []

    def change(connection: sa.Connection) -> None:
        tries.append(1)
        work = Work(connection, RULES, Problems())
        work.later(ADD.with_values({"name": "one"}))
        work.later(ADD.with_values({"name": "two"}))
        if len(tries) == 1:
            work.later(ADD.with_values({"name": "one"}))
        work.flush()

    with small.session() as session:
        session.write(change)
        assert session.fetch(NAMES, {}) == [("one",), ("two",)]
    assert len(tries) == 2


def test_what_was_put_off_is_done_before_what_comes_after_it(small: Database) -> None:
    def change(connection: sa.Connection) -> list[Any]:
        work = Work(connection, RULES, Problems())
        work.later(ADD.with_values({"name": "one"}))
        seen: list[Any] = [work.fetch(NAMES, {})]
        work.later(ADD.with_values({"name": "two"}))
        seen.append([tuple(row) for row in work.execute(sa.select(branches.c.name))])
        work.later(ADD.with_values({"name": "x%s'"}))
        seen.append([tuple(row) for row in work.connection.execute(sa.select(branches.c.name))])
        return seen

    with small.session() as session:
        seen = session.write(change)
    assert seen == [[("one",)], [("one",), ("two",)], [("one",), ("two",), ("x%s'",)]]


def test_a_percent_sign_in_a_statement_is_itself(small: Database) -> None:
    column = sa.literal_column("7") % sa.literal_column("4")
    with small.session() as session:
        assert session.fetch(Prepared(sa.select(column)), {}) == [(3,)]
        assert session.fetch(Prepared(sa.select(column, sa.literal("%s"))), {}) == [(3, "%s")]


def test_names_and_texts_outside_ascii(database: Database) -> None:
    with database.engine.connect() as connection:
        found = connection.exec_driver_sql('SELECT %s AS "größe€😀"', ("ß€😀",))
        assert list(found.keys()) == ["größe€😀"]
        assert found.scalar_one() == "ß€😀"
        with pytest.raises(UnicodeEncodeError):
            connection.exec_driver_sql("SELECT %s", ("\ud800",))
