"""What imports of users and of phones share: one transaction, one report (docs/migration.md)."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from itertools import chain, islice, pairwise
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeVar

from sipxconfig_soap import errors, table_statistics
from sipxconfig_soap.domain import audit
from sipxconfig_soap.domain.properties import Names
from sipxconfig_soap.domain.work import Work
from sipxconfig_soap.errors import Problems
from sipxconfig_soap.sheets import cells
from sipxconfig_soap.sheets.files import Finding

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    import sqlalchemy as sa

    from sipxconfig_soap.db import Database
    from sipxconfig_soap.domain.grouping import Grouping
    from sipxconfig_soap.domain.rules import Rules
    from sipxconfig_soap.sheets.columns import Column
    from sipxconfig_soap.sheets.files import Row, Sheet
    from sipxconfig_soap.transactions import Receipt

T = TypeVar("T")

BATCH = 200
"""Users or phones that are looked up, and PINs that are hashed, at a time."""

MANY = 500
"""New users or phones after which PostgreSQL is to look at their tables at once."""

GROUPS = Names("groups")

GONE = "is of something that was deleted or renamed meanwhile: start again"
"""What is said of a row whose user or phone was there a moment ago."""

_INDEX = re.compile(r"\[\d+\]$")


@dataclass
class Report:
    """What an import did, or would do.

    Attributes:
        added: how many were not there before.
        changed: how many were, and are different now.
        unchanged: how many are as the file says.
        warnings: what is probably not as meant.
        refusals: what is wrong, and keeps everything from being done.
    """

    added: int = 0
    changed: int = 0
    unchanged: int = 0
    warnings: list[Finding] = field(default_factory=list)
    refusals: list[Finding] = field(default_factory=list)


Advance = Callable[[int], None]
"""Is told how many have just been dealt with."""

Progress = Callable[[str, int], Advance]
"""Begins to show how far something is: what is done, and with how many."""


class Terms(NamedTuple):
    """How an import is done.

    Attributes:
        rules: the configured part of the rules.
        apply: whether it is going to be kept.
    """

    rules: Rules
    apply: bool


class Importer(Protocol):
    """Imports one kind of thing, row by row, by the rules of its operations.

    Attributes:
        operation: what the audit log calls it.
        key: the column that tells things apart.
        tables: that it fills.
    """

    operation: str
    key: Column
    tables: Sequence[sa.Table]

    def prepare(self, sheet: Sheet, progress: Progress) -> None:
        """Do what takes long and needs no database, before the transaction of an import begins."""

    def carry_out(self, task: Task, sheet: Sheet, advance: Advance) -> None:
        """Do it; what is refused is noted in the task's report."""

    def finish(self, task: Task) -> None:
        """Do what follows from the changes."""


@dataclass
class Task:
    """An import in progress.

    Attributes:
        connection: in the transaction.
        rules: the configured part of the rules.
        apply: whether it is going to be kept.
        report: what was found so far.
        touched: names of what was changed.
    """

    connection: sa.Connection
    rules: Rules
    apply: bool
    report: Report = field(default_factory=Report)
    touched: list[str] = field(default_factory=list)

    def work(self) -> Work:
        """A piece of work on one row: its problems are its own."""
        return Work(self.connection, self.rules, Problems(), self.touched)

    def warn(self, row: Row, column: Column | None, sentence: str) -> None:
        """Note what is probably not as meant."""
        self.report.warnings.append(Finding(row.line, column.label if column else None, sentence))

    def refuse(
        self, row: Row, problems: Iterable[errors.Problem], labels: Mapping[str, str]
    ) -> None:
        """Note why a row is refused; ``labels`` are those of columns by field."""
        for problem in problems:
            name = _INDEX.sub("", (problem.field or "").rpartition(".")[2])
            label = labels.get(name)
            self.report.refusals.append(Finding(row.line, label, problem.sentence))


class _DryRun(Exception):
    """Takes back what was done to see what would happen."""

    def __init__(self, report: Report) -> None:
        super().__init__()
        self.report = report


def run(
    database: Database, importer: Importer, sheet: Sheet, terms: Terms, progress: Progress
) -> Report:
    """Import a file in one transaction; if anything is refused, nothing is changed.

    A dry run does the same and takes it back, so it finds what the real one would. The transaction
    holds locks, so what can be done before is done before, once, however often races are lost.

    Args:
        database: of the system.
        importer: what to import.
        sheet: the file.
        terms: how it is done.
        progress: begins to show how far it has got; again when a race was lost.
    """
    if terms.apply and not sheet.refusals:
        importer.prepare(sheet, progress)

    def attempt(connection: sa.Connection) -> tuple[Report, Receipt | None]:
        task = Task(connection, *terms)
        task.report.refusals.extend(sheet.refusals)
        importer.carry_out(task, sheet, progress("Reading rows", len(sheet.rows)))
        task.report.refusals.sort(key=lambda finding: finding.line)
        task.report.warnings.sort(key=lambda finding: finding.line)
        if not task.apply or task.report.refusals:
            raise _DryRun(task.report)
        if not task.touched:
            return task.report, None
        importer.finish(task)
        entities = list(dict.fromkeys(task.touched))
        return task.report, audit.record_local(connection, importer.operation, entities)

    try:
        report, _ = database.change(attempt, receipt=lambda attempted: attempted[1])
    except _DryRun as done:
        return done.report
    if report.added >= MANY:
        table_statistics.refresh(database, importer.tables)
    return report


def batches(things: Iterable[T]) -> Iterator[list[T]]:
    """The things, some at a time."""
    iterator = iter(things)
    while batch := list(islice(iterator, BATCH)):
        yield batch


def names_in(row: Row, column: Column, problems: Problems) -> list[str]:
    """The names that a cell lists; what cannot be read is noted and lists none."""
    text = row.get(column)
    try:
        return cells.split(text)
    except ValueError:
        reason = "has a double quote that is not closed"
        problems.add(errors.invalid_value(column.field, text, reason))
        return []


def create_groups(task: Task, grouping: Grouping, rows: Sequence[Row], column: Column) -> None:
    """Create groups so that each row lists them in the order in which they are listed later.

    That is the order of their creation (services.md §1), so what was exported looks the same in
    another system. Where rows contradict each other, the groups come as they are named first.
    """
    unheard = Problems()
    lists = [list(GROUPS.clean(names_in(row, column, unheard), unheard)) for row in rows]
    order: TopologicalSorter[str] = TopologicalSorter()
    for name in chain.from_iterable(lists):
        order.add(name)
    for names in lists:
        for earlier, later in pairwise(names):
            order.add(later, earlier)
    try:
        in_order = list(order.static_order())
    except CycleError:
        in_order = list(dict.fromkeys(chain.from_iterable(lists)))
    grouping.ensure(task.work(), in_order)


def warn_of_numbers(
    task: Task, rows: Sequence[Row], columns: Iterable[Column], numbered: Collection[Column]
) -> None:
    """Warn of numbers that a spreadsheet has probably spoilt; secret ones are not repeated.

    Args:
        task: the import.
        rows: of the file.
        columns: in which a number can be a rounded one.
        numbered: those of them in which most numbers may have the same length.
    """
    for column in columns:
        texts = [row.get(column) for row in rows]
        for index, usual in cells.too_short(texts).items() if column in numbered else ():
            shown = "The number" if column.secret else f"'{texts[index]}'"
            digits = len(texts[index])
            sentence = (
                f"{shown} has {digits} digits, most have {usual}: "
                "perhaps a spreadsheet has taken zeros in front."
            )
            task.warn(rows[index], column, sentence)
        for index, text in enumerate(texts):
            if words := cells.spoilt(text):
                shown = "The cell" if column.secret else f"'{text}'"
                task.warn(rows[index], column, f"{shown} {words}.")
