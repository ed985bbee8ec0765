"""A thin view of one HTTP request."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import unquote_plus, urlsplit

from sipxconfig_soap.incident import new_reference
from sipxconfig_soap.web.forwarded import is_disbelieved, is_loopback, origin_of

if TYPE_CHECKING:
    from wsgiref.types import WSGIEnvironment

    from sipxconfig_soap.settings import Settings

ROOT = "/sipxconfig"
"""The path below which everything is but health."""

SERVICES = f"{ROOT}/services"
"""The path of the list of services; a service is one segment below it."""

_WSDL = frozenset({"wsdl", "singlewsdl"})
"""What clients ask for it by: .NET by the second, for one document without imports."""

_AUTHORITY = re.compile(
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9._-]{0,253}[A-Za-z0-9._])?|\[[0-9A-Fa-f:.]{2,45}\])"
    r"(?::[0-9]{1,5})?\Z"
)


class BadHost(ValueError):
    """The request names a host that cannot be one, so it cannot stand in an answer."""


class Request:
    """What the edge wants to know of a request; nothing of its body is read here.

    Not Werkzeug's, for which ``post`` is POST and ``//x`` is ``/x``, and which fails at a query
    that is no UTF-8.

    Attributes:
        environ: as the server made it.
        method: such as ``POST``; chosen by the client.
        path: decoded, without the query; chosen by the client.
        address: of the client.
        scheme: ``http`` or ``https``, as the client used it.
        authority: host and perhaps port as the client named them; not checked.
        id: the number of the request, a trusted proxy's or made up.
    """

    __slots__ = (
        *("_public_url", "_trusted", "address", "authority", "environ", "id", "method", "path"),
        "scheme",
    )

    def __init__(self, environ: WSGIEnvironment, settings: Settings) -> None:
        self.environ = environ
        self.method: str = environ.get("REQUEST_METHOD", "")
        self.path: str = environ.get("PATH_INFO", "")
        origin = origin_of(environ, settings.trusted_proxies)
        self.address, self.scheme, self.authority, given = origin
        self.id = given or new_reference()
        self._public_url = settings.public_url
        self._trusted = settings.trusted_proxies

    def header(self, name: str) -> str | None:
        """The value of a header named as WSGI names it, such as ``HTTP_ORIGIN``."""
        value: str | None = self.environ.get(name)
        return value

    @property
    def wants_wsdl(self) -> bool:
        """Whether the query asks for the WSDL: by one of its names in any case, with any value."""
        query: str = self.environ.get("QUERY_STRING", "")
        names = (part.partition("=")[0] for part in query.split("&"))
        return any(unquote_plus(name).lower() in _WSDL for name in names)

    @property
    def in_the_open(self) -> bool:
        """Whether somebody on the way could have read the request."""
        return self.scheme != "https" and not is_loopback(self.address)

    @property
    def disbelieved(self) -> bool:
        """Whether somebody who is no trusted proxy has sent the headers of one."""
        return is_disbelieved(self.environ, self._trusted)

    @property
    def path_prefix(self) -> str:
        """What a proxy has taken off the path, according to the configured URL."""
        return urlsplit(self._public_url).path if self._public_url else ""

    @property
    def base_url(self) -> str:
        """The server's public URL, without a slash at its end (wire.md §2).

        Raises:
            BadHost: it would have to be the request's, which names no possible host.
        """
        if self._public_url is not None:
            return self._public_url
        if not is_authority(self.authority):
            raise BadHost
        return f"{self.scheme}://{self.authority}"

    def service_url(self, name: str) -> str:
        """The public URL of a service.

        Raises:
            BadHost: see `base_url`.
        """
        return f"{self.base_url}{SERVICES}/{name}"


def is_authority(text: str) -> bool:
    """Whether a text is a host name or address, perhaps with a port."""
    return _AUTHORITY.match(text) is not None
