"""What the system knows and the rules it follows; it knows nothing of SOAP and HTTP.

Importing this package makes the metadata of all tables complete.
"""

from sipxconfig_soap.domain import (
    accounts,
    audit,
    call_groups,
    jobs,
    known_addresses,
    park_orbits,
    permissions,
    phones,
    sip,
    untrusted_proxies,
    users,
)
from sipxconfig_soap.domain.tables import metadata

__all__ = [
    "accounts",
    "audit",
    "call_groups",
    "jobs",
    "known_addresses",
    "metadata",
    "park_orbits",
    "permissions",
    "phones",
    "sip",
    "untrusted_proxies",
    "users",
]
