"""``sipxconfig-soap jobs``: seeing what is done for phones, trying again, tidying up."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from sipxconfig_soap.cli.database import data_dir_option, load_settings, open_database
from sipxconfig_soap.cli.listings import json_option, show, since_option
from sipxconfig_soap.cli.output import cell, json_line

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime
    from pathlib import Path

    import sqlalchemy as sa

    from sipxconfig_soap.db import Database
    from sipxconfig_soap.transactions import Receipt

MOST_DAYS = 36_500
"""For how long jobs can be kept at most, as by SIPXCONFIG_JOB_DAYS."""

LAST_NUMBER = 2**63 - 1
"""The greatest number that a job can have."""

FOLLOW_SECONDS = 1.0
"""How often ``--follow`` looks."""

FOLLOW_OVERLAP = timedelta(minutes=5)
"""By how much two looks overlap: a job shows when its transaction is committed."""


def _state(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    from sipxconfig_soap.domain.jobs import STATES  # noqa: PLC0415 - loads the tables

    if value is not None and value not in STATES:
        raise click.BadParameter(f"{value!r} is none of {', '.join(STATES)}")
    return value


@click.group(invoke_without_command=True)
@click.option("--state", callback=_state, help="Only jobs in this state.")
@click.option("--serial", help="Only jobs of the phone with this serial number.")
@since_option("Only jobs queued from this time on: 12h, 7d or 2026-01-31T08:00.")
@click.option("--follow", is_flag=True, help="Go on printing jobs whenever their state changes.")
@json_option
@data_dir_option
@click.pass_context
def jobs(
    context: click.Context,
    /,
    *,
    follow: bool,
    as_json: bool,
    data_dir: Path | None,
    **chosen: Any,
) -> None:
    """List the jobs for phones, oldest first."""
    if context.invoked_subcommand is not None:
        _refuse_options_of_the_list(context)
        return
    from sipxconfig_soap.domain.jobs import SHOWN, list_jobs  # noqa: PLC0415 - loads the tables

    settings = load_settings(data_dir=data_dir)
    with open_database(settings) as database:
        if follow:
            _follow(database, chosen, as_json=as_json)
        with database.engine.connect() as connection:
            show(list_jobs(connection, **chosen), SHOWN, as_json=as_json)


def _refuse_options_of_the_list(context: click.Context) -> None:
    """A command that changes jobs must not seem to heed what only the list does."""
    for parameter in context.command.params:
        if context.get_parameter_source(parameter.name or "") is ParameterSource.COMMANDLINE:
            raise click.UsageError(
                f"{parameter.opts[0]} is an option of the list; options of "
                f"{context.invoked_subcommand!r} stand after it."
            )


def _follow(database: Database, chosen: dict[str, Any], *, as_json: bool) -> None:
    """Print a line for every job, and another one whenever its state or reason changes."""
    from sipxconfig_soap.domain.jobs import SHOWN, list_jobs  # noqa: PLC0415

    seen: dict[int, tuple[str, str | None]] = {}
    newest: datetime | None = None
    while True:
        # What ended long before the last one has been seen.
        since = None if newest is None else newest - FOLLOW_OVERLAP
        with database.engine.connect() as connection:
            for row in list_jobs(connection, ended_since=since, **chosen):
                if seen.get(row.id) != (row.state, row.reason):
                    seen[row.id] = (row.state, row.reason)
                    values = {name: getattr(row, name) for name in SHOWN}
                    click.echo(
                        json_line(values) if as_json else "  ".join(map(cell, values.values()))
                    )
                if row.finished is not None:
                    newest = max(newest or row.finished, row.finished)
        time.sleep(FOLLOW_SECONDS)


@jobs.command()
@click.argument("numbers", type=click.IntRange(1, LAST_NUMBER), nargs=-1)
@click.option("--all", "every", is_flag=True, help="All jobs that have failed.")
@data_dir_option
def retry(numbers: tuple[int, ...], every: bool, data_dir: Path | None) -> None:
    """Let failed jobs wait again, with all their tries: those with these NUMBERS, or all.

    A job whose phone is gone, or for whose phone a newer one stands, stays as it is.
    """
    from sipxconfig_soap.jobs.upkeep import ALL_FAILED, retry_failed  # noqa: PLC0415 - tables

    if every == bool(numbers):
        raise click.UsageError("Name the numbers of jobs, or --all.")
    settings = load_settings(data_dir=data_dir)
    with open_database(settings) as database:
        chosen = None if every else numbers
        entities = [ALL_FAILED] if every else [f"job {number}" for number in numbers]
        count = _changed(
            database, "jobs retry", entities, lambda connection: retry_failed(connection, chosen)
        )
    click.echo(f"Jobs that wait again: {count}.")


def _days(_context: click.Context, _parameter: click.Parameter, value: float) -> float:
    if not 0 <= value <= MOST_DAYS:  # no number is not
        raise click.BadParameter(f"{value:g} is not from 0 to {MOST_DAYS}.")
    return value


@jobs.command()
@click.option(
    "--days",
    type=float,
    callback=_days,
    default=30.0,
    show_default=True,
    help="Ended so long ago.",
)
@data_dir_option
def purge(days: float, data_dir: Path | None) -> None:
    """Delete jobs that have ended."""
    from sipxconfig_soap.jobs.upkeep import purge as delete_old  # noqa: PLC0415

    settings = load_settings(data_dir=data_dir)
    with open_database(settings) as database:
        count = _changed(
            database,
            "jobs purge",
            [f"all that ended more than {days:g} days ago"],
            lambda connection: delete_old(connection, days),
        )
    click.echo(f"Jobs deleted: {count}.")


def _changed(
    database: Database,
    operation: str,
    entities: Sequence[str],
    work: Callable[[sa.Connection], int],
) -> int:
    """How many jobs some work has changed; where it has, the audit log says so."""
    from sipxconfig_soap.domain import audit  # noqa: PLC0415 - loads the tables

    def change(connection: sa.Connection) -> tuple[int, Receipt | None]:
        count = work(connection)
        return count, audit.record_local(connection, operation, entities) if count else None

    return database.change(change, receipt=lambda changed: changed[1])[0]
