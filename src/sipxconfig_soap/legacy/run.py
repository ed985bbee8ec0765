"""What the modules of an import are given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from sipxconfig_soap.domain.work import Work
from sipxconfig_soap.errors import Problems, is_secret
from sipxconfig_soap.values import NOT_XML

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    import sqlalchemy as sa

    from sipxconfig_soap.domain.properties import Given
    from sipxconfig_soap.domain.rules import Rules
    from sipxconfig_soap.legacy.source import Domain, Source
    from sipxconfig_soap.legacy.staging import Entry, Staging

T = TypeVar("T")


class Progress(Protocol):
    """Shows how far an import is."""

    def track(self, items: Iterable[T], what: str, total: int) -> Iterator[T]:
        """The same items; ``what`` is being done with ``total`` of them."""


@dataclass(frozen=True, slots=True)
class Run:
    """An import in progress.

    Attributes:
        source: where it reads.
        domain: of the source.
        staging: where it puts what it takes over.
        rules: the configured part of the rules.
        progress: told how far it is.
    """

    source: Source
    domain: Domain
    staging: Staging
    rules: Rules
    progress: Progress

    @property
    def realm(self) -> str:
        """What the source makes PIN tokens with."""
        return self.domain.realm or self.rules.realm

    def work(self) -> Work:
        """What rules of the domain are given, for one row."""
        return Work(self.staging.connection, self.rules, Problems())

    def read(self, kind: str, statement: sa.Select[Any]) -> Iterator[Any]:
        """The rows of a kind, counted and shown."""
        total = self.source.count(statement.order_by(None))
        self.staging.read[kind] += total
        return self.progress.track(self.source.rows(statement), f"Reading {kind}", total)

    def legible(self, entry: Entry, sent: dict[str, Any], *names: str) -> dict[str, Any]:
        """The same values, without characters that no answer could hold.

        A text loses them, a secret is lost with them: it would be another one. Either is noted.
        """
        for name in names:
            if sent[name] is not None and NOT_XML.search(sent[name]):
                kept = None if is_secret(name) else NOT_XML.sub("", sent[name])
                sentence = f"{name} has characters that XML cannot hold. They are left out."
                self.staging.change(entry, "illegible", name, sentence)
                sent = sent | {name: kept}
        return sent

    def note_trimmed(self, entry: Entry, kept: Mapping[Given, str]) -> None:
        """Note the names that lose white space at their ends: by these they are found.

        Args:
            entry: the row.
            kept: what becomes of each name, by where it stands and how it is written.
        """
        for (field, text), name in kept.items():
            if name != text:
                sentence = f"{field} '{text}' loses the white space at its ends."
                self.staging.change(entry, "trimmed", field, sentence)

    def accepts(self, entry: Entry, problems: Problems, needed: Collection[str]) -> bool:
        """Note what is wrong with a row, and say whether it is taken over.

        Args:
            entry: the row.
            problems: of the row.
            needed: fields without which it is refused; another one is left out.
        """
        vital = [each for each in problems.found if each.field in needed]
        for problem in vital:
            self.staging.refuse(entry, problem)
        for problem in problems.found if not vital else ():
            self.staging.leave_out(entry, problem)
        return not vital
