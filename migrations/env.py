"""Run by Alembic: one program at a time, in one transaction, without waiting for ever.

The program passes its connection in. The command ``alembic`` in a checkout passes none; the
database of the settings is used then, the embedded one too.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import sqlalchemy as sa
from alembic import context

from sipxconfig_soap.schema import COMPARISON, LOCK_KEY, target_metadata

if TYPE_CHECKING:
    from sqlalchemy import Connection

TURN_SECONDS = 120
"""How long another migration is waited for."""

LOCK_SECONDS = 10
"""How long a statement waits for a table in use; all other requests queue behind it."""


def migrate(connection: Connection) -> None:
    """Do what Alembic was asked for, holding the advisory lock of migrations."""
    connection.execute(sa.text("SET statement_timeout = 0"))
    connection.execute(sa.text(f"SET lock_timeout = '{TURN_SECONDS}s'"))
    connection.execute(sa.text("SELECT pg_advisory_lock(:key)"), {"key": LOCK_KEY})
    connection.execute(sa.text(f"SET lock_timeout = '{LOCK_SECONDS}s'"))
    connection.commit()
    try:
        context.configure(connection=connection, target_metadata=target_metadata(), **COMPARISON)
        with context.begin_transaction():
            context.run_migrations()
        connection.commit()
    finally:
        connection.rollback()
        connection.execute(sa.text("SELECT pg_advisory_unlock(:key)"), {"key": LOCK_KEY})
        connection.commit()


def migrate_own_database() -> None:
    """Connect as the settings say; for the command ``alembic``."""
    from sipxconfig_soap.cli.database import open_database  # noqa: PLC0415 - not when passed in
    from sipxconfig_soap.settings import Settings  # noqa: PLC0415

    with (
        open_database(Settings.load(os.environ), create=True, check=False) as database,
        database.engine.connect() as connection,
    ):
        connection.detach()
        migrate(connection)


if context.is_offline_mode():
    # "alembic upgrade head --sql": for administrators who run the statements themselves.
    context.configure(
        dialect_name="postgresql", target_metadata=target_metadata(), literal_binds=True
    )
    with context.begin_transaction():
        context.run_migrations()
elif (passed := context.config.attributes.get("connection")) is not None:
    migrate(passed)
else:
    migrate_own_database()
