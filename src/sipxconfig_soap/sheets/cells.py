"""What a cell of a CSV file says, whatever a spreadsheet made of it (docs/migration.md)."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

from sipxconfig_soap.values import NOT_XML

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

# The wide ones are what the others become in Japanese input.
_BEGINNINGS = r"[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]"
_COMPUTED = re.compile(f"'*{_BEGINNINGS}")
_PROTECTED = re.compile(f"'+{_BEGINNINGS}")
_AS_TEXT = re.compile(r'="([^"]*)"')
_MEMBER = re.compile(r'[\s,]*(?:"((?:[^"]|"")*)"|([^\s,"]+))(?=[\s,]|\Z)', re.ASCII)
_SPOILT = (
    (
        re.compile(r"\d+(?:[.,]\d+)?[Ee]\+\d+", re.ASCII),
        "looks like a number that a spreadsheet rounded",
    ),
    # Libraries for tables do this to columns in which some cells are empty.
    (re.compile(r"\d+\.0", re.ASCII), "looks like a number that a script made a fraction"),
    (
        re.compile(r"#(?:NAME\?|REF!|VALUE!|N/A|DIV/0!|NUM!|NULL!|SPILL!)"),
        "looks like an error that a spreadsheet wrote",
    ),
)
_DIGITS = re.compile(r"\d+", re.ASCII)

ENOUGH_NUMBERS = 5
"""Numbers that a column must have before one of them can look too short."""

MOST = 0.8
"""The part of them that must have the same number of digits."""


def protected(text: str) -> str:
    """A text as it is written, so that no spreadsheet takes it for a formula.

    What begins with ``= + - @``, also wide ones, a tab or a line end gets an apostrophe in front,
    and so does what looks like that already; `plain` takes one back.
    """
    return f"'{text}" if _COMPUTED.match(text) else text


def plain(cell: str) -> str:
    """The text that a cell stands for: see `protected`; ``="0201"`` is a habit that keeps zeros."""
    if _PROTECTED.match(cell):
        return cell[1:]
    as_text = _AS_TEXT.fullmatch(cell)
    return as_text.group(1) if as_text else cell


def is_unreadable(text: str) -> bool:
    """Whether a text has characters that no answer could show, as XML has no way to write them."""
    return NOT_XML.search(text) is not None


def joined(members: Iterable[str]) -> str:
    """Names as one text: separated by spaces, in double quotes where that is needed."""
    return " ".join(
        '"{}"'.format(name.replace('"', '""')) if re.search(r'[\s,"]', name) else name
        for name in members
    )


def split(text: str) -> list[str]:
    """The names of a text: separated by white space or commas; see `joined`.

    Raises:
        ValueError: a double quote is not closed, or stands inside a name.
    """
    members, position = [], 0
    while found := _MEMBER.match(text, position):
        quoted, bare = found.groups()
        members.append(bare if quoted is None else quoted.replace('""', '"'))
        position = found.end()
    if text[position:].strip(", \t\r\n"):
        raise ValueError(text)
    return members


def spoilt(text: str) -> str | None:
    """What a text looks like that a program has probably made of another one.

    Returns:
        The rest of a sentence about it, or None.
    """
    return next((words for pattern, words in _SPOILT if pattern.fullmatch(text)), None)


def too_short(column: Sequence[str]) -> dict[int, int]:
    """Which numbers of a column seem to have lost zeros in front, and the digits most others have.

    None do where any number has a zero in front: then no spreadsheet has taken them.
    """
    numbers = {index: text for index, text in enumerate(column) if _DIGITS.fullmatch(text)}
    if len(numbers) < ENOUGH_NUMBERS or any(text.startswith("0") for text in numbers.values()):
        return {}
    usual, count = Counter(map(len, numbers.values())).most_common(1)[0]
    if count < MOST * len(numbers):
        return {}
    return {index: usual for index, text in numbers.items() if len(text) < usual}
