"""The values that go into profiles, each knowing where it comes from (phones.md §3)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from sipxconfig_soap.provisioning.phone import ExternalLine

if TYPE_CHECKING:
    from sipxconfig_soap.provisioning.phone import (
        InternalLine,
        LineSnapshot,
        PhoneSnapshot,
        ProvisioningSettings,
    )

_BETWEEN_WORDS = re.compile("[\x00-\x20\x7f-\x9f\u2028\u2029]+")


class CannotCarry(Exception):
    """A profile cannot be written: some value does not fit into the file.

    The text names the line and the field, never the value, which may be a secret.
    """

    def __init__(self, line: int, field: str, reason: str) -> None:
        super().__init__(f"line {line}: {field} {reason}")
        self.line = line
        self.field = field
        self.reason = reason

    def __reduce__(self) -> tuple[type[CannotCarry], tuple[int, str, str]]:
        """For the way from one process to another."""
        return type(self), (self.line, self.field, self.reason)


class Value(str):
    """A text that has yet to be escaped, and the line and field to blame if it does not fit."""

    __slots__ = ("field", "line")

    line: int
    field: str

    def __new__(cls, text: str, line: int, field: str) -> Self:
        """Remember where ``text`` comes from."""
        self = super().__new__(cls, text)
        self.line, self.field = line, field
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One line of a phone as its profile shows it; all empty for a line that the phone has not.

    Attributes:
        number: from 1.
        user: userName, or userId of an external line.
        auth_user: the name to log in with.
        password: may be empty.
        host: of the server, without port; an IPv6 address in brackets.
        port: of the server; empty for none.
        name: to display, on one line; the user where there is none.
        label: what stands beside the line's key.
        voice_mail: the number to dial; empty for none.
        realm: whose challenges the password answers.
    """

    number: int
    user: Value
    auth_user: Value
    password: Value
    host: Value
    port: Value
    name: Value
    label: Value
    voice_mail: Value
    realm: Value

    @property
    def index(self) -> int:
        """The number of the line, from 0."""
        return self.number - 1

    @property
    def internal(self) -> bool:
        """Whether it is the line of one of our users."""
        return self.user.field == "userName"

    @property
    def server(self) -> Value:
        """``host`` or ``host:port``."""
        if not self.port:
            return self.host
        return Value(f"{self.host}:{self.port}", self.number, self.host.field)

    @property
    def address(self) -> Value:
        """``user@host``; empty without user."""
        text = f"{self.user}@{self.host}" if self.user else ""
        return Value(text, self.number, self.user.field)

    @property
    def voice_mail_address(self) -> Value:
        """``number@host[:port]``; empty without number."""
        text = f"{self.voice_mail}@{self.server}" if self.voice_mail else ""
        return Value(text, self.number, self.voice_mail.field)

    def same_server(self, other: Account) -> bool:
        """Whether both register with one server: the host in any case, and the port."""
        return _address(self.host, self.port) == _address(other.host, other.port)

    def if_with(self, other: Account) -> Account:
        """This line if it has the server of another one, else one that the phone has not."""
        return self if self.same_server(other) else unused_account(self.number)


def _address(host: str, port: str) -> tuple[str, int | None]:
    return host.lower(), int(port) if port else None


def unused_account(number: int) -> Account:
    """A line that the phone has not."""
    none = Value("", number, "line")
    return Account(
        number=number,
        user=none,
        auth_user=none,
        password=none,
        host=none,
        port=none,
        name=none,
        label=none,
        voice_mail=none,
        realm=none,
    )


def account(
    number: int,
    line: LineSnapshot,
    phone: PhoneSnapshot,
    settings: ProvisioningSettings,
    *,
    instrument: bool,
) -> Account:
    """The values of one line.

    Args:
        number: of the line, from 1.
        line: what is known of it.
        phone: whose line it is.
        settings: the SIP domain and what else is the same for all phones.
        instrument: whether phones of this family log in with their serial number.
    """
    if isinstance(line, ExternalLine):
        return _external(number, line)
    return _internal(number, line, phone, settings, instrument=instrument)


def _external(number: int, line: ExternalLine) -> Account:
    host, port = split_server(line.registration_server)
    user = Value(line.user_id, number, "userId")
    server = Value(host, number, "registrationServer")
    return Account(
        number=number,
        user=user,
        auth_user=user,
        password=Value(line.password or "", number, "password"),
        host=server,
        port=Value(port, number, "registrationServer"),
        name=Value(one_line(line.display_name or ""), number, "displayName") or user,
        label=user,
        voice_mail=Value(line.voice_mail or "", number, "voiceMail"),
        realm=server,
    )


def _internal(
    number: int,
    line: InternalLine,
    phone: PhoneSnapshot,
    settings: ProvisioningSettings,
    *,
    instrument: bool,
) -> Account:
    user = Value(line.user_name, number, "userName")
    name = one_line(f"{line.first_name or ''} {line.last_name or ''}")
    port = "" if settings.registrar_port is None else str(settings.registrar_port)
    return Account(
        number=number,
        user=user,
        auth_user=Value(
            auth_user(line, phone, settings, instrument=instrument), number, "userName"
        ),
        password=Value(line.sip_password, number, "password"),
        host=Value(settings.domain, number, "registrationServer"),
        port=Value(port, number, "registrationServer"),
        name=Value(name, number, "firstName, lastName") or user,
        label=user,
        voice_mail=Value(settings.voicemail_extension, number, "voiceMail"),
        realm=Value(settings.realm or settings.domain, number, "realm"),
    )


def auth_user(
    line: InternalLine,
    phone: PhoneSnapshot,
    settings: ProvisioningSettings,
    *,
    instrument: bool,
) -> str:
    """The name that a phone logs in with for a line of one of our users."""
    if instrument and settings.auth_user == "instrument":
        return f"{line.user_name}/{phone.serial}"
    return line.user_name


def one_line(text: str) -> str:
    """A name in which white space, control characters and line breaks are single spaces."""
    return _BETWEEN_WORDS.sub(" ", text).strip(" ")


def split_server(text: str) -> tuple[str, str]:
    """Host and port of ``host[:port]``; the port is empty where there is none.

    An IPv6 address keeps its brackets.
    """
    host, colon, port = text.rpartition(":")
    if not colon or port.endswith("]"):
        return text, ""
    return host, port
