"""Restarts without a network: targets, message, challenge, timers (docs/spec/phones.md §4)."""

from __future__ import annotations

import math
import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sipxconfig_soap.provisioning.models import MODELS, Model
from sipxconfig_soap.provisioning.notify import (
    CannotNotify,
    Credentials,
    Notification,
    Outcome,
    Result,
    Timers,
    plan,
)
from sipxconfig_soap.provisioning.notify.digest import first_supported
from sipxconfig_soap.provisioning.notify.exchange import Exchange
from sipxconfig_soap.provisioning.notify.message import parse_response
from sipxconfig_soap.provisioning.notify.transaction import ClientTransaction, State, Step
from sipxconfig_soap.provisioning.phone import (
    ExternalLine,
    InternalLine,
    PhoneSnapshot,
    ProvisioningSettings,
)
from sipxconfig_soap.provisioning.profiles.families import family_of
from sipxconfig_soap.provisioning.profiles.values import auth_user
from tests.support.sip import answer, read_request

MAC = "0004f2abcdef"
SETTINGS = ProvisioningSettings(domain="example.org")
OWN = InternalLine(user_name="200", sip_password="s3cret")
OTHER = ExternalLine(user_id="bob", registration_server="sip.example.net")
MD5 = 'Digest realm="example.org", nonce="abc", algorithm=MD5, qop="auth", opaque="xyz"'


def phone(model: Model, *lines: InternalLine | ExternalLine) -> PhoneSnapshot:
    return PhoneSnapshot(serial=MAC, model=model, lines=lines)


def planned(model_id: str, *lines: InternalLine | ExternalLine) -> Notification:
    return plan(phone(MODELS[model_id], *lines), SETTINGS)


def exchange(
    notification: Notification | None = None, local: tuple[str, int] = ("192.0.2.1", 40000)
) -> Exchange:
    notification = notification or planned("snom300", OWN)
    return Exchange(notification, local=local, now=0.0, timers=Timers())


# Targets.


@pytest.mark.parametrize(
    ("model_id", "target"),
    [
        ("polycom331", f"sip:~~in~{MAC}@example.org"),
        ("yealinkPhoneSIPT46G", f"sip:~~in~{MAC}@example.org"),
        ("snom300", "sip:200@example.org"),
        ("gsHt502", "sip:200@example.org"),
        ("lip6804", "sip:200@example.org"),
    ],
)
def test_the_target_is_that_of_the_model(model_id: str, target: str) -> None:
    assert planned(model_id, OTHER, OWN).target == target


@pytest.mark.parametrize("model_id", ["snom300", "gsHt502", "linksys962"])
@pytest.mark.parametrize("lines", [(), (OTHER,)])
def test_the_first_internal_line_may_be_missing(
    model_id: str, lines: tuple[ExternalLine, ...]
) -> None:
    with pytest.raises(CannotNotify, match="no line of a user"):
        planned(model_id, *lines)


def test_some_fall_back_to_the_address_of_the_phone() -> None:
    assert planned("lip6804", OTHER).target == f"sip:~~in~{MAC}@example.org"


def test_every_model_that_restarts_has_a_plan() -> None:
    for model in MODELS.values():
        if model.restart_supported:
            assert planned(model.model_id, OWN).target.startswith("sip:")
        else:
            with pytest.raises(CannotNotify, match="cannot be restarted"):
                planned(model.model_id, OWN)


def test_a_phone_that_only_its_registrar_can_restart_is_not_told_to() -> None:
    with pytest.raises(CannotNotify, match="Call-ID of its own registration"):
        planned("ciscoplus7941G", OWN)


def test_the_first_line_of_a_user_answers_a_challenge() -> None:
    for model in MODELS.values():
        if model.restart_supported:
            user = auth_user(OWN, phone(model), SETTINGS, instrument=family_of(model).instrument)
            found = planned(model.model_id, OTHER, OWN).credentials
            assert found == Credentials(user=user, password="s3cret")
            assert "s3cret" not in repr(found)


def test_the_password_of_an_external_line_is_not_used() -> None:
    other = replace(OTHER, password="theirs")
    for model_id in ("polycom331", "lip6804"):
        assert planned(model_id, other).credentials is None


@pytest.mark.parametrize(
    ("proxy", "destination"),
    [
        (None, ("example.org", 5060)),
        ("proxy.example.org", ("proxy.example.org", 5060)),
        ("192.0.2.9:5070", ("192.0.2.9", 5070)),
        ("[2001:db8::1]", ("2001:db8::1", 5060)),
        ("[2001:db8::1]:5070", ("2001:db8::1", 5070)),
    ],
)
def test_the_next_hop(proxy: str | None, destination: tuple[str, int]) -> None:
    assert replace(planned("snom300", OWN), proxy=proxy).destination == destination


# The message.


def test_the_request_header_by_header() -> None:
    request = read_request(exchange().request)
    assert request.line == "NOTIFY sip:200@example.org SIP/2.0"
    headers = dict(request.headers)
    assert len(headers) == len(request.headers)
    assert re.fullmatch(
        r"SIP/2\.0/UDP 192\.0\.2\.1:40000;branch=z9hG4bK[0-9a-f]{16,};rport", headers.pop("Via")
    )
    assert re.fullmatch(r"<sip:~~id~config@example\.org>;tag=[0-9a-f]{8,}", headers.pop("From"))
    assert re.fullmatch(r"[0-9a-f]{16,}", headers.pop("Call-ID"))
    assert headers == {
        "Max-Forwards": "70",
        "To": "<sip:200@example.org>",
        "CSeq": "1 NOTIFY",
        "Contact": "<sip:192.0.2.1:40000>",
        "Event": "check-sync",
        "Subscription-State": "active",
        "Content-Length": "0",
    }
    assert request.body == b""


def test_no_two_requests_are_alike() -> None:
    def identifiers() -> tuple[str, str, str]:
        request = read_request(exchange().request)
        return request["Via"], request["From"], request["Call-ID"]

    first, second = identifiers(), identifiers()
    assert all(one != other for one, other in zip(first, second, strict=True))


@pytest.mark.parametrize("proxy", ["proxy.example.org", "[2001:db8::1]:5070"])
def test_a_configured_proxy_is_the_route(proxy: str) -> None:
    talk = exchange(replace(planned("snom300", OWN), proxy=proxy))
    assert read_request(talk.request)["Route"] == f"<sip:{proxy};lr>"


def test_an_ipv6_address_stands_in_brackets() -> None:
    request = read_request(exchange(local=("fe80::1%eth0", 5062)).request)
    assert request["Via"].startswith("SIP/2.0/UDP [fe80::1]:5062;")
    assert request["Contact"] == "<sip:[fe80::1]:5062>"


# Answers.


@pytest.mark.parametrize("code", [200, 202, 299])
def test_an_answer_below_300_is_success(code: int) -> None:
    talk = exchange()
    assert not talk.on_datagram(answer(talk.request, code, "Fine"), 1.0)
    assert talk.outcome == Outcome(Result.DONE, f"answered {code} Fine")
    assert talk.due == math.inf


@pytest.mark.parametrize("code", [302, 404, 480, 500, 603])
def test_another_final_answer_fails_with_its_code(code: int) -> None:
    talk = exchange()
    assert not talk.on_datagram(answer(talk.request, code, "No", f"WWW-Authenticate: {MD5}"), 1.0)
    assert talk.outcome == Outcome(Result.FAILED, f"answered {code} No")


def test_after_the_outcome_nothing_counts() -> None:
    talk = exchange()
    talk.on_datagram(answer(talk.request, 404, "Not Found"), 1.0)
    talk.on_datagram(answer(talk.request, 200, "OK"), 2.0)
    talk.on_error(ConnectionRefusedError(111, "Connection refused"))
    assert talk.outcome == Outcome(Result.FAILED, "answered 404 Not Found")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"branch=z9hG4bK", b"branch=z9hG4bKx"),
        (b"CSeq: 1 NOTIFY", b"CSeq: 2 NOTIFY"),
        (b"CSeq: 1 NOTIFY", b"CSeq: 1 OPTIONS"),
        (b"CSeq: 1 NOTIFY", b"CSeq: \xd9\xa1 NOTIFY"),
        (b"CSeq", b"X-CSeq"),
        (b"Via", b"X-Via"),
        (b"SIP/2.0 200", b"SIP/3.0 200"),
        (b"SIP/2.0 200", b"HTTP/1.1 200"),
        (b"SIP/2.0 200", b"SIP/2.0 2000"),
        (b"SIP/2.0 200", b"SIP/2.0 700"),
    ],
)
def test_answers_to_something_else_are_passed_over(old: bytes, new: bytes) -> None:
    talk = exchange()
    data = answer(talk.request, 200, "OK")
    assert old in data
    assert not talk.on_datagram(data.replace(old, new, 1), 1.0)
    assert talk.outcome is None


def test_answers_as_other_stacks_write_them() -> None:
    talk = exchange()
    via = read_request(talk.request)["Via"].replace(";branch=", ";received=1.2.3.4\r\n ; BRANCH = ")
    data = f"SIP/2.0 200\nv: {via} , SIP/2.0/UDP x;branch=z9hG4bKy\ncSeQ :1  NOTIFY\n\nbody\n"
    talk.on_datagram(data.encode(), 1.0)
    assert talk.outcome == Outcome(Result.DONE, "answered 200")


def test_a_phrase_is_shown_only_as_far_as_it_can_be() -> None:
    talk = exchange()
    talk.on_datagram(answer(talk.request, 500, "\x1b[31mBad\x00 " + "x" * 500), 1.0)
    assert talk.outcome is not None
    assert talk.outcome.reason == "answered 500 [31mBad  " + "x" * 51


@settings(deadline=None)
@given(st.binary(max_size=300) | st.binary(max_size=100).map(lambda tail: b"SIP/2.0 200 OK" + tail))
def test_no_datagram_is_an_error(data: bytes) -> None:
    parse_response(data)
    talk = exchange()
    assert not talk.on_datagram(data, 1.0)
    assert talk.outcome is None


@settings(deadline=None)
@given(st.text(max_size=100), st.integers(0, 60))
def test_no_mangled_answer_is_an_error(text: str, position: int) -> None:
    talk = exchange(planned("gsHt502", OWN))
    data = answer(talk.request, 401, "Unauthorized", f"WWW-Authenticate: {MD5}").decode()
    cut = len(data) * position // 60
    talk.on_datagram((data[:cut] + text + data[cut:]).encode(), 1.0)
    assert talk.outcome is None or talk.outcome.result is not Result.PASSING


@settings(deadline=None)
@given(st.text('Digest realm="",nonce=\\ abc\t', max_size=200))
def test_no_challenge_is_an_error(text: str) -> None:
    first_supported([text, f"Digest {text}"])


# Timers.


def sendings(transaction: ClientTransaction) -> tuple[list[float], float]:
    """When the request goes out again, and when it is given up."""
    times: list[float] = []
    while True:
        now = transaction.due
        if transaction.on_time(now) is Step.GIVE_UP:
            return times, now
        times.append(now)


def test_a_request_without_an_answer_is_sent_again_and_again() -> None:
    assert sendings(ClientTransaction(Timers(), 100.0)) == (
        [100.5, 101.5, 103.5, 107.5, 111.5, 115.5, 119.5, 123.5, 127.5, 131.5],
        132.0,
    )


def test_after_a_provisional_answer_the_pauses_are_long() -> None:
    transaction = ClientTransaction(Timers(), 0.0)
    assert transaction.on_time(0.5) is Step.SEND
    transaction.on_response(100, 0.75)
    assert transaction.state is State.PROCEEDING
    assert transaction.on_time(1.5) is Step.WAIT
    # The next one begins no new pause, or a phone that keeps talking would hear nothing more.
    transaction.on_response(183, 2.0)
    assert sendings(transaction) == ([4.75, 8.75, 12.75, 16.75, 20.75, 24.75, 28.75], 32.0)


def test_who_has_answered_is_left_alone_for_a_while() -> None:
    talk = exchange()
    assert not talk.on_datagram(answer(talk.request, 100, "Trying"), 0.25)
    assert talk.due == 4.25


def test_nothing_is_done_before_its_time_nor_twice() -> None:
    transaction = ClientTransaction(Timers(), 0.0)
    assert transaction.on_time(0.49) is Step.WAIT
    assert transaction.on_time(0.5) is Step.SEND
    assert transaction.on_time(0.5) is Step.WAIT
    # A clock that was late does not make up for what it missed.
    assert transaction.on_time(20.0) is Step.SEND
    assert transaction.on_time(20.0) is Step.WAIT
    assert transaction.due == 22.0


@pytest.mark.parametrize("code", [200, 404])
def test_after_a_final_answer_nothing_is_sent(code: int) -> None:
    transaction = ClientTransaction(Timers(), 0.0)
    transaction.on_response(code, 0.25)
    assert transaction.state is State.OVER
    assert transaction.due == math.inf
    assert transaction.on_time(100.0) is Step.WAIT


def test_silence_is_a_failure_that_may_pass() -> None:
    talk = exchange()
    while talk.outcome is None:
        talk.on_time(talk.due)
    assert talk.outcome == Outcome(Result.PASSING, "no answer within 32 seconds")
