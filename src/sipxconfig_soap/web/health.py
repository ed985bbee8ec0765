"""Whether the server is alive, and whether it is ready to serve (wire.md §1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipxconfig_soap.readiness import why_not_ready
from sipxconfig_soap.web.responses import plain

if TYPE_CHECKING:
    from pathlib import Path

    from sipxconfig_soap.db import Database
    from sipxconfig_soap.web.responses import Response

PATHS = ("/healthz", "/readyz")


def answer(path: str, database: Database, profile_root: Path | None) -> Response:
    """Alive is who answers; ready is who can reach a database with the right schema.

    Args:
        path: one of the above.
        database: to be reached.
        profile_root: of a worker beside this server, which must be able to write there.
    """
    if path == "/healthz":
        return plain(200, "alive")
    reason = why_not_ready(database, profile_root)
    return plain(200, "ready") if reason is None else plain(503, f"not ready: {reason}")
