"""Gunicorn as we run it: one piece per small answer, every form of request, nothing leaked."""

from __future__ import annotations

import signal
import socket
import threading
from http.client import HTTPConnection
from typing import TYPE_CHECKING, Self

import pytest

from sipxconfig_soap.listening import CannotListen, check_address
from sipxconfig_soap.settings import Settings
from tests.support.bare import WAIT_SECONDS
from tests.support.worker import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.bare import Bare


def test_head_and_body_of_a_small_answer_arrive_at_once(start_bare: Callable[..., Bare]) -> None:
    server = start_bare()
    with server.connect() as client:
        for number in range(20):
            body = b"<x/>" * number
            request = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body)
            client.sendall(request + body)
            answer = client.recv(65536)
            assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
            assert answer.endswith(b"\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))


def test_an_answer_of_unknown_length_is_chunked_from_its_first_piece_on(
    start_bare: Callable[..., Bare],
) -> None:
    server = start_bare()
    answer = server.raw(b"GET /stream HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"\r\nTransfer-Encoding: chunked" in head
    assert b"Content-Length" not in head
    assert body == b"3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"


def test_the_first_piece_of_a_list_does_not_wait_for_the_next(
    start_bare: Callable[..., Bare],
) -> None:
    server = start_bare(threads=2)
    with server.connect() as client:
        client.sendall(b"GET /paused HTTP/1.1\r\nHost: x\r\n\r\n")
        received = b""
        while not received.endswith(b"\r\n\r\n3\r\none\r\n"):
            piece = client.recv(65536)
            assert piece, received
            received += piece
        # The application waits until somebody asks for this.
        assert server.get("/go") == (200, b"")
        while not received.endswith(b"\r\n3\r\ntwo\r\n0\r\n\r\n"):
            piece = client.recv(65536)
            assert piece, received
            received += piece


def test_an_old_client_gets_no_chunks(start_bare: Callable[..., Bare]) -> None:
    server = start_bare()
    answer = server.raw(b"GET /stream HTTP/1.0\r\n\r\n")
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.0 200 OK\r\n")
    assert b"\r\nConnection: close" in head
    assert b"chunked" not in head
    assert body == b"onetwo"


def test_the_answer_to_head_has_a_head_only(start_bare: Callable[..., Bare]) -> None:
    server = start_bare()
    with server.connect() as client:
        for _ in range(2):
            client.sendall(b"HEAD /empty HTTP/1.1\r\nHost: x\r\n\r\n")
            answer = client.recv(65536)
            assert answer.endswith(b"Content-Length: 4\r\n\r\n")
        client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert client.recv(65536).startswith(b"HTTP/1.1 200 OK\r\n")


def test_a_large_answer_arrives_whole(start_bare: Callable[..., Bare]) -> None:
    server = start_bare()
    assert server.get("/big") == (200, b"x" * 50_000_000)


def test_requests_of_every_form(start_bare: Callable[..., Bare]) -> None:
    server = start_bare()
    head = b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
    chunked = b"Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"
    assert server.raw(head + chunked).endswith(b"\r\n\r\nabc")
    expecting = head + b"Content-Length: 3\r\nExpect: 100-continue\r\n\r\nabc"
    answer = server.raw(expecting)
    assert answer.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n")
    old = server.raw(b"POST / HTTP/1.0\r\nContent-Length: 3\r\n\r\nabc")
    assert old.startswith(b"HTTP/1.0 200 OK\r\n")
    assert server.raw(b"GET /stream HTTP/1.0\r\n\r\n").endswith(b"\r\n\r\nonetwo")


def test_a_connection_serves_many_requests(start_bare: Callable[..., Bare]) -> None:
    server = start_bare()
    connection = HTTPConnection(server.host, server.port, timeout=WAIT_SECONDS)
    connection.connect()
    sock = connection.sock
    for number in range(5):
        connection.request("POST", "/", body=b"x" * number)
        assert connection.getresponse().read() == b"x" * number
        assert connection.sock is sock
    connection.close()


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"hush-4711\r\n\r\n", b"400 Bad Request"),
        (b"hush-4711 / HTTP/1.1\r\n\r\n", b"400 Bad Request"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nBad Header: hush-4711\r\n\r\n", b"400 Bad Request"),
        (b"GET / HTTP/1.1\r\nAuthorization Basic hush-4711\r\n\r\n", b"400 Bad Request"),
        (b"GET /hush-4711" + b"x" * 10_000 + b" HTTP/1.1\r\n\r\n", b"414 URI Too Long"),
        (b"GET / HTTP/1.1\r\nA: hush-4711" + b"x" * 10_000 + b"\r\n\r\n", b"431 Request Header"),
        (b"GET / HTTP/1.1\r\n" + b"A: hush-4711\r\n" * 200 + b"\r\n", b"431 Request Header"),
        (b"GET / HTTP/1.1\r\nTransfer-Encoding: hush-4711\r\n\r\n", b"501 "),
        (b"GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", b"400 Bad Request"),
        (b"GET / HTTP/1.1\r\nExpect: hush-4711\r\n\r\n", b"417 Expectation Failed"),
    ],
    ids=[
        *("line", "method", "header", "login", "long line", "long header", "many headers"),
        *("coding", "length", "expectation"),
    ],
)
def test_what_is_no_request_gets_its_status_and_no_details(
    start_bare: Callable[..., Bare], request_: bytes, status: bytes
) -> None:
    server = start_bare()
    head, _, body = server.raw(request_).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 " + status)
    assert b"\r\nConnection: close" in head
    assert len(body) < 300
    assert b"hush" not in head + body
    assert "hush" not in server.log
    assert len(server.log.splitlines()) == 1
    assert server.get() == (200, b"")


def test_what_follows_a_body_that_was_longer_than_announced_is_not_quoted(
    start_bare: Callable[..., Bare],
) -> None:
    server = start_bare()
    answers = server.raw(
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc<pin>hush-4711</pin>\r\n"
    )
    assert b"\r\n\r\nabc" in answers
    assert b"HTTP/1.1 400 Bad Request\r\n" in answers
    assert b"hush" not in answers
    assert "hush" not in server.log


def test_a_failing_application_shows_nothing(start_bare: Callable[..., Bare]) -> None:
    server = start_bare()
    status, body = server.get("/broken")
    assert status == 500
    assert b"Internal Server Error" in body
    assert b"secret" not in body
    assert "RuntimeError" in server.log
    assert "a secret" not in server.log
    assert len(server.log.splitlines()) == 1
    assert server.get() == (200, b"")


def test_an_answer_that_breaks_off_is_seen_to_be_incomplete(
    start_bare: Callable[..., Bare],
) -> None:
    server = start_bare()
    for _ in range(3):
        answer = server.raw(b"GET /cut HTTP/1.1\r\nHost: x\r\n\r\n")
        assert answer.endswith(b"3\r\none\r\n")
    assert server.get() == (200, b"")
    assert len(server.log.splitlines()) == 3
    assert "a secret" not in server.log


def test_forwarded_headers_are_not_believed_here(start_bare: Callable[..., Bare]) -> None:
    server = start_bare()
    assert server.get("/scheme", **{"X-Forwarded-Proto": "https"}) == (200, b"http")


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_on_a_signal_and_leaves_no_files(
    start_bare: Callable[..., Bare], tmp_path: Path, how: int
) -> None:
    server = start_bare()
    assert server.get() == (200, b"")
    assert server.stop(how) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["log"]
    assert server.log == ""


def test_a_taken_or_foreign_address_is_one_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        bind = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(CannotListen, match=f"^Cannot listen on {bind}: Address already in use"):
            check_address(Settings.load({}, bind=bind))
    with pytest.raises(CannotListen, match="Cannot assign requested address"):
        check_address(Settings.load({}, bind="192.0.2.1:8080"))
    with pytest.raises(CannotListen, match="there is no such address"):
        check_address(Settings.load({}, bind="no-such-host.invalid:8080"))


# -- reloading ---------------------------------------------------------------------------------


class Load:
    """Clients that ask without a pause, on kept connections or on new ones."""

    def __init__(self, server: Bare) -> None:
        self._server = server
        self._ended = threading.Event()
        self.processes: set[bytes] = set()
        self.failures: list[str] = []
        self._threads = [
            threading.Thread(target=self._ask, args=(kept,)) for kept in (True, False) * 3
        ]

    def _ask(self, kept: bool) -> None:  # noqa: FBT001 - handed over by the thread
        connection = HTTPConnection(self._server.host, self._server.port, timeout=WAIT_SECONDS)
        while not self._ended.is_set():
            try:
                connection.request("GET", "/process")
                answer = connection.getresponse()
                self.processes.add(answer.read())
                if answer.status != 200:
                    self.failures.append(f"{answer.status}")
            except OSError as error:
                self.failures.append(repr(error))
            if not kept:
                connection.close()
        connection.close()

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()


def test_a_reload_replaces_the_processes_and_answers_every_request(
    start_bare: Callable[..., Bare],
) -> None:
    server = start_bare(workers=2, threads=8)
    with Load(server) as load:
        wait_for(lambda: len(load.processes) >= 2)
        for _ in range(3):
            old = set(load.processes)
            server.process.send_signal(signal.SIGHUP)
            wait_for(lambda: len(load.processes - old) >= 2)  # noqa: B023 - used at once
    assert load.failures == []
    assert server.stop() == 0
    assert server.log == ""
