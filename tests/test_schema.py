"""The constraints of the schema hold against SQL that goes around the rules."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg2
import pytest
import sqlalchemy as sa

from sipxconfig_soap.domain import metadata
from tests.support.system import MAC, System

if TYPE_CHECKING:
    from sipxconfig_soap.db import Database
    from tests.support.soap import Soap


@pytest.fixture
def system(soap: Soap, database: Database) -> System:
    """One of every kind, each with the smallest id of its table but users and groups."""
    system = System(soap, database)
    system.add_permission("Fax")
    system.add_users("1", aliases=["one"], groups=["G"], permissions=["Mobile"], branchName="B")
    ring = {"userName": "1", "type": "delayed", "expiration": 1}
    system.do("addCallGroup", callGroup={"name": "c", "extension": "500", "rings": ring})
    system.do("addParkOrbit", parkOrbit={"name": "p", "extension": "600"})
    system.add_phone(MAC, lines=[{"userId": "1"}], groups=["PG"])
    system.manage_phone(generateProfiles=True)
    return system


USER = "(SELECT id FROM users WHERE user_name = '1')"
NAME = "INSERT INTO names (value, folded, kind, user_id, call_group_id) VALUES"
JOB = "INSERT INTO jobs (kind, serial, target, state, phone_id, attempts, finished) VALUES"
AUDIT = (
    "INSERT INTO audit_log (administrator, address, service, operation, entities, outcome) VALUES"
)
RING = "INSERT INTO rings (call_group_id, user_id, type, expiration, position) VALUES"
LINE = "INSERT INTO lines (phone_id, user_id, external_user_id, registration_server) VALUES"

VIOLATIONS = {
    "pk_names": f"{NAME} ('500', '500', 'alias', {USER}, NULL)",
    "ck_names_one_owner": f"{NAME} ('x', 'x', 'alias', {USER}, 1)",
    "ck_names_one_owner (none)": f"{NAME} ('x', 'x', 'alias', NULL, NULL)",
    "ck_names_not_reserved": f"{NAME} ('~~x', '~~x', 'alias', {USER}, NULL)",
    "ck_names_kind": f"{NAME} ('x', 'x', 'nickname', {USER}, NULL)",
    "fk_names_user_id": f"{NAME} ('x', 'x', 'alias', 999, NULL)",
    "fk_names_call_group_id": f"{NAME} ('x', 'x', 'name', NULL, 999)",
    "fk_users_user_name": "INSERT INTO users (user_name, sip_password) VALUES ('x', 'x')",
    "fk_users_user_name (deleted)": "DELETE FROM names WHERE value = '1'",
    "uq_users_user_name": "UPDATE users SET user_name = '1'",
    "ck_users_sip_password": "UPDATE users SET sip_password = ''",
    "fk_users_branch_id": "UPDATE users SET branch_id = 999",
    "fk_call_groups_name": "UPDATE call_groups SET name = 'x'",
    "fk_call_groups_extension": "UPDATE call_groups SET extension = 'x'",
    "fk_park_orbits_name": "UPDATE park_orbits SET name = 'x'",
    "fk_park_orbits_extension": "UPDATE park_orbits SET extension = 'x'",
    "uq_call_groups_name": "INSERT INTO call_groups (name, enabled) VALUES ('c', true)",
    "uq_park_orbits_extension": (
        "INSERT INTO park_orbits (name, extension, enabled) VALUES ('x', '600', true)"
    ),
    "uq_branches_name": "INSERT INTO branches (name) VALUES ('B')",
    "uq_user_groups_name": "INSERT INTO user_groups (name) VALUES ('G')",
    "uq_phone_groups_name": "INSERT INTO phone_groups (name) VALUES ('PG')",
    "pk_user_group_members": "INSERT INTO user_group_members SELECT * FROM user_group_members",
    "fk_user_group_members_group_id": "UPDATE user_group_members SET group_id = 999",
    "fk_phone_group_members_entity_id": "UPDATE phone_group_members SET entity_id = 999",
    "pk_user_permissions": "INSERT INTO user_permissions SELECT * FROM user_permissions",
    "fk_user_permissions_permission_id": "UPDATE user_permissions SET permission_id = 999",
    "fk_user_group_permissions_group_id": "UPDATE user_group_permissions SET group_id = 999",
    "uq_permissions_name": "UPDATE permissions SET name = 'x'",
    "uq_permissions_label": "UPDATE permissions SET label = 'Fax' WHERE name = 'Mobile'",
    "ck_permissions_type": "UPDATE permissions SET type = 'x'",
    "ck_rings_type": f"{RING} (1, {USER}, 'later', 1, 0)",
    "ck_rings_expiration": f"{RING} (1, {USER}, 'delayed', -1, 0)",
    "fk_rings_user_id": f"{RING} (1, 999, 'delayed', 1, 0)",
    "fk_rings_call_group_id": f"{RING} (999, {USER}, 'delayed', 1, 0)",
    "uq_phones_serial_number": (
        "INSERT INTO phones (serial_number, model_id, profile_file)"
        f" VALUES ('{MAC.upper()}', 'x', 'x')"
    ),
    "uq_phones_profile_file": (
        "INSERT INTO phones (serial_number, model_id, profile_file)"
        " SELECT 'x', 'x', profile_file FROM phones"
    ),
    "ck_lines_internal_or_external": f"{LINE} (1, {USER}, 'x', 'h')",
    "ck_lines_internal_or_external (neither)": f"{LINE} (1, NULL, NULL, NULL)",
    "ck_lines_internal_or_external (half)": f"{LINE} (1, NULL, 'x', NULL)",
    "fk_lines_user_id": f"{LINE} (1, 999, NULL, NULL)",
    "fk_lines_phone_id": f"{LINE} (999, {USER}, NULL, NULL)",
    "uq_jobs_waiting": f"{JOB} ('profiles', 'x', 'x', 'waiting', 1, 0, NULL)",
    "ck_jobs_kind": f"{JOB} ('x', 'x', 'x', 'waiting', 1, 0, NULL)",
    "ck_jobs_state": f"{JOB} ('restart', 'x', 'x', 'x', 1, 0, now())",
    "ck_jobs_attempts": f"{JOB} ('restart', 'x', 'x', 'waiting', 1, -1, NULL)",
    "ck_jobs_finished": f"{JOB} ('restart', 'x', 'x', 'waiting', 1, 0, now())",
    "ck_jobs_finished (never)": f"{JOB} ('restart', 'x', 'x', 'done', 1, 0, NULL)",
    "fk_jobs_phone_id": f"{JOB} ('restart', 'x', 'x', 'waiting', 999, 0, NULL)",
    "ck_audit_log_outcome": f"{AUDIT} ('a', 'b', 'c', 'd', '{{}}', 'x')",
}


@pytest.mark.parametrize("violation", VIOLATIONS)
def test_a_constraint_holds(system: System, violation: str) -> None:
    before = system.dump()
    with (
        pytest.raises(sa.exc.IntegrityError) as caught,
        system.database.engine.begin() as connection,
    ):
        connection.exec_driver_sql(VIOLATIONS[violation])
    assert caught.value.orig is not None
    assert caught.value.orig.diag.constraint_name == violation.partition(" ")[0]
    assert system.dump() == before


REQUIRED = [
    ("users", "user_name"),
    ("users", "sip_password"),
    ("names", "folded"),
    ("names", "kind"),
    ("call_groups", "name"),
    ("call_groups", "enabled"),
    ("park_orbits", "name"),
    ("park_orbits", "enabled"),
    ("permissions", "label"),
    ("permissions", "default_value"),
    ("rings", "user_id"),
    ("rings", "type"),
    ("rings", "position"),
    ("phones", "serial_number"),
    ("phones", "model_id"),
    ("phones", "profile_file"),
    ("lines", "phone_id"),
    ("user_permissions", "enabled"),
    ("branches", "name"),
    ("jobs", "serial"),
    ("jobs", "state"),
    ("audit_log", "administrator"),
    ("audit_log", "entities"),
]


@pytest.mark.parametrize(("table", "column"), REQUIRED)
def test_a_column_is_required(system: System, table: str, column: str) -> None:
    with (
        pytest.raises(sa.exc.IntegrityError) as caught,
        system.database.engine.begin() as connection,
    ):
        connection.exec_driver_sql(f"UPDATE {table} SET {column} = NULL")
    assert isinstance(caught.value.orig, psycopg2.errors.NotNullViolation)


TEXTS = [
    ("users", "first_name"),
    ("users", "voicemail_pin_hash"),
    ("users", "email_address"),
    ("call_groups", "description"),
    ("park_orbits", "music"),
    ("permissions", "description"),
    ("phones", "description"),
    ("lines", "voice_mail"),
    ("branches", "name"),
]


@pytest.mark.parametrize(("table", "column"), TEXTS)
def test_texts_hold_255_characters(system: System, table: str, column: str) -> None:
    with pytest.raises(sa.exc.DataError), system.database.engine.begin() as connection:
        connection.exec_driver_sql(f"UPDATE {table} SET {column} = repeat('x', 256)")


def test_what_belongs_to_an_entity_goes_with_it(system: System) -> None:
    with system.database.engine.begin() as connection:
        for statement in (
            "DELETE FROM users",
            "DELETE FROM call_groups",
            "DELETE FROM park_orbits",
            "DELETE FROM phones",
            "DELETE FROM permissions",
            "DELETE FROM user_groups",
            "DELETE FROM phone_groups",
        ):
            connection.exec_driver_sql(statement)
    left = {name for name, rows in system.dump().items() if rows}
    assert left == {"branches", "jobs"}
    assert system.scalar("SELECT count(*) FROM jobs WHERE phone_id IS NULL") == 1


def test_texts_sort_code_point_by_code_point(system: System) -> None:
    names = ["\U0001f4de", "\uffee", "b", "C", "a", "Z", "ä", "_", "10", "9"]
    with system.database.engine.begin() as connection:
        for name in names:
            connection.execute(
                sa.text("INSERT INTO branches (name) VALUES (:name)"), {"name": name}
            )
        found = connection.exec_driver_sql("SELECT name FROM branches ORDER BY name")
        assert list(found.scalars()) == sorted([*names, "B"])


def test_every_reference_to_an_owner_has_an_index() -> None:
    for table in metadata.sorted_tables:
        leading = {index.columns[0].name for index in table.indexes}
        leading |= {next(iter(table.primary_key.columns)).name}
        for key in table.foreign_keys:
            if key.deferrable is None:
                assert key.parent.name in leading, f"{table.name}.{key.parent.name}"
