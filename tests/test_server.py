"""Gunicorn as we run it: one piece per small answer, threads that come free, nothing leaked."""

from __future__ import annotations

import contextlib
import signal
import socket
from http.client import HTTPConnection
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from sipxconfig_soap.gunicorn_socket import PatientSocket
from sipxconfig_soap.gunicorn_worker import JoinedResponse
from sipxconfig_soap.server import CannotListen, check_address
from sipxconfig_soap.settings import Settings
from tests.support.bare import WAIT_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.bare import Bare


def respond(
    method: str, version: tuple[int, int], *pieces: bytes, length: int | None
) -> list[bytes]:
    """What an answer sends, one entry for each call to the operating system."""
    # A socket that keeps the limits of what is sent in one go.
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with contextlib.closing(PatientSocket.take(ours)) as sock, theirs:
        request: Any = SimpleNamespace(method=method, version=version, should_close=lambda: False)
        response = JoinedResponse(request, sock, SimpleNamespace(protocol="http"))
        headers = [] if length is None else [("Content-Length", str(length))]
        write = response.start_response("200 OK", headers)
        for piece in pieces:
            write(piece)
        response.close()
        sock.close()
        return list(iter(lambda: theirs.recv(1 << 20), b""))


def test_head_and_body_of_a_small_answer_leave_at_once() -> None:
    (sent,) = respond("POST", (1, 1), b"<x/>", length=4)
    assert sent.startswith(b"HTTP/1.1 200 OK\r\nServer: sipxconfig-soap\r\n")
    assert sent.endswith(b"\r\nContent-Length: 4\r\n\r\n<x/>")


def test_an_answer_of_unknown_length_is_chunked_from_its_first_piece_on() -> None:
    first, second, end = respond("POST", (1, 1), b"<x>", b"</x>", length=None)
    assert first.endswith(b"Transfer-Encoding: chunked\r\n\r\n3\r\n<x>\r\n")
    assert (second, end) == (b"4\r\n</x>\r\n", b"0\r\n\r\n")


def test_an_old_client_gets_no_chunks() -> None:
    first, second = respond("POST", (1, 0), b"<x>", b"</x>", length=None)
    assert first.endswith(b"Connection: close\r\n\r\n<x>")
    assert second == b"</x>"


def test_the_answer_to_head_has_a_head_only() -> None:
    (sent,) = respond("HEAD", (1, 1), b"", length=4)
    assert sent.endswith(b"Content-Length: 4\r\n\r\n")


def test_a_large_answer_leaves_in_pieces_that_a_slow_client_can_take() -> None:
    sent = respond("POST", (1, 1), b"x" * 200_000, length=200_000)
    assert max(map(len, sent)) == 65536
    assert b"".join(sent).endswith(b"\r\n\r\n" + b"x" * 200_000)


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
    for number in range(5):
        connection.request("POST", "/", body=b"x" * number)
        assert connection.getresponse().read() == b"x" * number
    connection.close()


def test_silent_clients_take_no_thread(start_bare: Callable[..., Bare]) -> None:
    server = start_bare(1000)
    silent = [server.connect() for _ in range(5)]
    assert server.get() == (200, b"")
    for client in silent:
        client.close()


@pytest.mark.parametrize(
    "half",
    [
        b"POST / HTTP/1.1\r\nHost:",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
    ],
    ids=["head", "body", "chunk"],
)
def test_half_a_request_frees_its_thread_again(
    start_bare: Callable[..., Bare], half: bytes
) -> None:
    server = start_bare(0.5)
    with server.connect() as client:
        client.sendall(half)
        assert server.get() == (200, b"")
        assert client.recv(1) == b""
    assert "Traceback" not in server.log


def test_a_request_that_trickles_in_frees_its_thread_again(start_bare: Callable[..., Bare]) -> None:
    server = start_bare(0.5)
    with server.connect() as client:
        client.settimeout(0.1)
        client.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n")
        ended = False
        for _ in range(WAIT_SECONDS * 10):
            try:
                client.sendall(b"x")
                ended = client.recv(1) == b""
            except TimeoutError:
                continue
            except OSError:
                ended = True
            if ended:
                break
    assert ended
    assert server.get() == (200, b"")


def test_a_client_that_does_not_read_frees_its_thread_again(
    start_bare: Callable[..., Bare],
) -> None:
    server = start_bare(0.5)
    with server.connect() as client:
        client.sendall(b"GET /big HTTP/1.1\r\nHost: x\r\n\r\n")
        assert server.get() == (200, b"")
    assert "Traceback" not in server.log


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"nonsense\r\n\r\n", b"400 Bad Request"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nBad Header: 1\r\n\r\n", b"400 Bad Request"),
        (b"GET /" + b"x" * 10_000 + b" HTTP/1.1\r\n\r\n", b"414 URI Too Long"),
        (b"GET / HTTP/1.1\r\nA: " + b"x" * 10_000 + b"\r\n\r\n", b"431 Request Header Fields"),
        (b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 200 + b"\r\n", b"431 Request Header Fields"),
        (b"GET / HTTP/1.1\r\nTransfer-Encoding: unknown\r\n\r\n", b"501 Not Implemented"),
        (b"GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", b"400 Bad Request"),
    ],
    ids=["line", "header", "long line", "long header", "many headers", "coding", "length"],
)
def test_what_is_no_request_gets_its_status_and_no_details(
    start_bare: Callable[..., Bare], request_: bytes, status: bytes
) -> None:
    server = start_bare()
    head, _, body = server.raw(request_).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 " + status)
    assert b"\r\nContent-Type: text/plain" in head
    assert len(body) < 50
    assert server.get() == (200, b"")


def test_a_failing_application_shows_nothing(start_bare: Callable[..., Bare]) -> None:
    server = start_bare()
    assert server.get("/broken") == (500, b"500 Internal Server Error\n")
    assert "RuntimeError" in server.log
    assert "a secret" not in server.log
    assert server.get() == (200, b"")


def test_an_answer_that_breaks_off_is_seen_to_be_incomplete(
    start_bare: Callable[..., Bare],
) -> None:
    server = start_bare()
    answer = server.raw(b"GET /cut HTTP/1.1\r\nHost: x\r\n\r\n")
    assert answer.endswith(b"3\r\none\r\n")
    assert server.get() == (200, b"")


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
