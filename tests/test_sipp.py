"""Restarts against sipp, a SIP user agent that is not ours (docs/spec/phones.md §4).

sipp is the Debian package sip-tester. Where it is missing these tests are not there, but on a CI
they fail.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import socket
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from sipxconfig_soap.jobs import worker
from sipxconfig_soap.provisioning.notify import Notifier, Timers
from sipxconfig_soap.settings import Settings
from tests.support.sip import SipRequest, read_request
from tests.support.system import MAC, System
from tests.support.worker import LIMIT, Job, ended, wait_for, working

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sipxconfig_soap.db import Database
    from tests.support.soap import Soap

SIPP = shutil.which("sipp")
__test__ = SIPP is not None or "CI" in os.environ

PASSWORD = "s3cret"
GRANDSTREAM = "000b82aabbcc"

_SCENARIO = """<?xml version="1.0" encoding="UTF-8"?>
<scenario name="phone">
{steps}
</scenario>
"""
_HEAR = '<recv request="NOTIFY" crlf="true"/>'
_SAY = """<send><![CDATA[
SIP/2.0 {answer}
[last_Via:]
[last_From:]
[last_To:];tag=phone
[last_Call-ID:]
[last_CSeq:]
{more}Content-Length: 0

]]></send>"""
_WAIT = '<pause milliseconds="600000"/>'

REALM, NONCE, OPAQUE = "pbx", "abc123", "xyz"
_CHALLENGE = (
    f'WWW-Authenticate: Digest realm="{REALM}", nonce="{NONCE}", opaque="{OPAQUE}", '
    'qop="auth", algorithm=MD5\n'
)


def say(answer: str, more: str = "") -> str:
    return _SAY.format(answer=answer, more=more)


@dataclass
class Phone:
    """A running sipp.

    Attributes:
        address: where it listens.
        log: where it writes every message it hears or sends.
    """

    address: str
    log: Path

    def heard(self) -> list[SipRequest]:
        """The requests it has heard, without those that came twice."""
        text = self.log.read_bytes() if self.log.exists() else b""
        found = re.findall(
            rb"message received \[(\d+)\] bytes :\n\n(.*?)(?=\n-{20}|\Z)", text, re.DOTALL
        )
        distinct = dict.fromkeys(message[: int(length)] for length, message in found)
        return [read_request(message) for message in distinct]


@contextmanager
def sipp(directory: Path, *steps: str) -> Iterator[Phone]:
    """Run sipp as a phone that does these steps once."""
    assert SIPP is not None, "sipp is missing: install it (Debian: apt-get install sip-tester)"
    scenario, log = directory / "scenario.xml", directory / "messages.log"
    scenario.write_text(_SCENARIO.format(steps="\n".join(steps)))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        *(SIPP, "-sf", str(scenario), "-i", "127.0.0.1", "-p", str(port), "-m", "1"),
        *("-nostdin", "-trace_msg", "-message_file", str(log), "-message_overwrite", "false"),
    ]
    with subprocess.Popen(
        command, cwd=directory, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            wait_for(lambda: _listens(port) or process.poll() is not None)
            assert process.poll() is None, "sipp did not start"
            yield Phone(f"127.0.0.1:{port}", log)
        finally:
            process.kill()
            process.wait(LIMIT)


def _listens(port: int) -> bool:
    return f"0100007F:{port:04X} " in Path("/proc/net/udp").read_text()


@pytest.fixture
def system(soap: Soap, database: Database) -> System:
    system = System(soap, database)
    system.add_users("201", sipPassword=PASSWORD)
    lines = [{"userId": "201"}]
    system.add_phone(MAC, "polycom331", lines=lines)
    system.add_phone(GRANDSTREAM, "gsPhoneGxp2020", lines=lines)
    return system


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path


def restart(
    system: System, url: str, directory: Path, phone: Phone, serial: str = MAC, **more: str
) -> Job:
    """Restart a phone through sipp as the proxy; returns the job when it has ended."""
    settings = Settings.load({}, data_dir=str(directory), sip_proxy=phone.address, **more)
    with working(url, settings):
        system.manage_phone(serial, restart=True)
        (job,) = ended(system.database.engine)
    return job


@pytest.mark.parametrize("answer", ["200 OK", "202 Accepted"])
def test_success(system: System, database_url: str, directory: Path, answer: str) -> None:
    with sipp(directory, _HEAR, say(answer)) as phone:
        job = restart(system, database_url, directory, phone)
        assert job == Job("restart", MAC, "done", None, 1)
        (request,) = wait_for(phone.heard)
    assert request.line == f"NOTIFY sip:~~in~{MAC}@example.org SIP/2.0"
    headers = dict(request.headers)
    assert len(headers) == len(request.headers)
    via = re.fullmatch(
        r"SIP/2\.0/UDP (127\.0\.0\.1:\d+);branch=z9hG4bK[0-9a-f]+;rport", headers.pop("Via")
    )
    assert via is not None
    assert headers.pop("Contact") == f"<sip:{via[1]}>"
    assert re.fullmatch(r"<sip:~~id~config@example\.org>;tag=[0-9a-f]+", headers.pop("From"))
    assert re.fullmatch(r"[0-9a-f]{16,}", headers.pop("Call-ID"))
    assert headers == {
        "Route": f"<sip:{phone.address};lr>",
        "To": f"<sip:~~in~{MAC}@example.org>",
        "CSeq": "1 NOTIFY",
        "Max-Forwards": "70",
        "Event": "check-sync",
        "Subscription-State": "active",
        "Content-Length": "0",
    }


def test_404(system: System, database_url: str, directory: Path) -> None:
    with sipp(directory, _HEAR, say("404 Not Found")) as phone:
        job = restart(system, database_url, directory, phone)
        assert job == Job("restart", MAC, "failed", "answered 404 Not Found", 1)
        assert len(phone.heard()) == 1


@pytest.mark.parametrize(
    ("serial", "target"), [(GRANDSTREAM, "201"), (MAC, f"~~in~{MAC}")], ids=["line", "phone"]
)
def test_a_challenge_then_200(
    system: System, database_url: str, directory: Path, serial: str, target: str
) -> None:
    steps = (_HEAR, say("401 Unauthorized", _CHALLENGE), _HEAR, say("200 OK"))
    with sipp(directory, *steps) as phone:
        job = restart(system, database_url, directory, phone, serial)
        assert job == Job("restart", serial, "done", None, 1)
        first, second = wait_for(lambda: phone.heard() if len(phone.heard()) == 2 else None)
    assert first.line == second.line == f"NOTIFY sip:{target}@example.org SIP/2.0"
    for name in ("Call-ID", "From", "To", "Contact", "Route", "Event", "Subscription-State"):
        assert first[name] == second[name]
    assert (first["CSeq"], second["CSeq"]) == ("1 NOTIFY", "2 NOTIFY")
    assert first["Via"] != second["Via"]
    parts = dict(re.findall(r'(\w+)="?([^",]*)"?', second["Authorization"]))

    def md5(*texts: str) -> str:
        return hashlib.md5(":".join(texts).encode()).hexdigest()

    user = f"201/{serial}"
    ha1, ha2 = md5(user, REALM, PASSWORD), md5("NOTIFY", f"sip:{target}@example.org")
    expected = md5(ha1, NONCE, parts["nc"], parts["cnonce"], "auth", ha2)
    assert second["Authorization"].startswith("Digest ")
    assert parts["response"] == expected
    assert (parts["username"], parts["realm"], parts["nonce"]) == (user, REALM, NONCE)
    assert (parts["opaque"], parts["qop"]) == (OPAQUE, "auth")
    assert parts["uri"] == f"sip:{target}@example.org"


def test_a_challenge_to_a_phone_without_a_line_of_a_user(
    system: System, database_url: str, directory: Path
) -> None:
    line = {"userId": "bob", "registrationServer": "sip.example.net", "password": "theirs"}
    system.manage_phone(MAC, removeLineByUserId="201", addExternalLine=line)
    with sipp(directory, _HEAR, say("401 Unauthorized", _CHALLENGE), _WAIT) as phone:
        job = restart(system, database_url, directory, phone)
        assert job == Job("restart", MAC, "failed", "answered 401 Unauthorized", 1)


def test_silence(
    system: System, database_url: str, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hasty = Timers(t1=0.05, t2=0.2, total=1.0)
    monkeypatch.setattr(worker, "Notifier", partial(Notifier, timers=hasty))
    with sipp(directory, _HEAR, _WAIT) as phone:
        job = restart(system, database_url, directory, phone, job_retry_delays="0.05")
        assert job == Job("restart", MAC, "failed", "no answer within 1 seconds", 2)
        # Each try is a transaction of its own; what was sent again within one is the same.
        assert len({request["Call-ID"] for request in phone.heard()}) == 2
        assert len({request["Via"] for request in phone.heard()}) == 2
