"""``sipxconfig-soap doctor``."""

from __future__ import annotations

import os
import sys
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from sipxconfig_soap import logs, schema
from sipxconfig_soap.cli.database import data_dir_option, explain, open_database
from sipxconfig_soap.cli.worker import CONNECTIONS
from sipxconfig_soap.embedded import EmbeddedError
from sipxconfig_soap.settings import DEFAULT_DOMAIN, Settings, SettingsError, remarks

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Connection

OTHER_CONNECTIONS = CONNECTIONS + 2
"""Beyond those of the web workers: for a worker, and two commands."""

CLOCK_WARN_SECONDS = 2
CLOCK_FAIL_SECONDS = 60
OLDEST_POSTGRESQL = 15


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check: ``ok``, ``warn`` or ``fail``."""

    verdict: str
    subject: str
    sentence: str


@click.command()
@data_dir_option
def doctor(data_dir: Path | None) -> None:
    """Check settings, directories, database, schema and clock.

    The exit code is 1 if any check failed, else 0.
    """
    logs.setup("error")
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
    if settings.domain == DEFAULT_DOMAIN:
        yield Finding("warn", "settings", f"the SIP domain is the default {DEFAULT_DOMAIN}")
    else:
        yield Finding("ok", "settings", f"the SIP domain is {settings.domain}")
    if settings.database_url is None:
        yield from _directory(settings.data_dir)
        if not (settings.data_dir / "postgresql").exists():
            yield Finding("warn", "database", "not created yet; serve creates it")
            return
    yield from _database(settings)


def _directory(directory: Path) -> Iterator[Finding]:
    nearest = next(each for each in (directory, *directory.parents) if each.exists())
    try:
        with tempfile.TemporaryFile(dir=nearest):
            pass
    except OSError as error:
        yield Finding("fail", "directory", f"{nearest} cannot be written: {error.strerror}")
        return
    about = "can be written" if nearest == directory else "can be created"
    yield Finding("ok", "directory", f"{directory} {about}")


def _database(settings: Settings) -> Iterator[Finding]:
    try:
        with (
            open_database(settings, check=False) as database,
            database.engine.connect() as connection,
        ):
            yield from _server(connection)
            if settings.database_url is not None:
                yield from _connections(settings, connection)
            yield from _schema(connection)
            yield _clock(connection)
    except EmbeddedError as error:
        yield Finding("fail", "database", str(error))
    except DBAPIError as error:
        yield Finding("fail", "database", explain(error))


def _server(connection: Connection) -> Iterator[Finding]:
    version, encoding = connection.execute(
        sa.text(
            "SELECT current_setting('server_version_num')::int / 10000,"
            " current_setting('server_encoding')"
        )
    ).one()
    verdict = "ok" if version >= OLDEST_POSTGRESQL else "fail"
    needed = "" if verdict == "ok" else f"; {OLDEST_POSTGRESQL} or newer is needed"
    yield Finding(verdict, "database", f"PostgreSQL {version} answers{needed}")
    if encoding == "UTF8":
        yield Finding("ok", "encoding", "UTF8")
    else:
        yield Finding(
            "fail", "encoding", f"{encoding}; create the database anew with --encoding=UTF8"
        )


def _connections(settings: Settings, connection: Connection) -> Iterator[Finding]:
    """Whether an own PostgreSQL lets in as many as may come; the embedded one is made to fit."""
    allowed: int = connection.execute(
        sa.text(
            "SELECT current_setting('max_connections')::int"
            " - current_setting('superuser_reserved_connections')::int"
        )
    ).scalar_one()
    needed = settings.workers * settings.threads + OTHER_CONNECTIONS
    if allowed < needed:
        yield Finding(
            "warn",
            "database",
            f"PostgreSQL lets in {allowed} clients, but {needed} may come: raise its "
            f"max_connections, or lower SIPXCONFIG_THREADS ({settings.threads}) or "
            f"SIPXCONFIG_WORKERS ({settings.workers})",
        )


def _schema(connection: Connection) -> Iterator[Finding]:
    state, found = schema.state(connection), schema.current_revision(connection)
    if state is schema.State.CURRENT:
        different = schema.differences(connection)
        if different:
            yield Finding("warn", "schema", f"{found}, but changed by hand: {different[0]}")
        else:
            yield Finding("ok", "schema", f"{found}")
    elif state is schema.State.AHEAD:
        yield Finding("fail", "schema", f"{found} is of a newer sipxconfig-soap; install that one")
    else:
        yield Finding(
            "fail",
            "schema",
            f"{found or 'none'}; run sipxconfig-soap migrate (serve does it for "
            "the embedded PostgreSQL)",
        )


def _clock(connection: Connection) -> Finding:
    before = datetime.now(UTC)
    there: datetime = connection.execute(sa.text("SELECT clock_timestamp()")).scalar_one()
    middle = before + (datetime.now(UTC) - before) / 2
    apart = abs((there - middle).total_seconds())
    sentence = f"{apart:.1f} s from the database's"
    if apart >= CLOCK_FAIL_SECONDS:
        return Finding("fail", "clock", f"{sentence}; set the clocks by NTP")
    return Finding("warn" if apart >= CLOCK_WARN_SECONDS else "ok", "clock", sentence)
