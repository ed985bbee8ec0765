"""What listings have in common, and ``sipxconfig-soap audit``."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from sipxconfig_soap.cli.database import data_dir_option, load_settings, open_database
from sipxconfig_soap.cli.output import json_line, print_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

AUDIT_COLUMNS = (
    *("time", "administrator", "address", "service", "operation"),
    *("outcome", "entities"),
)
_AGO = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}

json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON object per line."
)


def _since(
    _context: click.Context, _parameter: click.Parameter, value: str | None
) -> datetime | None:
    """Read a time: how long ago (30m, 12h, 7d, 2w), or ISO 8601, UTC if it does not say."""
    if value is None:
        return None
    try:
        if value[-1:] in _AGO and value[:-1].isdecimal():
            return datetime.now(UTC) - timedelta(**{_AGO[value[-1]]: int(value[:-1])})
        found = datetime.fromisoformat(value)
    except (OverflowError, ValueError):
        raise click.BadParameter(
            f"{value!r} is neither like 12h or 7d nor like 2026-01-31T08:00"
        ) from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def since_option(text: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The option ``--since`` with this help."""
    return click.option("--since", callback=_since, help=text)


@click.command()
@since_option("Only from this time on: 12h, 7d or 2026-01-31T08:00.")
@click.option("--user", help="Only what this administrator did.")
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True, help="At most.")
@json_option
@data_dir_option
def audit(
    since: datetime | None, user: str | None, limit: int, as_json: bool, data_dir: Path | None
) -> None:
    """List the changes: when, by whom, from where, what, and how it ended."""
    from sipxconfig_soap.domain.audit import list_entries  # noqa: PLC0415 - loads the tables

    settings = load_settings(data_dir=data_dir)
    with open_database(settings) as database, database.engine.connect() as connection:
        rows = list_entries(connection, since=since, user=user, limit=limit)
        show(rows, AUDIT_COLUMNS, as_json=as_json)


def show(rows: Iterable[Any], columns: tuple[str, ...], *, as_json: bool) -> None:
    """Print these columns of the rows."""
    found = ({name: getattr(row, name) for name in columns} for row in rows)
    if as_json:
        for row in found:
            click.echo(json_line(row))
    else:
        print_rows(found, columns)
