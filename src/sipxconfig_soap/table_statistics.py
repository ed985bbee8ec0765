"""PostgreSQL knows nothing of tables that have just been filled, until it is told to look at them.

It plans statements by the numbers that ANALYZE counts. Autovacuum comes round to that a minute or
more after an import, and until then long lists are read by plans for empty tables.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog
from sqlalchemy import exc

from sipxconfig_soap.availability import described

if TYPE_CHECKING:
    from collections.abc import Iterable

    import sqlalchemy as sa

    from sipxconfig_soap.db import Database

_logger = structlog.stdlib.get_logger(__name__)


def refresh(database: Database, tables: Iterable[sa.Table]) -> None:
    """Have PostgreSQL look at tables; to be called after the commit that filled them.

    Nothing fails by it: what was committed stays, and autovacuum does the same later. So a table
    that something else holds, or a database that went away, is a line in the log. Tables of
    somebody else are passed over by PostgreSQL itself.

    Args:
        database: that has them.
        tables: which; each is looked at by itself.
    """
    try:
        with database.reads.connect() as connection:
            preparer = connection.dialect.identifier_preparer
            for table in tables:
                name = preparer.format_table(table)
                try:
                    connection.exec_driver_sql(f"ANALYZE {name}")
                except exc.DBAPIError as error:
                    if error.connection_invalidated:
                        raise
                    _logger.warning("table not analyzed", table=name, **described(error))
    except (exc.DBAPIError, exc.TimeoutError) as error:
        _logger.warning("tables not analyzed", **described(error))
