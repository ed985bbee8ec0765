"""Which operation a request means, and what of an envelope is refused (wire.md §3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.soap import ENVELOPE11, NS, SoapFault, envelope

if TYPE_CHECKING:
    from tests.support.client import Response
    from tests.support.soap import Soap

XSI = 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
NOBODY = "<con:FindUser><search><byUserName>nobody</byUserName></search></con:FindUser>"
NOBODY_FOUND = f'<FindUserResponse xmlns="{NS}"><users xmlns=""/></FindUserResponse>'
NO_CALL_GROUPS = (
    f'<GetCallGroupsResponse xmlns="{NS}"><callGroups xmlns=""/></GetCallGroupsResponse>'
)


def send(soap: Soap, service: str, inside: str, *, around: str = "{}") -> Response:
    """Post what stands inside an Envelope."""
    document = f'<e:Envelope xmlns:e="{ENVELOPE11}" xmlns:con="{NS}" {XSI}>{inside}</e:Envelope>'
    return soap.post(service, around.format(document).encode())


def client_fault(response: Response) -> SoapFault:
    fault = SoapFault(response)
    assert (fault.status, fault.code, fault.problems) == (500, "soapenv:Client", [])
    return fault


@pytest.mark.parametrize("name", ["FindUser", "findUser", "findUserRequest"])
@pytest.mark.parametrize(
    "form",
    [
        pytest.param(f'<x:{{0}} xmlns:x="{NS}">{{1}}</x:{{0}}>', id="in NS"),
        pytest.param(f'<{{0}} xmlns="{NS}">{{1}}</{{0}}>', id="in NS by default"),
        pytest.param('<x:{0} xmlns:x="urn:other">{1}</x:{0}>', id="in another namespace"),
        pytest.param("<{0}>{1}</{0}>", id="in no namespace"),
    ],
)
def test_the_local_name_says_which_operation_is_meant(soap: Soap, form: str, name: str) -> None:
    search = "<search><byUserName>nobody</byUserName></search>"
    response = soap.post("UserService", envelope(form.format(name, search)))
    assert NOBODY_FOUND in response.text


@pytest.mark.parametrize(
    "name", ["finduser", "FINDUSER", "FindUserRequest", "findUserResponse", "GetUsers"]
)
def test_another_name_is_no_operation(soap: Soap, name: str) -> None:
    fault = client_fault(soap.post("UserService", envelope(f"<{name}/>")))
    assert fault.text == (
        f"UserService has no operation '{name}': it has addUser, findUser, manageUser."
    )


def test_an_operation_of_another_service_is_refused(soap: Soap) -> None:
    fault = client_fault(soap.post("UserService", envelope("<con:FindPhone/>")))
    assert "no operation 'FindPhone'" in fault.text


EMPTY_BODIES = {
    "nothing": "<e:Body/>",
    "white space": "<e:Body> \t\r\n </e:Body>",
    "a comment": "<e:Body><!-- empty --></e:Body>",
    "an unknown attribute": '<e:Body id="_1"/>',
    "the operation's name, no namespace": '<e:Body><getCallGroups xmlns=""/></e:Body>',
    "the element's name": "<e:Body><con:GetCallGroups/></e:Body>",
    "the message's name": "<e:Body><getCallGroupsRequest/></e:Body>",
    "nil": '<e:Body><con:GetCallGroups xsi:nil="true"/></e:Body>',
    "not nil": '<e:Body><getCallGroups xsi:nil="false"></getCallGroups></e:Body>',
    "text in the element": "<e:Body><con:getCallGroups> all </con:getCallGroups></e:Body>",
}


@pytest.mark.parametrize("body", EMPTY_BODIES.values(), ids=EMPTY_BODIES)
def test_an_operation_without_input_is_called_by(soap: Soap, body: str) -> None:
    assert NO_CALL_GROUPS in send(soap, "CallGroupService", body).text


@pytest.mark.parametrize(
    ("service", "answer"),
    [
        ("CallGroupService", "GetCallGroupsResponse"),
        ("ParkOrbitService", "GetParkOrbitsResponse"),
        ("SystemService", "SystemInfo"),
    ],
)
def test_an_empty_body_is_the_operation_without_input(
    soap: Soap, service: str, answer: str
) -> None:
    assert f'<{answer} xmlns="{NS}">' in send(soap, service, "<e:Body/>").text


@pytest.mark.parametrize(
    "service", ["PermissionService", "UserService", "PhoneService", "TestService"]
)
def test_an_empty_body_is_a_fault_where_every_operation_has_input(soap: Soap, service: str) -> None:
    fault = client_fault(send(soap, service, "<e:Body/>"))
    assert fault.text == f"The Body is empty, but {service} has no operation without input."


@pytest.mark.parametrize("content", ["", "<bogus>1</bogus>", "<search>x</search>"])
def test_nil_on_the_operation_is_as_without_children(soap: Soap, content: str) -> None:
    nil = f'<con:FindUser xsi:nil="true">{content}</con:FindUser>'
    assert "<item><userName>superadmin</userName>" in soap.post("UserService", envelope(nil)).text


BROKEN_BODIES = {
    "two calls": (f"<e:Body>{NOBODY}{NOBODY}</e:Body>", "The Body holds 2 elements"),
    "a call and something with an id": (
        f'<e:Body>{NOBODY}<multiRef id="id0"/></e:Body>',
        "The Body holds 2 elements",
    ),
    "text before": (f"<e:Body>x{NOBODY}</e:Body>", "The Body holds text"),
    "text after": (f"<e:Body>{NOBODY}x</e:Body>", "The Body holds text"),
    "text alone": ("<e:Body>x</e:Body>", "The Body holds text"),
    "no-break space": (f"<e:Body>\u00a0{NOBODY}</e:Body>", "The Body holds text"),
    "CDATA": (f"<e:Body>{NOBODY}<![CDATA[x]]></e:Body>", "The Body holds text"),
    "no Body": ("<e:Header/>", "no Body"),
    "nothing": ("", "no Body"),
    "two Bodies": (f"<e:Body>{NOBODY}</e:Body><e:Body/>", "more than one Body"),
    "a Body in no namespace": (f"<Body>{NOBODY}</Body>", "no Body"),
}


@pytest.mark.parametrize(("inside", "reason"), BROKEN_BODIES.values(), ids=BROKEN_BODIES)
def test_a_body_is_refused_that_has(soap: Soap, inside: str, reason: str) -> None:
    assert reason in client_fault(send(soap, "UserService", inside)).text


def test_a_refused_envelope_is_not_executed(soap: Soap) -> None:
    add = "<con:AddUser><user><userName>201</userName></user></con:AddUser>"
    assert send(soap, "UserService", f"<e:Body>{add}{add}</e:Body>").status == 500
    must = '<e:Header><x e:mustUnderstand="1"/></e:Header>'
    assert send(soap, "UserService", f"{must}<e:Body>{add}</e:Body>").status == 500
    assert send(soap, "UserService", f"<e:Body>{add}</e:Body>{must}").status == 500
    assert send(soap, "UserService", f"<e:Body>{add}</e:Body>", around="{}<x/>").status == 500
    assert len(soap.operation("UserService", "findUser", {})) == 1


HARMLESS_HEADERS = {
    "empty": "<e:Header/>",
    "unknown": "<e:Header><x:a xmlns:x='urn:x'><b>1</b></x:a></e:Header>",
    "that need not be understood": '<e:Header><x e:mustUnderstand="0"/></e:Header>',
    "with false": '<e:Header><x e:mustUnderstand="false"/></e:Header>',
    "with mustUnderstand of no namespace": '<e:Header><x mustUnderstand="1"/></e:Header>',
    "for another actor": '<e:Header><x e:mustUnderstand="1" e:actor="urn:proxy"/></e:Header>',
    "below a header": '<e:Header><x><y e:mustUnderstand="1"/></x></e:Header>',
    "of another envelope": '<Header><x e:mustUnderstand="1"/></Header>',
    "WS-Security, not mandatory": '<e:Header><w:Security xmlns:w="urn:wsse"/></e:Header>',
}


@pytest.mark.parametrize("header", HARMLESS_HEADERS.values(), ids=HARMLESS_HEADERS)
def test_a_header_is_ignored(soap: Soap, header: str) -> None:
    assert NOBODY_FOUND in send(soap, "UserService", f"{header}<e:Body>{NOBODY}</e:Body>").text


MANDATORY_HEADERS = {
    "1": 'e:mustUnderstand="1"',
    "true": 'e:mustUnderstand="true"',
    "white space around": 'e:mustUnderstand=" 1 "',
    "an empty actor": 'e:mustUnderstand="1" e:actor=""',
    "for everybody on the way": (
        'e:mustUnderstand="1" e:actor="http://schemas.xmlsoap.org/soap/actor/next"'
    ),
}


@pytest.mark.parametrize("attributes", MANDATORY_HEADERS.values(), ids=MANDATORY_HEADERS)
def test_a_header_that_must_be_understood_is_refused(soap: Soap, attributes: str) -> None:
    header = f"<e:Header><a/><con:Security {attributes}/></e:Header>"
    fault = SoapFault(send(soap, "UserService", f"{header}<e:Body>{NOBODY}</e:Body>"))
    assert (fault.status, fault.code) == (500, "soapenv:MustUnderstand")
    assert fault.text == "The header 'Security' is not understood by this server."


@pytest.mark.parametrize(
    "namespace",
    ["", "urn:schemas-xmlsoap-org:soap.v1", "http://www.w3.org/2001/12/soap-envelope", f"{NS}"],
)
def test_another_envelope_is_a_version_mismatch(soap: Soap, namespace: str) -> None:
    body = f'<Envelope xmlns="{namespace}"><Body><FindUser/></Body></Envelope>'
    fault = SoapFault(soap.post("UserService", body.encode()))
    assert (fault.status, fault.code) == (500, "soapenv:VersionMismatch")
    assert f"'{namespace}'" in fault.text


@pytest.mark.parametrize(
    ("document", "name"),
    [
        ("<html><body>log in</body></html>", "html"),
        (f'<con:FindUser xmlns:con="{NS}"/>', "FindUser"),
        (f'<e:envelope xmlns:e="{ENVELOPE11}"/>', "envelope"),
    ],
)
def test_what_is_no_envelope_is_refused(soap: Soap, document: str, name: str) -> None:
    fault = client_fault(soap.post("UserService", document.encode()))
    assert fault.text == f"The request is no SOAP envelope but an element '{name}'."


FORBIDDEN = {
    "a DOCTYPE": ("<!DOCTYPE x>{}", "A DOCTYPE is not allowed in a request."),
    "an external DTD": ('<!DOCTYPE x SYSTEM "http://x/x.dtd">{}', "A DOCTYPE is not allowed"),
    "entity declarations": ('<!DOCTYPE x [<!ENTITY a "b">]>{}', "A DOCTYPE is not allowed"),
    "a parameter entity": ('<!DOCTYPE x [<!ENTITY % a SYSTEM "file:///etc/passwd">%a;]>{}', "A D"),
    "an instruction before": ("<?xml-stylesheet href='x'?>{}", "A processing instruction is not"),
    "an instruction after": ("{}<?php echo 1 ?>", "A processing instruction is not"),
}


@pytest.mark.parametrize(("around", "reason"), FORBIDDEN.values(), ids=FORBIDDEN)
def test_a_request_is_refused_that_has(soap: Soap, around: str, reason: str) -> None:
    body = envelope(NOBODY).decode()
    fault = client_fault(soap.post("UserService", around.format(body).encode()))
    assert fault.text.startswith(reason)


def test_an_instruction_inside_the_body_is_refused(soap: Soap) -> None:
    inside = NOBODY.replace("<search>", "<?now?><search>")
    assert "processing instruction" in client_fault(soap.post("UserService", envelope(inside))).text


MALFORMED = {
    "no XML": "userName=201",
    "an open element": "<a>",
    "crossed elements": "<a><b></a></b>",
    "two roots": "<a/><a/>",
    "text after the root": "<a/>x",
    "something before the declaration": '<!-- --><?xml version="1.0"?><a/>',
    "a repeated attribute": '<a b="1" b="2"/>',
    "an unknown entity": "<a>&nbsp;</a>",
    "a bare ampersand": "<a>R&D</a>",
    "a control character": "<a>\x01</a>",
    "a reference to a control character": "<a>&#1;</a>",
    "a reference to a surrogate": "<a>&#xD800;</a>",
    "an undeclared prefix": "<x:a/>",
    "an undeclared prefix of an attribute": '<a x:b="1"/>',
    "a prefix declared for nothing": '<a xmlns:x=""/>',
    "a prefix without name": "<x: xmlns:x='urn:x'/>",
    "two prefixes": "<x:y:z xmlns:x='urn:x'/>",
    "an attribute twice, by two prefixes": (
        "<a xmlns:x='urn:x' xmlns:y='urn:x' x:nil='1' y:nil='0'/>"
    ),
    "any attribute twice, by two prefixes": "<a xmlns:x='urn:x' xmlns:y='urn:x' x:b='' y:b=''/>",
    "the prefix xmlns declared": "<a xmlns:xmlns='urn:x'/>",
    "the prefix xml for something else": "<a xmlns:xml='urn:x'/>",
    "something else for xml": "<a xmlns:x='http://www.w3.org/XML/1998/namespace'/>",
    "a prefix for xmlns": "<a xmlns:x='http://www.w3.org/2000/xmlns/'/>",
    "white space alone": " \r\n",
    "a comment alone": "<!-- -->",
}


@pytest.mark.parametrize("document", MALFORMED.values(), ids=MALFORMED)
def test_malformed_xml_is_refused_with(soap: Soap, document: str) -> None:
    fault = client_fault(soap.post("UserService", document.encode()))
    assert fault.text.startswith("The request is not well-formed XML: ")


def test_an_empty_entity_is_refused(soap: Soap) -> None:
    fault = client_fault(soap.post("UserService", b""))
    assert fault.text == "The request is empty: send a SOAP envelope."


def test_a_prefix_is_not_declared_outside_its_element(soap: Soap) -> None:
    inside = "<e:Body><con:FindUser><x:search xmlns:x='urn:x'/><x:search/></con:FindUser></e:Body>"
    assert "'x:search'" in client_fault(send(soap, "UserService", inside)).text
