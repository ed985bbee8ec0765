"""What the renderer and the notifier know of a phone: a snapshot, and the settings that matter.

The database is read before; a job works on the phone as it is at that moment (phones.md §2).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from pathlib import Path

    from sipxconfig_soap.provisioning.models import Model
    from sipxconfig_soap.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class InternalLine:
    """A line of one of our users.

    Attributes:
        user_name: the user's ``userName``.
        sip_password: in clear, since the phone needs it.
        first_name: None when the user has none.
        last_name: None when the user has none.
    """

    user_name: str
    sip_password: str = field(repr=False)
    first_name: str | None = None
    last_name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExternalLine:
    """A line that registers with another server.

    Attributes:
        user_id: the account there.
        registration_server: host name or IP address, IPv6 in brackets, with or without a port.
        display_name: None for none.
        password: None for none.
        voice_mail: the number to dial; None for none.
    """

    user_id: str
    registration_server: str
    display_name: str | None = None
    password: str | None = field(default=None, repr=False)
    voice_mail: str | None = None


LineSnapshot = InternalLine | ExternalLine


@dataclass(frozen=True, slots=True, kw_only=True)
class PhoneSnapshot:
    """A phone at the moment of its job.

    Attributes:
        serial: as stored: cleaned and checked.
        model: the row of the model table.
        version: the ``deviceVersion``; None for none.
        lines: in their order; the first is line 1.
        groups: names of the groups that it is in, in the order that findPhone shows.
    """

    serial: str
    model: Model
    version: str | None = None
    lines: tuple[LineSnapshot, ...] = ()
    groups: tuple[str, ...] = ()

    @property
    def first_internal(self) -> InternalLine | None:
        """The first line of one of our users."""
        return next((line for line in self.lines if isinstance(line, InternalLine)), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvisioningSettings:
    """The settings that decide what phones are told (phones.md §3 and §4).

    Attributes:
        domain: the SIP domain.
        registrar_port: of our own registrar; None leaves it to the phone.
        voicemail_extension: the number that internal lines dial for their messages.
        auth_user: whether phones of some families log in as ``userName/serial``
            ("instrument"), which the sipXecs registrar learns the instrument from.
        realm: which challenges our registrar asks passwords with; None for the SIP domain.
        line_label: whether the key of a line shows its user or its name.
        templates: directory of the administrator's own templates; None for none.
        sip_proxy: where restarts are sent, ``host[:port]``; None for the domain's address.
    """

    domain: str
    registrar_port: int | None = None
    voicemail_extension: str = "101"
    auth_user: Literal["instrument", "plain"] = "instrument"
    realm: str | None = None
    line_label: Literal["user", "name"] = "user"
    templates: Path | None = None
    sip_proxy: str | None = None


def provisioning_settings(settings: Settings) -> ProvisioningSettings:
    """The part of the settings that phones are told of."""
    return ProvisioningSettings(
        domain=settings.domain,
        registrar_port=settings.sip_registrar_port,
        voicemail_extension=settings.voicemail_extension,
        auth_user=settings.auth_user,
        realm=settings.realm,
        line_label=settings.line_label,
        templates=settings.profile_templates,
        sip_proxy=settings.sip_proxy,
    )
