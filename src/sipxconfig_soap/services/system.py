"""SystemService (services.md §8)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sipxconfig_soap.soap import types
from sipxconfig_soap.soap.service import Service, operation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sipxconfig_soap.domain.work import Query


class Domain(NamedTuple):
    """The SIP domain as systemInfo shows it."""

    name: str
    realm: str
    aliases: Sequence[str]


class SystemService(Service):
    """What this server is responsible for."""

    @operation(returns=types.SystemInfo)
    def systemInfo(query: Query) -> Domain:
        """The SIP domain, its authentication realm and its other names."""
        query.problems.check()
        rules = query.rules
        return Domain(rules.domain, rules.realm, rules.domain_aliases)
