"""Calling operations: the envelope around a body, and the answer taken apart.

Every answer is checked on the way: its envelope to the byte, its body against the schema of the
WSDL that the same server publishes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape

from lxml import etree

from tests.support.schema import schema_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tests.support.client import Client, Response

NS = "http://www.sipfoundry.org/2007/08/21/ConfigService"
ENVELOPE11 = "http://schemas.xmlsoap.org/soap/envelope/"
XSI_NIL = "{http://www.w3.org/2001/XMLSchema-instance}nil"

HEAD = (
    '<?xml version="1.0" encoding="UTF-8"?><soapenv:Envelope '
    f'xmlns:soapenv="{ENVELOPE11}" xmlns:xsd="http://www.w3.org/2001/XMLSchema" '
    'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><soapenv:Body>'
).encode()
TAIL = b"</soapenv:Body></soapenv:Envelope>"


@dataclass(frozen=True)
class Problem:
    """One entry of a fault's detail."""

    code: str
    field: str | None = None
    value: str | None = None
    entity: str | None = None


class SoapFault(AssertionError):
    """The server answered with a fault."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.text)
        self.status = response.status
        self.response = response
        body = etree.fromstring(response.body)
        self.code = body.findtext(".//faultcode")
        self.text = body.findtext(".//faultstring") or ""
        self.problems = [
            Problem(**{str(name): str(value) for name, value in error.attrib.items()})
            for error in body.iterfind(".//detail/{*}error")
        ]

    @property
    def codes(self) -> list[str]:
        """The codes of all problems, in their order."""
        return [problem.code for problem in self.problems]


def envelope(body: str) -> bytes:
    """A SOAP 1.1 request around the content of its Body."""
    return (
        f'<soapenv:Envelope xmlns:soapenv="{ENVELOPE11}" xmlns:con="{NS}" '
        'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">'
        f"<soapenv:Body>{body}</soapenv:Body></soapenv:Envelope>"
    ).encode()


def element(name: str, value: Any) -> str:
    """Write a value as the element of this name.

    A mapping becomes children, a list repeated elements, None a nil element, a boolean the words
    true and false.
    """
    if isinstance(value, list | tuple):
        return "".join(element(name, each) for each in value)
    if value is None:
        return f'<{name} xsi:nil="true"/>'
    if isinstance(value, bool):
        value = str(value).lower()
    inside = children(value) if isinstance(value, dict) else escape(str(value))
    return f"<{name}>{inside}</{name}>"


def children(values: Mapping[str, Any]) -> str:
    """Write each entry of a mapping as a child element."""
    return "".join(element(name, value) for name, value in values.items())


class Soap:
    """Calls the operations of a server."""

    def __init__(self, client: Client) -> None:
        self.client = client

    def post(self, service: str, body: bytes, headers: Mapping[str, str] | None = None) -> Response:
        """Send bytes to a service, and check whatever SOAP 1.1 answer comes back."""
        response = self.client.request(
            "POST",
            f"/sipxconfig/services/{service}",
            body,
            {"Content-Type": "text/xml; charset=UTF-8", **(headers or {})},
        )
        if response.headers.get("content-type") == "text/xml; charset=UTF-8":
            self._check(service, response)
        return response

    def call(self, service: str, body: str) -> etree._Element:
        """Call an operation; returns the element in the answer's Body.

        Raises:
            SoapFault: the server answered with a fault.
        """
        response = self.post(service, envelope(body))
        if response.status != 200:
            raise SoapFault(response)
        (content,) = etree.fromstring(response.body)[0]
        return content

    def fault(self, service: str, body: str) -> SoapFault:
        """Call an operation that must be refused; returns the fault."""
        response = self.post(service, envelope(body))
        assert response.status != 200, response.text
        return SoapFault(response)

    def operation(self, service: str, operation: str, values: Mapping[str, Any]) -> Any:
        """Call an operation with its input as a mapping; entities come back as mappings."""
        name = operation[0].upper() + operation[1:]
        content = self.call(service, f"<con:{name}>{children(values)}</con:{name}>")
        return [as_mapping(item) for item in content[0]] if len(content) else None

    def _check(self, service: str, response: Response) -> None:
        assert response.body.startswith(HEAD)
        assert response.body.endswith(TAIL)
        (content,) = etree.fromstring(response.body)[0]
        is_fault = content.tag == f"{{{ENVELOPE11}}}Fault"
        assert is_fault == (response.status != 200)
        if response.status == 200 and (len(content) or "Find" in str(content.tag)):
            self.schema(service).assertValid(etree.fromstring(etree.tostring(content)))

    def schema(self, service: str) -> etree.XMLSchema:
        """The schema of the service's WSDL, as this server publishes it."""
        return _schema(self.client.request("GET", f"/sipxconfig/services/{service}?wsdl").body)


@cache
def _schema(wsdl: bytes) -> etree.XMLSchema:
    return schema_of(wsdl)


REPEATED = frozenset({"aliases", "groups", "permissions", "rings", "lines"})
"""Children that may be repeated, so that a mapping has a list of them."""


def as_mapping(item: etree._Element) -> dict[str, Any]:
    """An entity of an answer; absent and nil elements are not in it."""
    values: dict[str, Any] = {}
    for child in item:
        name = str(child.tag)
        if child.get(XSI_NIL) == "true":
            continue
        value = as_mapping(child) if len(child) else child.text or ""
        if name in REPEATED:
            values.setdefault(name, []).append(value)
        else:
            assert name not in values
            values[name] = value
    return values


def problems(*found: Iterable[str | None]) -> list[Problem]:
    """The problems that a fault is expected to list."""
    return [Problem(*each) for each in found]
