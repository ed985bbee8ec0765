"""How the children of a call are read (wire.md §3)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.support.messages import refusal
from tests.support.soap import NS, Problem

if TYPE_CHECKING:
    from tests.support.soap import Soap

NIL = 'xsi:nil="true"'


def add_user(soap: Soap, inside: str) -> None:
    soap.call("UserService", f"<con:AddUser>{inside}</con:AddUser>")


def the_user(soap: Soap, name: str = "201") -> dict[str, Any]:
    (user,) = soap.operation("UserService", "findUser", {"search": {"byUserName": name}})
    return dict(user)


NAMED = "<userName>201</userName>"
USERS = {
    "unqualified": f"<user>{NAMED}<lastName>Curie</lastName></user>",
    "qualified": (
        "<con:user><con:userName>201</con:userName><con:lastName>Curie</con:lastName></con:user>"
    ),
    "qualified by default": f'<user xmlns="{NS}">{NAMED}<lastName>Curie</lastName></user>',
    "half qualified": f"<user>{NAMED}<con:lastName>Curie</con:lastName></user>",
    "in a foreign namespace": f'<user xmlns="urn:x">{NAMED}<lastName>Curie</lastName></user>',
    "in another order": f"<user><lastName>Curie</lastName>{NAMED}</user>",
    "with unknown attributes": (
        f'<user id="u1" con:x="y" xml:lang="en">{NAMED}<lastName lang="fr">Curie</lastName></user>'
    ),
    "with xsi:type": (
        f'<user xsi:type="con:User">{NAMED}<lastName xsi:type="con:string">Curie</lastName></user>'
    ),
    "with a wrong xsi:type": (
        '<user xsi:type="con:Phone"><userName xsi:type="xsd:int">201</userName>'
        '<lastName xsi:type="xsd:boolean">Curie</lastName></user>'
    ),
    "with comments": (
        f"<user><!-- a -->{NAMED}<lastName>Cu<!-- b -->rie</lastName><!-- c --></user><!-- d -->"
    ),
    "with CDATA": f"<user>{NAMED}<lastName><![CDATA[Cur]]>ie<![CDATA[]]></lastName></user>",
    "with character references": f"<user>{NAMED}<lastName>&#67;&#x75;rie</lastName></user>",
    "with text between": f"stray <user>text {NAMED} here <lastName>Curie</lastName>!</user> too",
    "with CDATA between": f"<user><![CDATA[stray]]>{NAMED}<lastName>Curie</lastName></user>",
    "with a repeated element": (
        "<user><userName>299</userName><lastName>Sklodowska</lastName>"
        f"{NAMED}<lastName>Curie</lastName></user>"
    ),
    "with xsi:nil false": (
        f'<user xsi:nil="false">{NAMED}<lastName xsi:nil="0">Curie</lastName></user>'
    ),
}


@pytest.mark.parametrize("inside", USERS.values(), ids=USERS)
def test_the_same_user_is_read(soap: Soap, inside: str) -> None:
    add_user(soap, inside)
    assert the_user(soap)["lastName"] == "Curie"


ABSENT = {
    "absent": "",
    "nil": f"<lastName {NIL}/>",
    "nil by 1": '<lastName xsi:nil="1"/>',
    "nil with white space": '<lastName xsi:nil=" true "/>',
    "nil with text": f"<lastName {NIL}>Curie</lastName>",
    "nil after a value": f"<lastName>Curie</lastName><lastName {NIL}/>",
    "empty": "<lastName/>",
    "white space": "<lastName> \t\n </lastName>",
}


@pytest.mark.parametrize("last_name", ABSENT.values(), ids=ABSENT)
def test_a_text_has_no_value_that_is(soap: Soap, last_name: str) -> None:
    add_user(soap, f"<user>{NAMED}{last_name}</user>")
    assert "lastName" not in the_user(soap)


@pytest.mark.parametrize(
    ("service", "body", "field", "type_name"),
    [
        ("UserService", "<FindUser><searc/></FindUser>", "searc", "FindUser"),
        (
            "UserService",
            "<FindUser><search><byName/></search></FindUser>",
            "search.byName",
            "UserS",
        ),
        (
            "UserService",
            "<AddUser><user><userName>1</userName><mail/></user></AddUser>",
            "mail",
            "U",
        ),
        ("UserService", f"<AddUser><user>{NAMED}</user><user2/></AddUser>", "user2", "AddUser"),
        (
            "UserService",
            "<ManageUser><edit><name>x</name></edit></ManageUser>",
            "edit[0].name",
            "P",
        ),
        ("CallGroupService", "<getCallGroups><all/></getCallGroups>", "all", "getCallGroups"),
        (
            "CallGroupService",
            "<AddCallGroup><callGroup><rings/><rings><user/></rings></callGroup></AddCallGroup>",
            "rings[1].user",
            "UserRing",
        ),
        (
            "PhoneService",
            "<ManagePhone><addLine><userId>1</userId><x/></addLine></ManagePhone>",
            "addLine.x",
            "Line",
        ),
        ("TestService", "<ResetServices><users>true</users></ResetServices>", "users", "ResetServ"),
    ],
)
def test_an_unknown_element_is_refused_by_its_path(
    soap: Soap, service: str, body: str, field: str, type_name: str
) -> None:
    fault = refusal(soap, service, body)
    assert Problem("unknownElement", field) in fault.problems
    name = field.rpartition(".")[2]
    assert fault.text.startswith(f"{field} is unknown: {type_name}")
    assert f" has no {name}." in fault.text


def test_an_element_inside_a_simple_value_is_refused_by_the_path_of_both(soap: Soap) -> None:
    user = "<userName>20<b>1</b></userName><aliases>a</aliases><aliases><x/></aliases>"
    fault = refusal(soap, "UserService", f"<AddUser><user>{user}</user></AddUser>")
    assert fault.problems == [
        Problem("unknownElement", "userName.b"),
        Problem("unknownElement", "aliases[1].x"),
    ]
    find = "<FindUser><search><byUserName><i>201</i></byUserName></search></FindUser>"
    fault = refusal(soap, "UserService", find)
    assert fault.problems == [Problem("unknownElement", "search.byUserName.i")]


@pytest.mark.parametrize(
    ("service", "body", "field"),
    [
        ("UserService", "<FindUser><search/><search/></FindUser>", "search"),
        ("UserService", f"<FindUser><search {NIL}/><search {NIL}/></FindUser>", "search"),
        ("UserService", f"<AddUser><user>{NAMED}</user><user>{NAMED}</user></AddUser>", "user"),
        (
            "PhoneService",
            "<ManagePhone><addLine><userId>superadmin</userId></addLine><addLine/></ManagePhone>",
            "addLine",
        ),
    ],
)
def test_a_complex_element_is_refused_that_is_given_twice(
    soap: Soap, service: str, body: str, field: str
) -> None:
    fault = refusal(soap, service, body)
    assert fault.problems == [Problem("invalidValue", field)]
    assert fault.text == f"{field} may be given only once."


@pytest.mark.parametrize(
    ("service", "body", "field"),
    [
        ("UserService", "<AddUser/>", "user"),
        ("UserService", f"<AddUser {NIL}/>", "user"),
        ("UserService", f"<AddUser><user {NIL}/><pin>1</pin></AddUser>", "user"),
        ("PermissionService", "<addPermission/>", "permission"),
        ("CallGroupService", "<addCallGroup/>", "callGroup"),
        ("ParkOrbitService", "<addParkOrbit/>", "parkOrbit"),
        ("PhoneService", "<addPhone/>", "phone"),
        ("CallGroupService", "<removeCallGroup/>", "callGroup"),
    ],
)
def test_what_an_operation_is_about_must_be_given(
    soap: Soap, service: str, body: str, field: str
) -> None:
    fault = refusal(soap, service, body)
    assert fault.problems == [Problem("required", field)]
    assert fault.text == f"{field} is required and must not be blank."


HOLLOW = {
    "empty": "<{0}/>",
    "white space": "<{0}> \n\t</{0}>",
    "comment": "<{0}><!-- optional --></{0}>",
    "nil": f"<{{0}} {NIL}/>",
    "blank children": "<{0}><{1}/><{2}> \r\n</{2}></{0}>",
    "nil children": f"<{{0}}><{{1}} {NIL}/><{{2}} {NIL}>x</{{2}}></{{0}}>",
}


@pytest.mark.parametrize("form", HOLLOW.values(), ids=HOLLOW)
@pytest.mark.parametrize(
    ("name", "first", "second"),
    [
        ("edit", "property", "value"),
        ("addLine", "userId", "uri"),
        ("addExternalLine", "userId", "registrationServer"),
    ],
    ids=["edit", "addLine", "addExternalLine"],
)
def test_an_element_with_nothing_inside_is_ignored(
    soap: Soap, name: str, first: str, second: str, form: str
) -> None:
    phone = {"serialNumber": "000000000001", "modelId": "polycom321"}
    soap.operation("PhoneService", "addPhone", {"phone": phone})
    hollow = form.format(name, first, second)
    soap.call("PhoneService", f"<ManagePhone>{hollow}<addGroup>g</addGroup></ManagePhone>")
    (found,) = soap.operation("PhoneService", "findPhone", {})
    assert found["groups"] == ["g"]
    assert "lines" not in found


@pytest.mark.parametrize(
    ("inside", "problem"),
    [
        ("<edit><value>x</value></edit>", Problem("required", "edit[0].property")),
        (
            "<edit/><edit><property/><value>x</value></edit>",
            Problem("required", "edit[1].property"),
        ),
        ("<addLine><uri>x</uri></addLine>", Problem("required", "addLine.userId")),
        ("<addLine>\u00a0</addLine>", Problem("required", "addLine.userId")),
        ("<edit><value><b/></value></edit>", Problem("unknownElement", "edit[0].value.b")),
        (
            "<addExternalLine><registrationServer>x</registrationServer></addExternalLine>",
            Problem("required", "addExternalLine.userId"),
        ),
    ],
)
def test_an_element_with_something_inside_is_not_ignored(
    soap: Soap, inside: str, problem: Problem
) -> None:
    assert refusal(soap, "PhoneService", f"<ManagePhone>{inside}</ManagePhone>").problems == [
        problem
    ]


SEARCHES = {
    "absent": ("", ["201", "superadmin"]),
    "nil": (f"<search {NIL}/>", ["201", "superadmin"]),
    "empty": ("<search/>", []),
    "white space": ("<search> \n </search>", []),
    "a comment": ("<search><!-- all --></search>", []),
    "a nil member": (f"<search><byUserName {NIL}/></search>", []),
    "a blank member": ("<search><byUserName> </byUserName></search>", []),
    "a blank member before another": (
        "<search><byUserName/><byGroup>administrators</byGroup></search>",
        [],
    ),
    "a nil member before another": (
        f"<search><byUserName {NIL}/><byGroup>administrators</byGroup></search>",
        ["superadmin"],
    ),
    "the first in the order of the type": (
        "<search><byGroup>administrators</byGroup><byUserName>201</byUserName></search>",
        ["201"],
    ),
}


@pytest.mark.parametrize(("search", "names"), SEARCHES.values(), ids=SEARCHES)
def test_a_search_matches_when_it_is(soap: Soap, search: str, names: list[str]) -> None:
    add_user(soap, f"<user>{NAMED}</user>")
    users = soap.call("UserService", f"<FindUser>{search}</FindUser>")
    assert [user.findtext("userName") for user in users[0]] == names


def test_an_empty_search_never_deletes_everything(soap: Soap) -> None:
    add_user(soap, f"<user>{NAMED}</user>")
    soap.call("UserService", "<ManageUser><search/><deleteUser>true</deleteUser></ManageUser>")
    assert the_user(soap)
    soap.call("UserService", "<ManageUser><deleteUser>true</deleteUser></ManageUser>")
    assert len(soap.operation("UserService", "findUser", {})) == 1


def test_a_search_that_is_nil_and_has_content_is_no_search_for_everything(soap: Soap) -> None:
    soap.operation("UserService", "addUser", {"user": {"userName": "201"}})
    body = f"<con:ManageUser><search {NIL}><byUserName>201</byUserName></search>"
    fault = soap.fault("UserService", body + "<deleteUser>true</deleteUser></con:ManageUser>")
    assert fault.problems == [Problem("invalidValue", "search")]
    assert len(soap.operation("UserService", "findUser", {})) == 2


@pytest.mark.parametrize(
    ("service", "body", "field"),
    [
        (
            "UserService",
            f"<FindUser><search><byUserName {NIL}><b>1</b></byUserName></search></FindUser>",
            "search.byUserName.b",
        ),
        (
            "UserService",
            f"<ManageUser><search/><deleteUser {NIL}><b>1</b></deleteUser></ManageUser>",
            "deleteUser.b",
        ),
        (
            "UserService",
            f"<AddUser><user>{NAMED}<aliases/><aliases {NIL}><b/></aliases></user></AddUser>",
            "aliases[1].b",
        ),
        (
            "TestService",
            f"<ResetServices><callGroup {NIL}><b/></callGroup></ResetServices>",
            "callGroup.b",
        ),
    ],
)
def test_children_of_a_simple_value_are_refused_where_it_is_nil_too(
    soap: Soap, service: str, body: str, field: str
) -> None:
    fault = refusal(soap, service, body)
    assert fault.problems == [Problem("unknownElement", field)]
    assert len(soap.operation("UserService", "findUser", {})) == 1


@pytest.mark.parametrize("last", ["false", "", "0"])
def test_of_a_simple_value_given_twice_only_the_last_is_judged(soap: Soap, last: str) -> None:
    delete = f"<deleteUser>bad</deleteUser><deleteUser>true</deleteUser><deleteUser>{last}"
    soap.call("UserService", f"<con:ManageUser><search/>{delete}</deleteUser></con:ManageUser>")


def test_the_last_of_a_simple_value_given_twice_is_judged(soap: Soap) -> None:
    delete = "<deleteUser>true</deleteUser><deleteUser>bad</deleteUser>"
    fault = refusal(soap, "UserService", f"<ManageUser><search/>{delete}</ManageUser>")
    assert fault.problems == [Problem("invalidValue", "deleteUser", "bad")]


def test_children_of_a_simple_value_are_refused_though_another_one_follows(soap: Soap) -> None:
    twice = "<byUserName>201<b/></byUserName><byUserName>superadmin</byUserName>"
    fault = refusal(soap, "UserService", f"<FindUser><search>{twice}</search></FindUser>")
    assert fault.problems == [Problem("unknownElement", "search.byUserName.b")]


def test_a_nil_member_of_a_list_keeps_the_places_of_the_others(soap: Soap) -> None:
    aliases = f"<aliases {NIL}/><aliases/><aliases>a b</aliases><aliases> c </aliases>"
    fault = refusal(soap, "UserService", f"<AddUser><user>{NAMED}{aliases}</user></AddUser>")
    assert [problem.field for problem in fault.problems] == ["aliases[2]"]
