"""PIN tokens of sipXecs up to 4.4: kept, and replaced at the first login (services.md §3)."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from sipxconfig_soap.domain import accounts, pins
from tests.support.soap import Soap
from tests.support.system import LONGEST, System, edits, refused

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.client import Client

PATH = "/sipxconfig/services/"
REALM = "example.org"
LONG_NAME = "u" * LONGEST
LONG_REALM = "r" * LONGEST


def token(user_name: str, pin: str, realm: str = REALM) -> str:
    """What sipXecs up to 4.4 kept of a PIN."""
    return hashlib.md5(f"{user_name}:{realm}:{pin}".encode()).hexdigest()


def add(system: System, name: str = "200", pin: str = "4711", **fields: Any) -> None:
    system.add_users(name, pintoken=token(name, pin), **{"groups": ["administrators"]} | fields)


def log_in(client: Client | System, name: str, pin: str) -> int:
    client = client.soap.client if isinstance(client, System) else client
    return client.request("GET", PATH, auth=(name, pin)).status


def is_replaced(system: System, name: str) -> bool:
    """Whether it is the PIN that is hashed now."""
    stored = system.user(name)["pintoken"]
    assert pins.is_hash(stored)
    return "$md5=" not in stored


def test_a_token_lets_in_and_is_replaced_at_the_first_login(system: System) -> None:
    add(system)
    assert log_in(system, "200", "4712") == 401
    assert log_in(system, "200", token("200", "4711")) == 401
    assert not is_replaced(system, "200")
    assert log_in(system, "200", "4711") == 200
    assert is_replaced(system, "200")
    stored = system.user("200")["pintoken"]
    assert pins.verify_pin("4711", stored) == (True, False)
    assert log_in(system, "200", "4711") == 200
    assert log_in(system, "200", "4712") == 401
    assert system.user("200")["pintoken"] == stored


@pytest.mark.parametrize("groups", [["administrators"], []], ids=["200", "403"])
def test_a_login_answered_403_was_one_too(system: System, groups: list[str]) -> None:
    add(system, groups=groups)
    assert log_in(system, "200", "4711") == (200 if groups else 403)
    assert is_replaced(system, "200")


def test_a_token_is_neither_kept_nor_shown(system: System) -> None:
    add(system)
    shown = system.user("200")["pintoken"]
    assert token("200", "4711") not in shown
    assert shown == system.scalar("SELECT pin_hash FROM users WHERE user_name = '200'")


def test_a_token_may_have_capitals(system: System) -> None:
    system.add_users("200", pintoken=token("200", "4711").upper(), groups=["administrators"])
    assert log_in(system, "200", "4711") == 200


@pytest.mark.parametrize("pin", ["pässwörd", "\U0001f511", "a:b", " ", "x" * LONGEST])
def test_pins_are_utf_8(system: System, pin: str) -> None:
    add(system, pin=pin)
    assert log_in(system, "200", pin) == 200


def test_the_token_of_an_empty_pin_lets_nobody_in(system: System) -> None:
    add(system, pin="")
    assert log_in(system, "200", "") == 401


def test_a_rename_locks_nobody_out(system: System) -> None:
    add(system)
    system.edit_user("200", userName="201")
    assert log_in(system, "200", "4711") == 401
    assert log_in(system, "201", "4711") == 200
    assert is_replaced(system, "201")


def test_another_realm_locks_nobody_out(system: System, make_client: Callable[..., Client]) -> None:
    add(system)
    elsewhere = make_client(realm="elsewhere")
    assert log_in(elsewhere, "200", "4711") == 200
    # A token is taken to be made with the realm that is configured then.
    changed = token("200", "0815", "elsewhere")
    System(Soap(elsewhere), system.database).edit_user("200", pintoken=changed)
    assert log_in(elsewhere, "200", "4711") == 401
    assert log_in(system, "200", "0815") == 200


def test_a_token_of_another_realm_or_name_is_wrong(system: System) -> None:
    for made_with in (("200", "4711", "other"), ("201", "4711", REALM)):
        system.add_users("200", pintoken=token(*made_with), groups=["administrators"])
        assert log_in(system, "200", "4711") == 401
        system.do("manageUser", search={"byUserName": "200"}, deleteUser=True)


def test_what_is_shown_can_be_added_elsewhere(
    system: System, make_client: Callable[..., Client]
) -> None:
    add(system)
    shown = system.user("200")["pintoken"]
    client = make_client(realm="elsewhere")
    elsewhere = System(Soap(client), system.database)
    elsewhere.add_users("300", "301", pintoken=shown, groups=["administrators"])
    elsewhere.add_users("302", groups=["administrators"])
    elsewhere.edit_user("302", pintoken=shown)
    for name in ("300", "301", "302"):
        assert elsewhere.user(name)["pintoken"] == shown
        assert log_in(client, name, "4711") == 200
        assert is_replaced(system, name)


@pytest.mark.parametrize(("name", "realm"), [("200", REALM), (LONG_NAME, LONG_REALM)])
def test_names_and_realms_of_any_length_fit_in(
    system: System, make_client: Callable[..., Client], name: str, realm: str
) -> None:
    client = make_client(realm=realm)
    system = System(Soap(client), system.database)
    made = token(name, "4711", realm)
    system.add_users(name, pintoken=made, groups=["administrators"])
    stored = system.user(name)["pintoken"]
    # What was read can be written back, wherever, and be taken over.
    for field in ("pin", "pintoken"):
        system.edit_user(name, (field, stored))
        assert system.user(name)["pintoken"] == stored
    system.add_users("copy", pintoken=stored, groups=["administrators"])
    for value in ("other", stored):
        system.edit_user("copy", pintoken=value)
    for each in (name, "copy"):
        assert log_in(client, each, "4711") == 200
    system.edit_user(name, pintoken=made.upper())
    assert log_in(client, name, "4711") == 200


def test_a_hash_that_is_longer_than_a_pin_is_none(system: System) -> None:
    long_hash = pins.hash_token(token("200", "4711"), LONG_NAME, LONG_REALM)
    system.refuses(
        refused("tooLong", "pin"), operation="addUser", user={"userName": "1"}, pin=long_hash
    )
    system.add_users("1", "2")
    edit = edits(pin=long_hash)
    system.refuses(refused("tooLong", "pin", entity=None), operation="manageUser", edit=edit)


def test_the_token_is_that_of_the_name_that_holds_afterwards(system: System) -> None:
    system.add_users("200", groups=["administrators"])
    for name, changes in (
        ("201", [("userName", "201"), ("pintoken", token("201", "1"))]),
        ("202", [("pintoken", token("202", "1")), ("userName", " 202 ")]),
    ):
        (before,) = set(system.user_names()) - {"superadmin"}
        system.edit_user(before, *changes)
        assert log_in(system, name, "1") == 200


def test_a_token_for_several_users_is_made_with_the_name_of_each(system: System) -> None:
    system.add_users("200", "201", groups=["administrators", "G"])
    edit = edits(pintoken=token("201", "4711"))
    system.do("manageUser", search={"byGroup": "G"}, edit=edit)
    assert [log_in(system, name, "4711") for name in ("200", "201")] == [401, 200]


@pytest.mark.parametrize("blank", [" ", "\t", "\n"])
def test_a_token_with_white_space_around_it_is_clear_text(system: System, blank: str) -> None:
    text = token("200", "4711") + blank
    system.add_users("200", pintoken=text, groups=["administrators"])
    assert "pintoken" not in system.user("200")
    system.edit_user("200", pintoken=text)
    assert log_in(system, "200", "4711") == 401
    assert log_in(system, "200", text) == 200


def test_a_pin_of_32_hex_digits_is_clear_text(system: System) -> None:
    text = token("200", "4711")
    user = {"userName": "200", "groups": ["administrators"], "pintoken": token("200", "0815")}
    system.do("addUser", user=user, pin=text)
    for _ in range(2):
        assert log_in(system, "200", "4711") == 401
        assert log_in(system, "200", "0815") == 401
        assert log_in(system, "200", text) == 200
        system.edit_user("200", pin=None)
        system.edit_user("200", pin=text)


def test_another_pin_counts_at_once_everywhere(
    system: System, make_client: Callable[..., Client]
) -> None:
    """What one process remembers of a login is of no use for another PIN or token."""
    clients = [make_client(), make_client()]
    add(system)
    assert [log_in(each, "200", "4711") for each in clients] == [200, 200]
    system.edit_user("200", pintoken=token("200", "0815"))
    assert [log_in(each, "200", "4711") for each in clients] == [401, 401]
    assert [log_in(each, "200", "0815") for each in clients] == [200, 200]
    assert is_replaced(system, "200")
    system.edit_user("200", pintoken=token("200", "4711"))
    assert not is_replaced(system, "200")
    assert [log_in(each, "200", "4711") for each in clients] == [200, 200]
    assert is_replaced(system, "200")


def test_first_logins_at_the_same_moment_all_get_in(
    system: System, make_client: Callable[..., Client]
) -> None:
    clients = [make_client(), make_client()]
    add(system)
    with ThreadPoolExecutor(8) as pool:
        found = pool.map(lambda each: log_in(each, "200", "4711"), clients * 4)
        assert list(found) == [200] * 8
    assert pins.verify_pin("4711", system.user("200")["pintoken"]) == (True, False)
    assert [log_in(each, "200", "4712") for each in clients] == [401, 401]


def test_a_pin_that_changes_during_the_first_login_stays_changed(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(system)
    hash_pin = pins.hash_pin

    def slowly(pin: str) -> str:
        monkeypatch.setattr(pins, "hash_pin", hash_pin)
        with system.database.engine.begin() as connection:
            assert accounts.set_pin(connection, "200", "5678")
        return hash_pin(pin)

    monkeypatch.setattr(pins, "hash_pin", slowly)
    assert log_in(system, "200", "4711") == 200
    assert log_in(system, "200", "4711") == 401
    assert log_in(system, "200", "5678") == 200


def test_a_token_stands_in_no_fault(system: System) -> None:
    made = token("200", "4711")
    fault = system.refusal("addUser", user={"userName": "~~x", "pintoken": made})
    assert fault.codes == ["reservedName"]
    assert made not in fault.response.text
    costlier = pins.hash_token(made, "200", REALM).replace("p=1$", "p=2$")
    fault = system.refusal("addUser", user={"userName": "200", "pintoken": costlier})
    assert fault.problems == [refused("invalidValue", "pintoken")]
    assert costlier not in fault.response.text
