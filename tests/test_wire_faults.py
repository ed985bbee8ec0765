"""The form of faults, the database away, and what nobody foresaw (wire.md §6)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from lxml import etree

from sipxconfig_soap.db import Database
from tests.support.client import Client
from tests.support.logs import printed
from tests.support.messages import add_phone, add_user, manage_phone, stock
from tests.support.soap import HEAD, NS, TAIL, Problem, Soap, envelope

if TYPE_CHECKING:
    from sipxconfig_soap.settings import Settings


@pytest.fixture
def stocked(soap: Soap) -> Soap:
    return stock(soap)


def test_a_fault_has_these_bytes(stocked: Soap) -> None:
    response = stocked.post("UserService", envelope(add_user("<userName>202</userName>")))
    assert response.status == 500
    assert response.headers["content-type"] == "text/xml; charset=UTF-8"
    assert (
        response.body
        == HEAD
        + (
            "<soapenv:Fault><faultcode>soapenv:Server.userException</faultcode>"
            "<faultstring>userName '202' is already in use by an alias of the user 201."
            "</faultstring>"
            f'<detail><error xmlns="{NS}" code="nameInUse" field="userName" value="202">'
            "userName '202' is already in use by an alias of the user 201.</error></detail>"
            "</soapenv:Fault>"
        ).encode()
        + TAIL
    )


def test_every_problem_of_a_request_is_listed(stocked: Soap) -> None:
    user = (
        "<colour>red</colour><userName>2 0 1</userName><aliases>300</aliases><aliases>~~x</aliases>"
        "<emailAddress>nobody</emailAddress><permissions>perm_99</permissions>"
        f"<groups>{'g' * 256}</groups><sipPassword>a&#9;b</sipPassword>"
    )
    fault = stocked.fault("UserService", add_user(user, f"<pin>{'1' * 256}</pin>"))
    assert sorted((each.code, each.field) for each in fault.problems) == [
        ("invalidValue", "emailAddress"),
        ("invalidValue", "sipPassword"),
        ("invalidValue", "userName"),
        ("nameInUse", "aliases[0]"),
        ("reservedName", "aliases[1]"),
        ("tooLong", "groups[0]"),
        ("tooLong", "pin"),
        ("unknownElement", "colour"),
        ("unknownPermission", "permissions[0]"),
    ]
    assert fault.text == "colour is unknown: User has no colour. (8 more problems)"


def test_every_problem_has_its_sentence_as_text(stocked: Soap) -> None:
    user = "<colour>red</colour><userName>2&#9;&amp;1</userName><aliases>300</aliases>"
    response = stocked.post("UserService", envelope(add_user(user, f"<pin>{'1' * 256}</pin>")))
    sentences = [error.text for error in etree.fromstring(response.body).iterfind(".//{*}error")]
    assert sentences == [
        "colour is unknown: User has no colour.",
        "userName '2\t&1' has characters that the user part of a SIP address cannot have.",
        "pin is too long: 256 characters, at most 255 are kept.",
        "aliases[0] '300' is already in use by the extension of the call group sales.",
    ]
    assert "userName '2&#9;&amp;1' has" in response.text.partition("<detail>")[2]


def test_one_further_problem_is_counted_in_the_singular(stocked: Soap) -> None:
    user = "<userName>202</userName><aliases>300</aliases>"
    assert stocked.fault("UserService", add_user(user)).text == (
        "userName '202' is already in use by an alias of the user 201. (1 more problem)"
    )


def test_the_same_problem_twice_is_listed_once(stocked: Soap) -> None:
    fault = stocked.fault("UserService", add_user("<userName>203</userName><x/><x/>"))
    assert fault.problems == [Problem("unknownElement", "x")]


def test_every_entity_that_refuses_is_listed(stocked: Soap) -> None:
    phone = add_phone("<lines><userId>201</userId></lines><lines><userId>201</userId></lines>")
    stocked.call("PhoneService", phone)
    call = manage_phone("<addLine><userId>201</userId></addLine>")
    assert stocked.fault("PhoneService", call).problems == [
        Problem("tooManyLines", "addLine", None, "000000000001"),
        Problem("tooManyLines", "addLine", None, "000000000002"),
    ]


@pytest.mark.parametrize(
    "value",
    [
        "&\"'<>]]>",
        "tab\there",
        "line\nfeed",
        "carriage\rreturn",
        "\r\n \t",
        "Ünï\u2028\x85\x7f\ufeff",
        "\U0001f4de" * 100,
        '<!--" x="1',
        "%s {0} ${x} \\",
    ],
)
def test_special_characters_come_back_in_value_and_sentence(soap: Soap, value: str) -> None:
    references = "".join(f"&#{ord(character)};" for character in value + "\u00a7")
    call = f"<manageUser><deleteUser>{references}</deleteUser></manageUser>"
    fault = soap.fault("UserService", call)
    shown = f"{value}\u00a7"[:100]
    assert fault.problems == [Problem("invalidValue", "deleteUser", shown)]
    assert fault.text == f"deleteUser '{shown}' is not a boolean: true or false."


def test_special_characters_are_references_in_the_bytes(soap: Soap) -> None:
    call = "<manageUser><deleteUser>&#9;&#10;&#13;&amp;&lt;&gt;\"'\u00e9</deleteUser></manageUser>"
    body = soap.post("UserService", envelope(call)).text
    assert 'value="&#9;&#10;&#13;&amp;&lt;&gt;&quot;\'\u00e9"' in body
    assert "deleteUser '&#9;&#10;&#13;&amp;&lt;&gt;&quot;'\u00e9' is not" in body


@pytest.mark.parametrize(("length", "shown"), [(99, 99), (100, 100), (101, 100), (100_000, 100)])
def test_a_value_is_shown_up_to_100_characters(soap: Soap, length: int, shown: int) -> None:
    value = "\U0001f4de" * length
    fault = soap.fault("UserService", f"<manageUser><deleteUser>{value}</deleteUser></manageUser>")
    assert fault.problems == [Problem("invalidValue", "deleteUser", value[:shown])]
    assert len(fault.text) < shown + 60


def test_a_name_without_end_is_cut_too(soap: Soap) -> None:
    name = "n" * 100_000
    for service, call in (
        ("UserService", f"<findUser><search><{name}/></search></findUser>"),
        ("UserService", f"<findUser><search><byGroup><{name}/></byGroup></search></findUser>"),
        ("CallGroupService", f"<getCallGroups><{name}/></getCallGroups>"),
        ("UserService", f"<{name}/>"),
        ("UserService", f"<x:{name}/>"),
    ):
        assert len(soap.post(service, envelope(call)).body) < 2000


def test_the_database_away_is_503_with_retry_after(settings: Settings) -> None:
    nowhere = Database("postgresql://nobody@127.0.0.1:1/nothing")
    client = Client(settings, nowhere)
    response = client.request("POST", "/sipxconfig/services/UserService", envelope("<findUser/>"))
    nowhere.dispose()
    assert response.status == 503
    assert int(response.headers["retry-after"]) > 0
    assert response.headers["content-type"] == "text/xml; charset=UTF-8"
    assert (
        response.body
        == HEAD
        + (
            b"<soapenv:Fault><faultcode>soapenv:Server.unavailable</faultcode><faultstring>"
            b"The database is not available at the moment. Try again shortly.</faultstring>"
            b"<detail></detail></soapenv:Fault>"
        )
        + TAIL
    )


def test_anything_unforeseen_tells_no_more_than_a_reference_that_the_log_has_too(
    stocked: Soap, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    with database.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE names RENAME TO names_away")
    try:
        user = "<userName>203</userName><lastName>hush-4711</lastName>"
        fault = stocked.fault("UserService", add_user(user, "<pin>hush-4711</pin>"))
        found = stocked.fault("UserService", "<findUser/>")
    finally:
        with database.engine.begin() as connection:
            connection.exec_driver_sql("ALTER TABLE names_away RENAME TO names")
    logged = printed(caplog)
    references = set()
    for each in (fault, found):
        assert (each.status, each.code, each.problems) == (500, "soapenv:Server", [])
        match = re.fullmatch(r"Internal error \(reference ([\w-]+)\)\.", each.text)
        assert match is not None
        assert f"reference={match[1]}" in logged
        references.add(match[1])
    assert len(references) == 2
    assert "hush-4711" not in logged
    assert "203" not in [
        user["userName"] for user in stocked.operation("UserService", "findUser", {})
    ]
