"""Writes answers straight to bytes, by functions compiled once for each message type.

An answer is what wire.md §4 shows, to the byte. Spyne's own serialiser builds a tree for every
message and takes thirty times as long (docs/adr/0002-own-reader-and-writer.md).
"""

from __future__ import annotations

from functools import cache, lru_cache
from itertools import chain
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from spyne.model.complex import ComplexModelBase
from spyne.model.primitive import Boolean, Integer32

from sipxconfig_soap.soap.envelope import escape
from sipxconfig_soap.soap.names import is_array, item_name
from sipxconfig_soap.soap.types import NS
from sipxconfig_soap.values import snake_case

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from sipxconfig_soap.soap.names import ArrayNames

CHUNK_CHARACTERS = 32 * 1024
"""About how many characters of a list are sent in one piece."""


def answer(message: type[ComplexModelBase], names: ArrayNames) -> Callable[[Any], Iterator[bytes]]:
    """The function that writes an answer's Body from what an operation returned.

    An answer has one member. Where it is an array, the result is an iterable of entities, which is
    written as it goes; else it is the member's object. Attributes of objects are the fields' names
    in snake case.
    """
    ((name, kind),) = message.get_flat_type_info(message).items()
    root = message.get_type_name()
    opening, closing = f'<{root} xmlns="{NS}">', f"</{root}>"
    member = kind.__orig__ or kind
    if not is_array(member):
        write_member = _complex(name, member, attributes=' xmlns=""')
        return lambda result: iter(((opening + write_member(result) + closing).encode(),))
    ((_, item),) = member.get_flat_type_info(member).items()
    write_item = _complex(item_name(member, names), item.__orig__ or item)

    def write(items: Iterable[Any]) -> Iterator[bytes]:
        texts = map(write_item, items)
        first = next(texts, None)
        if first is None:
            yield f'{opening}<{name} xmlns=""/>{closing}'.encode()
            return
        start, end = f'{opening}<{name} xmlns="">', f"</{name}>{closing}"
        yield from _in_chunks(chain((start, first), texts, (end,)))

    return write


def empty_answer(operation: str) -> bytes:
    """The Body of an operation without output: the one form that all client stacks take."""
    return f'<{operation}Response xmlns="{NS}"></{operation}Response>'.encode()


def _in_chunks(texts: Iterable[str]) -> Iterator[bytes]:
    """Join texts into pieces of about `CHUNK_CHARACTERS`."""
    pending: list[str] = []
    size = 0
    for text in texts:
        pending.append(text)
        size += len(text)
        if size >= CHUNK_CHARACTERS:
            yield "".join(pending).encode()
            pending.clear()
            size = 0
    if pending:
        yield "".join(pending).encode()


@cache
def _complex(
    name: str, message: type[ComplexModelBase], attributes: str = ""
) -> Callable[[Any], str]:
    """The writer of one element of a complex type."""
    fields = message.get_flat_type_info(message)
    writers = [_member(field, kind) for field, kind in fields.items()]
    opening, closing = f"<{name}{attributes}>", f"</{name}>"
    paths = [snake_case(field) for field in fields]
    values = attrgetter(*paths) if len(paths) > 1 else lambda item: (getattr(item, paths[0]),)

    def write(item: Any) -> str:
        parts = [write(value) for write, value in zip(writers, values(item), strict=True)]
        return f"{opening}{''.join(parts)}{closing}"

    return write


def _member(name: str, kind: Any) -> Callable[[Any], str]:
    """The writer of one member: null is left out, or nil where the contract has it so."""
    attributes = kind.Attributes
    absent = f'<{name} xsi:nil="true"/>' if getattr(attributes, "nil_when_null", False) else ""
    if issubclass(kind, ComplexModelBase):
        write = _complex(name, kind.__orig__ or kind)
    elif issubclass(kind, Boolean):
        write = _boolean(name, absent)
    elif issubclass(kind, Integer32):
        write = _integer(name, absent)
    else:
        write = _text(name, absent)
    return _repeated(write) if attributes.max_occurs > 1 else write


def _repeated(write: Callable[[Any], str]) -> Callable[[Any], str]:
    """The writer of an element that stands once for each of several values."""

    # Of permissions there are few combinations, however many users have them.
    @lru_cache(maxsize=64)
    def known(values: tuple[Any, ...]) -> str:
        return "".join(map(write, values))

    def write_all(values: Sequence[Any] | None) -> str:
        if not values:
            return ""
        return known(values) if type(values) is tuple else "".join(map(write, values))

    return write_all


def _boolean(name: str, absent: str) -> Callable[[bool | None], str]:
    true, false = f"<{name}>true</{name}>", f"<{name}>false</{name}>"
    return lambda value: absent if value is None else true if value else false


def _integer(name: str, absent: str) -> Callable[[int | None], str]:
    return lambda value: absent if value is None else f"<{name}>{value}</{name}>"


def _text(name: str, absent: str) -> Callable[[str | None], str]:
    opening, closing = f"<{name}>", f"</{name}>"

    def write(value: str | None) -> str:
        return absent if value is None else f"{opening}{escape(value)}{closing}"

    return write
