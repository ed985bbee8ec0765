"""Callers and phones that mean no good, and a database that is away (deploy/kamailio)."""

from __future__ import annotations

import hashlib
import re
import socket
from typing import TYPE_CHECKING

import pytest

from tests.support.kamailio import (
    GATEWAY,
    PHONES,
    SERVER,
    Exchange,
    Wire,
    ask,
    exchange,
    free_port,
    kamailio,
    needs_kamailio,
)
from tests.support.sipp import (
    ANSWERS,
    accepts,
    call,
    once,
    phone,
    register,
    registration,
    request,
    waiting,
    with_login,
)
from tests.support.system import MAC
from tests.support.worker import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = needs_kamailio

SECRET = "s3cret"
ALICE = {"sender": "alice", "login": "alice", "password": SECRET}
STRANGER = "127.0.0.9"
OUTSIDE = free_port(GATEWAY)
NAMED = "sip:media.example.com"


@pytest.fixture(scope="module")
def calls() -> Iterator[Exchange]:
    # A gateway that never calls is no peer.
    gateway = f'"sip:{GATEWAY}:{OUTSIDE}"'
    with exchange(FLOOD_REQUESTS="40", GATEWAY=gateway, MEDIA_SERVER=f'"{NAMED}"') as running:
        running.system.add_users("alice", "bob", "7", "o'neil", sipPassword=SECRET)
        yield running


NASTY = ["x'OR'1'='1", "';DROP/**/VIEW/**/sip.users;--", "$$x$$", "%27", "x,y", "a?b;c=d"]


@pytest.mark.parametrize("text", NASTY)
def test_what_means_something_in_sql_means_nothing(calls: Exchange, text: str) -> None:
    assert call(calls.port, "alice", SECRET, text, 404).code == 0
    assert register(calls.port, "alice", SECRET, login=text, status=401).code == 0
    assert register(calls.port, "alice", SECRET, login=f"\\{text}", status=401).code == 0
    assert calls.system.scalar("SELECT count(*) FROM sip.users") >= 5
    assert "cannot do the query" not in calls.log.read_text()


def test_bytes_that_are_no_text_reach_no_statement(calls: Exchange) -> None:
    login = (
        f'Authorization: Digest username="al\x01ice", realm="{"pbx.example.com"}", nonce="x",'
        ' uri="sip:x", response="00000000000000000000000000000000"'
    )
    line = "REGISTER sip:pbx.example.com SIP/2.0"
    assert not ask(calls.port, line, login, seconds=1).startswith("SIP/2.0 200")
    assert "cannot do the query" not in calls.log.read_text()


def test_a_name_with_an_apostrophe_works(calls: Exchange) -> None:
    with phone(calls.port, "o'neil", SECRET, ANSWERS):
        assert call(calls.port, "alice", SECRET, "o'neil").code == 0


def test_names_are_texts_not_numbers(calls: Exchange) -> None:
    assert register(calls.port, "7", SECRET, to="07", status=403).code == 0
    assert call(calls.port, "alice", SECRET, "07", 404).code == 0


def test_nobody_registers_for_somebody_else(calls: Exchange) -> None:
    assert register(calls.port, "alice", SECRET, to="bob", status=403).code == 0
    assert register(calls.port, "alice", SECRET, to=f"~~in~{MAC}", status=403).code == 0
    assert call(calls.port, "alice", SECRET, "bob", 480).code == 0


def test_an_escaped_name_is_not_the_other_one(calls: Exchange) -> None:
    calls.system.add_users("%62ob", "Bob", sipPassword=SECRET)
    assert register(calls.port, "%62ob", SECRET, status=403).code == 0
    assert register(calls.port, "Bob", SECRET).code == 0
    assert call(calls.port, "alice", SECRET, "bob", 480).code == 0
    assert call(calls.port, "alice", SECRET, "%62ob", 404).code == 0
    # Nor is bob called where it is meant.
    calls.system.edit_user("%62ob", aliases="other")
    ring = {"userName": "%62ob", "type": "delayed", "expiration": 5}
    group = {"name": "others", "enabled": True, "rings": [ring]}
    calls.system.do("addCallGroup", callGroup=group)
    with phone(calls.port, "bob", SECRET, ANSWERS) as bob:
        for number in ("other", "others"):
            assert call(calls.port, "alice", SECRET, number, 480).code == 0
        assert bob.heard() == []


def test_nobody_calls_by_another_name(calls: Exchange) -> None:
    fields = {**ALICE, "sender": "bob", "to": "bob"}
    scenario = with_login("INVITE", 403, **fields) + request("ACK", "2", **fields)
    assert once(calls.port, scenario).code == 0
    # Nor by one of elsewhere.
    fields["sender"] = "alice"
    scenario = with_login("INVITE", 403, **fields) + request("ACK", "2", **fields)
    elsewhere = scenario.replace(
        "From: <sip:alice@pbx.example.com", "From: <sip:alice@bank.example"
    )
    assert once(calls.port, elsewhere).code == 0


def test_a_registration_is_answered_once(calls: Exchange) -> None:
    more = ">, <".join(f"sip:alice@{PHONES}:{port}" for port in range(5060, 5072))
    contact = f"{PHONES}:5059>, <{more}"
    refused = registration(503, user="alice", login="alice", password=SECRET, contact=contact)
    done = once(calls.port, refused + '<pause milliseconds="300"/>')
    assert done.code == 0, done.messages


def test_what_is_no_sip_uri_is_refused_unasked(calls: Exchange) -> None:
    line = "INVITE tel:+15551234567;phone-context=pbx.example.com SIP/2.0"
    assert ask(calls.port, line).startswith("SIP/2.0 416")
    assert "cannot do the query" not in calls.log.read_text()


def test_a_gateway_that_is_no_peer_is_no_phone_either(calls: Exchange) -> None:
    calls.system.add_users("fraud", sipPassword=SECRET)
    with waiting(ANSWERS, address=GATEWAY, port=OUTSIDE) as gateway:
        assert register(calls.port, "fraud", SECRET, contact=gateway.contact).code == 0
        assert call(calls.port, "alice", SECRET, "fraud", 480).code == 0
        assert gateway.heard() == []


def test_who_names_a_media_server_is_told_what_peers_must_have(calls: Exchange) -> None:
    # Names are not looked up when something is sent: DNS that is slow would hold up every call.
    told = re.findall(r"(\S+) is a name: PEERS must have all addresses", calls.log.read_text())
    assert told == [NAMED]


def test_names_of_the_system_are_not_for_outside(calls: Exchange) -> None:
    calls.system.add_phone(MAC, lines=[{"userId": "bob"}])
    with phone(calls.port, "bob", SECRET, accepts("NOTIFY"), login=f"bob/{MAC}") as bob:
        target = f"sip:~~in~{MAC}@pbx.example.com SIP/2.0"
        event = ("Event: check-sync", "Subscription-State: active")
        for method, source in (("NOTIFY", PHONES), ("NOTIFY", STRANGER), ("MESSAGE", STRANGER)):
            answer = ask(calls.port, f"{method} {target}", *event, source=source)
            assert answer.startswith("SIP/2.0 403")
        config = "From: <sip:~~id~config@pbx.example.com>;tag=1"
        line = "NOTIFY sip:bob@pbx.example.com SIP/2.0"
        assert ask(calls.port, line, config, *event).startswith("SIP/2.0 403")
        line = "INVITE sip:bob@pbx.example.com SIP/2.0"
        assert ask(calls.port, line, config).startswith("SIP/2.0 403")
        assert bob.heard() == []
        # The server itself, from its own address, gets through.
        assert ask(calls.port, f"NOTIFY {target}", *event, source=SERVER).startswith("SIP/2.0 200")


def test_a_login_that_was_overheard_is_of_no_use(calls: Exchange) -> None:
    uri = "sip:bob@pbx.example.com"
    line = f"INVITE {uri} SIP/2.0"
    call_id, sender = "Call-ID: overheard", "From: <sip:alice@pbx.example.com>;tag=1"

    def md5(*parts: str) -> str:
        return hashlib.md5(":".join(parts).encode()).hexdigest()

    def login() -> str:
        found = re.search(r'nonce="(.*?)"', ask(calls.port, line, call_id, sender))
        assert found is not None
        ha1, ha2 = md5("alice", "pbx.example.com", SECRET), md5("INVITE", uri)
        response = md5(ha1, found[1], "00000001", "x", "auth", ha2)
        return (
            f'Proxy-Authorization: Digest username="alice", realm="pbx.example.com", uri="{uri}",'
            f' nonce="{found[1]}", nc=00000001, cnonce="x", qop=auth, response="{response}"'
        )

    assert ask(calls.port, line, call_id, sender, login()).startswith("SIP/2.0 480")
    elsewhere = ask(calls.port, line, call_id, sender, login(), source=STRANGER)
    another = ask(calls.port, line, "Call-ID: another", sender, login())
    used = login()
    ask(calls.port, line, call_id, sender, used)
    again = ask(calls.port, line, call_id, sender, used)
    for each in (elsewhere, another, again):
        assert each.startswith("SIP/2.0 407")
        # The password was right, so nobody is to be asked for another one.
        assert "stale=true" in each


def test_no_relay_to_other_domains(calls: Exchange) -> None:
    with waiting(accepts("MESSAGE")) as victim:
        for line in (
            f"MESSAGE sip:x@{victim.contact} SIP/2.0",
            f"INVITE sip:x@{victim.contact} SIP/2.0",
        ):
            assert ask(calls.port, line).startswith("SIP/2.0 403")
        # Nor by routes that the sender brings along: they do not count.
        route = f"Route: <sip:{SERVER}:{calls.port};lr>, <sip:{victim.contact};lr>"
        line = "MESSAGE sip:bob@pbx.example.com SIP/2.0"
        assert ask(calls.port, line, route).startswith("SIP/2.0 407")
        # Nor in a dialog that was never begun.
        to = "To: <sip:bob@pbx.example.com>;tag=2"
        for mark in ("", ";mark=0123456789abcdef0123456789abcdef"):
            route = f"Route: <sip:{SERVER}:{calls.port};lr{mark}>"
            line = f"BYE sip:x@{victim.contact} SIP/2.0"
            assert ask(calls.port, line, to, route).startswith("SIP/2.0 403")
        assert victim.heard() == []


def test_a_phone_that_leads_back_to_the_server_is_not_called(calls: Exchange) -> None:
    calls.system.add_users("loop", "snake", sipPassword=SECRET, aliases=None)
    calls.system.edit_user("loop", aliases="again")
    own = f"{SERVER}:{calls.port}"
    assert register(calls.port, "loop", SECRET, contact=own).code == 0
    assert register(calls.port, "snake", SECRET, contact="pbx.example.com").code == 0
    for number in ("loop", "again", "snake"):
        done = call(calls.port, "alice", SECRET, number, 480)
        assert done.code == 0, done.messages
    assert "would come back" in calls.log.read_text()


def test_an_alias_leads_to_no_alias(calls: Exchange) -> None:
    calls.system.add_users("x1", aliases=["x2"])
    calls.system.refusal("addUser", user={"userName": "x3", "aliases": ["x2"]})
    calls.system.refusal("addUser", user={"userName": "x2", "aliases": ["x4"]})


def test_too_many_hops_end(calls: Exchange) -> None:
    line = "INVITE sip:bob@pbx.example.com SIP/2.0"
    assert ask(calls.port, line, "Max-Forwards: 0").startswith("SIP/2.0 483")


def test_a_flood_is_dropped_and_others_are_heard(calls: Exchange) -> None:
    line = "OPTIONS sip:pbx.example.com SIP/2.0"
    assert ask(calls.port, line, source=STRANGER).startswith("SIP/2.0 200")

    def is_dropped() -> bool:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as flood:
            flood.bind((STRANGER, 0))
            for _ in range(500):
                flood.sendto(line.encode(), ("127.0.0.1", calls.port))
        return ask(calls.port, line, seconds=0.5, source=STRANGER) == ""

    wait_for(is_dropped)
    assert ask(calls.port, line).startswith("SIP/2.0 200")


def test_rubbish_stops_nothing(calls: Exchange) -> None:
    for line in (
        "INVITE",
        "INVITE sip: SIP/2.0",
        "\0" * 2000,
        "REGISTER sip:pbx.example.com SIP/9",
    ):
        ask(calls.port, line, seconds=0.1)
    assert ask(calls.port, "PUBLISH sip:pbx.example.com SIP/2.0").startswith("SIP/2.0 405")
    assert calls.process.poll() is None


def test_while_the_database_is_away(tmp_path: Path) -> None:
    wire = Wire()
    with exchange(wire, GATEWAY=f'"sip:{GATEWAY}:{OUTSIDE}"') as calls:
        calls.system.add_users("alice", "bob", sipPassword=SECRET, aliases=None)
        calls.system.edit_user("bob", aliases="robert")
        assert register(calls.port, "alice", SECRET).code == 0
        with phone(calls.port, "bob", SECRET, ANSWERS) as bob:
            wire.cut()
            # Who is registered is reached by its name; what has to be looked up is not.
            assert call(calls.port, "alice", SECRET, "bob").code == 0
            assert bob.methods() == ["INVITE", "ACK", "BYE"]
            assert call(calls.port, "alice", SECRET, "robert", 503).code == 0
            with waiting(ANSWERS, address=GATEWAY, port=OUTSIDE):
                assert call(calls.port, "alice", SECRET, "911").code == 0
                assert call(calls.port, "alice", SECRET, "5551234", 503).code == 0
            assert call(calls.port, "alice", "wrong", "bob", 407).code == 0
            done = register(calls.port, "alice", SECRET, status=503)
            assert done.code == 0
            assert "Retry-After: 10" in done.messages
            port = free_port()
            with kamailio(tmp_path, calls.reader_url, port):
                line = "OPTIONS sip:pbx.example.com SIP/2.0"
                assert ask(port, line).startswith("SIP/2.0 503")
                # It cannot let in whose domain and login it has never seen, not even for 911.
                line = "INVITE sip:911@pbx.example.com SIP/2.0"
                assert ask(port, line).startswith("SIP/2.0 503")
                wire.mend()
                assert register(calls.port, "alice", SECRET).code == 0
                assert call(calls.port, "alice", SECRET, "robert").code == 0
                assert register(port, "alice", SECRET).code == 0
            # A database that lets questions wait holds up those of one process, not all calls.
            with wire.held():
                for number in range(40):
                    login = (
                        f'Proxy-Authorization: Digest username="{number}", realm="pbx.example.com",'
                        f' nonce="x", uri="x", response="{number:032}"'
                    )
                    ask(calls.port, "INVITE sip:bob@pbx.example.com SIP/2.0", login, seconds=0.01)
                assert call(calls.port, "alice", SECRET, "bob").code == 0
                assert register(calls.port, "alice", SECRET, status=503).code == 0
            wait_for(lambda: register(calls.port, "alice", SECRET).code == 0)
