"""The other side of a SIP talk, in as much as tests need one."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class SipRequest:
    """A request as it came, its headers in their order."""

    line: str
    headers: list[tuple[str, str]]
    body: bytes

    def __getitem__(self, name: str) -> str:
        (value,) = (value for each, value in self.headers if each == name)
        return value


def read_request(data: bytes) -> SipRequest:
    """Take a request apart, which must be well-formed."""
    head, body = data.split(b"\r\n\r\n", 1)
    line, *headers = head.decode("ascii").split("\r\n")
    pairs = []
    for header in headers:
        found = re.fullmatch(r"([A-Za-z-]+): (\S.*)", header)
        assert found is not None, header
        pairs.append((found[1], found[2]))
    request = SipRequest(line, pairs, body)
    assert int(request["Content-Length"]) == len(body)
    return request


def answer(data: bytes, code: int, phrase: str, *more: str) -> bytes:
    """An answer to a request, with more headers."""
    request = read_request(data)
    copied = [f"{name}: {request[name]}" for name in ("Via", "From", "Call-ID", "CSeq")]
    to = f"To: {request['To']};tag=peer"
    lines = [f"SIP/2.0 {code} {phrase}", *copied, to, *more, "Content-Length: 0", "", ""]
    return "\r\n".join(lines).encode()
