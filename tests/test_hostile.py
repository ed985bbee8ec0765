"""Hostile XML for a running server: a documented answer within seconds, and it lives on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.hostile import (
    LIMIT,
    SECRET,
    USERS,
    XML,
    attacked,
    client_fault,
    documented,
    refused,
)
from tests.support.raw import Wire, post
from tests.support.server import serve
from tests.support.soap import ENVELOPE11, Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sipxconfig_soap.db import Database
    from tests.support.server import RunningServer


@pytest.fixture(scope="module")
def server(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    environment = {"SIPXCONFIG_DATABASE_URL": database_url, "SIPXCONFIG_LOG_LEVEL": "debug"}
    with serve(tmp_path_factory.mktemp("server"), environment, "--no-worker") as running:
        yield running


@pytest.fixture
def wire(server: RunningServer, database: Database) -> Iterator[Wire]:
    assert database
    with attacked(server) as wire:
        yield wire


def document(inside: str, prologue: str = "") -> bytes:
    return (
        f'{prologue}<e:Envelope xmlns:e="{ENVELOPE11}"><e:Body>{inside}</e:Body></e:Envelope>'
    ).encode()


LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
BOMBS = {
    "billion laughs": f'<!DOCTYPE x [<!ENTITY l0 "ha">{LAUGHS}]>',
    "quadratic blow-up": f'<!DOCTYPE x [<!ENTITY a "{"a" * 100_000}">]>',
    "an external entity": '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>',
    "an external entity by HTTP": '<!DOCTYPE x [<!ENTITY a SYSTEM "http://127.0.0.1:9/">]>',
    "an external DTD": '<!DOCTYPE x SYSTEM "http://127.0.0.1:9/x.dtd">',
    "a public DTD": '<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0//EN" "http://127.0.0.1:9/">',
    "parameter entities": '<!DOCTYPE x [<!ENTITY % a SYSTEM "file:///etc/passwd"> %a; %b;]>',
    "a recursive entity": '<!DOCTYPE x [<!ENTITY a "&b;"><!ENTITY b "&a;">]>',
    "default attributes": '<!DOCTYPE x [<!ATTLIST pin value CDATA "1234">]>',
    "an empty DOCTYPE": "<!DOCTYPE x>",
    "a DOCTYPE that does not end": "<!DOCTYPE x [",
}


@pytest.mark.parametrize("prologue", BOMBS.values(), ids=BOMBS)
def test_nothing_is_expanded_or_fetched(wire: Wire, prologue: str) -> None:
    call = f"<addUser><user><userName>&a;&l9;</userName></user><pin>{SECRET}</pin></addUser>"
    sentence = client_fault(wire.send(post(USERS, document(call, prologue), XML)))
    assert sentence == "A DOCTYPE is not allowed in a request."


@pytest.mark.parametrize(
    "inside",
    [
        "<!DOCTYPE x><findUser/>",
        "<findUser><!DOCTYPE x></findUser>",
        "<findUser>&a;</findUser>",
        "<findUser>&#0;</findUser>",
        "<findUser>&#xFFFFFFFFFF;</findUser>",
        "<findUser><search></findUser></search>",
        "<findUser><![CDATA[</findUser>",
        "<findUser><!-- -- --></findUser>",
        "<findUser a='1' a='2'/>",
        "<findUser a=1/>",
        "<p:findUser/>",
        "<findUser p:a='1'/>",
        "<findUser>\x00</findUser>",
        "<findUser>\x1b[31m</findUser>",
        f"<addUser><pin>{SECRET}</pin><",
    ],
)
def test_what_is_no_xml_is_refused(wire: Wire, inside: str) -> None:
    sentence = client_fault(wire.send(post(USERS, document(inside), XML)))
    assert sentence.startswith("The request is not well-formed XML: ")


@pytest.mark.parametrize(
    "body",
    [
        document("<?php system('id') ?><findUser/>"),
        document("<findUser/>", "<?xml-stylesheet type='text/xsl' href='http://127.0.0.1:9/'?>"),
        document("<findUser/>") + b"<?end?>",
    ],
)
def test_no_instruction_is_processed(wire: Wire, body: bytes) -> None:
    sentence = client_fault(wire.send(post(USERS, body, XML)))
    assert sentence == "A processing instruction is not allowed in a request."


def test_nothing_is_included(wire: Wire) -> None:
    include = '<i:include xmlns:i="http://www.w3.org/2001/XInclude" href="/etc/passwd"/>'
    user = f"<addUser><user>{include}<userName>201</userName></user></addUser>"
    answer = wire.send(post(USERS, document(user), XML))
    assert client_fault(answer).endswith("was sent elsewhere, and nothing is fetched.")


@pytest.mark.parametrize("depth", [63, 64, 65, 100_000])
def test_elements_are_nested_64_deep_at_most(wire: Wire, depth: int) -> None:
    levels = depth - 3  # beside Envelope, Body and the operation
    inside = f"<findUser>{'<a>' * levels}{'</a>' * levels}</findUser>"
    answer = wire.send(post(USERS, document(inside), XML))
    if depth <= 64:
        assert refused(answer) == [Problem("unknownElement", "a")]
    else:
        assert client_fault(answer) == "The request nests elements deeper than 64."


def test_nesting_that_does_not_end_is_refused_for_its_depth(wire: Wire) -> None:
    sentence = client_fault(wire.send(post(USERS, b"<a>" * 1_000_000, XML)))
    assert sentence == "The request nests elements deeper than 64."


@pytest.mark.parametrize(("count", "taken"), [(100_000, True), (100_001, False)])
def test_a_request_has_100000_elements_at_most(wire: Wire, count: int, *, taken: bool) -> None:
    blank = "<aliases/>" * (count - 5)
    inside = f"<addUser><user><userName>201</userName>{blank}</user></addUser>"
    answer = wire.send(post(USERS, document(inside), XML))
    if taken:
        assert documented(answer).status == 200
    else:
        assert client_fault(answer) == "The request has more than 100000 elements."


MANY = 99_000
LONG_TEXT = 9_900_000
CROWDS: dict[str, Callable[[], str]] = {
    "the same unknown element": lambda: "<x/>" * MANY,
    "different unknown elements": lambda: "".join(f"<x{n}/>" for n in range(MANY)),
    "elements and text in turn": lambda: f"<x/>{'y' * 150}" * MANY,
    "wrong members of a list": lambda: "<aliases>a b</aliases>" * MANY,
    "nil elements": lambda: '<groups xsi:nil="true"/>' * MANY,
    "the same element again and again": lambda: "<lastName>x</lastName>" * MANY,
    "many texts in one": lambda: f"<lastName>{'<!-- -->x' * 500_000}</lastName>",
    "many references": lambda: f"<lastName>{'&amp;' * 1_000_000}</lastName>",
    "a long text": lambda: f"<lastName>{'x' * LONG_TEXT}</lastName>",
    "a long comment": lambda: f"<!--{'x' * LONG_TEXT}-->",
    "a word of XML again and again": lambda: f"<lastName>{'xmlns' * 100_000}</lastName>",
    "many quotes": lambda: (
        f"<lastName>{chr(61) + chr(34)}{('= ' * 9 + chr(34)) * 100_000}</lastName>"
    ),
}


@pytest.mark.parametrize("crowd", CROWDS.values(), ids=CROWDS)
def test_very_many_of_something_are_answered(wire: Wire, crowd: Callable[[], str]) -> None:
    xsi = 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
    user = f"<user {xsi}><userName>2 0 1</userName>{crowd()}</user>"
    problems = refused(wire.send(post(USERS, document(f"<addUser>{user}</addUser>"), XML)))
    assert Problem("invalidValue", "userName", "2 0 1") in problems


LONG = 1_000_000
LONG_NAME = 49_000


def many(form: str, count: int = 400_000) -> str:
    """The form with each number from 0."""
    return " ".join(form.format(number) for number in range(count))


NAMES: dict[str, Callable[[], str]] = {
    "a long element": lambda: f"<{'n' * LONG_NAME}/>",
    "a long prefix": lambda: f"<{'p' * LONG_NAME}:a xmlns:{'p' * LONG_NAME}='urn:x'/>",
    "a long attribute": lambda: f"<a {'n' * LONG_NAME}='1'/>",
    "a long attribute value": lambda: f"<a b='{'v' * LONG}'/>",
    "many attributes": lambda: "<a " + many("a{}=''") + "/>",
    "many prefixes": lambda: "<a " + many("xmlns:p{}='u'") + "/>",
    "a long namespace of many elements": lambda: f"<a xmlns='{'u' * LONG}'>{'<b/>' * 90_000}</a>",
    "a long namespace of many nil elements": lambda: (
        f"<a xmlns:q='{'u' * LONG}'>" + "<b q:nil='1'/>" * 90_000 + "</a>"
    ),
    "a long namespace of many attributes": lambda: (
        f"<a xmlns:q='{'u' * LONG}'><b " + many("q:a{}=''") + "/></a>"
    ),
    "prefixes declared again and again": lambda: "<a xmlns:q='urn:q' xmlns='urn:d'/>" * 90_000,
}


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_names_without_end_are_answered(wire: Wire, name: Callable[[], str]) -> None:
    answer = wire.send(post(USERS, document(f"<findUser>{name()}</findUser>"), XML))
    assert [problem.code for problem in refused(answer)] == ["unknownElement"]
    assert len(documented(answer).body) < 2000


TOO_LONG: dict[str, Callable[[], str]] = {
    "a text": lambda: "x" * (LIMIT - 2000),
    "a text in pieces": lambda: f"{'x' * 1000}<!-- --><![CDATA[y]]>" * 12_000,
    "a CDATA section": lambda: f"<![CDATA[{'x' * (LIMIT - 2000)}]]>",
    "a comment": lambda: f"<!--{'x' * (LIMIT - 2000)}-->",
    "an attribute": lambda: f"<a b='{'x' * (LIMIT - 2000)}'/>",
    "a namespace": lambda: f"<a xmlns='{'u' * (LIMIT - 2000)}'/>",
    "attributes": lambda: "<a " + many(f"a{{}}='{'x' * 100}'", 100_000) + "/>",
    "an element": lambda: f"<{'n' * LONG}/>",
    "a prefix": lambda: f"<{'p' * LONG}:a xmlns:{'p' * LONG}='urn:x'/>",
    "the name of an attribute": lambda: f"<a {'n' * LONG}='1'/>",
}


@pytest.mark.parametrize("inside", TOO_LONG.values(), ids=TOO_LONG)
def test_what_is_longer_than_the_parser_takes_is_refused(
    wire: Wire, inside: Callable[[], str]
) -> None:
    answer = wire.send(post(USERS, document(f"<findUser>{inside()}</findUser>"), XML))
    sentence = client_fault(answer)
    assert sentence.startswith("The request has a name, text or tag of over ")
    assert len(sentence) < 200


@pytest.mark.parametrize("digits", [11, 4299, 4301, 1_000_000])
def test_a_gigantic_int_is_refused(wire: Wire, digits: int) -> None:
    ring = f"<rings><position>{'9' * digits}</position></rings>"
    call = f"<addCallGroup><callGroup><name>a</name>{ring}</callGroup></addCallGroup>"
    problems = refused(wire.send(post("CallGroupService", document(call), XML)))
    assert Problem("invalidValue", "rings[0].position", ("9" * digits)[:100]) in problems


def test_an_include_of_xop_is_content_sent_elsewhere(wire: Wire) -> None:
    include = '<x:Include xmlns:x="http://www.w3.org/2004/08/xop/include" href="cid:a"/>'
    call = f"<addUser><user><userName>{include}</userName></user></addUser>"
    body = document(call)
    answer = wire.send(post(USERS, body, "Content-Type: application/xop+xml; type='text/xml'"))
    assert client_fault(answer).startswith("The element 'Include' refers to content")


@pytest.mark.parametrize(
    "body",
    [b"\xff" * 1000, bytes(range(256)), b"<" * 10_000, b"&" * 10_000, b"]]>" * 1000],
    ids=["0xFF", "all bytes", "<", "&", "]]>"],
)
def test_noise_is_refused(wire: Wire, body: bytes) -> None:
    assert client_fault(wire.send(post(USERS, body))).startswith("The request is not well-formed")
