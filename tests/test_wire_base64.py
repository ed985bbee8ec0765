"""Texts in base64, which SOAP::Lite makes of all that is not ASCII (wire.md §3)."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import pytest

from tests.support.messages import refusal
from tests.support.soap import ENVELOPE11, NS, Problem, SoapFault, envelope

if TYPE_CHECKING:
    from tests.support.soap import Soap

XSD = "http://www.w3.org/2001/XMLSchema"
SOAP_ENC = "http://schemas.xmlsoap.org/soap/encoding/"
BASE64 = f'xsi:type="xsd:base64Binary" xmlns:xsd="{XSD}"'
MUELLER = "TcO8bGxlcg=="  # Müller


def coded(text: str | bytes) -> str:
    return base64.b64encode(text.encode() if isinstance(text, str) else text).decode()


def add_user(last_name: str) -> str:
    inside = f"<userName>201</userName>{last_name}"
    return f"<con:AddUser><user>{inside}</user><pin>1</pin></con:AddUser>"


def last_name(soap: Soap) -> str | None:
    (user,) = soap.operation("UserService", "findUser", {"search": {"byUserName": "201"}})
    return user.get("lastName")


def edit(name: str, value: str) -> str:
    """An edit of 201 whose value is given in base64."""
    search = "<search><byUserName>201</byUserName></search>"
    inside = f"<property>{name}</property><value {BASE64}>{value}</value>"
    return f"<con:ManageUser>{search}<edit>{inside}</edit></con:ManageUser>"


SOAP_LITE = f"""<?xml version="1.0" encoding="UTF-8"?><soap:Envelope
  soap:encodingStyle="{SOAP_ENC}"
  xmlns:soap="{ENVELOPE11}"
  xmlns:soapenc="{SOAP_ENC}"
  xmlns:xsd="{XSD}"
  xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><soap:Body><AddUser
  xmlns="{NS}"><user><userName xsi:type="xsd:int">201</userName><lastName
  xsi:type="xsd:base64Binary">{MUELLER}</lastName><aliases soapenc:arrayType="xsd:int[2]"
  xsi:type="soapenc:Array"><item xsi:type="xsd:int">301</item><item
  xsi:type="xsd:int">302</item></aliases><sipPassword xsi:nil="true" /><groups
  soapenc:arrayType="xsd:anyType[2]" xsi:type="soapenc:Array"><item
  xsi:type="xsd:base64Binary">R3LDvG4=</item><item
  xsi:type="xsd:string">Sales</item></groups></user><pin
  xsi:type="xsd:int">1234</pin></AddUser></soap:Body></soap:Envelope>"""


def test_soap_lite_adds_a_user_whose_name_is_not_ascii(soap: Soap) -> None:
    assert soap.post("UserService", SOAP_LITE.encode()).status == 200
    (user,) = soap.operation("UserService", "findUser", {"search": {"byUserName": "201"}})
    assert user["lastName"] == "Müller"
    assert (user["aliases"], user["groups"]) == (["301", "302"], ["Grün", "Sales"])


TYPES = {
    "of 2001": f'xsi:type="x:base64Binary" xmlns:x="{XSD}"',
    "of 2000/10": 'xsi:type="x:base64Binary" xmlns:x="http://www.w3.org/2000/10/XMLSchema"',
    "of 1999": 'xsi:type="x:base64Binary" xmlns:x="http://www.w3.org/1999/XMLSchema"',
    "of SOAP encoding": f'xsi:type="x:base64" xmlns:x="{SOAP_ENC}"',
    "of SOAP encoding, by the other name": f'xsi:type="x:base64Binary" xmlns:x="{SOAP_ENC}"',
    "of the default namespace": f'xsi:type="base64Binary" xmlns="{XSD}"',
    "with white space": f'xsi:type=" x:base64Binary&#10;" xmlns:x="{XSD}"',
    "by the type of 1999": (
        f'i:type="x:base64" xmlns:x="{SOAP_ENC}"'
        ' xmlns:i="http://www.w3.org/1999/XMLSchema-instance"'
    ),
    "by the type of 2000/10": (
        f'i:type="x:base64Binary" xmlns:x="{XSD}"'
        ' xmlns:i="http://www.w3.org/2000/10/XMLSchema-instance"'
    ),
}


@pytest.mark.parametrize("attributes", TYPES.values(), ids=TYPES)
def test_a_text_is_decoded_that_is_base64(soap: Soap, attributes: str) -> None:
    soap.call("UserService", add_user(f"<lastName {attributes}>{MUELLER}</lastName>"))
    assert last_name(soap) == "Müller"


OTHERS = {
    "of this contract": 'xsi:type="con:base64Binary"',
    "of no namespace": 'xsi:type="base64Binary"',
    "of a prefix that is not declared": 'xsi:type="nobody:base64Binary"',
    "base64 of the schema": f'xsi:type="x:base64" xmlns:x="{XSD}"',
    "hexBinary": f'xsi:type="x:hexBinary" xmlns:x="{XSD}"',
    "in a type without namespace": f'type="x:base64Binary" xmlns:x="{XSD}"',
    "of another xsi": f'i:type="x:base64Binary" xmlns:x="{XSD}" xmlns:i="urn:xsi"',
}


@pytest.mark.parametrize("attributes", OTHERS.values(), ids=OTHERS)
def test_a_text_of_another_type_is_kept_as_it_came(soap: Soap, attributes: str) -> None:
    soap.call("UserService", add_user(f"<lastName {attributes}>{MUELLER}</lastName>"))
    assert last_name(soap) == MUELLER


@pytest.mark.parametrize(
    ("sent", "text"),
    [
        ("", None),
        (" \n ", None),
        (coded("  "), None),
        (" TcO8\r\n\tbGxl cg= = ", "Müller"),
        ("TcO8<!-- -->bGxlcg<![CDATA[==]]>", "Müller"),
        (coded("M\xfcller".encode("latin-1")), "Müller"),
        (coded("李 \U0001f4de <&>\t\n\r"), "李 \U0001f4de <&>\t\n\r"),
        (coded(b"\x80"), "\x80"),
        (coded("x" * 255), "x" * 255),
    ],
)
def test_base64_reads_as_utf_8_or_else_as_latin_1(soap: Soap, sent: str, text: str | None) -> None:
    value = f"<con:AddParkOrbit><parkOrbit><name>p</name><description {BASE64}>{sent}</description>"
    soap.call("ParkOrbitService", f"{value}</parkOrbit></con:AddParkOrbit>")
    (orbit,) = soap.operation("ParkOrbitService", "getParkOrbits", {})
    assert orbit.get("description") == text


NONE = {
    "no padding": "TcO8bGxlcg",
    "half the padding": "TcO8bGxlcg=",
    "too much padding": "TcO8bGxlcg===",
    "padding where none is due": "MjAw=",
    "two of it": "MjAw==",
    "three of it": "MjAw===",
    "a whole group of it": "MjAw====",
    "padding inside": "TQ==TQ==",
    "letters of URLs": "_-__",
    "other letters": "Müller",
    "one letter": "M",
    "padding alone": "=",
}


@pytest.mark.parametrize("sent", NONE.values(), ids=NONE)
def test_what_is_no_base64_is_refused(soap: Soap, sent: str) -> None:
    fault = refusal(soap, "UserService", add_user(f"<lastName {BASE64}>{sent}</lastName>"))
    assert fault.problems == [Problem("invalidValue", "lastName", sent)]
    assert fault.text == f"lastName '{sent}' is not base64."


@pytest.mark.parametrize("text", ["a\0b", "\x1b", "\x0b", "\ufffe", "\uffff"])
def test_characters_that_xml_cannot_hold_are_refused_in_base64_too(soap: Soap, text: str) -> None:
    sent = coded(text)
    fault = refusal(soap, "UserService", add_user(f"<aliases/><aliases {BASE64}>{sent}</aliases>"))
    assert fault.problems == [Problem("invalidValue", "aliases[1]", sent)]
    assert fault.text == (f"aliases[1] '{sent}' holds, in base64, characters that XML cannot hold.")


@pytest.mark.parametrize("sent", ["!", coded("1\x002")])
def test_a_required_text_that_cannot_be_decoded_is_not_also_missing(soap: Soap, sent: str) -> None:
    added = f"<con:AddUser><user><userName {BASE64}>{sent}</userName></user></con:AddUser>"
    assert refusal(soap, "UserService", added).problems == [
        Problem("invalidValue", "userName", sent)
    ]
    soap.call("UserService", add_user(""))
    assert refusal(soap, "UserService", edit("userName", sent)).problems == [
        Problem("invalidValue", "userName", sent)
    ]


@pytest.mark.parametrize("sent", ["hush!", coded("hush\x004711")])
def test_in_an_edit_the_property_is_the_field_and_a_secret_is_not_told(
    soap: Soap, sent: str
) -> None:
    soap.call("UserService", add_user(""))
    fault = refusal(soap, "UserService", edit("lastName", sent))
    assert fault.problems == [Problem("invalidValue", "lastName", sent)]
    for name in ("pin", "pintoken", "sipPassword"):
        fault = refusal(soap, "UserService", edit(name, sent))
        assert fault.problems == [Problem("invalidValue", name)]
        assert sent not in fault.response.text


@pytest.mark.parametrize("name", ["Pin", " pin ", "SIPPASSWORD"])
def test_the_value_of_a_misspelt_secret_is_not_told_either(soap: Soap, name: str) -> None:
    fault = refusal(soap, "UserService", edit(name, "hush!"))
    assert Problem("unknownProperty", "edit[0].property", name) in fault.problems
    assert "hush" not in fault.response.text


def test_the_name_of_a_property_may_be_in_base64_too(soap: Soap) -> None:
    soap.call("UserService", add_user(""))
    property_ = f"<property {BASE64}>{coded('pin')}</property><value {BASE64}>hush!</value>"
    call = f"<con:ManageUser><search/><edit>{property_}</edit></con:ManageUser>"
    assert refusal(soap, "UserService", call).problems == [Problem("invalidValue", "pin")]
    nameless = f"<con:ManageUser><search/><edit><value {BASE64}>!</value></edit></con:ManageUser>"
    assert refusal(soap, "UserService", nameless).problems == [
        Problem("invalidValue", "edit[0].value", "!")
    ]
    wrong = edit("lastName", MUELLER).replace("<property>", f"<property {BASE64}>")
    assert refusal(soap, "UserService", wrong.replace("lastName", "last-name")).problems == [
        Problem("invalidValue", "edit[0].property", "last-name")
    ]


@pytest.mark.parametrize("field", ["pin", "vmpin"])
def test_a_pin_that_is_no_base64_is_not_told(soap: Soap, field: str) -> None:
    pin = f"<{field} {BASE64}>hush-4711</{field}>"
    call = f"<con:AddUser><user><userName>201</userName></user>{pin}</con:AddUser>"
    fault = refusal(soap, "UserService", call)
    assert fault.problems == [Problem("invalidValue", field)]
    assert "hush" not in fault.response.text


def test_a_pin_in_base64_is_the_pin(soap: Soap) -> None:
    soap.call("UserService", add_user("").replace("<pin>1", f"<pin {BASE64}>{coded('Grün')}"))
    grant = {"property": "permissions", "value": "superadmin"}
    soap.operation("UserService", "manageUser", {"search": {"byUserName": "201"}, "edit": grant})
    path = "/sipxconfig/services/UserService"
    assert soap.client.request("GET", path, auth=("201", "Grün")).status == 200


def test_a_boolean_and_an_int_are_never_decoded(soap: Soap) -> None:
    # "true" and "1000" are base64 as well.
    ring = f"<rings><userName>superadmin</userName><expiration {BASE64}>1000</expiration>"
    inside = f"<name>sales</name><enabled {BASE64}>true</enabled>{ring}<type>delayed</type></rings>"
    call = f"<con:AddCallGroup><callGroup>{inside}</callGroup></con:AddCallGroup>"
    soap.call("CallGroupService", call)
    (group,) = soap.operation("CallGroupService", "getCallGroups", {})
    assert (group["enabled"], group["rings"][0]["expiration"]) == ("true", "1000")


def test_nil_and_children_count_as_in_any_text(soap: Soap) -> None:
    nil = f'<lastName xsi:nil="true" {BASE64}>!</lastName>'
    child = f"<aliases {BASE64}>!<b/></aliases>"
    fault = refusal(soap, "UserService", add_user(f"{nil}{child}"))
    assert fault.problems == [Problem("unknownElement", "aliases[0].b")]


def test_very_many_values_of_an_edit_are_answered(soap: Soap) -> None:
    values = f"<property>lastName</property><value {BASE64}>!<b/></value>" * 30_000
    fault = refusal(soap, "UserService", f"<ManageUser><edit>{values}</edit></ManageUser>")
    assert fault.problems == [Problem("unknownElement", "edit[0].value.b")]


def test_what_is_decoded_is_checked_like_any_text(soap: Soap) -> None:
    sent = coded("ü" * 256)
    fault = refusal(soap, "UserService", add_user(f"<lastName {BASE64}>{sent}</lastName>"))
    assert fault.problems == [Problem("tooLong", "lastName", "ü" * 100)]


@pytest.mark.parametrize("encoding", ["utf-16", "iso-8859-1"])
def test_base64_is_seen_in_every_charset(soap: Soap, encoding: str) -> None:
    body = envelope(add_user(f"<lastName {BASE64}>{MUELLER}</lastName>")).decode()
    headers = {"Content-Type": f"text/xml; charset={encoding}"}
    assert soap.post("UserService", body.encode(encoding), headers).status == 200
    assert last_name(soap) == "Müller"


def test_base64_of_16_mib_is_a_fault(soap: Soap) -> None:
    around = len(envelope(add_user(f"<lastName {BASE64}></lastName>")))
    for size, code in (
        (9_999_996, "soapenv:Server.userException"),
        (16 * 1024 * 1024 - around, "soapenv:Client"),
    ):
        sent = "QUFB" * (size // 4)
        body = envelope(add_user(f"<lastName {BASE64}>{sent}</lastName>"))
        fault = SoapFault(soap.post("UserService", body))
        assert fault.code == code
        assert len(fault.response.body) < 2000
    assert len(soap.operation("UserService", "findUser", {})) == 1
