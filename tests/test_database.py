"""The engine: connections that are kept, replaced and never lost; transactions tried again."""

from __future__ import annotations

import time
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from sipxconfig_soap import db, transactions
from sipxconfig_soap.availability import availability
from sipxconfig_soap.db import PIECE, SESSION, Database, stream
from sipxconfig_soap.domain.grouping import branches
from sipxconfig_soap.errors import Unavailable
from sipxconfig_soap.transactions import change
from tests.support.logs import events, printed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PID = sa.select(sa.func.pg_backend_pid())
GONE_SECONDS = 30


@pytest.fixture
def small(
    database: Database, make_database: Callable[..., Database], monkeypatch: pytest.MonkeyPatch
) -> Database:
    """Three connections at most, for which nobody waits for long."""
    assert database
    monkeypatch.setattr(db, "CONNECT_TIMEOUT", 1)
    return make_database(pool_size=3)


def pids_of_all(small: Database) -> list[int]:
    """The processes behind all three connections, in the order in which they are given back."""
    with ExitStack() as stack:
        held = [stack.enter_context(small.connect()) for _ in range(3)]
        pids = [int(connection.scalar(PID) or 0) for connection in held]
    return pids[::-1]


def pid(small: Database) -> int:
    with small.connect() as connection:
        return int(connection.scalar(PID) or 0)


def streamed(small: Database, statement: sa.Select[Any]) -> Iterator[sa.Row[Any]]:
    with small.connect() as connection:
        yield from stream(connection, statement, {})


def living(database: Database, pids: list[int]) -> int:
    with database.connect() as connection:
        query = sa.text("SELECT count(*) FROM pg_stat_activity WHERE pid = ANY(:pids)")
        return int(connection.execute(query, {"pids": pids}).scalar_one())


def end(database: Database, pids: list[int]) -> None:
    with database.connect() as connection:
        query = sa.text("SELECT pg_terminate_backend(pid) FROM unnest(:pids) pid")
        connection.execute(query, {"pids": pids})
    deadline = time.monotonic() + GONE_SECONDS
    while living(database, pids):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_the_one_used_last_is_used_next(small: Database) -> None:
    pids = pids_of_all(small)
    assert len(set(pids)) == 3
    assert [pid(small) for _ in range(3)] == [pids[-1]] * 3


def test_all_are_closed_in_the_end(small: Database, database: Database) -> None:
    pids = pids_of_all(small)
    assert living(database, pids) == 3
    small.dispose()
    deadline = time.monotonic() + GONE_SECONDS
    while living(database, pids) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert living(database, pids) == 0
    # They can be had anew.
    assert pid(small) not in pids


def test_those_that_died_meanwhile_are_replaced(small: Database, database: Database) -> None:
    pids = pids_of_all(small)
    end(database, pids)
    assert not {*pids_of_all(small)} & {*pids}
    end(database, pids_of_all(small))
    assert small.change(lambda connection: connection.scalar(sa.text("SELECT 1"))) == 1
    end(database, pids_of_all(small))
    assert [*streamed(small, sa.select(sa.literal(1)))] == [(1,)]


def test_who_finds_none_free_is_told_and_so_is_the_log(
    small: Database, caplog: pytest.LogCaptureFixture
) -> None:
    with ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(small.connect())
        for use in (small.connect, lambda: small.change(lambda _: None)):
            with pytest.raises(Unavailable):
                use()
    assert [each["event"] for each in events(caplog)] == ["database unavailable"] * 2
    assert pid(small)


def test_the_log_has_the_reason_of_postgresql_and_nothing_of_the_url(
    small: Database, caplog: pytest.LogCaptureFixture
) -> None:
    ended = sa.select(sa.func.pg_terminate_backend(sa.func.pg_backend_pid()))
    with pytest.raises(Unavailable):
        small.change(lambda connection: connection.scalar(ended))
    away = Database("postgresql://boss:hush-4711@127.0.0.1:1/secrets")
    with pytest.raises(Unavailable):
        away.connect()

    def wait(connection: sa.Connection) -> None:
        connection.exec_driver_sql("SET LOCAL statement_timeout TO '10ms'")
        connection.execute(sa.select(sa.func.pg_sleep(5), sa.literal("hush-4711")))

    with pytest.raises(Unavailable):
        small.change(wait)
    told = [(each["sqlstate"], each["reason"]) for each in events(caplog)]
    assert told == [
        (None, "server closed the connection unexpectedly"),
        (None, "Connection refused"),
        ("57014", "canceling statement due to statement timeout"),
    ]
    assert not [word for word in ("boss", "hush", "secrets") if word in printed(caplog)]


def test_a_stream_that_is_given_up_gives_its_connection_back(small: Database) -> None:
    long = sa.select(sa.func.generate_series(1, 3 * PIECE))
    for _ in range(5):
        with closing(streamed(small, long)) as rows:
            assert next(rows) == (1,)
    assert len(pids_of_all(small)) == 3
    assert [row[0] for row in streamed(small, long)] == [*range(1, 3 * PIECE + 1)]


def test_a_stream_is_one_snapshot(small: Database, database: Database) -> None:
    with database.engine.begin() as connection:
        connection.execute(branches.insert(), [{"name": f"b{n:05}"} for n in range(3 * PIECE)])
    with closing(streamed(small, sa.select(branches.c.name))) as rows:
        next(rows)
        with database.engine.begin() as connection:
            connection.execute(branches.delete())
        assert len([*rows]) == 3 * PIECE - 1


def test_a_connection_that_dies_within_a_stream_is_a_database_that_is_away(
    small: Database, database: Database
) -> None:
    pids = pids_of_all(small)
    with closing(streamed(small, sa.select(sa.func.generate_series(1, 100 * PIECE)))) as rows:
        next(rows)
        end(database, pids)
        with pytest.raises(Unavailable):
            list(rows)
    assert pid(small) not in pids


def test_a_connection_that_dies_within_a_request_is_a_database_that_is_away(
    small: Database, database: Database
) -> None:
    for use in (
        lambda connection: change(connection, lambda each: each.scalar(PID)),
        lambda connection: [*stream(connection, PID, {})],
    ):
        with small.connect() as connection:
            end(database, [int(connection.scalar(PID) or 0)])
            with pytest.raises(Unavailable):
                use(connection)
        assert pid(small)


def test_a_change_that_lost_a_race_begins_anew(small: Database) -> None:
    seen: list[int] = []

    def change(connection: sa.Connection) -> None:
        count = sa.select(sa.func.count()).select_from(branches)
        seen.append(connection.scalar(count) or 0)
        connection.execute(branches.insert(), {"name": "one"})
        if len(seen) == 1:
            connection.execute(branches.insert(), {"name": "one"})

    small.change(change)
    assert seen == [0, 0]
    with small.connect() as connection:
        assert connection.execute(sa.select(branches.c.name)).all() == [("one",)]


def test_a_race_that_is_lost_each_time_is_not_run_for_ever(
    small: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transactions, "ATTEMPTS", 3)
    tries: list[int] = []

    def change(connection: sa.Connection) -> None:
        tries.append(1)
        connection.execute(branches.insert(), [{"name": "one"}, {"name": "one"}])

    with pytest.raises(sa.exc.IntegrityError):
        small.change(change)
    assert len(tries) == 3


def test_what_fails_otherwise_is_not_tried_again_and_changes_nothing(small: Database) -> None:
    tries: list[int] = []

    def change(connection: sa.Connection) -> None:
        tries.append(1)
        connection.execute(branches.insert(), {"name": "one"})
        connection.execute(sa.text("SELECT 1 / 0"))

    with pytest.raises(sa.exc.DataError):
        small.change(change)
    assert tries == [1]
    with small.connect() as connection:
        assert connection.execute(sa.select(branches)).all() == []


@pytest.fixture
def outdated(database: Database) -> Iterator[Callable[[str], None]]:
    """Runs statements about a table that is dropped in the end."""

    def execute(sql: str) -> None:
        with database.engine.begin() as connection:
            connection.exec_driver_sql(sql)

    execute("CREATE TABLE outdated (value integer)")
    yield execute
    execute("DROP TABLE outdated")


def test_plans_that_have_become_useless_are_made_anew(
    make_database: Callable[..., Database], outdated: Callable[[str], None]
) -> None:
    small = make_database(pool_size=3, prepare_statements=True)
    select = sa.select(sa.table("outdated", sa.column("value"))).execution_options(prepared=True)
    with ExitStack() as stack:
        for connection in [stack.enter_context(small.connect()) for _ in range(3)]:
            assert connection.execute(select).all() == []
    outdated("ALTER TABLE outdated ALTER value TYPE text")

    def read() -> list[sa.Row[tuple[str]]]:
        with availability(), small.connect() as connection:
            return [*connection.execute(select)]

    # One finds out; all connections that are as old are replaced.
    with pytest.raises(Unavailable):
        read()
    assert [read() for _ in range(4)] == [[]] * 4
    pids_of_all(small)
    with ExitStack() as stack:
        for connection in [stack.enter_context(small.connect()) for _ in range(3)]:
            assert connection.execute(select).all() == []


@pytest.mark.parametrize("prepare", [True, False])
def test_a_statement_is_prepared_once_for_a_connection_and_means_the_same(
    make_database: Callable[..., Database], *, prepare: bool
) -> None:
    small = make_database(pool_size=1, prepare_statements=prepare)
    text = sa.cast(sa.bindparam("text"), sa.Text)
    select = sa.select(text, sa.literal_column("7") % sa.literal_column("4"), sa.literal("%s"))
    select = select.execution_options(prepared=True)
    with small.connect() as connection:
        for value in ("one", "%(text)s", "'; --", "$1", None):
            (row,) = connection.execute(select, {"text": value})
            assert row == (value, 3, "%s")
        plain = sa.select(sa.literal_column("1")).execution_options(prepared=True)
        assert [connection.scalar(plain) for _ in range(3)] == [1] * 3
        held = connection.exec_driver_sql("SELECT count(*) FROM pg_prepared_statements")
        assert held.scalar() == (2 if prepare else 0)


def test_what_cannot_be_prepared_is_refused_each_time_and_hurts_nobody(
    make_database: Callable[..., Database],
) -> None:
    small = make_database(pool_size=1, prepare_statements=True)
    missing = sa.text("SELECT * FROM missing").execution_options(prepared=True)
    number = sa.cast(sa.bindparam("number"), sa.Integer)
    quotient = sa.select(sa.literal_column("1") / number).execution_options(prepared=True)
    first = pid(small)
    for _ in range(3):
        with pytest.raises(sa.exc.ProgrammingError), small.connect() as connection:
            connection.execute(missing)
        with pytest.raises(sa.exc.DataError), small.connect() as connection:
            connection.execute(quotient, {"number": 0})
    with small.connect() as connection:
        assert [connection.scalar(quotient, {"number": 1}) for _ in range(3)] == [1] * 3
    assert pid(small) == first


def test_every_connection_has_its_timeouts(database: Database) -> None:
    with database.connect() as connection:
        found = {name: connection.scalar(sa.func.current_setting(name)) for name in SESSION}
    shown = {
        "statement_timeout": "1min",
        "lock_timeout": "10s",
        "idle_in_transaction_session_timeout": "10min",
        "cursor_tuple_fraction": "1",
    }
    assert found == {**SESSION, **shown}


def test_names_and_texts_outside_ascii(database: Database) -> None:
    with database.connect() as connection:
        found = connection.exec_driver_sql('SELECT %s AS "größe€😀"', ("ß€😀",))
        assert list(found.keys()) == ["größe€😀"]
        assert found.scalar_one() == "ß€😀"
        with pytest.raises(UnicodeEncodeError):
            connection.exec_driver_sql("SELECT %s", ("\ud800",))
