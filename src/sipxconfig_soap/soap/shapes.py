"""The shapes of requests: scripts send the same elements again and again, with other texts in them.

What would be read from a request whose shape is known is known but for the texts, which are cut out
by one regular expression. That is safe because very little may be cut out: runs of printable
ASCII without ``& < >`` that stand between two tags. No such run can change what is around it. A
request is learned from only after expat has read it, when it holds no markup but tags and has
exactly these runs for texts; so none of its texts is kept either. Its attributes are.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sipxconfig_soap.soap.xml import Element

REMEMBERED = 64
"""Shapes that are kept for each service."""

LONGEST = 2048
"""Bytes of a request, with the name of its charset, up to which its shape is kept."""

# Possessive, so that there is one way only to match; what is blank belongs to the shape.
_TEXT = re.compile(r">([ \t\n]*+[!-%'-;=?-~][ \t\n!-%'-;=?-~]*+)<")

# An Envelope that begins with a Header without anything in it, as many scripts send it.
_BARE_HEADER = re.compile(
    rb"(?:<\?xml[^<>]*>)?\s*<[^<>]*>\s*"
    rb"<(?P<header>(?:[^\s<>/:]+:)?Header)\s*(?:/>|>\s*</(?P=header)\s*>)"
)

Meaning = TypeVar("Meaning")


class Shapes(Generic[Meaning]):
    """Remembers shapes, and what requests of them mean apart from their texts."""

    def __init__(self) -> None:
        self._known: dict[tuple[str | None, ...], Meaning | None] = {}

    def find(self, body: bytes, charset: str | None) -> tuple[Meaning, list[str]] | None:
        """What a request of this shape means, and its texts, if one has been learned.

        Args:
            body: the request.
            charset: of its Content-Type header.
        """
        cut = _cut(body, charset)
        if cut is None:
            return None
        shape, texts = cut
        meaning = self._known.get(shape)
        return None if meaning is None else (meaning, texts)

    def learn(
        self,
        body: bytes,
        charset: str | None,
        root: Element,
        payload: Element | None,
        make: Callable[[], Meaning | None],
    ) -> None:
        """Remember the shape of a request, unless it has anything unusual.

        Args:
            body: the request, in which its reader found nothing wrong.
            charset: of its Content-Type header.
            root: what the parser made of it.
            payload: the element inside ``root`` that the operation gets.
            make: works out the meaning, if it is one that does not depend on the texts.
        """
        cut = _cut(body, charset)
        if cut is None or b"<!" in body:
            return
        shape, texts = cut
        # Whatever else stands beside the Body may hold secrets in its attributes.
        if shape in self._known or len(root.children) > 1 + (_BARE_HEADER.match(body) is not None):
            return
        # No text stands outside of the payload, and each was cut out whole.
        if texts != ([] if payload is None else list(_texts(payload))):
            return
        if len(self._known) >= REMEMBERED:
            self._known.clear()
        self._known[shape] = make()


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
