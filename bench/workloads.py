"""What is measured, as one table: the requests, and what is to be reached beside the floor.

Also the entities that they find, inserted in bulk. Everything follows from an entity's number, so
that requests can name entities without asking for them, and what is found does not depend on how
many others there are.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import sqlalchemy as sa

from sipxconfig_soap import schema
from sipxconfig_soap.domain import accounts, pins

if TYPE_CHECKING:
    from sipxconfig_soap.embedded import EmbeddedPostgres

NS = "http://www.sipfoundry.org/2007/08/21/ConfigService"
ADMINISTRATOR = "superadmin"
PIN = "1234"

FIRST_USER = 1_000_000  # The userName; the others count up. Aliases begin at twice that.
FIRST_ADDED = 10_000_000  # The userName from which on calls add users.
FIRST_PHONE = 100_000_000_000  # The serial number; the others count up, and then those added.
PHONES = 10_000
LARGE_GROUP = "thousand"  # Has the first 1,000 users.

_REQUESTS = Path(__file__).parents[1] / "tests" / "data" / "requests"
ADD_USER = (_REQUESTS / "06-AddUser.xml").read_text().replace("<userName>223<", "<userName>{n}<")
ADD_PHONE = (_REQUESTS / "17-AddPhone.xml").read_text().replace("000000000002", "{n}")
ADD_PHONE = ADD_PHONE.replace("<userId>221<", f"<userId>{FIRST_USER}<")
"""The documented examples, with ``{n}`` for a name of its own."""

BLOCK = 100_000
"""Numbers of one load: each load begins a block, so that what is added is new."""


@dataclass(frozen=True, slots=True)
class Request:
    """A call of a service; where ``{n}`` stands in its envelope it has a number."""

    service: str
    envelope: str
    first: int = FIRST_ADDED
    count: int = 500 * BLOCK  # Then the numbers begin again; all of them are equally long.

    def number(self, index: int) -> str:
        """The number that comes after so many others."""
        return str(self.first + index % self.count)

    def content(self, index: int) -> bytes:
        """What is posted, with its number."""
        return self.envelope.replace("{n}", self.number(index)).encode()


class Target(NamedTuple):
    """What a figure is, and what it shall reach: the limit is the most, or the least."""

    limit: float
    unit: str
    at_least: bool = False


class Workload(NamedTuple):
    """One line of the table."""

    name: str
    request: Request
    target: Target  # For the rate, or the time, in times the floor's.
    shown_by: Request | None = None  # What a call with the same number has changed.
    long: bool = False  # One connection is enough, and the time grows with the number of users.


def _call(service: str, body: str, *numbers: int) -> Request:
    begin = '<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/" xmlns:con='
    envelope = f'{begin}"{NS}"><e:Body>{body}</e:Body></e:Envelope>'
    return Request(f"{service}Service", envelope, *numbers)


def _find_user(name: str, *numbers: int) -> Request:
    search = f"<search><byUserName>{name}</byUserName></search>"
    return _call("User", f"<con:FindUser>{search}</con:FindUser>", *numbers)


def _find_phone(first: int, *count: int) -> Request:
    search = "<search><bySerialNumber>{n}</bySerialNumber></search>"
    return _call("Phone", f"<con:FindPhone>{search}</con:FindPhone>", first, *count)


BY_NAME = _find_user("{n}", FIRST_USER, 1000)
ALL_USERS = _call("User", "<con:FindUser/>")
_EDIT = _call(
    "User",
    f"<con:ManageUser><search><byGroup>{LARGE_GROUP}</byGroup></search><edit><property>"
    "emailAddress</property><value>{n}@example.org</value></edit></con:ManageUser>",
)
_EDITED = _find_user(str(FIRST_USER + 7))
_ADD_USER = Request("UserService", ADD_USER)
_ADD_PHONE = Request("PhoneService", ADD_PHONE, FIRST_PHONE + PHONES)

_READ = Target(0.7, "of the rate of floor", at_least=True)
_ADD = Target(0.6, "of the rate of floor", at_least=True)
_LIST = Target(1.3, "times the time of floor")
_MANY = Target(8, "times the time of floor")

WORKLOADS = (
    Workload("findUser by name", BY_NAME, _READ),
    Workload("findPhone by serial", _find_phone(FIRST_PHONE, 1000), _READ),
    Workload("findPermission all", _call("Permission", "<con:FindPermission/>"), _READ),
    Workload("getCallGroups", _call("CallGroup", ""), _READ),
    Workload("findUser all", ALL_USERS, _LIST, long=True),
    Workload("manageUser of 1,000", _EDIT, _MANY, _EDITED, long=True),
    Workload("addUser", _ADD_USER, _ADD, _find_user("{n}")),
    Workload("addPhone", _ADD_PHONE, _ADD, _find_phone(_ADD_PHONE.first)),
)

_FIRST_NAMES = ["Albert", "Marie", "Jürgen", "Zoë", "Lise", "Max", "Søren", "Émilie", "Ada"]
_LAST_NAMES = ["Einstein", "Curie", "Müller", "O'Brien", "漢字", "Dirac & Söhne", "Great <> Small"]

_LOAD = f"""
-- The rows are right by construction; checking each reference takes most of the time.
SET LOCAL session_replication_role = replica;
INSERT INTO permissions (name, label, type, default_value, built_in)
SELECT 'perm_' || n, 'Benchmark permission ' || n, 'CALL', n %% 2 = 0, false
FROM generate_series(1, 8) n;
INSERT INTO branches (name) SELECT 'branch-' || n FROM generate_series(0, 9) n;
INSERT INTO user_groups (name) VALUES ('staff'), ('{LARGE_GROUP}')
UNION ALL SELECT 'team-' || n FROM generate_series(0, (%(users)s - 1) / 100) n;
INSERT INTO user_group_permissions (group_id, permission_id, enabled)
SELECT g.id, p.id, NOT p.default_value FROM user_groups g, permissions p
WHERE g.name = 'staff' AND p.name IN ('InternationalDialing', 'RecordSystemPrompts');
INSERT INTO users
    (user_name, pin_hash, last_name, first_name, sip_password, email_address, branch_id)
SELECT ({FIRST_USER} + n)::text, %(hash)s, (%(last)s)[1 + n %% 7], (%(first)s)[1 + n %% 9],
       substr(md5(n::text), 1, 12), CASE WHEN n %% 2 = 0 THEN 'u' || n || '@example.org' END,
       (SELECT id FROM branches WHERE name = 'branch-' || n %% 30)
FROM generate_series(0, %(users)s - 1) n ORDER BY n;
CREATE TEMPORARY TABLE numbered AS SELECT id, user_name::int - {FIRST_USER} AS n
FROM users WHERE user_name <> '{ADMINISTRATOR}';
INSERT INTO names (value, folded, kind, user_id, first_name_folded, last_name_folded)
SELECT user_name, user_name, 'userName', id, lower(first_name), lower(last_name)
FROM users JOIN numbered USING (id) ORDER BY n;
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
SELECT n, 'polycom321', 'Phone of room ' || n, 'polycom4.0.X', n || '.cfg'
FROM generate_series({FIRST_PHONE}, {FIRST_PHONE + PHONES - 1}) n ORDER BY n;
INSERT INTO lines (phone_id, user_id)
SELECT p.id, u.id FROM phones p CROSS JOIN generate_series(0, 1) line
JOIN numbered u ON u.n = (p.id + line) %% %(users)s ORDER BY p.id, line;
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
JOIN numbered u ON u.n = c.id + ring ORDER BY c.id, ring;
"""


def load(postgres: EmbeddedPostgres, name: str, users: int) -> str:
    """Make a database with so many users, and return its URL; takes minutes for a million."""
    execute(postgres.url("postgres"), f"CREATE DATABASE {name}")
    url = postgres.url(name)
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    schema.upgrade(engine)
    names = {"first": _FIRST_NAMES, "last": _LAST_NAMES}
    with engine.begin() as connection:
        accounts.bootstrap(connection, admin_pin=PIN)
        connection.exec_driver_sql(_LOAD, names | {"users": users, "hash": pins.hash_pin(PIN)})
    execute(url, "VACUUM ANALYZE")
    execute(url, "CHECKPOINT")
    return url


def execute(url: str, statement: str) -> None:
    """Run a statement that must not be in a transaction."""
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with engine.connect() as connection:
        connection.exec_driver_sql(statement)
