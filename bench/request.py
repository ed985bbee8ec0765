"""The requests that a load is made of, as bytes of HTTP."""

from __future__ import annotations

import base64
from dataclasses import dataclass

ADMINISTRATOR = "superadmin"
PIN = "1234"

SPARE = 1_000_000
"""Numbers between the series of requests that run at once or one after the other."""


@dataclass(frozen=True, slots=True)
class Request:
    """A call whose body may have a number in it.

    Attributes:
        service: which one is called.
        body: the content of the SOAP Body, with ``{n}`` where the number stands.
        first: the first number.
        count: how many numbers there are; then they begin again.
        digits: how many digits they have, so that all requests are equally long.
    """

    service: str
    body: str
    first: int = 0
    count: int = 1
    digits: int = 7

    def parts(self, host: str) -> tuple[bytes, bytes]:
        """The bytes of the HTTP request before and after the number.

        A request without a number has nothing after it, and its number is not sent.
        """
        content = (
            '<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" '
            'xmlns:con="http://www.sipfoundry.org/2007/08/21/ConfigService">'
            + (f"<soapenv:Body>{self.body}</soapenv:Body>" if self.body else "<soapenv:Body/>")
            + "</soapenv:Envelope>"
        )
        before, _, after = content.partition("{n}")
        length = len(before.encode()) + (len(after.encode()) + self.digits if after else 0)
        credentials = base64.b64encode(f"{ADMINISTRATOR}:{PIN}".encode()).decode()
        head = (
            f"POST /sipxconfig/services/{self.service} HTTP/1.1\r\nHost: {host}\r\n"
            f"Authorization: Basic {credentials}\r\nContent-Type: text/xml; charset=utf-8\r\n"
            f'SOAPAction: ""\r\nContent-Length: {length}\r\n\r\n'
        )
        return (head + before).encode(), after.encode()

    def bytes_of(self, host: str, number: int) -> bytes:
        """The whole request with the number that comes after so many others."""
        before, after = self.parts(host)
        return before + self.number(number) + after if after else before

    def number(self, index: int) -> bytes:
        """The number, as it stands in the request."""
        return f"{self.first + index % self.count:0{self.digits}}".encode()
