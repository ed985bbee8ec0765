"""Properties of the request reader and the answer writer, whatever comes (wire.md §3 and §4)."""

from __future__ import annotations

import re
from contextlib import suppress
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree
from spyne.model.complex import ComplexModelBase

from sipxconfig_soap.errors import Problems, Refused
from sipxconfig_soap.services import SERVICES
from sipxconfig_soap.soap import types, writer
from sipxconfig_soap.soap.endpoint import Endpoint
from sipxconfig_soap.soap.envelope import SOAP11, escape
from sipxconfig_soap.soap.faults import Fault, escape_on_one_line
from sipxconfig_soap.soap.names import is_array, item_name
from sipxconfig_soap.soap.reader import local_name, message_reader, text_of
from sipxconfig_soap.soap.request import payload_of, version_of
from sipxconfig_soap.soap.xml import parse
from sipxconfig_soap.values import parse_boolean, snake_case
from tests.support.dialects import (
    XSI,
    Dialect,
    as_read,
    dialects,
    fields_of,
    is_repeated,
    messages,
    texts,
    values_of,
    xml_characters,
)
from tests.support.soap import envelope

if TYPE_CHECKING:
    from collections.abc import Callable

    from sipxconfig_soap.soap.service import Operation

ENDPOINTS = [Endpoint(service, "item") for service in SERVICES]
CALLS = [
    (endpoint, operation)
    for endpoint in ENDPOINTS
    for operation in endpoint.operations
    if operation.input is not None
]
ANSWERS = [
    operation.output
    for endpoint in ENDPOINTS
    for operation in endpoint.operations
    if operation.output is not None
]
INPUTS = [operation.input for _, operation in CALLS]

property_of_all = settings(deadline=None, max_examples=150)
"""Enough to find what is wrong, without a clock that a busy machine could miss."""


class Recorder:
    """Takes calls, and keeps what was read."""

    def __init__(self) -> None:
        self.called: list[tuple[str, tuple[Any, ...]]] = []

    def invoke(
        self, _service: str, operation: Operation, arguments: tuple[Any, ...], problems: Problems
    ) -> Any:
        problems.check()
        self.called.append((operation.name, arguments))
        return ()


def plain(value: Any) -> Any:
    """A message as a mapping."""
    if isinstance(value, list):
        return [plain(each) for each in value]
    if isinstance(value, SimpleNamespace):
        return {name: plain(each) for name, each in vars(value).items()}
    return value


@pytest.mark.parametrize(
    ("endpoint", "operation"), CALLS, ids=[operation.name for _, operation in CALLS]
)
@given(data=st.data(), dialect=dialects)
@settings(deadline=None, max_examples=60)
def test_a_message_reads_alike_in_every_dialect(
    endpoint: Endpoint, operation: Operation, data: st.DataObject, dialect: Dialect
) -> None:
    message = data.draw(messages(operation.input))
    recorder = Recorder()
    request = dialect.envelope(operation.name, message)
    reply = endpoint.call(request, None, recorder)
    assert reply.status == 200, b"".join(reply.chunks)
    ((called, arguments),) = recorder.called
    assert called == operation.name
    assert plain(list(arguments)) == [as_read("", message)]


def elements(depth: int = 3) -> st.SearchStrategy[etree._Element]:
    """Any tree of elements, mostly with names that mean something."""
    names = sorted({name for message in INPUTS for name in _names_in(message)})
    nil = st.sampled_from([{}, {}, {f"{{{XSI}}}nil": "true"}, {f"{{{XSI}}}nil": "maybe"}])
    children = st.lists(elements(depth - 1), max_size=4) if depth else st.just([])
    return st.builds(
        _element,
        st.sampled_from(names) | st.text("aXé李", min_size=1, max_size=3),
        nil,
        children,
        texts,
        texts,
    )


def _names_in(message: Any) -> set[str]:
    names = set()
    for name, kind in fields_of(message).items():
        names.add(name)
        if issubclass(kind, ComplexModelBase):
            names |= _names_in(kind)
    return names


def _element(
    name: str,
    attributes: dict[str, str],
    children: list[etree._Element],
    text: str,
    tail: str = "",
) -> etree._Element:
    element = etree.Element(name, attributes)
    element.extend(children)
    element.text = text
    element.tail = tail
    return element


@given(message=st.sampled_from(INPUTS), element=elements())
@property_of_all
def test_any_tree_is_read_or_refused(message: Any, element: etree._Element) -> None:
    problems = Problems()
    with suppress(Refused):
        read = message_reader(message).read(element, "", problems)
        assert set(plain(read)) == set(fields_of(message))
    for problem in problems.found:
        assert problem.code in ("required", "invalidValue", "unknownElement")
        assert problem.field
        assert problem.sentence.startswith(problem.field)


def code_of(work: Callable[..., object], *arguments: Any) -> str:
    """The code of the fault that this raises, "" for none."""
    try:
        work(*arguments)
    except Fault as fault:
        return fault.code
    return ""


charsets = st.none() | st.sampled_from(["utf-8", "iso-8859-1", "us-ascii", "utf-16", "utf-16le"])
REQUEST = envelope("<con:AddUser><user a='1'><userName>201</userName></user></con:AddUser>")


@given(body=st.binary(max_size=200), charset=charsets | st.text(max_size=20))
@property_of_all
def test_any_bytes_are_parsed_or_refused(body: bytes, charset: str | None) -> None:
    assert code_of(parse, body, charset) in ("", "Client")


@given(
    at=st.integers(0, len(REQUEST)),
    gone=st.integers(0, 20),
    new=st.binary(max_size=20) | st.text("<>/&;='\"!?[]- x:", max_size=8).map(str.encode),
    encoding=st.sampled_from(["utf-8", "utf-16", "utf-16-be"]),
)
@property_of_all
def test_a_damaged_request_is_answered(at: int, gone: int, new: bytes, encoding: str) -> None:
    body = REQUEST.decode().encode(encoding)
    recorder = Recorder()
    (endpoint,) = (each for each in ENDPOINTS if each.name == "UserService")
    reply = endpoint.call(body[:at] + new + body[at + gone :], None, recorder)
    content = b"".join(reply.chunks)
    (body_element,) = etree.fromstring(content)
    assert (reply.status == 200) == (len(recorder.called) == 1)
    assert ("Fault" in str(body_element[0].tag)) == (reply.status != 200)
    assert b"Internal error" not in content


@given(tree=elements())
@property_of_all
def test_any_element_of_the_body_is_its_payload(tree: etree._Element) -> None:
    tree.tail = None
    body = _element(f"{{{SOAP11.namespace}}}Body", {}, [tree], "")
    root = _element("Envelope", {}, [body], "")
    assert code_of(version_of, root) == "VersionMismatch"
    root.tag = f"{{{SOAP11.namespace}}}Envelope"
    assert payload_of(root, version_of(root)) is tree


MEMBERS = {
    types.Flag: ("deleteUser", types.ManageUser),
    types.Number: ("expiration", types.UserRing),
}


def read_scalar(kind: Any, text: str) -> tuple[Any, list[str]]:
    """What a text reads as in a member of this type, and the codes of what is wrong with it."""
    names = {
        types.Flag: ("deleteUser", types.ManageUser),
        types.Number: ("expiration", types.UserRing),
    }
    name, message = names[kind]
    problems = Problems()
    child = _element(name, {}, [], text)
    read = message_reader(message).read(_element("x", {}, [child], ""), "", problems)
    return getattr(read, name), [problem.code for problem in problems.found]


@given(
    number=st.integers(-(2**33), 2**33),
    form=st.sampled_from(["{}", "{:+}", "{:020}", " {} ", "\t\n{}\r"]),
)
@property_of_all
def test_an_int_reads_as_itself_within_32_bits(number: int, form: str) -> None:
    within = -(2**31) <= number < 2**31
    expected = (number, []) if within else (None, ["invalidValue"])
    assert read_scalar(types.Number, form.format(number)) == expected


@given(text=texts | st.text("+-_ 0123456789.eExX\t\n\u0663\u00b2", max_size=6))
@property_of_all
def test_a_text_reads_as_an_int_only_if_it_looks_like_one(text: str) -> None:
    number, codes = read_scalar(types.Number, text)
    looks = re.fullmatch(r"[ \t\r\n]*([+-]?[0-9]+)[ \t\r\n]*", text, re.ASCII)
    assert (number, codes) == ((int(looks[1]), []) if looks else (None, ["invalidValue"]))


WORDS = dict.fromkeys(["true", "t", "yes", "y", "on", "1"], True) | dict.fromkeys(
    ["false", "f", "no", "n", "off", "0"], False
)


@given(
    word=st.sampled_from(sorted(WORDS)),
    capitals=st.lists(st.booleans(), min_size=5, max_size=5),
    before=st.text(" \t\r\n", max_size=3),
    after=st.text(" \t\r\n", max_size=3),
)
@property_of_all
def test_a_boolean_word_reads_in_any_case_and_white_space(
    word: str, capitals: list[bool], before: str, after: str
) -> None:
    cased = "".join(
        each.upper() if capital else each for each, capital in zip(word, capitals, strict=False)
    )
    text = f"{before}{cased}{after}"
    assert parse_boolean(text) is WORDS[word]
    assert read_scalar(types.Flag, text) == (WORDS[word], [])


@given(text=texts | st.text("truefalsyno01TK\u212a\u017f \u00a0", max_size=5))
@property_of_all
def test_a_text_reads_as_a_boolean_only_if_it_is_one_of_the_words(text: str) -> None:
    word = text.strip(" \t\r\n").lower()
    expected: tuple[Any, list[str]] = (None, ["invalidValue"])
    if not word or word in WORDS:
        expected = (WORDS.get(word), [])
    assert read_scalar(types.Flag, text) == expected


@given(text=st.text(xml_characters))
@property_of_all
def test_a_text_that_is_escaped_reads_as_itself(text: str) -> None:
    assert text_of(parse(f"<a>{escape(text)}</a>".encode())) == text
    document = f'<?xml version="1.0"?><a b="{escape_on_one_line(text)}">{escape(text)}</a>'.encode()
    element = etree.fromstring(document)
    assert (element.text or "") == text
    assert element.get("b") == text


def test_every_character_that_is_escaped_reads_as_itself() -> None:
    ranges = (range(0x20, 0xD800), range(0xE000, 0xFFFE), range(0x10000, 0x110000))
    text = "\t\n\r" + "".join(chr(code) for each in ranges for code in each)
    assert parse(f"<a>{escape(text)}</a>".encode()).text == text
    assert parse(f"<a>{escape(text)}</a>".encode("utf-16")).text == text


def answered(kind: Any) -> st.SearchStrategy[Any]:
    """Any entity as an operation may return it."""
    members = {}
    for name, member in fields_of(kind).items():
        inner = member.__orig__ or member if issubclass(member, ComplexModelBase) else None
        value = answered(inner) if inner else values_of(member)
        if is_repeated(member):
            members[snake_case(name)] = st.none() | st.lists(value, max_size=3)
        elif member.Attributes.min_occurs:
            members[snake_case(name)] = value
        else:
            members[snake_case(name)] = st.none() | value
    return st.builds(SimpleNamespace, **members)


def as_sent(kind: Any, entity: Any) -> dict[str, Any]:
    """What an entity must be once its answer has been read."""
    values = {}
    for name, member in fields_of(kind).items():
        value = getattr(entity, snake_case(name))
        if issubclass(member, ComplexModelBase):
            inner = member.__orig__ or member
            value = [as_sent(inner, each) for each in value or ()]
        elif is_repeated(member):
            value = list(value or ())
        values[name] = value
    return values


@pytest.mark.parametrize("names", ["item", "legacy"])
@pytest.mark.parametrize("answer", ANSWERS, ids=lambda answer: str(answer.get_type_name()))
@given(data=st.data())
@settings(deadline=None, max_examples=40)
def test_an_answer_that_is_written_reads_as_what_was_found(
    answer: Any, names: Any, data: st.DataObject
) -> None:
    ((member, kind),) = fields_of(answer).items()
    kind = kind.__orig__ or kind
    if is_array(kind):
        name = item_name(kind, names)
        (item,) = (each.__orig__ or each for each in fields_of(kind).values())
        found = data.draw(st.lists(answered(item), max_size=3))
        result: Any = iter(found)
    else:
        name, item = member, kind
        found = [data.draw(answered(item))]
        (result,) = found
    xsi = f"<x xmlns:xsi='{XSI}'>".encode()
    content = b"".join(writer.answer(answer, names)(result))
    (root,) = parse(xsi + content + b"</x>")
    assert local_name(root) == answer.get_type_name()
    (wrapper,) = root
    written = list(wrapper) if is_array(kind) else [wrapper]
    assert [local_name(each) for each in written] == [name] * len(found)
    read = [message_reader(item).read(each, "", Problems()) for each in written]
    assert [plain(each) for each in read] == [as_sent(item, each) for each in found]
