"""HTTP answers."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from werkzeug import wrappers

if TYPE_CHECKING:
    from collections.abc import Iterable
    from wsgiref.types import WSGIEnvironment

    from werkzeug.datastructures import Headers

    from sipxconfig_soap.soap.reply import Reply

    Pairs = Iterable[tuple[str, str]]

XML = "text/xml; charset=UTF-8"
_PLAIN = "text/plain; charset=UTF-8"
_HTML = "text/html; charset=UTF-8"
_LINES = {each.value: f"{each.value} {each.phrase}" for each in HTTPStatus}
"""Each status with its phrase as RFC 9110 spells it; Werkzeug's are in capitals."""


class Response(wrappers.Response):
    """An answer, without a type that nobody has chosen; a stream stays one."""

    default_mimetype = None
    implicit_sequence_conversion = False

    def get_wsgi_headers(self, environ: WSGIEnvironment) -> Headers:  # noqa: ARG002
        """The headers as they are; Werkzeug would look at a copy for what it might correct.

        So who makes an answer quotes its Location, and gives a 204 no body.
        """
        return self.headers


class Refusal(Exception):
    """Ends the handling of a request with an answer."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.status)
        self.response = response


def of_reply(reply: Reply) -> Response:
    """The answer of a SOAP endpoint."""
    body = b"".join(reply.chunks) if isinstance(reply.chunks, tuple) else reply.chunks
    return Response(body, _LINES[reply.status], reply.headers, content_type=reply.content_type)


def plain(status: int, sentence: str, headers: Pairs = ()) -> Response:
    """One sentence for people."""
    return Response(f"{sentence}\n", _LINES[status], headers, content_type=_PLAIN)


def html(text: str, headers: Pairs = (), status: int = 200) -> Response:
    """A page."""
    return Response(text, _LINES[status], headers, content_type=_HTML)


def xml(content: bytes) -> Response:
    """A WSDL."""
    return Response(content, content_type=XML)


def nothing(allowed: str) -> Response:
    """The answer to OPTIONS."""
    return Response(status=_LINES[204], headers=[("Allow", allowed)])


def redirect(location: str) -> Response:
    """Sends the client elsewhere; ``location`` is never a client's text."""
    return plain(302, "The services are listed elsewhere.", [("Location", location)])


def see_other(location: str) -> Response:
    """Sends a browser on to the page that shows what its form has done."""
    return plain(303, "What came of it is shown elsewhere.", [("Location", location)])


def wrong_method(allowed: str) -> Response:
    """The resource is there, but not for this method."""
    return plain(405, f"Not for this method. Allowed are {allowed}.", [("Allow", allowed)])


def not_found() -> Response:
    """There is no such resource."""
    return plain(404, "There is nothing here. The services are listed at /sipxconfig/services/.")
