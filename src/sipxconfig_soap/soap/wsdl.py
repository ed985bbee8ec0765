"""Generates the WSDL 1.1 document of a service from its Spyne types and its operations.

Prefixes, order and spelling of the attributes are those of the documented WSDLs, so that a
``diff -w`` against them shows little more than the differences listed in wire.md §2.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import quote
from xml.sax.saxutils import quoteattr

from sipxconfig_soap.soap.names import is_array, item_name
from sipxconfig_soap.soap.types import NS

from spyne.model.complex import ComplexModelBase  # isort: skip  types makes Spyne importable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from sipxconfig_soap.soap.names import ArrayNames
    from sipxconfig_soap.soap.service import Operation

_XSD = "http://www.w3.org/2001/XMLSchema"
_NAMESPACES = {
    "xmlns:apachesoap": "http://xml.apache.org/xml-soap",
    "xmlns:impl": NS,
    "xmlns:intf": NS,
    "xmlns:wsdl": "http://schemas.xmlsoap.org/wsdl/",
    "xmlns:wsdlsoap": "http://schemas.xmlsoap.org/wsdl/soap/",
    "xmlns:xsd": _XSD,
}
"""As documented; ``apachesoap`` and ``intf`` are declared there without being used."""

_HTTP_TRANSPORT = "http://schemas.xmlsoap.org/soap/http"
_SERVICE = "ConfigImplService"

_ADDRESS = "\0"
"""Stands for the address in the part that is built once: XML cannot hold this character."""

_NOT_IN_A_URL = re.compile(r'[\x00-\x20"<>\x7f\ud800-\udfff\ufffe\uffff]')


def wsdl_document(
    service_name: str, operations: Sequence[Operation], address: str, array_names: ArrayNames
) -> bytes:
    """The WSDL of a service that answers at an address (wire.md §2).

    Args:
        service_name: of the service (``UserService``): its port, and the stem of its binding.
        operations: in the order in which they are listed.
        address: the public URL of the service. It may stem from a request's ``Host`` header:
            what XML or a URL cannot hold is percent-encoded.
        array_names: how the items of lists are called (wire.md §4).
    """
    before, after = _parts(service_name, tuple(operations), array_names)
    url = _NOT_IN_A_URL.sub(lambda character: quote(character[0], errors="replace"), address)
    return before + url.replace("&", "&amp;").encode() + after


@cache
def _parts(
    service_name: str, operations: tuple[Operation, ...], names: ArrayNames
) -> tuple[bytes, bytes]:
    """All that does not depend on the request: the bytes before and after the address."""
    content = [
        *_element("wsdl:types", {}, _schema(operations, names)),
        *(line for operation in operations for line in _messages(operation)),
        *_port_type(service_name, operations),
        *_binding(service_name, operations),
        *_service(service_name),
    ]
    root = _element("wsdl:definitions", {"targetNamespace": NS, **_NAMESPACES}, content)
    text = "\n".join(['<?xml version="1.0" encoding="UTF-8"?>', *root, ""])
    before, _, after = text.encode().partition(_ADDRESS.encode())
    return before, after


def _element(tag: str, attributes: dict[str, str], content: Iterable[str] = ()) -> Iterator[str]:
    """The lines of one element, those of its content indented."""
    start = " ".join([tag, *(f"{name}={quoteattr(value)}" for name, value in attributes.items())])
    lines = [f"  {line}" for line in content]
    if not lines:
        yield f"<{start} />"
        return
    yield f"<{start}>"
    yield from lines
    yield f"</{tag}>"


def _schema(operations: tuple[Operation, ...], names: ArrayNames) -> Iterator[str]:
    """The schema with all types that the operations reach, each after those it is made of."""
    messages = {
        message.get_type_name(): message
        for operation in operations
        for message in (operation.input, operation.output)
        if message is not None
    }
    content: list[str] = []
    known: set[str] = set()
    for name, message in messages.items():
        for kind in _with_dependencies(message, known):
            content += _complex_type(kind, names)
        content += _element("element", {"name": name, "type": f"impl:{name}"})
    return _element("schema", {"targetNamespace": NS, "xmlns": _XSD}, content)


def _with_dependencies(kind: type[Any], known: set[str]) -> Iterator[type[Any]]:
    """A complex type after the types of its members, without those already ``known``."""
    if kind.get_type_name() in known:
        return
    known.add(kind.get_type_name())
    for member in kind.get_flat_type_info(kind).values():
        if issubclass(member, ComplexModelBase):
            yield from _with_dependencies(member, known)
    yield kind


def _complex_type(kind: type[Any], names: ArrayNames) -> Iterator[str]:
    """A named complex type: a sequence of local elements."""
    members = (
        line
        for name, member in kind.get_flat_type_info(kind).items()
        for line in _element(
            "element", _occurrence(item_name(kind, names) if is_array(kind) else name, member)
        )
    )
    return _element(
        "complexType", {"name": kind.get_type_name()}, _element("sequence", {}, members)
    )


def _occurrence(name: str, member: type[Any]) -> dict[str, str]:
    """The attributes of a local element; defaults are left out where the documentation does."""
    least, most = member.Attributes.min_occurs, member.Attributes.max_occurs
    attributes: dict[str, str] = {}
    if (least, most) != (1, 1):
        attributes["maxOccurs"] = str(most) if most < float("inf") else "unbounded"
    if least != 1:
        attributes["minOccurs"] = str(least)
    attributes["name"] = name
    if member.Attributes.nillable:
        attributes["nillable"] = "true"
    prefix = "impl" if issubclass(member, ComplexModelBase) else "xsd"
    attributes["type"] = f"{prefix}:{member.get_type_name()}"
    return attributes


def _messages(operation: Operation) -> Iterator[str]:
    """Request and response; without input or output they are there, but have no part."""
    for suffix, message in (("Request", operation.input), ("Response", operation.output)):
        parts: Iterable[str] = ()
        if message is not None:
            element = message.get_type_name()
            parts = _element("wsdl:part", {"element": f"impl:{element}", "name": element})
        yield from _element("wsdl:message", {"name": operation.name + suffix}, parts)


def _port_type(service_name: str, operations: tuple[Operation, ...]) -> Iterator[str]:
    content: list[str] = []
    for operation in operations:
        attributes = {"name": operation.name}
        if operation.element is not None:
            attributes["parameterOrder"] = operation.element
        request, response = f"{operation.name}Request", f"{operation.name}Response"
        content += _element(
            "wsdl:operation",
            attributes,
            (
                *_element("wsdl:input", {"message": f"impl:{request}", "name": request}),
                *_element("wsdl:output", {"message": f"impl:{response}", "name": response}),
            ),
        )
    return _element("wsdl:portType", {"name": service_name}, content)


def _binding(service_name: str, operations: tuple[Operation, ...]) -> Iterator[str]:
    content = [*_element("wsdlsoap:binding", {"style": "document", "transport": _HTTP_TRANSPORT})]
    for operation in operations:
        body = [*_element("wsdlsoap:body", {"use": "literal"})]
        content += _element(
            "wsdl:operation",
            {"name": operation.name},
            (
                *_element("wsdlsoap:operation", {"soapAction": ""}),
                *_element("wsdl:input", {"name": f"{operation.name}Request"}, body),
                *_element("wsdl:output", {"name": f"{operation.name}Response"}, body),
            ),
        )
    return _element(
        "wsdl:binding",
        {"name": f"{service_name}SoapBinding", "type": f"impl:{service_name}"},
        content,
    )


def _service(service_name: str) -> Iterator[str]:
    port = _element(
        "wsdl:port",
        {"binding": f"impl:{service_name}SoapBinding", "name": service_name},
        _element("wsdlsoap:address", {"location": _ADDRESS}),
    )
    return _element("wsdl:service", {"name": _SERVICE}, port)
