"""Bytes of a request into a small tree of elements, by expat, within hard limits.

Nothing is expanded and nothing is fetched: a DOCTYPE or a processing instruction ends the reading
at its first byte, and so does an element too many (wire.md §3). Namespaces are resolved; comments
and attributes other than those that mean something to SOAP are dropped on the way.
"""

from __future__ import annotations

import codecs
import re
from typing import TYPE_CHECKING, NoReturn
from xml.parsers import expat

from sipxconfig_soap.soap.faults import client_fault
from sipxconfig_soap.values import trim

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_DEPTH = 64
"""Elements inside one another, the envelope counted."""

MAX_ELEMENTS = 100_000
"""Elements in one request."""

XSI_NIL = "http://www.w3.org/2001/XMLSchema-instance nil"

_ENCODINGS = {
    "utf-8": "UTF-8",
    "utf-8-sig": "UTF-8",
    "iso8859-1": "ISO-8859-1",
    "ascii": "US-ASCII",
    "utf-16": "UTF-16",
    "utf-16-le": "UTF-16LE",
    "utf-16-be": "UTF-16BE",
}
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "UTF-8"),
    (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
    (b"<\x00", "UTF-16LE"),
    (b"\x00<", "UTF-16BE"),
)
_DECLARED = re.compile(rb"""\A\s*<\?xml[^>]*?\sencoding\s*=\s*["']([A-Za-z0-9._:-]{1,40})["']""")


class Element:
    """One element: its expanded name, its text, its children and the attributes SOAP knows.

    Attributes:
        namespace: the URI, or "" for none.
        name: the local name.
        attributes: by expanded name (``"uri local"``, or ``"local"`` without a namespace).
        children: the child elements in document order.
        text: all character data directly inside, joined.
    """

    __slots__ = ("attributes", "children", "name", "namespace", "text")

    def __init__(self, expanded: str, attributes: Mapping[str, str]) -> None:
        namespace, _, name = expanded.rpartition(" ")
        self.namespace = namespace
        self.name = name
        self.attributes = attributes
        self.children: list[Element] = []
        self.text = ""

    @property
    def nil(self) -> bool:
        """Whether the element carries ``xsi:nil`` with a true value."""
        return bool(self.attributes) and trim(self.attributes.get(XSI_NIL, "")) in ("true", "1")

    @property
    def has_text(self) -> bool:
        """Whether there is anything but white space between the children."""
        return bool(trim(self.text))


class _TreeBuilder:
    """The handlers that expat calls."""

    def __init__(self) -> None:
        self.root: Element | None = None
        self._open: list[Element] = []
        self._count = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self._count += 1
        if self._count > MAX_ELEMENTS:
            raise client_fault(f"The request has more than {MAX_ELEMENTS} elements")
        element = Element(name, attributes)
        if self._open:
            self._open[-1].children.append(element)
            if len(self._open) >= MAX_DEPTH:
                raise client_fault(f"The request nests elements deeper than {MAX_DEPTH}")
        else:
            self.root = element
        self._open.append(element)

    def end(self, _name: str) -> None:
        self._open.pop()

    def text(self, data: str) -> None:
        element = self._open[-1]
        element.text = element.text + data if element.text else data

    def doctype(self, *_args: object) -> NoReturn:
        raise client_fault("A DOCTYPE is not allowed in a request")

    def instruction(self, *_args: object) -> NoReturn:
        raise client_fault("A processing instruction is not allowed in a request")


def _expat_encoding(name: str) -> str:
    """Translate a charset name into expat's, or refuse it."""
    try:
        known = _ENCODINGS.get(codecs.lookup(name).name)
    except (LookupError, ValueError):
        known = None
    if known is None:
        raise client_fault(
            f"The charset '{name[:40]}' is not supported: use UTF-8, ISO-8859-1, US-ASCII or UTF-16"
        )
    return known


def encoding_of(body: bytes, charset: str | None) -> str:
    """The encoding of a request: its header, else byte order mark or declaration, else UTF-8.

    Raises:
        Fault: Client, when the charset is unknown.
    """
    if charset:
        return _expat_encoding(charset)
    for mark, encoding in _BYTE_ORDER_MARKS:
        if body.startswith(mark):
            return encoding
    declared = _DECLARED.match(body[:200])
    return _expat_encoding(declared.group(1).decode("ascii")) if declared else "UTF-8"


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
    parser = expat.ParserCreate(encoding_of(body, charset), " ", {})
    parser.buffer_text = True
    parser.specified_attributes = True
    builder = _TreeBuilder()
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.text
    parser.StartDoctypeDeclHandler = builder.doctype
    parser.ProcessingInstructionHandler = builder.instruction
    try:
        parser.Parse(body, True)  # noqa: FBT003 - expat has no other way
    except expat.ExpatError as error:
        raise client_fault(
            f"The request is not well-formed XML: {expat.errors.messages[error.code]}"
            f" (line {error.lineno}, column {error.offset + 1})"
        ) from None
    if builder.root is None:
        raise client_fault("The request is empty: send a SOAP envelope")
    return builder.root
