"""HTTP answers, before they are sent."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sipxconfig_soap.soap.reply import Reply

    Headers = list[tuple[str, str]]

XML = "text/xml; charset=UTF-8"
_PLAIN = "text/plain; charset=UTF-8"
_HTML = "text/html; charset=UTF-8"

STATUS_LINES = {status.value: f"{status.value} {status.phrase}" for status in HTTPStatus}

ALWAYS = [
    # Answers hold what only an administrator may see, and no browser shall guess what they are.
    ("Cache-Control", "no-store"),
    ("X-Content-Type-Options", "nosniff"),
]
"""Headers of every answer."""


@dataclass(slots=True)
class Response:
    """An answer.

    Attributes:
        status: the HTTP status.
        headers: without ``Content-Length`` and those of `ALWAYS`.
        chunks: the body.
        length: bytes of the body, None while it is not known.
    """

    status: int
    headers: Headers
    chunks: Iterable[bytes] = ()
    length: int | None = 0


class Refusal(Exception):
    """Ends the handling of a request with an answer."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.status)
        self.response = response


def of_reply(reply: Reply) -> Response:
    """The answer of a SOAP endpoint."""
    headers = [("Content-Type", reply.content_type), *reply.headers]
    return Response(reply.status, headers, reply.chunks, reply.length)


def plain(status: int, sentence: str, headers: Iterable[tuple[str, str]] = ()) -> Response:
    """One sentence for people."""
    return _whole(status, _PLAIN, sentence.encode() + b"\n", headers)


def html(text: str, headers: Iterable[tuple[str, str]] = ()) -> Response:
    """A page."""
    return _whole(200, _HTML, text.encode(), headers)


def xml(content: bytes) -> Response:
    """A WSDL."""
    return _whole(200, XML, content)


def nothing(allowed: str) -> Response:
    """The answer to OPTIONS."""
    return Response(204, [("Allow", allowed)], length=None)


def redirect(location: str) -> Response:
    """Sends the client elsewhere; ``location`` is never a client's text."""
    return plain(302, "The services are listed elsewhere.", [("Location", location)])


def wrong_method(allowed: str) -> Response:
    """The resource is there, but not for this method."""
    return plain(405, f"Not for this method. Allowed are {allowed}.", [("Allow", allowed)])


def not_found() -> Response:
    """There is no such resource."""
    return plain(404, "There is nothing here. The services are listed at /sipxconfig/services/.")


def _whole(
    status: int, content_type: str, body: bytes, headers: Iterable[tuple[str, str]] = ()
) -> Response:
    return Response(status, [("Content-Type", content_type), *headers], (body,), len(body))
