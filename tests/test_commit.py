"""A connection that dies inside COMMIT: the answer tells what became of the change (wire.md §6)."""

from __future__ import annotations

import random
import threading
import time
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from sipxconfig_soap import transactions
from sipxconfig_soap.db import Database
from sipxconfig_soap.domain import users
from sipxconfig_soap.domain.audit import audit_log
from tests.support.client import Client
from tests.support.logs import events
from tests.support.proxy import Cut, Proxy, cutting_proxy
from tests.support.soap import Problem, Soap, SoapFault

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sipxconfig_soap.settings import Settings

ROUNDS = 200

RIGHT = {("done", 1), ("soapenv:Server.unavailable", 0)}
"""Answers, and how many users of that name there are then."""


@pytest.fixture
def proxy(database_url: str, database: Database) -> Iterator[Proxy]:
    assert database
    with cutting_proxy(database_url) as proxy:
        yield proxy


@pytest.fixture
def behind(proxy: Proxy, settings: Settings) -> Iterator[Soap]:
    """Calls a server that reaches its database through the proxy."""
    pool = Database(proxy.url, pool_size=4)
    yield Soap(Client(settings, pool))
    pool.dispose()


def named(database: Database, name: str) -> int:
    """How many users there are of this name."""
    found = sa.select(sa.func.count()).where(users.users.c.user_name == name)
    with database.connect() as connection:
        return int(connection.scalar(found) or 0)


def entries(database: Database) -> list[str]:
    """What the audit log says of additions."""
    query = sa.select(audit_log.c.entities).where(audit_log.c.operation == "addUser")
    with database.connect() as connection:
        return [name for (names,) in connection.execute(query) for name in names]


def add(soap: Soap, name: str) -> None:
    soap.operation("UserService", "addUser", {"user": {"userName": name}})


@pytest.mark.parametrize("cut", Cut)
def test_a_change_whose_connection_is_cut_at_commit_is_there_once(
    behind: Soap, proxy: Proxy, database: Database, cut: Cut
) -> None:
    add(behind, "before")
    proxy.cuts = [cut]
    add(behind, "200")
    assert proxy.made == [cut]
    assert named(database, "200") == 1
    assert entries(database) == ["before", "200"]


def test_no_answer_is_wrong_at_whatever_moment_connections_are_cut(
    behind: Soap, proxy: Proxy, database: Database
) -> None:
    order = random.Random(4711)
    wrong, made = [], 0
    for number in range(ROUNDS):
        # The one that waits for PATIENCE_SECONDS is for the test above.
        kinds = [cut for cut in Cut if cut is not Cut.UNNOTICED]
        proxy.cuts = order.choices(kinds, k=order.choice([1, 1, 1, 2, 3]))
        name = f"u{number}"
        answer = "done"
        try:
            add(behind, name)
        except SoapFault as fault:
            answer = str(fault.code)
        if (answer, named(database, name)) not in RIGHT:
            wrong.append((name, answer, proxy.made))
        made += len(proxy.made)
        proxy.made = []
    assert wrong == []
    # The first COMMIT of each was cut in any case.
    assert made >= ROUNDS
    added = entries(database)
    assert len(added) == len(set(added))


def test_a_change_that_is_cut_at_every_try_is_refused_and_not_there(
    behind: Soap, proxy: Proxy, database: Database
) -> None:
    proxy.cuts = [Cut.BEFORE] * transactions.ATTEMPTS
    with pytest.raises(SoapFault) as caught:
        add(behind, "200")
    assert (caught.value.status, caught.value.code) == (503, "soapenv:Server.unavailable")
    assert caught.value.problems == []
    assert "retry-after" in caught.value.response.headers
    assert named(database, "200") == 0


@pytest.mark.parametrize("cut", [Cut.BEFORE, Cut.ANSWER])
def test_a_database_that_comes_back_is_waited_for(
    behind: Soap, proxy: Proxy, database: Database, cut: Cut
) -> None:
    add(behind, "before")
    proxy.cuts, proxy.closed = [cut], True

    def come_back() -> None:
        while not proxy.made:
            time.sleep(0.01)
        time.sleep(0.5)
        proxy.closed = False

    threading.Thread(target=come_back).start()
    add(behind, "200")
    assert named(database, "200") == 1


@pytest.fixture
def unheard(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> pytest.LogCaptureFixture:
    """PostgreSQL is not asked for long; what is logged."""
    caplog.set_level("INFO")
    monkeypatch.setattr(transactions, "OUTCOME_SECONDS", 0.3)
    return caplog


@pytest.mark.parametrize("cut", [Cut.BEFORE, Cut.ANSWER])
def test_of_a_database_that_stays_away_the_outcome_is_unknown_and_the_fault_says_so(
    behind: Soap, proxy: Proxy, database: Database, unheard: pytest.LogCaptureFixture, *, cut: Cut
) -> None:
    add(behind, "before")
    proxy.cuts, proxy.closed = [cut], True
    with pytest.raises(SoapFault) as caught:
        add(behind, "200")
    fault = caught.value
    assert (fault.status, fault.code) == (503, "soapenv:Server.unavailable")
    assert fault.problems == [Problem("outcomeUnknown")]
    assert "it is not known whether the change was made" in fault.text
    # Nobody is asked to send it again without a look.
    assert "retry-after" not in fault.response.headers
    (lost,) = events(unheard, "connection lost in commit")
    assert lost["outcome"] == "unknown"
    assert events(unheard, "change")[-1]["outcome"] == "unknown"
    assert named(database, "200") == (cut is Cut.ANSWER)


def test_a_commit_that_takes_its_time_is_waited_for(
    database_url: str, database: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As slow as a COMMIT that waits for another server: a trigger at its end.
    monkeypatch.setattr(transactions, "PATIENCE_SECONDS", 0.1)
    with database.engine.begin() as connection:
        connection.exec_driver_sql(
            "CREATE FUNCTION slowly() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN PERFORM pg_sleep(0.7); RETURN NULL; END $$;"
            "CREATE CONSTRAINT TRIGGER slowly AFTER INSERT ON users"
            " DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION slowly()"
        )
    try:
        with cutting_proxy(database_url, delay=0.0) as proxy:
            pool = Database(proxy.url)
            proxy.cuts = [Cut.LATE]
            add(Soap(Client(settings, pool)), "200")
            pool.dispose()
    finally:
        with database.engine.begin() as connection:
            connection.exec_driver_sql("DROP FUNCTION slowly CASCADE")
    assert entries(database) == ["200"]


def test_an_id_that_another_transaction_was_given_after_a_crash_proves_nothing(
    make_database: Callable[..., Database], database: Database
) -> None:
    with database.engine.begin() as connection:
        committed = connection.scalar(sa.text("SELECT pg_current_xact_id()::text"))
    nothing = sa.select(sa.literal(1)).where(sa.false())
    # Greater than any: the crash has taken the id back, and nobody has it yet.
    future = str(int(committed or 0) + 1_000_000)
    small = make_database(pool_size=1)
    for transaction in (committed, future):
        assert transaction
        receipt = transactions.Receipt(transaction, nothing)
        lost = transactions._LostInCommit(None, receipt, sa.exc.DBAPIError("", None, Exception()))
        with small.connect() as connection:
            assert transactions._is_there(connection, lost) is False


def test_a_refusal_by_commit_itself_is_no_lost_connection(database: Database) -> None:
    with database.engine.begin() as connection:
        connection.exec_driver_sql(
            "CREATE TABLE late (n integer UNIQUE DEFERRABLE INITIALLY DEFERRED)"
        )
    tries: list[int] = []

    def work(connection: sa.Connection) -> transactions.Receipt:
        tries.append(1)
        connection.exec_driver_sql("INSERT INTO late VALUES (1), (1)")
        return transactions.Receipt("1", sa.select(sa.literal(1)))

    try:
        with database.connect() as connection, pytest.raises(sa.exc.IntegrityError):
            transactions.change(connection, work, receipt=lambda each: each)
    finally:
        with database.engine.begin() as connection:
            connection.exec_driver_sql("DROP TABLE late")
    assert len(tries) == transactions.ATTEMPTS
