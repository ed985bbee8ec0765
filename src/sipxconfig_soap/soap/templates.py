"""What is read from requests that differ in their texts alone, with places for these.

The reader reads twice, with marks in place of all texts. What is the same both times does not
depend on them; where the same mark stands, a text belongs. When a text comes out changed, or the
reader refuses the marks, which are neither numbers nor booleans, there is no template, and such
requests are read each time.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Any, Protocol

from sipxconfig_soap.errors import Refused
from sipxconfig_soap.soap.reader import instance
from sipxconfig_soap.soap.xml import Element

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

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
        return instance(self.kind, values)


class _Varies(Exception):
    """A value depends on texts in another way than by holding them."""


def template_of(read: Callable[[Element | None], Any], payload: Element | None) -> Template | None:
    """The template of what is read from a payload, or None if there is none.

    Args:
        read: makes objects, lists, texts and constants. It may ask whether a text is blank, and it
            may refuse a text, but else what it makes must not depend on what is in it.
        payload: of a request that it has not refused; no element has both text and children.
    """
    numbers = [count(), count()]
    try:
        one, two = [read(_marked(payload, *each)) for each in zip(_MARKS, numbers, strict=True)]
        first, second = _MARKS
        places = {(first.format(n), second.format(n)): n for n in range(next(numbers[0]))}
        return _compared(one, two, places)
    except (Refused, _Varies):
        return None


def _marked(payload: Element | None, mark: str, numbers: Iterator[int]) -> Element | None:
    """A copy of the payload, with the mark and the next number in place of each text."""
    if payload is None:
        return None
    copied = Element(payload.namespace, payload.name, payload.attributes)
    copied.text = mark.format(next(numbers)) if payload.has_text else payload.text
    for child in payload.children:
        marked = _marked(child, mark, numbers)
        if marked is not None:
            copied.children.append(marked)
    return copied


def _compared(one: Any, two: Any, places: Mapping[tuple[Any, Any], int]) -> Template:
    """The template of two values that were read from the same elements with other texts.

    Args:
        one: the first value.
        two: the second one.
        places: the numbers of texts by the marks that stood for them.
    """
    kind = type(one)
    if kind is not type(two):
        raise _Varies
    if kind in _CONSTANTS:
        if one == two:
            return _Constant(one)
        if (one, two) not in places:
            raise _Varies
        return _Text(places[one, two])
    if kind in (list, tuple):
        if len(one) != len(two):
            raise _Varies
        members = zip(one, two, strict=True)
        return _Members(kind, tuple(_compared(*pair, places) for pair in members))
    ones, twos = getattr(one, "__dict__", {}), getattr(two, "__dict__", None)
    if twos is None or ones.keys() != twos.keys():
        raise _Varies
    parts = {name: _compared(ones[name], twos[name], places) for name in ones}
    return _Object(
        kind,
        {name: part.value for name, part in parts.items() if isinstance(part, _Constant)},
        tuple((name, part.place) for name, part in parts.items() if isinstance(part, _Text)),
        tuple(
            (name, part) for name, part in parts.items() if not isinstance(part, (_Constant, _Text))
        ),
    )
