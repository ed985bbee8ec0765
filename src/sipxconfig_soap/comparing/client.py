"""Asks a server over SOAP, and reads its answers piece by piece, in bounded memory."""

from __future__ import annotations

import base64
import http.client
import ssl
import urllib.error
import urllib.request
from typing import IO, TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from lxml import etree

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NS = "http://www.sipfoundry.org/2007/08/21/ConfigService"

SERVICES = "/sipxconfig/services"
"""Where the services are on every server."""

_DEPTH = 5
"""Of an entity in an answer: Envelope, Body, the response, the list, the entity."""

_FAULT_LIMIT = 1_000_000
"""Bytes of a fault that are looked at."""

_SENTENCE_LIMIT = 300


class CannotAsk(Exception):
    """A server cannot be asked, or does not answer as it should; the text says which and why."""


class Call(NamedTuple):
    """An operation that lists all entities of a kind.

    Attributes:
        service: its service.
        body: what the Body of the request holds.
        list_name: the element of the answer that has the entities, whatever each is called.
    """

    service: str
    body: str
    list_name: str


class Server:
    """A server and a login.

    Args:
        url: its base URL, or that of its services.
        user: userName of an administrator.
        pin: its PIN.
        ca: a file of certificates to trust beside the system's.
        timeout: seconds to wait for each piece of an answer.

    Raises:
        CannotAsk: the URL or the file is none.
    """

    def __init__(self, url: str, user: str, pin: str, *, ca: Path | None, timeout: float) -> None:
        self._base = base_url(url)
        self._login = base64.b64encode(f"{user}:{pin}".encode()).decode()
        self._timeout = timeout
        try:
            context = ssl.create_default_context()
            if ca is not None:
                context.load_verify_locations(ca)
        except OSError as error:
            raise CannotAsk(f"The certificates in {ca} cannot be read: {_reason(error)}.") from None
        # Without the proxies of the environment: none of them shall see a login.
        self._opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}),
            urllib.request.HTTPSHandler(context=context),
            _NoRedirect,
        )

    def entities(self, call: Call) -> Iterator[etree._Element]:
        """All entities that an operation lists; each is gone when the next one comes.

        Raises:
            CannotAsk: the server cannot be reached, refuses, or its answer is none.
        """
        url = f"{self._base}/{call.service}"
        with self._ask(url, call.body) as answer:
            try:
                yield from _entities(answer, call.list_name)
            except etree.XMLSyntaxError:
                raise CannotAsk(f"{url}: the answer is no XML, or ends too early.") from None
            except _Unusable as what:
                raise CannotAsk(f"{url} {what}") from None
            except (OSError, http.client.HTTPException) as error:
                raise CannotAsk(f"{url}: the connection was lost ({_reason(error)}).") from None

    def _ask(self, url: str, body: str) -> http.client.HTTPResponse:
        envelope = (
            '<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/">'
            f"<soapenv:Body>{body}</soapenv:Body></soapenv:Envelope>"
        )
        headers = {
            "Content-Type": "text/xml; charset=UTF-8",
            "SOAPAction": '""',
            "Authorization": f"Basic {self._login}",
        }
        request = urllib.request.Request(url, envelope.encode(), headers)  # noqa: S310 - checked
        try:
            answer: http.client.HTTPResponse = self._opener.open(request, timeout=self._timeout)
        except urllib.error.HTTPError as error:
            with error:
                raise CannotAsk(f"{url} {_refusal(error)}") from None
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise CannotAsk(f"{url} cannot be reached: {_reason(error)}.") from None
        return answer


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Goes nowhere else: the login is for this server alone."""

    def redirect_request(self, *_arguments: Any) -> None:
        """Make the answer an error."""


class _Unusable(Exception):
    """The answer has no list of entities; the text says what the server does instead."""


def base_url(url: str) -> str:
    """Where the services of a server are, from its URL or theirs.

    Raises:
        CannotAsk: it is no URL of HTTP, or has a login in it.
    """
    try:
        parts = urlsplit(url.rstrip("/"))
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    if not host or parts.scheme not in {"http", "https"} or parts.query or parts.fragment:
        raise CannotAsk("A URL must be like https://pbx.example.org or http://host:8080.")
    if "@" in parts.netloc:
        raise CannotAsk("A URL must have no login in it, which others on this machine could read.")
    path = parts.path.removesuffix(SERVICES).removesuffix(SERVICES.rpartition("/")[0])
    return f"{parts.scheme}://{parts.netloc}{path}{SERVICES}"


def is_exposed(url: str) -> bool:
    """Whether a login would cross the network in clear text."""
    parts = urlsplit(base_url(url))
    return parts.scheme == "http" and parts.hostname not in {"localhost", "127.0.0.1", "::1"}


def name_of(element: etree._Element) -> str:
    """The local name of an element."""
    return str(element.tag).rpartition("}")[2]


def _entities(answer: IO[bytes], list_name: str) -> Iterator[etree._Element]:
    depth, seen = 0, False
    for event, element in etree.iterparse(
        answer, events=("start", "end"), resolve_entities=False, no_network=True, load_dtd=False
    ):
        if not isinstance(element.tag, str):
            continue
        depth += 1 if event == "start" else -1
        if event == "start":
            seen = seen or (depth == _DEPTH - 1 and name_of(element) == list_name)
        elif depth == _DEPTH - 1 and seen:
            yield element
            _forget(element)
        elif depth == 2 and name_of(element) == "Fault":
            raise _Unusable(f"refuses: {_sentence(element)}")
    if not seen:
        raise _Unusable(f"answers without {list_name}: it is no sipXconfig.")


def _forget(element: etree._Element) -> None:
    """Free an entity and what stood before it."""
    element.clear()
    while element.getprevious() is not None:
        del element.getparent()[0]  # type: ignore[union-attr]  # who has a sibling has a parent


def _sentence(fault: etree._Element) -> str:
    texts = [each.text for each in fault.iter() if name_of(each) in {"faultstring", "Text"}]
    return " ".join((next(filter(None, texts), None) or "no reason given").split())[
        :_SENTENCE_LIMIT
    ]


def _refusal(error: urllib.error.HTTPError) -> str:
    """What an answer that is not 200 means."""
    if error.code == 401:
        return "does not know this login: check the user and its PIN."
    if error.code == 403:
        return "lets only administrators in: check the user."
    if error.code == 404:
        return "is not there: check the URL."
    if 300 <= error.code < 400:
        return f"sends elsewhere ({error.headers.get('Location')}): use the URL that serves."
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
    try:
        body = etree.fromstring(error.read(_FAULT_LIMIT), parser)
    except (etree.XMLSyntaxError, OSError, http.client.HTTPException):
        return f"answers {error.code} {error.reason}."
    return f"refuses: {_sentence(body)}"


def _reason(error: Exception) -> str:
    """A network's error in few words."""
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted ({cause.verify_message}); see --ca"
    return str(getattr(cause, "strerror", None) or cause or type(cause).__name__)
