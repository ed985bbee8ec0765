"""SOAP faults: their codes, sentences and bytes (wire.md §6)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipxconfig_soap.errors import Problem, Refused, outcome_unknown, summary
from sipxconfig_soap.soap.envelope import SOAP11, SOAP12, escape
from sipxconfig_soap.soap.reply import Reply
from sipxconfig_soap.soap.types import NS

if TYPE_CHECKING:
    from collections.abc import Sequence

CLIENT = "Client"
SERVER = "Server"
USER_EXCEPTION = "Server.userException"
UNAVAILABLE = "Server.unavailable"
MUST_UNDERSTAND = "MustUnderstand"
VERSION_MISMATCH = "VersionMismatch"

RETRY_AFTER = 5
"""Seconds after which a client may try again when the database is away."""

_DETAIL_ATTRIBUTES = ("code", "field", "value", "entity")


class Fault(Exception):
    """A SOAP fault on its way to the client.

    Attributes:
        code: one of the codes above, without the envelope's prefix.
        text: one clear English sentence.
        problems: what ``detail`` lists.
    """

    def __init__(self, code: str, text: str, problems: Sequence[Problem] = ()) -> None:
        super().__init__(text)
        self.code = code
        self.text = text
        self.problems = problems


def client_fault(text: str) -> Fault:
    """A fault for a request that is no call of an operation."""
    return Fault(CLIENT, text + ".")


def refusal(refused: Refused) -> Fault:
    """The fault for input that a known operation refuses."""
    return Fault(USER_EXCEPTION, summary(refused.problems), refused.problems)


def unavailable() -> Fault:
    """The fault while the database is away."""
    return Fault(UNAVAILABLE, "The database is not available at the moment. Try again shortly.")


def unknown() -> Fault:
    """The fault for a change of which nobody knows whether it was made."""
    problem = outcome_unknown()
    return Fault(UNAVAILABLE, problem.sentence, [problem])


def internal(reference: str) -> Fault:
    """The fault for anything unforeseen; ``reference`` stands in the log too."""
    return Fault(SERVER, f"Internal error (reference {reference}).")


def fault_reply(fault: Fault, *, soap12: bool = False) -> Reply:
    """Write a fault in the version of SOAP that the client speaks."""
    version = SOAP12 if soap12 else SOAP11
    body = _soap12_body(fault) if soap12 else _soap11_body(fault)
    content = version.head + body.encode() + version.tail
    # Nobody shall be told to send again what may have been carried out.
    again = fault.code == UNAVAILABLE and not fault.problems
    headers = [("Retry-After", str(RETRY_AFTER))] if again else []
    status = _status(fault, soap12=soap12)
    return Reply(status, version.content_type, (content,), headers=headers, fault=fault.code)


def _status(fault: Fault, *, soap12: bool) -> int:
    if fault.code == UNAVAILABLE:
        return 503
    return 400 if soap12 and fault.code == CLIENT else 500


def _detail(problems: Sequence[Problem]) -> str:
    """One ``error`` element for every problem; what does not apply is left out.

    Its sentence is its text: PHP's SoapFault loses attributes.
    """
    parts = []
    for problem in problems:
        attributes = "".join(
            f' {name}="{escape_on_one_line(value)}"'
            for name in _DETAIL_ATTRIBUTES
            if (value := getattr(problem, name)) is not None
        )
        sentence = escape_on_one_line(problem.sentence)
        parts.append(f'<error xmlns="{NS}"{attributes}>{sentence}</error>')
    return "".join(parts)


def escape_on_one_line(text: str) -> str:
    """Escape a text so that a parser reads it unchanged, and it stays on one line."""
    return escape(text).replace("\t", "&#9;").replace("\n", "&#10;")


def _soap11_body(fault: Fault) -> str:
    detail = _detail(fault.problems)
    return (
        f"<soapenv:Fault><faultcode>soapenv:{fault.code}</faultcode>"
        f"<faultstring>{escape_on_one_line(fault.text)}</faultstring>"
        f"<detail>{detail}</detail></soapenv:Fault>"
    )


def _soap12_body(fault: Fault) -> str:
    main, _, sub = fault.code.partition(".")
    value = {CLIENT: "Sender", SERVER: "Receiver"}.get(main, main)
    subcode = (
        f'<soapenv:Subcode><soapenv:Value xmlns:con="{NS}">con:{sub}</soapenv:Value>'
        "</soapenv:Subcode>"
        if sub
        else ""
    )
    detail = _detail(fault.problems)
    text = escape_on_one_line(fault.text)
    return (
        f"<soapenv:Fault><soapenv:Code><soapenv:Value>soapenv:{value}</soapenv:Value>{subcode}"
        f'</soapenv:Code><soapenv:Reason><soapenv:Text xml:lang="en">{text}'
        "</soapenv:Text></soapenv:Reason>"
        + (f"<soapenv:Detail>{detail}</soapenv:Detail>" if detail else "")
        + "</soapenv:Fault>"
    )
