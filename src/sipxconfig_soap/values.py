"""What counts as blank, white space and a boolean, for every room of the house.

The wire reader and the domain rules both need these few definitions
(docs/spec/wire.md §3, docs/spec/services.md §1), and neither may know the other.
"""

from __future__ import annotations

import re

WHITE_SPACE = " \t\r\n"
"""Space, tab, CR and LF: all that is trimmed, and all that separates list members."""

_BOOLEANS = dict.fromkeys(("true", "t", "yes", "y", "on", "1"), True) | dict.fromkeys(
    ("false", "f", "no", "n", "off", "0"), False
)
NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
"""A character that XML cannot hold."""

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")
_CAPITAL = re.compile(r"(?<!^)([A-Z])")


def trim(text: str) -> str:
    """Return ``text`` without white space at its ends."""
    return text.strip(WHITE_SPACE)


def is_blank(text: str | None) -> bool:
    """Whether ``text`` is absent, empty or white space only."""
    return not text or not text.strip(WHITE_SPACE)


def parse_boolean(text: str) -> bool | None:
    """Read a boolean word of any case; blank is None.

    Raises:
        ValueError: the word is none of wire.md §3's.
    """
    word = trim(text).lower()
    if not word:
        return None
    try:
        return _BOOLEANS[word]
    except KeyError:
        raise ValueError(text) from None


def has_control(text: str) -> bool:
    """Whether ``text`` holds a control character (U+0000-1F, U+007F-9F)."""
    return _CONTROL.search(text) is not None


def snake_case(name: str) -> str:
    """Turn a contract name (``userName``) into its Python spelling (``user_name``)."""
    return _CAPITAL.sub(r"_\1", name).lower()


def fold(text: str) -> str:
    """The form in which texts are compared when case does not count."""
    return text.casefold()
