"""What an operation of the domain is given: a way to the database, and where to note problems."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sipxconfig_soap.connections import link_of
from sipxconfig_soap.prepared import run

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import sqlalchemy as sa

    from sipxconfig_soap.db import Session
    from sipxconfig_soap.domain.rules import Rules
    from sipxconfig_soap.errors import Problems
    from sipxconfig_soap.prepared import Prepared, Step


@dataclass(slots=True)
class Query:
    """A reading operation in progress.

    Attributes:
        session: the request's hold on the database.
        rules: the configured part of the rules.
        problems: what is wrong with the request so far.
    """

    session: Session
    rules: Rules
    problems: Problems


@dataclass(slots=True)
class Work:
    """A changing operation in progress, inside its transaction.

    Attributes:
        _transaction: the connection, in the transaction of the call.
        rules: the configured part of the rules.
        problems: what is wrong with the request so far; the caller commits only without any.
        touched: names of the entities that were changed, for the audit log.
    """

    _transaction: sa.Connection
    rules: Rules
    problems: Problems
    touched: list[str] = field(default_factory=list)
    _waiting: list[Step] = field(default_factory=list)

    def execute(self, statement: sa.Executable, parameters: Any = None) -> sa.CursorResult[Any]:
        """Run a statement in the transaction."""
        return self.connection.execute(statement, parameters)

    @property
    def connection(self) -> sa.Connection:
        """The connection of the transaction; nothing waits to be run on it.

        Not to be kept: what is put off after this would be overtaken.
        """
        self.flush()
        return self._transaction

    def fetch(self, prepared: Prepared, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """Run what waits and then a prepared statement, and return its rows."""
        steps, self._waiting = self._waiting, []
        return run(link_of(self._transaction), *steps, prepared.with_values(values))

    def later(self, step: Step) -> None:
        """Run a prepared statement together with the next one, or at the end at the latest.

        For what brings no rows: every round trip saved is time saved.
        """
        self._waiting.append(step)

    def flush(self) -> None:
        """Run what waits to be run."""
        if self._waiting:
            steps, self._waiting = self._waiting, []
            run(link_of(self._transaction), *steps)

    def touch(self, names: Iterable[str]) -> None:
        """Note the names of changed entities for the audit log."""
        self.touched.extend(names)
