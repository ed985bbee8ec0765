"""Whether the server is alive, and whether it is ready to serve (wire.md §1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from sipxconfig_soap import schema
from sipxconfig_soap.directories import why_not_writable
from sipxconfig_soap.errors import Unavailable
from sipxconfig_soap.web.responses import plain

if TYPE_CHECKING:
    from pathlib import Path

    from sipxconfig_soap.db import Database
    from sipxconfig_soap.web.responses import Response

PATHS = ("/healthz", "/readyz")

PATIENCE = sa.text("SET LOCAL statement_timeout = '2s'")
"""Who asks wants to know soon; a database that takes longer is not ready."""


def answer(path: str, database: Database, profile_root: Path | None) -> Response:
    """Alive is who answers; ready is who can reach a database with the right schema.

    Args:
        path: one of the above.
        database: to be reached.
        profile_root: of a worker beside this server, which must be able to write there.
    """
    if path == "/healthz":
        return plain(200, "alive")
    try:
        current = database.change(_is_current)
    except Unavailable:
        return plain(503, "not ready: the database cannot be reached")
    if not current:
        return plain(503, "not ready: the database schema is not the one of this version")
    reason = None if profile_root is None else why_not_writable(profile_root)
    if reason:
        # Its path is nobody's business who has not logged in.
        return plain(503, f"not ready: the profile directory cannot be written: {reason}")
    return plain(200, "ready")


def _is_current(connection: sa.Connection) -> bool:
    """Nothing is written; the transaction is what the timeout is limited to."""
    connection.execute(PATIENCE)
    return schema.is_current(connection)
