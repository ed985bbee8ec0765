"""Finding substrings by an index, without an extension of PostgreSQL.

The index holds every three characters in a row, the grams, of what can be found. A text that
contains another one has all its grams, so the index leads to few rows, and LIKE decides about
those (docs/adr/0009-substrings-by-grams.md). Characters are code points here as in PostgreSQL.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

if TYPE_CHECKING:
    from collections.abc import Sequence

LENGTH = 3
"""Characters of a gram; the function in the database has the same number."""

GRAMS = sa.bindparam("grams", type_=postgresql.ARRAY(sa.Text))
"""Stands in a condition for the grams of what is searched, of which there must be one at least.

The index finds rows without any gram by reading the whole of it.
"""


STORAGE = {"fastupdate": "on", "gin_pending_list_limit": "64"}
"""New entries wait in a list of 64 kB at most, which every search reads.

A user's names have some forty grams. Entering them one by one would take PostgreSQL longer than the
rest of inserting the names.
"""


def grams_of(folded: str) -> list[str]:
    """The grams that every text has in which a folded needle is found (services.md §3).

    ``%`` is a wildcard. A needle none of whose segments between wildcards has three characters has
    no grams.
    """
    segments = folded.split("%")
    return sorted(
        {
            segment[start : start + LENGTH]
            for segment in segments
            for start in range(len(segment) - LENGTH + 1)
        }
    )


def of_columns(columns: Sequence[sa.Column[Any]]) -> sa.Function[Any]:
    """The grams of all texts in three columns, as the index has them; nulls have none."""
    return sa.func.name_grams(*columns, type_=postgresql.ARRAY(sa.Text))


def index(name: str, columns: Sequence[sa.Column[Any]], where: sa.ColumnElement[bool]) -> sa.Index:
    """The index of these columns' grams over the rows that meet a condition."""
    return sa.Index(
        name,
        of_columns(columns),
        postgresql_using="gin",
        postgresql_where=where,
        postgresql_with=STORAGE,
    )
