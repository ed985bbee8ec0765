"""Searches: which entities an operation is about (services.md §1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import sqlalchemy as sa

from sipxconfig_soap import errors
from sipxconfig_soap.db import stream
from sipxconfig_soap.domain.tables import TEXT_LIMIT
from sipxconfig_soap.values import is_blank, trim

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from sipxconfig_soap.domain.work import Query
    from sipxconfig_soap.errors import Problems


class Criterion(NamedTuple):
    """The one criterion of a search that counts.

    Attributes:
        by: its name in the contract (``byGroup``); None matches every entity.
        value: what is searched; blank matches none.
    """

    by: str | None
    value: str = ""


FEW = 500
"""Rows up to which an answer is read in one piece."""

EVERYTHING = Criterion(None)
NOTHING = Criterion("", "")

VALUE = sa.bindparam("value", type_=sa.Text)
"""Stands in a condition for what is searched."""


@dataclass(frozen=True, eq=False)
class Matcher:
    """How one criterion selects entities.

    Attributes:
        condition: in SQL, with `VALUE` or other parameters.
        parameters: what the parameters are, worked out from the text that was sent.
        unique: whether it selects one entity at most.
        suits: whether this way is open to a text; None: to every one.
        otherwise: the way for those to which it is not.
    """

    condition: sa.ColumnElement[bool]
    parameters: Callable[[str], Mapping[str, Any]]
    unique: bool = False
    suits: Callable[[str], bool] | None = None
    otherwise: Matcher | None = None

    def suiting(self, value: str) -> Matcher:
        """The way to search this text."""
        if self.otherwise is None or self.suits is None or self.suits(value):
            return self
        return self.otherwise.suiting(value)

    def ways(self) -> Iterator[Matcher]:
        """This one and those that stand in for it."""
        yield self
        if self.otherwise is not None:
            yield from self.otherwise.ways()


class Condition(NamedTuple):
    """The SQL condition of a search, and its parameters."""

    where: sa.ColumnElement[bool]
    parameters: Mapping[str, Any]


_ALL = Condition(sa.true(), {})
_NONE = Condition(sa.false(), {})


def _way(
    by: str, value: str, matchers: Mapping[str, Matcher], problems: Problems
) -> Matcher | None:
    """How to search this text; None when nothing can match.

    A text longer than any that is stored is a mistake and refused as such.
    """
    if is_blank(value):
        return None
    if len(value) > TEXT_LIMIT and len(trim(value)) > TEXT_LIMIT:
        problems.add(errors.too_long(f"search.{by}", value, TEXT_LIMIT))
        return None
    return matchers[by].suiting(value)


def condition(
    criterion: Criterion, matchers: Mapping[str, Matcher], problems: Problems
) -> Condition:
    """The condition of a search; what is wrong with it is noted."""
    by, value = criterion
    if by is None:
        return _ALL
    way = _way(by, value, matchers, problems)
    return _NONE if way is None else Condition(way.condition, way.parameters(value))


def exactly(column: sa.Column[Any]) -> Matcher:
    """Matches an identifier: trimmed like those that are stored, and unique."""
    return Matcher(column == VALUE, lambda value: {"value": trim(value)}, unique=True)


def literally(column: sa.Column[Any]) -> Matcher:
    """Matches a unique text as it was sent."""
    return Matcher(column == VALUE, lambda value: {"value": value}, unique=True)


def containing(value: str) -> str:
    """The LIKE pattern of a substring in which ``%`` alone has a meaning."""
    escaped = value.replace("\\", "\\\\").replace("_", "\\_")
    return f"%{escaped}%"


class _Reading:
    """A reading statement for an answer of any length, made once.

    Small answers, nearly all, come by one prepared statement. It asks for one row more than they
    may have, and who gets that reads all of them anew, as a stream.

    Args:
        statement: with parameters for what differs from call to call.
        unique: whether it has one row at most.
    """

    def __init__(self, statement: sa.Select[Any], *, unique: bool = False) -> None:
        few = statement if unique else statement.limit(sa.literal_column(str(FEW + 1)))
        self._few = few.execution_options(prepared=True)
        self._all = statement

    def rows(self, query: Query, parameters: Mapping[str, Any]) -> Iterable[sa.Row[Any]]:
        """The rows, all from one snapshot.

        Raises:
            Unavailable: the database is away; of a stream also while it is read.
        """
        rows = query.connection.execute(self._few, parameters).all()
        if len(rows) <= FEW:
            return rows
        return stream(query.connection, self._all, parameters)


class Finder:
    """Finds entities: one statement for each way to search, made once.

    Args:
        statement: selects what is shown of every entity, in order.
        matchers: the criteria by their names in the contract.
    """

    def __init__(self, statement: sa.Select[Any], matchers: Mapping[str, Matcher]) -> None:
        self._matchers = matchers
        self._all = _Reading(statement)
        self._by = {
            way: _Reading(statement.where(way.condition), unique=way.unique)
            for matcher in matchers.values()
            for way in matcher.ways()
        }

    def rows(self, query: Query, criterion: Criterion = EVERYTHING) -> Iterable[Any]:
        """The rows of the entities that match.

        Raises:
            Refused: something is wrong with the request.
            Unavailable: the database is away.
        """
        by, value = criterion
        if by is None:
            query.problems.check()
            return self._all.rows(query, {})
        way = _way(by, value, self._matchers, query.problems)
        query.problems.check()
        if way is None:
            return ()
        return self._by[way].rows(query, way.parameters(value))
