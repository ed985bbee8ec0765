"""Writes answers straight to bytes, by functions made once for each message type.

An answer is what wire.md §4 shows, to the byte. Spyne's own serialiser builds a tree for every
message and takes thirty times as long (docs/adr/0002-own-reader-and-writer.md).
"""

from __future__ import annotations

from functools import cache, lru_cache
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

    empty = f'{opening}<{name} xmlns=""/>{closing}'.encode()
    start, end = f'{opening}<{name} xmlns="">', f"</{name}>{closing}"

    def write(items: Iterable[Any]) -> Iterator[bytes]:
        pending = [start]
        size = 0
        some = False
        for text in map(write_item, items):
            some = True
            pending.append(text)
            size += len(text)
            if size >= CHUNK_CHARACTERS:
                yield "".join(pending).encode()
                pending.clear()
                size = 0
        pending.append(end)
        yield "".join(pending).encode() if some else empty

    return write


def empty_answer(operation: str) -> bytes:
    """The Body of an operation without output: the one form that all client stacks take."""
    return f'<{operation}Response xmlns="{NS}"></{operation}Response>'.encode()


@cache
def _complex(
    name: str, message: type[ComplexModelBase], attributes: str = ""
) -> Callable[[Any], str]:
    """The writer of one element of a complex type."""
    fields = message.get_flat_type_info(message)
    members = [(snake_case(field), _member(field, kind)) for field, kind in fields.items()]
    opening, closing = f"<{name}{attributes}>", f"</{name}>"

    def write(item: Any) -> str:
        texts = [write_member(getattr(item, field)) for field, write_member in members]
        return f"{opening}{''.join(texts)}{closing}"

    return write


def _member(name: str, kind: Any) -> Callable[[Any], str]:
    """The writer of a member; null is left out, or nil (wire.md §4)."""
    if kind.Attributes.max_occurs > 1:
        return _repeated(name, kind)
    nil = getattr(kind.Attributes, "nil_when_null", False)
    absent = f'<{name} xsi:nil="true"/>' if nil else ""
    if issubclass(kind, ComplexModelBase):
        write = _complex(name, kind.__orig__ or kind)
        return lambda value: absent if value is None else write(value)
    opening, closing = f"<{name}>", f"</{name}>"
    if issubclass(kind, Boolean):
        true, false = f"{opening}true{closing}", f"{opening}false{closing}"
        return lambda value: absent if value is None else true if value else false
    if issubclass(kind, Integer32):
        return lambda value: absent if value is None else f"{opening}{value}{closing}"
    return lambda value: absent if value is None else f"{opening}{escape(value)}{closing}"


def _repeated(name: str, kind: Any) -> Callable[[Any], str]:
    """The writer of an element that stands once for each of several values."""
    if issubclass(kind, ComplexModelBase):
        write = _complex(name, kind.__orig__ or kind)
        return lambda values: "".join(map(write, values or ()))
    opening, closing = f"<{name}>", f"</{name}>"
    between = closing + opening

    def write_texts(values: Sequence[str]) -> str:
        return f"{opening}{between.join(map(escape, values))}{closing}" if values else ""

    # Of permissions, which come as tuples, there are few combinations, however many users have
    # them: a list of 10,000 users would take 5 % longer.
    known = lru_cache(maxsize=64)(write_texts)
    return lambda values: known(values) if type(values) is tuple else write_texts(values)
