"""Old systems whose tables hold what their programs would not have written.

A dump that was mended by hand, restored without its constraints, or upgraded five times: every row
is taken over or told of, and none stops the others (docs/spec/migration.md §9).
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from sipxconfig_soap.jobs import snapshots
from sipxconfig_soap.legacy.source import SourceError, open_source
from tests.support.databases import created_database
from tests.support.legacy import GENERATIONS, LAST_TOKENS, NEWEST, Legacy, token
from tests.support.system import LONGEST, MAC, System

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from sipxconfig_soap.embedded import EmbeddedPostgres
    from tests.support.imports import Importer

    Make = Callable[..., Legacy]

GONE = 999_999
"""A number that nothing has."""


def loosen(old: Legacy, *columns: str) -> None:
    """Let columns be null, as in a dump that was mended by hand."""
    for column in columns:
        table, name = column.split(".")
        old.execute(f"ALTER TABLE {table} ALTER COLUMN {name} DROP NOT NULL")


@GENERATIONS
def test_what_has_no_name_is_refused(
    system: System, importer: Importer, make_legacy: Make, version: int
) -> None:
    old = make_legacy(version)
    loosen(old, "users.user_name", "phone.serial_number", "phone.model_id")
    loosen(old, "permission.default_value", "park_orbit.orbit_type", "setting_value.value")
    old.execute("ALTER TABLE user_alias DROP CONSTRAINT user_alias_pkey")
    loosen(old, "user_alias.user_id", "user_alias.alias")
    user = old.user("200", settings={"permission/call-handling/Mobile": None})  # type: ignore[dict-item]
    old.row("users", user_id=5, user_name=None, pintoken="1234", user_type="C")
    old.row("users", user_id=6, user_name=" ", pintoken=None, user_type="C")
    old.row("user_alias", user_id=5, alias="500")
    old.row("user_alias", user_id=user, alias=None)
    old.row("phone", phone_id=7, serial_number=None, model_id="polycom331")
    old.row("phone", phone_id=8, serial_number=MAC, model_id=None)
    old.line(7, user)
    old.line(8, user)
    old.line(8)
    old.row("permission", permission_id=9, label="Door", default_value=None)
    old.park_orbit("lost", "700", orbit_type=None)
    old.row("group_storage", group_id=10, name=None, resource="user", weight=None)
    old.row("group_storage", group_id=11, name="no resource", resource=None, weight=None)
    outcome = importer.run(old)
    assert system.user_names() == ["200", "superadmin"]
    assert [code for _, code, _ in outcome.found("users", "refused")] == ["required", "required"]
    assert outcome.counts("users") == (3, 1, 0, 2)
    assert outcome.counts("aliases") == (2, 0, 0, 2)
    assert outcome.counts("phones") == (2, 0, 0, 2)
    assert outcome.counts("lines") == (3, 0, 0, 3)
    assert outcome.counts("user groups") == (1, 0, 0, 1)
    assert outcome.counts("permission values") == (1, 0, 0, 1)
    (door,) = system.do("findPermission", search={"byLabel": "Door"})
    assert door["defaultValue"] == "false"
    assert system.do("getParkOrbits") == []


def test_what_belongs_to_users_who_are_gone_is_told(
    system: System, importer: Importer, make_legacy: Make
) -> None:
    old = make_legacy()
    user = old.user("200")
    phone = old.phone(MAC)
    old.line(phone, GONE)
    old.line(phone, user, 1)
    old.line(GONE, user)
    old.line(GONE)
    old.call_group("sales", "500", (GONE, {}), (user, {}))
    old.row("user_ring", user_ring_id=1, call_group_id=GONE, user_id=user)
    old.row("user_alias", user_id=GONE, alias="900")
    old.row("user_group", user_id=GONE, group_id=GONE)
    old.row("user_group", user_id=user, group_id=GONE)
    old.row("phone_group", phone_id=phone, group_id=GONE)
    outcome = importer.run(old)
    assert outcome.counts("lines") == (2, 1, 0, 1)
    assert outcome.found("lines") == [(MAC, "unknownUser", "userName")]
    assert system.line_users() == ["200"]
    assert outcome.counts("rings") == (2, 1, 0, 1)
    assert outcome.found("rings") == [(f"sales, number {GONE}", "unknownUser", "userName")]
    (group,) = system.do("getCallGroups")
    assert [ring["userName"] for ring in group["rings"]] == ["200"]
    assert outcome.report["no_place"] == {
        "rows that belong to nothing (line)": 2,
        "rows that belong to nothing (phone_group)": 1,
        "rows that belong to nothing (user_alias)": 1,
        "rows that belong to nothing (user_group)": 2,
        "rows that belong to nothing (user_ring)": 1,
    }


def test_a_branch_that_is_gone_is_told(
    system: System, importer: Importer, make_legacy: Make
) -> None:
    old = make_legacy()
    old.row("branch", branch_id=1, name="North")
    old.row("branch", branch_id=2, name=" ")
    old.user("200", branch_id=1)
    old.user("201", branch_id=2)
    old.user("202", branch_id=GONE)
    outcome = importer.run(old)
    assert outcome.found("users") == [
        ("201", "noBranch", "branchName"),
        ("202", "noBranch", "branchName"),
    ]
    assert [system.user(name).get("branchName") for name in ("200", "201", "202")] == [
        "North",
        None,
        None,
    ]


def test_settings_that_several_share_are_those_of_each(
    system: System, importer: Importer, make_legacy: Make
) -> None:
    """A line with the storage of its phone has the server that this family keeps there."""
    old = make_legacy()
    shared = old.storage(permission__application__superadmin="ENABLE")
    for name in ("200", "201"):
        old.user(name)
    old.execute(f"UPDATE users SET value_storage_id = {shared}")
    storage = old.number()
    settings = {
        "USER_ACCOUNT/User_ID": "300",
        "SERVER_SETTINGS/1st_Registrar": "sip.example.net",
    }
    old.settings(storage, settings)
    old.row(
        "phone", phone_id=1, serial_number=MAC, model_id="hitachi3000", value_storage_id=storage
    )
    for number in (1, 2):
        old.row("line", line_id=number, phone_id=1, position=number, value_storage_id=storage)
    outcome = importer.run(old)
    assert outcome.counts("permission values") == (2, 2, 0, 0)
    assert outcome.found("lines", "refused") in ([], [(MAC, "tooManyLines", "lines")])
    with system.database.engine.connect() as connection:
        snapshot = snapshots.by_serial(connection, MAC)
    assert snapshot is not None
    assert snapshot.lines[0].registration_server == "sip.example.net"  # type: ignore[union-attr]


def test_of_two_groups_that_become_one_the_heavier_ones_values_count(
    system: System, importer: Importer, make_legacy: Make
) -> None:
    old = make_legacy()
    names = ["sales ", "sales", " sales", "sales  "]
    for weight, name in enumerate(names, 1):
        word = "DISABLE" if weight == len(names) else "ENABLE"
        settings = {"permission__application__superadmin": word}
        group = old.group(name, weight=weight, **settings)
        old.user(f"20{weight}", groups=[group])
    importer.run(old)
    assert [system.permission_of(f"20{n}", "superadmin") for n in range(1, 5)] == [False] * 4
    assert system.user("204")["groups"] == ["sales"]


def test_a_permission_that_has_two_values_keeps_the_first(
    system: System, importer: Importer, make_legacy: Make
) -> None:
    old = make_legacy()
    kinds = ("application", "call-handling", "voicemail-server", "zzz")
    words = ("DISABLE", "ENABLE", "ENABLE", "ENABLE")
    settings = {f"permission/{kind}/Mobile": word for kind, word in zip(kinds, words, strict=True)}
    old.user("200", settings=settings)
    outcome = importer.run(old)
    assert not system.permission_of("200", "Mobile")
    assert outcome.counts("permission values") == (4, 1, 0, 3)
    assert outcome.found("permission values") == [
        ("200", "invalidValue", f"permission/{kind}/Mobile") for kind in kinds[1:]
    ]


def test_a_label_that_is_made_different_is_no_other_ones(
    system: System, importer: Importer, make_legacy: Make
) -> None:
    old = make_legacy()
    labels = {1: "Door (perm_4)", 2: "Door", 3: "perm_5", 4: "Door", 5: None, 6: "Door (perm_4)"}
    for number, label in labels.items():
        old.row("permission", permission_id=number, label=label, default_value=True)
    importer.run(old)
    found = system.do("findPermission")
    made = {each["name"]: each["label"] for each in found if each["builtIn"] == "false"}
    assert set(made) == {f"perm_{number}" for number in labels}
    assert len(set(made.values())) == len(labels)
    assert made["perm_2"] == "Door"
    assert made["perm_4"].startswith("Door (perm_4")


def test_white_space_that_a_name_loses_is_told(
    system: System, importer: Importer, make_legacy: Make
) -> None:
    old = make_legacy(LAST_TOKENS)
    user = old.user("200 ", first_name=" Ann ")
    old.row("user_alias", user_id=user, alias=" 2000")
    old.call_group(" sales", "500 ")
    outcome = importer.run(old)
    assert outcome.found("users") == [("200 ", "trimmed", "userName")]
    assert outcome.found("call groups") == [
        (" sales", "trimmed", "name"),
        (" sales", "trimmed", "extension"),
    ]
    assert outcome.found("aliases") == [("200 ", "trimmed", "aliases[0]")]
    assert system.user("200")["aliases"] == ["2000"]
    # The token was made with the name as it was.
    assert system.log_in("200", "4711") == 403


@GENERATIONS
def test_pins_of_every_form(
    system: System, importer: Importer, make_legacy: Make, version: int
) -> None:
    old = make_legacy(version)
    forms = {
        "200": "   ",
        "201": "é日本" * 3,
        "202": "x" * LONGEST,
        "203": "0" * 31,
        "204": "0" * 33,
        "205": "a b:c",
        "206": "$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$AAAA",
    }
    for name, pin in forms.items():
        old.user(name, pintoken=pin if version == NEWEST else token(name, pin))
    old.user("207", pintoken=token("207", "4711").upper())
    if version < NEWEST:
        old.execute("UPDATE users SET pintoken = ' ' || pintoken WHERE user_name = '207'")
    importer.run(old)
    for name, pin in forms.items():
        assert system.log_in(name, pin) == 403
    assert system.log_in("207", "4711") == (403 if version == NEWEST else 401)


def test_what_refused_users_had_is_in_nobodys_way(
    system: System, importer: Importer, make_legacy: Make
) -> None:
    old = make_legacy()
    refused, user = old.user("two words"), old.user("200")
    old.row("user_alias", user_id=refused, alias="500")
    old.row("user_alias", user_id=user, alias="500 ")
    outcome = importer.run(old)
    assert system.user("200")["aliases"] == ["500"]
    assert outcome.counts("aliases") == (2, 1, 1, 1)


def test_names_that_differ_in_case_are_two(
    system: System, importer: Importer, make_legacy: Make
) -> None:
    old = make_legacy()
    old.user("bob", "Sales")
    old.user("Bob", "sales")
    old.call_group("SALES", "BOB")
    outcome = importer.run(old)
    assert outcome.report["findings"] == []
    assert system.user("Bob")["aliases"] == ["sales"]


def test_one_phone_however_its_serial_number_is_written(
    system: System, importer: Importer, make_legacy: Make
) -> None:
    old = make_legacy()
    for serial in ("00:04:F2:AA:BB:CC", "0004F2AABBCC", "0004f2-aabbcc", MAC):
        old.phone(serial)
    old.phone("00:04:f2:aa:bb:cg")
    outcome = importer.run(old)
    assert system.serials() == [MAC]
    codes = [code for _, code, _ in outcome.found("phones", "refused")]
    assert sorted(codes) == ["duplicateSerialNumber"] * 3 + ["invalidSerialNumber"]


@pytest.mark.parametrize(
    "key",
    [
        "1e400",
        "Infinity",
        "NaN",
        "1.5",
        "true",
        "null",
        "[]",
        "{}",
        str(2**63),
        '{"$numberLong": "99999999999999999999"}',
        '"1_0"',
        '{"$oid": "507f1f77bcf86cd799439011"}',
        "9" * 5000,
    ],
)
def test_a_profile_whose_number_is_none_refuses_the_file(
    system: System, importer: Importer, make_legacy: Make, tmp_path: Path, key: str
) -> None:
    old = make_legacy()
    old.user("200")
    file = tmp_path / "profiles.json"
    file.write_text(f'{{"_id": "1", "m_enabled": true}}\n{{"_id": {key}}}\n', encoding="utf-8")
    before = system.dump()
    with pytest.raises(SourceError, match="line 2 is not a document of the collection"):
        importer.run(old, mongo_export=file)
    assert system.dump() == before


def test_of_two_profiles_with_one_number_the_first_counts(
    system: System, importer: Importer, make_legacy: Make, tmp_path: Path
) -> None:
    old = make_legacy()
    number = old.user("200")
    file = tmp_path / "profiles.json"
    lines: list[dict[str, Any]] = [
        {"_id": number, "m_userName": "someone", "m_emailAddress": "no@example.com"},
        {"_id": str(number), "m_userName": "200", "m_emailAddress": "a@example.com"},
        {"_id": str(number), "m_userName": "200", "m_emailAddress": "b@example.com"},
        {"_id": str(number), "m_enabled": False},
    ]
    file.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    outcome = importer.run(old, mongo_export=file)
    assert system.user("200")["emailAddress"] == "a@example.com"
    assert system.log_in("200", "4711") == 403
    assert outcome.counts("user profiles") == (4, 1, 0, 3)
    twice = ("invalidValue", "_id")
    assert outcome.found("user profiles", "refused") == [("200", *twice), ("", *twice)]


def test_odd_profiles_are_read(
    system: System, importer: Importer, make_legacy: Make, tmp_path: Path
) -> None:
    old = make_legacy()
    number = old.user("200")
    file = tmp_path / "profiles.json"
    odd = {
        "_id": {"$numberLong": str(number)},
        "m_userName": 200,
        "m_emailAddress": ["a@example.com"],
        "m_enabled": "no",
        "m_imId": {"\ud800": 1},
        "m_\u0000\ud800x": 1,
    }
    file.write_text(json.dumps(odd) + "\n" * 3, encoding="utf-8")
    outcome = importer.run(old, mongo_export=file)
    assert system.user("200").get("emailAddress") is None
    assert outcome.found("user profiles") == [("", "invalidValue", "emailAddress")]
    assert system.log_in("200", "4711") == 403


def test_a_source_in_latin_1_is_read(postgres: EmbeddedPostgres, importer: Importer) -> None:
    more = "ENCODING 'LATIN1' LOCALE_PROVIDER libc LOCALE 'C'"
    name = f"legacy_latin_{os.getpid()}"
    with created_database(postgres, name, "template0", more) as url:
        old = Legacy(url)
        old.user("200", first_name="Jürg", pin="pâté")
        outcome = importer.run(old)
    assert outcome.counts("users") == (1, 1, 0, 0)
    with importer.database.engine.connect() as connection:
        assert connection.scalar(sa.text("SELECT first_name FROM users WHERE user_name = '200'"))


@pytest.fixture
def reader(postgres: EmbeddedPostgres, worker_id: str) -> Iterator[str]:
    """A role that may log in, and nothing else."""
    name = f"legacy_reader_{worker_id}"
    engine = sa.create_engine(postgres.url("postgres"), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(f"DROP ROLE IF EXISTS {name}")
        connection.exec_driver_sql(f"CREATE ROLE {name} LOGIN")
        yield name
        connection.exec_driver_sql(f"DROP ROLE {name}")
    engine.dispose()


def test_a_role_that_may_only_read_is_enough_and_one_that_may_not_is_told(
    importer: Importer, make_legacy: Make, reader: str
) -> None:
    """Tables that it does not see would be missing in the report without a word."""
    old = make_legacy()
    old.user("200")
    old.execute("CREATE TABLE speeddial (id int4)", "INSERT INTO speeddial VALUES (1)")
    old.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {reader}")
    url = sa.make_url(old.url)
    theirs = Legacy.__new__(Legacy)
    theirs.url = url.update_query_dict({"options": f"-c role={reader}"}).render_as_string(
        hide_password=False
    )
    try:
        outcome = importer.run(theirs, apply=False)
        assert outcome.counts("users") == (1, 1, 0, 0)
        for table in ("speeddial", "users", "version_history"):
            old.execute(f"REVOKE ALL ON {table} FROM {reader}")
            with pytest.raises(SourceError, match=f"permission denied for table {table}"):
                importer.run(theirs, apply=False)
            old.execute(f"GRANT SELECT ON {table} TO {reader}")
    finally:
        old.execute(f"DROP OWNED BY {reader}")


def test_nothing_of_the_source_is_locked_against_its_own_server(make_legacy: Make) -> None:
    """It is read while its server goes on writing."""
    old = make_legacy()
    old.user("200")
    with open_source(old.url) as source:
        list(source.rows(sa.select(source.table("users").c.user_id)))
        held = sa.text(
            "SELECT DISTINCT mode FROM pg_locks WHERE locktype = 'relation'"
            " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
            " AND pid <> pg_backend_pid()"
        )
        with sa.create_engine(old.url, poolclass=sa.NullPool).connect() as connection:
            assert connection.execute(held).scalars().all() == ["AccessShareLock"]
        old.user("201")
        old.execute("UPDATE users SET first_name = 'x'", "DELETE FROM users")
