"""Phones: sipp, each doing what a scenario says."""

from __future__ import annotations

import re
import socket
import subprocess
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.kamailio import DOMAIN, PHONES, SERVER, free_port
from tests.support.worker import LIMIT, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

_SCENARIO = '<?xml version="1.0" encoding="UTF-8"?>\n<scenario name="phone">\n{}\n</scenario>\n'

_REQUEST = """<send{retrans}><![CDATA[
{method} sip:{to}@{domain} SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=z9hG4bK-[pid]-[call_number]-{number}
From: <sip:{sender}@{domain}>;tag=[pid]SIPp[call_number]
To: <sip:{to_header}@{domain}>
Call-ID: [call_id]
CSeq: {number} {method}
Max-Forwards: 70
Contact: <sip:{sender}@{contact};transport=[transport]>
{more}
Content-Length: [len]

{body}
]]></send>"""

_IN_DIALOG = """<send{retrans}><![CDATA[
{method} [next_url] SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
[routes]
From: <sip:{{user}}@{{domain}}>;tag=[pid]SIPp[call_number]
To: <sip:{{to}}@{{domain}}>[peer_tag_param]
Call-ID: [call_id]
CSeq: {number} {method}
Max-Forwards: 70
Content-Length: 0

]]></send>"""

TALK = (
    _IN_DIALOG.format(method="ACK", number="2", retrans="")
    + '<pause milliseconds="100"/>'
    + _IN_DIALOG.format(method="BYE", number="3", retrans=' retrans="500"')
    + '<recv response="200"/>'
).replace("{domain}", DOMAIN)
"""What follows when a call of ``{user}`` to ``{to}`` was answered."""

_ANSWER = """<send{more}><![CDATA[
SIP/2.0 {status}
[last_Via:]
[last_Record-Route:]
[last_From:]
[last_To:]{tag}
[last_Call-ID:]
[last_CSeq:]
Contact: <sip:[local_ip]:[local_port];transport=[transport]>
Content-Length: 0

]]></send>"""

_TRACE = ("-trace_msg", "-message_file", "messages.log")

_TAG = ";tag=[pid]SIPp[call_number]"


def answer(status: str, *, more: str = "", tag: str = _TAG) -> str:
    """An answer to the last request."""
    return _ANSWER.format(status=status, more=more, tag=tag)


@dataclass(frozen=True)
class Outcome:
    """How a sipp ended: its exit code (0: as the scenario says), all messages, its last screen."""

    code: int
    messages: str
    statistics: str = ""

    @property
    def statuses(self) -> list[int]:
        """The final answers that came."""
        found = re.findall(r"received \[\d+\] bytes :\n\nSIP/2.0 ([2-6]\d\d)", self.messages)
        return [int(each) for each in found]


def once(
    port: int, scenario: str, *options: str, address: str = PHONES, messages: bool = True
) -> Outcome:
    """Run a scenario to its end, once if the options do not say something else."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        (directory / "scenario.xml").write_text(_SCENARIO.format(scenario))
        command = [
            *("sipp", f"{SERVER}:{port}", "-sf", "scenario.xml", "-i", address, "-m", "1"),
            *("-p", str(free_port(address)), "-nostdin", "-timeout", "30", "-timeout_error"),
            *(_TRACE if messages else ()),
            *options,
        ]
        done = subprocess.run(
            command, cwd=directory, capture_output=True, timeout=2 * LIMIT, check=False
        )
        log = directory / "messages.log"
        screen = done.stdout.decode(errors="replace")[-3000:]
        return Outcome(done.returncode, log.read_text() if log.exists() else "", screen)


def with_login(method: str, status: int, **fields: str) -> str:
    """A request, its challenge, the request with a login, and its final answer."""
    challenge = "401" if method == "REGISTER" else "407"
    first = request(method, "1", **fields)
    usual = "[authentication username={login} password={password}]"
    login = fields.get("credentials") or usual.format(**fields)
    ack = request("ACK", "1", **fields) if method == "INVITE" else ""
    second = request(method, "2", **{**fields, "more": f"{login}\n{fields.get('more', '')}"})
    return (
        f'{first}<recv response="100" optional="true"/><recv response="{challenge}" auth="true"/>'
        f'{ack}{second}<recv response="100" optional="true"/>'
        + ('<recv response="180" optional="true"/>' if status != 180 else "")
        + f'<recv response="{status}" rrs="true" timeout="25000"/>'
    )


def request(method: str, number: str, **fields: str) -> str:
    """A request outside of a dialog."""
    values = {
        "retrans": "" if method == "ACK" else ' retrans="500"',
        "domain": DOMAIN,
        "contact": fields.get("contact", "[local_ip]:[local_port]"),
        "to_header": fields.get("to_header", fields["to"]),
        "more": fields.get("more", ""),
        "body": fields.get("body", ""),
        "to": fields["to"],
        "sender": fields["sender"],
    }
    text = _REQUEST.format(method=method, number=number, **values)
    return re.sub(r"\n\n+(?=Content-Length)", "\n", text)


def register(
    port: int,
    user: str,
    password: str,
    *options: str,
    login: str | None = None,
    contact: str | None = None,
    expires: int = 600,
    status: int = 200,
    to: str | None = None,
) -> Outcome:
    """Register a phone of a user.

    Args:
        port: of Kamailio.
        user: whose address is registered.
        password: what is known of the sipPassword.
        options: of sipp.
        login: the name in the digest, the user if none is given.
        contact: host and port of the phone, or ``*`` for all; sipp's own.
        expires: seconds.
        status: the answer that is expected to the login.
        to: the address that is registered, the user's.
    """
    more = {} if contact is None else {"contact": contact}
    scenario = registration(
        status, user=user, to=to, expires=expires, login=login or user, password=password, **more
    )
    return once(port, scenario, *options)


def registration(
    status: int, *, user: str, to: str | None = None, expires: int = 600, **fields: str
) -> str:
    """A registration that comes to this answer."""
    fields |= {"to": "x", "to_header": to or user, "sender": user, "more": f"Expires: {expires}"}
    # The request goes to the domain, not to a user.
    scenario = with_login("REGISTER", status, **fields).replace("sip:x@", "sip:")
    return scenario.replace(f"<sip:{user}@*;transport=[transport]>", "*")


def call(port: int, user: str, password: str, to: str, status: int = 200, *options: str) -> Outcome:
    """Call a number; a call that is answered is ended by BYE."""
    fields = {"to": to, "sender": user, "login": user, "password": password}
    after = TALK.format(user=user, to=to) if status == 200 else request("ACK", "2", **fields)
    return once(port, with_login("INVITE", status, **fields) + after, *options)


def give_up(port: int, user: str, password: str, to: str) -> Outcome:
    """Call a number, and give up when it rings."""
    fields = {"to": to, "sender": user, "login": user, "password": password}
    scenario = (
        with_login("INVITE", 180, **fields)
        + request("CANCEL", "2", **fields)
        + '<recv response="200"/><recv response="487"/>'
        + request("ACK", "2", **fields)
    )
    return once(port, scenario)


@dataclass(frozen=True)
class Heard:
    """A request that a phone heard first at this time."""

    time: datetime
    line: str

    @property
    def method(self) -> str:
        return self.line.split()[0]


class Phone:
    """A sipp that waits for requests, at `contact`."""

    def __init__(self, directory: Path, process: subprocess.Popen[bytes], contact: str) -> None:
        self.process = process
        self.contact = contact
        self._log = directory / "messages.log"

    @property
    def messages(self) -> str:
        """All that went in and out."""
        return self._log.read_text() if self._log.exists() else ""

    def heard(self) -> list[Heard]:
        """The requests that came, without those that came again."""
        found = re.findall(
            r"-{10,} (\S+ \S+)\n(?:UDP|TCP) message received \[\d+\] bytes :\n\n"
            r"([A-Z]+ \S+ SIP/2.0)\r?\n(.*?)(?=\n-{10,}|\Z)",
            self.messages,
            re.DOTALL,
        )
        first: dict[tuple[str, ...], Heard] = {}
        for time, line, rest in found:
            calls = re.findall(r"^(?:Call-ID|CSeq): (.*?)\r?$", rest, re.MULTILINE)
            first.setdefault((line, *calls), Heard(datetime.fromisoformat(time), line))
        return list(first.values())

    def methods(self) -> list[str]:
        """The methods of these requests."""
        return [each.method for each in self.heard()]


RINGING = answer("180 Ringing")
# Two processes pass on what comes at the same time, and the caller may hear of the ringing last.
ANSWERS = (
    '<recv request="INVITE" crlf="true"/>'
    + RINGING
    + '<pause milliseconds="100"/>'
    + answer("200 OK", more=' retrans="500"')
    + '<recv request="ACK"/><recv request="BYE"/>'
    + answer("200 OK", tag="")
)
"""Answers a call."""
RINGS = (
    '<recv request="INVITE" crlf="true"/>'
    + RINGING
    + '<recv request="CANCEL"/>'
    + answer("200 OK", tag="")
)
"""Rings until the caller or the group gives up."""
BUSY = '<recv request="INVITE" crlf="true"/>' + answer("486 Busy Here") + '<recv request="ACK"/>'


def accepts(method: str) -> str:
    """Says 200 to a request outside of a dialog."""
    return f'<recv request="{method}" crlf="true"/>' + answer("200 OK")


@contextmanager
def waiting(
    scenario: str, *options: str, address: str = PHONES, port: int = 0, messages: bool = True
) -> Iterator[Phone]:
    """A sipp that does this for everybody who calls it."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        own = port or free_port(address)
        (directory / "scenario.xml").write_text(_SCENARIO.format(scenario))
        command = [
            *("sipp", "-sf", "scenario.xml", "-i", address, "-p", str(own), "-nostdin"),
            *(_TRACE if messages else ()),
            *options,
        ]
        process = subprocess.Popen(
            command, cwd=directory, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            wait_for(lambda: _listens(address, own) or process.poll() is not None)
            assert process.poll() is None, "sipp did not start"
            yield Phone(directory, process, f"{address}:{own}")
        finally:
            process.kill()
            process.wait(LIMIT)


@contextmanager
def phone(
    port: int,
    user: str,
    password: str,
    scenario: str,
    *options: str,
    login: str | None = None,
    forgotten: bool = True,
) -> Iterator[Phone]:
    """A phone of a user, registered and waiting, which does this for every call."""
    with waiting(scenario, *options) as made:
        transport = ("-t", "t1") if "t1" in options else ()

        def tell(expires: int) -> None:
            done = register(
                port, user, password, *transport, login=login, contact=made.contact, expires=expires
            )
            assert done.code == 0, done.messages

        tell(600)
        yield made
        # The next test finds no phone that is not there any more.
        if forgotten:
            tell(0)


def _listens(address: str, port: int) -> bool:
    host = socket.inet_aton(address)[::-1].hex().upper()
    tables = (Path("/proc/net/udp"), Path("/proc/net/tcp"))
    return any(f" {host}:{port:04X} " in each.read_text() for each in tables)
