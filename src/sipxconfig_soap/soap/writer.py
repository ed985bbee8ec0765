"""Writes answers straight to bytes, by functions compiled once for each message type.

An answer is what wire.md §4 shows, to the byte. Spyne's own serialiser builds a tree for every
message and takes thirty times as long (docs/adr/0002-own-reader-and-writer.md).
"""

from __future__ import annotations

from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

from spyne.model.complex import ComplexModelBase
from spyne.model.primitive import Boolean, Integer32

from sipxconfig_soap.soap.envelope import escape, needs_escape
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
    """The writer of one element of a complex type.

    It is a function of Python that is made from the type, as dataclasses make theirs: one that
    calls a function for each field takes three times as long. The source holds nothing but names
    of the contract.
    """
    known: dict[str, Any] = {"escape": escape, "needs_escape": needs_escape}
    fields = message.get_flat_type_info(message).items()
    lines = [f"value{place} = item.{snake_case(field)}" for place, (field, _) in enumerate(fields)]
    texts = [f"value{place}" for place, (_, kind) in enumerate(fields) if _is_text(kind)]
    if texts:
        # One look at all of them; a null among them is "None", which does no harm.
        together = "".join(f"{{{text}}}" for text in texts)
        lines.append(f'if needs_escape(f"{together}"):')
        lines += [f"    {text} = {text} and escape({text})" for text in texts]
    for place, (field, kind) in enumerate(fields):
        lines.append(f"text{place} = {_member(field, kind, str(place), known)}")
    known["opening"] = f"<{name}{attributes}>"
    places = "".join(f"{{text{place}}}" for place in range(len(fields)))
    lines.append(f'return f"{{opening}}{places}</{name}>"')
    source = "\n    ".join(["def write(item):", *lines])
    exec(compile(source, f"<writer of {message.get_type_name()}>", "exec"), known)  # noqa: S102 - see above
    write: Callable[[Any], str] = known["write"]
    return write


def _member(name: str, kind: Any, place: str, known: dict[str, Any]) -> str:
    """The expression that writes a member; null is left out, or nil (wire.md §4).

    Args:
        name: of the element.
        kind: its type.
        place: ends the names of its value, in which texts are escaped, and of what the expression
            needs to know.
        known: takes that up.
    """
    value = f"value{place}"
    attributes = kind.Attributes
    nil = getattr(attributes, "nil_when_null", False)
    known[f"absent{place}"] = f'<{name} xsi:nil="true"/>' if nil else ""
    absent = f"absent{place} if {value} is None else "
    if attributes.max_occurs > 1:
        known[f"write{place}"] = _repeated(name, kind)
        return f'write{place}({value}) if {value} else ""'
    if issubclass(kind, ComplexModelBase):
        known[f"write{place}"] = _complex(name, kind.__orig__ or kind)
        return f"write{place}({value})"
    if issubclass(kind, Boolean):
        true, false = f"<{name}>true</{name}>", f"<{name}>false</{name}>"
        return f'{absent}"{true}" if {value} else "{false}"'
    return f'{absent}f"<{name}>{{{value}}}</{name}>"'


def _is_text(kind: Any) -> bool:
    """Whether a member is a single text."""
    single = kind.Attributes.max_occurs == 1
    return single and not issubclass(kind, (ComplexModelBase, Boolean, Integer32))


def _repeated(name: str, kind: Any) -> Callable[[Sequence[Any]], str]:
    """The writer of an element that stands once for each of several values."""
    if issubclass(kind, ComplexModelBase):
        write = _complex(name, kind.__orig__ or kind)
        return lambda values: "".join(map(write, values))
    opening, closing = f"<{name}>", f"</{name}>"
    between = closing + opening

    def write_texts(values: Sequence[str]) -> str:
        if needs_escape("".join(values)):
            values = list(map(escape, values))
        return f"{opening}{between.join(values)}{closing}"

    # Of permissions there are few combinations, however many users have them.
    known = lru_cache(maxsize=64)(write_texts)
    return lambda values: known(values) if type(values) is tuple else write_texts(values)
