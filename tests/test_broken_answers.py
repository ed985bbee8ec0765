"""A list that breaks off, whoever goes away, is a line of its request and no failure of ours."""

from __future__ import annotations

import signal
import socket
import struct
import time
from itertools import islice
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from tests.support.hostile import FIND, USERS, XML
from tests.support.logs import events
from tests.support.raw import Wire, post
from tests.support.server import serve
from tests.support.soap import envelope
from tests.support.worker import wait_for
from tests.test_web_answers import ALL_USERS, Answer, held, many_users

if TYPE_CHECKING:
    from pathlib import Path

    from sipxconfig_soap.db import Database
    from tests.support.client import Client
    from tests.support.server import RunningServer

__all__ = ["many_users"]

END_ALL = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE datname = current_database() AND pid <> pg_backend_pid() AND xact_start IS NOT NULL"
)
LIST_USERS = 30_000
LONG_LIST = post(USERS, envelope("<con:FindUser/>"), XML)


def end_lists(database: Database) -> None:
    """The database goes away under everybody who is reading a list."""
    with database.connect() as connection:
        wait_for(lambda: connection.exec_driver_sql(END_ALL).rowcount)


@pytest.mark.usefixtures("many_users")
@pytest.mark.parametrize("taken", [1, 2, 3])
def test_a_client_and_the_database_that_both_go_away_leave_one_line(
    client: Client, database: Database, caplog: pytest.LogCaptureFixture, taken: int
) -> None:
    caplog.set_level("INFO")
    answer = Answer(client, ALL_USERS)
    pieces = list(islice(answer.pieces, taken))
    end_lists(database)
    answer.pieces.close()
    assert held(database) == 0
    (line,) = events(caplog, "request")
    assert (line["bytes"], line["complete"]) == (sum(map(len, pieces)), False)
    assert events(caplog, "internal error") == []


@pytest.mark.usefixtures("many_users")
def test_a_database_that_goes_away_in_the_middle_is_no_internal_error(
    client: Client, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    answer = Answer(client, ALL_USERS)
    next(answer_pieces := iter(answer.pieces))
    end_lists(database)
    with pytest.raises(ConnectionResetError):
        list(answer_pieces)
    answer.pieces.close()
    assert held(database) == 0
    assert len(events(caplog, "database unavailable")) == 1
    (line,) = events(caplog, "request")
    assert line["complete"] is False
    assert events(caplog, "internal error") == []


@pytest.fixture
def long_list(database: Database, database_url: str) -> str:
    """The URL of a database whose list of users fits into no buffer of the system."""
    with database.engine.begin() as connection:
        connection.execute(
            sa.text(
                "WITH added AS (INSERT INTO users (user_name, sip_password)"
                f" SELECT 'u' || n, 'x' FROM generate_series(1, {LIST_USERS}) AS n"
                " RETURNING id, user_name)"
                " INSERT INTO names (value, folded, kind, user_id)"
                " SELECT user_name, user_name, 'userName', id FROM added"
            )
        )
        # What PostgreSQL knows of tables that were empty makes it look through all for each user.
        connection.execute(sa.text("ANALYZE users, names"))
    return database_url


def begin(server: RunningServer) -> socket.socket:
    """A client that has asked for the list, and reads the beginning of it."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.connect(server.address)
    client.sendall(LONG_LIST)
    assert client.recv(1000)
    return client


def broken_off(server: RunningServer) -> list[str]:
    return [line for line in server.output if "event=request " in line and "complete=false" in line]


def test_on_the_real_server_too(long_list: str, tmp_path: Path, database: Database) -> None:
    with serve(tmp_path, {"SIPXCONFIG_DATABASE_URL": long_list}, "--no-worker") as server:
        for count, linger in enumerate((False, True), 1):
            client = begin(server)
            if linger:
                # It does not say good-bye: what it is sent from now on is an error for us.
                option = struct.pack("ii", 1, 0)
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, option)
            client.close()
            wait_for(lambda: len(broken_off(server)) == count)  # noqa: B023 - used at once
        client = begin(server)
        end_lists(database)
        while client.recv(65536):
            pass
        client.close()
        wait_for(lambda: len(broken_off(server)) == 3)
        client = begin(server)
        end_lists(database)
        client.close()
        wait_for(lambda: len(broken_off(server)) == 4)
        answer = Wire(server.address).send(post(USERS, FIND, XML, "Connection: close"))
        assert answer is not None
        assert answer.status == 200
        assert server.stop() == 0
    output = "".join(server.output)
    assert "internal error" not in output
    assert "Traceback" not in output


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_client_who_reads_slowly_does_not_keep_the_server_from_stopping(
    long_list: str, tmp_path: Path, how: int
) -> None:
    environment = {"SIPXCONFIG_DATABASE_URL": long_list, "SIPXCONFIG_WORKERS": "1"}
    hurry = "from sipxconfig_soap import server; server.GRACEFUL_SECONDS = 2"
    with serve(tmp_path, environment, "--no-worker", before=hurry) as server:
        slow = begin(server)
        server.process.send_signal(how)
        # It takes a little now and then, and so is never let go for stalling.
        while server.process.poll() is None:
            slow.recv(2000)
            time.sleep(0.05)
        slow.close()
        assert server.process.wait() == 0
