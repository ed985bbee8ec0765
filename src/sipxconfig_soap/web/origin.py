"""Keeps pages of other sites from misusing a browser that remembers the login (wire.md §7)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sipxconfig_soap.web.request import is_authority

if TYPE_CHECKING:
    from sipxconfig_soap.settings import Settings
    from sipxconfig_soap.web.request import Request

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://([^/?#]*)")
_PORT = re.compile(r"(.*?)(?::([0-9]*))?\Z", re.DOTALL)
_SAME_PORTS = ("80", "443", "")


def is_cross_site(request: Request, settings: Settings) -> bool:
    """Whether a browser says that a page of another site makes it send this request."""
    site = request.header("HTTP_SEC_FETCH_SITE")
    if site is not None and site.strip().lower() == "cross-site":
        return True
    origin = request.header("HTTP_ORIGIN")
    if origin is None:
        return False
    named = _URL.fullmatch(origin.strip())
    if named is None or not is_authority(named[1]):
        return True
    ours = {_host_and_port(request.authority)}
    if settings.public_url is not None and (own := _URL.match(settings.public_url)):
        ours.add(_host_and_port(own[1]))
    return _host_and_port(named[1]) not in ours


def _host_and_port(authority: str) -> tuple[str, str]:
    """What two authorities must agree in; the usual ports of both schemes are equal."""
    found = _PORT.match(authority)
    host, port = found.groups("") if found else (authority, "")
    port = port.lstrip("0")
    return host.lower(), "" if port in _SAME_PORTS else port
