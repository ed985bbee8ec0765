"""How the texts of settings are read.

Every function here takes a text and returns a value, or raises ValueError whose message
completes the sentence "it must be …".
"""

from __future__ import annotations

import os
import re
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_network
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urlsplit

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from sipxconfig_soap.values import has_control, parse_boolean

if TYPE_CHECKING:
    from collections.abc import Callable

_HOST_NAME = re.compile(
    r"(?=.{1,253}\Z)[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
    r"(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*\Z"
)
_NUMBER = re.compile(r"[0-9]{1,12}\Z")
# What may stand between the quotes of a header: printable ASCII but the quote and backslash.
_REALM = re.compile(r"[ !#-\[\]-~]{1,255}\Z")
_URL_PATH = re.compile(r"[A-Za-z0-9/._~-]*\Z")
_SEPARATORS = re.compile(r"[,\s]+")
_EXTENSION = re.compile(r"[A-Za-z0-9_.!~*'()&=+$,;?/#-]{1,64}\Z")
_SECONDS = re.compile(r"[0-9]{1,6}(?:\.[0-9]{1,3})?\Z")
_LONGEST_NAME = 255
_LAST_PORT = 65535
_LONGEST_PATH = 107  # of a Unix socket, in bytes

UNIX = "unix:"
"""What the path of a Unix socket begins with."""
_DRIVERS = frozenset({"postgres", "postgresql", "postgresql+psycopg2"})


def text(given: str) -> str | None:
    """Any text; an empty one is None."""
    return given or None


def flag(given: str) -> bool:
    """A word for yes or no."""
    try:
        value = parse_boolean(given)
    except ValueError:
        value = None
    if value is None:
        raise ValueError("true or false")
    return value


def flag_or_auto(given: str) -> bool | None:
    """A word for yes or no; ``auto`` is None, and decided by another setting."""
    if given.lower() == "auto":
        return None
    try:
        return flag(given)
    except ValueError as error:
        raise ValueError(f"auto, {error}") from None


def whole_number(least: int, most: int) -> Callable[[str], int]:
    """A reader of integers from ``least`` to ``most``."""

    def parse(given: str) -> int:
        if not _NUMBER.match(given) or not least <= int(given) <= most:
            raise ValueError(f"a whole number from {least} to {most}")
        return int(given)

    return parse


def one_of(*words: str) -> Callable[[str], str]:
    """A reader of one of some words, in any case."""

    def parse(given: str) -> str:
        if given.lower() not in words:
            raise ValueError(f"{', '.join(words[:-1])} or {words[-1]}")
        return given.lower()

    return parse


def workers(given: str) -> int:
    """The number of worker processes; ``auto`` looks at the processors.

    It is one more than there are, up to eight: while all threads of one process wait for
    PostgreSQL, a process more keeps that processor busy.
    """
    if given.lower() == "auto":
        usable = getattr(os, "sched_getaffinity", None)  # not on every system
        processors = len(usable(0)) if usable else os.cpu_count() or 1
        return min(processors + 1, 8)
    try:
        return whole_number(1, 64)(given)
    except ValueError as error:
        raise ValueError(f"auto or {error}") from None


SYSTEM_DATA_DIR = Path("/var/lib/sipxconfig-soap")
"""Where data are that belong to no person."""


def data_dir(given: str) -> Path:
    """An absolute directory; ``auto`` is the usual place for this user."""
    if given != "auto":
        return _directory(given)
    if os.geteuid() == 0:
        return SYSTEM_DATA_DIR
    base = Path(os.environ.get("XDG_DATA_HOME", ""))
    try:
        share = base if base.is_absolute() else Path.home() / ".local" / "share"
    except RuntimeError:  # there is neither HOME nor an entry for this user
        return SYSTEM_DATA_DIR
    return share / "sipxconfig-soap"


def _directory(given: str) -> Path:
    try:
        return Path(os.path.abspath(Path(given).expanduser()))  # noqa: PTH100 - keeps links
    except RuntimeError:
        raise ValueError(
            "a directory without ~, since it is not known whose home is meant"
        ) from None


def host_name(given: str) -> str:
    """A host name or IPv4 address: labels of letters, digits and inner hyphens."""
    if not _HOST_NAME.match(given):
        raise ValueError("a host name such as pbx.example.org")
    return given


def host_names(given: str) -> tuple[str, ...]:
    """Host names, each once, in their order."""
    try:
        return tuple(dict.fromkeys(host_name(each) for each in _members(given)))
    except ValueError:
        raise ValueError("host names separated by commas") from None


def realm(given: str) -> str:
    """A realm that can stand between quotes in a header; empty is allowed."""
    if given and not _REALM.match(given):
        raise ValueError('at most 255 printable ASCII characters without " and \\')
    return given


def names(given: str) -> frozenset[str]:
    """Names separated by commas or white space."""
    found = frozenset(_members(given))
    if any(len(each) > _LONGEST_NAME for each in found):
        raise ValueError(f"names of at most {_LONGEST_NAME} characters")
    return found


def networks(given: str) -> tuple[IPv4Network | IPv6Network, ...]:
    """Addresses and networks; an address is a network of one."""
    try:
        return tuple(ip_network(each) for each in _members(given))
    except ValueError:
        raise ValueError(
            "addresses or networks such as 10.0.0.7,192.168.0.0/16 (no bits set behind the mask)"
        ) from None


def host_and_port(given: str) -> tuple[str, int]:
    """Split ``host:port``; an IPv6 address stands in brackets."""
    host, _, port = given.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = str(IPv6Address(host[1:-1]))
    elif not _HOST_NAME.match(host):
        raise ValueError(given)
    if not _NUMBER.match(port) or int(port) > _LAST_PORT:
        raise ValueError(given)
    return host, int(port)


def bind(given: str) -> str:
    """An address and port to listen on, or the path of a Unix socket."""
    path = given.removeprefix(UNIX)
    if path != given and path.startswith("/") and len(path.encode()) <= _LONGEST_PATH:
        return given
    try:
        return _port_of_host(given)
    except ValueError as error:
        raise ValueError(f"{error}, or unix: and an absolute path") from None


def optional_bind(given: str) -> str | None:
    """An address and port to listen on; empty is none."""
    return _port_of_host(given) if given else None


def _port_of_host(given: str) -> str:
    try:
        host_and_port(given)
    except ValueError:
        raise ValueError("HOST:PORT, such as 127.0.0.1:8080 or [::1]:8080") from None
    return given


def public_url(given: str) -> str | None:
    """A base URL without a slash at its end."""
    if not given:
        return None
    try:
        parts = urlsplit(given)
        usable = _is_base_url(parts)
    except ValueError:
        usable = False
    if not usable:
        raise ValueError("an http or https URL of a host, such as https://pbx.example.org")
    return given.rstrip("/")


def database_url(given: str) -> str | None:
    """A SQLAlchemy or libpq URL of a PostgreSQL database."""
    if not given:
        return None
    try:
        usable = _is_of_database(make_url(given))
    except (ArgumentError, ValueError):
        usable = False
    if not usable:
        raise ValueError(
            "a URL such as postgresql://user:password@host:5432/sipxconfig, with %40, %2F and %25 "
            "for @, / and % in a password"
        )
    return given


def _is_of_database(url: URL) -> bool:
    options = url.normalized_query
    parts = [url.username, url.password, url.host, url.database]
    texts = [*filter(None, parts), *(text for given in options.values() for text in given)]
    ports = [url.port, *(int(each) for text in options.get("port", ()) for each in text.split(","))]
    return (
        url.drivername in _DRIVERS
        and bool(url.database)
        # What follows an @ in a password seems to be the host, which is shown.
        and "@" not in f"{url.host}{url.database}"
        and not any(map(has_control, texts))
        and all(port is None or 0 < port <= _LAST_PORT for port in ports)
    )


def _members(given: str) -> list[str]:
    return [each for each in _SEPARATORS.split(given) if each]


def _is_base_url(parts: SplitResult) -> bool:
    host = parts.hostname or ""
    if ":" in host:
        IPv6Address(host)
    elif not _HOST_NAME.match(host):
        return False
    return (
        parts.scheme in ("http", "https")
        and "@" not in parts.netloc
        and parts.port != 0
        and not parts.query
        and not parts.fragment
        and _URL_PATH.match(parts.path) is not None
    )


def profile_root(given: str) -> Path | None:
    """An absolute directory; ``auto`` is decided by the data directory."""
    return None if given == "auto" else _directory(given)


def directory(given: str) -> Path | None:
    """An absolute directory; empty is none."""
    return _directory(given) if given else None


def sip_server(given: str) -> str | None:
    """A host name or address with or without a port, IPv6 in brackets; empty is none."""
    if not given:
        return None
    try:
        host_and_port(given)
    except ValueError:
        try:
            host_and_port(f"{given}:5060")
        except ValueError:
            raise ValueError("host or host:port, an IPv6 address in brackets") from None
    return given


def optional_port(given: str) -> int | None:
    """A port; empty is none."""
    return whole_number(1, _LAST_PORT)(given) if given else None


def extension(given: str) -> str:
    """What a phone can dial."""
    if not _EXTENSION.match(given):
        raise ValueError("a number or name that can be dialled, such as 101")
    return given


def seconds(least: float, most: float) -> Callable[[str], float]:
    """A reader of a number of seconds from ``least`` to ``most``."""

    def parse(given: str) -> float:
        if not _SECONDS.match(given) or not least <= float(given) <= most:
            raise ValueError(f"a number of seconds from {least:g} to {most:g}")
        return float(given)

    return parse


def many_seconds(given: str) -> tuple[float, ...]:
    """Numbers of seconds, each at most a day."""
    try:
        return tuple(seconds(0, 86400)(each) for each in _members(given))
    except ValueError:
        raise ValueError("numbers of seconds, such as 10 60 300 900") from None
