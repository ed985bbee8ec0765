"""Whether server or worker can do what they are for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy import exc

from sipxconfig_soap import incident, schema
from sipxconfig_soap.availability import QUERY_CANCELED, sqlstate
from sipxconfig_soap.directories import why_not_writable
from sipxconfig_soap.errors import Unavailable

if TYPE_CHECKING:
    from pathlib import Path

    from sipxconfig_soap.db import Database

PATIENCE = sa.text("SET LOCAL statement_timeout = '2s'")
"""Who asks wants to know soon; a database that takes longer is not ready."""


def why_not_ready(database: Database, profile_root: Path | None) -> str | None:
    """The reason why it cannot work; None if it can.

    Args:
        database: to be reached, with the schema of this version.
        profile_root: where a worker must be able to write; None where there is none.
    """
    try:
        current = database.change(_looks_right)
    except Unavailable as away:
        late = sqlstate(away.__cause__) == QUERY_CANCELED
        return f"the database {'does not answer in time' if late else 'cannot be reached'}"
    except exc.DBAPIError as error:
        incident.report(error)
        return "the database cannot be read"
    if not current:
        return "the database schema is not the one of this version"
    reason = None if profile_root is None else why_not_writable(profile_root)
    # Its path is nobody's business who has not logged in.
    return reason and f"the profile directory cannot be written: {reason}"


def _looks_right(connection: sa.Connection) -> bool:
    connection.execute(PATIENCE)
    return schema.is_current(connection)
