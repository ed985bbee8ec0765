"""``sipxconfig-soap migrate``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from sipxconfig_soap import schema
from sipxconfig_soap.cli.admin import ensure_superadmin
from sipxconfig_soap.cli.database import (
    data_dir_option,
    load_settings,
    open_database,
    refuse_newer,
    require_utf8,
)

if TYPE_CHECKING:
    from pathlib import Path


@click.command()
@data_dir_option
def migrate(data_dir: Path | None) -> None:
    """Bring the database's schema up to date, and create superadmin where it is missing.

    An own PostgreSQL (SIPXCONFIG_DATABASE_URL) is never migrated by anything else; the embedded
    one is by "serve" too. Back up first: only the way forward is supported. The PIN of superadmin
    is SIPXCONFIG_ADMIN_PIN, or made up and printed once.
    """
    settings = load_settings(data_dir=data_dir)
    with open_database(settings, create=True, check=False) as database:
        with database.engine.connect() as connection:
            require_utf8(connection)
            before = schema.current_revision(connection)
            state = schema.state(connection)
        refuse_newer(state, before)
        if state is schema.State.CURRENT:
            click.echo(f"The schema is current ({before}).")
        else:
            schema.upgrade(database.engine)
            click.echo(f"The schema went from {before or 'nothing'} to {schema.head_revision()}.")
        ensure_superadmin(database, settings)
