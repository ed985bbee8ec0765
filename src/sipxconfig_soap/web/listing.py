"""What the lists among the pages have in common: filters, and pieces (wire.md §8)."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from sipxconfig_soap.domain.tables import TEXT_LIMIT
from sipxconfig_soap.errors import VALUE_LIMIT
from sipxconfig_soap.values import has_control, trim

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from sipxconfig_soap.web.fields import Fields

PIECE = 50
"""Rows of a list that a page shows."""

NUMBER = re.compile(r"[0-9]{1,18}")
"""What a row may be called by."""


class Listing:
    """Reads what a list is to show.

    Attributes:
        given: the filters, as they were filled in.
        problems: a sentence for each filter that cannot be, by its name.
        nothing: whether a filter is possible and nothing can match it.
        before: the id that older rows are asked for with; None for the newest.
    """

    def __init__(self, query: Fields) -> None:
        self._query = query
        self.given: dict[str, str] = {}
        self.problems: dict[str, str] = {}
        self.nothing = False
        self.before = self.number("before")

    @property
    def status(self) -> int:
        """Of the answer."""
        return 400 if self.problems else 200

    def text(self, name: str) -> str | None:
        """A text to be compared; None for any."""
        value = self._value(name)
        # The database has nothing of the kind, and is not asked.
        self.nothing = self.nothing or len(value) > TEXT_LIMIT or has_control(value)
        return value or None

    def one_of(self, name: str, words: Collection[str]) -> str | None:
        """One of some words; None for any."""
        value = self._value(name)
        if value and value not in words:
            self._refuse(name, value, f"is none of {', '.join(words)}")
        return value or None

    def moment(self, name: str) -> datetime | None:
        """A time, in UTC if it does not say; None for any."""
        value = self._value(name)
        try:
            found = datetime.fromisoformat(value) if value else None
            if found is not None and found.tzinfo is None:
                found = found.replace(tzinfo=UTC)
            return found and found.astimezone(UTC)
        except (OverflowError, ValueError):
            self._refuse(name, value, "is no time like 2026-01-31T08:00")
            return None

    def number(self, name: str) -> int | None:
        """A number that a link of ours has; not one of the filters. None for none."""
        value = self._query.get(name, "")
        if not value:
            return None
        if NUMBER.fullmatch(value) is None:
            self._refuse(name, value, "is not a number")
            return None
        return int(value)

    def older(self, rows: Sequence[Any]) -> str | None:
        """The query of the next piece; None when these rows, one more than shown, are all."""
        if len(rows) <= PIECE:
            return None
        chosen = {name: value for name, value in self.given.items() if value}
        return urlencode({**chosen, "before": rows[PIECE - 1].id})

    def _value(self, name: str) -> str:
        self.given[name] = trim(self._query.get(name, ""))
        return self.given[name]

    def _refuse(self, name: str, value: str, reason: str) -> None:
        self.problems[name] = f"{name} '{value[:VALUE_LIMIT]}' {reason}."
