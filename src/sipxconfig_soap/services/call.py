"""One call of an operation: its transaction, its audit entry, and what the rules are given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import structlog

from sipxconfig_soap import incident
from sipxconfig_soap.availability import availability
from sipxconfig_soap.domain import audit
from sipxconfig_soap.domain.work import Query, Work
from sipxconfig_soap.errors import OutcomeUnknown, Problems, Refused, Unavailable
from sipxconfig_soap.transactions import change

if TYPE_CHECKING:
    from collections.abc import Sequence

    import sqlalchemy as sa

    from sipxconfig_soap.domain.rules import Rules
    from sipxconfig_soap.soap.service import Operation
    from sipxconfig_soap.transactions import Receipt

logger = structlog.stdlib.get_logger(__name__)

LOGGED_ENTITIES = 20
"""Names of entities that a log line repeats; the audit table has all."""


@dataclass(slots=True)
class Call:
    """A call on behalf of an administrator who has logged in.

    Attributes:
        connection: of the request, in autocommit.
        administrator: the userName of who calls.
        address: of the client.
        rules: the configured part of the rules.
    """

    connection: sa.Connection
    administrator: str
    address: str
    rules: Rules

    def invoke(
        self, service: str, operation: Operation, arguments: tuple[Any, ...], problems: Problems
    ) -> Any:
        """Run an operation: a reading one as it is, a changing one in one transaction.

        Raises:
            Refused: the input is refused, and nothing has been changed.
            Unavailable: the database is away, and nothing has been changed.
            OutcomeUnknown: it went away at the end of the change.
        """
        if not operation.writes:
            query = Query(self.connection, self.rules, problems)
            with availability():
                return operation.function(query, *arguments)
        try:
            touched, _ = change(
                self.connection,
                lambda connection: self._change(
                    connection, service, operation, arguments, problems
                ),
                receipt=lambda changed: changed[1],
            )
        except Refused:
            self._note_failure(service, operation, audit.REFUSED)
            raise
        except Unavailable as error:
            # There is nowhere to write it but the log.
            known = not isinstance(error, OutcomeUnknown)
            self._log(service, operation, audit.FAILED if known else "unknown")
            raise
        except Exception:
            self._note_failure(service, operation, audit.FAILED)
            raise
        self._log(service, operation, audit.DONE, touched)
        return None

    def _change(
        self,
        connection: sa.Connection,
        service: str,
        operation: Operation,
        arguments: tuple[Any, ...],
        problems: Problems,
    ) -> tuple[list[str], Receipt]:
        """Carry the change out and note it, all in one transaction; it may be run again."""
        work = Work(connection, self.rules, Problems(problems.found))
        operation.function(work, *arguments)
        work.problems.check()
        entry = self._entry(service, operation, work.touched, audit.DONE)
        return work.touched, audit.record(connection, entry)

    def _entry(
        self, service: str, operation: Operation, entities: Sequence[str], outcome: str
    ) -> audit.Entry:
        return audit.Entry(
            self.administrator, self.address, service, operation.name, entities, outcome
        )

    def _note_failure(self, service: str, operation: Operation, outcome: str) -> None:
        """Note an attempt that came to nothing; when even that fails, the log line remains."""
        self._log(service, operation, outcome)
        entry = self._entry(service, operation, (), outcome)
        try:
            change(self.connection, lambda connection: audit.record(connection, entry))
        except Unavailable:
            pass  # it has said so itself
        except Exception as error:  # noqa: BLE001 - the client is told what failed first
            incident.report(error)

    def _log(
        self, service: str, operation: Operation, outcome: str, entities: Sequence[str] = ()
    ) -> None:
        logger.info(
            "change",
            administrator=self.administrator,
            address=self.address,
            service=service,
            operation=operation.name,
            entities=entities[:LOGGED_ENTITIES],
            count=len(entities),
            outcome=outcome,
        )
