"""What is read from a request of a known shape is what would be read from it anew (wire.md §3)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from sipxconfig_soap.errors import Problems, invalid_value
from sipxconfig_soap.services import build_endpoints
from sipxconfig_soap.soap.templates import template_of
from sipxconfig_soap.soap.xml import Element, parse
from tests.test_requests import EMPTY, REQUESTS, SERVICES

if TYPE_CHECKING:
    from collections.abc import Callable

    from sipxconfig_soap.settings import Settings
    from sipxconfig_soap.soap.endpoint import Endpoint

TEXT = re.compile(r"(?<=>)[^<>]*[^<>\s][^<>]*(?=</)")
OTHERS = ("other", " x\t", "true", "No", " 1\n", "-5", "0.5", "NaN", "{0}", "%s", "  a  b ")


class Recorder:
    """Notes what a call is given, and answers nothing."""

    reference = "0"

    def __init__(self) -> None:
        self.calls: list[str] = []

    def invoke(
        self, service: str, operation: Any, arguments: tuple[Any, ...], problems: Problems
    ) -> list[Any]:
        given = [shown(each) for each in arguments]
        self.calls.append(f"{service} {operation.name} {given} {problems.found}")
        return []


class Message:
    """One with any fields."""

    def __init__(self, **values: Any) -> None:
        self.__dict__ = values

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Message) and vars(self) == vars(other)

    __hash__ = None


def shown(value: Any) -> Any:
    """All of a message, with its types."""
    if isinstance(value, list):
        return [shown(each) for each in value]
    if hasattr(value, "__dict__"):
        return type(value).__name__, sorted((k, shown(v)) for k, v in vars(value).items())
    return type(value), value


def read(endpoint: Endpoint, body: str) -> tuple[int, list[str]]:
    recorder = Recorder()
    status = endpoint.call(body.encode(), "utf-8", recorder).status
    return status, recorder.calls


def endpoint_of(name: str, settings: Settings) -> Endpoint:
    service = EMPTY.get(name) or next(SERVICES[key] for key in SERVICES if key in name)
    return build_endpoints(settings)[service]


def is_known(endpoint: Endpoint, body: str) -> bool:
    return endpoint._shapes.find(body.encode(), "utf-8") is not None


READ_EACH_TIME = {
    # Numbers and booleans are looked at each time.
    "01-AddPermission",
    "04-AddCallGroup",
    "13-ManageUser",
    "15-AddParkOrbit",
    "21-ManagePhone",
    "22-ManagePhone",
    # Comments have no shape.
    "17-AddPhone",
    "24-ResetServices",
}


@pytest.mark.parametrize("name", sorted(REQUESTS))
def test_the_documented_requests_with_other_texts(name: str, settings: Settings) -> None:
    body = REQUESTS[name].read_text()
    endpoint, anew = endpoint_of(name, settings), endpoint_of(name, settings)
    assert read(endpoint, body) == read(anew, body)
    known = is_known(endpoint, body)
    assert known is (name not in READ_EACH_TIME)
    for place in TEXT.finditer(body):
        for other in OTHERS:
            changed = body[: place.start()] + other + body[place.end() :]
            assert is_known(endpoint, changed) is known
            anew._shapes._known.clear()
            assert read(endpoint, changed) == read(anew, changed)


def element(inside: str) -> Element:
    return parse(f"<a>{inside}</a>".encode())


def texts(payload: Element | None) -> list[str]:
    return [each.text for each in payload.children] if payload is not None else []


@pytest.mark.parametrize(
    "read",
    [
        texts,
        lambda payload: tuple(texts(payload)),
        lambda payload: Message(b=texts(payload)[1], a=texts(payload)[0], c=(None, 1, "")),
        lambda payload: [Message(each=each, yes=True) for each in texts(payload)],
        lambda payload: texts(payload)[::-1],
        lambda payload: texts(payload) * 2,
        lambda payload: [texts(payload)[1]],
        lambda payload: ["x" if each.strip() else None for each in texts(payload)],
    ],
)
def test_texts_are_put_where_they_were_read(read: Callable[[Element | None], Any]) -> None:
    found = template_of(read, element("<b>1</b><b>2</b><b> </b>"))
    assert found is not None
    for one, two in (("3", "4"), ("{1}", " <0:Aa>"), ("\t<1:Aa> ", "x")):
        payload = element("<b/><b/><b> </b>")
        for each, text in zip(payload.children, (one, two), strict=False):
            each.text = text
        assert found.filled([one, two]) == read(payload)


@pytest.mark.parametrize(
    "change",
    [
        str.strip,
        str.lstrip,
        str.rstrip,
        lambda text: text.lstrip("\t"),
        lambda text: text.lstrip(" "),
        lambda text: text.rstrip("\n"),
        lambda text: text.rstrip(" "),
        str.lower,
        str.upper,
        str.casefold,
        str.swapcase,
        str.split,
        len,
        lambda text: text[1:],
        lambda text: text[:-1],
        lambda text: text + "x",
        lambda text: {"text": text},
        lambda text: text if "second" in text else None,
        lambda text: text if "second" in text else text.strip(),
        lambda text: text.strip() if "second" in text else text,
        lambda text: [text] if "second" in text else (text,),
        lambda text: True if "second" in text else 1,
        lambda text: Message(**({"a": 1} if "second" in text else {"b": 1})),
        lambda text: [text] * (1 + ("second" in text)),
    ],
)
def test_where_a_text_is_changed_there_is_no_template(change: Callable[[str], Any]) -> None:
    payload = element("<b>1</b><b>2</b>")
    assert template_of(lambda each: [texts(each)[0], change(texts(each)[1])], payload) is None
    assert template_of(lambda each: Message(a=change(texts(each)[1])), payload) is None


@pytest.mark.parametrize("refused", ["1", "true"])
def test_where_not_every_text_is_taken_there_is_no_template(refused: str) -> None:
    def read(payload: Element | None) -> list[str]:
        problems = Problems()
        if refused not in texts(payload):
            problems.add(invalid_value("b", None, "is wrong"))
        problems.check()
        return texts(payload)

    assert read(element(f"<b>{refused}</b>")) == [refused]
    assert template_of(read, element(f"<b>{refused}</b>")) is None


def test_no_input() -> None:
    found = template_of(lambda payload: () if payload is None else (payload.text,), None)
    assert found is not None
    assert found.filled([]) == ()


def test_what_is_filled_shares_nothing_that_can_be_changed() -> None:
    def read(payload: Element | None) -> list[Any]:
        return [Message(names=texts(payload), none=[])]

    found = template_of(read, element("<b>1</b>"))
    assert found is not None
    first, second = found.filled(["2"]), found.filled(["3"])
    first[0].names.append("x")
    first[0].none.append("x")
    first[0].new = "x"
    assert second == [Message(names=["3"], none=[])] == found.filled(["3"])
