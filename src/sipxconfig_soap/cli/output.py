"""What the commands print: texts that clients made cannot move the cursor or forge a line."""

from __future__ import annotations

import json
import os
import sys
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from sipxconfig_soap.logs import escape

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from rich.progress import Progress, ProgressColumn


def warn(sentence: str) -> None:
    """Say something to the administrator that does not end the command."""
    click.echo(f"Warning: {escape(sentence)}", err=True)


def give_up_output() -> None:
    """Send what is left of the output nowhere, after a failure to write it.

    Python would try again at its end, complain once more, and change the exit code.
    """
    with suppress(OSError, ValueError):  # it has no descriptor
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def progress_bars(
    *columns: ProgressColumn, on_stdout: bool = False, transient: bool = False
) -> Progress:
    """Bars that show on a terminal how far something is; elsewhere they show nothing.

    Args:
        columns: what stands in a line, if not the usual.
        on_stdout: whether they are the output itself.
        transient: whether they disappear at the end.
    """
    from rich.console import Console  # noqa: PLC0415 - only where something is shown
    from rich.progress import Progress  # noqa: PLC0415

    console = Console(stderr=not on_stdout)
    return Progress(
        *columns,
        console=console,
        disable=not console.is_terminal,
        transient=transient,
        # What else is printed must not go through what Ctrl-C may have left half done.
        redirect_stdout=False,
        redirect_stderr=False,
    )


def cell(value: object) -> str:
    """A value for people: escaped, times as in `moment`, nothing as ``-``."""
    if value is None or value == "":
        return "-"
    if isinstance(value, datetime):
        return moment(value)
    if isinstance(value, list):
        return escape(", ".join(str(each) for each in value)) or "-"
    return escape(str(value))


def moment(value: datetime) -> str:
    """A time as ISO 8601 in UTC, to the second."""
    return value.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def json_line(row: Mapping[str, object]) -> str:
    """A row as one JSON object on one line; non-ASCII characters are escaped."""
    return json.dumps(
        {key: moment(each) if isinstance(each, datetime) else each for key, each in row.items()}
    )


def print_rows(rows: Iterable[Mapping[str, object]], columns: tuple[str, ...]) -> None:
    """Print a table with a head, its columns as wide as needed."""
    table = [columns, *(tuple(cell(row[name]) for name in columns) for row in rows)]
    widths = [max(len(line[index]) for line in table) for index in range(len(columns))]
    for line in table:
        padded = (text.ljust(width) for text, width in zip(line, widths, strict=True))
        click.echo("  ".join(padded).rstrip())
