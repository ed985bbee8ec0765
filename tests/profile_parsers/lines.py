"""Formats of lines: a key, a separator, a value up to the end of the line, perhaps in quotes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tests.profile_parsers import once

if TYPE_CHECKING:
    from collections.abc import Iterator


def read_lines(content: bytes, first: str | None = None, comment: str | None = None) -> list[str]:
    """The lines that count, after a first one that must be there, without comments."""
    text = content.decode("utf-8")
    assert not text.startswith("\ufeff")
    assert text.endswith("\n") or not text
    # LF alone ends a line.
    found = text.split("\n")[:-1]
    if first is not None:
        assert found.pop(0) == first
    return [line for line in found if line and not (comment and line.startswith(comment))]


def separated(
    content: bytes, separator: str, *, first: str | None = None, comment: str | None = None
) -> dict[str, str]:
    """``key<separator>value``."""
    return once([_split(line, separator) for line in read_lines(content, first, comment)])


def ini(content: bytes) -> dict[str, str]:
    """``[section]`` and ``key=value``, as ``section/key``; sections stand there once."""
    section, pairs = "", []
    sections = []
    for line in read_lines(content):
        if line.startswith("["):
            assert re.fullmatch(r"\[\w+\]", line)
            section = line[1:-1]
            sections.append(section)
        else:
            key, value = _split(line, "=")
            pairs.append((f"{section}/{key}", value))
    assert len(set(sections)) == len(sections)
    return once(pairs)


def short(content: bytes) -> dict[str, str]:
    """Nortel 11xx: ``KEY value`` in lines below 80 characters."""
    assert all(len(line) < 80 for line in read_lines(content))
    return separated(content, " ", comment="#")


def voip(content: bytes) -> dict[str, str]:
    """``[VOIP]`` and ``key value``."""
    return separated(content, " ", first="[VOIP]")


def aastra(content: bytes) -> dict[str, str]:
    """``key: value``, and lines of comments that begin with ``#``."""
    return separated(content, ": ", comment="#")


def snom_m3(content: bytes) -> dict[str, str]:
    """``%KEY%:"value"``, and numbers without quotes."""
    pairs = []
    for line in read_lines(content, comment="//"):
        found = re.fullmatch(r'%([A-Z0-9_]+)%:(?:"([^"]*)"|(\d+))', line)
        assert found is not None, line
        number = re.fullmatch(r"SRV_\d_SIP_UA_DATA_SERVER_(PORT|IS_LOCAL)|CALL_GROUPS\d", found[1])
        assert (found[3] is not None) == (number is not None), line
        pairs.append((found[1], found[2] or found[3] or ""))
    return once(pairs)


def gateway(content: bytes) -> dict[str, str]:
    """AudioCodes: ``key=value``, then tables whose cells are ``table row column``."""
    lines = iter(read_lines(content, comment=";"))
    pairs: list[tuple[str, str]] = []
    for line in lines:
        if line.startswith("["):
            pairs += _table(line[1:-1], lines)
        else:
            pairs.append(_split(line, "="))
    return once(pairs)


def _table(name: str, lines: Iterator[str]) -> Iterator[tuple[str, str]]:
    form = re.fullmatch(rf"FORMAT {name}_Index = ([\w, ]+);", next(lines))
    assert form is not None
    columns = form[1].split(", ")
    for line in lines:
        if line == f"[\\{name}]":
            return
        row = re.fullmatch(rf'{name} (\d+) = ((?:"[^"]*"|\d+)(?:, (?:"[^"]*"|\d+))*);', line)
        assert row is not None, line
        cells = re.findall(r'"[^"]*"|\d+', row[2])
        for column, cell in zip(columns, cells, strict=True):
            yield f"{column} {row[1]}", cell.strip('"')
    raise AssertionError(f"{name} does not end")


def unquoted(found: dict[str, str], *bare: str) -> dict[str, str]:
    """Values without their quotes, which all but those of some keys must have."""
    return {
        key: value if re.fullmatch("|".join(bare), key) else _unquote(value)
        for key, value in found.items()
    }


def _unquote(value: str) -> str:
    assert re.fullmatch(r'"[^"]*"', value), value
    return value[1:-1]


def _split(line: str, separator: str) -> tuple[str, str]:
    key, found, value = line.partition(separator)
    assert found, line
    if not value.startswith('"'):
        # A reader takes blanks at the ends away.
        value = value.strip(" ")
    return key, value
