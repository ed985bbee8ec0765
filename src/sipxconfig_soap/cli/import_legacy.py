"""``sipxconfig-soap import-legacy``."""

from __future__ import annotations

import errno
import os
import signal
import tempfile
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from sqlalchemy.exc import DBAPIError

from sipxconfig_soap.cli.database import data_dir_option, explain, load_settings, open_database
from sipxconfig_soap.cli.output import cell, give_up_output, print_rows, progress_bars, warn
from sipxconfig_soap.errors import OutcomeUnknown, Unavailable
from sipxconfig_soap.logs import escape
from sipxconfig_soap.setting_values import database_url
from sipxconfig_soap.table_statistics import refresh
from sipxconfig_soap.transactions import commit, is_lost_race

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from tempfile import _TemporaryFileWrapper
    from typing import IO

    from sipxconfig_soap.legacy.importer import Import
    from sipxconfig_soap.legacy.target import Written

LISTED = 10
"""Rows to which the same happened that are shown, at most; the file has all."""

UNCHANGED, DONE = "Nothing was changed.", "All of it is taken over."


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
    from sipxconfig_soap.legacy.target import FILLED  # noqa: PLC0415

    settings = load_settings(data_dir=data_dir)
    with _report_file(report) as file:
        with _unchanged_if_it_fails(), open_database(settings) as database, ExitStack() as stack:
            opened = stack.enter_context(open_source(source))
            connection = stack.enter_context(database.engine.connect())
            found = prepare(opened, connection, settings, Options(**chosen), _Progress())
            _show(found)
            written = found.write() if apply else None
            if file is not None:
                file.write(lambda text: write_json(found.report, found.run, text))
            if written is not None:
                with _to_the_end():
                    commit(connection, written.receipt)
                    stack.close()
                    refresh(database, FILLED)
        if file is not None:
            file.put_in_place(DONE if apply else UNCHANGED)
        _show_end(written, report)


@contextmanager
def _unchanged_if_it_fails() -> Iterator[None]:
    """Say of every failure that nothing was changed: what there is goes with the transaction."""
    from sipxconfig_soap.legacy.source import SourceError  # noqa: PLC0415 - loads the tables
    from sipxconfig_soap.legacy.target import NotEmpty  # noqa: PLC0415

    try:
        yield
    except OutcomeUnknown as error:
        raise click.ClickException(explain(error)) from error
    except (SourceError, NotEmpty) as error:
        raise click.ClickException(f"{error} {UNCHANGED}") from error
    except (DBAPIError, Unavailable) as error:
        if is_lost_race(error):
            raise click.ClickException(
                f"Somebody else changed the target meanwhile. {UNCHANGED} Start again."
            ) from error
        raise click.ClickException(f"{explain(error)} {UNCHANGED}") from error
    except (KeyboardInterrupt, click.Abort):
        raise click.ClickException(f"It was stopped. {UNCHANGED}") from None
    except BrokenPipeError:
        # Whoever read the output has seen enough; the transaction goes with it.
        raise
    except OSError as error:
        give_up_output()
        raise click.ClickException(
            f"The output cannot be written: {error.strerror}. {UNCHANGED}"
        ) from error


@contextmanager
def _to_the_end() -> Iterator[None]:
    """From COMMIT on nothing stops it: it would end without a word of what was done."""
    before = {each: signal.signal(each, signal.SIG_IGN) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


class _ReportFile:
    """A file that is there before anything begins, and takes its place when all has gone well.

    Args:
        path: its place.
        file: where it is until then.
    """

    def __init__(self, path: Path, file: _TemporaryFileWrapper[str]) -> None:
        self._path = path
        self._file = file

    def write(self, write: Callable[[IO[str]], None]) -> None:
        """Write it, down to the disk."""
        try:
            write(self._file.file)
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise _cannot_write(self._path, error, UNCHANGED) from error

    def put_in_place(self, outcome: str) -> None:
        """Let it take its place; ``outcome`` is told if it cannot."""
        try:
            Path(self._file.name).replace(self._path)
        except OSError as error:
            raise _cannot_write(self._path, error, outcome) from error


@contextmanager
def _report_file(path: Path | None) -> Iterator[_ReportFile | None]:
    """The file of a report; it goes if it has not taken its place."""
    if path is None:
        yield None
        return
    # A link stays one, and no device is replaced by a file.
    place = Path(os.path.realpath(path))
    if place.exists() and not place.is_file():
        raise _cannot_write(path, OSError(errno.EINVAL, "it is no file"), UNCHANGED)
    try:
        file = tempfile.NamedTemporaryFile(  # noqa: SIM115 - closed below, wherever it is then
            "w", encoding="utf-8", dir=place.parent, prefix=".report.", delete=False
        )
    except OSError as error:
        raise _cannot_write(path, error, UNCHANGED) from error
    try:
        yield _ReportFile(place, file)
    finally:
        with suppress(OSError):
            file.close()
        Path(file.name).unlink(missing_ok=True)


def _cannot_write(path: Path, error: OSError, outcome: str) -> click.ClickException:
    return click.ClickException(
        f"The report {escape(str(path))} cannot be written: {error.strerror}. {outcome}"
    )


class _Progress:
    """Shows on a terminal how far each step is."""

    def track(self, items: Iterable[Any], what: str, total: int) -> Iterator[Any]:
        """The same items, counted."""
        with progress_bars() as progress:
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


def _show_end(written: Written | None, path: Path | None) -> None:
    """Print what was done."""
    if path is not None:
        click.echo(f"\nThe report is in {escape(str(path))}.")
    if written is None:
        click.echo(f"\n{UNCHANGED} --apply does it.")
        return
    click.echo(f"\n{DONE}")
    if written.made_up is not None:
        click.echo(
            f"PIN of superadmin: {written.made_up}\nThe source has none; this one was made up just"
            " now and is not shown again."
        )
