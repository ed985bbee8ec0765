"""Lines of phones: internal ones of users, external ones of other servers (services.md §6)."""

from __future__ import annotations

import re
from collections import defaultdict
from functools import partial
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import TYPE_CHECKING, Any, NamedTuple

import sqlalchemy as sa

from sipxconfig_soap import errors
from sipxconfig_soap.domain.phone_tables import lines
from sipxconfig_soap.domain.properties import Rule, Text
from sipxconfig_soap.domain.tables import among
from sipxconfig_soap.domain.users import NO_CONTROL, SIP_USER, users
from sipxconfig_soap.values import snake_case

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sipxconfig_soap.domain.work import Work
    from sipxconfig_soap.errors import Problems

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


_SERVER_RULE = Rule(
    is_server,
    partial(errors.invalid_value, reason="is not a host name or IP address with or without port"),
)

_EXTERNAL = (
    Text("userId", required=True, trimmed=True, rule=SIP_USER),
    Text("displayName", trimmed=True, rule=NO_CONTROL),
    Text("password", rule=NO_CONTROL),
    Text("registrationServer", required=True, trimmed=True, rule=_SERVER_RULE),
    Text("voiceMail", rule=NO_CONTROL),
)

_FIELDS = {"addLine": (Text("userId", trimmed=True),), "addExternalLine": _EXTERNAL}


def check_lengths(problems: Problems, element: str, values: Mapping[str, Any] | None) -> None:
    """Check the form of a line that is not going to be added; None is no line."""
    for each in _FIELDS[element] if values is not None else ():
        each.check_length((values or {})[each.name], problems, f"{element}.{each.name}")


def external_row(values: Mapping[str, Any], problems: Problems, prefix: str = "") -> dict[str, Any]:
    """The columns of an external line, checked; ``prefix`` stands before the names of fields."""
    row = {
        snake_case(each.name): each.clean(values[each.name], problems, f"{prefix}{each.name}")
        for each in _EXTERNAL
    }
    row["external_user_id"] = row.pop("user_id")
    return row


def uri_of(
    domain: str, user_id: str, first: str | None, last: str | None, server: str | None
) -> str:
    """A line's address as findPhone shows it and removeLineByUri compares it.

    Args:
        domain: the SIP domain.
        user_id: the userName, or the userId of an external line.
        first: the first name of the user; None for an external line.
        last: the last name of the user; an external line's display name stands here.
        server: the registration server of an external line, None for an internal one.
    """
    address = f"sip:{user_id}@{server or domain}"
    name = f"{first} {last}" if first and last else first or last
    if not name:
        return address
    if "\\" in name or '"' in name:
        name = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{name}"<{address}>'


lines_with_users = lines.outerjoin(users, users.c.id == lines.c.user_id)
"""Lines, each with its user if it is an internal one."""


def line_facts() -> tuple[sa.ColumnElement[Any], ...]:
    """What `uri_of` makes a line's address of, from `lines_with_users`."""
    return (
        sa.func.coalesce(users.c.user_name, lines.c.external_user_id),
        users.c.first_name,
        sa.func.coalesce(users.c.last_name, lines.c.display_name),
        lines.c.registration_server,
    )


class HeldLine(NamedTuple):
    """A line that a phone has.

    Attributes:
        id: of the line.
        internal: whether it is a user's.
        user_id: as findPhone shows it.
        uri: likewise.
    """

    id: int
    internal: bool
    user_id: str
    uri: str


def held_lines(work: Work, phone_ids: Sequence[int]) -> Mapping[int, list[HeldLine]]:
    """The lines of phones in their order, by phone; a phone without lines has an empty list."""
    held: dict[int, list[HeldLine]] = defaultdict(list)
    rows: Iterable[Any] = work.execute(
        sa.select(lines.c.id, lines.c.phone_id, lines.c.user_id, *line_facts())
        .select_from(lines_with_users)
        .where(among(lines.c.phone_id, phone_ids))
        .order_by(lines.c.phone_id, lines.c.id)
    )
    domain = work.rules.domain
    for line_id, phone_id, user, *facts in rows:
        line = HeldLine(line_id, user is not None, facts[0], uri_of(domain, *facts))
        held[phone_id].append(line)
    return held
