"""Clients that are slow, ahead or gone keep nobody waiting, and are answered or let go."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
import time
from functools import partial
from http.client import HTTPConnection
from typing import TYPE_CHECKING

import psutil
import pytest

from tests.support.bare import WAIT_SECONDS
from tests.support.worker import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.bare import Bare

LINE = b"GET / HT"
HEAD = b"POST / HTTP/1.1\r\nHost:"
BODY = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc"
CHUNK = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab"
HALVES = {"line": LINE, "head": HEAD, "body": BODY, "chunk": CHUNK}
RESTS = {LINE: b"TP/1.1\r\n\r\n", HEAD: b" x\r\n\r\n", BODY: b"defghij", CHUNK: b"cde\r\n0\r\n\r\n"}
CLOSE = b"Host: x\r\nConnection: close\r\n"


@pytest.mark.parametrize("half", HALVES.values(), ids=HALVES)
def test_half_a_request_leaves_threads_for_others(
    start_bare: Callable[..., Bare], half: bytes
) -> None:
    server = start_bare(threads=8)
    waiting = [server.connect() for _ in range(5)]
    for client in waiting:
        client.sendall(half)
    assert server.get() == (200, b"")
    for client in waiting:
        client.sendall(RESTS[half])
        assert client.recv(100).startswith(b"HTTP/1.1 200 OK\r\n")
        client.sendall(half)
    assert server.get() == (200, b"")
    for client in waiting:
        client.close()
    assert server.get() == (200, b"")
    assert server.log == ""


@pytest.mark.parametrize("half", HALVES.values(), ids=HALVES)
def test_half_a_request_frees_its_thread_again(
    start_bare: Callable[..., Bare], half: bytes
) -> None:
    server = start_bare(0.5)
    with server.connect() as client:
        client.sendall(half)
        assert server.get() == (200, b"")
        assert client.recv(1) == b""
    assert server.log == ""


def test_half_a_request_on_a_kept_connection_frees_its_thread_again(
    start_bare: Callable[..., Bare],
) -> None:
    server = start_bare(0.5)
    with server.connect() as client:
        client.sendall(HEAD + RESTS[HEAD])
        assert client.recv(100).startswith(b"HTTP/1.1 200 OK\r\n")
        client.sendall(HEAD)
        assert server.get() == (200, b"")
        assert b"HTTP" not in b"".join(iter(lambda: client.recv(100), b""))
    assert server.log == ""


def test_a_client_that_does_not_read_frees_its_thread_again(
    start_bare: Callable[..., Bare],
) -> None:
    server = start_bare(0.5)
    with server.connect() as client:
        client.sendall(b"GET /big HTTP/1.1\r\nHost: x\r\n\r\n")
        assert server.get() == (200, b"")
        assert len(b"".join(iter(lambda: client.recv(1 << 20), b""))) < 50_000_000
    assert server.log == ""


def test_a_client_that_pauses_in_time_gets_all(start_bare: Callable[..., Bare]) -> None:
    server = start_bare(3)
    with server.connect() as client:
        for piece in (HEAD[:10], HEAD[10:], b" x\r\nContent-Length: 3\r\n\r\na", b"b", b"c"):
            client.sendall(piece)
            time.sleep(0.8)
        assert client.recv(65536).endswith(b"\r\n\r\nabc")
        client.sendall(b"GET /big HTTP/1.1\r\n" + CLOSE + b"\r\n")
        size = 0
        for _ in range(4):
            size += len(client.recv(1 << 20))
            time.sleep(0.8)
        size += len(b"".join(iter(lambda: client.recv(1 << 20), b"")))
        assert size > 50_000_000


def test_many_halves_are_closed_in_time_without_a_word(start_bare: Callable[..., Bare]) -> None:
    server = start_bare(0.5, threads=8)
    waiting = [(server.connect(), half) for half in HALVES.values() for _ in range(5)]
    for client, half in waiting:
        client.sendall(half)
    for client, _ in waiting:
        assert client.recv(1) == b""
        client.close()
    assert server.log == ""


def test_clients_that_are_let_go_and_do_not_leave_hold_nobody_up(
    start_bare: Callable[..., Bare],
) -> None:
    server = start_bare(1, threads=64)
    waiting = [server.connect() for _ in range(50)]
    for client in waiting:
        client.sendall(LINE)
    for client in waiting:
        assert client.recv(1) == b""
    # Were each of them waited for by the thread that accepts, others would not be served in time.
    assert server.get() == (200, b"")
    for client in waiting:
        client.close()


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
    server = start_bare(threads=2)
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


def test_a_body_that_nobody_wants_is_not_waited_for_for_long(
    start_bare: Callable[..., Bare],
) -> None:
    server = start_bare(threads=4)
    # Were threads to wait for each of these bodies, it would be longer than a test waits.
    waiting = [server.connect() for _ in UNWANTED for _ in range(2)]
    for client, announced in zip(waiting, [*UNWANTED.values()] * 2, strict=True):
        client.sendall(b"POST /unread HTTP/1.1\r\nHost: x\r\n" + announced)
    assert server.get() == (200, b"")
    for client in waiting:
        answer = b"".join(iter(partial(client.recv, 1000), b""))
        client.close()
        assert b"HTTP/1.1 401 " in answer
        assert b"\r\nConnection: close\r\n" in answer


@pytest.mark.parametrize("status", ["401", "503"])
def test_who_sends_a_large_body_before_reading_gets_the_answer(
    start_bare: Callable[..., Bare], status: str
) -> None:
    server = start_bare()
    size = 10_000_000
    with server.connect() as client:
        path = f"/unread?{status}"
        head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n\r\n"
        client.sendall(head.encode() + b"x" * size)
        answer = client.recv(1000)
        assert answer.startswith(f"HTTP/1.1 {status} ".encode())
        assert b"\r\nConnection: close\r\n" in answer


def test_a_process_that_died_is_replaced_and_not_waited_for(
    start_bare: Callable[..., Bare],
) -> None:
    server = start_bare(workers=2)
    victim = int(server.get("/process")[1])
    os.kill(victim, signal.SIGKILL)
    wait_for(lambda: not psutil.pid_exists(victim))
    # It waits in the queue that all processes share, until one of those that are left takes it.
    with server.connect() as kept:
        found = {int(server.get("/process")[1]) for _ in range(20)}
        assert victim not in found
        wait_for(lambda: len({server.get("/process")[1] for _ in range(20)}) == 2)
        kept.sendall(HEAD + RESTS[HEAD])
        assert kept.recv(100).startswith(b"HTTP/1.1 200 OK\r\n")


def test_what_can_become_no_head_is_refused_at_once(start_bare: Callable[..., Bare]) -> None:
    server = start_bare()
    endless = b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 200_000
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
    server = start_bare()
    silent, idle = server.connect(), server.connect()
    time.sleep(6)  # gunicorn looks for five seconds whether a new client says something
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
    except ConnectionResetError:
        pass  # the server closed its socket at this very moment
    return False


@pytest.mark.parametrize("half", HALVES.values(), ids=HALVES)
def test_a_server_that_stops_refuses_new_clients_and_waits_shortly_for_slow_ones(
    start_bare: Callable[..., Bare], half: bytes
) -> None:
    server = start_bare(5)
    assert server.get() == (200, b"")
    with server.connect() as slow:
        slow.sendall(half)
        time.sleep(0.2)
        server.process.send_signal(signal.SIGTERM)
        wait_for(lambda: refuses(server))
        assert server.process.poll() is None
        assert server.wait() == 0
        assert slow.recv(100) == b""


def test_a_server_that_stops_answers_what_has_begun_and_refuses_new_clients(
    start_bare: Callable[..., Bare],
) -> None:
    server = start_bare(workers=2, threads=4)
    assert server.process.stdout is not None
    # gunicorn forgets to stop a process that has just been forked, and waits for it in vain.
    wait_for(lambda: len({server.get("/process")[1] for _ in range(20)}) == 2)
    body = b"x" * 100_000
    with contextlib.ExitStack() as stack:
        begun = [stack.enter_context(server.connect()) for _ in range(4)]
        for client in begun:
            client.sendall(b"POST /slow HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n")
            client.sendall(body)
        for _ in begun:
            assert server.process.stdout.readline() == "begun\n"
        server.process.send_signal(signal.SIGTERM)
        wait_for(lambda: refuses(server))
        for client in begun:
            head, _, received = b"".join(iter(partial(client.recv, 65536), b"")).partition(
                b"\r\n\r\n"
            )
            assert head.startswith(b"HTTP/1.1 200 OK\r\n")
            assert received == body
    assert server.wait() == 0
    assert server.log == ""


def test_a_server_that_stops_answers_the_next_request_of_a_kept_connection_and_closes_it(
    start_bare: Callable[..., Bare],
) -> None:
    server = start_bare(threads=4)
    with server.connect() as kept:
        kept.sendall(HEAD + RESTS[HEAD])
        assert b"\r\nConnection: keep-alive\r\n" in kept.recv(1000)
        server.process.send_signal(signal.SIGTERM)
        wait_for(lambda: refuses(server))
        kept.sendall(HEAD + RESTS[HEAD])
        answer = b"".join(iter(lambda: kept.recv(1000), b""))
        assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
        assert b"\r\nConnection: close\r\n" in answer
    assert server.wait() == 0
