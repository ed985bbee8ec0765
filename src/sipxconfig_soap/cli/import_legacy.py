"""``sipxconfig-soap import-legacy``."""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from sqlalchemy.exc import DBAPIError, IntegrityError

from sipxconfig_soap.cli.database import data_dir_option, explain, load_settings, open_database
from sipxconfig_soap.cli.output import cell, print_rows, warn
from sipxconfig_soap.errors import Unavailable
from sipxconfig_soap.setting_values import database_url

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import IO

    from sipxconfig_soap.legacy.importer import Import

LISTED = 10
"""Rows to which the same happened that are shown, at most; the file has all."""

UNCHANGED = "Nothing was changed."


def _source_url(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    try:
        url = database_url(value)
    except ValueError as error:
        raise click.BadParameter(f"it must be {error}") from None
    if url is None:
        raise click.BadParameter("it is empty")
    return url


@click.command("import-legacy")
@click.argument("source", callback=_source_url)
@click.option(
    "--mongo-export",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Of 4.6 and later: the collection userProfile, as mongoexport writes it.",
)
@click.option("--apply", is_flag=True, help="Do it; without this it is only said what would be.")
@click.option("--merge", is_flag=True, help="Into a system that has users, phones … already.")
@click.option(
    "--report",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the whole report to this file, as JSON.",
)
@click.option(
    "--profiles/--no-profiles",
    "queue_profiles",
    default=True,
    help="Whether the profiles of all phones are queued.",
)
@data_dir_option
def import_legacy(
    source: str, apply: bool, report: Path | None, data_dir: Path | None, **chosen: Any
) -> None:
    """Take over everything from a sipXconfig of release 4.0 to 20.

    SOURCE is the URL of its database, postgresql://user:password@host/SIPXCONFIG, or of one into
    which a pg_dump of it was restored; a password may also stand in PGPASSWORD or ~/.pgpass. It is
    only read. Without --apply nothing is changed: the report says what would be.
    """
    from sipxconfig_soap.legacy.importer import Options, prepare  # noqa: PLC0415 - loads the tables
    from sipxconfig_soap.legacy.report import write_json  # noqa: PLC0415
    from sipxconfig_soap.legacy.source import open_source  # noqa: PLC0415

    settings = load_settings(data_dir=data_dir)
    made_up = None
    with (
        _unchanged_if_it_fails(),
        _report_file(report) as file,
        open_database(settings) as database,
        open_source(source) as opened,
        database.engine.connect() as connection,
    ):
        found = prepare(opened, connection, settings, Options(**chosen), _Progress())
        _show(found)
        if apply:
            made_up = found.write()
        if file is not None:
            write_json(found.report, found.run, file)
            file.flush()
        if apply:
            connection.commit()
    _show_end(found, made_up, report)


@contextmanager
def _unchanged_if_it_fails() -> Iterator[None]:
    """Say of every failure that nothing was changed: what there is goes with the transaction."""
    from sipxconfig_soap.legacy.source import SourceError  # noqa: PLC0415 - loads the tables
    from sipxconfig_soap.legacy.target import NotEmpty  # noqa: PLC0415

    try:
        yield
    except (SourceError, NotEmpty) as error:
        raise click.ClickException(f"{error} {UNCHANGED}") from error
    except IntegrityError as error:
        raise click.ClickException(
            f"Somebody else changed the target meanwhile. {UNCHANGED} Start again."
        ) from error
    except (DBAPIError, Unavailable) as error:
        raise click.ClickException(f"{explain(error)} {UNCHANGED}") from error


@contextmanager
def _report_file(path: Path | None) -> Iterator[IO[str] | None]:
    """A file that takes its place when all has gone well; it is there before anything begins."""
    if path is None:
        yield None
        return
    try:
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", dir=path.parent, prefix=f".{path.name}.", delete=False
        ) as file:
            try:
                yield file.file
                Path(file.name).replace(path)
            except BaseException:
                Path(file.name).unlink()
                raise
    except OSError as error:
        raise click.ClickException(
            f"The report {path} cannot be written: {error.strerror}. {UNCHANGED}"
        ) from error


class _Progress:
    """Shows on a terminal how far each step is."""

    def track(self, items: Iterable[Any], what: str, total: int) -> Iterator[Any]:
        """The same items, counted."""
        from rich.console import Console  # noqa: PLC0415 - only where something is shown
        from rich.progress import Progress  # noqa: PLC0415

        console = Console(stderr=True)
        if not console.is_terminal:
            yield from items
            return
        with Progress(console=console) as progress:
            yield from progress.track(items, total=total, description=what)


def _show(found: Import) -> None:
    """Print what would be done."""
    from sipxconfig_soap.legacy.report import summaries  # noqa: PLC0415 - loads the tables

    report = found.report
    release, version = report.source["release"], report.source["schema"]
    click.echo(f"A sipXconfig of release {release} (schema version {version}).\n")
    for sentence in report.warnings:
        warn(sentence)
    columns = ("kind", "read", "taken", "changed", "refused")
    rows = [
        dict(zip(columns, (kind, n.read, n.taken, n.changed, n.refused), strict=True))
        for kind, n in report.kinds.items()
    ]
    print_rows(rows, columns)
    forms = ", ".join(f"{form}: {number}" for form, number in report.pins.items())
    click.echo(f"\nPINs of users {forms}.")
    for each in summaries(found.run, LISTED):
        click.echo(f"\n{each.verdict.capitalize()} {each.kind}, {each.code} ({each.number}):")
        for row in each.rows:
            click.echo(f"  {cell(row.name)} (number {row.id}): {cell(row.sentence)}")
        if each.number > len(each.rows):
            click.echo(f"  … and {each.number - len(each.rows)} more; --report FILE has all.")
    if report.no_place:
        click.echo("\nWhat has no place here:")
        for name, number in report.no_place.items():
            click.echo(f"  {cell(name)}: {number}")


def _show_end(found: Import, made_up: str | None, path: Path | None) -> None:
    """Print what was done."""
    report = found.report
    if path is not None:
        click.echo(f"\nThe report is in {path}.")
    if not report.applied:
        click.echo(f"\n{UNCHANGED} --apply does it.")
        return
    click.echo("\nAll of it is taken over.")
    if made_up is not None:
        click.echo(
            f"PIN of superadmin: {made_up}\nThe source has none; this one was made up just now and"
            " is not shown again."
        )
