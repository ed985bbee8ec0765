"""Arrays of SOAP encoding that are no lists of the contract (wire.md §3)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.messages import refusal
from tests.support.soap import Problem, SoapFault, envelope

if TYPE_CHECKING:
    from tests.support.soap import Soap

ENC = 'xmlns:enc="http://schemas.xmlsoap.org/soap/encoding/"'
XSI_1999 = "http://www.w3.org/1999/XMLSchema-instance"
ARRAY = f'{ENC} enc:arrayType="xsd:string[2]" xsi:type="enc:Array"'


def add_user(inside: str) -> str:
    return f"<con:AddUser><user><userName>201</userName>{inside}</user></con:AddUser>"


def user(soap: Soap) -> dict[str, Any]:
    (found,) = soap.operation("UserService", "findUser", {"search": {"byUserName": "201"}})
    return dict(found)


def user_names(soap: Soap) -> list[str]:
    return [each["userName"] for each in soap.operation("UserService", "findUser", {})]


TEXTS = {
    "a list": ("AddUser", f"<user><userName>201</userName><aliases {ARRAY}>301</aliases></user>"),
    "a text": ("AddUser", f"<user><userName>201</userName><lastName {ARRAY}>C</lastName></user>"),
    "a boolean": ("ManageUser", f"<search/><deleteUser {ARRAY}>true</deleteUser>"),
    "a structure": ("ManageUser", f"<search {ARRAY}>201</search>"),
    "an item": ("ManageUser", f"<search/><edit {ARRAY}><item {ARRAY}>lastName</item></edit>"),
    "a target": ("ManageUser", f'<search href="#s"/></ManageUser><m {ARRAY} id="s">201</m>'),
}


@pytest.mark.parametrize(("operation", "inside"), TEXTS.values(), ids=TEXTS)
def test_an_array_of_text_is_refused(soap: Soap, operation: str, inside: str) -> None:
    end = "" if "</ManageUser>" in inside else f"</{operation}>"
    fault = SoapFault(soap.post("UserService", envelope(f"<{operation}>{inside}{end}")))
    assert (fault.status, fault.code) == (500, "soapenv:Client")
    assert re.fullmatch("The array '[a-zA-Z]+' has text instead of items.", fault.text)
    assert user_names(soap) == ["superadmin"]


EDIT = "<con:ManageUser><search/><edit><property>aliases</property>{}</edit></con:ManageUser>"
ONCE = {
    "a structure": (
        (
            f"<con:FindUser><search {ARRAY}><a><byUserName>201</byUserName></a><a/></search>"
            "</con:FindUser>"
        ),
        "'search' may be given only once: its array has 2 items.",
    ),
    "what is added": (
        f"<con:AddUser><user {ARRAY}><a><userName>202</userName></a><a/><a/></user></con:AddUser>",
        "'user' may be given only once: its array has 3 items.",
    ),
    "a value": (
        EDIT.format(f"<value {ARRAY}><i>301</i><i>302</i></value>"),
        "'value' may be given only once: its array has 2 items.",
    ),
    "a value that is given again": (
        EDIT.format(f"<value {ARRAY}><i>301</i><i>302</i></value><value>303</value>"),
        "'value' may be given only once: its array has 2 items.",
    ),
    "arrays in an array": (
        EDIT.format(f"<value {ARRAY}><i {ARRAY}><i>301</i></i><i {ARRAY}><i>2</i></i></value>"),
        "'value' may be given only once: its array has 2 items.",
    ),
    "an array in an array": (
        EDIT.format(f"<value {ARRAY}><i {ARRAY}><i>301</i><i>302</i></i></value>"),
        "'value' may be given only once: its array has 2 items.",
    ),
    "items that are null": (
        (
            f'<con:ManageUser><deleteUser {ARRAY}><i>1</i><i xsi:nil="1"/></deleteUser>'
            "</con:ManageUser>"
        ),
        "'deleteUser' may be given only once: its array has 2 items.",
    ),
}


@pytest.mark.parametrize(("body", "sentence"), ONCE.values(), ids=ONCE)
def test_an_array_of_several_for_what_may_stand_once_is_refused(
    soap: Soap, body: str, sentence: str
) -> None:
    fault = SoapFault(soap.post("UserService", envelope(body)))
    assert (fault.status, fault.code, fault.text) == (500, "soapenv:Client", sentence)
    assert user_names(soap) == ["superadmin"]


def test_an_array_of_one_is_that_one(soap: Soap) -> None:
    soap.call("UserService", add_user(f"<lastName {ARRAY}><i {ARRAY}><i>Curie</i></i></lastName>"))
    search = f"<search {ARRAY}><i><byUserName {ARRAY}><i>201</i></byUserName></i></search>"
    edit = f"<edit><property>aliases</property><value {ARRAY}><i>301</i></value></edit>"
    soap.call("UserService", f"<con:ManageUser>{search}{edit}</con:ManageUser>")
    assert (user(soap)["lastName"], user(soap)["aliases"]) == ("Curie", ["301"])


@pytest.mark.parametrize(
    "attributes",
    [
        'e:itemType="xsd:string" e:arraySize="2"',
        'e:arraySize="*"',
        'xsi:type="e:Array" e:itemType="xsd:string"',
        'xsi:type="e:Array"',
        'e:nodeType="array"',
        'e:nodeType=" array\n"',
    ],
)
def test_arrays_as_soap_1_2_spells_them(soap: Soap, attributes: str) -> None:
    encoding = 'xmlns:e="http://www.w3.org/2003/05/soap-encoding"'
    aliases = f"<aliases {encoding} {attributes}><item>301</item><item>302</item></aliases>"
    soap.call("UserService", add_user(aliases))
    assert user(soap)["aliases"] == ["301", "302"]


@pytest.mark.parametrize(
    "attribute",
    ['e:nodeType="struct"', 'e:nodeType="simple"', 'e:nodeType="Array"', 'nodeType="array"'],
)
def test_other_nodes_of_soap_1_2_are_no_arrays(soap: Soap, attribute: str) -> None:
    encoding = 'xmlns:e="http://www.w3.org/2003/05/soap-encoding"'
    aliases = f"<aliases {encoding} {attribute}><item>301</item></aliases>"
    fault = refusal(soap, "UserService", add_user(aliases))
    assert fault.problems == [Problem("unknownElement", "aliases[0].item")]


def test_the_mark_of_an_item_cannot_be_sent(soap: Soap) -> None:
    soap.call("UserService", add_user('<lastName xsi:arrayItems="2">Curie</lastName>'))
    assert user(soap)["lastName"] == "Curie"


def test_a_search_that_is_an_array_of_null_matches_nobody(soap: Soap) -> None:
    soap.call("UserService", add_user(""))
    phone = {"serialNumber": "000000000001", "modelId": "polycom321"}
    soap.operation("PhoneService", "addPhone", {"phone": phone})
    for null in (
        f'<search {ENC} xsi:type="enc:Array"><item xsi:nil="true"/></search>',
        f'<search {ARRAY}><item {ARRAY}><item xsi:nil="1"/></item></search>',
        f'<search {ARRAY}><item xmlns:i="{XSI_1999}" i:null="1"/></search>',
    ):
        soap.call(
            "UserService",
            f"<con:ManageUser>{null}<deleteUser>true</deleteUser></con:ManageUser>",
        )
        soap.call(
            "PhoneService",
            f"<con:ManagePhone>{null}<deletePhone>true</deletePhone></con:ManagePhone>",
        )
    assert user_names(soap) == ["201", "superadmin"]
    assert len(soap.operation("PhoneService", "findPhone", {})) == 1
    told = f'<search {ARRAY}><a xsi:nil="1"><byUserName>201</byUserName></a></search>'
    fault = refusal(soap, "UserService", f"<con:FindUser>{told}</con:FindUser>")
    assert fault.problems == [Problem("invalidValue", "search")]
