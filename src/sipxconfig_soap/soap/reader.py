"""Reads elements into message objects: lenient about form, strict about values (wire.md §3).

A `MessageReader` is compiled once for each Spyne class. It finds every problem of a message, not
only the first; a refused value reads as null, so that the rules can look at the rest.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from spyne.model.complex import ComplexModelBase
from spyne.model.primitive import Boolean, Integer32

from sipxconfig_soap import errors
from sipxconfig_soap.soap.base64_text import decoded
from sipxconfig_soap.soap.envelope import XSI
from sipxconfig_soap.soap.faults import client_fault
from sipxconfig_soap.values import is_blank, parse_boolean, trim

if TYPE_CHECKING:
    from collections.abc import Callable

    from lxml.etree import _Element

    from sipxconfig_soap.errors import Problem, Problems

XSI_NIL, XSI_TYPE = f"{{{XSI}}}nil", f"{{{XSI}}}type"
ARRAY, BASE64 = "Array", "base64Binary"
"""The types that count, without prefix: `encoding.translate` has resolved it."""

ARRAY_ITEMS = f"{{{XSI}}}arrayItems"
"""The mark that `encoding.translate` gives to items of arrays: how many there are."""

_INT_RANGE = range(-(2**31), 2**31)

IGNORED_WHEN_BLANK = frozenset({"edit", "addLine", "addExternalLine"})
"""Elements that some clients send empty instead of leaving them out."""


def local_name(element: _Element) -> str:
    """The name of an element without its namespace."""
    return element.tag.rpartition("}")[2]


def text_of(element: _Element) -> str:
    """All character data directly inside an element, joined."""
    text = element.text or ""
    return text + "".join(child.tail or "" for child in element) if len(element) else text


def is_nil(element: _Element) -> bool:
    """Whether an element carries ``xsi:nil`` with a true value."""
    return trim(element.get(XSI_NIL, "")) in ("true", "1")


def unknown_child(child: _Element, prefix: str, type_name: str) -> Problem:
    """The problem of an element that nobody expects; a name without end is cut.

    Args:
        child: the element.
        prefix: the path of its parent with a dot, "" for the operation itself.
        type_name: what its parent is.
    """
    name = local_name(child)[: errors.VALUE_LIMIT]
    return errors.unknown_element(prefix + name, name, type_name)


def _refuse_children(element: _Element, path: str, problems: Problems) -> None:
    """A simple value has none."""
    for child in element:
        problems.add(unknown_child(child, f"{path}.", "a simple value"))


def _scalar(convert: Callable[[str], Any], refusal: str) -> Callable[..., Any]:
    """Make the reader of a simple type from the conversion of its text.

    Args:
        convert: raises ValueError for a text that is no value of the type.
        refusal: what is wrong then, as the end of a sentence.
    """

    def read(element: _Element, path: str, problems: Problems) -> Any:
        _refuse_children(element, path, problems)
        text = text_of(element)
        try:
            return convert(text)
        except ValueError:
            problems.add(errors.invalid_value(path, text, refusal))
            return None

    return read


def _integer(text: str) -> int:
    """Read an int of 32 bits; a sign and white space around it are allowed.

    Raises:
        ValueError: it is none.
    """
    if not text.isascii() or "_" in text:
        raise ValueError(text)
    number = int(trim(text))
    if number not in _INT_RANGE:
        raise ValueError(text)
    return number


_read_text = _scalar(str, "")
_read_boolean = _scalar(parse_boolean, "is not a boolean: true or false")
_read_integer = _scalar(_integer, "is not an int of 32 bits")


def _read_base64(element: _Element, path: str, problems: Problems) -> str | None:
    """Read a text that came in base64: SOAP::Lite sends every one so that is not ASCII."""
    if len(element):
        _refuse_children(element, path, problems)
        return None
    text = text_of(element)
    try:
        return decoded(text)
    except ValueError as error:
        problems.add(errors.invalid_value(_place_of(element, path), text, str(error)))
        return None


def _place_of(element: _Element, path: str) -> str:
    """What a fault calls the place of a text: that of an edit by its property (wire.md §6)."""
    edit = element.getparent() if path.endswith("].value") else None
    names = [child for child in edit if local_name(child) == "property"] if edit is not None else []
    if not names:
        return path
    name = text_of(names[-1])
    if names[-1].get(XSI_TYPE) == BASE64:
        with suppress(ValueError):
            name = decoded(name)
    return trim(name) or path


@dataclass(frozen=True, slots=True)
class _Field:
    """How one child element is read.

    Attributes:
        name: of the element.
        repeated: whether it may stand any number of times.
        is_complex: whether it has children of its own.
        needed: whether its absence is refused here; blank texts are the rules' to refuse.
        added: whether it is the thing that an operation adds: paths start inside it.
        ignored_when_blank: whether some clients send it empty instead of leaving it out.
        read: reads one occurrence that is not nil.
    """

    name: str
    repeated: bool
    is_complex: bool
    needed: bool
    added: bool
    ignored_when_blank: bool
    read: Callable[[_Element, str, Problems], Any]

    @property
    def is_simple(self) -> bool:
        """Whether it is a single value, of which the last one counts."""
        return not self.repeated and not self.is_complex


class MessageReader:
    """Reads elements of one complex type, declared by a Spyne class, into plain objects.

    An object has every field, in the order of the type: None where the element is absent or nil, a
    list where it may be repeated (with None for a nil member, so that positions are as sent).
    """

    def __init__(self, message: type[ComplexModelBase]) -> None:
        self._type_name = message.get_type_name()
        self._fields = {
            name: _field(name, kind) for name, kind in message.get_flat_type_info(message).items()
        }
        self._absent = dict.fromkeys(self._fields)
        self._lists = tuple(name for name, field in self._fields.items() if field.repeated)
        self._needed = tuple(name for name, field in self._fields.items() if field.needed)

    def read(self, element: _Element | None, path: str, problems: Problems) -> Any:
        """Read one element.

        Args:
            element: what came; None reads as an element without children.
            path: where it stands, as wire.md §6 spells it; "" for the operation itself.
            problems: everything that is wrong is noted here.

        Raises:
            Refused: a complex element that must stand is missing, so that the rules would have
                nothing to look at.
            Fault: Client, for an array of several items where an element may stand once.
        """
        values: dict[str, Any] = dict(self._absent)
        for name in self._lists:
            values[name] = []
        prefix = f"{path}." if path else ""
        seen: set[str] | None = None
        for name, child in self._counting(element) if element is not None else ():
            field = self._fields.get(name)
            if field is None:
                problems.add(unknown_child(child, prefix, self._type_name))
            elif field.repeated:
                if child.attrib and _is_empty_array(child):
                    continue
                members = values[field.name]
                where = f"{prefix}{field.name}[{len(members)}]"
                members.append(self._occurrence(field, child, where, problems))
            elif _is_of_several(child):
                items = child.get(ARRAY_ITEMS)
                raise client_fault(f"'{name}' may be given only once: its array has {items} items")
            elif field.is_complex and seen and field.name in seen:
                problems.add(
                    errors.invalid_value(prefix + field.name, None, "may be given only once")
                )
            else:
                if field.is_complex:
                    seen = seen or set()
                    seen.add(field.name)
                where = "" if field.added else prefix + field.name
                values[field.name] = self._occurrence(field, child, where, problems)
        self._check_needed(values, prefix, problems)
        return SimpleNamespace(**values)

    def _check_needed(self, values: dict[str, Any], prefix: str, problems: Problems) -> None:
        missing = [name for name in self._needed if values[name] is None]
        for name in missing:
            problems.add(errors.required(prefix + name))
        if missing:
            problems.check()

    def _counting(self, element: _Element) -> list[tuple[str, _Element]]:
        """The children that count, with their names: of a simple one given again only the last.

        One with children counts all the same: these are unknown, and nothing sent is dropped.
        So does an item of an array of several.
        """
        children = [(local_name(child), child) for child in element]
        last = dict(children)
        if len(last) == len(children):
            return children
        simple = {name for name in last if (field := self._fields.get(name)) and field.is_simple}
        return [
            (name, child)
            for name, child in children
            if name not in simple or child is last[name] or len(child) or _is_of_several(child)
        ]

    @staticmethod
    def _occurrence(field: _Field, element: _Element, path: str, problems: Problems) -> Any:
        if field.ignored_when_blank and _is_hollow(element):
            return None
        if not element.attrib:
            return field.read(element, path, problems)
        if is_nil(element):
            if not field.is_complex:
                _refuse_children(element, path, problems)
            elif len(element):
                # A search that is nil and says what to look for must not be taken for everything.
                where = path or field.name
                problems.add(errors.invalid_value(where, None, "is nil and has content"))
            elif not field.repeated and element.get(ARRAY_ITEMS) is not None:
                # An array was given as the search, which is not the same as no search.
                return field.read(element, path, problems)
            return None
        if field.read is _read_text and element.get(XSI_TYPE) == BASE64:
            return _read_base64(element, path, problems)
        return field.read(element, path, problems)


def _is_empty_array(element: _Element) -> bool:
    """Whether an element stands for the members of a list that has none."""
    return element.get(XSI_TYPE) == ARRAY and not len(element) and is_blank(element.text)


def _is_of_several(element: _Element) -> bool:
    """Whether an element came in an array that holds others too."""
    return bool(element.attrib) and element.get(ARRAY_ITEMS, "1") != "1"


def _is_hollow(element: _Element) -> bool:
    """Whether nothing but white space and blank or nil children is inside."""
    return is_blank(text_of(element)) and all(
        not len(child) and (is_nil(child) or is_blank(child.text)) for child in element
    )


def _field(name: str, kind: Any) -> _Field:
    attributes = kind.Attributes
    repeated = attributes.max_occurs > 1
    optional = attributes.min_occurs == 0 or getattr(attributes, "absent_is_read", False)
    if issubclass(kind, ComplexModelBase):
        return _Field(
            name,
            repeated,
            is_complex=True,
            needed=not (optional or repeated),
            added=getattr(attributes, "added", False),
            ignored_when_blank=name in IGNORED_WHEN_BLANK,
            read=message_reader(kind.__orig__ or kind).read,
        )
    read = _read_text
    if issubclass(kind, Boolean):
        read = _read_boolean
    elif issubclass(kind, Integer32):
        read = _read_integer
    return _Field(
        name,
        repeated,
        is_complex=False,
        needed=False,
        added=False,
        ignored_when_blank=name in IGNORED_WHEN_BLANK,
        read=read,
    )


@cache
def message_reader(message: Any) -> MessageReader:
    """The reader of a message type, compiled on first use."""
    return MessageReader(message)
