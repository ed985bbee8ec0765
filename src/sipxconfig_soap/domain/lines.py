"""Lines of phones: internal ones of users, external ones of other servers (services.md §6)."""

from __future__ import annotations

import re
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import TYPE_CHECKING, Any, NamedTuple

from sipxconfig_soap import errors
from sipxconfig_soap.domain.properties import Text
from sipxconfig_soap.domain.users import check_no_control, check_sip_user
from sipxconfig_soap.values import snake_case

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sipxconfig_soap.domain.work import Work
    from sipxconfig_soap.errors import Problem

MAX_PORT = 65535

_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_SERVER = re.compile(
    rf"(?P<host>\[(?P<v6>[0-9A-Fa-f:.]+)\]|{_LABEL}(?:\.{_LABEL})*)(?::(?P<port>[0-9]{{1,5}}))?"
)
_ALL_DIGITS = re.compile(r"[0-9.]+")


def is_server(text: str) -> bool:
    """Whether a text is a host name or IP address, with or without a port."""
    found = _SERVER.fullmatch(text)
    if found is None:
        return False
    port = found["port"]
    if port is not None and not 1 <= int(port) <= MAX_PORT:
        return False
    try:
        if found["v6"] is not None:
            IPv6Address(found["v6"])
        elif _ALL_DIGITS.fullmatch(found["host"]):
            # Digits and dots alone mean an address to every resolver.
            IPv4Address(found["host"])
    except AddressValueError:
        return False
    return True


def _check_server(field: str, value: str) -> Problem | None:
    if is_server(value):
        return None
    return errors.invalid_value(
        field, value, "is not a host name or IP address with or without port"
    )


_EXTERNAL = (
    Text("userId", required=True, trimmed=True, check=check_sip_user),
    Text("displayName", trimmed=True, check=check_no_control),
    Text("password", check=check_no_control),
    Text("registrationServer", required=True, trimmed=True, check=_check_server),
    Text("voiceMail", check=check_no_control),
)

INTERNAL_USER = Text("userId", required=True, trimmed=True)


def external_row(work: Work, values: Mapping[str, Any]) -> dict[str, Any]:
    """The columns of an external line of a managePhone.

    Raises nothing: what is wrong is noted as problems of ``addExternalLine.…``.
    """
    row = {
        snake_case(each.name): each.clean(
            values[each.name], work.problems, f"addExternalLine.{each.name}"
        )
        for each in _EXTERNAL
    }
    row["external_user_id"] = row.pop("user_id")
    return row


class LineFacts(NamedTuple):
    """What a line's uri is made of.

    Attributes:
        user_id: the userName, or the userId of an external line.
        first_name: of the user; None for an external line.
        last_name: of the user; an external line's display name stands here.
        server: the registration server of an external line, None for an internal one.
    """

    user_id: str
    first_name: str | None
    last_name: str | None
    server: str | None

    def uri(self, domain: str) -> str:
        """The line's address as findPhone shows it and removeLineByUri compares it."""
        address = f"sip:{self.user_id}@{self.server or domain}"
        name = " ".join(part for part in (self.first_name, self.last_name) if part)
        if not name:
            return address
        quoted = name.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{quoted}"<{address}>'
