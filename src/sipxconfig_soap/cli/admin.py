"""``sipxconfig-soap admin``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from sipxconfig_soap.cli.database import data_dir_option, load_settings, open_database
from sipxconfig_soap.errors import Problems, Refused
from sipxconfig_soap.logs import escape
from sipxconfig_soap.values import has_control

if TYPE_CHECKING:
    from pathlib import Path

    from sipxconfig_soap.db import Database
    from sipxconfig_soap.settings import Settings

SUPERADMIN = "superadmin"


@click.group()
def admin() -> None:
    """Look after administrators."""


@admin.command("set-pin")
@click.argument("user", default=SUPERADMIN)
@click.option("--stdin", "from_stdin", is_flag=True, help="Read the PIN from the first input line.")
@data_dir_option
def set_pin(user: str, from_stdin: bool, data_dir: Path | None) -> None:
    """Set the PIN of USER, superadmin if not given.

    The PIN is asked for, or read from standard input; it is never an argument, which others on
    this machine could read. It counts from the next request on.
    """
    from sipxconfig_soap.domain import accounts  # noqa: PLC0415 - loads what hashes

    settings = load_settings(data_dir=data_dir)
    with open_database(settings) as database:
        pin = _read_pin(from_stdin=from_stdin)
        found = database.change(
            lambda connection: accounts.set_pin(connection, user, pin), receipt=lambda each: each
        )
    if not found:
        raise click.ClickException(f"There is no user {escape(user)!r}; names are exact.")
    click.echo(f"The PIN of {escape(user)} is set.")


@admin.command()
@click.argument("user", default=SUPERADMIN)
@click.option("--stdin", "from_stdin", is_flag=True, help="Read the PIN from the first input line.")
@data_dir_option
def create(user: str, from_stdin: bool, data_dir: Path | None) -> None:
    """Create the administrator USER, superadmin if not given.

    It is a user in the group administrators. The PIN is asked for, or read from standard input.
    "migrate" and "serve" create superadmin where it is missing.
    """
    from sipxconfig_soap.domain import accounts  # noqa: PLC0415 - loads what hashes
    from sipxconfig_soap.domain.rules import Rules  # noqa: PLC0415
    from sipxconfig_soap.domain.work import Work  # noqa: PLC0415

    settings = load_settings(data_dir=data_dir)
    rules = Rules.from_settings(settings)
    with open_database(settings) as database:
        pin = _read_pin(from_stdin=from_stdin)
        try:
            database.change(
                lambda connection: accounts.create_administrator(
                    Work(connection, rules, Problems()), user, pin
                ),
                receipt=lambda each: each,
            )
        except Refused as error:
            raise click.ClickException(escape(str(error))) from error
    click.echo(f"The administrator {escape(user)} is created.")


def ensure_superadmin(database: Database, settings: Settings) -> None:
    """Create superadmin where it is missing, and print its PIN if one was made up."""
    from sipxconfig_soap.domain import accounts  # noqa: PLC0415 - loads what hashes

    made_up, _ = database.change(
        lambda connection: accounts.begin(connection, settings.admin_pin),
        receipt=lambda begun: begun[1],
    )
    if made_up is not None:
        click.echo(
            f"PIN of {SUPERADMIN}: {made_up}\n"
            "It was made up just now and is not shown again; "
            "sipxconfig-soap admin set-pin sets another."
        )


def _read_pin(*, from_stdin: bool) -> str:
    from sipxconfig_soap.domain.pins import PIN_LIMIT  # noqa: PLC0415 - loads what hashes

    if from_stdin:
        pin = sys.stdin.readline().rstrip("\r\n")
    elif sys.stdin.isatty():
        pin = click.prompt("New PIN", hide_input=True, confirmation_prompt="The same again")
    else:
        raise click.UsageError("There is no terminal to ask for the PIN: use --stdin.")
    if not pin:
        raise click.ClickException("The PIN is empty.")
    if len(pin) > PIN_LIMIT:
        raise click.ClickException(f"The PIN is too long: at most {PIN_LIMIT} characters.")
    if has_control(pin):
        raise click.ClickException("The PIN has control characters, which no client can send.")
    return pin
