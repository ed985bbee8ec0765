"""The two SOAP envelopes, for reading (which is it?) and for writing (its exact bytes).

The bytes of SOAP 1.1 are those of the original: old scripts read them with regular expressions
(wire.md §4).
"""

from __future__ import annotations

from dataclasses import dataclass

_XSD = "http://www.w3.org/2001/XMLSchema"
XSI = "http://www.w3.org/2001/XMLSchema-instance"
"""The namespace of ``nil`` and ``type``, in answers and in the requests of today."""


def escape(text: str) -> str:
    """Write a text as character data: ``& < > "`` and CR as references, all else as it is."""
    if text.isalnum():
        return text
    # Looking for five characters is quick; translating looks at every one by itself.
    if "&" in text:
        text = text.replace("&", "&amp;")
    if "<" in text:
        text = text.replace("<", "&lt;")
    if ">" in text:
        text = text.replace(">", "&gt;")
    if '"' in text:
        text = text.replace('"', "&quot;")
    if "\r" in text:
        text = text.replace("\r", "&#13;")
    return text


@dataclass(frozen=True, slots=True)
class SoapVersion:
    """One version of SOAP.

    Attributes:
        namespace: of its envelope.
        content_type: of its answers; UTF-8 in upper case, since SOAP4R cannot read the other.
        actor: name of the attribute that addresses a header to somebody.
        next_actor: the URI by which every receiver is meant.
        ultimate: the URI by which the last receiver is meant; "" when it has none.
        head: the bytes of an answer before the Body's content.
        tail: the bytes after it.
    """

    namespace: str
    content_type: str
    actor: str
    next_actor: str
    ultimate: str
    head: bytes
    tail: bytes = b"</soapenv:Body></soapenv:Envelope>"


def _version(
    namespace: str, content_type: str, actor: str, next_actor: str, ultimate: str
) -> SoapVersion:
    head = (
        f'<?xml version="1.0" encoding="UTF-8"?><soapenv:Envelope xmlns:soapenv="{namespace}" '
        f'xmlns:xsd="{_XSD}" xmlns:xsi="{XSI}"><soapenv:Body>'
    )
    return SoapVersion(
        namespace, f"{content_type}; charset=UTF-8", actor, next_actor, ultimate, head.encode()
    )


_NS11 = "http://schemas.xmlsoap.org/soap/envelope/"
_NS12 = "http://www.w3.org/2003/05/soap-envelope"

SOAP11 = _version(_NS11, "text/xml", "actor", "http://schemas.xmlsoap.org/soap/actor/next", "")
SOAP12 = _version(
    _NS12, "application/soap+xml", "role", f"{_NS12}/role/next", f"{_NS12}/role/ultimateReceiver"
)

VERSIONS = {version.namespace: version for version in (SOAP11, SOAP12)}
