"""Searches: which entities an operation is about (services.md §1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import sqlalchemy as sa

from sipxconfig_soap import errors
from sipxconfig_soap.domain.tables import TEXT_LIMIT
from sipxconfig_soap.values import is_blank, trim

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sipxconfig_soap.errors import Problems

    Matcher = Callable[[str], sa.ColumnElement[bool]]


class Criterion(NamedTuple):
    """The one criterion of a search that counts.

    Attributes:
        by: its name in the contract (``byGroup``); None matches every entity.
        value: what is searched; blank matches none.
    """

    by: str | None
    value: str = ""


EVERYTHING = Criterion(None)
NOTHING = Criterion("", "")


def condition(
    criterion: Criterion, matchers: Mapping[str, Matcher], problems: Problems
) -> sa.ColumnElement[bool]:
    """The SQL condition of a search.

    A text longer than any that is stored is a mistake and refused as such.
    """
    by, value = criterion
    if by is None:
        return sa.true()
    if is_blank(value):
        return sa.false()
    if len(trim(value)) > TEXT_LIMIT:
        problems.add(errors.too_long(f"search.{by}", value, TEXT_LIMIT))
        return sa.false()
    return matchers[by](value)


def exactly(column: sa.Column[Any]) -> Matcher:
    """Matches an identifier: trimmed like those that are stored."""
    return lambda value: column == trim(value)


def literally(column: sa.Column[Any]) -> Matcher:
    """Matches a text as it was sent."""
    return lambda value: column == value


def containing(value: str) -> str:
    """The LIKE pattern of a substring in which ``%`` alone has a meaning."""
    escaped = value.replace("\\", "\\\\").replace("_", "\\_")
    return f"%{escaped}%"
