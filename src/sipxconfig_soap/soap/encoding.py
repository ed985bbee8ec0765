"""What clients of SOAP encoding and of old XML Schemas send, in the words that the reader knows.

SOAPpy, SOAP::Lite, PHP and the RPC stubs of Axis write shared values as references, lists as
arrays, and null in the way of 1999. Few requests are such, so the reader knows little of it: the
call of such a request is written anew, without namespaces, and the limits count what results
(wire.md §3).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from lxml import etree

from sipxconfig_soap.errors import VALUE_LIMIT
from sipxconfig_soap.soap.envelope import XSI
from sipxconfig_soap.soap.faults import client_fault
from sipxconfig_soap.soap.reader import (
    ARRAY,
    ARRAY_ITEMS,
    BASE64,
    XSI_NIL,
    XSI_TYPE,
    is_nil,
    local_name,
    text_of,
)
from sipxconfig_soap.soap.references import SOAP12_ENCODING, References, circle, reference_of
from sipxconfig_soap.soap.xml import DEEP, MANY, MAX_DEPTH, MAX_ELEMENTS
from sipxconfig_soap.values import is_blank, trim

if TYPE_CHECKING:
    from lxml.etree import _Element

    from sipxconfig_soap.soap.envelope import SoapVersion

_SIGNS = (
    b"href",
    SOAP12_ENCODING.encode(),  # all attributes of SOAP 1.2 have it
    b"rray",  # Array and arrayType
    b"base64",
    b"/1999/XMLSchema-instance",
    b"/2000/10/XMLSchema-instance",
    b"\0",  # UTF-16, in which the others do not show
)
_OLD_XSI = (
    "{http://www.w3.org/1999/XMLSchema-instance}",
    "{http://www.w3.org/2000/10/XMLSchema-instance}",
)
_TYPES = (XSI_TYPE, *(f"{xsi}type" for xsi in _OLD_XSI))
_OLD_NILS = tuple(f"{xsi}{name}" for xsi in _OLD_XSI for name in ("nil", "null"))
_ENCODING = "http://schemas.xmlsoap.org/soap/encoding/"
_ARRAY_MARKS = (
    f"{{{_ENCODING}}}arrayType",
    f"{{{SOAP12_ENCODING}}}itemType",
    f"{{{SOAP12_ENCODING}}}arraySize",
)
_NODE_TYPE = f"{{{SOAP12_ENCODING}}}nodeType"
_SCHEMAS = frozenset(f"http://www.w3.org/{date}/XMLSchema" for date in ("1999", "2000/10", "2001"))
_MEANINGS = {
    "Array": (ARRAY, {_ENCODING, SOAP12_ENCODING}),
    "base64": (BASE64, {_ENCODING, SOAP12_ENCODING}),
    "base64Binary": (BASE64, {_ENCODING, SOAP12_ENCODING, *_SCHEMAS}),
}
"""What the name of a type means, in which namespaces."""

_CALL = 3
"""The depth at which the call stands."""

_MAX_LOOK_UPS = 1_000_000
"""Namespaces that may be looked through for those of types, long ones counted several times."""


def is_encoded(body: bytes) -> bool:
    """Whether there may be something to translate in a request."""
    return any(map(body.__contains__, _SIGNS))


def translate(root: _Element, version: SoapVersion, limit: int) -> None:
    """Write the call of a request anew, in place.

    Args:
        root: the envelope.
        version: its SOAP.
        limit: bytes that the call may have, written out.

    Raises:
        Fault: Client, for references that cannot be followed, for arrays of text, and for what
            exceeds a limit.
    """
    for body in root.iterchildren(f"{{{version.namespace}}}Body"):
        references = References(body)
        # Of several calls none is carried out, nor of any text beside: that is seen later.
        body.text = text_of(body)
        calls = references.calls
        if len(calls) == 1:
            around = sum(1 for _ in root.iter()) - sum(1 for _ in body.iterdescendants())
            calls = [_Translation(references, limit, around).call(calls[0])]
        if len(calls) <= 1:
            references.check_all_followed()
        body[:] = calls


class _Sent(NamedTuple):
    """What counts of an element as it was sent.

    Attributes:
        name: without namespace.
        reference: the id of the element that it stands for, if it is a reference.
        nil: whether it is null, by any XML Schema.
        kind: ARRAY, BASE64 or None.
        text: directly inside.
    """

    name: str
    reference: str | None
    nil: bool
    kind: str | None
    text: str


class _Translation:
    """Writes one call.

    Args:
        references: of its Body.
        limit: bytes that it may have.
        elements: what else counts, outside the Body.
    """

    def __init__(self, references: References, limit: int, elements: int) -> None:
        self._references = references
        self._limit = limit
        self._elements = elements
        self._bytes = 0
        self._look_ups = 0
        # Each is read once, however long it is and however often it is referred to.
        self._sent: dict[_Element, _Sent] = {}
        self._inside: set[str] = set()

    def call(self, element: _Element) -> _Element:
        """The call that is meant by an element of the Body."""
        anchor = etree.Element("Body", nsmap={"xsi": XSI})
        self._write(anchor, local_name(element), element, _CALL)
        return anchor[0]

    def _write(
        self, parent: _Element, name: str, element: _Element, depth: int, items: int = 0
    ) -> None:
        """Append what is meant by an element, under its own name or that of its array.

        Args:
            parent: what it is appended to.
            name: what it is called there.
            element: as it was sent.
            depth: at which it stands.
            items: that its array holds, 0 outside of arrays.
        """
        sent = self._read(element)
        reference = sent.reference
        if reference is not None:
            reference, element = self._references.end_of(reference)
            if reference in self._inside:
                raise circle(reference)
            self._inside.add(reference)
            sent = self._read(element)
        self._count(name, sent.text, depth)
        is_array = sent.kind == ARRAY and not sent.nil and depth > _CALL
        if is_array and len(element):
            # Of arrays in arrays, the outer one counts that holds several.
            count = items if items > 1 else len(element)
            for member in element:
                self._write(parent, name, member, depth + 1, count)
        elif is_array and not is_blank(sent.text):
            raise client_fault(f"The array '{name[:VALUE_LIMIT]}' has text instead of items")
        else:
            written = _append(parent, name, sent, items)
            for child in element:
                self._write(written, self._read(child).name, child, depth + 1)
        if reference is not None:
            self._inside.remove(reference)

    def _count(self, name: str, text: str, depth: int) -> None:
        """Hold the limits, as if the request had been written without references."""
        self._elements += 1
        self._bytes += len(f"<{name}/>{text}".encode())
        if depth > MAX_DEPTH:
            raise client_fault(DEEP)
        if self._elements > MAX_ELEMENTS:
            raise client_fault(MANY)
        if self._bytes > self._limit:
            what = "The request is larger than"
            raise client_fault(f"{what} {self._limit} bytes with its references followed")

    def _read(self, element: _Element) -> _Sent:
        sent = self._sent.get(element)
        if sent is None:
            sent = self._sent[element] = _Sent(
                local_name(element),
                reference_of(element),
                _is_nil(element),
                self._kind(element),
                text_of(element),
            )
        return sent

    def _kind(self, element: _Element) -> str | None:
        """Whether an element says that it is an array, or a text in base64."""
        if not element.attrib:
            return None
        if any(element.get(mark) is not None for mark in _ARRAY_MARKS):
            return ARRAY
        # SOAP 1.2, part 2, §3.1.7: it may also be simple or struct, which change nothing.
        if trim(element.get(_NODE_TYPE, "")) == "array":
            return ARRAY
        for attribute in _TYPES:
            prefix, _, name = trim(element.get(attribute, "")).rpartition(":")
            if name in _MEANINGS:
                kind, namespaces = _MEANINGS[name]
                if self._namespaces(element).get(prefix or None) in namespaces:
                    return kind
        return None

    def _namespaces(self, element: _Element) -> dict[str | None, str]:
        """All that are in scope, by prefix; lxml has no other way to look one up."""
        known = element.nsmap
        self._look_ups += sum(1 + len(uri) // 1000 for uri in known.values())
        if self._look_ups > _MAX_LOOK_UPS:
            raise client_fault("The request has types beside too many namespaces")
        return known


def _append(parent: _Element, name: str, sent: _Sent, items: int) -> _Element:
    """Write an element without its children, in the words that the reader knows."""
    written = etree.SubElement(parent, name)
    written.text = sent.text
    if sent.nil:
        written.set(XSI_NIL, "true")
    if sent.kind is not None:
        written.set(XSI_TYPE, sent.kind)
    if items:
        written.set(ARRAY_ITEMS, str(items))
    return written


def _is_nil(element: _Element) -> bool:
    """Whether an element is null, by any XML Schema."""
    return bool(element.attrib) and (
        is_nil(element) or any(trim(element.get(name, "")) in ("true", "1") for name in _OLD_NILS)
    )
