"""Requests in SOAP 1.2, and the form of their answers and faults (wire.md §6)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from lxml import etree

from sipxconfig_soap.db import Database
from tests.support.client import Client
from tests.support.messages import add_user, stock
from tests.support.soap import HEAD, NS, TAIL, Soap, SoapFault, envelope

if TYPE_CHECKING:
    from sipxconfig_soap.settings import Settings


@pytest.fixture
def stocked(soap: Soap) -> Soap:
    return stock(soap)


ENVELOPE12 = "http://www.w3.org/2003/05/soap-envelope"
HEAD12 = HEAD.replace(b"http://schemas.xmlsoap.org/soap/envelope/", ENVELOPE12.encode())


def post12(soap: Soap, inside: str, service: str = "UserService") -> tuple[int, str, str]:
    """Send an Envelope of SOAP 1.2; returns status, Content-Type and the Body's bytes."""
    document = (
        f'<e:Envelope xmlns:e="{ENVELOPE12}" xmlns:con="{NS}">{inside}</e:Envelope>'
    ).encode()
    response = soap.post(service, document, {"Content-Type": "application/soap+xml"})
    assert response.body.startswith(HEAD12)
    assert response.body.endswith(TAIL)
    etree.fromstring(response.body)
    body = response.body[len(HEAD12) : -len(TAIL)].decode()
    return response.status, response.headers["content-type"], body


SOAP12 = "application/soap+xml; charset=UTF-8"


def test_soap_1_2_is_answered_in_soap_1_2(soap: Soap) -> None:
    call = "<e:Body><con:FindUser><search/></con:FindUser></e:Body>"
    assert post12(soap, call) == (
        200,
        SOAP12,
        f'<FindUserResponse xmlns="{NS}"><users xmlns=""/></FindUserResponse>',
    )


@pytest.mark.parametrize("content_type", ["text/xml", "application/xml", ""])
def test_the_envelope_and_not_the_content_type_says_which_soap_it_is(
    soap: Soap, content_type: str
) -> None:
    body = f'<e:Envelope xmlns:e="{ENVELOPE12}"><e:Body><FindUser/></e:Body></e:Envelope>'
    response = soap.post("UserService", body.encode(), {"Content-Type": content_type})
    assert response.headers["content-type"] == SOAP12
    body11 = envelope("<FindUser/>")
    response = soap.post("UserService", body11, {"Content-Type": "application/soap+xml"})
    assert response.headers["content-type"] == "text/xml; charset=UTF-8"


def test_in_soap_1_2_refused_input_is_a_receiver_s_fault_with_subcode(stocked: Soap) -> None:
    call = f"<e:Body>{add_user('<userName>202</userName>')}</e:Body>"
    assert post12(stocked, call) == (
        500,
        SOAP12,
        (
            "<soapenv:Fault><soapenv:Code><soapenv:Value>soapenv:Receiver</soapenv:Value>"
            f'<soapenv:Subcode><soapenv:Value xmlns:con="{NS}">con:userException</soapenv:Value>'
            "</soapenv:Subcode></soapenv:Code><soapenv:Reason>"
            "<soapenv:Text xml:lang=\"en\">userName '202' is already in use by an alias of the "
            "user 201.</soapenv:Text></soapenv:Reason><soapenv:Detail>"
            f'<error xmlns="{NS}" code="nameInUse" field="userName" value="202">'
            "userName '202' is already in use by an alias of the user 201.</error>"
            "</soapenv:Detail></soapenv:Fault>"
        ),
    )


FAULTS12 = {
    "no operation": ("<e:Body><x/></e:Body>", 400, "Sender"),
    "no Body": ("<e:Header/>", 400, "Sender"),
    "two calls": ("<e:Body><findUser/><findUser/></e:Body>", 400, "Sender"),
    "a mandatory header": (
        '<e:Header><x e:mustUnderstand="true"/></e:Header><e:Body><findUser/></e:Body>',
        500,
        "MustUnderstand",
    ),
    "a mandatory header for the last receiver": (
        (
            f'<e:Header><x e:mustUnderstand="1" e:role="{ENVELOPE12}/role/ultimateReceiver"/>'
            "</e:Header><e:Body><findUser/></e:Body>"
        ),
        500,
        "MustUnderstand",
    ),
    "a mandatory header for the next": (
        (
            f'<e:Header><x e:mustUnderstand="1" e:role="{ENVELOPE12}/role/next"/></e:Header>'
            "<e:Body><findUser/></e:Body>"
        ),
        500,
        "MustUnderstand",
    ),
}


@pytest.mark.parametrize(("inside", "status", "code"), FAULTS12.values(), ids=FAULTS12)
def test_in_soap_1_2_a_fault_of(soap: Soap, inside: str, status: int, code: str) -> None:
    answered, content_type, body = post12(soap, inside)
    assert (answered, content_type) == (status, SOAP12)
    assert body.startswith(
        f"<soapenv:Fault><soapenv:Code><soapenv:Value>soapenv:{code}</soapenv:Value>"
        '</soapenv:Code><soapenv:Reason><soapenv:Text xml:lang="en">'
    )
    assert body.endswith("</soapenv:Text></soapenv:Reason></soapenv:Fault>")


@pytest.mark.parametrize("role", ["urn:proxy", f"{ENVELOPE12}/role/none"])
def test_in_soap_1_2_a_header_for_another_role_is_ignored(soap: Soap, role: str) -> None:
    header = f'<e:Header><x e:mustUnderstand="1" e:role="{role}"/></e:Header>'
    assert post12(soap, f"{header}<e:Body><findUser/></e:Body>")[0] == 200


def test_malformed_xml_is_answered_in_the_soap_that_the_content_type_names(soap: Soap) -> None:
    response = soap.post("UserService", b"<a>", {"Content-Type": "application/soap+xml"})
    assert (response.status, response.headers["content-type"]) == (400, SOAP12)
    assert "<soapenv:Value>soapenv:Sender</soapenv:Value>" in response.text
    fault = SoapFault(soap.post("UserService", b"<a>", {"Content-Type": "text/xml"}))
    assert (fault.status, fault.code) == (500, "soapenv:Client")


def test_in_soap_1_2_the_database_away_is_a_receiver_s_fault(settings: Settings) -> None:
    nowhere = Database("postgresql://nobody@127.0.0.1:1/nothing")
    soap = Soap(Client(settings, nowhere))
    status, content_type, body = post12(soap, "<e:Body><findUser/></e:Body>")
    nowhere.dispose()
    assert (status, content_type) == (503, SOAP12)
    assert "soapenv:Receiver" in body
    assert f'<soapenv:Value xmlns:con="{NS}">con:unavailable</soapenv:Value>' in body
