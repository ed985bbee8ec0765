"""What the parser of requests lets through, whatever its bytes (wire.md §3)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from sipxconfig_soap.soap.faults import Fault
from sipxconfig_soap.soap.reader import is_nil, local_name, text_of
from sipxconfig_soap.soap.xml import parse
from tests.support.soap import ENVELOPE11

SECRET = "hush-4711"
XSI = "http://www.w3.org/2001/XMLSchema-instance"


def refusal(body: str | bytes, charset: str | None = None) -> str:
    """With what a request is refused, "" if it is not."""
    try:
        parse(body.encode() if isinstance(body, str) else body, charset)
    except Fault as fault:
        return f"{fault.code}: {fault.text}"
    return ""


REPOSITORY = Path(__file__).parents[1]
GROWTH = """
import sys
from sipxconfig_soap.soap.faults import Fault
from sipxconfig_soap.soap.xml import parse
from tests.support.memory import peak

once, encoding = sys.argv[1:]
body = ("<r>" + once * (15_000_000 // len(once.encode(encoding)))).encode(encoding)
before = peak()
try:
    parse(body)
except Fault as fault:
    print(peak() - before, fault.text)
"""


@pytest.mark.parametrize("once", ["<a/>", "<a></a>", "<a b=''/>", "<a xmlns='u'/>", "x<a/>"])
def test_elements_without_end_do_not_become_a_tree(once: str) -> None:
    # Every element takes more than a hundred bytes: all of these would take some 400 MB.
    grown, text = run_apart(once, "utf-8")
    assert text == "The request has more than 100000 elements."
    assert grown < 64 * 1024


def test_a_request_is_answered_for_itself_whatever_came_before() -> None:
    assert refusal("<a>\n<b></c></a>").endswith("(line 2, column 8).")
    assert local_name(parse(b"<fine/>")) == "fine"
    assert refusal("<x y/>").endswith("(line 1, column 5).")
    assert refusal(f"<a>{'<b>' * 70}{'</b>' * 70}</a>").startswith(
        "Client: The request nests elements deeper"
    )
    kept = parse(b"<kept><a/></kept>")
    assert parse(b"<next/>").tag == "next"
    assert [each.tag for each in kept.iter()] == ["kept", "a"]


def test_a_parser_that_keeps_much_memory_is_not_kept() -> None:
    def parser_of(body: bytes) -> object:
        return parse(body).getroottree().parser

    large = b"<a>" + 70_000 * b"x" + b"</a>"
    assert parser_of(b"<a/>") is parser_of(b"<b/>")
    assert parser_of(large) is not parser_of(b"<a/>")


@pytest.mark.parametrize("quote", ["'", '"'])
def test_attributes_without_end_do_not_become_a_tree(quote: str) -> None:
    # Three elements; an attribute takes more memory than one of them.
    names = (f" a{number}={quote}{quote}" for number in range(166_700))
    element = f"<a{''.join(names)}/>"
    assert "more than 1000000 quotation marks" in refusal(f"<r>{element * 3}</r>")
    assert refusal(f"<r>{element * 2}</r>") == ""


def test_elements_without_end_in_utf_16_do_not_become_a_tree() -> None:
    grown, text = run_apart("<a/>", "utf-16-le")
    assert text == "The request has more than 100000 elements."
    assert grown < 64 * 1024


def run_apart(once: str, encoding: str) -> tuple[int, str]:
    """Parse 15 MB of this in a process of its own: KiB it has grown by, and the fault."""
    command = [sys.executable, "-c", GROWTH, once, encoding]
    printed = subprocess.run(
        command, capture_output=True, text=True, check=True, cwd=REPOSITORY
    ).stdout
    grown, text = printed.strip().split(" ", 1)
    return int(grown), text


@pytest.mark.parametrize("depth", [1, 64, 65, 255, 256, 257, 300, 3000, 50_000])
@pytest.mark.parametrize("end", ["</a>", "", "</b>", "<?p?></a>", "&b;</a>"])
def test_what_is_too_deep_is_refused_for_that(depth: int, end: str) -> None:
    text = refusal("<a>" * depth + end * depth)
    if depth > 256 or (depth > 64 and end == "</a>"):
        assert text == "Client: The request nests elements deeper than 64."
    elif depth > 64:
        assert text  # for one thing or the other
    else:
        assert (text == "") == (end == "</a>")
        assert "deeper" not in text


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@given(
    before=st.lists(
        st.sampled_from(
            [
                " \r\n\t",
                "<!---->",
                "<!-- > <!DOCTYPE a> -->",
                "<?xml version='1.0'?>",
                "<?p <!-- ?>",
                "<?xml-stylesheet href='x'?>",
                "\ufeff",
                "<!-- -- -->",
                "<?p",
                "x",
            ]
        ),
        max_size=4,
    ),
    start=st.sampled_from(["<!DOCTYPE a ", "<!DOCTYPE\ta\n", "<!DOCTYPEa", "<!doctype a "]),
)
@settings(deadline=None, max_examples=100)
def test_no_entity_is_ever_declared(encoding: str, before: list[str], start: str) -> None:
    declared = f"{''.join(before)}{start}[<!ENTITY b '{SECRET}'>]>"
    for root in ("<a>&b;</a>", "<a c='&b;'/>", "<a/>"):
        text = refusal((declared + root).encode(encoding), encoding.removesuffix("-sig"))
        assert text
        assert SECRET not in text
    if not {*before} & {"\ufeff", "<!-- -- -->", "<?p", "x"} and start.startswith("<!DOCTYPE"):
        text = refusal((declared + "<a/>").encode(encoding), encoding.removesuffix("-sig"))
        assert text == "Client: A DOCTYPE is not allowed in a request."


def test_what_only_looks_like_a_doctype_or_an_instruction_is_text() -> None:
    inside = "<![CDATA[<!DOCTYPE a><?p?>]]><!-- <?p?> <!DOCTYPE a> -->&lt;?p?>"
    assert text_of(parse(f"<!-- <?p?> --><a>{inside}</a>".encode())) == "<!DOCTYPE a><?p?><?p?>"


@pytest.mark.parametrize(
    ("inside", "text"),
    [
        ("", ""),
        ("20<!-- x -->0", "200"),
        ("<!-- x -->1", "1"),
        ("1<b>2</b>3<!-- -->4<c/>5<!-- -->", "1345"),
        ("<b/>1", "1"),
        ("<![CDATA[<1>]]>2<![CDATA[&amp;]]>", "<1>2&amp;"),
        ("&amp;&#65;&lt;", "&A<"),
        ("1\r\n2\r3&#13;", "1\n2\n3\r"),
    ],
)
def test_all_texts_in_an_element_are_one(inside: str, text: str) -> None:
    assert text_of(parse(f"<a>{inside}</a>".encode())) == text


@pytest.mark.parametrize("attribute", ["nil", f"{{{XSI}}}nil", "{urn:x}nil", f"{{{XSI}}}null"])
def test_only_the_nil_of_the_schema_makes_an_element_nil(attribute: str) -> None:
    for value, expected in (("true", True), (" 1\n", True), ("false", False), ("TRUE", False)):
        element = parse(etree.tostring(etree.Element("a", {attribute: value})))
        assert is_nil(element) is (expected and attribute == f"{{{XSI}}}nil")


def test_what_attributes_mean_to_xml_itself_does_not_matter() -> None:
    ids = "<b xml:id='1 2'/><b xml:id='c'/><b xml:id='c'/>"
    assert len(parse(f"<a xml:lang='!' xml:space='x' xml:base='%%'>{ids}</a>".encode())) == 3


MALFORMED = [
    f"<a>{SECRET}",
    f"<a>{SECRET}&b;</a>",
    f"<a>&{SECRET};</a>",
    f"<a>{SECRET}\x01</a>",
    f"<a b='{SECRET}' b='{SECRET}'/>",
    f"<a b='{SECRET}<'/>",
    f"<a b={SECRET}/>",
    f"<a><b>{SECRET}</a>",
    f"<a><{SECRET}></a>",
    f"<a></{SECRET}>",
    f"<a><!-- {SECRET} -- --></a>",
    f"<a><![CDATA[{SECRET}</a>",
    f"<a/>{SECRET}",
    f"{SECRET}<a/>",
    f"<a xmlns:x='{SECRET}' xmlns:y='{SECRET}' x:b='' y:b=''/>",
    f"<a xmlns:x='{SECRET}%%'/>",
    f"<a xmlns='{SECRET} '/><b/>",
    f"<a:{SECRET}:c/>",
    f"<a xmlns='urn:é'>{SECRET}</a>",
    f"<?xml version='{SECRET}'?><a/>",
    f"<?xml version='1.0' standalone='{SECRET}'?><a/>",
    f"<a><?{SECRET} {SECRET}?></a>",
    f"<!DOCTYPE {SECRET}><a/>",
    f"<x:a b='{SECRET}'>{SECRET}</x:a>",
]


@pytest.mark.parametrize("body", MALFORMED)
def test_a_fault_repeats_nothing_that_the_parser_quotes(
    body: str, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    assert refusal(body)
    assert SECRET not in refusal(body)
    assert SECRET not in refusal(body.encode() + b"\xff")
    assert caplog.records == []
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("<a>\n <b></c></a>", "tag name mismatch (line 2, column "),
        ("<a>\n\n<p:b/></a>", "'p:b' has no prefix that is declared (line 3, column "),
        ("<a p:c=''/>", "'p:c' has no prefix that is declared (line 1, column "),
        ("<a xmlns='urn: '/>", "namespace uri (line 1, column "),
        ("<a>\n&b;</a>", "undeclared entity (line 2, column "),
        (b"<a>\xff</a>", "invalid encoding (line 1, column 4"),
        ("<p:depth/>", "'p:depth' has no prefix that is declared (line 1, column "),
        ("<a><depths></a></depths>", "tag name mismatch (line 1, column "),
    ],
)
def test_a_fault_says_what_is_wrong_and_where(body: str | bytes, reason: str) -> None:
    assert refusal(body).startswith(f"Client: The request is not well-formed XML: {reason}")


@pytest.mark.parametrize("charset", ["utf-8", "iso-8859-1", "us-ascii", "utf-16", None])
@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_byte_order_mark_knows_best(charset: str | None, encoding: str) -> None:
    assert text_of(parse("<a>Müller</a>".encode(encoding), charset)) == "Müller"


def test_a_fault_says_which_byte_is_not_of_the_charset() -> None:
    text = refusal(b"<a>\xff</a>", "us-ascii")
    assert text == "Client: The request is not well-formed XML: byte 4 is not us-ascii."


def test_a_long_namespace_is_not_copied_with_every_name() -> None:
    uri = "u" * 3000
    root = parse(
        f"<e:Envelope xmlns:e='{ENVELOPE11}' xmlns:n='{uri}' xmlns:i='{XSI}'>"
        f"<e:Body><n:findUser><n:search i:nil='1' n:a='b'>x<c/>y</n:search></n:findUser></e:Body>"
        "</e:Envelope>".encode()
    )
    assert root.tag == f"{{{ENVELOPE11}}}Envelope"
    assert root[0].tag == f"{{{ENVELOPE11}}}Body"
    assert [each.tag for each in root[0].iterdescendants()] == ["findUser", "search", "c"]
    search = root[0][0][0]
    assert (local_name(search), is_nil(search), text_of(search)) == ("search", True, "xy")
