"""What is read from requests that differ in their texts alone, with places for these.

The reader reads twice, with marks in place of all texts. What is the same both times does not
depend on them; where the same mark stands, a text belongs. When a text comes out changed, or the
reader refuses the marks, which are neither numbers nor booleans, there is no template, and such
requests are read each time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from sipxconfig_soap.errors import Refused
from sipxconfig_soap.soap.xml import Element

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_CONSTANTS = (str, int, bool, type(None))

# White space and letters of both cases, so that trimming and folding show.
_MARKS = ("\t<{}:Aa> ", "  <{}:second>\n")


class Template(Protocol):
    """A value without its texts."""

    def filled(self, texts: Sequence[str], /) -> Any:
        """The value with these texts; nothing in it that can be changed is anybody else's."""


@dataclass(frozen=True, slots=True)
class _Constant:
    value: str | int | None

    def filled(self, _texts: Sequence[str]) -> Any:
        return self.value


@dataclass(frozen=True, slots=True)
class _Text:
    place: int

    def filled(self, texts: Sequence[str]) -> Any:
        return texts[self.place]


@dataclass(frozen=True, slots=True)
class _Members:
    """A list or tuple."""

    kind: type[Any]
    members: tuple[Template, ...]

    def filled(self, texts: Sequence[str]) -> Any:
        return self.kind([member.filled(texts) for member in self.members])


@dataclass(frozen=True, slots=True)
class _Object:
    """An object with attributes; texts and constants stand here without templates of their own."""

    kind: type[Any]
    constants: Mapping[str, Any]
    places: tuple[tuple[str, int], ...]
    others: tuple[tuple[str, Template], ...]

    def filled(self, texts: Sequence[str]) -> Any:
        values = {**self.constants}
        for name, place in self.places:
            values[name] = texts[place]
        for name, part in self.others:
            values[name] = part.filled(texts)
        filled = object.__new__(self.kind)
        filled.__dict__ = values
        return filled


class _Varies(Exception):
    """A value depends on texts in another way than by holding them."""


def template_of(read: Callable[[Element | None], Any], payload: Element | None) -> Template | None:
    """The template of what is read from a payload, or None if there is none.

    Args:
        read: makes objects, lists, texts and constants. It may ask whether a text is blank, and it
            may refuse a text, but else what it makes must not depend on what is in it.
        payload: of a request that it has not refused; no element has both text and children.
    """
    try:
        one, two = [read(_marked(payload, mark)) for mark in _MARKS]
        return _compared(one, two)
    except (Refused, _Varies):
        return None


def _marked(payload: Element | None, mark: str) -> Element | None:
    """A copy of the payload, with the mark and a number in place of each text."""
    count = 0

    def copy(element: Element) -> Element:
        nonlocal count
        copied = Element(element.namespace, element.name, element.attributes)
        copied.text = element.text
        if element.has_text:
            copied.text = mark.format(count)
            count += 1
        copied.children = [copy(child) for child in element.children]
        return copied

    return None if payload is None else copy(payload)


def _compared(one: Any, two: Any) -> Template:
    """The template of two values that were read from the same elements with other texts."""
    kind = type(one)
    if kind is not type(two):
        raise _Varies
    if kind in _CONSTANTS:
        return _Constant(one) if one == two else _Text(_place(one, two))
    if kind in (list, tuple):
        if len(one) != len(two):
            raise _Varies
        return _Members(kind, tuple(map(_compared, one, two)))
    ones, twos = getattr(one, "__dict__", {}), getattr(two, "__dict__", None)
    if twos is None or ones.keys() != twos.keys():
        raise _Varies
    parts = {name: _compared(ones[name], twos[name]) for name in ones}
    return _Object(
        kind,
        {name: part.value for name, part in parts.items() if isinstance(part, _Constant)},
        tuple((name, part.place) for name, part in parts.items() if isinstance(part, _Text)),
        tuple(
            (name, part) for name, part in parts.items() if not isinstance(part, (_Constant, _Text))
        ),
    )


def _place(one: Any, two: Any) -> int:
    """The number of the text that stands here."""
    first, second = _MARKS
    start, _, end = first.partition("{}")
    number = str(one).removeprefix(start).removesuffix(end)
    if not number.isdigit() or (one, two) != (first.format(number), second.format(number)):
        raise _Varies
    return int(number)
