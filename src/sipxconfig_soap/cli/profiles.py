"""``sipxconfig-soap profile`` and ``sipxconfig-soap profiles``."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click
import sqlalchemy as sa

from sipxconfig_soap.cli.database import data_dir_option, load_settings, open_database
from sipxconfig_soap.cli.output import progress_bars

if TYPE_CHECKING:
    from pathlib import Path

    from sipxconfig_soap.db import Database
    from sipxconfig_soap.transactions import Receipt

LOOK_SECONDS = 0.3
"""How often the progress is looked at."""


@click.command()
@click.argument("serial")
@click.option("--file", "name", help="Print this one of several files.")
@data_dir_option
def profile(serial: str, name: str | None, data_dir: Path | None) -> None:
    """Print the profile of the phone with this serial number, as it would be written now."""
    from sipxconfig_soap.jobs import snapshots  # noqa: PLC0415 - loads the tables
    from sipxconfig_soap.provisioning.phone import provisioning_settings  # noqa: PLC0415
    from sipxconfig_soap.provisioning.profiles import NotWritten, Renderer  # noqa: PLC0415

    settings = load_settings(data_dir=data_dir)
    with open_database(settings) as database, database.engine.connect() as connection:
        phone = snapshots.by_serial(connection, serial)
    if phone is None:
        raise click.ClickException(f"There is no phone with the serial number {serial!r}.")
    try:
        with Renderer(provisioning_settings(settings)) as renderer:
            files = renderer.shown(phone)
    except NotWritten as error:
        raise click.ClickException(str(error)) from error
    chosen = files[0] if name is None else next((f for f in files if f.path == name), None)
    if chosen is None:
        names = ", ".join(each.path for each in files)
        raise click.ClickException(f"This phone has no file {name!r}; it has {names}.")
    click.echo(chosen.content, nl=False)


@click.group()
def profiles() -> None:
    """The profiles of many phones."""


@profiles.command()
@click.option("--group", help="Of the phones in this group.")
@click.option("--all", "every", is_flag=True, help="Of all phones.")
@click.option("--wait/--no-wait", default=True, help="Wait until they are written.")
@data_dir_option
def regenerate(group: str | None, every: bool, wait: bool, data_dir: Path | None) -> None:
    """Queue new profiles, and show how far a worker has got with them."""
    from sipxconfig_soap.domain import audit, jobs  # noqa: PLC0415 - loads the tables
    from sipxconfig_soap.domain.phone_tables import phones, queue_jobs  # noqa: PLC0415
    from sipxconfig_soap.values import trim  # noqa: PLC0415

    if every == (group is not None):
        raise click.UsageError("Name either --all or --group NAME.")
    settings = load_settings(data_dir=data_dir)

    def queue(connection: sa.Connection) -> tuple[list[int], Receipt | None]:
        where = sa.true() if group is None else _in_group(connection, group)
        queue_jobs(connection, jobs.PROFILES, where)
        queued = jobs.waiting(connection, jobs.PROFILES, sa.select(phones.c.id).where(where))
        if not queued:
            return [], None
        of = "all phones" if group is None else f"group {trim(group)}"
        return queued, audit.record_local(connection, "profiles regenerate", [of])

    with open_database(settings) as database:
        numbers, _ = database.change(queue, receipt=lambda queued: queued[1])
        click.echo(f"Phones whose profiles are queued: {len(numbers)}.")
        if wait and numbers:
            _watch(database, numbers)


def _in_group(connection: sa.Connection, name: str) -> sa.ColumnElement[bool]:
    """The condition that a phone is in the group of this name.

    Raises:
        click.ClickException: there is no such group.
    """
    from sipxconfig_soap.domain.grouping import PHONE_GROUPS  # noqa: PLC0415 - loads the tables
    from sipxconfig_soap.domain.phone_tables import phones  # noqa: PLC0415
    from sipxconfig_soap.values import trim  # noqa: PLC0415

    groups, members = PHONE_GROUPS.groups, PHONE_GROUPS.members
    found = connection.scalar(sa.select(groups.c.id).where(groups.c.name == trim(name)))
    if found is None:
        raise click.ClickException(f"There is no group of phones called {name!r}.")
    return phones.c.id.in_(sa.select(members.c.entity_id).where(members.c.group_id == found))


def _watch(database: Database, numbers: list[int]) -> None:
    """Show a progress bar until all jobs have ended."""
    from sipxconfig_soap.domain import jobs  # noqa: PLC0415

    with progress_bars(on_stdout=True) as progress:
        task = progress.add_task("Writing profiles", total=len(numbers))
        while True:
            with database.engine.connect() as connection:
                states = jobs.count_states(connection, numbers)
            ended = sum(count for state, count in states.items() if state in jobs.ENDED)
            progress.update(task, completed=ended)
            if ended >= sum(states.values()):
                break
            time.sleep(LOOK_SECONDS)
    counts = ", ".join(f"{state}: {states[state]}" for state in jobs.ENDED if state in states)
    click.echo(f"Jobs {counts}.")
    if jobs.FAILED in states:
        raise click.ClickException("sipxconfig-soap jobs --state failed tells why.")
