"""Clients that are slow, ahead or gone keep nobody waiting, and are answered or let go."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
import time
from collections import Counter
from functools import partial
from http.client import HTTPConnection
from typing import TYPE_CHECKING

import pytest

from sipxconfig_soap import gunicorn_socket, gunicorn_threads
from sipxconfig_soap.gunicorn_socket import PatientSocket, StalledClient
from sipxconfig_soap.gunicorn_threads import Threads
from tests.support.bare import WAIT_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from contextlib import AbstractContextManager
    from typing import Any

    from tests.support.bare import Bare

HALVES = {
    "line": b"GET / HT",
    "head": b"POST / HTTP/1.1\r\nHost:",
    "body": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc",
}
CLOSE = b"Host: x\r\nConnection: close\r\n"


@pytest.mark.parametrize("half", HALVES.values(), ids=HALVES)
def test_half_a_request_takes_no_thread(start_bare: Callable[..., Bare], half: bytes) -> None:
    server = start_bare(1000)
    waiting = [server.connect() for _ in range(5)]
    for client in waiting:
        client.sendall(half)
    assert server.get() == (200, b"")
    rest = {b"GET / HT": b"TP/1.1\r\n\r\n", b"POST / HTTP/1.1\r\nHost:": b" x\r\n\r\n"}
    for client in waiting:
        client.sendall(rest.get(half, b"defghij"))
        assert client.recv(100).startswith(b"HTTP/1.1 200 OK\r\n")
        client.sendall(half)
    assert server.get() == (200, b"")
    for client in waiting:
        client.close()
    assert server.get() == (200, b"")


def test_many_halves_are_closed_in_time_without_a_word(start_bare: Callable[..., Bare]) -> None:
    server = start_bare(0.5)
    waiting = [(server.connect(), half) for half in HALVES.values() for _ in range(5)]
    for client, half in waiting:
        client.sendall(half)
    for client, _ in waiting:
        assert client.recv(1) == b""
        client.close()
    assert server.log == ""


def test_clients_that_leave_half_way_are_forgotten(start_bare: Callable[..., Bare]) -> None:
    server = start_bare()
    whole = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabcdefghij"
    for length in range(0, len(whole), 5):
        with server.connect() as client:
            client.sendall(whole[:length])
        with server.connect() as client:
            client.sendall(whole + whole[:length])
            client.shutdown(socket.SHUT_WR)
            answers = b"".join(iter(lambda: client.recv(65536), b""))
            assert b"\r\n\r\nabcdefghij" in answers
    assert server.get() == (200, b"")
    assert "Traceback" not in server.log


def test_requests_byte_by_byte(start_bare: Callable[..., Bare]) -> None:
    server = start_bare()
    for request in (
        b"POST / HTTP/1.1\r\n" + CLOSE + b"Content-Length: 3\r\n\r\nabc",
        b"POST / HTTP/1.1\r\n" + CLOSE + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    ):
        with server.connect() as client:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for at in range(len(request)):
                client.sendall(request[at : at + 1])
            answer = b"".join(iter(lambda: client.recv(65536), b""))
        assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
        assert answer.endswith(b"\r\n\r\nabc")


def test_requests_sent_together_are_answered_in_order(start_bare: Callable[..., Bare]) -> None:
    server = start_bare()
    bodies = [b"a" * 10, b"", b"b" * 100_000, b"c" * 70, b"d" * 65_000, b"e"]
    requests = [
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
        for body in bodies
    ]
    last = b"GET /stream HTTP/1.0\r\n\r\n"
    for cut in (0, 40, 100, len(b"".join(requests)) - 10):
        sent = b"".join(requests) + last
        with server.connect() as client:
            client.sendall(sent[:cut])
            assert server.get() == (200, b"")
            client.sendall(sent[cut:])
            answers = b"".join(iter(lambda: client.recv(65536), b""))
        found = [answer.partition(b"\r\n\r\n")[2] for answer in answers.split(b"HTTP/1.")[1:]]
        assert found == [*bodies, b"onetwo"]


@pytest.mark.parametrize("size", [65_400, 65_500, 65_536, 65_600, 3_000_000])
def test_bodies_of_every_size(start_bare: Callable[..., Bare], size: int) -> None:
    server = start_bare()
    connection = HTTPConnection(server.host, server.port, timeout=WAIT_SECONDS)
    for _ in range(2):
        connection.request("POST", "/", body=b"x" * size)
        assert len(connection.getresponse().read()) == size
    connection.close()


def test_who_waits_for_100_continue_gets_it(start_bare: Callable[..., Bare]) -> None:
    server = start_bare()
    with server.connect() as client:
        head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n"
        for _ in range(2):
            client.sendall(head)
            assert client.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
            client.sendall(b"abc")
            assert client.recv(65536).endswith(b"\r\n\r\nabc")


UNWANTED = {
    "large": b"Content-Length: 100000\r\n\r\n",
    "in chunks": b"Transfer-Encoding: chunked\r\n\r\n",
    "announced": b"Content-Length: 10\r\nExpect: 100-continue\r\n\r\n",
}


@pytest.mark.parametrize("announced", UNWANTED.values(), ids=UNWANTED)
def test_no_thread_waits_for_a_body_that_nobody_wants(
    start_bare: Callable[..., Bare], announced: bytes
) -> None:
    server = start_bare(1000)
    # Were the only thread to wait for each of them, it would be longer than a test waits.
    waiting = [server.connect() for _ in range(30)]
    for client in waiting:
        client.sendall(b"POST /unread HTTP/1.1\r\nHost: x\r\n" + announced)
    assert server.get() == (200, b"")
    for client in waiting:
        with client:
            answer = b"".join(iter(partial(client.recv, 1000), b""))
        assert b"HTTP/1.1 401 " in answer
        assert b"\r\nConnection: close\r\n" in answer


def test_who_sends_a_large_body_before_reading_gets_the_answer(
    start_bare: Callable[..., Bare],
) -> None:
    server = start_bare()
    size = 10_000_000
    with server.connect() as client:
        head = f"POST /unread HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n\r\n"
        client.sendall(head.encode() + b"x" * size)
        assert client.recv(1000).startswith(b"HTTP/1.1 401 ")


def test_threads_that_are_all_held_up_are_stuck(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gunicorn_threads, "STUCK_SECONDS", 0.05)
    released, done = threading.Event(), threading.Event()

    def serve(work: str) -> None:
        if work == "slow":
            released.wait(WAIT_SECONDS)
        else:
            done.set()

    threads: Threads[str] = Threads(1, serve)
    assert not threads.is_stuck()
    threads.put("slow")
    threads.put("quick")
    time.sleep(0.1)
    assert threads.is_stuck()
    released.set()
    assert done.wait(WAIT_SECONDS)
    assert not threads.is_stuck()
    threads.shutdown(wait=True)


def processes_of(clients: Iterable[socket.socket]) -> Counter[int | None]:
    """How many clients each process answers; None is for those that are no more."""

    def process_of(client: socket.socket) -> int | None:
        with contextlib.suppress(OSError):
            client.sendall(b"GET /process HTTP/1.1\r\nHost: x\r\n\r\n")
            return int(client.recv(65536).partition(b"\r\n\r\n")[2] or 0) or None
        return None

    return Counter(map(process_of, clients))


@pytest.fixture
def three(start_bare: Callable[..., Bare]) -> Callable[[], AbstractContextManager[list[Any]]]:
    """Opens twelve connections to a server of three processes, all of which are at work."""
    server = start_bare(workers=3)

    @contextlib.contextmanager
    def connected() -> Iterator[list[socket.socket]]:
        with contextlib.ExitStack() as stack:
            yield [stack.enter_context(server.connect()) for _ in range(12)]

    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        with connected() as clients:
            if len(processes_of(clients)) == 3:
                return connected
        assert time.monotonic() < deadline, "a process does not answer"


def test_each_process_takes_its_share_of_clients(
    three: Callable[[], AbstractContextManager[list[Any]]],
) -> None:
    for _ in range(10):
        with three() as clients:
            # Clients that have just gone may count for a moment still.
            assert max(processes_of(clients).values()) <= 6


def test_a_process_that_died_is_not_waited_for(
    three: Callable[[], AbstractContextManager[list[Any]]],
) -> None:
    with three() as clients:
        victim = next(iter(processes_of(clients)))
        assert victim is not None
        os.kill(victim, signal.SIGKILL)
        left = processes_of(clients)
        assert 0 < left.pop(None) < 12
        assert victim not in left
        with three() as others:
            found = processes_of(others)
            assert victim not in found
            assert None not in found


def test_what_can_become_no_head_is_refused_at_once(start_bare: Callable[..., Bare]) -> None:
    server = start_bare(1000)
    endless = b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 20_000
    for request, status in ((b"GET / HTTP/1.1\nHost: x\n\n", b"400"), (endless, b"431")):
        with server.connect() as client:
            with contextlib.suppress(ConnectionError):
                client.sendall(request)
            assert client.recv(100).startswith(b"HTTP/1.1 " + status)


def test_a_busy_connection_does_not_keep_others_waiting(start_bare: Callable[..., Bare]) -> None:
    server = start_bare()
    with server.connect() as busy:
        ended = threading.Event()

        def send() -> None:
            with contextlib.suppress(OSError):
                while not ended.is_set():
                    busy.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 100)

        def read() -> None:
            with contextlib.suppress(OSError):
                while busy.recv(1 << 20):
                    pass

        threads = [threading.Thread(target=each) for each in (send, read)]
        for thread in threads:
            thread.start()
        try:
            for _ in range(5):
                assert server.get() == (200, b"")
        finally:
            ended.set()
            busy.shutdown(socket.SHUT_RDWR)
            for thread in threads:
                thread.join()


def test_a_client_that_closes_late_keeps_nobody_waiting(start_bare: Callable[..., Bare]) -> None:
    server = start_bare()
    answered = [server.connect() for _ in range(5)]
    for client in answered:
        client.sendall(b"GET / HTTP/1.1\r\n" + CLOSE + b"\r\n")
    for client in answered:
        answer = list(iter(lambda: client.recv(65536), b""))  # noqa: B023 - used at once
        assert answer[0].startswith(b"HTTP/1.1 200 OK\r\n")
    assert server.get() == (200, b"")
    for client in answered:
        client.close()


def test_a_server_that_has_nothing_to_do_is_left_alone(start_bare: Callable[..., Bare]) -> None:
    server = start_bare()
    assert server.get() == (200, b"")
    time.sleep(5)
    assert server.get() == (200, b"")
    assert server.log == ""


def test_a_server_that_stops_does_not_wait_for_silent_clients(
    start_bare: Callable[..., Bare],
) -> None:
    server = start_bare(1000)
    silent, idle = server.connect(), server.connect()
    idle.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert idle.recv(65536)
    assert server.stop() == 0
    silent.close()
    idle.close()


def refuses(server: Bare) -> bool:
    try:
        server.connect().close()
    except ConnectionRefusedError:
        return True
    return False


@pytest.mark.parametrize("half", HALVES.values(), ids=HALVES)
def test_a_server_that_stops_refuses_new_clients_and_waits_shortly_for_slow_ones(
    start_bare: Callable[..., Bare], half: bytes
) -> None:
    server = start_bare(1000)
    assert server.get() == (200, b"")
    slow = server.connect()
    slow.sendall(half)
    time.sleep(0.2)
    server.process.send_signal(signal.SIGTERM)
    deadline = time.monotonic() + WAIT_SECONDS
    while not refuses(server):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert server.process.poll() is None
    assert server.process.wait(WAIT_SECONDS - 5) == 0
    assert server.process.stdout is not None
    server.process.stdout.close()
    assert slow.recv(100) == b""
    slow.close()


@contextlib.contextmanager
def reading(piece: int, pause: float) -> Iterator[PatientSocket]:
    """The server's end of a connection whose client takes so many bytes between pauses."""
    ours, theirs = socket.socketpair()
    ended = threading.Event()

    def read() -> None:
        while not ended.wait(pause) and theirs.recv(piece):
            pass

    reader = threading.Thread(target=read)
    reader.start()
    try:
        with theirs, contextlib.closing(PatientSocket.take(ours)) as sock:
            yield sock
            ended.set()
            reader.join()
    finally:
        ended.set()
        reader.join()


def test_a_client_that_reads_too_slowly_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gunicorn_socket, "REQUEST_SECONDS", 0.5)
    monkeypatch.setattr(gunicorn_socket, "ANSWER_RATE", 10_000_000)
    # No pause is long, but all together are.
    with reading(gunicorn_socket.PIECE, 0.1) as sock, pytest.raises(StalledClient):
        sock.sendall(b"x" * 50_000_000)


def test_a_client_that_reads_slowly_but_well_enough_gets_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(gunicorn_socket, "REQUEST_SECONDS", 2)
    monkeypatch.setattr(gunicorn_socket, "ANSWER_RATE", 1000)
    with reading(gunicorn_socket.PIECE, 0.1) as sock:
        started = time.monotonic()
        sock.sendall(b"x" * 3_000_000)
    assert time.monotonic() - started > 2
