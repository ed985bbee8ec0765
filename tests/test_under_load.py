"""A server that is stopped, reloaded or asked for very much, while clients are at work."""

from __future__ import annotations

import signal
import socket
import threading
import time
from http.client import HTTPConnection
from typing import TYPE_CHECKING

import pytest

from tests.support.hostile import FIND, USERS
from tests.support.load import CLOSED, REFUSED, Load
from tests.support.raw import AUTHORIZATION, PATIENCE
from tests.support.soap import envelope
from tests.support.worker import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from typing import Self

    import psutil
    import sqlalchemy as sa

    from sipxconfig_soap.db import Database
    from tests.support.server import RunningServer

    Run = Callable[..., AbstractContextManager[RunningServer]]

MANY = 100_000
"""Users of the large list."""

MOST_GROWTH = 64 * 1024 * 1024
"""Bytes by which a web worker may grow for it."""


def stored(database: Database) -> list[str]:
    """The names of all users that were added by a load."""
    with database.engine.connect() as connection:
        found = connection.exec_driver_sql("SELECT user_name FROM users ORDER BY id")
        return [name for (name,) in found if name != "superadmin"]


def are_waiting(connection: sa.Connection) -> int:
    """How many sessions wait for a lock."""
    return connection.exec_driver_sql(
        "SELECT count(*) FROM pg_locks WHERE NOT granted"
        " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    ).scalar_one()


def refuses(server: RunningServer) -> bool:
    try:
        socket.create_connection(server.address, PATIENCE).close()
    except ConnectionRefusedError:
        return True
    return False


def test_a_stop_lets_all_end_that_was_begun_and_loses_nothing(
    run_server: Run, database: Database
) -> None:
    added: list[str] = []
    for first in (10_000, 20_000):
        with run_server() as server, Load(server, first=first, kept=4, new=4) as load:
            wait_for(lambda: len(load.added) > 40)
            with database.engine.begin() as connection:
                # So that all of them are in the middle of an addition.
                connection.exec_driver_sql("LOCK TABLE users IN SHARE MODE")
                wait_for(lambda: are_waiting(connection) == 8)
                server.process.send_signal(signal.SIGTERM)
                wait_for(lambda: refuses(server))
            assert server.process.wait(PATIENCE) == 0
        assert set(load.outcomes) == {200, REFUSED}
        added += load.added
        assert sorted(stored(database)) == sorted(added)
        assert "Traceback" not in "".join(server.output)


def test_a_stop_in_full_swing_loses_no_user_that_was_acknowledged(
    run_server: Run, database: Database
) -> None:
    with run_server() as server, Load(server, kept=4, new=4) as load:
        wait_for(lambda: len(load.added) > 40)
        assert server.stop() == 0
    # Who had connected but was not yet accepted may find the connection closed.
    assert set(load.outcomes) <= {200, CLOSED, REFUSED}
    assert sorted(stored(database)) == sorted(load.added)


def test_reloads_lose_no_request_and_no_user(run_server: Run, database: Database) -> None:
    with run_server() as server, Load(server, kept=4, new=4) as load:
        for _ in range(3):
            old = server.children("serve")
            for _ in range(2):  # the second comes before the first is done with
                before = len(load.added)
                server.process.send_signal(signal.SIGHUP)
                wait_for(lambda: len(load.added) > before + 20)  # noqa: B023 - used at once
            wait_for(lambda: not old & server.children("serve"))  # noqa: B023 - used at once
    assert set(load.outcomes) == {200}
    assert len(load.added) == len(set(load.added))
    assert sorted(stored(database)) == sorted(load.added)


class Memory:
    """The most memory that a process has while the context lasts."""

    def __init__(self, process: psutil.Process) -> None:
        self._process = process
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self.most = 0

    def _look(self) -> None:
        while not self._ended.wait(0.01):
            self.most = max(self.most, self._process.memory_info().rss)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()


def read_list(server: RunningServer, request: bytes, *, slowly: bool) -> int:
    """How many users an answer lists; slowly at first, so that the server has to wait."""
    connection = HTTPConnection(*server.address, timeout=PATIENCE)
    connection.connect()
    connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
    headers = {"Authorization": AUTHORIZATION, "Content-Type": "text/xml"}
    connection.request("POST", f"/sipxconfig/services/{USERS}", request, headers)
    answer = connection.getresponse()
    assert answer.status == 200
    users, end = 0, b""
    for number in range(1_000_000):
        if slowly and number < 100:
            time.sleep(0.03)
        piece = answer.read(16 * 1024)
        if not piece:
            break
        # A tag may be cut in two: what is left of the last piece is looked at again.
        users += (end + piece).count(b"<userName>")
        end = piece[-len(b"userName>") :]
    connection.close()
    return users


@pytest.fixture
def many_users(database: Database) -> Iterator[None]:
    with database.engine.begin() as connection:
        connection.exec_driver_sql(
            "WITH new AS (INSERT INTO users (user_name, sip_password, first_name, last_name)"
            # Such long ones that they take more altogether than the worker may grow by.
            " SELECT 'u' || n, repeat('s', 250), repeat('f', 250), repeat('l', 250)"
            f" FROM generate_series(1, {MANY}) n"
            " RETURNING id, user_name)"
            " INSERT INTO names (value, folded, kind, user_id)"
            " SELECT user_name, user_name, 'userName', id FROM new UNION ALL"
            " SELECT 'a-' || user_name, 'a-' || user_name, 'alias', id FROM new"
        )
        # What PostgreSQL does by itself a while after so much has come. If it has looked while the
        # tables were empty, it would go through all names for each user until then.
        connection.exec_driver_sql("ANALYZE")
    yield
    with database.engine.begin() as connection:
        # Faster than to delete them one by one before the next test.
        connection.exec_driver_sql("TRUNCATE users CASCADE")


@pytest.mark.usefixtures("many_users")
def test_a_list_of_many_users_takes_little_memory_however_slowly_it_is_read(
    run_server: Run,
) -> None:
    with run_server(SIPXCONFIG_WORKERS="1") as server:
        assert read_list(server, FIND, slowly=False) == 1
        (worker,) = server.children("serve")
        before = worker.memory_info().rss
        for _ in range(2):
            with Memory(worker) as memory:
                found = read_list(server, envelope("<con:FindUser/>"), slowly=True)
            assert found == MANY + 1
            assert memory.most > before / 2  # it was looked at
            assert max(memory.most, worker.memory_info().rss) - before <= MOST_GROWTH
