"""Requests of a shape that is known mean what a parser would make of them (wire.md §3).

What is kept of requests is bounded, and there are no texts of theirs in it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sipxconfig_soap.services import build_endpoints
from sipxconfig_soap.soap.faults import Fault
from sipxconfig_soap.soap.request import payload_of, version_of
from sipxconfig_soap.soap.shapes import LONGEST, REMEMBERED, Shapes
from sipxconfig_soap.soap.templates import template_of
from sipxconfig_soap.soap.xml import parse
from tests.support.soap import envelope

if TYPE_CHECKING:
    from sipxconfig_soap.settings import Settings
    from sipxconfig_soap.soap.endpoint import Endpoint
    from sipxconfig_soap.soap.templates import Template
    from sipxconfig_soap.soap.xml import Element
    from tests.support.client import Client

XML = "text/xml; charset="
USERS = "/sipxconfig/services/UserService"


class Node:
    """An element as a message that holds all of it."""

    def __init__(self, element: Element) -> None:
        self.names = (element.namespace, element.name)
        self.attributes = [(*names, value) for names, value in element.attributes.items()]
        self.children = [Node(each) for each in element.children]
        self.text = element.text

    def __repr__(self) -> str:
        return repr(sorted(vars(self).items()))


def node(payload: Element | None) -> Node | None:
    return None if payload is None else Node(payload)


def parsed(body: bytes, charset: str | None = None) -> str:
    """What the parser makes of a request: its payload, or why it has none."""
    try:
        root = parse(body, charset)
        return repr(node(payload_of(root, version_of(root))))
    except Fault as fault:
        return f"fault: {fault.text}"


def learn(shapes: Shapes[Template], body: bytes, charset: str | None = None) -> None:
    root = parse(body, charset)
    payload = payload_of(root, version_of(root))
    template = template_of(node, payload)
    assert template is not None
    shapes.learn(body, charset, root, payload, lambda: template)


def found(shapes: Shapes[Template], body: bytes, charset: str | None = None) -> str:
    known = shapes.find(body, charset)
    if known is None:
        return "unknown"
    template, texts = known
    return repr(template.filled(texts))


@pytest.mark.parametrize(
    "inside",
    [
        "<a>{}</a>",
        "<a>\n  <b>{}</b>\n  <c> \t{} </c><d/><e></e><f> \n</f>\n</a>",
        "<p:a xmlns:p='urn:p'><p:b c='{{}}'>{}</p:b></p:a>",
        "<a><b c='1>2'>{}</b><b c='&amp;&#10;'>{}</b></a>",
        "<a xmlns:i='http://www.w3.org/2001/XMLSchema-instance'><b i:nil='1'/><b>{}</b></a>",
    ],
)
def test_other_texts_in_a_known_shape(inside: str) -> None:
    shapes: Shapes[Template] = Shapes()
    learn(shapes, envelope(inside.format("1", "2")))
    # Where a text begins and ends, what is blank belongs to it.
    for texts in (("x y", "3"), ("]]", "'\"/"), ("\n x\t", " =?!")):
        body = envelope(inside.format(*texts))
        assert found(shapes, body) == parsed(body) != "unknown"


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "\n",
        "a&amp;b",
        "&amp;",
        "&#65;",
        " &lt;x",
        "a>b",
        ">",
        "é",
        "a\rb",
        "\ra",
        "a\r",
        "<!--a-->",
        "<![CDATA[a]]>",
        "a<c/>b",
        "]]>",
    ],
)
def test_other_characters_are_left_to_the_parser(text: str) -> None:
    shapes: Shapes[Template] = Shapes()
    learn(shapes, envelope("<a><b>1</b><d>1</d></a>"))
    assert found(shapes, envelope(f"<a><b>{text}</b><d>1</d></a>")) == "unknown"


@pytest.mark.parametrize(
    "inside",
    [
        # What looks like a text and is none, in place of one that does not look like one.
        "<b>x&#32;y</b><!-->x y<-->",
        "<a>x&#32;y<![CDATA[]]></a><!-->x y<-->",
        "<b><![CDATA[>x<]]></b>",
        "<b>x<![CDATA[>y<]]></b>",
        "<b>1>2</b>",
        "<b>1<c/>2</b>",
        "<b>1<c>2</c></b>",
        "<b><c>2</c>1</b>",
        "<b>x&#32;y</b>",
        "<b>1\r2</b>",
    ],
)
def test_what_is_unusual_is_not_learned_from(inside: str) -> None:
    shapes: Shapes[Template] = Shapes()
    body = envelope(f"<a>{inside}</a>")
    learn(shapes, body)
    assert found(shapes, body) == "unknown"


def test_what_means_nothing_by_itself_is_looked_at_once() -> None:
    shapes: Shapes[Template] = Shapes()
    asked = []
    for text in ("1", "2", "3"):
        body = envelope(f"<a>{text}</a>")
        root = parse(body)
        shapes.learn(body, None, root, root.children[0].children[0], lambda: asked.append(1))
        assert found(shapes, body) == "unknown"
    assert asked == [1]


def _elements(inside: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    tags = st.sampled_from(
        [
            "<a>{}</a>",
            "<b c='>x'>{}</b>",
            '<p:a xmlns:p="urn:p">{}</p:a>',
            "<!-->{}<-->",
            "<![CDATA[>{}<]]>",
            "<a>{}<b/></a>",
            "{}",
        ]
    )
    return st.builds(str.format, tags, inside)


TEXTS = st.text(st.sampled_from("xy \n\t>]'\"?!-/&;\r=é\x0b"), max_size=4) | st.sampled_from(
    ["1", "&amp;", "&#65;", "]]>", "<a/>", "<?p x?>", "--", "<!DOCTYPE a>"]
)
BODIES = st.lists(
    st.recursive(
        TEXTS,
        lambda inner: _elements(st.lists(inner, max_size=3).map("".join)),
        max_leaves=6,
    ),
    min_size=1,
    max_size=3,
).map("".join)


@given(
    bodies=st.lists(BODIES, min_size=2, max_size=5),
    places=st.lists(st.tuples(TEXTS, TEXTS), max_size=4),
    other=TEXTS,
)
@settings(max_examples=500, deadline=None)
def test_a_known_shape_means_what_the_parser_says(
    bodies: list[str], places: list[tuple[str, str]], other: str
) -> None:
    shapes: Shapes[Template] = Shapes()
    for body in bodies:
        # Much the same as what was learned from, with other texts in it.
        changed = body
        for old, new in places:
            changed = changed.replace(old, new, 1) if old else changed
        for each in (body, changed, body.replace("x", "y y"), body.replace("1", other)):
            whole = envelope(f"<op>{each}</op>")
            expected = parsed(whole)
            assert found(shapes, whole) in ("unknown", expected)
            if not expected.startswith("fault: "):
                learn(shapes, whole)
                assert found(shapes, whole) in ("unknown", expected)


class Nobody:
    """Finds nothing and changes nothing."""

    reference = "0"

    def invoke(self, *_: Any) -> list[Any]:
        return []


@pytest.fixture
def endpoint(settings: Settings) -> Endpoint:
    return build_endpoints(settings)["UserService"]


def find(name: str) -> bytes:
    return envelope(
        f"<con:FindUser><search><byUserName>{name}</byUserName></search></con:FindUser>"
    )


def kept(endpoint: Endpoint) -> list[str]:
    """The shapes that an endpoint knows, and all that is kept with them."""
    return [f"{key}{known}" for key, known in endpoint._shapes._known.items()]


def test_what_is_kept_is_bounded(endpoint: Endpoint) -> None:
    for number in range(3 * REMEMBERED):
        blank = " " * number
        assert (
            endpoint.call(envelope(f"<FindUser>{blank}</FindUser>"), None, Nobody()).status == 200
        )
    assert 0 < len(kept(endpoint)) <= REMEMBERED
    before = kept(endpoint)
    assert endpoint.call(find("x" * LONGEST), None, Nobody()).status == 200
    assert endpoint.call(find("x"), f"utf{'-' * LONGEST}8", Nobody()).status == 200
    assert kept(endpoint) == before


def test_texts_are_not_kept(endpoint: Endpoint) -> None:
    add = "<con:AddUser><user><userName>1</userName></user><pin>{}</pin></con:AddUser>"
    for pin in ("s3cret", "s3cret&amp;", "s3cret>", "&#49;s3cret", "s3cretß", "<![CDATA[s3cret]]>"):
        assert endpoint.call(envelope(add.format(pin)), None, Nobody()).status == 200
    assert len(kept(endpoint)) == 1
    assert "s3cret" not in kept(endpoint)[0]


def test_a_request_that_is_refused_is_not_kept(endpoint: Endpoint) -> None:
    bad = "<con:FindUser><s3cret/></con:FindUser>"
    endpoint.call(envelope(bad), None, Nobody())
    assert kept(endpoint) == []


@pytest.mark.parametrize(
    "before",
    [
        "<soapenv:Header><Login xmlns='' password='s3cret'/></soapenv:Header>",
        "<soapenv:Header token='s3cret'/>",
        "<soapenv:Header token='>s3cret'></soapenv:Header>",
        "<soapenv:Header>s3cret</soapenv:Header>",
        "<Login password='s3cret'/>",
        "<Body><Login password='s3cret'/></Body>",
        "<soapenv:Header/><Login password='s3cret'/>",
        "<Login password='s3cret'/><soapenv:Header/>",
        "<Header xmlns='s3cret'/>",
    ],
)
def test_what_stands_beside_the_body_is_not_kept(endpoint: Endpoint, before: str) -> None:
    whole = find("1").replace(b"<soapenv:Body>", before.encode() + b"<soapenv:Body>")
    assert b"s3cret" in whole
    assert endpoint.call(whole, None, Nobody()).status == 200
    assert kept(endpoint) == []


@pytest.mark.parametrize(
    "header",
    [
        "<soapenv:Header/>",
        "<soapenv:Header />",
        "<soapenv:Header></soapenv:Header>",
        "\n<soapenv:Header>\n </soapenv:Header>\n",
    ],
)
@pytest.mark.parametrize("start", ["", "<?xml version='1.0' encoding='UTF-8'?>\n"])
def test_a_header_without_anything_in_it_may_stand_before(
    endpoint: Endpoint, header: str, start: str
) -> None:
    whole = find("1").decode().replace("<soapenv:Body>", header + "<soapenv:Body>")
    assert endpoint.call((start + whole).encode(), None, Nobody()).status == 200
    assert len(kept(endpoint)) == 1


def test_the_same_bytes_in_another_charset_are_another_request(client: Client) -> None:
    body = find("M\xfcller").decode().encode("iso-8859-1")

    def answer(charset: str) -> tuple[int, bool]:
        response = client.request("POST", USERS, body, {"Content-Type": XML + charset})
        return response.status, b"Fault>" in response.body

    expected = {"iso-8859-1": (200, False), "utf-8": (500, True)}
    for charset in ("iso-8859-1", "utf-8", "iso-8859-1"):
        assert answer(charset) == expected[charset]


@pytest.mark.parametrize("charset", [None, "utf-8", "utf-16", "utf-16le", "us-ascii", "ebcdic"])
def test_ascii_in_any_charset(charset: str | None) -> None:
    shapes: Shapes[Template] = Shapes()
    learn(shapes, find("1"))
    for body in (find("2"), find("2").decode().encode("utf-16-le"), b"\xef\xbb\xbf" + find("2")):
        assert found(shapes, body, charset) in ("unknown", parsed(body, charset))


def test_utf_16_whose_bytes_look_like_a_text() -> None:
    def utf16(attribute: str, text: str) -> bytes:
        # The bytes of two characters each, and so what looks like the end of a tag.
        looks = f">{attribute}<".encode().decode("utf-16-le")
        return envelope(f"<op><b c='{looks}'>{text}</b></op>").decode().encode("utf-16-le")

    shapes: Shapes[Template] = Shapes()
    learn(shapes, utf16("1234", "1234"))
    for charset in (None, "utf-16le"):
        body = utf16("9999", "1234")
        assert found(shapes, body, charset) in ("unknown", parsed(body, charset))
    assert "4" not in str(shapes._known)


def test_an_answer_to_what_was_asked_before_is_no_older(client: Client) -> None:
    add = "<con:AddUser><user><userName>new</userName></user></con:AddUser>"
    bodies = (find("new"), envelope(add), find("new"))
    headers = {"Content-Type": "text/xml"}
    answers = [client.request("POST", USERS, body, headers).body for body in bodies]
    assert [answer.count(b"<item>") for answer in answers] == [0, 0, 1]
