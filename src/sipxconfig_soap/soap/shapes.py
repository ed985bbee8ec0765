"""The shapes of requests: scripts send the same elements again and again, with other texts in them.

What a parser would make of a request whose shape is known is known but for the texts, which are cut
out by one regular expression. That is safe because very little may be cut out: runs of printable
ASCII without ``& < >`` that stand between two tags. No such run can change what is around it. A
request is learned from only after expat has read it, when it holds no markup but tags and has
exactly these runs for texts; so none of its texts is kept either. Its attributes are.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

from sipxconfig_soap.soap.xml import Element

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sipxconfig_soap.soap.xml import Attributes

REMEMBERED = 128
"""Shapes that are kept for each service."""

LONGEST = 2048
"""Bytes of a request, with the name of its charset, up to which its shape is kept."""

# Possessive, so that there is one way only to match; what is blank belongs to the shape.
_TEXT = re.compile(r">([ \t\n]*+[!-%'-;=?-~][ \t\n!-%'-;=?-~]*+)<")

Meaning = TypeVar("Meaning")


class _Form(NamedTuple):
    """An element of a shape.

    Attributes:
        namespace: as `Element` has it.
        name: likewise.
        attributes: likewise.
        children: the forms of the child elements.
        text: what is blank in it; None where the request has its text.
    """

    namespace: str
    name: str
    attributes: Attributes
    children: tuple[_Form, ...]
    text: str | None

    def filled(self, texts: Iterator[str]) -> Element:
        """The element with the next of these texts."""
        element = Element(self.namespace, self.name, self.attributes)
        text = self.text
        if text is None:
            element.text = next(texts)
        else:
            element.text = text
            if self.children:
                element.children = [child.filled(texts) for child in self.children]
        return element


class Shapes(Generic[Meaning]):
    """Remembers shapes, and what requests of them mean apart from their texts."""

    def __init__(self) -> None:
        self._known: dict[tuple[str | None, ...], tuple[Meaning, _Form | None]] = {}

    def find(self, body: bytes, charset: str | None) -> tuple[Meaning, Element | None] | None:
        """What a request means and its payload, if one of its shape has been learned.

        Args:
            body: the request.
            charset: of its Content-Type header.
        """
        cut = _cut(body, charset)
        known = None if cut is None else self._known.get(cut[0])
        if cut is None or known is None:
            return None
        meaning, form = known
        return meaning, None if form is None else form.filled(iter(cut[1]))

    def learn(
        self,
        body: bytes,
        charset: str | None,
        root: Element,
        meaning: Meaning,
        payload: Element | None,
    ) -> None:
        """Remember the shape of a request, unless it has anything unusual.

        Args:
            body: the request, which was found to be a good one.
            charset: of its Content-Type header.
            root: what the parser made of it.
            meaning: what does not depend on its texts.
            payload: the element inside ``root`` that the operation gets.
        """
        cut = _cut(body, charset)
        # A Header may hold secrets in its attributes.
        if cut is None or b"<!" in body or len(root.children) != 1:
            return
        if list(_texts(root)) != cut[1]:
            return
        if len(self._known) >= REMEMBERED:
            self._known.clear()
        self._known[cut[0]] = meaning, None if payload is None else _form(payload)


def _cut(body: bytes, charset: str | None) -> tuple[tuple[str | None, ...], list[str]] | None:
    """A request without its texts, and these; None when it is too long or has other characters."""
    if len(body) + len(charset or "") > LONGEST:
        return None
    # All bytes of UTF-16 may be those of ASCII, but they are not its characters.
    if not body.isascii() or b"\0" in body:
        return None
    pieces: list[str] = _TEXT.split(body.decode("ascii"))
    return (charset, *pieces[::2]), pieces[1::2]


def _texts(element: Element) -> Iterator[str | None]:
    """All texts that are not blank, in the order of the elements; None for one beside elements."""
    if element.has_text:
        yield None if element.children else element.text
    for child in element.children:
        yield from _texts(child)


def _form(element: Element) -> _Form:
    return _Form(
        element.namespace,
        element.name,
        element.attributes,
        tuple(map(_form, element.children)),
        None if element.has_text else element.text,
    )
