"""``sipxconfig-soap serve``."""

from __future__ import annotations

import os
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import click

from sipxconfig_soap import logs, schema
from sipxconfig_soap.cli.admin import SUPERADMIN
from sipxconfig_soap.cli.database import database_url, require_current
from sipxconfig_soap.cli.output import warn
from sipxconfig_soap.cli.worker import beside, warn_of_pooler
from sipxconfig_soap.settings import (
    DEFAULT_DOMAIN,
    SETTINGS,
    Setting,
    Settings,
    remarks,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from sipxconfig_soap.db import Database


def _setting_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command an option for every setting that may stand on a command line."""
    for setting in reversed(SETTINGS):
        if setting.option is not None:
            command = _option(setting, setting.option)(command)
    return command


def _option(setting: Setting, name: str) -> Callable[..., Any]:
    default = f" [{setting.variable}; default: {setting.default or 'none'}]"
    text = setting.meaning.replace("`", "") + default
    if setting.is_flag:
        both = f"{name}/--no-{name.removeprefix('--')}"
        return click.option(both, setting.field, default=None, help=text)
    return click.option(name, setting.field, metavar="VALUE", help=text)


@click.command()
@_setting_options
@click.option("--worker/--no-worker", default=True, help="Whether it carries out jobs as well.")
def serve(*, worker: bool, **options: Any) -> None:
    """Start the server, and a worker for the jobs beside it.

    Every option can be given as an environment variable instead. Secret settings can only be:
    SIPXCONFIG_DATABASE_URL (an own PostgreSQL; without it the embedded one is started),
    SIPXCONFIG_DIRECT_DATABASE_URL (the same around a pooler) and SIPXCONFIG_ADMIN_PIN (the PIN of
    superadmin when that user is created). With _FILE at the end of its name, each of these
    variables names a file that has the value.
    """
    from sipxconfig_soap import server  # noqa: PLC0415 - gunicorn is for this command only

    settings = Settings.load(os.environ, **options)
    logs.setup(settings.log_level, settings.log_format)
    for sentence in remarks(os.environ):
        warn(sentence)
    if settings.domain == DEFAULT_DOMAIN:
        warn(
            f"the SIP domain is the default {DEFAULT_DOMAIN}; phones need the real one: "
            "set SIPXCONFIG_DOMAIN or --domain."
        )
    try:
        server.check_address(settings)
    except server.CannotListen as error:
        raise click.ClickException(f"{error} Choose another address with --bind.") from error
    with database_url(settings, create=True, keep=True) as url:
        made_up = _prepare(settings, url)
        if made_up is not None:
            click.echo(
                f"PIN of {SUPERADMIN}: {made_up}\n"
                "It was made up just now and is not shown again; "
                "sipxconfig-soap admin set-pin sets another."
            )
        if worker:
            warn_of_pooler(settings)
        with beside(options) if worker else nullcontext():
            server.run(
                settings,
                lambda: _build(settings, settings.database_url or url),
                lambda at: _announce(settings, at),
            )


def _prepare(settings: Settings, url: str) -> str | None:
    """See to the schema and the first administrator; return the PIN if one was made up."""
    from sipxconfig_soap.db import Database  # noqa: PLC0415
    from sipxconfig_soap.domain import accounts  # noqa: PLC0415

    database = Database(url, pool_size=1)
    try:
        _see_to_schema(settings, database)
        return database.change(
            lambda connection: accounts.bootstrap(connection, admin_pin=settings.admin_pin)
        )
    finally:
        # Nothing may be open when workers are forked.
        database.dispose()


def _see_to_schema(settings: Settings, database: Database) -> None:
    """Migrate the embedded database; look at an own one, which only "migrate" changes."""
    if settings.database_url is None:
        with database.engine.connect() as connection:
            state = schema.state(connection)
        if state in (schema.State.EMPTY, schema.State.BEHIND):
            schema.upgrade(database.engine)
    require_current(database)


def _build(settings: Settings, url: str) -> Any:
    """The application of one worker process, with a pool of its own."""
    from sipxconfig_soap.db import Database  # noqa: PLC0415
    from sipxconfig_soap.web.app import create_app  # noqa: PLC0415

    return create_app(
        settings,
        Database(url, pool_size=settings.threads, prepare_statements=settings.prepare_statements),
    )


def _announce(settings: Settings, url: str) -> None:
    base = settings.public_url or url.replace("0.0.0.0", "localhost").replace("[::]", "localhost")  # noqa: S104
    click.echo(f"Services: {base}/sipxconfig/services/\nAdministrator: {SUPERADMIN}")
