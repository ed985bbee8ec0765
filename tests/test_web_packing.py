"""Answers packed by gzip: who gets them, and lists that leave as they are read (wire.md §4)."""

from __future__ import annotations

import gzip
import http.client
import io
import re
import zlib
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest
import requests

from sipxconfig_soap.web import packing
from sipxconfig_soap.web.exchange import Exchange
from sipxconfig_soap.web.packing import LARGE, least_packed, packed
from sipxconfig_soap.web.request import Request
from sipxconfig_soap.web.responses import Response, nothing, xml
from tests.support.client import ADMINISTRATOR, basic
from tests.support.logs import events
from tests.support.soap import HEAD, TAIL, envelope

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from contextlib import AbstractContextManager

    from sipxconfig_soap.db import Database
    from sipxconfig_soap.settings import Settings
    from tests.support.client import Client
    from tests.support.server import RunningServer

PATH = "/sipxconfig/services/UserService"
# A page with forms is never the same twice.
PAGE = "/sipxconfig/services/"
WSDL = f"{PAGE}PhoneService?wsdl"
ALL_USERS = envelope("<con:FindUser/>")
GZIP = {"Accept-Encoding": "gzip"}


def add_users(database: Database, count: int) -> None:
    with database.engine.begin() as connection:
        connection.exec_driver_sql(
            f"""
            WITH added AS (
                INSERT INTO users (user_name, sip_password)
                SELECT 'u' || number, md5(number::text) FROM generate_series(1, {count}) AS number
                RETURNING id, user_name
            )
            INSERT INTO names (value, folded, kind, user_id)
            SELECT user_name, user_name, 'userName', id FROM added
            """
        )


@pytest.mark.parametrize(
    "accepted",
    [
        *("gzip", "GZip", "x-gzip", "gzip, deflate", "gzip, deflate, br, zstd"),
        *("gzip;q=0.001", "gzip;Q=1.000", " gzip ; q=1 ,", ",,gzip", "*", "br, *;q=0.1"),
        *("identity;q=0.5, gzip;q=0.5", "gzip, identity", "gzip;q=0.5, *;q=0.4", "br;q=0, gzip"),
        *("gzip;q=1.0, identity; q=0.5, *;q=0.1", "br;q=1, gzip;q=0.8"),
    ],
)
def test_who_accepts_gzip_gets_it(accepted: str) -> None:
    assert least_packed(accepted) == LARGE


@pytest.mark.parametrize(
    "accepted",
    [
        *("", " ", ",", "identity", "deflate, br", "gzip;q=0", "gzip;q=0.000", "*;q=0"),
        *("gzip;q=0, *", "x-gzip;q=0, gzip", "gzip, gzip;q=0", "identity, *;q=0", "identity;q=0"),
        # Unpacked is preferred.
        *("identity, gzip;q=0.5", "gzip;q=0.5, *", "*;q=0.5, identity;q=0.6"),
        # Damaged.
        *("gzip;q=2", "gzip;q=-1", "gzip;q=.5", "gzip;q=0.1234", "gzip;q=1.001", "gzip;q="),
        *("gzip;", "gzip;x=1", "gzip q=1", "gzip;q=1;q=1", "gzip, br;q=high", "gzip/deflate"),
        *("gzip;q", "gzíp", "gzip\x00", "gzip\n", '"gzip"', "gzip;q = 1", "g zip", "gzip;q=1 0"),
    ],
)
def test_who_does_not_or_says_so_in_no_known_way_gets_answers_unpacked(accepted: str) -> None:
    assert least_packed(accepted) is None


@pytest.mark.parametrize("accepted", ["gzip, identity;q=0", "gzip, *;q=0", "identity;q=0, *"])
def test_who_refuses_unpacked_answers_gets_small_ones_packed_too(accepted: str) -> None:
    answer = packed(xml(b"small"), accepted)
    assert answer.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(answer.data) == b"small"


@pytest.mark.parametrize("accepted", ["gzip", "identity", "gzip;q=0", "gzip, identity;q=0", "?"])
def test_an_answer_without_a_body_stays_as_it_is(accepted: str) -> None:
    for answer in (nothing("GET"), Response()):
        before = answer.headers.to_wsgi_list()
        assert packed(answer, accepted).data == b""
        assert answer.headers.to_wsgi_list() == before


def test_the_size_decides() -> None:
    small = packed(xml(b"x" * (LARGE - 1)), "gzip")
    assert (dict(small.headers), small.data) == (dict(xml(small.data).headers), b"x" * (LARGE - 1))
    answer = packed(xml(b"x" * LARGE), "gzip")
    assert dict(answer.headers) == {
        **dict(xml(answer.data).headers),
        "Vary": "Accept-Encoding",
        "Content-Encoding": "gzip",
    }
    assert answer.content_length == len(answer.data) < LARGE / 20
    assert gzip.decompress(answer.data) == b"x" * LARGE


def test_what_was_large_enough_says_that_it_could_have_been_packed() -> None:
    large = xml(b"x" * LARGE)
    answer = packed(xml(b"x" * LARGE), "br")
    assert dict(answer.headers) == {**dict(large.headers), "Vary": "Accept-Encoding"}
    assert (answer.data, answer.content_length) == (large.data, LARGE)
    pieces = iter((b"x",))
    stream = packed(Response(pieces), "br")
    assert stream.response is pieces
    assert dict(stream.headers) == {"Vary": "Accept-Encoding"}


class Source:
    """A list that notes how much of it has been read, and that it was given up."""

    def __init__(self, pieces: int) -> None:
        self.left = pieces
        self.closed = False

    def __iter__(self) -> Iterator[bytes]:
        try:
            while self.left:
                self.left -= 1
                yield b"".join(b"<item>%d-%d</item>" % (self.left, n) for n in range(2000))
        finally:
            self.closed = True


def pieces_of(response: Response) -> Iterator[bytes]:
    """The pieces of an answer that is packed."""
    return iter(packed(response, "gzip").iter_encoded())


def test_a_list_leaves_as_it_is_read() -> None:
    source = Source(1000)
    unpacker = zlib.decompressobj(31)
    pieces = pieces_of(Response(iter(source)))
    assert source.left == 1000
    first = unpacker.decompress(next(pieces))
    # The whole first piece can be unpacked before the second one is read.
    assert source.left == 999
    assert first.startswith(b"<item>999-0</item>")
    assert first.endswith(b"<item>999-1999</item>")
    before = source.left
    for piece in pieces:
        assert 0 < len(piece) < 256 * 1024
        assert before - source.left < 50
        before = source.left
        unpacker.decompress(piece)
    assert unpacker.eof
    assert not unpacker.unused_data


def test_a_list_that_is_given_up_is_closed() -> None:
    source = Source(1000)
    pieces = pieces_of(Response(iter(source)))
    next(pieces)
    del pieces
    assert source.closed


def test_a_list_that_breaks_off_has_no_end() -> None:
    def breaking() -> Iterator[bytes]:
        yield b"x" * 100_000
        raise ConnectionError

    unpacker = zlib.decompressobj(31)
    pieces = pieces_of(Response(breaking()))
    assert unpacker.decompress(next(pieces)) == b"x" * 100_000
    with pytest.raises(ConnectionError):
        list(pieces)
    assert not unpacker.eof


def test_without_the_header_nothing_is_looked_at(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(packing, "least_packed", fail)
    answer = client.request("GET", WSDL)
    assert answer.body.startswith(b"<?xml")
    assert not {"vary", "content-encoding"} & set(answer.headers)


@pytest.mark.parametrize(
    ("path", "accepted"), [(PAGE, "gzip"), (PAGE, "*"), (WSDL, "gzip, identity;q=0")]
)
def test_pages_and_wsdls_are_packed_for_head_as_for_get(
    client: Client, path: str, accepted: str
) -> None:
    plain = client.request("GET", path)
    headers = {"Accept-Encoding": accepted}
    get, head = (client.request(method, path, headers=headers) for method in ("GET", "HEAD"))
    assert gzip.decompress(get.body) == plain.body
    assert head.body == b""
    assert head.headers == get.headers
    assert get.headers == {
        **plain.headers,
        "vary": "Accept-Encoding",
        "content-encoding": "gzip",
        "content-length": str(len(get.body)),
    }


def test_calls_are_answered_packed_when_the_answer_is_large(
    client: Client, database: Database
) -> None:
    small = client.request("POST", PATH, ALL_USERS, GZIP)
    assert small == client.request("POST", PATH, ALL_USERS)
    add_users(database, 20)
    plain = client.request("POST", PATH, ALL_USERS)
    assert LARGE < len(plain.body) < 32 * 1024
    answer = client.request("POST", PATH, ALL_USERS, GZIP)
    assert gzip.decompress(answer.body) == plain.body
    assert answer.headers["content-length"] == str(len(answer.body))
    refused = client.request("POST", PATH, ALL_USERS, {"Accept-Encoding": "gzip;q=0"})
    assert refused.body == plain.body
    assert refused.headers == {**plain.headers, "vary": "Accept-Encoding"}


def test_a_streamed_list_is_packed_and_the_log_counts_what_is_sent(
    client: Client, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    add_users(database, 2000)
    caplog.set_level("INFO", "sipxconfig_soap.web.exchange")
    answer = client.request("POST", PATH, ALL_USERS, GZIP)
    assert "content-length" not in answer.headers
    assert answer.headers["content-encoding"] == "gzip"
    body = gzip.decompress(answer.body)
    assert body == client.request("POST", PATH, ALL_USERS).body
    counted = [event["bytes"] for event in events(caplog)]
    assert counted == [len(answer.body), len(body)]


def test_the_first_bytes_of_a_list_leave_before_it_is_read(
    client: Client, database: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_users(database, 5000)
    read: list[int] = []
    deliver = Exchange.deliver

    def counting(exchange: Exchange, response: Response, start_response: Any) -> Any:
        def pieces(read_from: Iterable[bytes]) -> Iterator[bytes]:
            for piece in read_from:
                read.append(piece.count(b"<item>"))
                yield piece

        response.response = pieces(response.iter_encoded())
        return deliver(exchange, response, start_response)

    monkeypatch.setattr(Exchange, "deliver", counting)
    environ = _environ(ALL_USERS) | {"HTTP_ACCEPT_ENCODING": "gzip"}
    assert Request(environ, settings).header("HTTP_ACCEPT_ENCODING") == "gzip"
    answer: Any = client.app(environ, lambda *_: lambda _: None)
    unpacker = zlib.decompressobj(31)
    start = unpacker.decompress(next(iter(answer)))
    assert start.startswith(HEAD)
    assert start.count(b"<item>") == sum(read) < 500
    rest = b"".join(map(unpacker.decompress, answer))
    answer.close()
    assert unpacker.eof
    assert (start + rest).endswith(TAIL)
    assert (start + rest).count(b"<item>") == sum(read) == 5001


def _environ(body: bytes) -> dict[str, Any]:
    return {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": PATH,
        "REMOTE_ADDR": "127.0.0.1",
        "HTTP_HOST": "localhost",
        "HTTP_AUTHORIZATION": basic(*ADMINISTRATOR),
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
    }


def test_over_http(
    database: Database, run_server: Callable[..., AbstractContextManager[RunningServer]]
) -> None:
    add_users(database, 3000)
    with run_server(SIPXCONFIG_WORKERS="1") as server, ExitStack() as opened:
        connection = http.client.HTTPConnection(*server.address, timeout=60)
        opened.callback(connection.close)
        headers = {"Authorization": basic(*ADMINISTRATOR), "Content-Type": "text/xml"}
        bodies = []
        # One connection: where an answer ends must be clear to both sides.
        for accepted in ("gzip, deflate", "identity"):
            for method, path, body in (("POST", PATH, ALL_USERS), ("GET", PAGE, None)):
                chosen = headers | {"Accept-Encoding": accepted}
                connection.request(method, path, body, chosen)
                answer = connection.getresponse()
                streamed = answer.getheader("Transfer-Encoding") == "chunked"
                assert streamed is (method == "POST")
                assert answer.getheader("Vary") == "Accept-Encoding"
                found = answer.read()
                if "gzip" in accepted:
                    assert answer.getheader("Content-Encoding") == "gzip"
                    found = gzip.decompress(found)
                bodies.append(found)
        assert bodies[:2] == bodies[2:]
        assert bodies[0].count(b"<item>") == 3001
        # A client that unpacks unasked, and asks for it by default.
        done = requests.post(
            server.service("UserService"),
            ALL_USERS,
            auth=ADMINISTRATOR,
            headers={"Content-Type": "text/xml"},
            timeout=60,
        )
        assert done.headers["Content-Encoding"] == "gzip"
        assert done.content == bodies[0]
    sizes = re.findall(r"bytes=(\d+)", "".join(server.output))
    assert len(bodies[0]) == int(sizes[2]) > 5 * int(sizes[0])
