"""The entities that the workloads find, inserted in bulk.

Everything follows from an entity's number, so that requests can name entities without asking for
them, and what is found does not depend on how many others there are.
"""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg2
import sqlalchemy as sa

from sipxconfig_soap import schema
from sipxconfig_soap.db import Database
from sipxconfig_soap.domain import accounts, pins

ADMINISTRATOR = "superadmin"
PIN = "1234"

FIRST_USER = 1_000_000  # The userName; the others count up. Aliases begin at twice that.
FIRST_ADDED = 70_000_000  # The userName from which on calls add users.
LARGE_GROUP = "thousand"  # Has the first 1,000 users.
PHONES = 10_000

_REQUESTS = Path(__file__).parents[1] / "tests" / "data" / "requests"
ADD_USER = (_REQUESTS / "06-AddUser.xml").read_text().replace("<userName>223<", "<userName>{n}<")
ADD_PHONE = (_REQUESTS / "17-AddPhone.xml").read_text().replace("000000000002", "{n}")
ADD_PHONE = ADD_PHONE.replace("<userId>221<", f"<userId>{FIRST_USER}<")
"""The documented examples, with ``{n}`` for a name of its own."""

_FIRST_NAMES = ["Albert", "Marie", "Jürgen", "Zoë", "Lise", "Max", "Søren", "Émilie", "Ada"]
_LAST_NAMES = ["Einstein", "Curie", "Müller", "O'Brien", "漢字", "Dirac & Söhne", "Great <> Small"]

_LOAD = f"""
-- The rows are right by construction; checking each reference takes most of the time.
SET session_replication_role = replica;
INSERT INTO permissions (name, label, type, default_value, built_in)
SELECT 'perm_' || n, 'Benchmark permission ' || n, 'CALL', n %% 2 = 0, false
FROM generate_series(1, 8) n;
INSERT INTO branches (name) SELECT 'branch-' || n FROM generate_series(0, 9) n;
INSERT INTO user_groups (name) VALUES ('staff'), ('{LARGE_GROUP}');
INSERT INTO user_group_permissions (group_id, permission_id, enabled)
SELECT g.id, p.id, NOT p.default_value FROM user_groups g, permissions p
WHERE g.name = 'staff' AND p.name IN ('InternationalDialing', 'RecordSystemPrompts');
INSERT INTO user_groups (name)
SELECT 'team-' || n FROM generate_series(0, (%(users)s - 1) / 100) n;
INSERT INTO users (user_name, pin_hash, voicemail_pin_hash, last_name, first_name,
                   sip_password, email_address, branch_id)
SELECT ({FIRST_USER} + n)::text, %(hash)s, %(hash)s, (%(last)s)[1 + n %% 7],
       (%(first)s)[1 + n %% 9], substr(md5(n::text), 1, 12),
       CASE WHEN n %% 2 = 0 THEN 'u' || n || '@example.org' END,
       (SELECT id FROM branches WHERE name = 'branch-' || n %% 30)
FROM generate_series(0, %(users)s - 1) n ORDER BY n;
CREATE TEMPORARY TABLE numbered AS SELECT id, user_name::int - {FIRST_USER} AS n, user_name,
    lower(first_name) AS first, lower(last_name) AS last
FROM users WHERE user_name <> '{ADMINISTRATOR}';
INSERT INTO names (value, folded, kind, user_id, first_name_folded, last_name_folded)
SELECT user_name, user_name, 'userName', id, first, last FROM numbered;
INSERT INTO names (value, folded, kind, user_id)
SELECT alias, alias, 'alias', id
FROM numbered, LATERAL (SELECT (2 * {FIRST_USER} + n)::text AS alias) a WHERE n %% 2 = 0;
INSERT INTO user_group_members (entity_id, group_id)
SELECT u.id, g.id FROM numbered u CROSS JOIN LATERAL (VALUES ('team-' || u.n / 100),
    (CASE WHEN u.n %% 10 = 3 THEN 'staff' END), (CASE WHEN u.n < 1000 THEN '{LARGE_GROUP}' END)
) own (name) JOIN user_groups g ON g.name = own.name;
INSERT INTO user_permissions (user_id, permission_id, enabled)
SELECT u.id, p.id, NOT p.default_value FROM numbered u CROSS JOIN permissions p
WHERE u.n %% 5 = 0 AND p.name IN ('900Dialing', 'perm_8');
INSERT INTO phone_groups (name) VALUES ('desks');
INSERT INTO phones (serial_number, model_id, description, device_version, profile_file)
SELECT serial, 'polycom321', 'Phone of room ' || n, 'polycom4.0.X', serial || '.cfg'
FROM generate_series(0, {PHONES - 1}) n, LATERAL (SELECT lpad(n::text, 12, '0') AS serial) s
ORDER BY n;
INSERT INTO lines (phone_id, user_id)
SELECT p.id, u.id FROM phones p CROSS JOIN generate_series(0, 1) line
JOIN numbered u ON u.n = (p.serial_number::int + line) %% %(users)s ORDER BY p.id, line;
INSERT INTO phone_group_members (entity_id, group_id)
SELECT p.id, g.id FROM phones p, phone_groups g;
INSERT INTO call_groups (name, extension, description, enabled)
SELECT 'sales-' || n, (500 + n)::text, 'Sales & more', n %% 2 = 0
FROM generate_series(1, 10) n ORDER BY n;
INSERT INTO names (value, folded, kind, call_group_id)
SELECT name, name, 'name', id FROM call_groups
UNION ALL SELECT extension, extension, 'extension', id FROM call_groups;
INSERT INTO rings (call_group_id, user_id, type, expiration, position)
SELECT c.id, u.id, CASE ring WHEN 0 THEN 'immediate' ELSE 'delayed' END, 10 + ring, ring
FROM call_groups c CROSS JOIN generate_series(0, 3) ring
JOIN numbered u ON u.n = c.extension::int %% 100 + ring ORDER BY c.id, ring;
"""


def load(url: str, users: int) -> None:
    """Make the tables in an empty database and fill them; takes minutes for a million users."""
    database = Database(url, pool_size=1)
    schema.upgrade(database.engine)
    database.change(lambda connection: accounts.bootstrap(connection, admin_pin=PIN))
    database.dispose()
    values = {"users": users, "hash": pins.hash_pin(PIN)}
    execute(url, _LOAD, values | {"first": _FIRST_NAMES, "last": _LAST_NAMES})
    execute(url, "VACUUM ANALYZE")
    execute(url, "CHECKPOINT")


def execute(url: str, statement: str, values: dict[str, Any] | None = None) -> None:
    """Run a statement, or several in one transaction."""
    dsn = sa.make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    with closing(psycopg2.connect(dsn)) as connection, closing(connection.cursor()) as cursor:
        connection.autocommit = True
        cursor.execute(statement, values)
