"""Hostile HTTP for a running server: a documented answer or none, and it lives on."""

from __future__ import annotations

import gzip
import zlib
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from tests.support.hostile import (
    FIND,
    LIMIT,
    SECRET,
    USERS,
    XML,
    attacked,
    client_fault,
    documented,
)
from tests.support.raw import Wire, chunked, head, post, read_answer
from tests.support.server import serve
from tests.support.soap import envelope

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sipxconfig_soap.db import Database
    from tests.support.server import RunningServer


@pytest.fixture(scope="module")
def server(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    # At the level that says most, and still says no secret.
    environment = {
        "SIPXCONFIG_DATABASE_URL": database_url,
        "SIPXCONFIG_LOG_LEVEL": "debug",
    }
    with serve(tmp_path_factory.mktemp("server"), environment, "--no-worker") as running:
        yield running


@pytest.fixture
def wire(server: RunningServer, database: Database) -> Iterator[Wire]:
    assert database
    with attacked(server) as wire:
        yield wire


def test_a_body_fills_the_limit_and_not_more(wire: Wire) -> None:
    padding = b" " * (LIMIT - len(FIND))
    assert documented(wire.send(post(USERS, FIND + padding, XML))).status == 200
    announced = head(USERS, XML, f"Content-Length: {LIMIT + 1}")
    assert documented(wire.send(announced)).status == 413
    # Who sends all the same may find the connection closed while still sending.
    answer = wire.send(announced, FIND, padding, b" ")
    assert answer is None or documented(answer).status == 413


def test_a_body_in_chunks_has_the_same_limit(wire: Wire) -> None:
    padding = b" " * 1_000_000
    assert documented(wire.send(chunked(USERS, FIND, *[padding] * 16))).status == 200
    answer = wire.send(chunked(USERS, FIND, *[padding] * 18))
    assert answer is None or documented(answer).status == 413


LENGTHS = {
    "a word": "abc",
    "negative": "-1",
    "signed": "+5",
    "a list": "5, 5",
    "hexadecimal": "0x10",
    "not whole": "5.0",
    "separated": "1_000",
    "other digits": "\u00b2",
    "gigantic": "9" * 30,
    "longer than any number": "9" * 5000,
}


@pytest.mark.parametrize("length", LENGTHS.values(), ids=LENGTHS)
def test_a_length_that_is_none_is_refused(wire: Wire, length: str) -> None:
    answer = documented(wire.send(head(USERS, XML, f"Content-Length: {length}") + FIND))
    assert answer.status in (400, 413)


@pytest.mark.parametrize(
    "lines",
    [
        (f"Content-Length: {len(FIND)}", f"Content-Length: {len(FIND)}"),
        (f"Content-Length: {len(FIND)}", "Content-Length: 0"),
        ("Content-Length: 4", "Transfer-Encoding: chunked"),
        ("Transfer-Encoding: chunked", "Content-Length: 4"),
        ("Transfer-Encoding: chunked, identity",),
        ("Transfer-Encoding: xchunked",),
        ("Transfer-Encoding: chunked", "Transfer-Encoding: chunked"),
    ],
)
def test_a_length_that_can_be_read_in_two_ways_is_refused_and_the_connection_ends(
    wire: Wire, lines: tuple[str, ...]
) -> None:
    smuggled = post(USERS, FIND, XML)
    with wire.connection() as connection:
        connection.sendall(head(USERS, XML, *lines) + b"0\r\n\r\n" + smuggled)
        answer = documented(read_answer(connection))
        assert answer.status in (400, 501)
        assert read_answer(connection) is None


def test_an_empty_body_is_a_fault(wire: Wire) -> None:
    for request in (
        head(USERS, XML, "Content-Length: 0"),
        head(USERS, XML),
        chunked(USERS),
        head(USERS, version="HTTP/1.0"),
    ):
        sentence = client_fault(wire.send(request))
        assert sentence == "The request is empty: send a SOAP envelope."


def test_a_body_that_ends_too_early_is_a_fault(wire: Wire) -> None:
    body = envelope(f"<addUser><user><userName>201</userName></user><pin>{SECRET}</pin></addUser>")
    announced = head(USERS, XML, f"Content-Length: {len(body) + 10}")
    assert "ends 10 bytes before" in client_fault(wire.send(announced, body, end=True))
    assert "before its announced length" in client_fault(wire.send(announced, end=True))
    cut = chunked(USERS, body)[:-20]
    answer = wire.send(cut, end=True)
    assert answer is None or documented(answer).status in (400, 500)
    find = b"<findUser><search><byUserName>201</byUserName></search></findUser>"
    found = documented(wire.send(post(USERS, envelope(find.decode()), XML)))
    assert b'<users xmlns=""/>' in found.body


@pytest.mark.parametrize(
    "chunks",
    [
        b"zz\r\n",
        b"-1\r\n",
        b"5;a=b\r\n<a/>",
        b"ffffffffffffffffff\r\n",
        b"5\r\n<a/>xx\r\n0\r\n\r\n",
    ],
)
def test_chunks_that_are_none_are_refused(wire: Wire, chunks: bytes) -> None:
    answer = wire.send(head(USERS, XML, "Transfer-Encoding: chunked") + chunks, end=True)
    assert answer is None or documented(answer).status in (400, 413, 500)


@pytest.mark.parametrize(
    "content_type",
    [
        'multipart/related; type="text/xml"; boundary=b',
        'multipart/related; type="application/xop+xml"; start-info="text/xml"; boundary=b',
        "multipart/form-data; boundary=b",
        "multipart/x+xml; boundary=b",
        "application/json",
        "text/plain",
        "text/html",
        "application/octet-stream",
        "+xml",
        ",text/xml",
        "text/xml, text/xml",
    ],
)
def test_only_xml_is_read(wire: Wire, content_type: str) -> None:
    part = b"--b\r\nContent-Type: text/xml\r\n\r\n" + FIND + b"\r\n--b--\r\n"
    answer = documented(wire.send(post(USERS, part, f"Content-Type: {content_type}")))
    assert answer.status == 415


def packed(data: bytes) -> tuple[bytes, ...]:
    return (post(USERS, data, XML, "Content-Encoding: gzip"),)


def test_a_packed_bomb_is_too_large(wire: Wire) -> None:
    bomb = gzip.compress(b" " * (LIMIT * 4), 9)
    assert len(bomb) < 100_000
    for data in (bomb, gzip.compress(FIND) + bomb, gzip.compress(FIND + b" " * LIMIT)):
        assert documented(wire.send(*packed(data))).status == 413
    twice = gzip.compress(gzip.compress(b" " * (LIMIT * 4)))
    assert client_fault(wire.send(*packed(twice))).startswith("The request is not well-formed XML")


GOOD = gzip.compress(FIND)
DAMAGED = {
    "not packed": FIND,
    "nothing": b"",
    "cut": GOOD[:-9],
    "cut in the head": GOOD[:5],
    "a wrong checksum": GOOD[:-8] + b"\x00\x00\x00\x00" + GOOD[-4:],
    "a wrong length": GOOD[:-4] + b"\x01\x00\x00\x00",
    "a flipped bit": GOOD[:20] + bytes([GOOD[20] ^ 255]) + GOOD[21:],
    "rubbish behind": GOOD + b"rubbish",
    "zlib": zlib.compress(FIND),
    "parts without end": gzip.compress(b"") * 100_000,
}


@pytest.mark.parametrize("data", DAMAGED.values(), ids=DAMAGED)
def test_damaged_packing_is_a_fault(wire: Wire, data: bytes) -> None:
    assert client_fault(wire.send(*packed(data)))


@pytest.mark.parametrize("coding", ["deflate", "br", "gzip, gzip", "gzip, deflate", "x"])
def test_another_coding_is_refused(wire: Wire, coding: str) -> None:
    request = post(USERS, FIND, XML, f"Content-Encoding: {coding}")
    assert documented(wire.send(request)).status == 415


REQUESTS = {
    "TLS": bytes.fromhex("16030100c8010000c40303") + b"\x00" * 190,
    "SIP": b"OPTIONS sip:localhost SIP/2.0\r\nVia: SIP/2.0/TCP x\r\n\r\n",
    "HTTP/0.9": b"GET /\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "HTTP/9.9": b"GET / HTTP/9.9\r\nHost: x\r\n\r\n",
    "no header name": b"GET / HTTP/1.1\r\n: x\r\n\r\n",
    "a blank in a header name": b"GET / HTTP/1.1\r\nContent Length: 3\r\n\r\nabc",
    "a NUL in a header": b"GET / HTTP/1.1\r\nHost: a\x00b\r\n\r\n",
    "a bare CR in a header": b"GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n",
    "a folded header": b"GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n",
    "a long line": b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n",
    "a long header": b"GET / HTTP/1.1\r\nX: " + b"a" * 1_000_000 + b"\r\n\r\n",
    "many headers": b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 10_000 + b"\r\n",
    "noise": bytes(range(256)) * 40 + b"\r\n\r\n",
}


@pytest.mark.parametrize("request_", REQUESTS.values(), ids=REQUESTS)
def test_what_is_no_http_gets_one_sentence_or_none(wire: Wire, request_: bytes) -> None:
    answer = wire.send(request_, end=True)
    if answer is not None:
        assert documented(answer).status >= 400


def test_an_unknown_expectation_is_refused_and_the_known_one_met(wire: Wire) -> None:
    lines = (XML, f"Content-Length: {len(FIND)}")
    assert documented(wire.send(head(USERS, *lines, "Expect: 200-ok"))).status == 417
    with wire.connection() as connection:
        connection.sendall(head(USERS, *lines, "Expect: 100-continue"))
        assert connection.recv(100).startswith(b"HTTP/1.1 100 ")
        connection.sendall(FIND)
        assert documented(read_answer(connection)).status == 200


def test_requests_sent_in_one_go_are_answered_in_order(wire: Wire) -> None:
    add = envelope("<addUser><user><userName>201</userName></user></addUser>")
    with wire.connection() as connection:
        connection.sendall(post(USERS, add, XML) + chunked(USERS, FIND) + post(USERS, b"<", XML))
        answers = [documented(read_answer(connection)) for _ in range(3)]
    assert b"<addUserResponse" in answers[0].body
    assert b"<userName>superadmin</userName>" in answers[1].body
    assert b"soapenv:Client" in answers[2].body


def test_a_slow_client_is_served_byte_by_byte(wire: Wire) -> None:
    request = post(USERS, FIND, XML)
    assert (
        documented(wire.send(*(request[at : at + 1] for at in range(len(request))))).status == 200
    )


def test_clients_that_say_nothing_do_not_keep_others_waiting(wire: Wire) -> None:
    whole = post(USERS, FIND, XML)
    with ExitStack() as held:
        # Fewer than a process has threads, and some of them have begun.
        connections = [held.enter_context(wire.connection()) for _ in range(12)]
        lengths = (1, 20, len(whole) - 20) * 3
        for connection, length in zip(connections, lengths, strict=False):
            connection.sendall(whole[:length])
        assert documented(wire.send(whole)).status == 200


def test_clients_that_leave_in_the_middle_are_forgotten(wire: Wire) -> None:
    whole = post(USERS, FIND, XML)
    for length in range(0, len(whole), 37):
        with wire.connection() as connection:
            connection.sendall(whole[:length])
    with wire.connection() as connection:
        connection.sendall(post(USERS, envelope("<findUser/>"), XML))
