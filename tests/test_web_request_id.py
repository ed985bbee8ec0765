"""The number of a request: whose counts, and where it stands (docs/spec/wire.md §1, §4 and §6)."""

from __future__ import annotations

import io
import json
import logging
import re
from typing import TYPE_CHECKING, Any
from wsgiref.util import setup_testing_defaults

import pytest
import requests
import structlog

from sipxconfig_soap import logs
from sipxconfig_soap.soap.endpoint import Endpoint
from sipxconfig_soap.soap.reply import Reply
from tests.support.client import ADMINISTRATOR, Client, basic
from tests.support.logs import events
from tests.support.soap import envelope

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from contextlib import AbstractContextManager

    from tests.support.server import RunningServer

SERVICES = "/sipxconfig/services/"
PATH = f"{SERVICES}UserService"
MADE_UP = re.compile(r"[0-9a-f]{12}\Z")
XML = {"Content-Type": "text/xml"}
FIND = envelope("<con:FindUser/>")
ADD = envelope("<AddUser><user><userName>200</userName></user></AddUser>")

PROXY = {"REMOTE_ADDR": "10.0.0.1"}
CLIENT = {"REMOTE_ADDR": "192.0.2.7"}

KINDS: dict[str, tuple[str, str, bytes, tuple[str, str] | None, int]] = {
    "a call": ("POST", PATH, FIND, ADMINISTRATOR, 200),
    "a fault": ("POST", PATH, envelope("<con:Nothing/>"), ADMINISTRATOR, 500),
    "a refusal": ("POST", PATH, FIND, None, 401),
    "a page": ("GET", SERVICES, b"", ADMINISTRATOR, 200),
    "the head of a page": ("HEAD", SERVICES, b"", ADMINISTRATOR, 200),
    "what is allowed": ("OPTIONS", PATH, b"", ADMINISTRATOR, 204),
    "a redirection": ("GET", "/", b"", None, 302),
    "nothing there": ("GET", "/nothing", b"", None, 404),
    "health": ("GET", "/healthz", b"", None, 200),
}


@pytest.fixture
def behind(make_client: Callable[..., Client]) -> Client:
    """A server that trusts the proxies of one network."""
    return make_client(trusted_proxies="10.0.0.0/8")


@pytest.fixture
def printed() -> Iterator[Callable[[], list[str]]]:
    """The lines that are logged, from the lowest level up."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    stream = io.StringIO()
    logs.setup("debug", stream=stream)
    yield lambda: stream.getvalue().splitlines()
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(capture=False)


def number_of(client: Client, given: str | None, environ: dict[str, str]) -> str:
    headers = {} if given is None else {"X-Request-ID": given}
    return client.request("GET", SERVICES, headers=headers, environ=environ).request_id


@pytest.mark.parametrize("kind", KINDS)
def test_every_answer_has_the_number_that_a_trusted_proxy_gave(behind: Client, kind: str) -> None:
    method, path, body, auth, status = KINDS[kind]
    headers = {"X-Request-ID": f"proxy-{len(path)}"} | (XML if body else {})
    answer = behind.request(method, path, body, headers, auth=auth, environ=PROXY)
    assert answer.status == status
    assert answer.request_id == f"proxy-{len(path)}"


@pytest.mark.parametrize("kind", KINDS)
def test_every_answer_has_a_number_of_its_own(client: Client, kind: str) -> None:
    method, path, body, auth, _ = KINDS[kind]
    numbers = {
        client.request(method, path, body, XML if body else {}, auth=auth).request_id
        for _ in range(3)
    }
    assert len(numbers) == 3
    assert all(MADE_UP.match(number) for number in numbers)


def test_a_host_that_is_none_is_answered_with_a_number(client: Client) -> None:
    answer = client.request("GET", f"{PATH}?wsdl", environ={"HTTP_HOST": "a b"})
    assert answer.status == 400
    assert MADE_UP.match(answer.request_id)


@pytest.mark.parametrize("given", ["a", "A-z_0.9", "0" * 128])
def test_the_number_of_a_trusted_proxy_counts(behind: Client, given: str) -> None:
    assert number_of(behind, given, PROXY) == given
    # Through more than one of them, too.
    assert number_of(behind, given, PROXY | {"HTTP_X_FORWARDED_FOR": "192.0.2.7"}) == given


@pytest.mark.parametrize(
    "given",
    ["", " ", "0" * 129, "a b", "a,b", 'a"', "a/b", "ä", "a\n", "a\r\nX: y", "\x1b[2J", "٣"],
)
def test_what_is_no_number_does_not_count(behind: Client, given: str) -> None:
    assert MADE_UP.match(number_of(behind, None, PROXY | {"HTTP_X_REQUEST_ID": given}))


def test_the_number_of_a_client_does_not_count(behind: Client, client: Client) -> None:
    assert MADE_UP.match(number_of(behind, "forged", CLIENT))
    assert MADE_UP.match(number_of(behind, "forged", CLIENT | {"HTTP_X_FORWARDED_FOR": "10.0.0.1"}))
    assert MADE_UP.match(number_of(client, "forged", {"REMOTE_ADDR": "127.0.0.1"}))


def test_every_line_of_a_request_has_its_number(
    behind: Client, printed: Callable[[], list[str]]
) -> None:
    headers = XML | {"X-Request-ID": "n-1"}
    assert behind.request("POST", PATH, ADD, headers, environ=PROXY).status == 200
    assert behind.request("POST", PATH, ADD, headers, environ=PROXY).status == 500
    wrong = behind.request("GET", PATH, headers=headers, auth=("joe", "x"), environ=PROXY)
    assert wrong.status == 401
    lines = printed()
    for event in ("change", "request", '"login failed"'):
        assert any(f" event={event} " in line for line in lines)
    assert all(line.endswith(" request_id=n-1") for line in lines)


def test_what_nobody_foresaw_is_reported_under_the_number_of_its_request(
    behind: Client, monkeypatch: pytest.MonkeyPatch, printed: Callable[[], list[str]]
) -> None:
    def fail(*_: object, **__: object) -> None:
        logging.getLogger("some.library").warning("odd")
        raise RuntimeError("hush")

    monkeypatch.setattr(Endpoint, "call", fail)
    answer = behind.request("POST", PATH, FIND, XML | {"X-Request-ID": "n-2"}, environ=PROXY)
    assert answer.request_id == "n-2"
    assert "Internal error (reference n-2)." in answer.text
    foreign, ours, request = printed()
    assert "logger=some.library event=odd request_id=n-2" in foreign
    assert 'event="internal error" reference=n-2 ' in ours
    assert "event=request" in request
    assert all(line.endswith(" request_id=n-2") for line in (ours, request))


def test_a_number_ends_with_its_request(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    log = structlog.stdlib.get_logger("sipxconfig_soap.test")
    first, second = (client.request("GET", SERVICES).request_id for _ in range(2))
    log.info("between")
    assert first != second
    assert [event["request_id"] for event in events(caplog, "request")] == [first, second]
    (between,) = events(caplog, "between")
    assert "request_id" not in between


def begin(client: Client) -> tuple[str, Any]:
    """The number of an answer, and its pieces, of which none has been taken."""
    environ: dict[str, Any] = {}
    setup_testing_defaults(environ)
    environ |= {"REQUEST_METHOD": "POST", "PATH_INFO": PATH, "REMOTE_ADDR": "127.0.0.1"}
    environ["HTTP_AUTHORIZATION"] = basic(*ADMINISTRATOR)
    found: dict[str, str] = {}
    pieces = client.app(environ, lambda _status, headers, *_: found.update(headers))
    return found["X-Request-ID"], pieces


@pytest.fixture
def streaming(client: Client, monkeypatch: pytest.MonkeyPatch) -> Client:
    """A server that streams its answers, and logs with each piece."""
    log = structlog.stdlib.get_logger("sipxconfig_soap.test")

    def pieces() -> Iterator[bytes]:
        for each in (b"a", b"b"):
            log.info("piece")
            yield each
        raise RuntimeError("hush")

    def call(*_: object, **__: object) -> Reply:
        return Reply(200, "text/xml", pieces())

    monkeypatch.setattr(Endpoint, "call", call)
    return client


def take(pieces: Iterable[bytes], number: int) -> None:
    for _, _ in zip(range(number), pieces, strict=False):
        pass


@pytest.mark.parametrize("taken", [0, 1, 2])
def test_a_streamed_answer_has_its_number_to_the_end(
    streaming: Client, caplog: pytest.LogCaptureFixture, taken: int
) -> None:
    caplog.set_level("INFO")
    number, pieces = begin(streaming)
    take(pieces, taken)
    pieces.close()
    told = [(event["event"], event["request_id"]) for event in events(caplog)]
    assert told == [("piece", number)] * taken + [("request", number)]
    assert structlog.contextvars.get_contextvars() == {}


def test_a_streamed_answer_that_breaks_off_is_reported_under_its_number(
    streaming: Client, caplog: pytest.LogCaptureFixture
) -> None:
    number, pieces = begin(streaming)
    with pytest.raises(ConnectionError, match="broke off"):
        take(pieces, 3)
    pieces.close()
    (report,) = events(caplog, "internal error")
    assert report["reference"] == report["request_id"] == number
    assert structlog.contextvars.get_contextvars() == {}


def test_what_was_left_of_a_request_that_never_ended_is_not_taken_for_the_next(
    streaming: Client, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    _, first = begin(streaming)
    structlog.contextvars.bind_contextvars(left="over")
    number, pieces = begin(streaming)
    pieces.close()
    (told,) = events(caplog, "request")
    assert told["request_id"] == number
    assert "left" not in told
    first.close()


def test_over_http(run_server: Callable[..., AbstractContextManager[RunningServer]]) -> None:
    proxies = {"SIPXCONFIG_TRUSTED_PROXIES": "127.0.0.1", "SIPXCONFIG_LOG_FORMAT": "json"}
    with run_server(**proxies) as server:
        url, headers = server.service("UserService"), XML | {"X-Request-ID": "n-3"}
        answer = requests.post(url, ADD, headers=headers, auth=ADMINISTRATOR, timeout=60)
        assert (answer.status_code, answer.headers["X-Request-ID"]) == (200, "n-3")
    lines = [json.loads(line) for line in server.output if line.startswith("{")]
    told = [each["event"] for each in lines if each.get("request_id") == "n-3"]
    assert told == ["change", "request"]
