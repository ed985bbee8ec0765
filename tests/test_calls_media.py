"""The whole walk: script, user, phone, profile, registration by what the profile says, call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from lxml import etree

from tests.support.baresip import BARESIP, baresip
from tests.support.kamailio import DOMAIN, exchange, needs_kamailio
from tests.support.worker import wait_for

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.kamailio import Exchange

pytestmark = [
    needs_kamailio,
    pytest.mark.skipif(not BARESIP, reason="needs Debian's baresip-core"),
]

PHONES = {"200": "0004f2000200", "201": "0004f2000201"}


def profile_of(calls: Exchange, serial: str) -> dict[str, Any]:
    """The settings of the file that the phone fetches."""
    file = calls.directory / "data" / "profiles" / f"{serial}-sipx-phone.cfg"
    wait_for(file.exists)
    return {
        str(name): str(value)
        for element in etree.parse(file).iter()
        for name, value in element.attrib.items()
    }


def test_from_the_script_to_the_call(tmp_path: Path) -> None:
    with exchange() as calls:
        phones = []
        for user, serial in PHONES.items():
            calls.system.add_users(user)
            calls.system.add_phone(serial, "polycom331", lines=[{"userId": user}])
            calls.system.manage_phone(serial, generateProfiles=True)
            profile = profile_of(calls, serial)
            assert profile["reg.1.server.1.address"] == DOMAIN
            assert profile["reg.1.auth.userId"] == f"{user}/{serial}"
            keys = ("reg.1.address", "reg.1.auth.userId", "reg.1.auth.password")
            phones.append([profile[key] for key in keys])
        (first, second) = phones
        with (
            baresip(tmp_path / "a", calls.port, *first) as caller,
            baresip(tmp_path / "b", calls.port, *second) as called,
        ):
            caller.wait_for("registered successfully")
            called.wait_for("registered successfully")
            caller.say(f"/dial sip:201@{DOMAIN}")
            caller.wait_for("Call established")
            called.wait_for("Call established")
            # Bits per second, sent and heard.
            caller.wait_for(r"audio=[1-9]\d+/[1-9]\d+ ")
            called.wait_for(r"audio=[1-9]\d+/[1-9]\d+ ")
            caller.say("/hangup")
            called.wait_for("session closed")
