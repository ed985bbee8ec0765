"""``sipxconfig-soap sip-role``."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING

import click

from sipxconfig_soap.cli.database import data_dir_option, load_settings, open_database
from sipxconfig_soap.cli.output import warn
from sipxconfig_soap.logs import escape
from sipxconfig_soap.values import has_control

if TYPE_CHECKING:
    from pathlib import Path

    import sqlalchemy as sa

_IN_URLS = re.compile(r"[A-Za-z0-9_.-]+\Z")
"""What Kamailio finds in the URL of a database whatever it is; it knows no escapes."""

MADE_UP_LENGTH = 24
"""Characters of a password that is made up."""


@click.command("sip-role")
@click.argument("name")
@click.option(
    "--stdin", "from_stdin", is_flag=True, help="Read the password from the first input line."
)
@data_dir_option
def sip_role(name: str, from_stdin: bool, data_dir: Path | None) -> None:
    """Let the database role NAME read what SIP servers need, and nothing else.

    It reads the views of the schema sip. A role that is not there is created, with a password that
    is read from standard input, or made up and printed once. One that is there gets the rights, and
    keeps its password unless another one is read. The user of the database must be allowed to
    create roles; else an administrator of PostgreSQL creates the role first.
    """
    from sipxconfig_soap.domain import pins, sip  # noqa: PLC0415 - loads the tables

    if not name or has_control(name) or len(name.encode()) > sip.ROLE_BYTES:
        raise click.ClickException(
            f"{escape(name)!r} cannot be the name of a role: it has no characters, control "
            f"characters, or more than {sip.ROLE_BYTES} bytes."
        )
    given = _read_password() if from_stdin else None
    settings = load_settings(data_dir=data_dir)
    with open_database(settings) as database:

        def work(connection: sa.Connection) -> tuple[str | None, str | None]:
            made_up = None
            if not sip.is_role(connection, name):
                sip.create_role(connection, name)
                made_up = None if given else pins.random_text(MADE_UP_LENGTH)
            if other := sip.what_else(connection, name):
                raise click.ClickException(
                    f"The role {escape(name)} has rights on {other}: a SIP server reads the views "
                    "alone, so name a role of its own."
                )
            if password := given or made_up:
                sip.set_password(connection, name, password)
            sip.let_read(connection, name)
            return made_up, sip.main_domain(connection)

        made_up, domain = database.change(work)
        url = database.engine.url
    if domain != settings.domain:
        warn(
            f"the views tell of the SIP domain {domain}, not of {settings.domain}"
            if domain
            else "the views are empty until the server has started once, which tells the SIP domain"
        )
    click.echo(_told(name, made_up, url))


def _read_password() -> str:
    password = sys.stdin.readline().rstrip("\r\n")
    if not password or has_control(password):
        raise click.ClickException("The password is empty or has control characters.")
    return password


def _told(name: str, made_up: str | None, url: sa.URL) -> str:
    """What was done, and what to put where."""
    name = escape(name)
    socket = url.query.get("host")
    host = url.host or "localhost"
    host = f"[{host}]" if ":" in host else host
    at = f"{host}:{url.port}" if url.port else host
    lines = [f"The role {name} may read the schema sip of the database {url.database}."]
    if made_up:
        lines.append(f"Its password: {made_up} (made up just now, and not shown again)")
    if socket and not url.host:
        lines.append(
            f"It listens in the directory {socket}; Kamailio needs it to listen on TCP too."
        )
    if _IN_URLS.match(name) and _IN_URLS.match(str(url.database)):
        place = f"pbx=>postgres://{name}:{made_up or 'PASSWORD'}@{at}/{url.database}"
        lines.append("For sipxconfig-local.cfg of Kamailio (deploy/kamailio):")
        lines.append(f'#!define DATABASE "{place}"')
    else:
        lines.append(
            "Kamailio takes only letters, digits, _ . and - in the names of role and database."
        )
    return "\n".join(lines)
