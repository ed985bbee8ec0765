"""The program and its commands; every failure that an administrator can mend is one sentence."""

from __future__ import annotations

import codecs
import io
import signal
import sys
from typing import TYPE_CHECKING, Any

import click
from sqlalchemy.exc import DBAPIError

from sipxconfig_soap import __version__
from sipxconfig_soap.cli.admin import admin
from sipxconfig_soap.cli.compare import compare
from sipxconfig_soap.cli.database import explain
from sipxconfig_soap.cli.doctor import doctor
from sipxconfig_soap.cli.import_legacy import import_legacy
from sipxconfig_soap.cli.jobs import jobs
from sipxconfig_soap.cli.listings import audit
from sipxconfig_soap.cli.migrate import migrate
from sipxconfig_soap.cli.profiles import profile, profiles
from sipxconfig_soap.cli.serve import serve
from sipxconfig_soap.cli.sheets import phones, users
from sipxconfig_soap.cli.sip_role import sip_role
from sipxconfig_soap.cli.worker import worker
from sipxconfig_soap.cli.wsdl import wsdl
from sipxconfig_soap.directories import NoTemporaryDirectory
from sipxconfig_soap.embedded import EmbeddedError
from sipxconfig_soap.errors import Unavailable
from sipxconfig_soap.schema import CannotMigrate
from sipxconfig_soap.settings import SettingsError

if TYPE_CHECKING:
    from types import FrameType


class _Program(click.Group):
    """Turns the exceptions that the commands share into messages without a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        signal.signal(signal.SIGTERM, _leave)
        _escape_what_stdout_cannot_hold()
        try:
            return super().invoke(ctx)
        except (
            CannotMigrate,
            EmbeddedError,
            NoTemporaryDirectory,
            SettingsError,
        ) as error:
            raise click.ClickException(str(error)) from error
        except (DBAPIError, Unavailable) as error:
            raise click.ClickException(explain(error)) from error
        except UnicodeEncodeError as error:
            # Bytes of an argument or of the input, which Python keeps in its own way.
            if error.reason != "surrogates not allowed":
                raise
            raise click.ClickException("What was given is no text in UTF-8.") from None


@click.group(cls=_Program, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def main() -> None:
    """The sipXconfig SOAP API.

    Settings are environment variables named SIPXCONFIG_...; "serve --help" lists them.
    """


def _escape_what_stdout_cannot_hold() -> None:
    """Names may have characters that the encoding of a terminal or of a file lacks."""
    stdout = sys.stdout
    if isinstance(stdout, io.TextIOWrapper) and codecs.lookup(stdout.encoding).name != "utf-8":
        stdout.reconfigure(errors="backslashreplace")


def _leave(_signal: int, _frame: FrameType | None) -> None:
    """End on SIGTERM as on an exception, so that the embedded PostgreSQL is stopped."""
    sys.exit(128 + signal.SIGTERM)


for _command in (
    *(serve, worker, migrate, import_legacy, admin, wsdl, jobs, profile, profiles, audit, doctor),
):
    main.add_command(_command)
for _command in (users, phones, compare, sip_role):
    main.add_command(_command)
