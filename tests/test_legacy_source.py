"""What an import takes for a source, and what it says of it (docs/spec/migration.md §1)."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError, InternalError, OperationalError

from sipxconfig_soap.legacy.source import SourceError, open_source
from sipxconfig_soap.legacy.target import NotEmpty
from sipxconfig_soap.settings import Settings
from tests.support.databases import created_database
from tests.support.legacy import DOMAIN, LAST_TOKENS, NEWEST, OLDEST, REALM, Legacy
from tests.support.system import MAC, System

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sipxconfig_soap.embedded import EmbeddedPostgres
    from tests.support.imports import Importer

    Make = Callable[..., Legacy]


@pytest.fixture
def empty(postgres: EmbeddedPostgres) -> Iterator[str]:
    with created_database(postgres, f"legacy_empty_{os.getpid()}") as url:
        yield url


def refusal(url: str) -> str:
    """Why a source is refused."""
    with pytest.raises(SourceError) as caught, open_source(url):
        pass
    return str(caught.value)


@pytest.mark.parametrize(
    ("version", "release"),
    [(OLDEST, "4.0.2"), (11, "4.1.8"), (LAST_TOKENS, "4.4.0"), (NEWEST, "4.6.0 or later")],
)
def test_releases_are_recognised(make_legacy: Make, version: int, release: str) -> None:
    with open_source(make_legacy(version).url) as source:
        assert (source.version, source.release) == (version, release)


def test_what_is_no_sipxconfig_is_refused(empty: str, database_url: str) -> None:
    for url in (empty, database_url):
        assert refusal(url) == "The source is not a database of sipXconfig."


@pytest.mark.parametrize("version", [9, 14, None])
def test_an_unknown_release_is_refused(make_legacy: Make, version: int | None) -> None:
    old = make_legacy()
    old.execute("DELETE FROM version_history")
    if version is not None:
        old.row("version_history", version=version)
    said = refusal(old.url)
    assert said.startswith(f"The source has schema version {version or 'none'}, which is not known")
    assert "13 (4.6.0 or later)" in said


def test_a_part_of_a_sipxconfig_is_refused(make_legacy: Make) -> None:
    old = make_legacy()
    old.execute("DROP TABLE phone_group", "ALTER TABLE users DROP COLUMN pintoken")
    assert refusal(old.url) == (
        "The source is not complete: there is no users.pintoken, phone_group.phone_id,"
        " phone_group.group_id."
    )


def test_a_source_that_cannot_be_reached_is_told_without_its_password(make_legacy: Make) -> None:
    url = sa.make_url(make_legacy().url).set(password="geheim")
    gone = url.set(database="nowhere").render_as_string(hide_password=False)
    assert 'database "nowhere" does not exist' in refusal(gone)
    gone = url.set(host="127.0.0.1", port=1).render_as_string(hide_password=False)
    said = refusal(gone)
    assert said.startswith("The source cannot be read: ")
    assert "geheim" not in said


def test_the_source_is_read_only(make_legacy: Make) -> None:
    with (
        open_source(make_legacy().url) as source,
        pytest.raises(InternalError, match="read-only transaction"),
    ):
        source._connection.execute(sa.text("DELETE FROM users"))


def test_text_that_is_in_no_encoding_is_told_of(
    postgres: EmbeddedPostgres, importer: Importer
) -> None:
    engine = sa.create_engine(postgres.url("postgres"), isolation_level="AUTOCOMMIT")
    name = f"legacy_ascii_{os.getpid()}"
    with engine.connect() as connection:
        connection.exec_driver_sql(
            f"CREATE DATABASE {name} ENCODING 'SQL_ASCII' LOCALE_PROVIDER libc LOCALE 'C'"
            " TEMPLATE template0"
        )
        try:
            old = Legacy(postgres.url(name))
            old.user("200")
            old.execute(r"UPDATE users SET first_name = E'M\374ller'")
            with pytest.raises(SourceError, match="cannot be read: invalid byte sequence"):
                importer.run(old)
        finally:
            connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")
    engine.dispose()


def test_a_source_that_is_lost_in_the_middle_changes_nothing(
    system: System, importer: Importer, make_legacy: Make
) -> None:
    old = make_legacy()
    for number in range(200, 210):
        old.user(str(number))
    before = system.dump()
    run = importer.quiet.track

    def cut(items: object, what: str, total: int) -> object:
        if what == "Hashing PINs":
            with sa.create_engine(old.url, poolclass=sa.NullPool).connect() as connection:
                connection.exec_driver_sql(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
        return run(items, what, total)  # type: ignore[arg-type]

    importer.quiet.track = cut  # type: ignore[method-assign, assignment]
    with pytest.raises(SourceError, match="cannot be read: "):
        importer.run(old)
    assert system.dump() == before


def test_a_target_that_is_lost_in_the_middle_is_as_it_was(
    system: System, importer: Importer, make_legacy: Make
) -> None:
    old = make_legacy()
    old.user("200")
    before = system.dump()
    run = importer.quiet.track

    def cut(items: object, what: str, total: int) -> object:
        if what == "Writing":
            with importer.database.engine.connect() as connection:
                connection.exec_driver_sql(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND state = 'idle in transaction'"
                )
        return run(items, what, total)  # type: ignore[arg-type]

    importer.quiet.track = cut  # type: ignore[method-assign, assignment]
    with pytest.raises(OperationalError):
        importer.run(old)
    assert system.dump() == before


MEANWHILE = {
    "user": "INSERT INTO users (user_name, sip_password) VALUES ('200', 'x');"
    "INSERT INTO names (value, folded, kind, user_id)"
    " SELECT '200', '200', 'userName', id FROM users WHERE user_name = '200'",
    "phone": "INSERT INTO phones (serial_number, model_id, profile_file)"
    f" VALUES ('{MAC}', 'polycom331', '{MAC}.cfg')",
    "group": "INSERT INTO user_groups (name) VALUES ('g')",
    "permission": "INSERT INTO permissions (name, label, default_value, type, built_in)"
    " VALUES ('perm_7', 'Another', true, 'CALL', false)",
}


@pytest.mark.parametrize("what", MEANWHILE)
def test_what_somebody_adds_while_pins_are_hashed_stays_theirs(
    system: System, importer: Importer, make_legacy: Make, what: str
) -> None:
    old = make_legacy()
    old.row("permission", permission_id=7, label="Door", default_value=True)
    group = old.group("g", permission__application__superadmin="ENABLE")
    user = old.user("200", groups=[group])
    old.line(old.phone(MAC), user)
    before: list[object] = []
    run = importer.quiet.track

    def add(items: object, what_for: str, total: int) -> object:
        if what_for == "Writing":
            with importer.database.engine.begin() as connection:
                connection.exec_driver_sql(MEANWHILE[what])
            before.append(system.dump())
        return run(items, what_for, total)  # type: ignore[arg-type]

    importer.quiet.track = add  # type: ignore[method-assign, assignment]
    with pytest.raises(IntegrityError):
        importer.run(old, merge=True)
    assert before == [system.dump()]


def test_without_apply_nothing_is_changed(
    system: System, importer: Importer, make_legacy: Make
) -> None:
    old = make_legacy()
    old.row("permission", permission_id=1001, label="Door", default_value=True)
    user = old.user("200", "two words")
    old.line(old.phone(MAC), user)
    before = system.dump()
    dry = importer.run(old, apply=False)
    assert system.dump() == before
    assert system.add_permission("first") == "perm_1"
    system.do("managePermission", search={"byName": "perm_1"}, deletePermission=True)
    assert dry.report["applied"] is False
    wet = importer.run(old)
    assert wet.report | {"applied": False} == dry.report
    assert wet.report["applied"] is True


def test_a_target_with_anything_in_it_is_refused(
    system: System, importer: Importer, make_legacy: Make
) -> None:
    old = make_legacy()
    old.user("200")
    system.add_users("300", "301", groups=["g"])
    before = system.dump()
    with pytest.raises(NotEmpty) as caught:
        importer.run(old, apply=False)
    assert str(caught.value).startswith("The target is not empty (users: 2, user groups: 1).")
    with pytest.raises(NotEmpty):
        importer.run(old)
    assert system.dump() == before


def test_settings_that_differ_are_told(importer: Importer, make_legacy: Make) -> None:
    old = make_legacy(LAST_TOKENS)
    for alias in ("b.example.com", "A.example.com", DOMAIN):
        old.row("domain_alias", domain_id=1, alias=alias)
    assert importer.run(old, apply=False).report["warnings"] == [
        (
            f"The SIP domain of the source is {DOMAIN}, here it is example.org:"
            f" set SIPXCONFIG_DOMAIN={DOMAIN}."
        ),
        (
            "Other names of the SIP domain are missing here (A.example.com, b.example.com,"
            f" {DOMAIN}): set SIPXCONFIG_DOMAIN_ALIASES=A.example.com,b.example.com,{DOMAIN}."
        ),
        (
            f"The realm of the source is {REALM}, here it is example.org: for scripts that send PIN"
            f" tokens set SIPXCONFIG_REALM={REALM}."
        ),
    ]
    importer.settings = Settings.load(
        {},
        data_dir="/nowhere",
        domain=DOMAIN,
        realm=REALM,
        domain_aliases="a.example.com,b.example.com",
    )
    assert importer.run(old, apply=False).report["warnings"] == []


def test_without_the_export_of_mongodb_addresses_are_missed(
    importer: Importer, make_legacy: Make
) -> None:
    told = importer.run(make_legacy(), apply=False).report["warnings"]
    assert any("--mongo-export" in each for each in told)


def test_what_has_no_place_is_named_and_counted(importer: Importer, make_legacy: Make) -> None:
    old = make_legacy(LAST_TOKENS)
    user = old.user("200", is_shared=True, settings={"voicemail/mailbox/x": "1", "e911": "2"})
    old.group("sales", conference__enabled="1")
    old.group("phones", "phone", group_x="1")
    old.row("ring", ring_id=1, number="5", user_id=user)
    old.execute("CREATE TABLE speeddial (id int4)", "INSERT INTO speeddial VALUES (1), (2)")
    old.execute("CREATE TABLE nothing_in_it (id int4)")
    old.execute("CREATE VIEW seen AS SELECT * FROM speeddial")
    old.row("branch", branch_id=1, name="north", phone_number="1", fax_number="")
    old.row("address_book_entry", address_book_entry_id=1, cell_phone_number="1", im_id=None)
    old.line(old.phone(MAC, settings={"a/b": "1"}), user, settings={"c/d": "2"})
    assert importer.run(old, apply=False).report["no_place"] == {
        "cell_phone_number of address_book_entry": 1,
        "is_shared of users": 1,
        "personal call forwarding (ring)": 1,
        "phone_number of branch": 1,
        "settings of lines": 1,
        "settings of phone groups: group_x": 1,
        "settings of phones": 1,
        "settings of user groups: conference": 1,
        "settings of users: e911": 1,
        "settings of users: voicemail/mailbox": 1,
        "speed dials (speeddial)": 2,
    }
