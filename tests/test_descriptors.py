"""Out of file descriptors a process accepts no more clients, and does not end."""

from __future__ import annotations

import resource
import socket
from contextlib import ExitStack
from typing import TYPE_CHECKING

import psutil
import pytest

from sipxconfig_soap.descriptors import CONNECTIONS, OF_A_THREAD, OWN, connections_for
from sipxconfig_soap.settings import Settings
from tests.support.raw import Wire
from tests.support.server import serve
from tests.support.worker import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.bare import Bare

NOFILE = resource.RLIMIT_NOFILE


def workers(server: Bare) -> set[psutil.Process]:
    return set(psutil.Process(server.process.pid).children())


@pytest.mark.parametrize(
    ("limit", "threads", "clients"),
    [
        (1_000_000, 16, CONNECTIONS),
        (CONNECTIONS + OWN + 16 * OF_A_THREAD, 16, CONNECTIONS),
        (256, 16, 256 - OWN - 16 * OF_A_THREAD),
        (64, 16, 17),
    ],
)
def test_as_many_clients_are_held_as_there_are_descriptors_for(
    limit: int, threads: int, clients: int
) -> None:
    assert connections_for(limit, threads) == clients


def test_the_limit_is_raised_as_far_as_it_goes(start_bare: Callable[..., Bare]) -> None:
    _, hard = resource.getrlimit(NOFILE)
    soft = resource.getrlimit(NOFILE)[0]
    resource.setrlimit(NOFILE, (min(soft, 512), hard))
    try:
        server = start_bare()
    finally:
        resource.setrlimit(NOFILE, (soft, hard))
    assert server.get() == (200, b"")
    for process in workers(server):
        assert process.rlimit(NOFILE) == (hard, hard)


@pytest.mark.parametrize("spare", [0, 3])
def test_without_descriptors_no_process_ends_and_all_goes_on_when_there_are_some(
    start_bare: Callable[..., Bare], spare: int
) -> None:
    server = start_bare(threads=4)
    assert server.get() == (200, b"")
    before = workers(server)
    (worker,) = before
    used, (_, hard) = worker.num_fds(), worker.rlimit(NOFILE)
    worker.rlimit(NOFILE, (used + spare, hard))
    with ExitStack() as stack:
        clients = [stack.enter_context(server.connect()) for _ in range(30)]
        for client in clients:
            client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n")
        wait_for(lambda: "no new clients for now" in server.log)
        assert workers(server) == before
    worker.rlimit(NOFILE, (hard, hard))
    assert server.get() == (200, b"")
    assert workers(server) == before
    # Once for all of them.
    assert len(server.log.splitlines()) == 1
    assert server.stop() == 0


def test_serve_says_when_there_are_too_few(database_url: str, tmp_path: Path) -> None:
    few = "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (200, 200))"
    environment = {"SIPXCONFIG_DATABASE_URL": database_url, "SIPXCONFIG_WORKERS": "1"}
    with serve(tmp_path, environment, "--no-worker", before=few) as server:
        before = wait_for(lambda: server.children("serve"))
        clients = [socket.create_connection(server.address) for _ in range(300)]
        for client in clients:
            client.close()
        assert Wire(server.address).send(b"GET /healthz HTTP/1.0\r\n\r\n") is not None
        assert server.children("serve") == before
    output = "".join(server.output)
    needed = OWN + Settings.load({}).threads * OF_A_THREAD
    held = 200 - needed
    assert f"allowed=200 clients={held} usual=1000" in output
    assert "internal error" not in output
    with serve(tmp_path, environment, "--no-worker") as server:
        pass
    assert ("few file descriptors" in "".join(server.output)) == (
        resource.getrlimit(NOFILE)[1] < CONNECTIONS + needed
    )
