"""Whom a restart is sent to, and what it says (phones.md §4)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sipxconfig_soap.provisioning.models import RestartTarget
from sipxconfig_soap.provisioning.profiles.families import family_of
from sipxconfig_soap.provisioning.profiles.values import auth_user, split_server

if TYPE_CHECKING:
    from sipxconfig_soap.provisioning.phone import (
        InternalLine,
        PhoneSnapshot,
        ProvisioningSettings,
    )

SIP_PORT = 5060


class CannotNotify(Exception):
    """There is no address to send a phone's restart to; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What answers a digest challenge.

    Attributes:
        user: the name the phone logs in with.
        password: in clear.
    """

    user: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """One restart to be sent.

    Attributes:
        target: the SIP URI of the phone.
        domain: the SIP domain, in whose name it is sent.
        proxy: ``host[:port]`` it is sent through; None: it is sent to the domain's address.
        credentials: what answers a challenge; None for a phone without a line of a user, since
            the password of an external line is none of our proxy's business.
    """

    target: str
    domain: str
    proxy: str | None = None
    credentials: Credentials | None = None

    @property
    def destination(self) -> tuple[str, int]:
        """Host, an IPv6 address without brackets, and port of the next hop."""
        host, port = split_server(self.proxy or self.domain)
        return host.removeprefix("[").removesuffix("]"), int(port or SIP_PORT)


def plan(phone: PhoneSnapshot, settings: ProvisioningSettings) -> Notification:
    """The restart of a phone.

    Raises:
        CannotNotify: its model cannot be restarted, or it is reached by its first internal
            line and has none.
    """
    target = phone.model.restart_target
    if target is None:
        raise CannotNotify(phone.model.no_restart)
    line = phone.first_internal
    proxy, domain = settings.sip_proxy, settings.domain
    if target is RestartTarget.MAC_AOR or (
        line is None and target is RestartTarget.FIRST_LINE_ELSE_MAC_AOR
    ):
        uri = f"sip:~~in~{phone.serial}@{domain}"
    elif line is None:
        raise CannotNotify(
            "the phone has no line of a user, and its model is reached by the first one"
        )
    else:
        uri = f"sip:{line.user_name}@{domain}"
    credentials = None if line is None else _credentials(line, phone, settings)
    return Notification(target=uri, domain=domain, proxy=proxy, credentials=credentials)


def _credentials(
    line: InternalLine, phone: PhoneSnapshot, settings: ProvisioningSettings
) -> Credentials:
    instrument = family_of(phone.model).instrument
    return Credentials(
        user=auth_user(line, phone, settings, instrument=instrument), password=line.sip_password
    )
