"""WSDLs compared by what they mean, and the differences the specification allows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lxml import etree

if TYPE_CHECKING:
    from collections.abc import Mapping

NAMESPACES = {
    "impl": "http://www.sipfoundry.org/2007/08/21/ConfigService",
    "wsdl": "http://schemas.xmlsoap.org/wsdl/",
    "wsdlsoap": "http://schemas.xmlsoap.org/wsdl/soap/",
    "xsd": "http://www.w3.org/2001/XMLSchema",
}
_XSD_ELEMENT = f"{{{NAMESPACES['xsd']}}}element"
_MESSAGE = f"{{{NAMESPACES['wsdl']}}}message"
_DEFAULTS = {"maxOccurs": "1", "minOccurs": "1", "nillable": "false"}
_QUALIFIED = ("binding", "element", "message", "type")


def select(node: etree._Element, path: str, **variables: str) -> list[Any]:
    """What an XPath finds, which may use the prefixes of `NAMESPACES`."""
    xpath: Any = node.xpath  # its result has too many types to name
    return list(xpath(path, namespaces=NAMESPACES, **variables))


def attributes_of(element: etree._Element) -> dict[str, str]:
    """The attributes as they count: defaults added, prefixes resolved, the address left out."""
    attributes = dict(_DEFAULTS) if element.tag == _XSD_ELEMENT else {}
    for name, value in element.attrib.items():
        if name in _QUALIFIED:
            prefix, _, local = str(value).rpartition(":")
            attributes[str(name)] = f"{{{element.nsmap[prefix or None]}}}{local}"
        elif name != "location":
            attributes[str(name)] = str(value)
    return attributes


def meaning(element: etree._Element, depth: int = 0) -> list[str]:
    """All of a WSDL but what wire.md §2 says has no meaning, one line for each element.

    Left out: the XML declaration, comments, white space, the order of messages, the address.
    """
    words = [f"{name}={value}" for name, value in sorted(attributes_of(element).items())]
    if depth == 0:
        words += [f"xmlns:{prefix}={uri}" for prefix, uri in sorted(element.nsmap.items(), key=str)]
    texts = [element.text, *(child.tail for child in element)]
    words += [text.strip() for text in texts if text and text.strip()]
    children = [child for child in element if isinstance(child.tag, str)]
    messages = sorted((c for c in children if c.tag == _MESSAGE), key=lambda c: str(c.get("name")))
    others = [child for child in children if child.tag != _MESSAGE]
    lines = [f"{'  ' * depth}{element.tag} {' '.join(words)}".rstrip()]
    for child in (*messages, *others):
        lines += meaning(child, depth + 1)
    return lines


@dataclass(frozen=True)
class Changed:
    """A local element of a complex type that the generated WSDL declares otherwise."""

    type_name: str
    element: str
    attributes: Mapping[str, str]

    def apply(self, document: etree._Element) -> None:
        """Make the documented WSDL have this difference; it must not have it already."""
        (element,) = select(
            document,
            "//xsd:complexType[@name=$type]/xsd:sequence/xsd:element[@name=$element]",
            type=self.type_name,
            element=self.element,
        )
        for name, value in self.attributes.items():
            assert attributes_of(element)[name] != value, f"{self} is no difference"
            element.set(name, value)


@dataclass(frozen=True)
class Added:
    """Elements that the generated WSDL has in addition, as the last ones in their parent."""

    parent: str
    xml: str

    def apply(self, document: etree._Element) -> None:
        """Make the documented WSDL have this difference."""
        (parent,) = select(document, self.parent)
        declarations = " ".join(f'xmlns:{prefix}="{uri}"' for prefix, uri in NAMESPACES.items())
        parent.extend(list(etree.fromstring(f"<added {declarations}>{self.xml}</added>")))
