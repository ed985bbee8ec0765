"""Forms for operations, made from the types of the contract, and their requests (wire.md §8).

A control is called what faults call its field, so that a problem finds its place.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from sipxconfig_soap.errors import is_secret
from sipxconfig_soap.soap.envelope import escape
from sipxconfig_soap.soap.types import Message, simple_kind
from sipxconfig_soap.values import is_blank
from sipxconfig_soap.web.examples import NIL, element, example_of, request_around

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from sipxconfig_soap.errors import Problem
    from sipxconfig_soap.soap.service import Operation

MORE = "_more"
"""The button that asks for another row; its value says of what."""

EVERY, YES = "_every", "yes"
"""The box, and what it says when it is ticked: without a search, every entity."""

HIDDEN = "•••••"
"""What a page shows of a secret."""

_SEARCH = "search"
_EDITS = "edit"
_LINE_END = re.compile(r"\r\n|\r|\n")
_INDEX = re.compile(r"\[\d+\]\Z")


@dataclass(slots=True)
class Control:
    """What a person fills in for one simple element.

    Attributes:
        name: of the element.
        path: of the field, as faults call it.
        kind: ``text``, ``secret``, ``number``, ``flag``, or ``texts`` with a value on each line.
        needed: whether the type wants the element to stand.
        nillable: whether it may stand for null.
        example: a value that it could have.
        value: as it was filled in; a text without its line end is one value.
        problems: sentences about it.
        forgotten: whether a secret was filled in that the page does not repeat.
        first: whether writing begins here when the page is there.
    """

    name: str
    path: str
    kind: str
    needed: bool
    nillable: bool
    example: str
    value: str = ""
    problems: list[str] = field(default_factory=list)
    forgotten: bool = False
    first: bool = False

    @property
    def filled(self) -> bool:
        """Whether there is something in it."""
        return not is_blank(self.value) if self.kind == "texts" else self.value != ""

    def lines(self, *, hide: bool) -> Iterator[str]:
        """Its part of the request."""
        if self.filled:
            values = [self.value]
            if self.kind == "texts":
                values = [each for each in _LINE_END.split(self.value) if not is_blank(each)]
            for value in values:
                text = HIDDEN if hide and self.kind == "secret" else escape(value)
                yield f"<{self.name}>{text}</{self.name}>"
        elif self.needed:
            yield f"<{self.name}{NIL}/>" if self.nillable else f"<{self.name}></{self.name}>"

    def controls(self) -> Iterator[Control]:
        """This one."""
        yield self

    def forget(self) -> None:
        """Keep a secret out of the page that follows."""
        if self.kind == "secret" and self.value:
            self.value, self.forgotten = "", True


@dataclass(slots=True)
class Section:
    """A complex element and what is inside.

    Attributes:
        name: of the element.
        path: as faults call it.
        members: in the order of its type.
        needed: whether it is sent when nothing in it is filled in.
        every: of a search, whether every entity is meant when nothing is filled in; else None.
        problems: sentences about it as a whole.
    """

    kind: ClassVar[str] = "section"

    name: str
    path: str
    members: Sequence[Control | Section | Rows]
    needed: bool = False
    every: bool | None = None
    problems: list[str] = field(default_factory=list)

    @property
    def filled(self) -> bool:
        """Whether something in it is."""
        return any(each.filled for each in self.members)

    def lines(self, *, hide: bool) -> Iterator[str]:
        """Its part of the request."""
        if self.filled or (self.needed and self.every is None):
            yield from element(self.name, _lines(self.members, hide=hide))
        elif self.every is False:
            # One with nothing inside means nothing; to leave it out would mean everything.
            yield f"<{self.name}/>"

    def controls(self) -> Iterator[Control]:
        """All controls inside."""
        for each in self.members:
            yield from each.controls()


@dataclass(slots=True)
class Rows:
    """A complex element that may stand any number of times; what is not filled in is not sent.

    Attributes:
        name: of the element.
        path: as faults call it.
        rows: one or more.
        problems: sentences about it as a whole.
    """

    kind: ClassVar[str] = "rows"

    name: str
    path: str
    rows: list[Section]
    problems: list[str] = field(default_factory=list)

    @property
    def filled(self) -> bool:
        """Whether something in it is."""
        return any(row.filled for row in self.rows)

    def lines(self, *, hide: bool) -> Iterator[str]:
        """Its part of the request."""
        yield from _lines((row for row in self.rows if row.filled), hide=hide)

    def controls(self) -> Iterator[Control]:
        """All controls in all rows."""
        for row in self.rows:
            yield from row.controls()


class Form:
    """The form of an operation.

    Args:
        operation: what it calls.
        sent: what was filled in, by the names of the controls; None for a form that nobody has
            seen.

    Attributes:
        operation: what it calls.
        members: what is to be filled in.
        known: the names of all fields that could be sent, as they were counted in what was sent.
        problems: what is wrong, each with the path at which it is shown, None for nowhere.
    """

    def __init__(self, operation: Operation, sent: Mapping[str, str] | None = None) -> None:
        self.operation = operation
        builder = _Builder(operation, sent)
        self.members = builder.members(operation.input, "", "", ()) if operation.input else []
        self.known = frozenset(builder.known)
        self.problems: list[tuple[str, str | None]] = []

    @property
    def fixed(self) -> dict[str, tuple[str, ...]]:
        """What its box and its buttons can say; nothing else would come into the request."""
        return {EVERY: (YES,), MORE: tuple(each.path for each in self.rows)}

    @property
    def rows(self) -> list[Rows]:
        """What there may be more of."""
        return [
            inside
            for each in self.members
            for inside in (each, *(each.members if isinstance(each, Section) else ()))
            if isinstance(inside, Rows)
        ]

    def request(self, *, hide: bool = False) -> str:
        """The envelope that calls the operation.

        Args:
            hide: whether secrets are replaced, as pages show it.
        """
        return request_around(self.operation, list(_lines(self.members, hide=hide)))

    def blame(self, problems: Iterable[Problem]) -> None:
        """Show problems beside what they are about."""
        places = {part.path: part for part in _parts(self.members)}
        for problem in problems:
            path = self._place(problem.field or "", places)
            self.problems.append((problem.sentence, path))
            if path is not None:
                places[path].problems.append(problem.sentence)

    def _place(self, path: str, places: Mapping[str, object]) -> str | None:
        whole = _INDEX.sub("", path)
        edits = next((each.rows for each in self.rows if each.path == _EDITS), [])
        # What is wrong with an edit is told of the property, of which the last edit counts.
        for row in reversed(edits):
            name, value = row.controls()
            if whole and name.value == whole:
                return value.path
        return next((each for each in (path, whole) if each in places), None)

    def forget(self) -> None:
        """Keep secrets out of the page that follows."""
        for each in self.members:
            for control in each.controls():
                control.forget()


@dataclass(frozen=True, slots=True)
class _Builder:
    """Makes the parts of a form, filled with what was sent."""

    operation: Operation
    sent: Mapping[str, str] | None
    known: set[str] = field(default_factory=set)

    def members(
        self, message: Any, path: str, source: str, owners: tuple[str, ...]
    ) -> list[Control | Section | Rows]:
        """The parts for a complex type.

        Args:
            message: the type.
            path: what the paths of its fields begin with.
            source: what their names began with in what was sent.
            owners: the names of types by which the table of examples may call its fields.
        """
        owners = (message.get_type_name(), *owners)
        return [
            self._part(name, kind, path, source, owners)
            for name, kind in message.get_flat_type_info(message).items()
        ]

    def _part(
        self, name: str, kind: Any, path: str, source: str, owners: tuple[str, ...]
    ) -> Control | Section | Rows:
        attributes = kind.Attributes
        repeated = attributes.max_occurs > 1
        needed = attributes.min_occurs > 0 and not repeated
        where, origin = path + name, source + name
        if not issubclass(kind, Message):
            self.known.add(origin)
            return Control(
                name,
                where,
                _kind(name, kind, repeated=repeated),
                needed,
                attributes.nillable,
                example_of(name, owners),
                (self.sent or {}).get(origin, ""),
            )
        if repeated:
            return Rows(name, where, self._rows(name, kind, where, origin, owners))
        # Paths start inside the thing that an operation adds.
        inside = ("", "") if getattr(attributes, "added", False) else (f"{where}.", f"{origin}.")
        every = self._every() if where == _SEARCH else None
        return Section(name, where, self.members(kind, *inside, owners), needed, every)

    def _every(self) -> bool:
        """Every entity is what a new form asks for, but never what it changes."""
        self.known.add(EVERY)
        return not self.operation.writes if self.sent is None else self.sent.get(EVERY) == YES

    def _rows(
        self, name: str, kind: Any, path: str, source: str, owners: tuple[str, ...]
    ) -> list[Section]:
        self.known.add(MORE)
        numbered = re.compile(re.escape(source) + r"\[([0-9]{1,4})\]\.")
        found = {int(match[1]) for key in self.sent or () if (match := numbered.match(key))}
        more = (self.sent or {}).get(MORE)
        rows: list[Section] = []
        for origin in (*sorted(found), None):
            where = f"{path}[{len(rows)}]"
            begun = f"{source}[{'' if origin is None else origin}]."
            row = Section(name, where, self.members(kind, f"{where}.", begun, owners))
            # Rows are counted as they are sent; whoever asks for more keeps the empty ones.
            if row.filled or (origin is not None and more) or (origin is None and not rows):
                rows.append(row)
            elif origin is None and more == path:
                next(row.controls()).first = True
                rows.append(row)
            if name == _EDITS and is_secret(next(row.controls()).value):
                _, value = row.controls()
                value.kind = "secret"
        return rows


def _lines(parts: Iterable[Control | Section | Rows], *, hide: bool) -> Iterator[str]:
    for part in parts:
        yield from part.lines(hide=hide)


def _parts(parts: Iterable[Control | Section | Rows]) -> Iterator[Control | Section | Rows]:
    """All parts of a form, the outer ones first."""
    for part in parts:
        yield part
        if not isinstance(part, Control):
            yield from _parts(part.rows if isinstance(part, Rows) else part.members)


def _kind(name: str, kind: Any, *, repeated: bool) -> str:
    if repeated:
        return "texts"
    return "secret" if is_secret(name) else simple_kind(kind)
