"""The entities that the workloads find, inserted in bulk, and tidying up after those that write.

Everything follows from an entity's number, so that a larger set begins with the smaller one and
requests can name entities without asking for them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg2
import sqlalchemy as sa

from bench.request import PIN
from sipxconfig_soap import schema
from sipxconfig_soap.db import Database
from sipxconfig_soap.domain import accounts, pins

if TYPE_CHECKING:
    from collections.abc import Sequence

FIRST_USER = 1_000_000
"""The userName of the first user; the others count up. Aliases begin at twice that."""

FIRST_ADDED = 70_000_000
"""Where workloads begin to count that add something; `tidy` removes all from here on."""

GROUP_SIZE = 100
"""Users of each group ``team-…``."""

LARGE_GROUP = "thousand"
"""A group with the first 1,000 users."""

RARE_NAME = "Zuckerhut"
"""The last name of exactly ten users, all among the first 1,000."""

PHONES = 10_000
CALL_GROUPS = 10
RINGS = 4

_FIRST_NAMES = (
    *("Albert", "Marie", "Jürgen", "Zoë", "Lise", "Max", "Emmy", "Niels", "Ada", "Søren", "Grace"),
    *("Ludwig", "Chien-Shiung", "Émilie", "Werner", "Rosalind", "Paul", "Irène", "Enrico"),
)
_LAST_NAMES = (
    *("Einstein", "Curie", "Müller", "O'Brien", "Meitner", "Planck", "Noether", "Bohr", "漢字"),
    *("Lovelace", "Kierkegaard", "Hopper", "Boltzmann", "Wu", "Châtelet", "Heisenberg", "Franklin"),
    *("Dirac & Söhne", "Joliot", "Fermi", "Great <> Small", "van der Waals", "Schrödinger"),
)

_ADD_PERMISSIONS = """
    INSERT INTO permissions (name, label, type, default_value, built_in)
    SELECT 'perm_' || n, 'Benchmark permission ' || n, 'CALL', n %% 2 = 0, false
    FROM generate_series(1, 8) n
"""

_ADD_GROUPS = (
    "INSERT INTO branches (name) SELECT 'branch-' || n FROM generate_series(0, 9) n",
    f"INSERT INTO user_groups (name) VALUES ('staff'), ('{LARGE_GROUP}')",
    """
    INSERT INTO user_group_permissions (group_id, permission_id, enabled)
    SELECT g.id, p.id, NOT p.default_value FROM user_groups g, permissions p
    WHERE g.name = 'staff' AND p.name IN ('InternationalDialing', 'RecordSystemPrompts')
    """,
)

_ADD_USERS = (
    """
    INSERT INTO user_groups (name)
    SELECT 'team-' || lpad(n::text, 5, '0') FROM generate_series(%(first)s / 100, %(last)s / 100) n
    ON CONFLICT DO NOTHING
    """,
    f"""
    INSERT INTO users (user_name, pin_hash, voicemail_pin_hash, last_name, first_name,
                       sip_password, email_address, branch_id)
    SELECT ({FIRST_USER} + n)::text, %(hash)s, %(hash)s, last, first,
           substr(md5(n::text), 1, 12),
           CASE WHEN n %% 2 = 0 THEN 'u' || n || '@example.org' END,
           (SELECT id FROM branches WHERE name = 'branch-' || n %% 30)
    FROM generate_series(%(first)s, %(last)s) n,
    LATERAL (SELECT (%(firsts)s)[1 + n %% array_length(%(firsts)s, 1)] AS first,
                    CASE WHEN n < 1000 AND n %% 100 = 7 THEN '{RARE_NAME}'
                         ELSE (%(lasts)s)[1 + n / 3 %% array_length(%(lasts)s, 1)] END AS last) name
    ORDER BY n
    """,
    f"""
    INSERT INTO names (value, folded, kind, user_id, first_name_folded, last_name_folded)
    SELECT user_name, user_name, 'userName', id, lower(first_name), lower(last_name) FROM users
    WHERE user_name BETWEEN ({FIRST_USER} + %(first)s)::text AND ({FIRST_USER} + %(last)s)::text
    """,
    f"""
    INSERT INTO names (value, folded, kind, user_id)
    SELECT alias, alias, 'alias', id
    FROM users, LATERAL (SELECT (user_name::int + {FIRST_USER})::text AS alias) a
    WHERE user_name BETWEEN ({FIRST_USER} + %(first)s)::text AND ({FIRST_USER} + %(last)s)::text
    AND user_name::int %% 2 = 0
    """,
    f"""
    INSERT INTO user_group_members (entity_id, group_id)
    SELECT u.id, g.id
    FROM (SELECT id, user_name::int - {FIRST_USER} AS n FROM users WHERE user_name BETWEEN
          ({FIRST_USER} + %(first)s)::text AND ({FIRST_USER} + %(last)s)::text) u
    JOIN user_groups g ON g.name = 'team-' || lpad((u.n / {GROUP_SIZE})::text, 5, '0')
         OR (g.name = 'staff' AND u.n %% 10 = 3) OR (g.name = '{LARGE_GROUP}' AND u.n < 1000)
    """,
    f"""
    INSERT INTO user_permissions (user_id, permission_id, enabled)
    SELECT u.id, p.id, NOT p.default_value
    FROM users u CROSS JOIN permissions p
    WHERE u.user_name BETWEEN ({FIRST_USER} + %(first)s)::text AND ({FIRST_USER} + %(last)s)::text
    AND u.user_name::int %% 5 = 0 AND p.name IN ('900Dialing', 'perm_8')
    """,
)

_ADD_PHONES = (
    "INSERT INTO phone_groups (name) VALUES ('desks')",
    f"""
    INSERT INTO phones (serial_number, model_id, description, device_version, profile_file)
    SELECT serial, 'polycom321', 'Phone of room ' || n, 'polycom4.0.X', serial || '.cfg'
    FROM generate_series(0, {PHONES - 1}) n, LATERAL (SELECT lpad(n::text, 12, '0') AS serial) s
    ORDER BY n
    """,
    f"""
    INSERT INTO lines (phone_id, user_id)
    SELECT p.id, u.id FROM phones p CROSS JOIN generate_series(0, 1) line
    JOIN users u ON u.user_name = ({FIRST_USER} + (p.serial_number::int + line) %% %(users)s)::text
    ORDER BY p.id, line
    """,
    """
    INSERT INTO phone_group_members (entity_id, group_id)
    SELECT p.id, g.id FROM phones p, phone_groups g
    """,
)

_ADD_CALL_GROUPS = (
    f"""
    INSERT INTO call_groups (name, extension, description, enabled)
    SELECT 'sales-' || n, (500 + n)::text, 'Sales & more', n %% 2 = 0
    FROM generate_series(1, {CALL_GROUPS}) n ORDER BY n
    """,
    """
    INSERT INTO names (value, folded, kind, call_group_id)
    SELECT name, name, 'name', id FROM call_groups
    UNION ALL SELECT extension, extension, 'extension', id FROM call_groups
    """,
    f"""
    INSERT INTO rings (call_group_id, user_id, type, expiration, position)
    SELECT c.id, u.id, CASE ring WHEN 0 THEN 'immediate' ELSE 'delayed' END, 10 + ring, ring
    FROM call_groups c CROSS JOIN generate_series(0, {RINGS - 1}) ring
    JOIN users u ON u.user_name = ({FIRST_USER} + c.extension::int %% 100 + ring)::text
    ORDER BY c.id, ring
    """,
)

_TIDY = (
    "TRUNCATE audit_log, jobs",
    f"DELETE FROM phones WHERE serial_number ~ '^[0-9]+$' AND serial_number::bigint >= {PHONES}",
    "DELETE FROM phone_groups WHERE name = 'FirstPhoneGroup'",
    # By the index, as there may be a million users.
    f"DELETE FROM users WHERE user_name BETWEEN '{FIRST_ADDED}' AND '9'",
    "DELETE FROM user_groups WHERE name = 'Managers'",
    "DELETE FROM branches WHERE name = 'Berlin'",
)


class Store:
    """The database of the benchmark, as its superuser sees it.

    Attributes:
        users: how many users of the benchmark are stored.
    """

    def __init__(self, url: str) -> None:
        """Create the schema and what every system has."""
        database = Database(url, pool_size=1)
        schema.upgrade(database.engine)
        with database.session() as session:
            session.write(lambda connection: accounts.bootstrap(connection, admin_pin=PIN))
        database.dispose()
        self.users = 0
        self._hash = pins.hash_pin(PIN)
        self._connection: Any = psycopg2.connect(dsn_of(url))
        self._connection.autocommit = True
        self._run([_ADD_PERMISSIONS, *_ADD_GROUPS])

    def close(self) -> None:
        """Let go of the database."""
        self._connection.close()

    def grow(self, users: int) -> None:
        """See to it that at least so many users are stored, and phones and call groups of them."""
        if users <= self.users:
            return
        first_time = self.users == 0
        self._run(
            _ADD_USERS,
            first=self.users,
            last=users - 1,
            hash=self._hash,
            firsts=list(_FIRST_NAMES),
            lasts=list(_LAST_NAMES),
        )
        if first_time:
            self._run([*_ADD_PHONES, *_ADD_CALL_GROUPS], users=users)
        self.users = users
        self._run(["VACUUM ANALYZE", "CHECKPOINT"])

    def tidy(self) -> None:
        """Remove what workloads have added."""
        self._run([*_TIDY, "VACUUM ANALYZE users, names, phones, lines, user_permissions"])

    def _run(self, statements: Sequence[str], **values: object) -> None:
        with self._connection.cursor() as cursor:
            # The rows are right by construction; checking each reference takes most of the time.
            cursor.execute("SET session_replication_role = replica")
            for statement in statements:
                if statement in _TIDY:
                    cursor.execute("SET session_replication_role = origin")
                cursor.execute(statement, values)


def dsn_of(url: str) -> str:
    """The URL as psycopg2 takes it."""
    return sa.make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
