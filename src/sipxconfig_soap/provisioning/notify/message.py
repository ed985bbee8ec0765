"""SIP messages: the NOTIFY that is sent and the answers that come back (RFC 3261 §7)."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sipxconfig_soap.provisioning.notify.plan import Notification

METHOD = "NOTIFY"

_STATUS_LINE = re.compile(r"SIP/2\.0 ([1-6][0-9]{2})(?: (.*))?")
_HEADER = re.compile(r"([A-Za-z0-9!%*_+`'~.-]+)[ \t]*:[ \t]*(.*?)[ \t]*")
_FOLD = re.compile(r"\r?\n[ \t]+")
_BRANCH = re.compile(r";\s*branch\s*=\s*([^\s;,]+)", re.IGNORECASE)
_CSEQ = re.compile(r"([0-9]{1,10})[ \t]+([^ \t]+)")
_COMPACT = {"v": "via", "i": "call-id", "f": "from", "t": "to"}


def _token() -> str:
    return secrets.token_hex(12)


@dataclass(frozen=True, slots=True)
class Identity:
    """What stays the same when a request is sent again with an answer to a challenge."""

    call_id: str = field(default_factory=_token)
    tag: str = field(default_factory=_token)


def _new_branch() -> str:
    # With the cookie of RFC 3261.
    return f"z9hG4bK{_token()}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A NOTIFY outside a dialog.

    Attributes:
        notification: what to say to whom.
        identity: of the attempt.
        local: address and port of the sending socket.
        cseq: its number.
        branch: of the transaction.
        authorization: name and value of the header that answers a challenge.
    """

    notification: Notification
    identity: Identity
    local: tuple[str, int]
    cseq: int = 1
    branch: str = field(default_factory=_new_branch)
    authorization: tuple[str, str] | None = None

    def encode(self) -> bytes:
        """The request as it goes onto the wire."""
        notification, sender = self.notification, _host_port(*self.local)
        headers = [
            ("Via", f"SIP/2.0/UDP {sender};branch={self.branch};rport"),
            ("Max-Forwards", "70"),
            ("From", f"<sip:~~id~config@{notification.domain}>;tag={self.identity.tag}"),
            ("To", f"<{notification.target}>"),
            ("Call-ID", self.identity.call_id),
            ("CSeq", f"{self.cseq} {METHOD}"),
            ("Contact", f"<sip:{sender}>"),
            ("Event", "check-sync"),
            ("Subscription-State", "active"),
        ]
        if notification.proxy is not None:
            headers.insert(1, ("Route", f"<sip:{notification.proxy};lr>"))
        if self.authorization is not None:
            headers.append(self.authorization)
        headers.append(("Content-Length", "0"))
        lines = [f"{METHOD} {notification.target} SIP/2.0"]
        lines += [f"{name}: {value}" for name, value in headers]
        return "\r\n".join([*lines, "", ""]).encode()


def _host_port(host: str, port: int) -> str:
    # The zone of a link-local address means nothing to others.
    host = host.partition("%")[0]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


@dataclass(frozen=True, slots=True)
class Response:
    """An answer.

    Attributes:
        code: 100 to 699.
        phrase: what the sender calls it, as far as it can be shown.
        headers: names in lower case, not the compact ones, and values.
    """

    code: int
    phrase: str
    headers: tuple[tuple[str, str], ...]

    def all(self, name: str) -> list[str]:
        """The values of a header, in their order."""
        return [value for each, value in self.headers if each == name]

    def answers(self, request: Request) -> bool:
        """Whether it belongs to the transaction of a request (RFC 3261 §17.1.3)."""
        via = next(iter(self.all("via")), "").split(",", 1)[0]
        found_branch = _BRANCH.search(via)
        found_cseq = _CSEQ.fullmatch(next(iter(self.all("cseq")), ""))
        return (
            found_branch is not None
            and found_branch[1] == request.branch
            and found_cseq is not None
            and (int(found_cseq[1]), found_cseq[2]) == (request.cseq, METHOD)
        )


def parse_response(data: bytes) -> Response | None:
    """Read what came back; None for anything that is no SIP answer. Raises nothing."""
    text = data.decode("utf-8", "replace")
    # One blank line ends the headers, and lines may end with LF alone.
    head = re.split(r"\r?\n\r?\n", text, maxsplit=1)[0]
    first, *rest = _FOLD.sub(" ", head).split("\n")
    status = _STATUS_LINE.fullmatch(first.rstrip("\r"))
    if status is None:
        return None
    found = (_HEADER.fullmatch(line.rstrip("\r")) for line in rest)
    headers = tuple((_name(header[1]), header[2]) for header in found if header is not None)
    return Response(int(status[1]), _shown(status[2] or ""), headers)


def _name(text: str) -> str:
    name = text.lower()
    return _COMPACT.get(name, name)


def _shown(phrase: str) -> str:
    """A phrase from the network as it may stand in a reason."""
    return "".join(char if char.isprintable() else " " for char in phrase).strip()[:60]
