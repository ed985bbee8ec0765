"""Java properties, as ``java.util.Properties.load`` describes how they are read."""

from __future__ import annotations

import re

from tests.profile_parsers import once

_ESCAPES = {"t": "\t", "n": "\n", "r": "\r", "f": "\f"}
_ESCAPE = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|(.))", re.DOTALL)
_KEY = re.compile(r"((?:\\.|[^\\:= \t\f])*)[ \t\f]*[:=]?[ \t\f]*", re.DOTALL)


def properties(content: bytes) -> dict[str, str]:
    """Keys and values of logical lines."""
    pairs = []
    for line in _logical_lines(content.decode("iso-8859-1")):
        key = _KEY.match(line)
        assert key is not None
        pairs.append((_unescape(key[1]), _unescape(line[key.end() :])))
    return once(pairs)


def _logical_lines(text: str) -> list[str]:
    found: list[str] = []
    going_on = False
    for raw in re.split(r"\r\n|\r|\n", text):
        line = raw.lstrip(" \t\f")
        if not going_on and (not line or line[0] in "#!"):
            continue
        backslashes = len(line) - len(line.rstrip("\\"))
        ends = backslashes % 2 == 0
        part = line if ends else line[:-1]
        if going_on:
            found[-1] += part
        else:
            found.append(part)
        going_on = not ends
    return found


def _unescape(text: str) -> str:
    def plain(found: re.Match[str]) -> str:
        if found[1]:
            return chr(int(found[1], 16))
        return _ESCAPES.get(found[2], found[2])

    units = _ESCAPE.sub(plain, text)
    return units.encode("utf-16-be", "surrogatepass").decode("utf-16-be")
