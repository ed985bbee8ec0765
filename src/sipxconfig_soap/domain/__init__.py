"""What the system knows and the rules it follows; it knows nothing of SOAP and HTTP.

Importing this package makes the metadata of all tables complete.
"""

from sipxconfig_soap.domain import (
    accounts,
    audit,
    call_groups,
    jobs,
    park_orbits,
    permissions,
    phones,
    users,
)
from sipxconfig_soap.domain.tables import metadata

__all__ = [
    "accounts",
    "audit",
    "call_groups",
    "jobs",
    "metadata",
    "park_orbits",
    "permissions",
    "phones",
    "users",
]
