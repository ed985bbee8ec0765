"""From the bytes of a request to UTF-8, in whatever charset they came (wire.md §3)."""

from __future__ import annotations

import re
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from encodings import normalize_encoding
from encodings.aliases import aliases

from sipxconfig_soap.soap.faults import client_fault

MALFORMED = "The request is not well-formed XML: "
"""How the sentence of a fault begins for what is no XML."""

_SUPPORTED = "UTF-8, UTF-16, ISO-8859-1, ISO-8859-15, windows-1252 or US-ASCII"
_UTF_16 = frozenset({"utf_16", "utf_16_le", "utf_16_be"})
_CODECS = {"utf_8", "latin_1", "iso8859_15", "cp1252", "ascii"} | _UTF_16
_FURTHER_NAMES = dict.fromkeys(("latin_9", "iso885915", "csiso885915"), "iso8859_15") | (
    dict.fromkeys(("cp_1252", "x_cp1252", "windows1252", "cswindows1252"), "cp1252")
)
"""Names in use, as they are normalised, that Python does not know."""

_NAME = re.compile(r"[A-Za-z0-9._:-]+")
_DECLARED = re.compile(
    rb"""[ \t\r\n]*<\?xml[^>]{0,200}?\sencoding\s*=\s*["']([A-Za-z0-9._:-]+)["']"""
)
_WIDE = re.compile(rb"(?:[ \t\r\n]\0)*<\0|(?:\0[ \t\r\n])*\0<")
"""How a document in UTF-16 without a mark begins."""

_PAIR = re.compile(
    rb"""(?sx)
    <!--.*?(?:-->|\Z) | <!\[CDATA\[.*?(?:\]\]>|\Z) |
    &\#(?: x0{0,9}([Dd][89ABab][0-9A-Fa-f]{2})
         | 0{0,9}(55(?:29[6-9]|[3-9][0-9]{2})|56(?:[0-2][0-9]{2}|3[01][0-9])) );
    &\#(?: x0{0,9}([Dd][C-Fc-f][0-9A-Fa-f]{2})
         | 0{0,9}(56(?:3[2-9][0-9]|[4-9][0-9]{2})|57(?:[0-2][0-9]{2}|3(?:[0-3][0-9]|4[0-3]))) );
    """
)
"""References to a surrogate and to its other half, where references count."""


def in_utf8(body: bytes, charset: str | None) -> bytes:
    """Decode whatever is not in UTF-8; what is, the parser checks.

    White space around the document is taken off, since templates begin with a line end. Two
    references that are a surrogate pair become the character that they mean: Axis 1.4 writes
    characters beyond the BMP so.

    Args:
        body: the bytes, unpacked.
        charset: of the Content-Type header, if it names one.

    Raises:
        Fault: Client, for a charset that is not known and for bytes that it does not define.
    """
    text = _decoded(body, charset).removeprefix(BOM_UTF8).strip(b" \t\r\n")
    return _PAIR.sub(_one_character, text) if b"&#" in text else text


def _decoded(body: bytes, charset: str | None) -> bytes:
    marked = body.startswith((BOM_UTF16_LE, BOM_UTF16_BE))
    declared = None if charset else _DECLARED.match(body)
    name = charset or (declared[1].decode() if declared else "utf-8")
    if body.startswith(BOM_UTF8):
        name = "utf-8"
    elif marked or (not charset and _WIDE.match(body)):
        name = "utf-16"
    codec = _codec(name)
    if codec is None:
        called = f" '{name[:40]}'" if name.isprintable() else ""
        raise client_fault(f"The charset{called} is not supported: use {_SUPPORTED}")
    if declared and codec in _UTF_16:
        # A declaration that can be read byte by byte is not in UTF-16, whatever it says: .NET's
        # StringWriter writes it over what is sent in UTF-8.
        codec = "utf_8"
    if codec == "utf_16" and not marked and _WIDE.match(body):
        codec = "utf_16_be" if body.startswith(b"\0") else "utf_16_le"
    try:
        return body if codec == "utf_8" else body.decode(codec).encode()
    except UnicodeDecodeError as error:
        raise client_fault(f"{MALFORMED}byte {error.start + 1} is not {name}") from None


def _codec(name: str) -> str | None:
    """Python's name of a charset; None for one that is not taken."""
    if name.lower() == "utf-8":
        return "utf_8"
    # Normalising drops what cannot stand in a name, and must not make a known one of an unknown.
    known = normalize_encoding(name).lower() if _NAME.fullmatch(name) else ""
    # `codecs.lookup` keeps every name that it is asked for.
    codec = aliases.get(known) or _FURTHER_NAMES.get(known, known)
    return codec if codec in _CODECS else None


def _one_character(found: re.Match[bytes]) -> bytes:
    """What stands for a pair of references; comments and CDATA stay as they are."""
    if found[0].startswith(b"<"):
        return found[0]
    high, low = (
        int(found[place], 16) if found[place] else int(found[place + 1]) for place in (1, 3)
    )
    return chr(0x10000 + ((high & 0x3FF) << 10) + (low & 0x3FF)).encode()
