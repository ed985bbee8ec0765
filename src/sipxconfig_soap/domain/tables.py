"""The metadata that all tables share, and the few kinds of columns they are made of.

Texts compare and sort code point by code point, whatever the database's own collation is
(services.md: orders are part of the contract).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

if TYPE_CHECKING:
    from collections.abc import Sequence

TEXT_LIMIT = 255
"""Characters that a text column holds (services.md §1)."""

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def identity() -> sa.Column[int]:
    """A primary key counted up by the database, in the order of creation."""
    return sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True)


def text_type(limit: int = TEXT_LIMIT) -> sa.String:
    """A text of at most ``limit`` characters, ordered by code points."""
    return sa.String(limit, collation="C")


def text(name: str, *, nullable: bool = True, limit: int = TEXT_LIMIT) -> Any:
    """A text column."""
    return sa.Column(name, text_type(limit), nullable=nullable)


def owned_by(name: str, target: str, *, nullable: bool = False) -> sa.Column[int]:
    """A reference to an owner, with which the row goes."""
    return sa.Column(
        name, sa.BigInteger, sa.ForeignKey(target, ondelete="CASCADE"), nullable=nullable
    )


def one_of(column: str, values: tuple[str, ...], name: str) -> sa.CheckConstraint:
    """A constraint that a text is one of a few words."""
    words = ", ".join(f"'{value}'" for value in values)
    return sa.CheckConstraint(f"{column} IN ({words})", name=name)


def id_array(ids: Sequence[int]) -> sa.BindParameter[Any]:
    """Ids as one parameter, however many they are."""
    return sa.bindparam(None, list(ids), type_=sa.ARRAY(sa.BigInteger), unique=True)


def among(column: sa.ColumnElement[int], ids: Sequence[int]) -> sa.ColumnElement[bool]:
    """The condition that an id is one of these."""
    return column == sa.any_(id_array(ids))


def text_array(values: Sequence[str | None]) -> sa.BindParameter[Any]:
    """Texts as one parameter, however many they are."""
    return sa.bindparam(None, list(values), type_=sa.ARRAY(sa.Text), unique=True)


def given(name: str, kind: Any) -> sa.ColumnElement[Any]:
    """A parameter of a prepared statement that is a list of values of this type."""
    return sa.cast(sa.bindparam(name), sa.ARRAY(kind))


def each_of(array: sa.BindParameter[Any], name: str) -> sa.TableValuedColumn[Any]:
    """A column with one row for each member of an array."""
    return sa.func.unnest(array).column_valued(name)
