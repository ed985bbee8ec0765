"""Texts in base64, as SOAP::Lite sends what is not ASCII (wire.md §3)."""

from __future__ import annotations

import base64
import binascii

from sipxconfig_soap.values import NOT_XML, WHITE_SPACE

_NO_WHITE_SPACE = dict.fromkeys(map(ord, WHITE_SPACE))


def decoded(text: str) -> str:
    """The text that was encoded: in UTF-8, else in ISO-8859-1.

    Raises:
        ValueError: with what is wrong as the end of a sentence: it is no base64, or nothing that
            XML could have carried as text.
    """
    packed = text.translate(_NO_WHITE_SPACE)
    # Padding that is too much after whole groups of four is all that the library lets pass.
    if len(packed) % 4 or packed.endswith("==="):
        raise ValueError("is not base64")
    try:
        content = base64.b64decode(packed, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("is not base64") from None
    try:
        found = content.decode()
    except UnicodeDecodeError:
        found = content.decode("iso-8859-1")
    if NOT_XML.search(found):
        raise ValueError("holds, in base64, characters that XML cannot hold")
    return found
