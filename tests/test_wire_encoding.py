"""Lists of SOAP encoding, and null as old XML Schemas spell it (wire.md §3)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sipxconfig_soap.services import SERVICES
from sipxconfig_soap.soap.encoding import is_encoded
from sipxconfig_soap.soap.endpoint import Endpoint
from tests.support.messages import refusal
from tests.support.soap import ENVELOPE11, NS, Problem, envelope

if TYPE_CHECKING:
    from sipxconfig_soap.errors import Problems
    from sipxconfig_soap.soap.service import Operation
    from tests.support.soap import Soap

SOAP_ENC = "http://schemas.xmlsoap.org/soap/encoding/"
ENC = f'xmlns:enc="{SOAP_ENC}"'
ARRAY = f'{ENC} enc:arrayType="xsd:string[2]" xsi:type="enc:Array"'
OLD = {
    "1999": "http://www.w3.org/1999/XMLSchema-instance",
    "2000/10": "http://www.w3.org/2000/10/XMLSchema-instance",
}


def call(name: str, inside: str) -> bytes:
    """A call as SOAPpy makes it."""
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<SOAP-ENV:Envelope SOAP-ENV:encodingStyle="{SOAP_ENC}" xmlns:SOAP-ENC="{SOAP_ENC}" '
        f'xmlns:xsi="{OLD["1999"]}" xmlns:SOAP-ENV="{ENVELOPE11}" '
        'xmlns:xsd="http://www.w3.org/1999/XMLSchema">\n<SOAP-ENV:Body>\n'
        f'<ns1:{name} xmlns:ns1="{NS}" SOAP-ENC:root="1">\n{inside}</ns1:{name}>\n'
        "</SOAP-ENV:Body>\n</SOAP-ENV:Envelope>\n"
    ).encode()


def add_user(inside: str) -> str:
    return f"<con:AddUser><user><userName>201</userName>{inside}</user></con:AddUser>"


def user(soap: Soap) -> dict[str, Any]:
    (found,) = soap.operation("UserService", "findUser", {"search": {"byUserName": "201"}})
    return dict(found)


def user_names(soap: Soap) -> list[str]:
    return [each["userName"] for each in soap.operation("UserService", "findUser", {})]


LISTS = {
    "of Axis": f"<aliases {ARRAY}><aliases>301</aliases><aliases>302</aliases></aliases>",
    "of SOAP::Lite": (
        f'<aliases {ENC} enc:arrayType="xsd:int[2]" xsi:type="enc:Array">'
        '<item xsi:type="xsd:int">301</item><item xsi:type="xsd:int">302</item></aliases>'
    ),
    "by arrayType alone": (
        f'<aliases {ENC} enc:arrayType="xsd:anyType[]"><a>301</a><b>302</b></aliases>'
    ),
    "by type alone": f'<aliases {ENC} xsi:type="enc:Array"><a>301</a><b>302</b></aliases>',
    "by the type of 1999": (
        f'<aliases {ENC} xmlns:i="{OLD["1999"]}" i:type="enc:Array"><a>301</a><a>302</a></aliases>'
    ),
    "in a list": (f"<aliases {ARRAY}><x {ARRAY}><a>301</a></x><x {ARRAY}><a>302</a></x></aliases>"),
    "beside an element": f"<aliases>301</aliases><aliases {ARRAY}><a>302</a></aliases>",
    "with text between": f"<aliases {ARRAY}> x <a>301</a>y<a>302</a> </aliases>",
    "qualified": (
        f"<con:aliases {ARRAY}><con:item>301</con:item><con:item>302</con:item></con:aliases>"
    ),
    "with an empty one": (
        f"<aliases {ARRAY}/><aliases>301</aliases><aliases {ARRAY}> </aliases>"
        "<aliases>302</aliases>"
    ),
    "of other children that are blank or null": (
        f'<aliases {ARRAY}><a>301</a><a/><a xsi:nil="true"/><a>302</a></aliases>'
    ),
}


@pytest.mark.parametrize("aliases", LISTS.values(), ids=LISTS)
def test_a_list_is_read_as_repetitions(soap: Soap, aliases: str) -> None:
    soap.call("UserService", add_user(aliases))
    assert user(soap)["aliases"] == ["301", "302"]


NO_LISTS = {
    "an arrayType of no namespace": '<aliases arrayType="x[1]"><a>301</a></aliases>',
    "an arrayType of another namespace": (
        '<aliases x:arrayType="x[1]" xmlns:x="urn:x"><a>301</a></aliases>'
    ),
    "an Array of no namespace": '<aliases xsi:type="Array"><a>301</a></aliases>',
    "an Array of this contract": '<aliases xsi:type="con:Array"><a>301</a></aliases>',
    "nothing": "<aliases><a>301</a></aliases>",
}


@pytest.mark.parametrize("aliases", NO_LISTS.values(), ids=NO_LISTS)
def test_no_list_is_made_by(soap: Soap, aliases: str) -> None:
    fault = refusal(soap, "UserService", add_user(aliases))
    assert fault.problems == [Problem("unknownElement", "aliases[0].a")]


def test_members_are_counted_as_they_are_read(soap: Soap) -> None:
    aliases = f"<aliases>a</aliases><aliases {ARRAY}><x>b</x><x>c d</x></aliases>"
    fault = refusal(soap, "UserService", add_user(aliases + "<aliases>e f</aliases>"))
    assert fault.problems == [
        Problem("invalidValue", "aliases[2]", "c d"),
        Problem("invalidValue", "aliases[3]", "e f"),
    ]


def test_lists_of_structures_are_read_too(soap: Soap) -> None:
    rings = "".join(
        f'<item xsi:type="con:UserRing"><userName>{name}</userName><type>delayed</type></item>'
        for name in ("superadmin", "201")
    )
    soap.call("UserService", add_user(""))
    group = f"<name>sales</name><rings {ARRAY}>{rings}</rings>"
    soap.call(
        "CallGroupService", f"<con:AddCallGroup><callGroup>{group}</callGroup></con:AddCallGroup>"
    )
    (found,) = soap.operation("CallGroupService", "getCallGroups", {})
    assert [ring["userName"] for ring in found["rings"]] == ["superadmin", "201"]
    edits = "".join(
        f"<item><property>{name}</property><value>Curie</value></item>"
        for name in ("lastName", "firstName")
    )
    body = f"<search><byUserName>201</byUserName></search><edit {ARRAY}>{edits}</edit>"
    soap.call("UserService", f"<con:ManageUser>{body}</con:ManageUser>")
    assert (user(soap)["lastName"], user(soap)["firstName"]) == ("Curie", "Curie")


def test_an_empty_list_as_search_is_an_empty_search(soap: Soap) -> None:
    soap.call("UserService", add_user(""))
    for search in (f"<search {ARRAY}/>", f"<search {ARRAY}> <!-- none --> </search>"):
        delete = f"<con:ManageUser>{search}<deleteUser>true</deleteUser></con:ManageUser>"
        soap.call("UserService", delete)
    assert user_names(soap) == ["201", "superadmin"]


EMPTY_SEARCHES = {
    # search => []
    "SOAP::Lite": (
        f'<soap:Envelope soap:encodingStyle="{SOAP_ENC}" xmlns:soap="{ENVELOPE11}" '
        f'xmlns:soapenc="{SOAP_ENC}" xmlns:xsd="http://www.w3.org/2001/XMLSchema" '
        'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><soap:Body><ManageUser '
        f'xmlns="{NS}"><search soapenc:arrayType="xsd:anyType[0]" xsi:type="soapenc:Array" />'
        '<deleteUser xsi:type="xsd:int">1</deleteUser></ManageUser></soap:Body></soap:Envelope>'
    ),
    # new SoapParam([], 'search')
    "PHP without a WSDL": (
        f'<SOAP-ENV:Envelope xmlns:SOAP-ENV="{ENVELOPE11}" xmlns:ns1="{NS}" '
        f'xmlns:SOAP-ENC="{SOAP_ENC}" xmlns:xsd="http://www.w3.org/2001/XMLSchema" '
        'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
        f'SOAP-ENV:encodingStyle="{SOAP_ENC}"><SOAP-ENV:Body><ns1:ManageUser><search '
        'SOAP-ENC:arrayType="xsd:ur-type[0]" xsi:type="SOAP-ENC:Array"/><deleteUser '
        'xsi:type="xsd:boolean">true</deleteUser></ns1:ManageUser></SOAP-ENV:Body>'
        "</SOAP-ENV:Envelope>"
    ),
}


@pytest.mark.parametrize("sent", EMPTY_SEARCHES.values(), ids=EMPTY_SEARCHES)
def test_an_empty_list_as_search_deletes_nobody(soap: Soap, sent: str) -> None:
    soap.call("UserService", add_user(""))
    assert soap.post("UserService", sent.encode()).status == 200
    assert user_names(soap) == ["201", "superadmin"]


def test_an_unknown_list_is_refused_though_it_is_empty(soap: Soap) -> None:
    for unknown in (f"<alias {ARRAY}/>", f"<alias {ARRAY}><a>1</a></alias>"):
        fault = refusal(soap, "UserService", add_user(unknown))
        assert fault.problems == [Problem("unknownElement", "alias")]


NULLS = {
    "SOAPpy's": ('xsi:null="1"', OLD["1999"]),
    "null of 1999 in a word": ('xsi:null=" true "', OLD["1999"]),
    "nil of 1999": ('xsi:nil="true"', OLD["1999"]),
    "null of 2000": ('xsi:null="1"', OLD["2000/10"]),
    "nil of 2000": ('xsi:nil="1"', OLD["2000/10"]),
}


@pytest.mark.parametrize(("attribute", "xsi"), NULLS.values(), ids=NULLS)
def test_null_counts_in_old_spellings(soap: Soap, attribute: str, xsi: str) -> None:
    search = f'<search xmlns:xsi="{xsi}" {attribute}/>'
    assert len(soap.call("UserService", f"<con:FindUser>{search}</con:FindUser>")[0]) == 1
    null = f'<lastName xmlns:xsi="{xsi}" {attribute}>Curie</lastName>'
    soap.call("UserService", add_user(null))
    assert "lastName" not in user(soap)
    with_content = f'<search xmlns:xsi="{xsi}" {attribute}><byUserName>201</byUserName></search>'
    fault = refusal(soap, "UserService", f"<con:FindUser>{with_content}</con:FindUser>")
    assert fault.problems == [Problem("invalidValue", "search")]


NOT_NULL = {
    "null of 2001": 'xsi:null="1"',
    "null of no namespace": 'null="1"',
    "null that is false": f'i:null="0" xmlns:i="{OLD["1999"]}"',
    "a null that is none": f'i:null="yes" xmlns:i="{OLD["1999"]}"',
    "null of another year": 'i:null="1" xmlns:i="http://www.w3.org/1998/XMLSchema-instance"',
}


@pytest.mark.parametrize("attribute", NOT_NULL.values(), ids=NOT_NULL)
def test_an_empty_search_stays_one_with(soap: Soap, attribute: str) -> None:
    found = soap.call("UserService", f"<con:FindUser><search {attribute}/></con:FindUser>")
    assert len(found[0]) == 0


def test_soappy_finds_everybody_by_its_null(soap: Soap) -> None:
    body = call("FindUser", '<search xsi:null="1"/>\n')
    assert "<userName>superadmin</userName>" in soap.post("UserService", body).text
    body = call(
        "FindUser", '<search>\n<byUserName xsi:type="xsd:string">x</byUserName>\n</search>\n'
    )
    assert "<userName>" not in soap.post("UserService", body).text


def test_soappy_calls_an_operation_without_input(soap: Soap) -> None:
    body = call("getCallGroups", "")
    assert "GetCallGroupsResponse" in soap.post("CallGroupService", body).text


# Whatever comes

ENDPOINT = Endpoint(next(each for each in SERVICES if each.__name__ == "UserService"), "item")


class Recorder:
    """Takes calls, and keeps what was read."""

    def __init__(self) -> None:
        self.read: list[str] = []

    def invoke(
        self, _service: str, _operation: Operation, arguments: tuple[Any, ...], problems: Problems
    ) -> Any:
        problems.check()
        self.read += map(repr, arguments)
        return ()


attributes = st.lists(
    st.sampled_from(
        [
            'id="a"',
            'id="b"',
            'href="#a"',
            'href="#b"',
            'href="#"',
            'href="x"',
            'e:arrayType="x"',
            'i:type="e:Array"',
            'i:type="e:base64"',
            'i:type="p:base64"',
            'o:type="e:base64"',
            'o:null="1"',
            'i:nil="1"',
        ]
    ),
    max_size=3,
    unique_by=lambda each: each.partition("=")[0],
).map(" ".join)


def elements(depth: int = 3) -> st.SearchStrategy[str]:
    """Any elements, with the attributes of SOAP encoding."""
    names = st.sampled_from(
        ["search", "user", "userName", "aliases", "edit", "property", "value", "item", "\U0001f4de"]
    )
    inside = st.sampled_from(["", " ", "201", "MjAx", "!"])
    if depth:
        inside |= st.lists(elements(depth - 1), max_size=3).map("".join)
    return st.builds("<{0} {1}>{2}</{0}>".format, names, attributes, inside)


@given(
    operation=st.sampled_from(["findUser", "addUser", "manageUser"]),
    own=attributes,
    inside=st.lists(elements(), max_size=3).map("".join),
    beside=st.lists(elements(), max_size=3).map("".join),
)
@settings(deadline=None, max_examples=300)
def test_any_encoding_is_read_or_refused(
    operation: str, own: str, inside: str, beside: str
) -> None:
    namespaces = f'xmlns:e="{SOAP_ENC}" xmlns:i="http://www.w3.org/2001/XMLSchema-instance"'
    body = (
        f'<s:Envelope xmlns:s="{ENVELOPE11}" {namespaces} xmlns:o="{OLD["1999"]}">'
        f"<s:Body><{operation} {own}>{inside}</{operation}>{beside}</s:Body></s:Envelope>"
    ).encode()
    recorder = Recorder()
    reply = ENDPOINT.call(body, None, recorder)
    content = b"".join(reply.chunks)
    assert b"Internal error" not in content
    assert (reply.status == 200) == (len(recorder.read) == 1)


def test_an_ordinary_request_is_not_looked_at_twice(
    soap: Soap, monkeypatch: pytest.MonkeyPatch
) -> None:
    def translate(*_arguments: object) -> None:
        raise AssertionError

    monkeypatch.setattr("sipxconfig_soap.soap.endpoint.translate", translate)
    soap.call("UserService", add_user('<aliases xsi:type="xsd:string" id="1">301</aliases>'))
    assert user(soap)["aliases"] == ["301"]
    assert not is_encoded(
        envelope("<con:FindUser><search><byGroup>x</byGroup></search></con:FindUser>")
    )
