"""``sipxconfig-soap serve``."""

from __future__ import annotations

import os
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import click
import structlog

from sipxconfig_soap import logs, schema
from sipxconfig_soap.cli.admin import SUPERADMIN, ensure_superadmin
from sipxconfig_soap.cli.database import database_url, require_current, require_utf8, wait_for
from sipxconfig_soap.cli.output import warn
from sipxconfig_soap.cli.watching import watched
from sipxconfig_soap.cli.worker import beside, warn_of_pooler, warn_of_profile_root
from sipxconfig_soap.directories import temporary_directory
from sipxconfig_soap.listening import CannotListen, check_address
from sipxconfig_soap.management import ServerHealth
from sipxconfig_soap.settings import (
    DEFAULT_DOMAIN,
    SETTINGS,
    Setting,
    Settings,
    is_given,
    remarks,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from sipxconfig_soap.db import Database
    from sipxconfig_soap.sending import Application


_logger = structlog.stdlib.get_logger(__name__)

TEST_SERVICE_IS_ON = (
    "TestService is on: administrators can empty the system with it; "
    "SIPXCONFIG_TEST_SERVICE=false takes it away"
)


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
    from sipxconfig_soap.db import Database  # noqa: PLC0415

    settings = Settings.load(os.environ, **options)
    logs.setup(settings.log_level, settings.log_format)
    for sentence in remarks(os.environ):
        warn(sentence)
    if not is_given("domain", os.environ, options["domain"]):
        warn(
            f"the SIP domain is the default {DEFAULT_DOMAIN}; phones need the real one: "
            "set SIPXCONFIG_DOMAIN or --domain."
        )
    try:
        check_address(settings)
    except CannotListen as error:
        raise click.ClickException(
            f"{error} Choose another address with {error.option}."
        ) from error
    temporary_directory()  # gunicorn needs one
    with database_url(settings, create=True, keep=True) as url:
        _prepare(settings, url)
        _tell_of_test_service(settings)
        if worker:
            warn_of_pooler(settings)
            warn_of_profile_root(settings)
        health = ServerHealth()
        # For who watches; it connects when somebody does.
        database = Database(url, pool_size=1, prepare_statements=False)
        with watched(settings, database, health), beside(options) if worker else nullcontext():
            server.run(
                settings,
                _builder(settings, settings.database_url or url, worker=worker),
                lambda at: _announce(settings, at, health),
            )


def _tell_of_test_service(settings: Settings) -> None:
    if not settings.test_service:
        _logger.info("TestService is off")
    elif settings.database_url is None:
        _logger.info(TEST_SERVICE_IS_ON)
    else:
        # What is in an own PostgreSQL is meant to stay.
        _logger.warning(TEST_SERVICE_IS_ON)


def _prepare(settings: Settings, url: str) -> None:
    """See to the schema, the first administrator, and what SIP servers read of the settings."""
    from sipxconfig_soap.db import Database  # noqa: PLC0415
    from sipxconfig_soap.domain.rules import Rules  # noqa: PLC0415
    from sipxconfig_soap.domain.sip import publish_domains  # noqa: PLC0415 - loads the tables

    rules = Rules.from_settings(settings)

    database = Database(url, pool_size=1)
    try:
        wait_for(database, settings.database_wait)
        _see_to_schema(settings, database)
        ensure_superadmin(database, settings)
        database.change(lambda connection: publish_domains(connection, rules))
    finally:
        # Nothing may be open when workers are forked.
        database.dispose()


def _see_to_schema(settings: Settings, database: Database) -> None:
    """Migrate the embedded database; look at an own one, which only "migrate" changes."""
    with database.engine.connect() as connection:
        require_utf8(connection)
    if settings.database_url is None:
        with database.engine.connect() as connection:
            state = schema.state(connection)
        if state in (schema.State.EMPTY, schema.State.BEHIND):
            schema.upgrade(database.engine)
    require_current(database)


def _builder(settings: Settings, url: str, *, worker: bool) -> Callable[[], Application]:
    """What makes the application of one web worker, with a pool of its own.

    The modules are loaded here, once for all web workers, which are forks of this process. Each
    would take a quarter of a second for them, and 20 MiB.
    """
    from sipxconfig_soap import metrics  # noqa: PLC0415 - the directory is set by now
    from sipxconfig_soap.db import Database  # noqa: PLC0415
    from sipxconfig_soap.web.app import create_app  # noqa: PLC0415

    def build() -> Application:
        prepare, threads = settings.prepare_statements, settings.threads
        database = Database(url, pool_size=threads, prepare_statements=prepare)
        if settings.management_bind is not None:
            metrics.watch(database, threads)
        return create_app(settings, database, worker=worker)

    return build


def _announce(settings: Settings, url: str, health: ServerHealth) -> None:
    health.url = url
    # What is behind a Unix socket is the proxy's to say.
    local = url.replace("0.0.0.0", "localhost").replace("[::]", "localhost")  # noqa: S104
    base = settings.public_url or local
    click.echo(f"Services: {base}/sipxconfig/services/\nAdministrator: {SUPERADMIN}")
