"""Kamailio registers the phones of this database and routes their calls (deploy/kamailio)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.support.kamailio import (
    DOMAIN,
    GATEWAY,
    PHONES,
    SERVER,
    Exchange,
    ask,
    exchange,
    free_port,
    needs_kamailio,
)
from tests.support.sipp import (
    ANSWERS,
    BUSY,
    TALK,
    Outcome,
    accepts,
    call,
    once,
    phone,
    register,
    request,
    waiting,
    with_login,
)
from tests.support.system import MAC
from tests.support.worker import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = needs_kamailio

SECRET = "s3cret"
OUTSIDE = free_port(GATEWAY)


@pytest.fixture(scope="module")
def calls() -> Iterator[Exchange]:
    defines = {"GATEWAY": f'"sip:{GATEWAY}:{OUTSIDE}"', "PEERS": f'"{GATEWAY}"'}
    with exchange(**defines) as running:
        running.system.add_users("caller", "200", "201", sipPassword=SECRET)
        yield running


@pytest.mark.parametrize("transport", ["u1", "t1"])
def test_a_user_registers_as_soon_as_it_is_there(calls: Exchange, transport: str) -> None:
    name = f"new-{transport}"
    assert register(calls.port, name, SECRET, "-t", transport, status=401).code == 0
    calls.system.add_users(name, sipPassword=SECRET)
    assert register(calls.port, name, SECRET, "-t", transport).code == 0


def test_a_wrong_password_is_refused(calls: Exchange) -> None:
    assert register(calls.port, "200", "wrong", status=401).code == 0
    assert call(calls.port, "caller", "wrong", "200", 407).code == 0


def test_a_changed_password_counts_at_once(calls: Exchange) -> None:
    calls.system.add_users("changing", sipPassword="old")
    assert register(calls.port, "changing", "old").code == 0
    calls.system.edit_user("changing", sipPassword="new")
    assert register(calls.port, "changing", "old", status=401).code == 0
    assert call(calls.port, "changing", "old", "200", 407).code == 0
    assert register(calls.port, "changing", "new").code == 0


def test_a_deleted_user_is_refused_at_once(calls: Exchange) -> None:
    calls.system.add_users("leaving", sipPassword=SECRET)
    assert register(calls.port, "leaving", SECRET).code == 0
    calls.system.do("manageUser", search={"byUserName": "leaving"}, deleteUser=True)
    assert register(calls.port, "leaving", SECRET, status=401).code == 0
    assert call(calls.port, "leaving", SECRET, "200", 407).code == 0
    # Its phone is registered still, but nobody is called so any more.
    assert call(calls.port, "caller", SECRET, "leaving", 404).code == 0


def test_a_phone_logs_in_with_its_serial_number(calls: Exchange) -> None:
    calls.system.add_users("desk", sipPassword=SECRET)
    assert register(calls.port, "desk", SECRET, login=f"desk/{MAC}", status=401).code == 0
    calls.system.add_phone(MAC, lines=[{"userId": "desk"}])
    with phone(calls.port, "desk", SECRET, ANSWERS, login=f"desk/{MAC}") as called:
        assert call(calls.port, "caller", SECRET, "desk").code == 0
        assert called.methods() == ["INVITE", "ACK", "BYE"]
    assert register(calls.port, "desk", SECRET, login="desk/000000000000", status=401).code == 0


@pytest.mark.parametrize("transport", ["u1", "t1"])
def test_calls_by_user_name_and_by_alias(calls: Exchange, transport: str) -> None:
    user = f"called-{transport}"
    calls.system.add_users(user, sipPassword=SECRET, aliases=[f"alias-{transport}"])
    with phone(calls.port, user, SECRET, ANSWERS, "-t", transport) as called:
        for number in (user, f"alias-{transport}"):
            assert call(calls.port, "caller", SECRET, number).code == 0
        assert called.methods() == ["INVITE", "ACK", "BYE"] * 2


def test_an_alias_counts_as_soon_as_it_is_there(calls: Exchange) -> None:
    calls.system.add_users("named", sipPassword=SECRET)
    with phone(calls.port, "named", SECRET, ANSWERS):
        assert call(calls.port, "caller", SECRET, "nick", 404).code == 0
        calls.system.edit_user("named", aliases="nick")
        assert call(calls.port, "caller", SECRET, "nick").code == 0


def test_whoever_is_not_there_is_not_reached(calls: Exchange) -> None:
    calls.system.add_users("away")
    assert call(calls.port, "caller", SECRET, "away", 480).code == 0
    assert call(calls.port, "caller", SECRET, "nobody", 404).code == 0
    with phone(calls.port, "200", SECRET, BUSY):
        assert call(calls.port, "caller", SECRET, "200", 486).code == 0


def test_all_phones_of_a_user_ring(calls: Exchange) -> None:
    with (
        phone(calls.port, "201", SECRET, BUSY) as first,
        phone(calls.port, "201", SECRET, ANSWERS) as second,
    ):
        assert call(calls.port, "caller", SECRET, "201").code == 0
        assert (first.methods()[0], second.methods()[0]) == ("INVITE", "INVITE")


GUARDED = {
    "15551234567": "LongDistanceDialing",
    "95551234567": "LongDistanceDialing",
    "+4989123456": "InternationalDialing",
    "0114989123456": "InternationalDialing",
    "5551234": "LocalDialing",
    "18005551234": "TollFree",
    "19005551234": "900Dialing",
    "01119005551234": "900Dialing",
}


@pytest.mark.parametrize("number", GUARDED)
def test_a_number_outside_needs_its_permission(calls: Exchange, number: str) -> None:
    user = f"dials-{number.strip('+')}"
    held = ["LocalDialing", "LongDistanceDialing", "InternationalDialing", "TollFree", "900Dialing"]
    calls.system.add_users(user, sipPassword=SECRET)
    calls.system.edit_user(user, permissions=" ".join({*held} - {GUARDED[number]}))
    with waiting(ANSWERS, address=GATEWAY, port=OUTSIDE) as gateway:
        refused = call(calls.port, user, SECRET, number, 403)
        assert refused.code == 0
        assert f"Not permitted: {GUARDED[number]}" in refused.messages
        assert gateway.methods() == []
        calls.system.edit_user(user, permissions=GUARDED[number])
        assert call(calls.port, user, SECRET, number).code == 0
        assert gateway.heard()[0].line == f"INVITE sip:{number}@pbx.example.com SIP/2.0"


def test_everybody_may_call_for_help(calls: Exchange) -> None:
    calls.system.add_users("child", sipPassword=SECRET)
    calls.system.edit_user("child", permissions="")
    with waiting(ANSWERS, address=GATEWAY, port=OUTSIDE):
        assert call(calls.port, "child", SECRET, "911").code == 0


def test_a_gateway_calls_users_and_nobody_outside(calls: Exchange) -> None:
    def through(number: str, status: int, after: str = "") -> Outcome:
        fields = {"to": number, "sender": "5551234"}
        scenario = (
            request("INVITE", "1", **fields)
            + '<recv response="100" optional="true"/><recv response="180" optional="true"/>'
            + f'<recv response="{status}" rrs="true"/>'
            + (after or request("ACK", "1", **fields))
        )
        done = once(calls.port, scenario, address=GATEWAY)
        assert done.code == 0, done.messages
        return done

    with phone(calls.port, "200", SECRET, BUSY):
        through("200", 486)
    through("5559876", 404)
    with phone(calls.port, "200", SECRET, ANSWERS):
        made = through("200", 200, TALK.format(user="5551234", to="200"))
    # What the phone says within the call comes to the gateway.
    with waiting(accepts("INFO"), address=GATEWAY, port=OUTSIDE) as gateway:
        line = f"INFO sip:5551234@{gateway.contact} SIP/2.0"
        assert ask(calls.port, line, *in_dialog(made.messages)).startswith("SIP/2.0 200")


def test_whoever_registers_at_the_gateway_does_not_call_out(calls: Exchange) -> None:
    calls.system.add_users("fraud", sipPassword=SECRET)
    calls.system.edit_user("fraud", permissions="")
    place = f"{GATEWAY}:{OUTSIDE}"
    with waiting(accepts("MESSAGE"), address=GATEWAY, port=OUTSIDE) as gateway:
        assert register(calls.port, "fraud", SECRET, contact=place).code == 0
        assert call(calls.port, "fraud", SECRET, "fraud", 480).code == 0
        # Nor do others for him, nor the gateway itself.
        line = f"MESSAGE sip:fraud@{DOMAIN} SIP/2.0"
        assert ask(calls.port, line, source=GATEWAY).startswith("SIP/2.0 480")
        # Nor a call of his that phones alone belong to.
        with phone(calls.port, "200", SECRET, ANSWERS):
            made = call(calls.port, "fraud", SECRET, "200")
        within = in_dialog(made.messages)
        line = f"MESSAGE sip:19005551234@{place} SIP/2.0"
        assert ask(calls.port, line, *within).startswith("SIP/2.0 480")
        assert gateway.heard() == []
    assert "no phone is at" in calls.log.read_text()


def in_dialog(messages: str) -> list[str]:
    """Headers by which another request belongs to the same dialog."""
    call_id, route, to = (
        re.findall(rf"^{name}: (.*?)\r?$", messages, re.MULTILINE)[-1]
        for name in ("Call-ID", "Record-Route", "To")
    )
    assert ";tag=" in to
    return [f"Call-ID: {call_id}", f"Route: {route}", f"To: {to}"]


def test_what_belongs_to_a_call_reaches_the_other_side(calls: Exchange) -> None:
    with phone(calls.port, "200", SECRET, ANSWERS):
        within = in_dialog(call(calls.port, "caller", SECRET, "200").messages)
    with waiting(accepts("INFO")) as other:
        line = f"INFO sip:200@{other.contact} SIP/2.0"
        assert ask(calls.port, line, *within).startswith("SIP/2.0 200")


def test_only_a_peer_says_who_calls(calls: Exchange) -> None:
    names = ("P-Asserted-Identity", "P-Preferred-Identity", "Remote-Party-ID")
    claims = [f"{name}: <sip:boss@{DOMAIN}>" for name in names]
    fields = {"to": "200", "sender": "caller", "login": "caller", "password": SECRET}
    fields["more"] = "\n".join(claims)
    with phone(calls.port, "200", SECRET, accepts("MESSAGE")) as called:
        assert once(calls.port, with_login("MESSAGE", 200, **fields)).code == 0
        assert [name for name in names if name in called.messages] == []
        line = f"MESSAGE sip:200@{DOMAIN} SIP/2.0"
        assert ask(calls.port, line, *claims, source=GATEWAY).startswith("SIP/2.0 200")
        assert [name for name in names if name in called.messages] == list(names)


def test_what_needs_a_media_server_is_not_to_be_had_without_one(calls: Exchange) -> None:
    calls.system.do("addParkOrbit", parkOrbit={"name": "p", "extension": "600", "enabled": True})
    for number in ("600", "101"):
        answer = call(calls.port, "caller", SECRET, number, 480)
        assert answer.code == 0
        assert "No media server" in answer.messages


def test_messages_are_passed_on(calls: Exchange) -> None:
    with phone(calls.port, "200", SECRET, accepts("MESSAGE")) as called:
        fields = {"to": "200", "sender": "caller", "login": "caller", "password": SECRET}
        fields |= {"more": "Content-Type: text/plain", "body": "hello"}
        assert once(calls.port, with_login("MESSAGE", 200, **fields)).code == 0
        assert called.methods() == ["MESSAGE"]
        assert "hello" in called.messages


def test_word_of_waiting_messages_is_passed_on(calls: Exchange) -> None:
    with phone(calls.port, "200", SECRET, accepts("NOTIFY")) as called:
        line = "NOTIFY sip:200@pbx.example.com SIP/2.0"
        event = ("Event: message-summary", "Subscription-State: active")
        assert ask(calls.port, line, *event, source=GATEWAY).startswith("SIP/2.0 200")
        assert "message-summary" in called.messages


def test_the_restart_of_a_phone_reaches_it(calls: Exchange) -> None:
    serial = "0004f2000001"
    calls.system.add_users("restarted", sipPassword=SECRET)
    lines = [{"userId": "restarted"}]
    calls.system.add_phone(serial, lines=lines)
    calls.system.add_phone("0004f2000002", lines=lines)
    with (
        phone(calls.port, "restarted", SECRET, accepts("NOTIFY"), login="restarted") as other,
        phone(
            calls.port, "restarted", SECRET, accepts("NOTIFY"), login=f"restarted/{serial}"
        ) as called,
    ):
        calls.system.manage_phone(serial, restart=True)
        wait_for(lambda: ("restart", serial) in calls.system.jobs(state="done"))
        (heard,) = called.heard()
        assert heard.line == f"NOTIFY sip:restarted@{called.contact};transport=UDP SIP/2.0"
        assert "Event: check-sync" in called.messages
        assert other.heard() == []
        # Nobody else does so, not even a gateway.
        line = f"NOTIFY sip:~~in~{serial}@{DOMAIN} SIP/2.0"
        for source in (GATEWAY, PHONES):
            answer = ask(calls.port, line, "Event: check-sync", source=source)
            assert answer.startswith("SIP/2.0 403")
        assert len(called.heard()) == 1
    calls.system.manage_phone("0004f2000002", restart=True)
    wait_for(lambda: calls.system.jobs(state="failed"))


def test_keepalives_are_answered(calls: Exchange) -> None:
    assert ask(calls.port, f"OPTIONS sip:{SERVER} SIP/2.0").startswith("SIP/2.0 403")
    assert ask(calls.port, "OPTIONS sip:pbx.example.com SIP/2.0").startswith("SIP/2.0 200")
