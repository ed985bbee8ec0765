"""The checks of ``sipxconfig-soap doctor``: one function each.

A check yields what it has found, nothing where there is nothing to say, and changes nothing: those
of the database are asked in a transaction that is rolled back. A new one is a function here and a
line in one of the two tuples of `sipxconfig_soap.cli.doctor`, which name them in their order.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from sipxconfig_soap import schema
from sipxconfig_soap.cli.database import encoding_problem, reason_of
from sipxconfig_soap.cli.output import moment
from sipxconfig_soap.cli.worker import CONNECTIONS, WATCHING, profile_root_problem
from sipxconfig_soap.db import Database
from sipxconfig_soap.directories import (
    NoTemporaryDirectory,
    temporary_directory,
    why_not_writable,
)
from sipxconfig_soap.settings import is_given

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection

    from sipxconfig_soap.settings import Settings

OTHER_CONNECTIONS = CONNECTIONS + WATCHING + 3
"""Beyond those of the web workers: for a worker, for who watches the server, and two commands."""

CLOCK_WARN_SECONDS = 2
CLOCK_FAIL_SECONDS = 60
OLDEST_POSTGRESQL = 15

_LOOKS = 3
"""How often two connections are compared: a pooler may give out its own in turn."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A result of a check: ``ok``, ``warn`` or ``fail``."""

    verdict: str
    subject: str
    sentence: str


# -- without the database ------------------------------------------------------------------------


def domain(settings: Settings) -> Iterator[Finding]:
    """Whether somebody has decided on the SIP domain."""
    if is_given("domain", os.environ):
        yield Finding("ok", "settings", f"the SIP domain is {settings.domain}")
    else:
        yield Finding("warn", "settings", f"the SIP domain is the default {settings.domain}")


def temporary(_settings: Settings) -> Iterator[Finding]:
    """Whether something temporary can be written, as the server must."""
    try:
        temporary_directory()
    except NoTemporaryDirectory as error:
        yield Finding("fail", "directory", str(error))


def data_directory(settings: Settings) -> Iterator[Finding]:
    """Whether the embedded PostgreSQL can keep its data."""
    directory = settings.data_dir
    if settings.database_url is not None:
        return
    reason = why_not_writable(directory)
    if reason is not None:
        yield Finding(
            "fail",
            "directory",
            f"{directory} cannot be written: {reason}; name another one in SIPXCONFIG_DATA_DIR",
        )
        return
    about = "can be written" if directory.exists() else "can be created"
    yield Finding("ok", "directory", f"{directory} {about}")


def profile_directory(settings: Settings) -> Iterator[Finding]:
    """Whether the files that phones fetch can be written."""
    problem = profile_root_problem(settings)
    if problem is not None:
        yield Finding("fail", "profiles", problem)
        return
    about = "can be written" if settings.profile_root.exists() else "can be created"
    yield Finding("ok", "profiles", f"{settings.profile_root} {about}")


# -- of the database -----------------------------------------------------------------------------


def version(_settings: Settings, connection: Connection) -> Iterator[Finding]:
    """Whether PostgreSQL is new enough."""
    found = connection.scalar(sa.text("SELECT current_setting('server_version_num')::int / 10000"))
    verdict = "ok" if found >= OLDEST_POSTGRESQL else "fail"
    needed = "" if verdict == "ok" else f"; {OLDEST_POSTGRESQL} or newer is needed"
    yield Finding(verdict, "database", f"PostgreSQL {found} answers{needed}")


def encoding(_settings: Settings, connection: Connection) -> Iterator[Finding]:
    """Whether every name can be stored."""
    problem = encoding_problem(connection)
    if problem is None:
        yield Finding("ok", "encoding", "UTF8")
    else:
        yield Finding("fail", "encoding", problem)


def sessions(settings: Settings, _connection: Connection) -> Iterator[Finding]:
    """Whether a pooler in between keeps sessions, or else the settings know that it does not."""
    if settings.database_url is None:
        return
    direct = settings.direct_database_url
    if direct is not None and not _keeps_sessions(direct):
        yield Finding(
            "fail",
            "sessions",
            "what SIPXCONFIG_DIRECT_DATABASE_URL names does not keep them: name PostgreSQL itself",
        )
    if _keeps_sessions(settings.database_url):
        yield Finding("ok", "sessions", "are kept")
        return
    needed = []
    if settings.prepare_statements:
        needed.append("set SIPXCONFIG_PREPARE_STATEMENTS=false")
    if direct is None:
        needed.append("name PostgreSQL itself in SIPXCONFIG_DIRECT_DATABASE_URL")
    found = "a connection pooler does not keep them"
    if needed:
        yield Finding("fail", "sessions", f"{found}: {', and '.join(needed)}")
    else:
        yield Finding("ok", "sessions", f"{found}, as the settings say")


def _keeps_sessions(url: str) -> bool:
    """Whether two connections have a process of PostgreSQL each, and go on having it."""
    process = sa.select(sa.func.pg_backend_pid())
    database = Database(url, pool_size=2, prepare_statements=False)
    try:
        with database.reads.connect() as first, database.engine.connect() as second:
            for _ in range(_LOOKS):
                before = first.scalar(process)
                # In a transaction it keeps the process that it gets, maybe that of the first.
                with second.begin():
                    if second.scalar(process) == before or first.scalar(process) != before:
                        return False
    finally:
        database.dispose()
    return True


def connections(settings: Settings, connection: Connection) -> Iterator[Finding]:
    """Whether PostgreSQL lets in as many as may come."""
    if not settings.prepare_statements:
        return  # a pooler decides on their number
    allowed, others = connection.execute(_CONNECTIONS).one()
    needed = settings.workers * settings.threads + OTHER_CONNECTIONS
    if allowed - others >= needed:
        sentence = f"{allowed - others} of {allowed} connections can be had, {needed} may come"
        yield Finding("ok", "database", sentence)
        return
    taken = f" (others have {others} of its connections)" if others else ""
    yield Finding(
        "warn",
        "database",
        f"PostgreSQL lets in {allowed} clients, but {needed} may come: raise its "
        f"max_connections, or lower SIPXCONFIG_THREADS ({settings.threads}) or "
        f"SIPXCONFIG_WORKERS ({settings.workers}){taken}",
    )


_CONNECTIONS = sa.text("""
    SELECT
        least(
            current_setting('max_connections')::int
                - current_setting('superuser_reserved_connections')::int
                - coalesce(current_setting('reserved_connections', true), '0')::int,
            (SELECT nullif(rolconnlimit, -1) FROM pg_roles WHERE rolname = current_user),
            (SELECT nullif(datconnlimit, -1) FROM pg_database WHERE datname = current_database())
        ),
        -- Of processes of other users only the existence can be seen.
        (SELECT count(*) FROM pg_stat_activity
         WHERE coalesce(backend_type, 'client backend') = 'client backend'
         AND coalesce(application_name, '') <> 'sipxconfig-soap')
""")


def schema_revision(_settings: Settings, connection: Connection) -> Iterator[Finding]:
    """Whether the tables are those of this version."""
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


def write(_settings: Settings, connection: Connection) -> Iterator[Finding]:
    """Whether the tables can be written."""
    from sipxconfig_soap.domain import audit, metadata  # noqa: PLC0415 - loads the tables

    if not schema.is_current(connection):
        return
    names = [table.name for table in metadata.sorted_tables]
    missing = connection.execute(_MISSING_RIGHTS, {"tables": names}).scalars().all()
    if missing:
        user = connection.scalar(sa.text("SELECT current_user"))
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        yield Finding("fail", "writing", f"the role {user} lacks {missing[0]}{more}; grant it")
        return
    try:
        audit.record_local(connection, "doctor", ())
    except DBAPIError as error:
        yield Finding("fail", "writing", reason_of(error))
        connection.rollback()
    else:
        yield Finding("ok", "writing", "is possible")


_MISSING_RIGHTS = sa.text("""
    SELECT kind || ' on ' || name
    FROM unnest(CAST(:tables AS text[])) name, unnest('{SELECT,INSERT,UPDATE,DELETE}'::text[]) kind
    WHERE NOT has_table_privilege(name, kind)
    ORDER BY name, kind
""")


def own_templates(settings: Settings) -> Iterator[Finding]:
    """Whether the administrator's templates for profiles can be used."""
    from sipxconfig_soap.provisioning.profiles import Unreadable, own_check  # noqa: PLC0415

    directory = settings.profile_templates
    if directory is None:
        return
    try:
        wrong = list(own_check.errors(directory))
    except Unreadable as error:
        wrong = [str(error)]
    yield from (Finding("fail", "templates", each) for each in wrong)
    if not wrong:
        yield Finding("ok", "templates", f"those in {directory} can be used")


def own_templates_of_nothing(settings: Settings, connection: Connection) -> Iterator[Finding]:
    """Which of the administrator's templates are for no phone that there can be."""
    from sipxconfig_soap.domain.grouping import PHONE_GROUPS  # noqa: PLC0415 - loads the tables
    from sipxconfig_soap.provisioning.profiles import Unreadable, own_check  # noqa: PLC0415

    directory = settings.profile_templates
    if directory is None or not schema.is_current(connection):
        return
    groups = connection.execute(sa.select(PHONE_GROUPS.groups.c.name)).scalars().all()
    with suppress(Unreadable):  # which has been told
        for each in own_check.strays(directory, groups):
            yield Finding("warn", "templates", each)


def proxies(settings: Settings, connection: Connection) -> Iterator[Finding]:
    """Who has sent headers of a proxy to the server without being trusted."""
    from sipxconfig_soap.domain.untrusted_proxies import seen_lately  # noqa: PLC0415 - tables
    from sipxconfig_soap.web.forwarded import is_trusted  # noqa: PLC0415

    if not schema.is_current(connection):
        return
    for address, seen in seen_lately(connection):
        if not is_trusted(address, settings.trusted_proxies):
            yield Finding(
                "warn",
                "proxies",
                f"{address} sends X-Forwarded-… headers ({moment(seen)}), which are not believed: "
                f"if it is your proxy, name it in SIPXCONFIG_TRUSTED_PROXIES",
            )


def clock(_settings: Settings, connection: Connection) -> Iterator[Finding]:
    """Whether this machine and the database's agree on the time."""
    before = datetime.now(UTC)
    there: datetime = connection.execute(sa.text("SELECT clock_timestamp()")).scalar_one()
    middle = before + (datetime.now(UTC) - before) / 2
    apart = abs((there - middle).total_seconds())
    sentence = f"{apart:.1f} s from the database's"
    if apart >= CLOCK_FAIL_SECONDS:
        yield Finding("fail", "clock", f"{sentence}; set the clocks by NTP")
    else:
        yield Finding("warn" if apart >= CLOCK_WARN_SECONDS else "ok", "clock", sentence)
