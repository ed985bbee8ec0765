"""The state of the database schema, and bringing it up to date with Alembic.

The migrations are in the directory ``migrations`` of a checkout and inside an installed package. A
file's name begins with its revision, so the state is known without Alembic, which takes longer to
load than most commands run.
"""

from __future__ import annotations

from enum import Enum
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
import structlog

if TYPE_CHECKING:
    from alembic.config import Config
    from sqlalchemy import Connection, Engine, MetaData

_logger = structlog.stdlib.get_logger(__name__)

LOCK_KEY = 7_370_788_001
"""Key of the advisory lock under which migrations run, one program at a time."""

COMPARISON: dict[str, Any] = {"compare_type": True, "compare_server_default": True}
"""How tables in the database are compared with those in the code."""


class CannotMigrate(Exception):
    """Alembic or a migration refused what it found, and changed nothing; the text says why."""


class State(Enum):
    """How the schema of a database stands to this version of the program."""

    EMPTY = "empty"
    BEHIND = "behind"
    CURRENT = "current"
    AHEAD = "ahead"


def migrations_directory() -> Path:
    """Where the migrations are: in the installed package, else in the checkout."""
    packaged = Path(__file__).parent / "migrations"
    return packaged if packaged.is_dir() else Path(__file__).parents[2] / "migrations"


@lru_cache(maxsize=1)
def revisions() -> tuple[str, ...]:
    """All revisions, the one that this version of the program needs last; read from disk once."""
    files = (migrations_directory() / "versions").glob("[0-9]*.py")
    return tuple(sorted(each.name.partition("_")[0] for each in files))


def head_revision() -> str:
    """The revision that this version of the program needs."""
    return revisions()[-1]


def current_revision(connection: Connection) -> str | None:
    """The revision of the database, None for one without a schema."""
    if connection.scalar(sa.text("SELECT to_regclass('alembic_version')")) is None:
        return None
    found: str | None = connection.scalar(sa.text("SELECT version_num FROM alembic_version"))
    return found


def is_current(connection: Connection) -> bool:
    """Whether the schema is the one this program needs; two small queries."""
    return current_revision(connection) == head_revision()


def state(connection: Connection) -> State:
    """How the schema stands."""
    current = current_revision(connection)
    if current is None:
        return State.EMPTY
    if current == head_revision():
        return State.CURRENT
    return State.BEHIND if current in revisions() else State.AHEAD


def upgrade(engine: Engine) -> None:
    """Bring the schema up to date, waiting for another program that is just doing so.

    Raises:
        CannotMigrate: what is in the tables is in the way, say.
    """
    from alembic import command  # noqa: PLC0415 - see above
    from alembic.util import CommandError  # noqa: PLC0415

    with engine.connect() as connection:
        # Its timeouts are changed on the way, so it must not return to the pool.
        connection.detach()
        config = _config()
        config.attributes["connection"] = connection
        before = current_revision(connection)
        try:
            command.upgrade(config, "head")
        except CommandError as error:
            raise CannotMigrate(str(error)) from error
    _logger.info("schema migrated", before=before, now=head_revision())


def differences(connection: Connection) -> list[str]:
    """What in the database differs from the tables in the code, one text for each."""
    from alembic.autogenerate import compare_metadata  # noqa: PLC0415 - see above
    from alembic.runtime.migration import MigrationContext  # noqa: PLC0415

    context = MigrationContext.configure(connection, opts=COMPARISON)
    return [repr(each) for each in compare_metadata(context, target_metadata())]


def target_metadata() -> MetaData:
    """The tables as the code has them."""
    # Imported late: the look at the revision, which is all that most commands need, goes without.
    import sipxconfig_soap.domain  # noqa: F401, PLC0415 - declares all tables
    from sipxconfig_soap.domain.tables import metadata  # noqa: PLC0415

    return metadata


def _config() -> Config:
    from alembic.config import Config  # noqa: PLC0415 - see above

    config = Config()
    config.set_main_option("script_location", str(migrations_directory()).replace("%", "%%"))
    return config
