"""What the headers say about a request's body, and what of it is taken (wire.md §3)."""

from __future__ import annotations

import re
from typing import NamedTuple

from sipxconfig_soap.web.responses import Refusal, plain

SOAP12_TYPE = "application/soap+xml"

_TYPES = frozenset(
    {
        "",
        "text/xml",
        "application/xml",
        SOAP12_TYPE,
        # What curl sends unasked; read as XML like the others.
        "application/x-www-form-urlencoded",
    }
)
_OTHER_XML = re.compile(r"(?!multipart/)[^/]+/.+\+xml", re.DOTALL)
# Werkzeug's parser wants no blanks around "=", and takes the last charset where two are given.
_PARAMETER = re.compile(r';\s*([^\s=;"]+)\s*=\s*("(?:[^"\\]|\\.)*"|[^;]*)')
_CODINGS = {(): False, ("gzip",): True, ("x-gzip",): True}


class ContentType(NamedTuple):
    """A Content-Type header.

    Attributes:
        media_type: in lower case, without parameters; ``""`` for none.
        charset: None when it names none.
        accepted: whether a body of this type is read.
    """

    media_type: str
    charset: str | None
    accepted: bool


def read_content_type(header: str) -> ContentType:
    """Read the header; parameters that cannot be read are passed over."""
    media_type, semicolon, rest = header.partition(";")
    charset = None
    for name, value in _PARAMETER.findall(semicolon + rest):
        if name.lower() == "charset" and charset is None:
            charset = value.strip().strip("\"'").strip() or None
    media_type = media_type.strip().lower()
    accepted = media_type in _TYPES or _OTHER_XML.fullmatch(media_type) is not None
    return ContentType(media_type, charset, accepted)


def check_content_type(content_type: ContentType) -> None:
    """Refuse what is no XML.

    Raises:
        Refusal: with 415.
    """
    if not content_type.accepted:
        raise Refusal(plain(415, "Send a SOAP envelope as text/xml or application/soap+xml."))


def is_packed(header: str | None) -> bool:
    """Whether a body is packed by gzip, according to its Content-Encoding.

    Raises:
        Refusal: with 415 for any other coding.
    """
    if header is None:
        return False
    named = (each.strip().lower() for each in header.split(","))
    packed = _CODINGS.get(tuple(each for each in named if each not in ("", "identity")))
    if packed is None:
        sentence = "The only Content-Encoding that is understood is gzip."
        raise Refusal(plain(415, sentence, [("Accept-Encoding", "gzip")]))
    return packed
