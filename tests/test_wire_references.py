"""Multi-references of SOAP encoding (wire.md §3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from lxml import etree

from tests.support.messages import refusal
from tests.support.soap import ENVELOPE11, NS, Problem, SoapFault, as_mapping, envelope

if TYPE_CHECKING:
    from tests.support.client import Response
    from tests.support.soap import Soap

SOAP_ENC = "http://schemas.xmlsoap.org/soap/encoding/"
SOAP12_ENC = "http://www.w3.org/2003/05/soap-encoding"
XSD = "http://www.w3.org/2001/XMLSchema"

SOAPPY = f"""<?xml version="1.0" encoding="UTF-8"?>
<SOAP-ENV:Envelope
  SOAP-ENV:encodingStyle="{SOAP_ENC}"
  xmlns:SOAP-ENV="{ENVELOPE11}"
  xmlns:SOAP-ENC="{SOAP_ENC}"
  xmlns:xsd="http://www.w3.org/1999/XMLSchema"
  xmlns:xsi="http://www.w3.org/1999/XMLSchema-instance"
>
<SOAP-ENV:Body>
<ns1:AddUser xmlns:ns1="{NS}" SOAP-ENC:root="1">
<user href="#i1"/>
<pin href="#i2"/>
</ns1:AddUser>
<xsd:user id="i1" SOAP-ENC:root="0">
<userName href="#i3"/>
<lastName href="#i4"/>
<firstName href="#i4"/>
<aliases href="#i5"/>
<groups href="#i8"/>
<sipPassword xsi:null="1"/>
</xsd:user>
<pin xsi:type="xsd:string" id="i2" SOAP-ENC:root="0">1234</pin>
<userName xsi:type="xsd:string" id="i3" SOAP-ENC:root="0">201</userName>
<lastName xsi:type="xsd:string" id="i4" SOAP-ENC:root="0">Curie</lastName>
<aliases SOAP-ENC:arrayType="xsd:string[2]" xsi:type="SOAP-ENC:Array" SOAP-ENC:root="0" id="i5">
<item href="#i6"/>
<item href="#i7"/>
</aliases>
<item xsi:type="xsd:string" id="i6" SOAP-ENC:root="0">301</item>
<item xsi:type="xsd:string" id="i7" SOAP-ENC:root="0">302</item>
<groups SOAP-ENC:arrayType="ns2:SOAPStruct[0]" xsi:type="SOAP-ENC:Array"
 xmlns:ns2="http://soapinterop.org/xsd" SOAP-ENC:root="0" id="i8">
</groups>
</SOAP-ENV:Body>
</SOAP-ENV:Envelope>
"""

AXIS_RPC = f"""<?xml version="1.0" encoding="UTF-8"?><soapenv:Envelope
  xmlns:soapenv="{ENVELOPE11}" xmlns:xsd="{XSD}"
  xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><soapenv:Body><ns1:AddUser
  soapenv:encodingStyle="{SOAP_ENC}" xmlns:ns1="{NS}"><user
  href="#id0"/><pin xsi:type="xsd:string">1234</pin></ns1:AddUser><multiRef id="id0"
  soapenc:root="0" soapenv:encodingStyle="{SOAP_ENC}" xsi:type="ns2:User"
  xmlns:soapenc="{SOAP_ENC}" xmlns:ns2="{NS}"><userName
  xsi:type="soapenc:string">201</userName><lastName xsi:type="soapenc:string"
  >Curie</lastName><firstName xsi:type="soapenc:string">Curie</firstName><sipPassword
  xsi:type="soapenc:string" xsi:nil="true"/><aliases soapenc:arrayType="soapenc:string[2]"
  xsi:type="soapenc:Array"><aliases>301</aliases><aliases>302</aliases></aliases></multiRef>
</soapenv:Body></soapenv:Envelope>"""


def user(soap: Soap, name: str = "201") -> dict[str, object]:
    (found,) = soap.operation("UserService", "findUser", {"search": {"byUserName": name}})
    return dict(found)


@pytest.mark.parametrize("sent", [SOAPPY, AXIS_RPC], ids=["SOAPpy", "Axis"])
def test_shared_values_are_read_where_they_are_referred_to(soap: Soap, sent: str) -> None:
    assert soap.post("UserService", sent.encode()).status == 200
    found = user(soap)
    assert (found["lastName"], found["firstName"]) == ("Curie", "Curie")
    assert found["aliases"] == ["301", "302"]
    assert found["sipPassword"]  # made up, since it was null
    assert "groups" not in found


def find(soap: Soap, inside: str) -> Response:
    return soap.post("UserService", envelope(inside))


def names(response: Response) -> list[str | None]:
    assert response.status == 200, response.text
    return [str(as_mapping(item)["userName"]) for item in etree.fromstring(response.body)[0][0][0]]


FIND_201 = {
    "the target after the call": (
        '<FindUser><search href="#s"/></FindUser><m id="s"><byUserName>201</byUserName></m>'
    ),
    "the target before the call": (
        '<m id="s"><byUserName>201</byUserName></m><FindUser><search href="#s"/></FindUser>'
    ),
    "white space and comments": (
        '<FindUser>\n<search href=" #s\n"> <!-- here --> </search></FindUser>'
        '\n<m id="s">\n<byUserName>201</byUserName>\n</m>\n'
    ),
    "the call itself": (
        '<FindUser href="#c"/><multiRef id="c"><search><byUserName>201</byUserName></search>'
        "</multiRef>"
    ),
    "a text": (
        '<FindUser><search><byUserName href="#n"/></search></FindUser><multiRef id="n">201'
        "</multiRef>"
    ),
    "a target with references": (
        '<FindUser><search href="#s"/></FindUser>'
        '<m id="s"><byUserName href="#n"/></m><m id="n">201</m>'
    ),
    "a chain": (
        '<FindUser><search href="#1"/></FindUser><m id="1" href="#2"/><m id="2" href="#3"/>'
        '<m id="3"><byUserName>201</byUserName></m>'
    ),
    "a target in a namespace": (
        '<con:FindUser><con:search href="#s"/></con:FindUser>'
        '<con:search id="s"><con:byUserName>201</con:byUserName></con:search>'
    ),
    "an href elsewhere": (
        '<FindUser><search href="http://127.0.0.1:9/s"><byUserName href="s">201</byUserName>'
        "</search></FindUser>"
    ),
    "a ref of SOAP 1.2 beside content": (
        f'<FindUser><search x:ref="s" xmlns:x="{XSD}"><byUserName x:ref="#s">201'
        "</byUserName></search></FindUser>"
    ),
    "an href in a namespace": (
        '<FindUser><search con:href="#s"><byUserName>201</byUserName></search></FindUser>'
    ),
    "ids that nobody refers to": (
        '<FindUser id="a"><search id="a" href="#s"/></FindUser>'
        '<m id="s"><byUserName id="a">201</byUserName></m>'
    ),
}


@pytest.fixture
def users(soap: Soap) -> Soap:
    for name in ("201", "202"):
        soap.operation("UserService", "addUser", {"user": {"userName": name}})
    return soap


@pytest.mark.parametrize("inside", FIND_201.values(), ids=FIND_201)
def test_an_element_is_read_as_its_target(users: Soap, inside: str) -> None:
    assert names(find(users, inside)) == ["201"]


def test_nil_of_the_target_counts(users: Soap) -> None:
    for attribute, count in (
        ('xsi:nil="true"', 3),
        ('xsi:nil="false"', 0),
        ('i:null="1" xmlns:i="http://www.w3.org/1999/XMLSchema-instance"', 3),
    ):
        inside = f'<FindUser><search href="#s"/></FindUser><m id="s" {attribute}/>'
        assert len(names(find(users, inside))) == count
    own = '<FindUser><search xsi:nil="true" href="#s"/></FindUser><m id="s"/>'
    assert names(find(users, own)) == []


def test_the_type_of_the_target_counts_with_its_own_prefixes(soap: Soap) -> None:
    target = f'<m id="n" xsi:type="x:base64Binary" xmlns:x="{XSD}">TcO8bGxlcg==</m>'
    reference = f'<lastName href="#n" xsi:type="x:hexBinary" xmlns:x="{XSD}"/>'
    plain = '<firstName href="#n2"/>'
    inside = f"<user><userName>201</userName>{reference}{plain}</user>"
    second = '<m id="n2" xsi:type="x:base64Binary" xmlns:x="urn:other">TcO8bGxlcg==</m>'
    response = soap.post("UserService", envelope(f"<AddUser>{inside}</AddUser>{target}{second}"))
    assert response.status == 200, response.text
    found = user(soap)
    assert (found["lastName"], found["firstName"]) == ("Müller", "TcO8bGxlcg==")


REFUSED = {
    "no target": (
        '<FindUser><search href="#s"/></FindUser>',
        "No element has the id of the reference '#s'.",
    ),
    "an empty reference": (
        '<FindUser><search href="#"/></FindUser>',
        "No element has the id of the reference '#'.",
    ),
    "a target that is not in the Body's children": (
        '<FindUser><search href="#s"/><search id="s"/></FindUser>',
        "The reference '#s' by href refers to an element that is no child of the Body.",
    ),
    "two targets": (
        '<FindUser><search href="#s"/></FindUser><m id="s"/><m id="s"/>',
        "Several elements have the id of the reference '#s'.",
    ),
    "a target and its id elsewhere": (
        '<FindUser><search href="#s"/></FindUser><m id="s"><byUserName id="s"/></m>',
        "Several elements have the id of the reference '#s'.",
    ),
    "elements of its own": (
        '<FindUser><search href="#s"><byUserName/></search></FindUser><m id="s"/>',
        "The element 'search' has the reference '#s' and content of its own.",
    ),
    "text of its own": (
        '<FindUser><search><byUserName href="#s">202</byUserName></search></FindUser><m id="s"/>',
        "The element 'byUserName' has the reference '#s' and content of its own.",
    ),
    "content of its own in a target": (
        '<FindUser><search href="#s"/></FindUser><m id="s" href="#t">x</m><m id="t"/>',
        "The element 'm' has the reference '#t' and content of its own.",
    ),
    "a reference to itself": (
        '<FindUser><search href="#s"/></FindUser><m id="s" href="#s"/>',
        "The references lead in a circle: reference '#s'.",
    ),
    "a circle of references": (
        '<FindUser><search href="#s"/></FindUser><m id="s" href="#t"/><m id="t" href="#s"/>',
        "The references lead in a circle: reference '#s'.",
    ),
    "an element inside itself": (
        '<FindUser><search href="#s"/></FindUser><m id="s"><a href="#s"/></m>',
        "The references lead in a circle: reference '#s'.",
    ),
    "an element inside itself by another": (
        (
            '<FindUser><search href="#s"/></FindUser>'
            '<m id="s"><a href="#t"/></m><m id="t"><a><b href="#u"/></a></m><m id="u" href="#s"/>'
        ),
        "The references lead in a circle: reference '#s'.",
    ),
    "a circle beside the call": (
        '<FindUser><search/></FindUser><m id="s"><a href="#t"/></m><m id="t" href="#s"/>',
        "The references lead in a circle: reference '#s'.",
    ),
    "nothing but a circle": (
        '<FindUser id="c"><search href="#c"/></FindUser>',
        "The references lead in a circle: reference '#c'.",
    ),
    "a second call": (
        '<FindUser><search href="#s"/></FindUser><m id="s"/><FindUser><search/></FindUser>',
        "The Body holds 2 elements: one call at a time.",
    ),
    "a value that nobody refers to": (
        '<FindUser><search href="#s"/></FindUser><m id="s"/><m id="t"/>',
        "The Body holds 2 elements: one call at a time.",
    ),
    "text beside a target": (
        '<FindUser><search href="#s"/></FindUser><m id="s"/>x',
        "The Body holds text beside its elements.",
    ),
    "a long id": (
        f'<FindUser><search href="#{"s" * 1000}"/></FindUser>',
        f"No element has the id of the reference '#{'s' * 100}'.",
    ),
}


@pytest.mark.parametrize(("inside", "sentence"), REFUSED.values(), ids=REFUSED)
def test_references_are_refused_with(soap: Soap, inside: str, sentence: str) -> None:
    fault = SoapFault(soap.post("UserService", envelope(inside)))
    assert (fault.status, fault.code, fault.problems) == (500, "soapenv:Client", [])
    assert fault.text == sentence


ELSEWHERE = {
    "a part of MIME": 'href="cid:part1@x"',
    "a URL": 'href="http://127.0.0.1:9/s"',
    "nothing": 'href=""',
    "an id without #": 'href=" s "',
    "a part beside nil": 'xsi:nil="true" href="cid:s"',
}


@pytest.mark.parametrize("attributes", ELSEWHERE.values(), ids=ELSEWHERE)
@pytest.mark.parametrize("white", ["", " <!-- none --> "])
def test_content_that_was_sent_elsewhere_clears_nothing(
    users: Soap, attributes: str, white: str
) -> None:
    last_name = {"property": "lastName", "value": "Curie"}
    users.operation(
        "UserService", "manageUser", {"search": {"byUserName": "201"}, "edit": last_name}
    )
    edit = f"<property>lastName</property><value {attributes}>{white}</value>"
    body = f'<ManageUser><search/><edit>{edit}</edit></ManageUser><m id="s"/>'
    for sent in (body, body.replace("<search/>", "").replace('<m id="s"/>', "")):
        fault = SoapFault(users.post("UserService", envelope(sent)))
        assert (fault.status, fault.code) == (500, "soapenv:Client")
        what = "refers to content that was sent elsewhere, and nothing is fetched"
        assert fault.text == f"The element 'value' {what}."
    assert user(users)["lastName"] == "Curie"


def test_a_refused_reference_executes_nothing(users: Soap) -> None:
    delete = "<deleteUser>true</deleteUser>"
    for inside in (
        f'<ManageUser><search href="#s"/>{delete}</ManageUser>',
        f'<ManageUser><search href="#s"/>{delete}</ManageUser><m id="s" href="#s"/>',
        f'<ManageUser>{delete}</ManageUser><m id="s"><a href="#s"/></m>',
    ):
        assert users.post("UserService", envelope(inside)).status == 500
    assert names(find(users, "<FindUser/>")) == ["201", "202", "superadmin"]


def test_a_fault_names_the_place_where_a_value_is_referred_to(users: Soap) -> None:
    inside = '<user><userName href="#n"/><aliases href="#n"/><aliases>x</aliases></user>'
    body = envelope(f'<AddUser>{inside}</AddUser><m id="n">2 3</m>')
    assert SoapFault(users.post("UserService", body)).problems == [
        Problem("invalidValue", "userName", "2 3"),
        Problem("invalidValue", "aliases[0]", "2 3"),
    ]


def test_references_in_soap_1_2_are_read_alike(users: Soap) -> None:
    inside = '<FindUser><search href="#s"/></FindUser><m id="s"><byUserName>201</byUserName></m>'
    body = envelope(inside).replace(ENVELOPE11.encode(), b"http://www.w3.org/2003/05/soap-envelope")
    response = users.post("UserService", body, {"Content-Type": "application/soap+xml"})
    assert "<userName>201</userName>" in response.text
    assert "<userName>202</userName>" not in response.text


CIRCLE = "The references lead in a circle: reference '#s'."
SOAP12 = {
    "where the value stands first": (
        '<AddUser><user><userName e:id="n">301</userName><lastName e:ref="n"/>'
        '<firstName e:ref=" n "/></user></AddUser>'
    ),
    "with a #, as PHP writes it": (
        '<AddUser><user><userName e:id="n">301</userName><lastName e:ref="#n"/>'
        '<firstName e:ref="#n"/></user></AddUser>'
    ),
    "in a child of the Body, as Axis writes it": (
        '<AddUser><user e:ref="u"/></AddUser><m e:id="u"><userName e:ref="n"/>'
        '<lastName e:ref="n"/><firstName e:ref="n"/></m><m id="n">301</m>'
    ),
    "before it": (
        '<AddUser><user><lastName e:ref="n"/><firstName e:ref="n"/>'
        '<userName e:id="n">301</userName></user></AddUser>'
    ),
}


@pytest.mark.parametrize("inside", SOAP12.values(), ids=SOAP12)
@pytest.mark.parametrize("namespace", [ENVELOPE11, "http://www.w3.org/2003/05/soap-envelope"])
def test_references_as_soap_1_2_spells_them(soap: Soap, inside: str, namespace: str) -> None:
    body = envelope(inside.replace("<AddUser", f'<AddUser xmlns:e="{SOAP12_ENC}"', 1))
    if "<m" in inside:
        body = body.replace(b"<m", f'<m xmlns:e="{SOAP12_ENC}"'.encode())
    body = body.replace(ENVELOPE11.encode(), namespace.encode())
    assert soap.post("UserService", body).status == 200
    (found,) = soap.operation("UserService", "findUser", {"search": {"byUserName": "301"}})
    assert (found["lastName"], found["firstName"]) == ("301", "301")


SOAP12_REFUSED = {
    "nothing there": (
        '<search e:ref="x"/>',
        "No element has the id of the reference '#x'.",
    ),
    "nothing named": (
        '<search e:ref=""/>',
        "No element has the id of the reference '#'.",
    ),
    "content of its own": (
        '<search e:ref="s"><byUserName e:id="s">201</byUserName></search>',
        "The element 'search' has the reference '#s' and content of its own.",
    ),
    "twice the same id": (
        (
            '<search><byUserName e:id="s">1</byUserName><byAlias id="s">1</byAlias></search>'
            '<edit><property e:ref="s"/></edit>'
        ),
        "Several elements have the id of the reference '#s'.",
    ),
    "itself": ('<search e:id="s" e:ref="s"/>', CIRCLE),
    "what it stands in": ('<search e:id="s"><byUserName e:ref="s"/></search>', CIRCLE),
    "an id that href may not mean": (
        '<search><byUserName e:id="s">1</byUserName></search><edit><value href="#s"/></edit>',
        "The reference '#s' by href refers to an element that is no child of the Body.",
    ),
}


@pytest.mark.parametrize(("inside", "sentence"), SOAP12_REFUSED.values(), ids=SOAP12_REFUSED)
def test_references_of_soap_1_2_are_refused_with(users: Soap, inside: str, sentence: str) -> None:
    call = f'<ManageUser xmlns:e="{SOAP12_ENC}">{inside}<deleteUser>1</deleteUser></ManageUser>'
    fault = SoapFault(users.post("UserService", envelope(call)))
    assert (fault.code, fault.text) == ("soapenv:Client", sentence)
    assert names(find(users, "<FindUser/>")) == ["201", "202", "superadmin"]


def test_an_unknown_element_of_a_target_is_refused_by_its_path(soap: Soap) -> None:
    inside = '<FindUser><search href="#s"/></FindUser><m id="s"><byName>201</byName></m>'
    body = inside.replace("FindUser", "con:FindUser")
    fault = refusal(soap, "UserService", body)
    assert fault.problems == [Problem("unknownElement", "search.byName")]
