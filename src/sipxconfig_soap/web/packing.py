"""Packs large answers by gzip for clients that accept it (wire.md §4).

A whole answer is packed whole. A streamed one is packed piece by piece as it goes, so that it still
begins early and takes no more memory than one piece and the packer's window
(docs/adr/0010-packed-answers.md).
"""

from __future__ import annotations

import re
import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sipxconfig_soap.web.responses import Response

LARGE = 8 * 1024
"""Bytes from which on a whole answer is packed.

Smaller ones fit into a few packets that leave together, so packing them would spare nobody a wait.
"""

LEVEL = 1
"""Of zlib's 1 to 9: our XML shrinks to a tenth at any, and 6 takes twice the time of 1."""

_GZIP = 16 + zlib.MAX_WBITS

_ELEMENT = re.compile(
    r"[ \t]*([!#$%&'*+.^_`|~0-9A-Za-z-]+)"
    r"(?:[ \t]*;[ \t]*[Qq]=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?))?[ \t]*"
)


def packed(response: Response, accepted: str) -> Response:
    """The same answer, made what a client should get that has sent ``Accept-Encoding``.

    Args:
        response: as it would leave without that header.
        accepted: the value of the header.
    """
    least = least_packed(accepted)
    # Only what does not fit into one piece is streamed.
    if not response.is_streamed and len(response.data) < min(LARGE, least or LARGE):
        return response
    response.headers["Vary"] = "Accept-Encoding"
    if least is None:
        return response
    response.headers["Content-Encoding"] = "gzip"
    if response.is_streamed:
        response.response = _pieces(response.iter_encoded())
    else:
        response.data = zlib.compress(response.data, LEVEL, _GZIP)
    return response


def least_packed(accepted: str) -> int | None:
    """The bytes from which on answers are packed for a client with this ``Accept-Encoding``.

    It is 1 for who refuses unpacked answers, and None, meaning never, for who does not accept gzip,
    prefers unpacked answers, or has sent what RFC 9110 §12.5.3 does not allow; Werkzeug's parser
    makes sense of much of that, and takes ``*`` for gzip even where gzip is refused by name.
    """
    weights: dict[str, float] = {}
    for element in accepted.split(","):
        if not element.strip(" \t"):
            continue
        found = _ELEMENT.fullmatch(element)
        if found is None:
            return None
        coding = found[1].lower()
        coding = "gzip" if coding == "x-gzip" else coding
        weight = 1.0 if found[2] is None else float(found[2])
        # Named twice, the more reluctant one counts.
        weights[coding] = min(weight, weights.get(coding, 1.0))
    others = weights.get("*")
    gzip = weights.get("gzip", others)
    identity = weights.get("identity", others)
    if not gzip or gzip < (identity or 0):
        return None
    return 1 if identity == 0 else LARGE


def _pieces(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Pack an answer as it comes.

    The first piece leaves at once; of the others zlib sends what it has whenever its buffer is
    full, since emptying it after each one would take more bytes.
    """
    packer = zlib.compressobj(LEVEL, zlib.DEFLATED, _GZIP)
    begun = False
    for piece in pieces:
        data = packer.compress(piece)
        if not begun:
            begun = True
            data += packer.flush(zlib.Z_SYNC_FLUSH)
        if data:
            yield data
    yield packer.flush()
