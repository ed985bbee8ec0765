"""What SIP servers read: the domains that the views tell of, and the roles that may read (sip.md).

The views of the schema ``sip`` and the triggers that tell of changes are made by a migration, so
that nothing that changes a table can forget them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from psycopg2.extensions import encrypt_password

from sipxconfig_soap.domain.tables import metadata, text, text_type

if TYPE_CHECKING:
    from sipxconfig_soap.domain.rules import Rules

CHANNEL = "sipxconfig_changes"
"""Where PostgreSQL tells of changes."""

ROLE_BYTES = 63
"""The longest name of a role; PostgreSQL cuts longer ones."""

sip_domains = sa.Table(
    "sip_domains",
    metadata,
    sa.Column("domain", text_type(), primary_key=True),
    text("realm", nullable=False),
    sa.Column("main", sa.Boolean, nullable=False),
)

_one_main = sa.Index(
    "uq_sip_domains_main", sip_domains.c.main, unique=True, postgresql_where=sa.text("main")
)


def publish_domains(connection: sa.Connection, rules: Rules) -> None:
    """Let the views tell of these domains and this realm, which only the settings know."""
    names = dict.fromkeys(rules.domain_aliases, False) | {rules.domain: True}
    wanted = {(name, rules.realm, main) for name, main in names.items()}
    if set(map(tuple, connection.execute(sa.select(sip_domains)))) != wanted:
        connection.execute(sip_domains.delete())
        rows = [dict(zip(sip_domains.c.keys(), each, strict=True)) for each in sorted(wanted)]
        connection.execute(sip_domains.insert(), rows)


def main_domain(connection: sa.Connection) -> str | None:
    """The SIP domain that the views tell of; None before a server has started."""
    found = sa.select(sip_domains.c.domain).where(sip_domains.c.main)
    return connection.execute(found).scalar()


def is_role(connection: sa.Connection, role: str) -> bool:
    """Whether there is a role of this name."""
    found = sa.text("SELECT FROM pg_roles WHERE rolname = :role")
    return connection.execute(found, {"role": role}).first() is not None


def create_role(connection: sa.Connection, role: str) -> None:
    """Create a role that may log in, and nothing else."""
    connection.exec_driver_sql(f"CREATE ROLE {_quoted(connection, role)} LOGIN")


def set_password(connection: sa.Connection, role: str, password: str) -> None:
    """Set the password of a role; PostgreSQL and its log see no more than its hash."""
    driver: Any = connection.connection.driver_connection
    hashed = encrypt_password(password, role, driver, "scram-sha-256")
    # A hash has no quotes, and an utility statement no parameters.
    connection.exec_driver_sql(f"ALTER ROLE {_quoted(connection, role)} PASSWORD '{hashed}'")


def let_read(connection: sa.Connection, role: str) -> None:
    """Let a role read the views, those too that a later migration makes anew."""
    name = _quoted(connection, role)
    connection.exec_driver_sql(f"GRANT USAGE ON SCHEMA sip TO {name}")
    connection.exec_driver_sql(f"GRANT SELECT ON ALL TABLES IN SCHEMA sip TO {name}")
    connection.exec_driver_sql(
        f"ALTER DEFAULT PRIVILEGES IN SCHEMA sip GRANT SELECT ON TABLES TO {name}"
    )


def what_else(connection: sa.Connection, role: str) -> str | None:
    """A table that a role may read or change though it is for the views alone; None without one.

    By rights of its own, or by those of a role that it may turn into by SET ROLE (sip.md §1).
    """
    names = sorted({*metadata.tables, "alembic_version"})
    found = sa.text("""
        SELECT name FROM unnest(CAST(:names AS text[])) name
        JOIN pg_roles ON pg_has_role(:role, pg_roles.oid, 'MEMBER')
        WHERE has_table_privilege(
            pg_roles.oid, name, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE, TRIGGER'
        )
        OR has_any_column_privilege(pg_roles.oid, name, 'SELECT, INSERT, UPDATE')
        ORDER BY name LIMIT 1
    """)
    return connection.execute(found, {"names": names, "role": role}).scalar()


def _quoted(connection: sa.Connection, role: str) -> str:
    return connection.dialect.identifier_preparer.quote_identifier(role)
