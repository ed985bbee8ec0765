"""Random dialects: one message, written in any of the ways that wire.md §3 allows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st
from spyne.model.complex import ComplexModelBase
from spyne.model.primitive import Boolean, Integer32

from sipxconfig_soap.soap.reader import IGNORED_WHEN_BLANK
from sipxconfig_soap.values import is_blank
from tests.support.soap import ENVELOPE11, NS

if TYPE_CHECKING:
    import random

XSI = "http://www.w3.org/2001/XMLSchema-instance"

xml_characters = st.characters(
    codec="utf-8",
    min_codepoint=32,
    include_characters="\t\n\r",
    exclude_characters="\ufffe\uffff",
)
"""Every character that XML 1.0 can carry."""

texts = st.text(xml_characters, max_size=12) | st.sampled_from(["]]>", "&amp;", "<b/>", " \t\n\r "])


def fields_of(message: Any) -> dict[str, Any]:
    """The members of a Spyne class by their names."""
    return dict(message.get_flat_type_info(message))


def is_repeated(kind: Any) -> bool:
    """Whether a member may stand any number of times."""
    return bool(kind.Attributes.max_occurs > 1)


def is_needed(kind: Any) -> bool:
    """Whether a member is a complex element that must stand."""
    attributes = kind.Attributes
    needed = attributes.min_occurs > 0 and not getattr(attributes, "absent_is_read", False)
    return bool(needed and not is_repeated(kind) and issubclass(kind, ComplexModelBase))


def values_of(kind: Any) -> st.SearchStrategy[Any]:
    """Any value of one occurrence of a type: a mapping for a complex one."""
    if issubclass(kind, ComplexModelBase):
        return messages(kind.__orig__ or kind)
    if issubclass(kind, Boolean):
        return st.booleans()
    if issubclass(kind, Integer32):
        return st.integers(-(2**31), 2**31 - 1)
    return texts


def messages(message: Any) -> st.SearchStrategy[dict[str, Any]]:
    """Any message of a Spyne class; None is an absent or nil member."""
    members = {}
    for name, kind in fields_of(message).items():
        value = values_of(kind)
        if is_repeated(kind):
            members[name] = st.lists(st.none() | value, max_size=3)
        else:
            members[name] = value if is_needed(kind) else st.none() | value
    return st.fixed_dictionaries(members)


def is_hollow(name: str, value: Any) -> bool:
    """Whether an element is one that counts as absent, since it holds nothing."""
    return (
        name in IGNORED_WHEN_BLANK
        and isinstance(value, dict)
        and all(is_blank(each) for each in value.values())
    )


def as_read(name: str, value: Any) -> Any:
    """What a value must read as."""
    if isinstance(value, list):
        return [as_read(name, each) for each in value]
    if isinstance(value, dict):
        return (
            None if is_hollow(name, value) else {key: as_read(key, v) for key, v in value.items()}
        )
    return value


@dataclass(frozen=True)
class Dialect:
    """A way to write messages.

    Attributes:
        random: decides what may change from element to element.
        prefix: of the operation's namespace.
        encoding: of the document.
        qualified: whether children are in a namespace as well.
    """

    random: random.Random
    prefix: str
    encoding: str
    qualified: bool

    def envelope(self, operation: str, message: dict[str, Any]) -> bytes:
        """Write a request."""
        declared = f'<?xml version="1.0" encoding="{self.encoding}"?>'
        if self.encoding == "UTF-8" and self._maybe():
            declared = ""
        space, envelope = self._space, self.random.choice(["soapenv", "e", "SOAP-ENV"])
        names = [operation, operation[0].upper() + operation[1:], f"{operation}Request"]
        inside = self._complex(self._name(self.random.choice(names)), message)
        # With the last, the request is translated, though there is nothing to translate.
        header = self.random.choice(["", f"<{envelope}:Header/>", "<other/>", "<!-- href -->"])
        document = (
            f'{declared}<{envelope}:Envelope xmlns:{envelope}="{ENVELOPE11}" '
            f"xmlns:{self.prefix}='{NS}' xmlns:i=\"{XSI}\">{space()}{header}{space()}"
            f"<{envelope}:Body>{space()}{inside}{space()}</{envelope}:Body>{space()}"
            f"</{envelope}:Envelope>{space()}"
        )
        return document.encode(self.encoding, "xmlcharrefreplace")

    def _maybe(self) -> bool:
        return self.random.random() < 0.5

    def _space(self) -> str:
        """What may stand anywhere between elements."""
        return self.random.choice(["", "", " ", "\n\t", "<!-- <x> & -->", "\r\n  <!---->"])

    def _name(self, name: str) -> str:
        return f"{self.prefix}:{name}"

    def _attributes(self) -> str:
        choices = ["", "", " id='1'", ' i:type="i:int"', f' {self.prefix}:x="&lt;"', " i:nil='0'"]
        return self.random.choice(choices)

    def _complex(self, name: str, message: dict[str, Any]) -> str:
        """Write a message's members in any order; those of one name keep theirs."""
        queues = {
            member: [each for each in self._occurrences(member, value) if each]
            for member, value in message.items()
        }
        order = [member for member, queue in queues.items() for _ in queue]
        self.random.shuffle(order)
        members = "".join(f"{self._space()}{queues[member].pop(0)}" for member in order)
        return f"<{name}{self._attributes()}>{members}{self._space()}</{name}>"

    def _occurrences(self, name: str, value: Any) -> list[str]:
        if isinstance(value, list):
            return [self._element(name, each) for each in value]
        if value is None and self._maybe():
            return []
        return [self._element(name, value)]

    def _element(self, name: str, value: Any) -> str:
        tag = self._name(name) if self.qualified else name
        if value is None:
            return f"<{tag} i:nil='{self.random.choice(['true', '1', ' true '])}'/>"
        if isinstance(value, dict):
            return self._complex(tag, value)
        if value == "" and self._maybe():
            return f"<{tag}/>"
        return f"<{tag}{self._attributes()}>{self._scalar(value)}</{tag}>"

    def _scalar(self, value: str | float) -> str:
        if isinstance(value, bool):
            return self._padded(self._cased(self._word(value=value)))
        if isinstance(value, int):
            return self._padded(self.random.choice([f"{value}", f"{value:+}", f"{value:012}"]))
        return "".join(self._character(each) for each in str(value))

    def _word(self, *, value: bool) -> str:
        true, false = ("true", "t", "yes", "y", "on", "1"), ("false", "f", "no", "n", "off", "0")
        return self.random.choice(true if value else false)

    def _cased(self, word: str) -> str:
        return "".join(self.random.choice([each, each.upper()]) for each in word)

    def _padded(self, word: str) -> str:
        space = self.random.choice(["", " ", "\n\t"])
        return f"{space}{word}{space}"

    def _character(self, character: str) -> str:
        """Write a character as itself, as a reference, in a CDATA section, beside a comment."""
        code = ord(character)
        forms = [f"&#{code};", f"&#x{code:x};"]
        if character not in "\r&<>":
            forms += [character] * 4 + [f"<!--x-->{character}"]
            if self.encoding.startswith("UTF"):
                forms.append(f"<![CDATA[{character}]]>")
        if character in "&<>":
            forms += [
                f"<![CDATA[{character}]]>",
                {"&": "&amp;", "<": "&lt;", ">": "&gt;"}[character],
            ]
        return self.random.choice(forms)


dialects = st.builds(
    Dialect,
    random=st.randoms(use_true_random=False),
    prefix=st.sampled_from(["con", "ns0", "x-1.2_", "é", "impl"]),
    encoding=st.sampled_from(["UTF-8", "UTF-16", "ISO-8859-1", "US-ASCII"]),
    qualified=st.booleans(),
).filter(lambda dialect: dialect.prefix != "é" or dialect.encoding != "US-ASCII")
