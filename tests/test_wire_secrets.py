"""No fault and no log line shows a PIN or a password (wire.md §6)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sipxconfig_soap.errors import SECRET_FIELDS
from tests.support.logs import printed
from tests.support.messages import add_user, edit, manage_phone, manage_user, stock

if TYPE_CHECKING:
    from tests.support.soap import Soap


@pytest.fixture
def stocked(soap: Soap) -> Soap:
    return stock(soap)


SECRET = "hush-4711"
LONG = SECRET + "x" * 250
WITH_SECRETS = {
    "pin": ("UserService", add_user("<userName>203</userName>", f"<pin>{LONG}</pin>")),
    "vmpin": ("UserService", add_user("<userName>203</userName>", f"<vmpin>{LONG}</vmpin>")),
    "pintoken": (
        "UserService",
        add_user(f"<userName>203</userName><pintoken>{LONG}</pintoken>"),
    ),
    "sipPassword too long": (
        "UserService",
        add_user(f"<userName>203</userName><sipPassword>{LONG}</sipPassword>"),
    ),
    "sipPassword with a control character": (
        "UserService",
        add_user(f"<userName>203</userName><sipPassword>{SECRET}&#9;</sipPassword>"),
    ),
    "pin in an edit": ("UserService", manage_user(edit("pin", LONG))),
    "pintoken in an edit": ("UserService", manage_user(edit("pintoken", LONG))),
    "sipPassword in an edit": ("UserService", manage_user(edit("sipPassword", f"{SECRET}\t"))),
    "password": (
        "PhoneService",
        manage_phone(
            "<removeLineByUserId>201</removeLineByUserId><addExternalLine><userId>9</userId>"
            f"<registrationServer>b</registrationServer><password>{SECRET}\t</password>"
            "</addExternalLine>"
        ),
    ),
    "pin of a user that is refused": (
        "UserService",
        add_user("<userName>202</userName>", f"<pin>{SECRET}</pin>"),
    ),
    "an element inside a pin": (
        "UserService",
        add_user("<userName>203</userName>", f"<pin>{SECRET}<b>{SECRET}</b></pin>"),
    ),
    "an unknown element": (
        "UserService",
        add_user(f"<userName>203</userName><password>{SECRET}</password>"),
    ),
    "the value of an unknown property": ("UserService", manage_user(edit("PIN", SECRET))),
    "the value of no property": ("UserService", manage_user(edit("", SECRET))),
    "malformed XML": ("UserService", f"<addUser><pin>{SECRET}</pin>"),
    "a second call": ("UserService", f"<addUser><pin>{SECRET}</pin></addUser><x/>"),
    "text in the Body": ("UserService", f"{SECRET}<findUser/>"),
}


@pytest.mark.parametrize(("service", "body"), WITH_SECRETS.values(), ids=WITH_SECRETS)
def test_a_fault_never_shows_a_secret(
    stocked: Soap, service: str, body: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    fault = stocked.fault(service, body)
    assert fault.code in ("soapenv:Server.userException", "soapenv:Client")
    assert SECRET not in fault.response.text
    assert SECRET not in printed(caplog)
    for problem in fault.problems:
        if problem.field in SECRET_FIELDS:
            assert problem.value is None
