"""What the rules need to know of the configuration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sipxconfig_soap.settings import Settings


@dataclass(frozen=True, slots=True)
class Rules:
    """The configured part of the rules.

    Attributes:
        domain: the SIP domain name.
        realm: the authentication realm.
        domain_aliases: other names of the domain.
        reserved: names and extensions that nobody may take.
    """

    domain: str
    realm: str
    domain_aliases: tuple[str, ...]
    reserved: frozenset[str]

    @classmethod
    def from_settings(cls, settings: Settings) -> Rules:
        """The rules as the settings have them."""
        return cls(
            settings.domain, settings.realm, settings.domain_aliases, settings.reserved_extensions
        )
