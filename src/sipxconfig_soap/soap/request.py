"""From a parsed document to the one element that names the operation (wire.md §3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipxconfig_soap.soap.envelope import SOAP11, VERSIONS, SoapVersion
from sipxconfig_soap.soap.faults import MUST_UNDERSTAND, VERSION_MISMATCH, Fault, client_fault
from sipxconfig_soap.soap.reader import local_name, text_of
from sipxconfig_soap.values import is_blank, trim

if TYPE_CHECKING:
    from lxml.etree import _Element


def version_of(root: _Element) -> SoapVersion:
    """Which SOAP the client speaks.

    Raises:
        Fault: VersionMismatch for an envelope of another namespace, Client for no envelope.
    """
    namespace, _, name = root.tag.removeprefix("{").rpartition("}")
    if name != "Envelope":
        raise client_fault(f"The request is no SOAP envelope but an element '{name[:100]}'")
    version = VERSIONS.get(namespace)
    if version is None:
        raise Fault(
            VERSION_MISMATCH,
            f"The envelope's namespace '{namespace[:100]}' is neither SOAP 1.1's"
            f" ({SOAP11.namespace}) nor SOAP 1.2's.",
        )
    return version


def payload_of(root: _Element, version: SoapVersion) -> _Element | None:
    """The only element in the Body, or None for an empty Body.

    Raises:
        Fault: MustUnderstand for a header that asks to be understood, Client for a missing Body
            and for more in it than one element.
    """
    called_header, called_body = f"{{{version.namespace}}}Header", f"{{{version.namespace}}}Body"
    bodies = []
    for child in root:
        if child.tag == called_body:
            bodies.append(child)
        elif child.tag == called_header:
            _check_headers(child, version)
    if not bodies:
        raise client_fault("The envelope has no Body")
    if len(bodies) > 1:
        raise client_fault("The envelope has more than one Body")
    (body,) = bodies
    if not is_blank(text_of(body)):
        raise client_fault("The Body holds text beside its elements")
    if len(body) > 1:
        raise client_fault(f"The Body holds {len(body)} elements: one call at a time")
    return body[0] if len(body) else None


def _check_headers(header: _Element, version: SoapVersion) -> None:
    """Refuse what asks to be understood by us: this server understands no headers."""
    ours = ("", version.next_actor, version.ultimate)
    for entry in header:
        must = trim(entry.get(f"{{{version.namespace}}}mustUnderstand", ""))
        actor = trim(entry.get(f"{{{version.namespace}}}{version.actor}", ""))
        if must in ("1", "true") and actor in ours:
            raise Fault(
                MUST_UNDERSTAND,
                f"The header '{local_name(entry)[:100]}' is not understood by this server.",
            )
