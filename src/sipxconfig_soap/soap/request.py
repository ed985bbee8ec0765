"""From a parsed document to the one element that names the operation (wire.md §3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipxconfig_soap.soap.envelope import SOAP11, VERSIONS, SoapVersion
from sipxconfig_soap.soap.faults import MUST_UNDERSTAND, VERSION_MISMATCH, Fault, client_fault
from sipxconfig_soap.values import trim

if TYPE_CHECKING:
    from sipxconfig_soap.soap.xml import Element


def version_of(root: Element) -> SoapVersion:
    """Which SOAP the client speaks.

    Raises:
        Fault: VersionMismatch for an envelope of another namespace, Client for no envelope.
    """
    if root.name != "Envelope":
        raise client_fault(f"The request is no SOAP envelope but an element '{root.name[:100]}'")
    version = VERSIONS.get(root.namespace)
    if version is None:
        raise Fault(
            VERSION_MISMATCH,
            f"The envelope's namespace '{root.namespace[:100]}' is neither SOAP 1.1's"
            f" ({SOAP11.namespace}) nor SOAP 1.2's.",
        )
    return version


def payload_of(root: Element, version: SoapVersion) -> Element | None:
    """The only element in the Body, or None for an empty Body.

    Raises:
        Fault: MustUnderstand for a header that asks to be understood, Client for a missing Body
            and for more in it than one element.
    """
    body = None
    for part in root.children:
        if part.namespace != version.namespace:
            continue
        if part.name == "Header":
            _check_headers(part, version)
        elif part.name == "Body":
            if body is not None:
                raise client_fault("The envelope has more than one Body")
            body = part
    if body is None:
        raise client_fault("The envelope has no Body")
    if body.has_text:
        raise client_fault("The Body holds text beside its elements")
    if len(body.children) > 1:
        raise client_fault(f"The Body holds {len(body.children)} elements: one call at a time")
    return body.children[0] if body.children else None


def _check_headers(header: Element, version: SoapVersion) -> None:
    """Refuse what asks to be understood by us: this server understands no headers."""
    ours = ("", version.next_actor, version.ultimate)
    for entry in header.children:
        must = trim(entry.attributes.get((version.namespace, "mustUnderstand"), ""))
        actor = trim(entry.attributes.get((version.namespace, version.actor), ""))
        if must in ("1", "true") and actor in ours:
            raise Fault(
                MUST_UNDERSTAND,
                f"The header '{entry.name[:100]}' is not understood by this server.",
            )
