"""How bodies come in: types, codings, lengths and limits (wire.md §3)."""

from __future__ import annotations

import gzip
import io
import zlib
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipxconfig_soap.soap.faults import Fault
from sipxconfig_soap.web.body import MAX_MEMBERS, PIECE, Framing, framing_of, read_body
from sipxconfig_soap.web.content import read_content_type
from sipxconfig_soap.web.responses import Refusal
from tests.support.soap import envelope

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.client import Client, Response

USERS = "/sipxconfig/services/UserService"
FIND = envelope("<con:FindUser><search><byUserName>superadmin</byUserName></search></con:FindUser>")
LIMIT = 4096


@pytest.fixture
def small(make_client: Callable[..., Client]) -> Client:
    """A server that takes 4 KiB."""
    return make_client(max_request_bytes=str(LIMIT))


def post(
    client: Client, body: bytes, environ: dict[str, object] | None = None, **headers: str
) -> Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return client.request("POST", USERS, body, named, environ=environ)


def padded(size: int) -> bytes:
    """A call of exactly so many bytes."""
    return FIND + b" " * (size - len(FIND))


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        " text/xml ",
        "TEXT/XML",
        "text/xml; charset=utf-8",
        'text/xml;charset="UTF-8"',
        "text/xml ; charset='utf-8'",
        "text/xml; charset=",
        "text/xml;",
        "application/xml",
        'application/soap+xml; charset=utf-8; action="urn:a;charset=koi8-r"',
        "application/vnd.example+xml",
        "image/svg+xml",
        "application/x-www-form-urlencoded",
    ],
)
def test_types_that_are_read_as_xml(content_type: str) -> None:
    assert read_content_type(content_type).accepted


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "text/html",
        "application/json",
        "application/octet-stream",
        'multipart/related; type="text/xml"',
        "multipart/form-data; boundary=x",
        "multipart/x+xml",
        "text",
        "+xml",
        "text/+xml",
        "/xml",
        "text/xml, text/xml",
        "nonsense\xe9",
    ],
)
def test_other_types_are_refused(content_type: str) -> None:
    assert not read_content_type(content_type).accepted


def test_the_type_decides_before_anything_is_read(client: Client) -> None:
    for content_type in (None, "text/xml", "application/x-www-form-urlencoded"):
        assert post(client, FIND, {"CONTENT_TYPE": content_type}).status == 200
    environ: dict[str, object] = {"wsgi.input": NeverRead(), "CONTENT_LENGTH": "5"}
    for content_type in ("text/plain", 'multipart/related; type="text/xml"'):
        assert post(client, b"", environ | {"CONTENT_TYPE": content_type}).status == 415


def test_a_charset_is_found_among_other_parameters() -> None:
    header = 'text/xml; a="x; charset=koi8-r"; Charset = "ISO-8859-1" ; charset=utf-8'
    assert read_content_type(header).charset == "ISO-8859-1"
    assert read_content_type("text/xml; xcharset=a").charset is None


def test_the_charset_of_the_header_counts(client: Client) -> None:
    body = envelope("<con:FindUser><search><byGroup>K\xf6ln</byGroup></search></con:FindUser>")
    latin = body.decode().encode("iso-8859-1")
    assert post(client, latin, Content_Type="text/xml; charset=ISO-8859-1").status == 200
    assert post(client, latin, Content_Type="text/xml").status == 500


def test_an_unknown_charset_is_a_fault(client: Client) -> None:
    for charset in ("koi8-r", "nonsense", "utf-7", "x" * 3000, "\xff"):
        response = post(client, FIND, Content_Type=f"text/xml; charset={charset}")
        assert response.status == 500
        assert b"<faultcode>soapenv:Client</faultcode>" in response.body


def test_faults_about_the_body_speak_the_soap_of_the_header(client: Client) -> None:
    response = post(
        client, b"no gzip", Content_Type="application/soap+xml", Content_Encoding="gzip"
    )
    assert response.status == 400
    assert b"<soapenv:Value>soapenv:Sender</soapenv:Value>" in response.body


def test_a_packed_body_is_unpacked(client: Client) -> None:
    for coding in ("gzip", "GZIP", "x-gzip", " gzip ", "identity, gzip", "gzip,"):
        assert post(client, gzip.compress(FIND), Content_Encoding=coding).status == 200


def test_identity_is_no_coding(client: Client) -> None:
    for coding in ("", "identity", "Identity", "identity, identity"):
        assert post(client, FIND, Content_Encoding=coding).status == 200


def test_another_coding_is_refused(client: Client) -> None:
    for coding in ("deflate", "br", "gzip, gzip", "gzip;q=1", "zstd", "\xe9"):
        response = post(client, gzip.compress(FIND), Content_Encoding=coding)
        assert (response.status, response.headers["accept-encoding"]) == (415, "gzip")


def test_damaged_packing_is_a_fault(client: Client) -> None:
    packed = gzip.compress(FIND)
    damaged = (
        FIND,
        zlib.compress(FIND),
        packed[:-1],
        packed[:5],
        packed + b"more",
        packed[:-8] + bytes(8),
        packed[:-12] + b"\xff" * 12,
    )
    for body in damaged:
        response = post(client, body, Content_Encoding="gzip")
        assert response.status == 500
        assert b"<faultcode>soapenv:Client</faultcode>" in response.body


def test_a_body_may_be_packed_in_parts_but_not_in_very_many(client: Client) -> None:
    parts = gzip.compress(FIND[:50]) + gzip.compress(b"") + gzip.compress(FIND[50:])
    assert post(client, parts, Content_Encoding="gzip").status == 200
    many = gzip.compress(b"") * MAX_MEMBERS + gzip.compress(FIND)
    assert post(client, many, Content_Encoding="gzip").status == 500


def test_nothing_is_an_empty_request(client: Client) -> None:
    for environ in ({}, {"CONTENT_LENGTH": None}, {"CONTENT_LENGTH": ""}):
        response = post(client, b"", dict(environ))
        assert b"<faultcode>soapenv:Client</faultcode>" in response.body
    packed = post(client, b"", Content_Encoding="gzip")
    assert b"<faultcode>soapenv:Client</faultcode>" in packed.body


def test_the_limit_is_what_still_fits(small: Client) -> None:
    assert post(small, padded(LIMIT)).status == 200
    assert post(small, padded(LIMIT + 1)).status == 413


def test_an_announced_size_is_refused_before_anything_is_read(small: Client) -> None:
    body = NeverRead()
    environ: dict[str, object] = {"wsgi.input": body, "CONTENT_LENGTH": str(LIMIT + 1)}
    assert post(small, b"", environ).status == 413


def test_the_limit_counts_unpacked_bytes(small: Client) -> None:
    assert post(small, gzip.compress(padded(LIMIT)), Content_Encoding="gzip").status == 200
    assert post(small, gzip.compress(padded(LIMIT + 1)), Content_Encoding="gzip").status == 413


def test_what_packing_adds_does_not_count(small: Client) -> None:
    stored = gzip.compress(padded(LIMIT), compresslevel=0)
    assert len(stored) > LIMIT
    assert post(small, stored, Content_Encoding="gzip").status == 200


def test_a_chunked_body_is_read_to_its_end(small: Client) -> None:
    chunked: dict[str, object] = {"CONTENT_LENGTH": None, "wsgi.input_terminated": True}
    assert post(small, padded(LIMIT), {**chunked}).status == 200
    assert post(small, padded(LIMIT + 1), {**chunked}).status == 413


@pytest.mark.parametrize("length", ["x", "-1", "1.5", "0x10", "+5", "\xb2", "5\n"])
def test_a_length_that_is_none_is_refused(length: str) -> None:
    with pytest.raises(Refusal) as refused:
        framing_of({"CONTENT_LENGTH": length}, read_content_type(""), LIMIT)
    assert refused.value.response.status_code == 400


def test_a_length_beside_chunks_is_passed_over() -> None:
    environ = {"CONTENT_LENGTH": "5", "HTTP_TRANSFER_ENCODING": "chunked"}
    content_type = read_content_type("")
    assert framing_of(environ, content_type, LIMIT).length == 5
    environ |= {"wsgi.input_terminated": True}
    assert framing_of(environ, content_type, LIMIT).length is None


@pytest.mark.parametrize("length", ["4097", "9" * 17, "9" * 18, "1" + "0" * 18, "9" * 5000])
def test_a_length_beyond_the_limit_is_too_large_however_long(length: str) -> None:
    with pytest.raises(Refusal) as refused:
        framing_of({"CONTENT_LENGTH": length}, read_content_type(""), LIMIT)
    assert refused.value.response.status_code == 413


@pytest.mark.parametrize("length", ["0", "00", "0" * 30, "5", "05", "0" * 30 + "5", "4096"])
def test_zeros_before_a_length_mean_nothing(length: str) -> None:
    framing = framing_of({"CONTENT_LENGTH": length}, read_content_type(""), LIMIT)
    assert framing.length == int(length)


def test_no_length_means_no_body_where_the_server_does_not_know_the_end() -> None:
    content_type = read_content_type("")
    assert framing_of({}, content_type, LIMIT).length == 0
    assert framing_of({"wsgi.input_terminated": True}, content_type, LIMIT).length is None


def test_a_body_shorter_than_announced_is_a_fault(client: Client) -> None:
    response = post(client, FIND, {"CONTENT_LENGTH": str(len(FIND) + 7)})
    assert response.status == 500
    assert b"<faultcode>soapenv:Client</faultcode>" in response.body


def test_bytes_behind_the_announced_length_are_not_read(client: Client) -> None:
    body = io.BytesIO(FIND + b"GET / HTTP/1.1")
    environ: dict[str, object] = {"wsgi.input": body, "CONTENT_LENGTH": str(len(FIND))}
    assert post(client, b"", environ).status == 200
    assert body.read() == b"GET / HTTP/1.1"


class NeverRead(io.BytesIO):
    """A body that must stay where it is."""

    def read(self, _size: int | None = -1) -> bytes:
        raise AssertionError("the body was read")


class Endless(io.BytesIO):
    """A body that goes on for ever; counts what was taken from it."""

    def __init__(self, piece: bytes) -> None:
        super().__init__()
        self.piece = piece
        self.taken = 0

    def read(self, size: int | None = -1) -> bytes:
        assert size is not None
        assert size > 0
        data = (self.piece * (size // len(self.piece) + 1))[:size]
        self.taken += len(data)
        return data


class Broken(io.BytesIO):
    """A body that ends in an error."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    def read(self, _size: int | None = -1) -> bytes:
        raise self.error


def read(stream: io.BytesIO, *, length: int | None = None, packed: bool = False) -> bytes:
    return read_body({"wsgi.input": stream}, Framing(length, packed), LIMIT)


class InPieces(io.BytesIO):
    """A body of which a server hands out a little at a time."""

    def read(self, size: int | None = -1) -> bytes:
        assert size is not None
        assert 0 < size <= PIECE
        return super().read(min(size, 7))


@pytest.mark.parametrize("size", [0, 1, 6, 7, 8, 100, PIECE, PIECE + 1])
def test_a_body_may_come_in_small_pieces(size: int) -> None:
    body = bytes(range(256)) * (size // 256 + 1)
    stream = InPieces(body)
    assert read_body({"wsgi.input": stream}, Framing(size, packed=False), 2 * PIECE) == body[:size]
    assert stream.tell() == size


@pytest.mark.parametrize("size", [0, 1, 7, 8, 99])
def test_a_body_in_small_pieces_may_end_too_early(size: int) -> None:
    with pytest.raises(Fault, match=f"ends {100 - size} bytes before"):
        read(InPieces(bytes(size)), length=100)


def test_an_endless_body_is_given_up_near_the_limit() -> None:
    stream = Endless(b"x")
    with pytest.raises(Refusal) as refused:
        read(stream)
    assert refused.value.response.status_code == 413
    assert stream.taken <= LIMIT + 64 * 1024


def test_endless_packing_of_nothing_is_given_up() -> None:
    start = zlib.compressobj(wbits=31)
    head = start.compress(b"") + start.flush(zlib.Z_FULL_FLUSH)
    nothing = b"\x00\x00\x00\xff\xff"
    stream = Endless(nothing)
    first = head + nothing * 10
    environ: dict[str, Any] = {"wsgi.input": Joined(first, stream)}
    with pytest.raises(Refusal) as refused:
        read_body(environ, Framing(None, packed=True), LIMIT)
    assert refused.value.response.status_code == 413


class Joined(io.BytesIO):
    """Some bytes, then another body."""

    def __init__(self, first: bytes, rest: io.BytesIO) -> None:
        super().__init__(first)
        self.rest = rest

    def read(self, size: int | None = -1) -> bytes:
        return super().read(size) or self.rest.read(size)


def test_a_bomb_is_given_up_before_it_unfolds(monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = gzip.compress(bytes(50_000_000))
    unfolded = 0
    make = zlib.decompressobj

    class Counting:
        def __init__(self, wbits: int) -> None:
            self.real = make(wbits)

        def __getattr__(self, name: str) -> Any:
            return getattr(self.real, name)

        def decompress(self, data: bytes, most: int) -> bytes:
            nonlocal unfolded
            found = self.real.decompress(data, most)
            unfolded += len(found)
            return found

    monkeypatch.setattr(zlib, "decompressobj", Counting)
    with pytest.raises(Refusal):
        read(io.BytesIO(bomb), length=len(bomb), packed=True)
    assert unfolded <= LIMIT + 64 * 1024


def test_chunks_that_are_none_are_a_fault() -> None:
    with pytest.raises(Fault) as fault:
        read(Broken(ValueError("bad chunk: a secret")))
    assert fault.value.code == "Client"
    assert "secret" not in fault.value.text


@pytest.mark.parametrize("error", [ConnectionResetError(), BlockingIOError(), TimeoutError()])
def test_a_client_that_is_gone_or_stalls_gets_no_answer(error: OSError) -> None:
    with pytest.raises(ConnectionError):
        read(Broken(error))


@given(
    body=st.binary(max_size=LIMIT),
    level=st.integers(0, 9),
    cuts=st.lists(st.integers(1, LIMIT), max_size=5),
)
def test_whatever_is_packed_comes_out_again(body: bytes, level: int, cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), LIMIT]
    parts = [body[start:end] for start, end in pairwise(edges)]
    packed = b"".join(gzip.compress(part, level) for part in parts)
    assert read(io.BytesIO(packed), length=len(packed), packed=True) == body


@given(st.binary(max_size=200))
def test_whatever_calls_itself_packed_is_read_or_refused(data: bytes) -> None:
    stream = io.BytesIO(b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03" + data)
    try:
        read(stream, packed=True)
    except Fault as fault:
        assert fault.code == "Client"  # noqa: PT017 - reading may succeed as well


@given(st.text(max_size=100), st.text(max_size=30), st.text(max_size=20))
def test_any_headers_are_taken_or_refused(kind: str, coding: str, length: str) -> None:
    environ = {"HTTP_CONTENT_ENCODING": coding, "CONTENT_LENGTH": length}
    try:
        framing = framing_of(environ, read_content_type(kind), LIMIT)
    except Refusal as refused:
        assert refused.response.status_code in (400, 413, 415)  # noqa: PT017 - see above
    else:
        assert framing.length is None or 0 <= framing.length <= 2 * LIMIT
