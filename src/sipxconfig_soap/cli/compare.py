"""``sipxconfig-soap compare``: what an old server and this one answer differently."""

from __future__ import annotations

import os
import sqlite3
import sys
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sipxconfig_soap.cli.admin import SUPERADMIN
from sipxconfig_soap.cli.listings import json_option
from sipxconfig_soap.cli.output import cell, json_line, progress_bars, warn
from sipxconfig_soap.logs import escape

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sipxconfig_soap.comparing.differences import Difference

DIFFERENT = 1
"""Exit code when there are differences."""

PIN_VARIABLES = {"old": "COMPARE_OLD_PIN", "new": "COMPARE_NEW_PIN"}
"""Where the PINs may stand, which are no settings of this server."""


class _CannotCompare(click.ClickException):
    exit_code = 2


@click.command()
@click.argument("old_url")
@click.argument("new_url")
@click.option("--old-user", default=SUPERADMIN, show_default=True, help="Login at OLD_URL.")
@click.option("--new-user", default=SUPERADMIN, show_default=True, help="Login at NEW_URL.")
@click.option(
    "--ca",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File of certificates (PEM) to trust beside the system's.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(1),
    default=300,
    show_default=True,
    help="Seconds to wait for an answer to begin or go on.",
)
@json_option
def compare(old_url: str, new_url: str, *, as_json: bool, **options: Any) -> None:
    """List what the server at OLD_URL, a sipXconfig, and the one at NEW_URL answer differently.

    Both are only asked. Their PINs are asked for, or taken from the environment variables
    COMPARE_OLD_PIN and COMPARE_NEW_PIN. Hashes of PINs, orders and built-in permissions that only
    one of them has are no differences. The exit code is 0 without differences, 1 with some, and 2
    if the servers cannot be compared.
    """
    from sipxconfig_soap.comparing import client  # noqa: PLC0415 - loads what reads XML
    from sipxconfig_soap.comparing.differences import Comparison  # noqa: PLC0415
    from sipxconfig_soap.comparing.records import KINDS  # noqa: PLC0415

    urls = {"old": old_url, "new": new_url}
    count = 0
    try:
        for url in urls.values():
            if client.is_exposed(url):
                warn(f"The PIN crosses the network in clear text to {url}.")
        servers = {
            side: client.Server(
                url,
                options[f"{side}_user"],
                _pin(side),
                ca=options["ca"],
                timeout=options["timeout"],
            )
            for side, url in urls.items()
        }
        with closing(Comparison()) as comparison:
            with _progress() as advance:
                for side, server in servers.items():
                    comparison.read(side, server, advance)
            for count, difference in enumerate(comparison.differences(), 1):  # noqa: B007
                _show(difference, as_json=as_json)
    except (click.Abort, KeyboardInterrupt):
        raise _CannotCompare("It was stopped.") from None
    except client.CannotAsk as error:
        raise _CannotCompare(escape(str(error))) from None
    except sqlite3.Error as error:
        raise _CannotCompare(f"The answers cannot be kept in a temporary file: {error}.") from None
    for kind in KINDS:
        old, new = (comparison.counts[kind.name, side] for side in urls)
        click.echo(f"{kind.name}s: {old} old, {new} new", err=True)
    click.echo(f"Differences: {count}.", err=True)
    sys.exit(DIFFERENT if count else 0)


def _pin(side: str) -> str:
    pin = os.environ.get(PIN_VARIABLES[side])
    if pin is not None:
        return pin
    if not sys.stdin.isatty():
        raise click.UsageError(
            f"There is no terminal to ask for the {side} server's PIN: set {PIN_VARIABLES[side]}."
        )
    asked: str = click.prompt(f"PIN at the {side} server", hide_input=True, err=True)
    return asked


@contextmanager
def _progress() -> Iterator[Callable[[], None]]:
    """A count of what was read, on a terminal."""
    from rich.progress import SpinnerColumn, TextColumn  # noqa: PLC0415

    columns = (SpinnerColumn(), TextColumn("{task.description} {task.completed}"))
    with progress_bars(*columns, transient=True) as progress:
        bar = progress.add_task("Entities read:", total=None)
        yield lambda: progress.advance(bar)


def _show(difference: Difference, *, as_json: bool) -> None:
    if as_json:
        click.echo(json_line(difference._asdict()))
        return
    subject = f"{difference.kind} {cell(difference.name)}"
    if difference.field is None:
        click.echo(f"{subject}: only {'old' if difference.old else 'new'}")
    else:
        old, new = _value(difference.old), _value(difference.new)
        click.echo(f"{subject}: {difference.field}: old {old}, new {new}")


def _value(value: object) -> str:
    """A value, so that a list of one and a text look different."""
    if isinstance(value, bool):
        return str(value).lower()
    return f"[{cell(value)}]" if isinstance(value, list) else cell(value)
