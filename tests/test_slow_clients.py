"""Slow clients on the real server: let go in time, and, behind nginx, no bother at all."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING

import pytest

from tests.support.hostile import FIND, SECRET, USERS, XML, attacked, documented
from tests.support.raw import AUTHORIZATION, Wire, head, post
from tests.support.server import RunningServer, serve
from tests.support.soap import envelope
from tests.support.worker import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sipxconfig_soap.db import Database

LET_GO_SECONDS = 35
"""Within this, from the last byte that a slow client has sent or taken."""

LIST_USERS = 20_000

_ADD = envelope(f"<addUser><user><userName>201</userName></user><pin>{SECRET}</pin></addUser>")

HALF_HEAD = head(USERS, XML)[:-20]
# All of the envelope is there, and only the last byte of what was announced is missing.
HALF_BODY = head(USERS, XML, f"Content-Length: {len(_ADD) + 1}") + _ADD
UNREAD_LIST = post(USERS, envelope("<con:FindUser/>"), XML)
SLOW = (HALF_HEAD, HALF_BODY, UNREAD_LIST)


@pytest.fixture
def long_list(database: Database, database_url: str) -> str:
    """The URL of a database whose list of users fits into no buffer of the system."""
    with database.engine.begin() as connection:
        connection.exec_driver_sql(
            f"""
            WITH added AS (
                INSERT INTO users (user_name, sip_password)
                SELECT 'u' || n, 'x' FROM generate_series(1, {LIST_USERS}) AS n
                RETURNING id, user_name
            )
            INSERT INTO names (value, folded, kind, user_id)
            SELECT user_name, user_name, 'userName', id FROM added
            """
        )
        # What PostgreSQL knows of tables that were empty makes it look through all for each user.
        connection.exec_driver_sql("ANALYZE users, names")
    return database_url


@contextmanager
def slow_clients(
    address: tuple[str, int], what: bytes, count: int
) -> Iterator[list[socket.socket]]:
    """Clients that have sent this and then neither send nor read anything."""
    with ExitStack() as stack:
        clients = []
        for _ in range(count):
            client = stack.enter_context(socket.socket())
            # Before connecting, so that little of an answer fits.
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.connect(address)
            client.sendall(what)
            clients.append(client)
        yield clients


def is_let_go(client: socket.socket) -> bool:
    client.settimeout(0)
    try:
        return client.recv(1) == b""
    except BlockingIOError:
        return False


def requests(server: RunningServer) -> list[str]:
    """What the server has logged of requests that are over."""
    return [line for line in server.output if "event=request " in line]


def broken_off(server: RunningServer) -> list[str]:
    return [line for line in requests(server) if "complete=false" in line]


def is_served(wire: Wire) -> bool:
    answer = documented(wire.send(post(USERS, FIND, XML)))
    return answer.status == 200 and b"<userName>superadmin</userName>" in answer.body


def test_eight_of_a_kind_are_let_go_in_time_and_others_served_meanwhile(
    long_list: str, tmp_path: Path
) -> None:
    """With what is set when nothing is set, but all eight in one process."""
    environment = {"SIPXCONFIG_DATABASE_URL": long_list, "SIPXCONFIG_WORKERS": "1"}
    with ExitStack() as stack:
        directories = (tmp_path / str(number) for number in range(len(SLOW)))
        servers = [
            stack.enter_context(serve(directory, environment, "--no-worker"))
            for directory in directories
        ]
        wires = [stack.enter_context(attacked(server)) for server in servers]
        clients = [
            stack.enter_context(slow_clients(server.address, what, 8))
            for server, what in zip(servers, SLOW, strict=True)
        ]
        deadline = time.monotonic() + LET_GO_SECONDS
        silent = [*clients[0], *clients[1]]
        while silent or len(broken_off(servers[2])) < 8:
            assert time.monotonic() < deadline
            assert all(is_served(wire) for wire in wires)
            time.sleep(0.5)
            silent = [client for client in silent if not is_let_go(client)]
        assert [len(broken_off(server)) for server in servers] == [0, 8, 8]
        assert all("status=200" in line for line in broken_off(servers[2]))
        find = "<findUser><search><byUserName>201</byUserName></search></findUser>"
        for wire in wires:
            found = documented(wire.send(post(USERS, envelope(find), XML)))
            assert b'<users xmlns=""/>' in found.body


# -- behind nginx ------------------------------------------------------------------------------

NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")

CONFIGURATION = """
daemon off;
{user}
worker_processes 1;
pid {home}/pid;
error_log {home}/error.log;
events {{}}
http {{
    access_log off;
    client_body_temp_path {home}/body;
    proxy_temp_path {home}/proxy;
    fastcgi_temp_path {home}/fastcgi;
    scgi_temp_path {home}/scgi;
    uwsgi_temp_path {home}/uwsgi;
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://{host}:{server_port};
            proxy_set_header Host $http_host;
        }}
    }}
}}
"""


@contextmanager
def nginx(home: Path, server: RunningServer) -> Iterator[tuple[str, int]]:
    """Nginx in front of a server, with its own defaults for buffering; yields its address."""
    assert NGINX is not None
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    home.mkdir()
    host, server_port = server.address
    # Its processes would run as another user, to whom the directory is closed.
    user = "user root;" if os.geteuid() == 0 else ""
    configuration = home / "nginx.conf"
    configuration.write_text(
        CONFIGURATION.format(user=user, home=home, port=port, host=host, server_port=server_port)
    )
    process = subprocess.Popen(
        [NGINX, "-p", str(home), "-e", str(home / "error.log"), "-c", str(configuration)]
    )
    try:
        wait_for(lambda: answers("127.0.0.1", port) or process.poll() is not None)
        assert process.poll() is None, (home / "error.log").read_text()
        yield "127.0.0.1", port
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def answers(host: str, port: int) -> bool:
    with suppress(OSError), socket.create_connection((host, port), 1):
        return True
    return False


@pytest.mark.skipif(NGINX is None, reason="nginx is not installed (Debian: nginx-light)")
def test_fifty_behind_nginx_hold_nobody_up(long_list: str, tmp_path: Path) -> None:
    environment = {
        "SIPXCONFIG_DATABASE_URL": long_list,
        # If one of them kept a thread, another would soon have none.
        "SIPXCONFIG_WORKERS": "1",
        "SIPXCONFIG_THREADS": "2",
    }
    with (
        serve(tmp_path / "server", environment, "--no-worker") as server,
        attacked(server) as directly,
        nginx(tmp_path / "nginx", server) as address,
        ExitStack() as stack,
    ):
        for what, count in zip(SLOW, (17, 17, 16), strict=True):
            stack.enter_context(slow_clients(address, what, count))
        proxied = Wire(address)
        for _ in range(10):
            assert is_served(proxied)
            assert is_served(directly)
            time.sleep(0.2)
        # All lists are with nginx, and nothing of them waits in the server.
        wait_for(lambda: len(requests(server)) == 16 + 2 * 10)
        assert broken_off(server) == []
        assert AUTHORIZATION not in (tmp_path / "nginx" / "error.log").read_text()
