"""Getting at the database of the settings, from any command."""

from __future__ import annotations

import os
import re
import time
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click
import sqlalchemy as sa
import structlog
from sqlalchemy.exc import DBAPIError

from sipxconfig_soap import logs, schema
from sipxconfig_soap.cli.output import warn
from sipxconfig_soap.db import Database
from sipxconfig_soap.embedded import EmbeddedError, EmbeddedPostgres, keep_running
from sipxconfig_soap.errors import OutcomeUnknown, outcome_unknown
from sipxconfig_soap.settings import Settings, remarks

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection

_logger = structlog.stdlib.get_logger(__name__)

WAIT_PAUSE_SECONDS = 1.0
"""Between two looks whether the database is up."""

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
    settings: Settings,
    *,
    create: bool = False,
    check: bool = True,
    pool_size: int = 1,
    wait: bool = False,
) -> Iterator[Database]:
    """The database for a command.

    Args:
        settings: where it is.
        create: whether data of the embedded one may be created.
        check: whether its schema must be current.
        pool_size: how many connections the command needs at most.
        wait: whether it is waited for as long as the settings say.
    """
    with database_url(settings, create=create) as url:
        database = Database(url, pool_size=pool_size)
        try:
            if wait:
                wait_for(database, settings.database_wait)
            if check:
                require_current(database)
            yield database
        finally:
            database.dispose()


def refuse_newer(state: schema.State, found: str | None) -> None:
    """Refuse a database that a newer program has used.

    Args:
        state: of its schema.
        found: the revision of its schema.

    Raises:
        click.ClickException: it is one.
    """
    if state is schema.State.AHEAD:
        raise click.ClickException(
            f"The database has schema {found}, which this version does not know: "
            "it was used by a newer sipxconfig-soap; install that one."
        )


def require_current(database: Database) -> None:
    """Refuse a database whose schema is not the one of this program.

    Raises:
        click.ClickException: it is not; the message says how to migrate.
    """
    with database.engine.connect() as connection:
        state = schema.state(connection)
        found = schema.current_revision(connection)
    refuse_newer(state, found)
    if state is not schema.State.CURRENT:
        has = f"schema {found}" if found else "no schema yet"
        raise click.ClickException(
            f"The database has {has}, but this version needs {schema.head_revision()}: "
            "run sipxconfig-soap migrate."
        )


def require_utf8(connection: Connection) -> None:
    """Refuse a database that cannot hold every name.

    Raises:
        click.ClickException: its encoding is another one.
    """
    problem = encoding_problem(connection)
    if problem is not None:
        raise click.ClickException(f"The encoding of the database is {problem}.")


def encoding_problem(connection: Connection) -> str | None:
    """The encoding, and what to do about it, of a database that cannot hold every name."""
    encoding = connection.scalar(sa.text("SHOW server_encoding"))
    if encoding == "UTF8":
        return None
    return f"{encoding}; create the database anew with --encoding=UTF8"


def wait_for(database: Database, seconds: float) -> None:
    """Wait until the database lets us in, saying so.

    What only an administrator can change is not waited for: a wrong password, a missing role.

    Raises:
        DBAPIError: it has not been up in time, or somebody must mend something first.
    """
    until = time.monotonic() + seconds
    told = ""
    while True:
        try:
            database.engine.connect().close()
        except DBAPIError as error:
            reason, hint = _reason_and_hint(error)
            left = until - time.monotonic()
            if left <= 0 or (hint is not None and not hint.may_pass):
                raise
            if reason != told:
                told = reason
                _logger.warning("waiting for the database", reason=reason, seconds=round(left))
            time.sleep(min(left, WAIT_PAUSE_SECONDS))
        else:
            return


def explain(error: Exception) -> str:
    """One sentence on a database that cannot be used, and what to do.

    The URL is not in it, since that has a password.
    """
    if isinstance(error, OutcomeUnknown):
        return outcome_unknown().sentence
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, DBAPIError):
        cause = cause.__cause__
    if cause is None:
        return "The database cannot be used: it does not answer in time."
    reason, hint = _reason_and_hint(cause)
    advice = "" if hint is None else f" {hint.advice}"
    return f"The database cannot be used: {reason}.{advice}"


def reason_of(error: DBAPIError) -> str:
    """What PostgreSQL or its driver says, in one line."""
    return _reason_and_hint(error)[0]


def _reason_and_hint(error: DBAPIError) -> tuple[str, _Hint | None]:
    """What PostgreSQL or its driver says in one line, and what we can add to that."""
    lines = str(error.orig).strip().splitlines() or ["no reason given"]
    # Of several addresses the one that answers knows best.
    line = next((each for each in lines if "FATAL: " in each), lines[0])
    reason = logs.escape(line).strip().rstrip(".")
    for hint in _HINTS:
        found = re.search(hint.clue, reason)
        if found:
            return reason, replace(hint, advice=hint.advice.format(*found.groups()))
    return reason, None


@dataclass(frozen=True, slots=True)
class _Hint:
    """What to do when PostgreSQL says something.

    Attributes:
        clue: a pattern of what it says; its groups stand in the advice.
        advice: a sentence.
        may_pass: whether it may be otherwise in a moment, though nobody does anything.
    """

    clue: str
    advice: str
    may_pass: bool = False


_CHECK_URL = "Check SIPXCONFIG_DATABASE_URL and that PostgreSQL runs there."
_CHECK_LOGIN = "Check user and password in SIPXCONFIG_DATABASE_URL."
_HINTS = (
    _Hint(
        'role "([^"]*)" does not exist',
        "Create the role (createuser --pwprompt {0}), or check SIPXCONFIG_DATABASE_URL.",
    ),
    _Hint("local user with ID", "Name the user of the database in SIPXCONFIG_DATABASE_URL."),
    _Hint("password", _CHECK_LOGIN),
    _Hint("authentication failed", _CHECK_LOGIN),
    _Hint(r"pg_hba\.conf", "Allow this client in the server's pg_hba.conf."),
    _Hint(
        '" does not exist|no such database',
        "Create it (createdb --encoding=UTF8), or check SIPXCONFIG_DATABASE_URL.",
    ),
    _Hint(
        "connection to server|could not (translate host name|connect)", _CHECK_URL, may_pass=True
    ),
    _Hint(
        "permission denied",
        "Give the user of SIPXCONFIG_DATABASE_URL this right, or own the tables.",
    ),
    _Hint("lock timeout", "Something else holds a lock; try again when it has ended."),
)
