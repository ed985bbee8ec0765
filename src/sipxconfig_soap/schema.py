"""The state of the database schema, and bringing it up to date with Alembic.

The migrations are in the directory ``migrations`` of a checkout and inside an installed package.
"""

from __future__ import annotations

from enum import Enum
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
import structlog
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine, MetaData

_logger = structlog.stdlib.get_logger(__name__)

LOCK_KEY = 7_370_788_001
"""Key of the advisory lock under which migrations run, one program at a time."""

COMPARISON: dict[str, Any] = {"compare_type": True, "compare_server_default": True}
"""How tables in the database are compared with those in the code."""


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
def head_revision() -> str:
    """The revision that this version of the program needs; read from disk once."""
    return ScriptDirectory.from_config(_config()).get_current_head() or ""


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
    scripts = ScriptDirectory.from_config(_config())
    known = {script.revision for script in scripts.walk_revisions()}
    return State.BEHIND if current in known else State.AHEAD


def upgrade(engine: Engine) -> None:
    """Bring the schema up to date, waiting for another program that is just doing so."""
    with engine.connect() as connection:
        # Its timeouts are changed on the way, so it must not return to the pool.
        connection.detach()
        config = _config()
        config.attributes["connection"] = connection
        before = current_revision(connection)
        command.upgrade(config, "head")
    _logger.info("schema migrated", before=before, now=head_revision())


def differences(connection: Connection) -> list[str]:
    """What in the database differs from the tables in the code, one text for each."""
    context = MigrationContext.configure(connection, opts=COMPARISON)
    return [repr(each) for each in compare_metadata(context, target_metadata())]


def target_metadata() -> MetaData:
    """The tables as the code has them."""
    # Imported late: the look at the revision, which is all that most commands need, goes without.
    import sipxconfig_soap.domain  # noqa: F401, PLC0415 - declares all tables
    from sipxconfig_soap.domain.tables import metadata  # noqa: PLC0415

    return metadata


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(migrations_directory()).replace("%", "%%"))
    return config
