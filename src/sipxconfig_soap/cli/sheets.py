"""``sipxconfig-soap users`` and ``sipxconfig-soap phones``: CSV files out and in."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sipxconfig_soap.cli.database import data_dir_option, load_settings, open_database
from sipxconfig_soap.cli.output import progress_bars, warn
from sipxconfig_soap.logs import escape

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

    from rich.progress import TaskID

    from sipxconfig_soap.sheets.columns import Column
    from sipxconfig_soap.sheets.files import Finding, Sheet
    from sipxconfig_soap.sheets.importing import Advance, Importer, Progress, Report

_file = click.argument("file", type=click.Path(dir_okay=False, allow_dash=True, path_type=Path))
_force = click.option("--force", is_flag=True, help="Write over a file that is there.")
_without_secrets = click.option(
    "--without-secrets", is_flag=True, help="Leave out SIP passwords and hashes of PINs."
)
_apply = click.option("--apply", is_flag=True, help="Do it; otherwise only say what would happen.")


@click.group()
def users() -> None:
    """Users as CSV files, with the columns of sipXconfig's import."""


@click.group()
def phones() -> None:
    """Phones as CSV files, with the columns of sipXconfig's import."""


@users.command("export")
@_file
@_force
@_without_secrets
@data_dir_option
def export_users(file: Path, force: bool, without_secrets: bool, data_dir: Path | None) -> None:
    """Write all users into FILE, or to standard output if that is "-".

    The file is for its owner alone: it has SIP passwords and hashes of PINs.
    """
    from sipxconfig_soap.sheets import users as sheet  # noqa: PLC0415 - loads the tables

    _export(file, sheet, force=force, secrets=not without_secrets, data_dir=data_dir)


@phones.command("export")
@_file
@_force
@_without_secrets
@data_dir_option
def export_phones(file: Path, force: bool, without_secrets: bool, data_dir: Path | None) -> None:
    """Write all phones into FILE, a row for each line, or to standard output if that is "-".

    The file is for its owner alone: it has the passwords of external lines.
    """
    from sipxconfig_soap.sheets import phones as sheet  # noqa: PLC0415 - loads the tables

    _export(file, sheet, force=force, secrets=not without_secrets, data_dir=data_dir)


@users.command("import")
@_file
@_apply
@data_dir_option
def import_users(file: Path, apply: bool, data_dir: Path | None) -> None:
    """Add the users of FILE ("-": standard input), and change those that are there, all or none.

    An empty cell changes nothing. Columns that only sipXconfig's file has are passed over.
    """
    from sipxconfig_soap.sheets.users import COLUMNS, UserImporter  # noqa: PLC0415

    importer = UserImporter()
    _import(file, importer, COLUMNS, apply=apply, data_dir=data_dir)
    if importer.without_pin:
        warn(f"New users without a PIN, who cannot log in: {importer.without_pin}.")


@phones.command("import")
@_file
@_apply
@click.option(
    "--profiles/--no-profiles", default=True, help="Queue the files of these phones, or not."
)
@data_dir_option
def import_phones(file: Path, apply: bool, profiles: bool, data_dir: Path | None) -> None:
    """Add the phones of FILE ("-": standard input), and change those that are there, all or none.

    An empty cell changes nothing, and lines are added, never taken. Import the users before.
    """
    from sipxconfig_soap.sheets.phones import COLUMNS, PhoneImporter  # noqa: PLC0415

    _import(file, PhoneImporter(profiles=profiles), COLUMNS, apply=apply, data_dir=data_dir)


def _export(
    file: Path, sheet: ModuleType, *, force: bool, secrets: bool, data_dir: Path | None
) -> None:
    from sipxconfig_soap.sheets import files  # noqa: PLC0415

    settings = load_settings(data_dir=data_dir)
    try:
        with open_database(settings) as database, database.connect() as connection:
            count = files.write(
                file, sheet.COLUMNS, sheet.export(connection, secrets=secrets), force=force
            )
    except FileExistsError:
        sentence = f"{file} is there already: use --force to replace it."
        raise click.ClickException(escape(sentence)) from None
    except BrokenPipeError:
        raise
    except OSError as error:
        sentence = f"{file} cannot be written: {files.reason_of(error)}."
        raise click.ClickException(escape(sentence)) from None
    if file != files.STANDARD:
        click.echo(f"Rows written to {escape(str(file))}: {count}.")


def _import(
    file: Path,
    importer: Importer,
    columns: tuple[Column, ...],
    *,
    apply: bool,
    data_dir: Path | None,
) -> None:
    from sipxconfig_soap.domain.rules import Rules  # noqa: PLC0415
    from sipxconfig_soap.sheets import files, importing  # noqa: PLC0415

    settings = load_settings(data_dir=data_dir)
    try:
        sheet = files.read(file, importer.key)
    except files.NoSheet as error:
        raise click.ClickException(escape(str(error))) from None
    _show_notes(sheet, columns)

    terms = importing.Terms(Rules.from_settings(settings), apply)
    with open_database(settings) as database, _progress() as progress:
        report = importing.run(database, importer, sheet, terms, progress)
    _show(report, apply=apply)


@contextmanager
def _progress() -> Iterator[Progress]:
    """Progress bars on a terminal; one begins anew with each try."""
    with progress_bars() as progress:
        bars: dict[str, TaskID] = {}

        def begin(what: str, total: int) -> Advance:
            if what not in bars:
                bars[what] = progress.add_task(what, total=total)
            progress.reset(bars[what])
            return lambda count: progress.advance(bars[what], count)

        yield begin


def _show_notes(sheet: Sheet, columns: tuple[Column, ...]) -> None:
    read = {each.label for each in columns}
    beside = [label for label in sheet.labels if label not in read]
    for note in sheet.notes:
        warn(note)
    if beside:
        warn(f"Columns that are passed over: {', '.join(beside)}.")


def _show(report: Report, *, apply: bool) -> None:
    for finding in report.warnings:
        warn(_sentence(finding))
    for finding in report.refusals:
        click.echo(escape(_sentence(finding)))
    counts = f"added: {report.added}, changed: {report.changed}, unchanged: {report.unchanged}"
    if report.refusals:
        rows = len({finding.line for finding in report.refusals})
        raise click.ClickException(f"Rows that are refused: {rows}; nothing has been changed.")
    if apply:
        click.echo(f"Done; {counts}.")
    else:
        click.echo(f"Nothing has been changed; with --apply: {counts}.")


def _sentence(finding: Finding) -> str:
    where = f"Line {finding.line}" + (f", {finding.column}" if finding.column else "")
    return f"{where}: {finding.sentence}"
