"""What a media server does is passed to it (deploy/kamailio)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.kamailio import GATEWAY, Exchange, exchange, free_port, needs_kamailio
from tests.support.sipp import ANSWERS, accepts, call, once, waiting, with_login

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = needs_kamailio

SECRET = "s3cret"
PORT = free_port(GATEWAY)


@pytest.fixture(scope="module")
def calls() -> Iterator[Exchange]:
    with exchange(MEDIA_SERVER=f'"sip:{GATEWAY}:{PORT}"', PEERS=f'"{GATEWAY}"') as running:
        running.system.add_users("caller", sipPassword=SECRET)
        yield running


def test_voice_mail_is_for_who_may_have_it(calls: Exchange) -> None:
    with waiting(ANSWERS, address=GATEWAY, port=PORT) as media:
        assert call(calls.port, "caller", SECRET, "101").code == 0
        assert media.heard()[0].line == "INVITE sip:101@pbx.example.com SIP/2.0"
        calls.system.add_users("without", sipPassword=SECRET)
        calls.system.edit_user("without", permissions="")
        assert call(calls.port, "without", SECRET, "101", 403).code == 0


def test_park_orbits(calls: Exchange) -> None:
    orbit = {"name": "park", "extension": "600", "enabled": True}
    calls.system.do("addParkOrbit", parkOrbit=orbit)
    calls.system.do("addParkOrbit", parkOrbit={"name": "off", "extension": "601"})
    with waiting(ANSWERS, address=GATEWAY, port=PORT) as media:
        assert call(calls.port, "caller", SECRET, "600").code == 0
        assert call(calls.port, "caller", SECRET, "601", 480).code == 0
        assert media.methods() == ["INVITE", "ACK", "BYE"]


def test_a_phone_asks_for_its_lamp(calls: Exchange) -> None:
    fields = {"to": "caller", "sender": "caller", "login": "caller", "password": SECRET}
    fields["more"] = "Event: message-summary\nExpires: 600"
    with waiting(accepts("SUBSCRIBE"), address=GATEWAY, port=PORT) as media:
        assert once(calls.port, with_login("SUBSCRIBE", 200, **fields)).code == 0
        assert media.methods() == ["SUBSCRIBE"]
