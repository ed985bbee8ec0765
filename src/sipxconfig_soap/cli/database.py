"""Getting at the database of the settings, from any command."""

from __future__ import annotations

import os
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import click
from sqlalchemy.exc import DBAPIError

from sipxconfig_soap import logs, schema
from sipxconfig_soap.cli.output import warn
from sipxconfig_soap.db import Database
from sipxconfig_soap.embedded import EmbeddedError, EmbeddedPostgres, keep_running
from sipxconfig_soap.settings import Settings, remarks

if TYPE_CHECKING:
    from collections.abc import Iterator

SPARE_CONNECTIONS = 20
"""Connections of the embedded PostgreSQL beyond those of the web workers: for other commands."""

data_dir_option = click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="Directory of the embedded PostgreSQL's data.",
)


def load_settings(**overrides: object) -> Settings:
    """The settings of a command that is not ``serve``; says what is odd about them."""
    settings = Settings.load(os.environ, **overrides)
    logs.setup("debug" if settings.log_level == "debug" else "warning", settings.log_format)
    for sentence in remarks(os.environ):
        warn(sentence)
    return settings


def embedded(settings: Settings) -> EmbeddedPostgres:
    """The embedded PostgreSQL of the settings, not yet started."""
    connections = settings.workers * settings.threads + SPARE_CONNECTIONS
    return EmbeddedPostgres(settings.data_dir, connections=connections)


@contextmanager
def database_url(settings: Settings, *, create: bool, keep: bool = False) -> Iterator[str]:
    """The URL of the database for sessions; the embedded one runs until the end of the block.

    Args:
        settings: where it is.
        create: whether data of the embedded one may be created.
        keep: whether the embedded one is started again when it is killed.

    Raises:
        EmbeddedError: it cannot run, or has no data and ``create`` is false.
    """
    own = settings.direct_database_url or settings.database_url
    if own is not None:
        yield own
        return
    server = embedded(settings)
    if not create and not server.exists:
        raise EmbeddedError(
            f"There is no database in {settings.data_dir} yet: start the server once "
            "(sipxconfig-soap serve), or name the right directory with --data-dir."
        )
    with server, keep_running(server) if keep else nullcontext():
        yield server.url()


@contextmanager
def open_database(
    settings: Settings, *, create: bool = False, check: bool = True, pool_size: int = 1
) -> Iterator[Database]:
    """The database for a command.

    Args:
        settings: where it is.
        create: whether data of the embedded one may be created.
        check: whether its schema must be current.
        pool_size: how many connections the command needs at most.
    """
    with database_url(settings, create=create) as url:
        database = Database(url, pool_size=pool_size)
        try:
            if check:
                require_current(database)
            yield database
        finally:
            database.dispose()


def require_current(database: Database) -> None:
    """Refuse a database whose schema is not the one of this program.

    Raises:
        click.ClickException: it is not; the message says how to migrate.
    """
    with database.engine.connect() as connection:
        state = schema.state(connection)
        found = schema.current_revision(connection)
    if state is schema.State.AHEAD:
        raise click.ClickException(
            f"The database has schema {found}, which this version does not know: "
            "it was used by a newer sipxconfig-soap; install that one."
        )
    if state is not schema.State.CURRENT:
        has = f"schema {found}" if found else "no schema yet"
        raise click.ClickException(
            f"The database has {has}, but this version needs {schema.head_revision()}: "
            "run sipxconfig-soap migrate."
        )


def explain(error: Exception) -> str:
    """One sentence on a database that cannot be used, and what to do.

    The URL is not in it, since that has a password.
    """
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, DBAPIError):
        cause = cause.__cause__
    if cause is None:
        return "The database cannot be used: it does not answer in time."
    lines = str(cause.orig).strip().splitlines() or ["no reason given"]
    reason = logs.escape(lines[0]).strip().rstrip(".")
    for clue, hint in _HINTS.items():
        if clue in reason:
            return f"The database cannot be used: {reason}. {hint}"
    return f"The database cannot be used: {reason}."


_CHECK_URL = "Check SIPXCONFIG_DATABASE_URL and that PostgreSQL runs there."
_CHECK_LOGIN = "Check user and password in SIPXCONFIG_DATABASE_URL."
_HINTS = {
    "password": _CHECK_LOGIN,
    "authentication failed": _CHECK_LOGIN,
    "pg_hba.conf": "Allow this client in the server's pg_hba.conf.",
    '" does not exist': "Create it (createdb --encoding=UTF8), or check SIPXCONFIG_DATABASE_URL.",
    "connection to server": _CHECK_URL,
    "could not translate host name": _CHECK_URL,
    "could not connect": _CHECK_URL,
    "permission denied": "Give the user of SIPXCONFIG_DATABASE_URL this right, or own the tables.",
    "lock timeout": "Something else holds a lock; try again when it has ended.",
}
