"""The properties of entities: one description serves the column, adding and editing.

A property takes a typed value when an entity is added and a text when it is edited
(services.md §1). Either way it ends in the same check, so the rule stands once.
"""

from __future__ import annotations

import collections
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias

import sqlalchemy as sa

from sipxconfig_soap import errors
from sipxconfig_soap.domain.tables import TEXT_LIMIT, text
from sipxconfig_soap.values import is_blank, parse_boolean, snake_case, trim

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from sipxconfig_soap.errors import Problem, Problems


class Given(NamedTuple):
    """Where a request gave a value, and as what text: faults repeat both as they came."""

    field: str
    text: str


class Rule(NamedTuple):
    """What a text must be like beside its length.

    Attributes:
        allows: whether a text, trimmed if its property is, may be stored.
        refusal: the problem of one that may not, from its field and the text as it came.
    """

    allows: Callable[[str], bool]
    refusal: Callable[[str, str], Problem]


class Property(Protocol):
    """Something of an entity that can be given when it is added and edited later."""

    @property
    def name(self) -> str:
        """As the contract spells it."""

    def clean(self, value: Any, problems: Problems) -> Any:
        """Check the typed value of a request and return what is stored."""

    def parse(self, value: str | None, problems: Problems) -> Any:
        """Check the text of an edit and return what is stored."""


@dataclass(frozen=True, slots=True)
class Text:
    """A text.

    Attributes:
        name: as the contract spells it.
        required: whether it must not be blank.
        trimmed: whether white space at its ends is dropped: identifiers and names of persons.
        rule: what it must be like.
        made_up: whether the server makes one up where none is given, so that it is never null.
    """

    name: str
    required: bool = False
    trimmed: bool = False
    rule: Rule | None = None
    made_up: bool = False

    def column(self) -> Any:
        """The column it is stored in."""
        return text(snake_case(self.name), nullable=not (self.required or self.made_up))

    def clean(self, value: str | None, problems: Problems, field: str | None = None) -> str | None:
        """Trim and check; a text that is blank or refused is None."""
        field = field or self.name
        if value is None or is_blank(value):
            if self.required:
                problems.add(errors.required(field))
            return None
        kept = trim(value) if self.trimmed else value
        if len(kept) > TEXT_LIMIT:
            problems.add(errors.too_long(field, value, TEXT_LIMIT))
            return None
        if self.rule is not None and not self.rule.allows(kept):
            problems.add(self.rule.refusal(field, value))
            return None
        return kept

    def parse(self, value: str | None, problems: Problems) -> str | None:
        """An edit's text is checked like any other."""
        return self.clean(value, problems)

    def check_length(self, value: str | None, problems: Problems, field: str) -> None:
        """Check the form alone, where the value is not going to be used."""
        Text(self.name, trimmed=self.trimmed).clean(value, problems, field)


@dataclass(frozen=True, slots=True)
class Flag:
    """A boolean that is false where nothing else is said."""

    name: str

    def column(self) -> Any:
        """The column it is stored in."""
        return sa.Column(snake_case(self.name), sa.Boolean, nullable=False)

    def clean(self, value: object, _problems: Problems) -> bool:
        """Absent and nil are false."""
        return bool(value)

    def parse(self, value: str | None, problems: Problems) -> bool:
        """Read one of the words for true and false."""
        try:
            return bool(parse_boolean(value or ""))
        except ValueError:
            reason = "is not a boolean: true or false"
            problems.add(errors.invalid_value(self.name, value, reason))
            return False


@dataclass(frozen=True, slots=True)
class Names:
    """A set of names: repeated elements when added, one text with separators when edited.

    Attributes:
        name: as the contract spells it.
        rule: what each of them must be like.
    """

    name: str
    rule: Rule | None = None

    def clean(self, value: Iterable[str | None], problems: Problems) -> dict[str, Given]:
        """Check each member; blank and refused ones are dropped, the same one twice is one.

        Returns:
            Where each member was given first, by member, in the order as sent.
        """
        given: dict[str, Given] = {}
        for index, member in enumerate(value):
            self._note(member, f"{self.name}[{index}]", given, problems)
        return given

    def parse(self, value: str | None, problems: Problems) -> dict[str, Given]:
        """Split the text of an edit and check its members."""
        given: dict[str, Given] = {}
        try:
            members = split_members(value or "")
        except ValueError:
            reason = "has a double quote that is not closed"
            problems.add(errors.invalid_value(self.name, value, reason))
            return given
        for member in members:
            self._note(member, self.name, given, problems)
        return given

    def _note(
        self, value: str | None, field: str, given: dict[str, Given], problems: Problems
    ) -> None:
        member = Text(self.name, trimmed=True, rule=self.rule).clean(value, problems, field)
        if member is not None:
            given.setdefault(member, Given(field, value or ""))


@dataclass(frozen=True, slots=True)
class Ignored:
    """A property of the type that may be given and edited, to no effect."""

    name: str


AnyProperty: TypeAlias = Property | Ignored


class Edit(NamedTuple):
    """One edit as it came: ``place`` counts the edits of the request from 0."""

    place: int
    name: str | None
    value: str | None


_MEMBER = re.compile(r'[\s,]*(?:"([^"]*)"|([^\s,"]+))', re.ASCII)


def split_members(value: str) -> list[str]:
    """Split a list at commas and white space; a member in double quotes may contain both.

    Raises:
        ValueError: a double quote is not closed, or stands inside a member.
    """
    members, position = [], 0
    while found := _MEMBER.match(value, position):
        members.append(found.group(1) if found.group(1) is not None else found.group(2))
        position = found.end()
    if value[position:].strip(", \t\r\n"):
        raise ValueError(value)
    return members


def by_name(*properties: AnyProperty) -> dict[str, AnyProperty]:
    """A table of properties."""
    return {each.name: each for each in properties}


def clean_all(
    properties: Mapping[str, AnyProperty], values: Mapping[str, Any], problems: Problems
) -> dict[str, Any]:
    """Check every property of something that is added."""
    return {
        name: each.clean(values[name], problems)
        for name, each in properties.items()
        if not isinstance(each, Ignored)
    }


def named_edits(
    edits: Sequence[Edit], properties: Mapping[str, AnyProperty], type_name: str, problems: Problems
) -> list[Edit]:
    """The edits that name a property; names are checked even where no edit is carried out."""
    named = []
    for edit in edits:
        path = f"edit[{edit.place}].property"
        if edit.name in properties:
            named.append(edit)
        elif edit.name is not None and not is_blank(edit.name):
            problems.add(errors.unknown_property(path, edit.name, type_name))
        elif not is_blank(edit.value):
            problems.add(errors.required(path))
    return named


def last_values(edits: Iterable[Edit]) -> dict[str, str | None]:
    """The texts of the edits, by property; the last of a repeated one wins."""
    return {edit.name: edit.value for edit in edits if edit.name is not None}


def parse_all(
    properties: Mapping[str, AnyProperty], values: Mapping[str, str | None], problems: Problems
) -> dict[str, Any]:
    """Check the text of every property that is edited."""
    return {
        name: each.parse(value, problems)
        for name, value in values.items()
        if not isinstance(each := properties[name], Ignored)
    }


def clean_name(field: str, value: str | None, problems: Problems) -> str | None:
    """The trimmed name of something in a parameter; None for a blank one."""
    return Text(field, trimmed=True).clean(value, problems)


def view(name: str, fields: Sequence[str]) -> Any:
    """The type of what is shown of an entity whose fields follow from its properties."""
    return collections.namedtuple(name, fields)  # noqa: PYI024


def column_values(cleaned: Mapping[str, Any], table: sa.Table) -> dict[str, Any]:
    """The part of cleaned values that is stored in columns of this table, by column."""
    named = {snake_case(name): value for name, value in cleaned.items()}
    return {name: value for name, value in named.items() if name in table.c}
