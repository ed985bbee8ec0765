"""``sipxconfig-soap doctor``: what the checks find, and in which order."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click
from sqlalchemy.exc import DBAPIError

from sipxconfig_soap import logs
from sipxconfig_soap.cli import checks
from sipxconfig_soap.cli.checks import Finding
from sipxconfig_soap.cli.database import data_dir_option, embedded, explain
from sipxconfig_soap.db import Database
from sipxconfig_soap.embedded import EmbeddedError
from sipxconfig_soap.errors import Unavailable
from sipxconfig_soap.settings import Settings, SettingsError, remarks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from sqlalchemy import Connection

SURROUNDINGS: tuple[Callable[[Settings], Iterable[Finding]], ...] = (
    checks.domain,
    checks.temporary,
    checks.data_directory,
    checks.profile_directory,
    checks.own_templates,
)
"""What can be found out without the database."""

DATABASE: tuple[Callable[[Settings, Connection], Iterable[Finding]], ...] = (
    checks.version,
    checks.encoding,
    checks.sessions,
    checks.connections,
    checks.schema_revision,
    checks.write,
    checks.own_templates_of_nothing,
    checks.proxies,
    checks.clock,
)
"""What is asked of the database, one after the other, each in a transaction that is rolled back."""


@click.command()
@data_dir_option
def doctor(data_dir: Path | None) -> None:
    """Check settings, directories, database, schema and clock.

    It only looks: nothing is started, and what it tries to write is not kept. The exit code is 1 if
    any check failed, else 0.
    """
    logs.setup("critical")
    failed = False
    for finding in examine(data_dir):
        failed = failed or finding.verdict == "fail"
        click.echo(f"{finding.verdict:4}  {finding.subject:9}  {logs.escape(finding.sentence)}")
    sys.exit(1 if failed else 0)


def examine(data_dir: Path | None) -> Iterator[Finding]:
    """All findings, in the order of what builds on what."""
    for sentence in remarks(os.environ):
        yield Finding("warn", "settings", sentence)
    try:
        settings = Settings.load(os.environ, data_dir=data_dir)
    except SettingsError as error:
        for problem in error.problems:
            yield Finding("fail", "settings", problem)
        return
    for check in SURROUNDINGS:
        yield from check(settings)
    try:
        yield from _examine_database(settings)
    except EmbeddedError as error:
        yield Finding("fail", "database", str(error))
    except (DBAPIError, Unavailable) as error:
        yield Finding("fail", "database", explain(error))
    except OSError as error:
        hint = f"{error.filename} cannot be read: {error.strerror}; run doctor as its owner"
        yield Finding("fail", "database", hint)


def _examine_database(settings: Settings) -> Iterator[Finding]:
    reason = None if settings.database_url else _why_not_running(settings)
    if reason is not None:
        yield Finding("warn", "database", reason)
        return
    with _opened(settings) as connection:
        for ask in DATABASE:
            yield from ask(settings, connection)
            connection.rollback()


def _why_not_running(settings: Settings) -> str | None:
    server = embedded(settings)
    if not server.exists:
        return "not created yet; serve creates it"
    return None if server.is_running else "the embedded PostgreSQL does not run; serve starts it"


@contextmanager
def _opened(settings: Settings) -> Iterator[Connection]:
    """A connection to a database that runs already."""
    url = settings.direct_database_url or settings.database_url or embedded(settings).url()
    database = Database(url, pool_size=1)
    try:
        with database.engine.connect() as connection:
            yield connection
    finally:
        database.dispose()
