"""An import from its beginning to its end (migration.md §9)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sipxconfig_soap.domain.rules import Rules
from sipxconfig_soap.legacy import (
    conflicts,
    extensions,
    groups,
    leftovers,
    permissions,
    phones,
    pins,
    profiles,
    report,
    target,
    users,
)
from sipxconfig_soap.legacy.run import Progress, Run
from sipxconfig_soap.legacy.source import Source, SourceError
from sipxconfig_soap.legacy.staging import Staging

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import sqlalchemy as sa

    from sipxconfig_soap.legacy.report import Report
    from sipxconfig_soap.legacy.target import Written
    from sipxconfig_soap.settings import Settings


@dataclass(frozen=True, slots=True)
class Options:
    """What the administrator chose.

    Attributes:
        mongo_export: file with the user profiles of 4.6 and later.
        merge: whether the target may have entities already.
        queue_profiles: whether the profiles of the new phones are queued.
    """

    mongo_export: Path | None = None
    merge: bool = False
    queue_profiles: bool = True


@dataclass(frozen=True, slots=True)
class Import:
    """Everything of a source, judged, and ready to be written.

    Attributes:
        run: with what is taken over in its temporary tables.
        options: what the administrator chose.
        target: as it is.
        report: what would be done.
    """

    run: Run
    options: Options
    target: target.Target
    report: Report

    def write(self) -> Written:
        """Hash the PINs and write everything; the caller commits."""
        pins.stage(self.run)
        queue_profiles = self.options.queue_profiles
        written = target.write(self.run, self.target, queue_profiles=queue_profiles)
        self.report.applied = True
        return written


def prepare(
    source: Source,
    connection: sa.Connection,
    settings: Settings,
    options: Options,
    progress: Progress,
) -> Import:
    """Read a source and judge what it has.

    Nothing is written but temporary tables, and what every system has where that is missing.

    Args:
        source: to be read.
        connection: to the target, not used yet; from here on it is in one transaction.
        settings: of this server.
        options: what the administrator chose.
        progress: told how far it is.

    Raises:
        NotEmpty: it has, and may not.
        SourceError: the source or the file cannot be read.
    """
    export = options.mongo_export
    if export is not None and not source.has_clear_pins:
        raise SourceError(
            f"A sipXconfig of release {source.release} has its e-mail addresses in the database:"
            " leave out --mongo-export."
        )
    # What is there is looked at and written to in one snapshot, whoever else changes it meanwhile.
    connection.execution_options(isolation_level="REPEATABLE READ")
    for limit in ("statement_timeout", "idle_in_transaction_session_timeout"):
        connection.exec_driver_sql(f"SET LOCAL {limit} TO 0")
    found = target.look_at(connection, merge=options.merge, admin_pin=settings.admin_pin)
    domain = source.domain()
    run = Run(source, domain, Staging(connection), Rules.from_settings(settings), progress)
    for module in (groups, permissions, users, extensions, phones):
        module.stage(run)
    groups.stage_members(run)
    leftovers.count(run)
    if export is not None:
        profiles.stage(run, export)
    conflicts.settle(run, found)
    profiles.settle(run)
    warnings = list(_warnings(run, settings, has_export=export is not None))
    return Import(run, options, found, report.made(run, warnings))


def _warnings(run: Run, settings: Settings, *, has_export: bool) -> Iterator[str]:
    """What of the settings does not fit the source."""
    domain = run.domain
    if domain.name is None:
        yield "The source names no SIP domain."
    elif domain.name.lower() != settings.domain.lower():
        yield (
            f"The SIP domain of the source is {domain.name}, here it is {settings.domain}:"
            f" set SIPXCONFIG_DOMAIN={domain.name}."
        )
    known = {each.lower() for each in (settings.domain, *settings.domain_aliases)}
    missing = [each for each in domain.aliases if each.lower() not in known]
    if missing:
        every = ",".join(dict.fromkeys((*settings.domain_aliases, *missing)))
        yield (
            f"Other names of the SIP domain are missing here ({', '.join(missing)}):"
            f" set SIPXCONFIG_DOMAIN_ALIASES={every}."
        )
    if domain.realm is not None and domain.realm != settings.realm:
        yield (
            f"The realm of the source is {domain.realm}, here it is {settings.realm}: for scripts"
            f" that send PIN tokens set SIPXCONFIG_REALM={domain.realm}."
        )
    if run.source.has_clear_pins and not has_export:
        yield (
            "E-mail addresses of this release are in MongoDB: export the collection userProfile and"
            " name the file in --mongo-export."
        )
