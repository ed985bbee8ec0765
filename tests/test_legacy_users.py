"""Users of an old sipXconfig: names, PINs, superadmin (docs/spec/migration.md §3)."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from tests.support.legacy import DOMAIN, GENERATIONS, LAST_TOKENS, NEWEST, OLDEST, token

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.imports import Importer
    from tests.support.legacy import Legacy
    from tests.support.system import System

    Make = Callable[..., Legacy]

ADMINISTRATOR = {"permission__application__superadmin": "ENABLE"}


@GENERATIONS
def test_users_come_with_all_that_is_theirs(
    system: System, importer: Importer, make_legacy: Make, version: int
) -> None:
    old = make_legacy(version)
    sales = old.group("Sales & more", weight=2)
    more: dict[str, Any] = {}
    if version > OLDEST:
        old.row("branch", branch_id=7, name="Zürich", phone_number="123")
        more["branch_id"] = 7
    if version < NEWEST:
        old.row("address_book_entry", address_book_entry_id=3, email_address="j@example.com")
        more["address_book_entry_id"] = 3
    old.user(
        *("200", "jurg.m", "+41441234567"),
        groups=[sales],
        first_name="Jürg",
        last_name="Müller 𠮷",
        **more,
    )
    outcome = importer.run(old)
    assert outcome.counts("users") == (1, 1, 0, 0)
    user = system.user("200")
    assert (user["firstName"], user["lastName"]) == ("Jürg", "Müller 𠮷")
    assert user["aliases"] == ["+41441234567", "jurg.m"]
    assert user["groups"] == ["Sales & more"]
    assert user["sipPassword"] == "secret200"
    assert user.get("branchName") == ("Zürich" if version > OLDEST else None)
    assert user.get("emailAddress") == ("j@example.com" if version < NEWEST else None)
    assert system.user_names(byFuzzyUserNameOrAlias="MÜLL") == ["200"]
    assert system.user_names(byFuzzyUserNameOrAlias="jurg.") == ["200"]


@GENERATIONS
def test_users_log_in_with_their_old_pin(
    system: System, importer: Importer, make_legacy: Make, version: int
) -> None:
    old = make_legacy(version)
    admins = old.group("administrators", **ADMINISTRATOR)
    old.user("superadmin", groups=[admins], pin="4711")
    old.user("200", groups=[admins])
    old.user("201")
    outcome = importer.run(old)
    form = "clear" if version == NEWEST else "token"
    assert outcome.report["pins"] == {"clear": 0, "token": 0, "none": 0} | {form: 3}
    for name, status in {"superadmin": 200, "200": 200, "201": 403}.items():
        assert system.log_in(name, "4712") == 401
        assert system.log_in(name, token(name, "4711")) == 401
        assert system.log_in(name, "4711") == status
        # The second time by the hash that took the token's place.
        assert system.log_in(name, "4711") == status
    assert system.log_in("superadmin", "1234") == 401


def test_a_token_beside_clear_pins_is_one(
    system: System, importer: Importer, make_legacy: Make
) -> None:
    old = make_legacy()
    old.user("200", pintoken=token("200", "4711").upper())
    old.user("201", pintoken="0815")
    assert importer.run(old).report["pins"] == {"clear": 1, "token": 1, "none": 0}
    assert system.log_in("200", "4711") == 403
    assert system.log_in("201", "0815") == 403


@GENERATIONS
def test_who_has_no_pin_is_listed(
    system: System, importer: Importer, make_legacy: Make, version: int
) -> None:
    old = make_legacy(version)
    old.user("200", pintoken="")
    old.user("201", pintoken=None)
    old.user("202", pintoken=token("202", ""))
    old.user("203", pintoken="12345" if version < NEWEST else token("203", ""))
    outcome = importer.run(old)
    listed = [(name, "noPin", "pin") for name in ("200", "201", "202", "203")]
    assert outcome.found("users", "changed") == listed
    assert outcome.counts("users") == (4, 4, 4, 0)
    assert system.scalar("SELECT count(pin_hash) FROM users WHERE user_name LIKE '20%'") == 0


def test_no_pin_and_no_password_is_in_the_report(importer: Importer, make_legacy: Make) -> None:
    old = make_legacy()
    old.user("200", pintoken="pin-in-clear", sip_password="sip\x01secret")
    old.user("201", pintoken=token("201", "4711"), voicemail_pintoken="f" * 32)
    told = json.dumps(importer.run(old).report)
    for secret in ("pin-in-clear", "secret", token("201", "4711"), "f" * 32, "argon2"):
        assert secret not in told


def test_a_voicemail_pin_of_its_own_is_told_of(importer: Importer, make_legacy: Make) -> None:
    old = make_legacy()
    same = hashlib.md5(b"200:4711").hexdigest()
    old.user("200", voicemail_pintoken=same)
    old.user("201", voicemail_pintoken=same)
    assert importer.run(old).found("users") == [("201", "voicemailPin", "vmpin")]


def test_superadmin_keeps_its_pin_where_the_old_one_has_none(
    system: System, importer: Importer, make_legacy: Make
) -> None:
    old = make_legacy(LAST_TOKENS)
    admins = old.group("administrators", **ADMINISTRATOR)
    old.user("superadmin", "boss", groups=[admins], pintoken="", first_name="The")
    outcome = importer.run(old)
    assert outcome.made_up is None
    assert system.log_in("superadmin", "1234") == 200
    user = system.user("superadmin")
    assert (user["firstName"], user["aliases"], user["groups"]) == (
        *("The", ["boss"]),
        ["administrators"],
    )


def test_a_source_without_superadmin_leaves_the_one_that_is_there(
    system: System, importer: Importer, make_legacy: Make
) -> None:
    old = make_legacy()
    old.group("first", weight=1)
    old.group("administrators", weight=2, **ADMINISTRATOR)
    old.user("200")
    importer.run(old)
    assert system.log_in("superadmin", "1234") == 200
    assert system.user("superadmin")["groups"] == ["administrators"]


def test_a_database_that_never_served_gets_its_administrator(
    system: System, importer: Importer, make_legacy: Make
) -> None:
    with importer.database.engine.begin() as connection:
        connection.execute(sa.text("DELETE FROM users"))
        connection.execute(sa.text("DELETE FROM user_groups"))
        connection.execute(sa.text("DELETE FROM permissions"))
    old = make_legacy()
    old.user("200", settings={"permission/call-handling/LocalDialing": "DISABLE"})
    outcome = importer.run(old)
    assert outcome.made_up
    assert system.log_in("superadmin", outcome.made_up) == 200
    held = "SELECT enabled FROM user_permissions"
    assert system.scalar(held) is False


def test_superadmins_pin_is_not_made_up_where_the_source_has_one(
    system: System, importer: Importer, make_legacy: Make
) -> None:
    with importer.database.engine.begin() as connection:
        connection.execute(sa.text("DELETE FROM users"))
    old = make_legacy()
    old.user("superadmin", pin="4711")
    assert importer.run(old).made_up is None
    assert system.log_in("superadmin", "4711") == 200


def test_only_people_are_users(system: System, importer: Importer, make_legacy: Make) -> None:
    old = make_legacy()
    group = old.group("all")
    old.user("200", user_type=None, groups=[group])
    peer = old.user("~~tp~peer", "peer", user_type="I", groups=[group])
    old.row("special_user", special_user_id=1, user_type="PARK_SERVER", sip_password="x")
    old.line(old.phone("0004f2000001"), peer)
    outcome = importer.run(old)
    assert outcome.counts("users") == (1, 1, 0, 0)
    assert outcome.counts("aliases") == (0, 0, 0, 0)
    assert outcome.counts("memberships") == (1, 1, 0, 0)
    assert outcome.report["no_place"]["internal users (users)"] == 1
    assert outcome.found("lines") == [("0004f2000001", "unknownUser", "userName")]
    assert system.user_names() == ["200", "superadmin"]


def test_what_a_user_cannot_have_is_left_out(
    system: System, importer: Importer, make_legacy: Make
) -> None:
    old = make_legacy(LAST_TOKENS)
    old.row("address_book_entry", address_book_entry_id=3, email_address="not an address")
    old.user("200", " ", "gültig", "~~in~x", " 201 ", address_book_entry_id=3, sip_password=None)
    old.user("two words", "202")
    old.user("~~id~x")
    old.user(" 300 ", first_name="  ", last_name=" Long ")
    outcome = importer.run(old)
    assert outcome.found("users") == [
        ("200", "invalidValue", "emailAddress"),
        ("200", "madeUp", "sipPassword"),
        ("two words", "invalidValue", "userName"),
        ("~~id~x", "reservedName", "userName"),
        (" 300 ", "trimmed", "userName"),
    ]
    assert outcome.counts("users") == (4, 2, 2, 2)
    assert sorted(outcome.found("aliases")) == [
        ("200", "invalidValue", "aliases[0]"),
        ("200", "reservedName", "aliases[0]"),
        ("200", "trimmed", "aliases[0]"),
    ]
    user = system.user("200")
    assert user["aliases"] == ["201"]
    assert len(user["sipPassword"]) == 12
    assert "emailAddress" not in user
    user = system.user("300")
    assert (user.get("firstName"), user["lastName"]) == (None, "Long")
    # The token was made with the name as it was.
    assert system.log_in("300", "4711") == 403
    assert system.user_names() == ["200", "300", "superadmin"]


def test_what_an_early_release_has_not_is_not_missed(
    system: System, importer: Importer, make_legacy: Make
) -> None:
    old = make_legacy(OLDEST)
    user = old.user("200")
    old.user("~~tp~peer", user_type="I")
    old.line(old.phone("0004f2000001"), user)
    old.execute(
        "ALTER TABLE users DROP COLUMN user_type, DROP COLUMN address_book_entry_id",
        "ALTER TABLE phone DROP COLUMN bean_id, DROP COLUMN device_version_id",
        "ALTER TABLE domain DROP COLUMN sip_realm",
        "DROP TABLE domain_alias",
        f"UPDATE users SET pintoken = '{token('200', '4711', DOMAIN)}' WHERE user_id = {user}",
    )
    outcome = importer.run(old)
    assert outcome.counts("users") == (2, 1, 0, 1)
    assert outcome.found("users") == [("~~tp~peer", "reservedName", "userName")]
    assert outcome.report["source"]["realm"] == DOMAIN
    assert system.log_in("200", "4711") == 403
    assert system.line_users("0004f2000001") == ["200"]


def test_a_source_without_domain_leaves_the_realm_to_the_settings(
    system: System, importer: Importer, make_legacy: Make
) -> None:
    old = make_legacy(LAST_TOKENS)
    old.user("200", pintoken=token("200", "4711", "example.org"))
    old.execute("DELETE FROM domain")
    outcome = importer.run(old)
    assert outcome.report["warnings"] == ["The source names no SIP domain."]
    assert system.log_in("200", "4711") == 403


def test_what_no_answer_can_hold_is_left_out(
    system: System, importer: Importer, make_legacy: Make, tmp_path: Path
) -> None:
    old = make_legacy()
    bad = "a\x0b\ufffe\x1fb"
    group = old.group(bad)
    old.row("permission", permission_id=1, label=bad, description=bad, default_value=True)
    user = old.user("200", groups=[group], first_name=bad, sip_password="x\ufffe")
    old.call_group(bad, None, (user, {}), description=bad)
    old.park_orbit(bad + "2", None, description=bad, music=bad)
    old.phone("0004f2000001", description=bad)
    file = tmp_path / "profiles.json"
    address = r'"m_emailAddress": "j\ud800@example.com"'
    file.write_text(f'{{"_id": "{user}", {address}, "m_x\\udfff": 1}}')
    outcome = importer.run(old, mongo_export=file)
    assert outcome.found("users") == [
        ("200", "illegible", "firstName"),
        ("200", "illegible", "sipPassword"),
        ("200", "madeUp", "sipPassword"),
    ]
    found = system.user("200")
    assert (found["firstName"], found["groups"]) == ("ab", ["ab"])
    assert found["emailAddress"] == "j@example.com"
    assert len(found["sipPassword"]) == 12
    (permission,) = system.do("findPermission", search={"byName": "perm_1"})
    assert (permission["label"], permission["description"]) == ("ab", "ab")
    assert [each["name"] for each in system.do("getCallGroups")] == ["ab"]
    assert [each["music"] for each in system.do("getParkOrbits")] == ["ab"]
    assert system.phone("0004f2000001")["description"] == "ab"


def test_superadmins_names_here_are_in_the_way_if_it_stays(
    system: System, importer: Importer, make_legacy: Make
) -> None:
    system.edit_user("superadmin", aliases="200 boss")
    old = make_legacy()
    old.user("200", "boss")
    outcome = importer.run(old, apply=False)
    assert outcome.found("users") == [("200", "nameInUse", "userName")]
    old.user("superadmin")
    outcome = importer.run(old)
    assert outcome.counts("users") == (2, 2, 0, 0)
    assert "aliases" not in system.user("superadmin")
    assert system.user("200")["aliases"] == ["boss"]
