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
    _Shadowed = Sequence[tuple[str, str | None]]

MAX_DEPTH = 64
"""Elements inside one another, the envelope counted."""

MAX_ELEMENTS = 100_000
"""Elements in one request."""

_XML = "http://www.w3.org/XML/1998/namespace"
_XMLNS = "http://www.w3.org/2000/xmlns/"
_XSI_NIL = ("http://www.w3.org/2001/XMLSchema-instance", "nil")
_MEANINGFUL = frozenset({"nil", "mustUnderstand", "actor", "role"})
"""Local names of the attributes that are kept."""

_NOTHING: _Shadowed = ()
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
        self.bound = {"": "", "xml": _XML}

    def enter(self, attributes: Mapping[str, str]) -> _Shadowed:
        """Take over the declarations of an element; returns what they hide."""
        shadowed: list[tuple[str, str | None]] = []
        for name, uri in attributes.items():
            head, colon, prefix = name.partition(":")
            if head == "xmlns":
                reserved = prefix == "xmlns" or uri == _XMLNS or (prefix == "xml") != (uri == _XML)
                if reserved or (colon and (not uri or not prefix or ":" in prefix)):
                    raise _malformed(f"'{name[:100]}' declares no prefix")
                shadowed.append((prefix, self.bound.get(prefix)))
                self.bound[prefix] = uri
        return shadowed

    def leave(self, shadowed: _Shadowed) -> None:
        """Forget the declarations of an element that ends."""
        for prefix, uri in shadowed:
            if uri is None:
                del self.bound[prefix]
            else:
                self.bound[prefix] = uri

    def meaningful(self, attributes: Mapping[str, str]) -> Attributes:
        """The attributes of an element that are kept; the prefixes of all must be declared."""
        qualified = {}
        for name, value in attributes.items():
            if ":" in name and not name.startswith("xmlns:"):
                expanded = self.expanded(name)
                if expanded in qualified:
                    raise _malformed(f"'{name[:100]}' stands twice, by two prefixes")
                qualified[expanded] = value
        return {name: value for name, value in qualified.items() if name[1] in _MEANINGFUL}

    def expanded(self, name: str) -> tuple[str, str]:
        """URI and local name of a name with a prefix."""
        prefix, _, local = name.partition(":")
        uri = self.bound.get(prefix) if prefix else None
        if uri is None or not local or ":" in local:
            raise _malformed(f"'{name[:100]}' has no prefix that is declared")
        return uri, local


class _TreeBuilder:
    """The handlers that expat calls."""

    def __init__(self) -> None:
        self._element = self.document = Element("", "", {})
        # The elements around the current one: each with where its texts begin, and what it hides.
        self._open: list[tuple[Element, int, _Shadowed]] = []
        self._texts: list[str] = []
        self._namespaces = _Namespaces()
        self._count = 0

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        self._count += 1
        if self._count > MAX_ELEMENTS:
            raise client_fault(f"The request has more than {MAX_ELEMENTS} elements")
        if len(self._open) >= MAX_DEPTH:
            raise client_fault(f"The request nests elements deeper than {MAX_DEPTH}")
        shadowed = _NOTHING
        kept = _NO_ATTRIBUTES
        namespaces = self._namespaces
        if attributes:
            shadowed = namespaces.enter(attributes)
            kept = namespaces.meaningful(attributes)
        namespace, name = namespaces.expanded(tag) if ":" in tag else (namespaces.bound[""], tag)
        element = Element(namespace, name, kept)
        self._element.children.append(element)
        self._open.append((self._element, len(self._texts), shadowed))
        self._element = element

    def end(self, _tag: str) -> None:
        element = self._element
        self._element, begin, shadowed = self._open.pop()
        texts = self._texts
        if len(texts) > begin:
            element.text = "".join(texts[begin:])
            del texts[begin:]
        if shadowed:
            self._namespaces.leave(shadowed)

    def text(self, data: str) -> None:
        self._texts.append(data)

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
