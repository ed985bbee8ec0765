"""A main process that is killed leaves no processes behind, and its port to the next start."""

from __future__ import annotations

import os
import signal
import socket
from typing import TYPE_CHECKING

import psutil

from tests.support.hostile import FIND, USERS, XML
from tests.support.raw import Wire, head, post
from tests.support.server import serve
from tests.support.worker import wait_for

if TYPE_CHECKING:
    from pathlib import Path


def test_a_start_after_kill_takes_the_port_and_the_old_processes_end(
    database_url: str, tmp_path: Path
) -> None:
    environment = {"SIPXCONFIG_DATABASE_URL": database_url}
    with serve(tmp_path, environment) as killed:
        host, port = killed.address
        wait_for(lambda: len(killed.children("serve")) == 2)
        family = psutil.Process(killed.process.pid).children(recursive=True)
        # One is in the middle of a request, and one keeps its connection.
        with (
            socket.create_connection((host, port)) as busy,
            socket.create_connection((host, port)) as kept,
        ):
            busy.sendall(head(USERS, XML)[:-20])
            kept.sendall(post(USERS, FIND, XML))
            assert kept.recv(1000).startswith(b"HTTP/1.1 ")
            os.kill(killed.process.pid, signal.SIGKILL)
            killed.process.wait()
            again = environment | {"SIPXCONFIG_BIND": f"{host}:{port}"}
            with serve(tmp_path, again) as server:
                answer = Wire(server.address).send(post(USERS, FIND, XML, "Connection: close"))
                assert answer is not None
                assert answer.status in (200, 401)
        _, living = psutil.wait_procs(family, timeout=40)
        assert living == []


def test_idle_processes_end_within_seconds(database_url: str, tmp_path: Path) -> None:
    with serve(tmp_path, {"SIPXCONFIG_DATABASE_URL": database_url}) as killed:
        wait_for(lambda: len(killed.children("worker")) == 1)
        wait_for(lambda: len(killed.children("serve")) == 2)
        family = psutil.Process(killed.process.pid).children(recursive=True)
        os.kill(killed.process.pid, signal.SIGKILL)
        _, living = psutil.wait_procs(family, timeout=10)
        assert living == []
