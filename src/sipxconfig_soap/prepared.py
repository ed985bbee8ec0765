"""Statements that are compiled once for a process and planned once for each connection.

psycopg2 has no prepared statements of its own, so they are made by ``PREPARE`` and ``EXECUTE``;
several can be sent at once, in one round trip (docs/adr/0006-prepared-readings.md).
"""

from __future__ import annotations

import time
from itertools import chain, count
from typing import TYPE_CHECKING, Any

from psycopg2.errors import FeatureNotSupported, InvalidSqlStatementName
from psycopg2.extensions import AsIs
from sqlalchemy.dialects import postgresql

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import sqlalchemy as sa

SHORT = 500
"""Rows up to which an answer is fetched in one piece, and that a longer one fetches at a time."""


class Link:
    """A connection of psycopg2, and which statements are prepared on it.

    Attributes:
        driver: the connection.
        made: when, in seconds that only go forward.
        prepared: names of statements.
        sound: whether what is prepared is of use; else the connection is not kept.
    """

    __slots__ = ("driver", "made", "prepared", "sound")

    def __init__(self, driver: Any) -> None:
        self.driver = driver
        self.made = time.monotonic()
        self.prepared: set[str] = set()
        self.sound = True


class Sql:
    """A statement as psycopg2 takes it, with ``%(name)s`` for each parameter.

    Attributes:
        text: the statement.
        parameters: names of those that differ from call to call.
        constants: the others.
    """

    def __init__(self, statement: sa.ClauseElement, columns: Sequence[str] = ()) -> None:
        compiled: Any = statement.compile(
            dialect=postgresql.dialect(),  # type: ignore[no-untyped-call]
            column_keys=list(columns) or None,
        )
        self.parameters = tuple(name for name, bind in compiled.binds.items() if bind.required)
        self.constants = {
            name: bind.value for name, bind in compiled.binds.items() if not bind.required
        }
        # Where there is nothing to fill in, psycopg2 takes every % as it is.
        self.text = str(compiled) if compiled.binds else str(compiled).replace("%%", "%")

    def run(self, cursor: Any, values: Mapping[str, Any]) -> None:
        """Run it as it is.

        Args:
            cursor: of psycopg2.
            values: of the parameters.
        """
        cursor.execute(self.text, {**self.constants, **values} or None)


class Prepared:
    """A statement with named parameters for what differs from call to call.

    Args:
        statement: reads or changes something.
        columns: of an INSERT that are parameters, by their names.

    Attributes:
        name: of the statement on a connection.
        execute: runs it, with ``%s`` for each parameter.
    """

    _numbers = count(1)

    def __init__(self, statement: sa.ClauseElement, columns: Sequence[str] = ()) -> None:
        self._sql = Sql(statement, columns)
        self.name = f"prepared_{next(self._numbers)}"
        marks = ", ".join(["%s"] * len(self._sql.parameters))
        self.execute = f"EXECUTE {self.name} ({marks})" if marks else f"EXECUTE {self.name}"

    def with_values(self, values: Mapping[str, Any]) -> Step:
        """The statement with its parameters, ready to be run."""
        return self, tuple(map(values.__getitem__, self._sql.parameters))

    def prepare(self, cursor: Any) -> None:
        """Have the statement planned on the cursor's connection."""
        marks = {name: AsIs(f"${n}") for n, name in enumerate(self._sql.parameters, 1)}
        text: bytes = cursor.mogrify(self._sql.text, {**self._sql.constants, **marks} or None)
        cursor.execute(f"PREPARE {self.name} AS ".encode() + text)


OUTDATED = (FeatureNotSupported, InvalidSqlStatementName)
"""Errors of plans that are of no use: a type has changed since, or somebody has dropped them."""


Step = tuple[Prepared, tuple[Any, ...]]
"""A prepared statement and its arguments, in the statement's order."""


def run(link: Link, *steps: Step) -> list[tuple[Any, ...]]:
    """Run statements in one round trip; returns the rows of the last one, if it has any.

    Args:
        link: to the database.
        steps: in their order; the first that fails ends it.
    """
    cursor = link.driver.cursor()
    try:
        for prepared, _ in steps:
            if prepared.name not in link.prepared:
                prepared.prepare(cursor)
                link.prepared.add(prepared.name)
        if len(steps) == 1:
            prepared, arguments = steps[0]
            cursor.execute(prepared.execute, arguments)
        else:
            texts = [prepared.execute for prepared, _ in steps]
            cursor.execute(";".join(texts), list(chain.from_iterable([each for _, each in steps])))
    except OUTDATED:
        link.sound = False
        raise
    rows: list[tuple[Any, ...]] = [] if cursor.description is None else cursor.fetchall()
    return rows


def inserting(table: sa.Table) -> Prepared:
    """Stores a new row and returns its id; all other columns are parameters."""
    columns = [column.name for column in table.c if column is not table.c.id]
    return Prepared(table.insert().inline().returning(table.c.id), columns)


class Reading:
    """A reading statement for an answer of any length.

    Short answers come in one piece from a prepared statement. What turns out longer is read again
    from a server-side cursor, in one snapshot and in bounded memory; the next time it is read so
    from the start, until it is short again.

    Args:
        statement: with named parameters for what differs from call to call.
        unique: whether it has one row at most.
    """

    def __init__(self, statement: sa.Select[Any], *, unique: bool = False) -> None:
        self.short = Prepared(statement if unique else statement.limit(SHORT + 1))
        self.long = Sql(statement)
        self.is_long = False
        """What it was the last time: a guess, on which only the time depends."""
