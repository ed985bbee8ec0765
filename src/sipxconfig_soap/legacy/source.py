"""Reading a database of sipXconfig (migration.md §1): read-only, one snapshot, row by row."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy import exc

from sipxconfig_soap.logs import escape

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

RELEASES = {10: "4.0.2", 11: "4.1.8", 12: "4.4.0", 13: "4.6.0 or later"}
"""Versions of the schema, and the first release that had each."""

CLEAR_PINS = 13
"""From this version of the schema on PINs are kept in clear text, and e-mail addresses in MongoDB;
before, PINs are tokens, and addresses are in the database."""

NEEDED = {
    "version_history": "version",
    "setting_value": "value_storage_id path value",
    "group_storage": "group_id name resource weight",
    "permission": "permission_id label description default_value",
    "domain": "domain_id name",
    "users": "user_id user_name first_name last_name pintoken sip_password value_storage_id",
    "user_alias": "user_id alias",
    "user_group": "user_id group_id",
    "call_group": "call_group_id name extension description enabled",
    "user_ring": "user_ring_id call_group_id user_id position expiration ring_type",
    "park_orbit": "park_orbit_id orbit_type name extension description enabled music",
    "phone": "phone_id serial_number model_id description value_storage_id",
    "phone_group": "phone_id group_id",
    "line": "line_id phone_id position user_id value_storage_id",
}
"""Tables and columns that every release has; without them it is none, or a part of one."""

PIECE = 1000
"""Rows that are fetched at a time."""

CONNECT_TIMEOUT = 10
"""Seconds to wait for a connection to be made."""


class SourceError(Exception):
    """The source cannot be read; the text is one sentence for the administrator."""


@dataclass(frozen=True, slots=True)
class Domain:
    """What the source says of its SIP domain; None and empty where it says nothing.

    Attributes:
        name: of the domain.
        realm: which PIN tokens are made with.
        aliases: its other names, in alphabetical order.
    """

    name: str | None
    realm: str | None
    aliases: tuple[str, ...]


class Source:
    """An open database of sipXconfig.

    Args:
        connection: in the one transaction in which everything is read.

    Attributes:
        tables: the types of the columns of all tables, by table and column.
        version: of the schema, one of `RELEASES`.

    Raises:
        SourceError: it is no database of sipXconfig, or one of an unknown release.
    """

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection
        self.tables = self._read_tables()
        self.version = self._read_version()

    def _read_tables(self) -> Mapping[str, Mapping[str, str]]:
        # Of pg_catalog, since information_schema hides what a role may not read.
        columns = sa.text(
            "SELECT c.relname, a.attname, format_type(a.atttypid, NULL) FROM pg_class c"
            " JOIN pg_namespace n ON n.oid = c.relnamespace"
            " JOIN pg_attribute a ON a.attrelid = c.oid"
            " WHERE n.nspname = current_schema() AND c.relkind IN ('r', 'p')"
            " AND a.attnum > 0 AND NOT a.attisdropped"
        )
        tables: dict[str, dict[str, str]] = {}
        for table, column, kind in self.rows(columns):
            tables.setdefault(table, {})[column] = kind
        return tables

    def _read_version(self) -> int:
        if "version_history" not in self.tables or "users" not in self.tables:
            raise SourceError("The source is not a database of sipXconfig.")
        missing = [
            f"{table}.{column}"
            for table, columns in NEEDED.items()
            for column in columns.split()
            if column not in self.tables.get(table, ())
        ]
        if missing:
            raise SourceError(f"The source is not complete: there is no {', '.join(missing)}.")
        newest = sa.select(sa.func.max(self.table("version_history").c.version))
        ((version,),) = self.rows(newest)
        if version not in RELEASES:
            known = ", ".join(f"{number} ({name})" for number, name in RELEASES.items())
            raise SourceError(
                f"The source has schema version {version or 'none'}, which is not known; known"
                f" are {known}. Let sipXecs itself bring older ones to 4.0.2 or later first."
            )
        return int(version)

    @property
    def release(self) -> str:
        """The first release that had this version."""
        return RELEASES[self.version]

    @property
    def has_clear_pins(self) -> bool:
        """Whether PINs are kept in clear text, and e-mail addresses elsewhere."""
        return self.version >= CLEAR_PINS

    def table(self, name: str) -> sa.TableClause:
        """A table with the columns that it has in this release."""
        return sa.table(name, *(sa.column(each) for each in self.tables[name]))

    def column(self, table: sa.FromClause, name: str) -> sa.ColumnElement[Any]:
        """A column that not every release has; null where it is missing."""
        return table.c[name] if name in table.c else sa.null().label(name)

    def rows(self, statement: sa.Executable) -> Iterator[Any]:
        """The rows of a statement, from a server-side cursor; several can be read at once.

        Raises:
            SourceError: also while rows are being fetched.
        """
        with _explained():
            yield from self._connection.execute(statement, execution_options={"yield_per": PIECE})

    def count(self, statement: sa.Select[Any]) -> int:
        """How many rows a statement has."""
        ((number,),) = self.rows(sa.select(sa.func.count()).select_from(statement.subquery()))
        return int(number)

    def domain(self) -> Domain:
        """The SIP domain."""
        domain = self.table("domain")
        statement = sa.select(
            domain.c.domain_id, domain.c.name, self.column(domain, "sip_realm")
        ).order_by(domain.c.domain_id)
        found = next(iter(list(self.rows(statement))), None)
        if found is None:
            return Domain(None, None, ())
        domain_id, name, realm = found
        aliases: Sequence[str] = ()
        if "domain_alias" in self.tables:
            alias = self.table("domain_alias")
            of_domain = sa.select(alias.c.alias).where(alias.c.domain_id == domain_id)
            aliases = [each for (each,) in self.rows(of_domain) if each]
        return Domain(name or None, realm or name or None, tuple(sorted(aliases)))


@contextmanager
def open_source(url: str) -> Iterator[Source]:
    """Open a database of sipXconfig, read-only; all that is read is one snapshot.

    Args:
        url: of the database, ``postgresql://user:password@host/SIPXCONFIG``.

    Raises:
        SourceError: it cannot be reached or read, or is none of a known release.
    """
    engine = sa.create_engine(
        sa.make_url(url).set(drivername="postgresql+psycopg2"),
        poolclass=sa.NullPool,
        hide_parameters=True,
        isolation_level="REPEATABLE READ",
        connect_args={
            "connect_timeout": CONNECT_TIMEOUT,
            # A host that vanished is noticed within a minute.
            "keepalives_idle": 30,
            "keepalives_interval": 10,
            "keepalives_count": 3,
            "application_name": "sipxconfig-soap import-legacy",
            "client_encoding": "utf8",
        },
    ).execution_options(postgresql_readonly=True)
    with ExitStack() as stack:
        stack.callback(engine.dispose)
        with _explained():
            connection = engine.connect()
            stack.callback(_close, connection)
            # PINs are hashed between two pieces of a list, which takes its time.
            for limit in ("statement_timeout", "idle_in_transaction_session_timeout"):
                known = sa.text("SELECT 1 FROM pg_settings WHERE name = :name")
                if connection.execute(known, {"name": limit}).first():
                    connection.exec_driver_sql(f"SET {limit} TO 0")
        yield Source(connection)


def _close(connection: sa.Connection) -> None:
    """Let go of a source; what has been read is read, even if it is gone meanwhile."""
    with suppress(exc.DBAPIError):
        connection.close()


@contextmanager
def _explained() -> Iterator[None]:
    """Turn what can go wrong with a database into one sentence, which has no password."""
    try:
        yield
    except exc.DBAPIError as error:
        lines = str(error.orig).strip().splitlines() or ["no reason given"]
        reason = escape(lines[0]).strip().rstrip(".")
        raise SourceError(f"The source cannot be read: {reason}.") from error
    except UnicodeDecodeError as error:
        raise SourceError(
            "The source cannot be read: it holds text that is not in the encoding of its database."
        ) from error
