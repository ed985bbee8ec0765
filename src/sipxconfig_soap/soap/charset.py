"""In which of the charsets of wire.md §3 a request is written."""

from __future__ import annotations

import codecs
import re
from encodings import normalize_encoding
from encodings.aliases import aliases
from functools import lru_cache

from sipxconfig_soap.soap.faults import client_fault

_SUPPORTED = {
    "utf_8": "UTF-8",
    "latin_1": "ISO-8859-1",
    "ascii": "US-ASCII",
    "utf_16": "UTF-16",
    "utf_16_le": "UTF-16LE",
    "utf_16_be": "UTF-16BE",
}
"""What expat calls the charsets, by Python's names."""

_BEGINNINGS = (
    (codecs.BOM_UTF8, "UTF-8"),
    (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
    (b"<\x00", "UTF-16LE"),
    (b"\x00<", "UTF-16BE"),
)
"""Byte order marks, and what UTF-16 without one begins with."""

_NAME = re.compile(r"[A-Za-z0-9._:-]+")
_DECLARED = re.compile(rb"""<\?xml[^>]*?\sencoding\s*=\s*["']([A-Za-z0-9._:-]+)["']""")


def encoding_of(body: bytes, charset: str | None) -> str:
    """Expat's name of a request's charset: of its header, else as its first bytes tell, else UTF-8.

    Args:
        body: the request, unpacked.
        charset: what its Content-Type header says, if anything.

    Raises:
        Fault: Client, when the charset is unknown.
    """
    if charset:
        return _supported(charset)
    for beginning, encoding in _BEGINNINGS:
        if body.startswith(beginning):
            return encoding
    declared = _DECLARED.match(body[:200])
    return _supported(declared.group(1).decode("ascii")) if declared else "UTF-8"


@lru_cache(maxsize=64)
def _supported(name: str) -> str:
    """Translate a charset's name, of which there are many for each; refuse an unknown one.

    The table of names is looked into directly: `codecs.lookup` keeps every name it is asked for.
    """
    # Normalising drops what cannot stand in a name, and must not make a known one of an unknown.
    known = normalize_encoding(name).lower() if _NAME.fullmatch(name) else ""
    encoding = _SUPPORTED.get(aliases.get(known, known))
    if encoding is None:
        called = f" '{name[:40]}'" if name.isprintable() else ""
        raise client_fault(
            f"The charset{called} is not supported: use UTF-8, ISO-8859-1, US-ASCII or UTF-16"
        )
    return encoding
