"""Where a request comes from and where it went, seen through trusted proxies (wire.md §7).

Who connects to a Unix socket has no address. The file's rights have let it in, so it is trusted.

``X-Forwarded-For``, ``-Proto``, ``-Host`` and ``-Port`` count only when the connection comes from a
trusted proxy. Proxies append to these lists, and a client can send lists of its own, so they are
read from the right: as many members as there were trusted proxies on the way. ``X-Request-ID``
counts likewise.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence
    from ipaddress import IPv4Network
    from wsgiref.types import WSGIEnvironment

    Networks = Sequence[IPv4Network | IPv6Network]


# X-Request-ID is not among them: many clients number their requests.
_HEADERS = frozenset(f"HTTP_X_FORWARDED_{name}" for name in ("FOR", "PROTO", "HOST", "PORT"))

UNKNOWN = "unknown"
"""The address of who came through a trusted proxy that names none, as Squid's ``unknown``."""

NETWORK_BITS = 64
"""Of an IPv6 address, what its network has; the rest changes by itself, or as its owner likes."""

UNIX_PEER = "unix"
"""The address of all who connect to a Unix socket."""

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}\Z")


class Origin(NamedTuple):
    """The ends of a request's way.

    Attributes:
        address: of the client; ``""`` or `UNKNOWN` when the server does not know it, `UNIX_PEER`
            for one on a Unix socket who is no proxy.
        scheme: ``http`` or ``https``, as the client used it.
        authority: host and perhaps port as the client named them; not checked yet.
        request_id: the number that a trusted proxy has given the request.
    """

    address: str
    scheme: str
    authority: str
    request_id: str | None = None


def origin_of(environ: WSGIEnvironment, trusted: Networks) -> Origin:
    """Find out who sent a request and to which address."""
    peer = environ.get("REMOTE_ADDR", "")
    direct = Origin(_spelled(peer), environ.get("wsgi.url_scheme", "http"), _host(environ))
    if not is_trusted(peer, trusted):
        return direct
    address, proxies = _through_proxies(direct.address, _members(environ, "FOR"), trusted)
    scheme = _from_the_right(_members(environ, "PROTO"), proxies).lower()
    if scheme not in ("http", "https"):
        scheme = direct.scheme
    authority = _from_the_right(_members(environ, "HOST"), proxies) or direct.authority
    port = _from_the_right(_members(environ, "PORT"), proxies)
    if port.isascii() and port.isdigit():
        authority = _with_port(authority, port, scheme)
    return Origin(address, scheme, authority, _request_id(environ))


def is_disbelieved(environ: WSGIEnvironment, trusted: Networks) -> bool:
    """Whether a request has headers of a proxy, and does not come from a trusted one."""
    return not (_HEADERS.isdisjoint(environ) or is_trusted(environ.get("REMOTE_ADDR", ""), trusted))


def is_trusted(peer: str, trusted: Networks) -> bool:
    """Whether the address at the other end of a connection is that of a trusted proxy."""
    return peer == UNIX_PEER or (bool(trusted) and _is_trusted(read_address(peer), trusted))


def is_loopback(address: str) -> bool:
    """Whether an address is one of this machine."""
    if address == UNIX_PEER:
        return True
    known = read_address(address)
    return known is not None and known.is_loopback


def place_of(address: str) -> str:
    """What counts as one place when logins are counted: an address, of IPv6 its network.

    Args:
        address: as in `Origin`.
    """
    known = read_address(address) if ":" in address else None
    if not isinstance(known, IPv6Address):
        return address
    return str(IPv6Network((int(known), NETWORK_BITS), strict=False))


def read_address(text: str) -> IPv4Address | IPv6Address | None:
    """Read an address, also ``[v6]:port`` and ``v4:port``; None for anything else.

    An IPv4 address inside an IPv6 one is the IPv4 address, so that a client has one address only.
    """
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _spelled(peer: str) -> str:
    """An address as it is logged and counted; anything else as it is."""
    if ":" not in peer:
        return peer  # the system spells IPv4 in one way only
    known = read_address(peer)
    return str(known) if known else peer


def _host(environ: WSGIEnvironment) -> str:
    """The Host header; without one, as in HTTP/1.0, what the server calls itself."""
    host: str | None = environ.get("HTTP_HOST")
    return host or f"{environ.get('SERVER_NAME', '')}:{environ.get('SERVER_PORT', '')}"


def _is_trusted(address: IPv4Address | IPv6Address | None, trusted: Networks) -> bool:
    return address is not None and any(address in network for network in trusted)


def _members(environ: WSGIEnvironment, name: str) -> list[str]:
    value: str = environ.get(f"HTTP_X_FORWARDED_{name}", "")
    # Empty members of a list do not count (RFC 9110 §5.6.1.2).
    return [each for member in value.split(",") if (each := member.strip())]


def _request_id(environ: WSGIEnvironment) -> str | None:
    value: str = environ.get("HTTP_X_REQUEST_ID", "")
    return value if _REQUEST_ID.match(value) else None


def _through_proxies(peer: str, chain: list[str], trusted: Networks) -> tuple[str, int]:
    """The first address from the right that is no trusted proxy, and the number of proxies."""
    address, proxies = peer, 1
    for text in reversed(chain):
        known = read_address(text)
        if known is None:
            address = UNKNOWN
            break
        # A zone of an IPv6 address means something on the proxy only.
        address = str(known).partition("%")[0]
        if not _is_trusted(known, trusted):
            break
        proxies += 1
    return address, proxies


def _from_the_right(members: list[str], proxies: int) -> str:
    """What the outermost trusted proxy wrote; proxies that replace the list leave fewer members."""
    return members[-min(proxies, len(members))] if members else ""


def _with_port(authority: str, port: str, scheme: str) -> str:
    host = authority if authority.endswith("]") else authority.rpartition(":")[0] or authority
    usual = {"http": "80", "https": "443"}[scheme]
    return host if port == usual else f"{host}:{port}"
