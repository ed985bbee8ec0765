"""Reads request bodies, however they are sent, and never more than the limit (wire.md §3)."""

from __future__ import annotations

import errno
import re
import zlib
from typing import TYPE_CHECKING, NamedTuple

from sipxconfig_soap.soap.faults import client_fault
from sipxconfig_soap.web.content import check_content_type, is_packed
from sipxconfig_soap.web.responses import Refusal, plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from wsgiref.types import InputStream, WSGIEnvironment

    from sipxconfig_soap.soap.faults import Fault
    from sipxconfig_soap.web.content import ContentType

PIECE = 64 * 1024
"""Bytes that are read, and packed bytes that are unpacked, at a time."""

MAX_MEMBERS = 100
"""Parts of a packed body: gzip allows any number, and each costs time even when empty."""

_LENGTH = re.compile(r"[0-9]+\Z")
# Digits of a length that no limit reaches; the text of a header may have thousands.
_LONG = 18
_GZIP = 16 + zlib.MAX_WBITS


class Framing(NamedTuple):
    """How a body is sent.

    Attributes:
        length: in bytes; None when the server knows where the body ends.
        packed: whether it is packed by gzip.
    """

    length: int | None
    packed: bool


def framing_of(environ: WSGIEnvironment, content_type: ContentType, limit: int) -> Framing:
    """Look at the headers, and refuse what they say enough of.

    Args:
        environ: of the request.
        content_type: its Content-Type.
        limit: bytes of a body after unpacking.

    Raises:
        Refusal: with 400, 413 or 415; nothing of the body has been read.
    """
    check_content_type(content_type)
    packed = is_packed(environ.get("HTTP_CONTENT_ENCODING"))
    length = _length(environ)
    if length is not None and length > (_packed_limit(limit) if packed else limit):
        raise _too_large(limit)
    return Framing(length, packed)


def read_body(environ: WSGIEnvironment, framing: Framing, limit: int) -> bytes:
    """Read a body, and unpack it.

    Raises:
        Refusal: with 413 as soon as more than ``limit`` bytes are there.
        Fault: Client, when the body is damaged or ends before it should.
        ConnectionError: the client is gone, or has stalled.
    """
    length, packed = framing
    pieces = _pieces(environ["wsgi.input"], length)
    return _joined(_unpacked(_capped(pieces, limit)) if packed else pieces, limit)


def _length(environ: WSGIEnvironment) -> int | None:
    """The announced length; None for a chunked body, which the server takes apart."""
    header: str = environ.get("CONTENT_LENGTH", "")
    if not header or "HTTP_TRANSFER_ENCODING" in environ:
        if environ.get("wsgi.input_terminated", False):
            return None
        if not header:
            return 0
    if not _LENGTH.match(header):
        raise Refusal(plain(400, "The Content-Length is not a number."))
    digits = header.lstrip("0")
    return int(digits or 0) if len(digits) < _LONG else 10**_LONG


def _packed_limit(limit: int) -> int:
    """Bytes that a packed body may have: what cannot be packed grows a little by trying to."""
    return limit + limit // 64 + 1024


def _too_large(limit: int) -> Refusal:
    return Refusal(plain(413, f"The request is larger than {limit} bytes."))


def _piece(stream: InputStream, size: int) -> bytes:
    """So many bytes of the body, or fewer; none at its end."""
    try:
        return stream.read(size) or b""
    except ConnectionError:
        raise
    except (BlockingIOError, TimeoutError) as error:
        # The server has waited for the next bytes long enough.
        raise ConnectionResetError(errno.ECONNRESET, "the client stalled") from error
    except Exception as error:
        # Servers have errors of their own for chunks that are none.
        raise client_fault("The request's body is damaged") from error


def _ended(missing: int) -> Fault:
    return client_fault(f"The request ends {missing} bytes before its announced length")


def _pieces(stream: InputStream, length: int | None) -> Iterator[bytes]:
    """The body as it comes in."""
    left = length
    while left is None or left > 0:
        piece = _piece(stream, PIECE if left is None else min(PIECE, left))
        if not piece:
            break
        if left is not None:
            left -= len(piece)
        yield piece
    if left:
        raise _ended(left)


def _joined(pieces: Iterable[bytes], limit: int) -> bytes:
    """All pieces in one; stops at the first byte too many."""
    found: list[bytes] = []
    size = 0
    for piece in pieces:
        size += len(piece)
        if size > limit:
            raise _too_large(limit)
        found.append(piece)
    return found[0] if len(found) == 1 else b"".join(found)


def _capped(pieces: Iterable[bytes], limit: int) -> Iterator[bytes]:
    """Packed bytes, but no more of them than a body within the limit can take."""
    left = _packed_limit(limit)
    for piece in pieces:
        left -= len(piece)
        if left < 0:
            raise _too_large(limit)
        yield piece


def _unpacked(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Unpack piece by piece, never more at once than `PIECE` bytes."""
    unpacker = None
    members = 0
    for piece in pieces:
        packed = piece
        while True:
            if unpacker is None or unpacker.eof:
                members += 1
                if members > MAX_MEMBERS:
                    raise client_fault(f"The packed body has more than {MAX_MEMBERS} parts")
                unpacker = zlib.decompressobj(_GZIP)
            try:
                data = unpacker.decompress(packed, PIECE)
            except zlib.error as error:
                raise client_fault("The body is not what its Content-Encoding gzip says") from error
            yield data
            packed = unpacker.unused_data if unpacker.eof else unpacker.unconsumed_tail
            # A full piece may have left something behind that needs no more input.
            if not packed and (unpacker.eof or len(data) < PIECE):
                break
    if unpacker is not None and not unpacker.eof:
        raise client_fault("The packed body ends too early")
