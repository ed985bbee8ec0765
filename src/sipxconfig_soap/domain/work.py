"""What an operation of the domain is given: a way to the database, and where to note problems."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    import sqlalchemy as sa

    from sipxconfig_soap.domain.rules import Rules
    from sipxconfig_soap.errors import Problems


@dataclass(slots=True)
class Query:
    """A reading operation in progress.

    Attributes:
        connection: of the request, in autocommit.
        rules: the configured part of the rules.
        problems: what is wrong with the request so far.
    """

    connection: sa.Connection
    rules: Rules
    problems: Problems


@dataclass(slots=True)
class Work:
    """A changing operation in progress, inside its transaction.

    Attributes:
        connection: in the transaction of the call.
        rules: the configured part of the rules.
        problems: what is wrong with the request so far; the caller commits only without any.
        touched: names of the entities that were changed, for the audit log.
    """

    connection: sa.Connection
    rules: Rules
    problems: Problems
    touched: list[str] = field(default_factory=list)

    def execute(self, statement: sa.Executable, parameters: Any = None) -> sa.CursorResult[Any]:
        """Run a statement in the transaction."""
        return self.connection.execute(statement, parameters)

    def touch(self, names: Iterable[str]) -> None:
        """Note the names of changed entities for the audit log."""
        self.touched.extend(names)
