"""The bytes of answers, which old scripts read with regular expressions (wire.md §4 and §5)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from lxml import etree

from tests.support.soap import HEAD, NS, TAIL, Soap, envelope

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.client import Client

TEXT_XML = "text/xml; charset=UTF-8"


def body_of(soap: Soap, service: str, call: str) -> str:
    """What stands in the Body of an answer, to the byte."""
    response = soap.post(service, envelope(call))
    assert response.status == 200, response.text
    assert response.body.startswith(HEAD)
    assert response.body.endswith(TAIL)
    return response.body[len(HEAD) : -len(TAIL)].decode()


def test_an_answer_is_one_line_of_utf8_whose_length_is_known(soap: Soap) -> None:
    body = envelope("<FindUser><search><byUserName>nobody</byUserName></search></FindUser>")
    response = soap.post("UserService", body)
    assert response.status == 200
    assert response.headers["content-type"] == TEXT_XML
    assert response.headers["content-length"] == str(len(response.body))
    assert response.text == (
        '<?xml version="1.0" encoding="UTF-8"?><soapenv:Envelope '
        'xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" '
        'xmlns:xsd="http://www.w3.org/2001/XMLSchema" '
        'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><soapenv:Body>'
        '<FindUserResponse xmlns="http://www.sipfoundry.org/2007/08/21/ConfigService">'
        '<users xmlns=""/></FindUserResponse></soapenv:Body></soapenv:Envelope>'
    )


@pytest.mark.parametrize(
    ("service", "call", "root", "member"),
    [
        ("PermissionService", "FindPermission", "FindPermissionResponse", "permissions"),
        ("UserService", "FindUser", "FindUserResponse", "users"),
        ("PhoneService", "FindPhone", "FindPhoneResponse", "phones"),
        ("CallGroupService", "getCallGroups", "GetCallGroupsResponse", "callGroups"),
        ("ParkOrbitService", "getParkOrbits", "GetParkOrbitsResponse", "parkOrbits"),
    ],
)
def test_nothing_found_is_an_empty_list(
    soap: Soap, service: str, call: str, root: str, member: str
) -> None:
    inside = "<search/>" if call.startswith("Find") else ""
    body = body_of(soap, service, f"<{call}>{inside}</{call}>")
    assert body == f'<{root} xmlns="{NS}"><{member} xmlns=""/></{root}>'


@pytest.mark.parametrize(
    ("service", "call"),
    [
        ("PermissionService", "<addPermission><permission><label>x</label></permission>"),
        ("PermissionService", "<managePermission><search/>"),
        ("CallGroupService", "<addCallGroup><callGroup><name>x</name></callGroup>"),
        ("CallGroupService", "<removeCallGroup><callGroup>x</callGroup>"),
        ("UserService", "<addUser><user><userName>x</userName></user>"),
        ("UserService", "<manageUser><search/>"),
        ("ParkOrbitService", "<addParkOrbit><parkOrbit><name>x</name></parkOrbit>"),
        (
            "PhoneService",
            (
                "<addPhone><phone><serialNumber>000000000001</serialNumber>"
                "<modelId>polycom321</modelId></phone>"
            ),
        ),
        ("PhoneService", "<managePhone><search/>"),
        ("TestService", "<resetServices>"),
    ],
)
def test_an_operation_without_output_answers_its_name_in_the_long_form(
    soap: Soap, service: str, call: str
) -> None:
    operation = call[1 : call.index(">")]
    body = body_of(soap, service, f"{call}</{operation}>")
    assert body == f'<{operation}Response xmlns="{NS}"></{operation}Response>'


def test_of_a_user_some_nulls_are_nil_and_some_left_out(soap: Soap) -> None:
    user = "<user><userName>201</userName><sipPassword>s</sipPassword></user>"
    body_of(soap, "UserService", f"<addUser>{user}</addUser>")
    edit = "<edit><property>permissions</property></edit>"
    body_of(soap, "UserService", f"<manageUser>{edit}</manageUser>")
    find = "<findUser><search><byUserName>201</byUserName></search></findUser>"
    assert body_of(soap, "UserService", find) == (
        f'<FindUserResponse xmlns="{NS}"><users xmlns=""><item><userName>201</userName>'
        '<pintoken xsi:nil="true"/><lastName xsi:nil="true"/><firstName xsi:nil="true"/>'
        '<sipPassword>s</sipPassword><emailAddress xsi:nil="true"/><branchName xsi:nil="true"/>'
        "</item></users></FindUserResponse>"
    )


def test_repeated_elements_stand_once_for_each_value_in_the_order_of_the_type(soap: Soap) -> None:
    user = (
        "<user><userName>201</userName><sipPassword>s</sipPassword><groups>b</groups>"
        "<groups>a</groups><aliases>302</aliases><aliases>301</aliases></user>"
    )
    body_of(soap, "UserService", f"<addUser>{user}</addUser>")
    find = "<findUser><search><byUserName>201</byUserName></search></findUser>"
    body = body_of(soap, "UserService", find)
    assert (
        "<sipPassword>s</sipPassword><aliases>301</aliases><aliases>302</aliases>"
        '<emailAddress xsi:nil="true"/><groups>b</groups><groups>a</groups>'
        "<permissions>FreeswitchVoicemailServer</permissions>"
        "<permissions>InternationalDialing</permissions>"
    ) in body


def test_of_a_call_group_nulls_are_left_out_and_rings_are_complete(soap: Soap) -> None:
    rings = (
        "<rings><userName>superadmin</userName><type>immediate</type><expiration>7</expiration>"
        "<position>9</position></rings>"
        "<rings><userName>superadmin</userName><type>delayed</type><position>3</position></rings>"
    )
    for group in (f"<name>a</name>{rings}", "<name>b</name><extension>1</extension>"):
        call = f"<addCallGroup><callGroup>{group}</callGroup></addCallGroup>"
        body_of(soap, "CallGroupService", call)
    assert body_of(soap, "CallGroupService", "") == (
        f'<GetCallGroupsResponse xmlns="{NS}"><callGroups xmlns="">'
        "<item><name>a</name><enabled>false</enabled>"
        "<rings><expiration>0</expiration><type>delayed</type><position>0</position>"
        "<userName>superadmin</userName></rings>"
        "<rings><expiration>7</expiration><type>immediate</type><position>1</position>"
        "<userName>superadmin</userName></rings></item>"
        "<item><name>b</name><extension>1</extension><enabled>false</enabled></item>"
        "</callGroups></GetCallGroupsResponse>"
    )


def test_of_a_permission_default_type_and_built_in_are_always_present(soap: Soap) -> None:
    call = "<addPermission><permission><label>Fax</label></permission></addPermission>"
    body_of(soap, "PermissionService", call)
    find = "<findPermission><search><byLabel>Fax</byLabel></search></findPermission>"
    assert body_of(soap, "PermissionService", find) == (
        f'<FindPermissionResponse xmlns="{NS}"><permissions xmlns=""><item><name>perm_1</name>'
        "<label>Fax</label><defaultValue>false</defaultValue><type>CALL</type>"
        "<builtIn>false</builtIn></item></permissions></FindPermissionResponse>"
    )


def test_of_a_phone_nulls_are_left_out_and_lines_have_their_uri(soap: Soap) -> None:
    phones = (
        (
            "<serialNumber>00-00-00-00-00-0A</serialNumber><modelId>polycom321</modelId>"
            "<lines><userId>superadmin</userId><uri>ignored</uri></lines>"
        ),
        "<serialNumber>SN7</serialNumber><modelId>bria</modelId>",
    )
    for phone in phones:
        call = f"<addPhone><phone>{phone}</phone></addPhone>"
        body_of(soap, "PhoneService", call)
    body = body_of(soap, "PhoneService", "<findPhone/>")
    assert body.startswith(
        f'<FindPhoneResponse xmlns="{NS}"><phones xmlns=""><item>'
        "<serialNumber>00000000000a</serialNumber><modelId>polycom321</modelId>"
        "<lines><userId>superadmin</userId><uri>sip:superadmin@example.org</uri></lines>"
        "<deviceVersion>polycom4.0.X</deviceVersion></item>"
    )


@pytest.mark.parametrize("blank", ["<lastName/>", "<lastName> \t</lastName>", "<groups> </groups>"])
def test_the_empty_string_does_not_occur(soap: Soap, blank: str) -> None:
    user = f"<user><userName>201</userName>{blank}</user>"
    body_of(soap, "UserService", f"<addUser>{user}</addUser>")
    body = body_of(soap, "UserService", "<findUser/>")
    assert not re.search(r"<(\w+)>\s*</\1>|<\w+/>", body)


CHARACTERS = {
    "the five": ("&amp;&lt;&gt;&quot;&apos;", "&amp;&lt;&gt;&quot;'"),
    "the end of CDATA": ("]]&gt;", "]]&gt;"),
    "a carriage return": ("a&#13;b&#13;&#10;c", "a&#13;b&#13;\nc"),
    "line feed and tab": ("a&#10;b&#9;c", "a\nb\tc"),
    "an umlaut": ("M&#252;ller", "Müller"),
    "Cyrillic": ("Чехов", "Чехов"),
    "beyond the BMP": ("&#128222;\U0001f600", "\U0001f4de\U0001f600"),
    "the last character": ("&#x10FFFD;", "\U0010fffd"),
    "C1 and separators": ("a&#x85;b&#x2028;c&#x7F;d", "a\x85b\u2028c\x7fd"),
    "a zero-width space": ("a&#x200B;b&#xFEFF;c", "a\u200bb\ufeffc"),
    "combining characters": ("e&#x301;", "e\u0301"),
}


@pytest.mark.parametrize(("sent", "answered"), CHARACTERS.values(), ids=CHARACTERS)
def test_characters_come_back(soap: Soap, sent: str, answered: str) -> None:
    orbit = f"<parkOrbit><name>park</name><description>{sent}</description></parkOrbit>"
    body_of(soap, "ParkOrbitService", f"<addParkOrbit>{orbit}</addParkOrbit>")
    body = body_of(soap, "ParkOrbitService", "")
    assert f"<description>{answered}</description>" in body
    described = etree.fromstring(f"<a>{sent}</a>").text
    (found,) = soap.operation("ParkOrbitService", "getParkOrbits", {})
    assert found["description"] == described


def test_no_answer_has_xsi_type_or_a_header(soap: Soap) -> None:
    for service, call in (
        ("UserService", "<findUser/>"),
        ("PermissionService", "<findPermission/>"),
    ):
        body = soap.post(service, envelope(call)).text
        assert "xsi:type" not in body
        assert "Header" not in body


LEGACY = {
    "permissions": ("PermissionService", "<findPermission/>", "permission"),
    "users": ("UserService", "<findUser/>", "user"),
    "callGroups": ("CallGroupService", "", "callGroup"),
    "parkOrbits": ("ParkOrbitService", "", "parkOrbit"),
    "phones": ("PhoneService", "<findPhone/>", "user"),
}


@pytest.mark.parametrize(("names", "renamed"), [("item", False), ("legacy", True)])
def test_items_are_called_as_the_setting_says_in_the_wsdl_too(
    make_client: Callable[..., Client], names: str, *, renamed: bool
) -> None:
    soap = Soap(make_client(wire_array_names=names))
    body_of(
        soap,
        "CallGroupService",
        "<addCallGroup><callGroup><name>a</name></callGroup></addCallGroup>",
    )
    body_of(
        soap,
        "ParkOrbitService",
        "<addParkOrbit><parkOrbit><name>b</name></parkOrbit></addParkOrbit>",
    )
    phone = "<serialNumber>000000000001</serialNumber><modelId>polycom321</modelId>"
    body_of(soap, "PhoneService", f"<addPhone><phone>{phone}</phone></addPhone>")
    for member, (service, call, legacy) in LEGACY.items():
        item = legacy if renamed else "item"
        body = body_of(soap, service, call)  # and is valid against the WSDL of the same server
        assert f'<{member} xmlns=""><{item}>' in body
        assert body.count(f"<{item}>") == body.count(f"</{item}>")
        assert f"</{item}></{member}>" in body


def test_many_users_are_one_well_formed_answer_in_pieces(soap: Soap) -> None:
    for number in range(200, 500):
        user = {"userName": str(number), "lastName": f"<Nº {number}> {'é' * 200}"}
        soap.operation("UserService", "addUser", {"user": user})
    response = soap.post("UserService", envelope("<findUser/>"))
    users = etree.fromstring(response.body)[0][0][0]
    assert [user.findtext("userName") for user in users] == [
        *map(str, range(200, 500)),
        "superadmin",
    ]
    assert users[7].findtext("lastName") == f"<Nº 207> {'é' * 200}"


def test_system_info_names_the_domain(make_client: Callable[..., Client]) -> None:
    client = make_client(
        domain="pbx.example.com", realm="The <Realm>", domain_aliases="a.example.com b.example.com"
    )
    answer = (
        f'<SystemInfo xmlns="{NS}"><domain xmlns=""><name>pbx.example.com</name>'
        "<realm>The &lt;Realm&gt;</realm><aliases>a.example.com</aliases>"
        "<aliases>b.example.com</aliases></domain></SystemInfo>"
    )
    assert body_of(Soap(client), "SystemService", "") == answer


def test_system_info_without_other_names_has_the_domain_as_realm(
    make_client: Callable[..., Client],
) -> None:
    soap = Soap(make_client(domain="pbx.example.com"))
    assert body_of(soap, "SystemService", "<systemInfo/>") == (
        f'<SystemInfo xmlns="{NS}"><domain xmlns=""><name>pbx.example.com</name>'
        "<realm>pbx.example.com</realm></domain></SystemInfo>"
    )
