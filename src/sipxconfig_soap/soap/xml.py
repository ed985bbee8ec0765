"""Bytes of a request into a small tree of elements, by expat, within hard limits.

Nothing is expanded and nothing is fetched: a DOCTYPE or a processing instruction ends the reading
at its first byte, and so does an element too many (wire.md §3). Comments and attributes other than
those that mean something to SOAP are dropped on the way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn
from xml.parsers import expat

from sipxconfig_soap.soap.charset import encoding_of
from sipxconfig_soap.soap.faults import Fault, client_fault
from sipxconfig_soap.values import trim

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Attributes = Mapping[tuple[str, str], str]

MAX_DEPTH = 64
"""Elements inside one another, the envelope counted."""

MAX_ELEMENTS = 100_000
"""Elements in one request."""

_XML = "http://www.w3.org/XML/1998/namespace"
_XSI_NIL = ("http://www.w3.org/2001/XMLSchema-instance", "nil")
_MEANINGFUL = frozenset({"nil", "mustUnderstand", "actor", "role"})
"""Local names of the attributes that are kept."""

_NOTHING: Sequence[tuple[str, str | None]] = ()
_NO_ATTRIBUTES: Attributes = {}


class Element:
    """One element: its name, its text, its children and the attributes that SOAP knows.

    Attributes:
        namespace: the URI, or "" for none.
        name: the local name.
        attributes: those in a namespace that may mean something, by URI and local name.
        children: the child elements in document order.
        text: all character data directly inside, joined.
    """

    __slots__ = ("attributes", "children", "name", "namespace", "text")

    def __init__(self, namespace: str, name: str, attributes: Attributes) -> None:
        self.namespace = namespace
        self.name = name
        self.attributes = attributes
        self.children: list[Element] = []
        self.text = ""

    @property
    def nil(self) -> bool:
        """Whether the element carries ``xsi:nil`` with a true value."""
        return bool(self.attributes) and trim(self.attributes.get(_XSI_NIL, "")) in ("true", "1")

    @property
    def has_text(self) -> bool:
        """Whether there is anything but white space between the children."""
        return bool(trim(self.text))


class _Namespaces:
    """What prefixes stand for, at the place that has been reached.

    Expat could resolve them too, but it copies the URI for every name that has it: a long URI and
    many names in one request would fill the memory.
    """

    def __init__(self) -> None:
        self._bound = {"": "", "xml": _XML}
        self._shadowed: list[Sequence[tuple[str, str | None]]] = []

    def enter(self, attributes: Mapping[str, str]) -> None:
        """Take over the declarations of an element."""
        if not attributes:
            self._shadowed.append(_NOTHING)
            return
        shadowed: list[tuple[str, str | None]] = []
        for name, uri in attributes.items():
            head, colon, prefix = name.partition(":")
            if head == "xmlns":
                if colon and (not uri or not prefix or ":" in prefix):
                    raise _malformed(f"'{name[:100]}' declares no prefix")
                shadowed.append((prefix, self._bound.get(prefix)))
                self._bound[prefix] = uri
        self._shadowed.append(shadowed)

    def leave(self) -> None:
        """Forget the declarations of the element that ends."""
        for prefix, uri in self._shadowed.pop():
            if uri is None:
                del self._bound[prefix]
            else:
                self._bound[prefix] = uri

    def element(self, name: str) -> tuple[str, str]:
        """URI and local name of an element."""
        return self._prefixed(name) if ":" in name else (self._bound[""], name)

    def meaningful(self, attributes: Mapping[str, str]) -> Attributes:
        """The attributes of an element that are kept; the prefixes of all must be declared."""
        kept = {}
        for name, value in attributes.items():
            if ":" in name and not name.startswith("xmlns:"):
                expanded = self._prefixed(name)
                if expanded[1] in _MEANINGFUL:
                    kept[expanded] = value
        return kept

    def _prefixed(self, name: str) -> tuple[str, str]:
        prefix, _, local = name.partition(":")
        uri = self._bound.get(prefix) if prefix else None
        if uri is None or not local or ":" in local:
            raise _malformed(f"'{name[:100]}' has no prefix that is declared")
        return uri, local


class _TreeBuilder:
    """The handlers that expat calls."""

    def __init__(self) -> None:
        self.document = Element("", "", {})
        self._open = [self.document]
        self._texts: list[list[str]] = []
        self._namespaces = _Namespaces()
        self._count = 0

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        self._count += 1
        if self._count > MAX_ELEMENTS:
            raise client_fault(f"The request has more than {MAX_ELEMENTS} elements")
        if len(self._open) > MAX_DEPTH:
            raise client_fault(f"The request nests elements deeper than {MAX_DEPTH}")
        self._namespaces.enter(attributes)
        namespace, name = self._namespaces.element(tag)
        kept = self._namespaces.meaningful(attributes) if attributes else _NO_ATTRIBUTES
        element = Element(namespace, name, kept)
        self._open[-1].children.append(element)
        self._open.append(element)
        self._texts.append([])

    def end(self, _tag: str) -> None:
        self._open.pop().text = "".join(self._texts.pop())
        self._namespaces.leave()

    def text(self, data: str) -> None:
        self._texts[-1].append(data)

    def doctype(self, *_args: object) -> NoReturn:
        raise client_fault("A DOCTYPE is not allowed in a request")

    def instruction(self, *_args: object) -> NoReturn:
        raise client_fault("A processing instruction is not allowed in a request")


def _malformed(reason: str) -> Fault:
    return client_fault(f"The request is not well-formed XML: {reason}")


def parse(body: bytes, charset: str | None = None) -> Element:
    """Read a request into its root element.

    Args:
        body: the unpacked bytes as they came.
        charset: the charset of the Content-Type header, if it names one.

    Raises:
        Fault: Client, for everything that wire.md §3 does not let through.
    """
    if not body:
        raise client_fault("The request is empty: send a SOAP envelope")
    parser = expat.ParserCreate(encoding_of(body, charset))
    parser.buffer_text = True
    builder = _TreeBuilder()
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.text
    parser.StartDoctypeDeclHandler = builder.doctype
    parser.ProcessingInstructionHandler = builder.instruction
    try:
        parser.Parse(body, True)  # noqa: FBT003 - expat has no other way
    except expat.ExpatError as error:
        reason = expat.ErrorString(error.code)
        raise _malformed(f"{reason} (line {error.lineno}, column {error.offset + 1})") from None
    (root,) = builder.document.children
    return root
