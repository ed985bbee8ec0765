"""UserService.manageUser: editing users (docs/spec/services.md §3, phones.md §2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from sipxconfig_soap.domain import pins
from tests.support.system import LONGEST, MAC, TOO_LONG, System, edits, refused
from tests.test_rules_users import COSTLIER, NOT_HASHES, can_log_in

if TYPE_CHECKING:
    from sipxconfig_soap.db import Database
    from tests.support.soap import Soap


@pytest.fixture
def system(soap: Soap, database: Database) -> System:
    system = System(soap, database)
    system.do("addUser", user={"userName": "1", "groups": ["G"]}, pin="first")
    system.do("addUser", user={"userName": "2", "groups": ["G"]}, pin="second")
    return system


def test_every_property_of_a_user_can_be_edited(system: System) -> None:
    system.edit_user(
        "1",
        userName=" 3 ",
        lastName=" Brandt ",
        firstName="Jürgen",
        sipPassword=" s ",
        aliases="b, a",
        emailAddress="j@example.org",
        groups="H,G",
        permissions="Mobile",
        branchName=" Berlin ",
        pin="new",
    )
    user = system.user("3")
    assert user == {
        "userName": "3",
        "pintoken": user["pintoken"],
        "lastName": "Brandt",
        "firstName": "Jürgen",
        "sipPassword": " s ",
        "aliases": ["a", "b"],
        "emailAddress": "j@example.org",
        "groups": ["G", "H"],
        "permissions": ["Mobile"],
        "branchName": "Berlin",
    }
    assert can_log_in(system, "3", "new")
    assert system.user_names() == ["2", "3", "superadmin"]


def test_writing_back_all_that_was_read_changes_nothing_that_is_seen(system: System) -> None:
    system.edit_user("1", aliases="a b", firstName="x", branchName="B", groups='"Sales Team" G')
    before = system.user("1")
    lists = {"aliases", "groups", "permissions"}
    values = {
        name: ",".join(f'"{member}"' for member in value) if name in lists else value
        for name, value in before.items()
    }
    system.edit_user("1", **values)
    assert system.user("1") == before


# Values.


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (("userName", "~~x"), ("reservedName", "~~x")),
        (("aliases", "a ~~x"), ("reservedName", "~~x")),
        (("userName", " a b"), ("invalidValue", " a b")),
        (("aliases", '"a b"'), ("invalidValue", "a b")),
        (("emailAddress", "x"), ("invalidValue", "x")),
        (("sipPassword", "a\x7fb"), ("invalidValue", None)),
        (("permissions", "Mobile none"), ("unknownPermission", "none")),
        (("lastName", TOO_LONG), ("tooLong", TOO_LONG[:100])),
        (("pin", TOO_LONG), ("tooLong", None)),
        (("pintoken", TOO_LONG), ("tooLong", None)),
        (("groups", f"a,{TOO_LONG}"), ("tooLong", TOO_LONG[:100])),
        (("branchName", TOO_LONG), ("tooLong", TOO_LONG[:100])),
    ],
)
def test_values_of_edits_are_checked_like_those_of_new_users(
    system: System, change: tuple[str, str], problem: tuple[str, str | None]
) -> None:
    code, value = problem
    system.refuses(
        refused(code, change[0], value),
        operation="manageUser",
        search={"byUserName": "1"},
        edit=edits(change),
    )


# PINs.


@pytest.mark.parametrize("name", ["pin", "pintoken"])
def test_a_new_pin_is_set_from_clear_text(system: System, name: str) -> None:
    system.edit_user("1", (name, " new "))
    assert can_log_in(system, "1", " new ")
    assert can_log_in(system, "2", "second")


@pytest.mark.parametrize("name", ["pin", "pintoken"])
@pytest.mark.parametrize("nothing", ["", None, ...], ids=["empty", "nil", "absent"])
def test_the_pin_is_taken_away(system: System, name: str, nothing: Any) -> None:
    edit = {"property": name} if nothing is ... else {"property": name, "value": nothing}
    system.do("manageUser", search={"byUserName": "1"}, edit=edit)
    assert "pintoken" not in system.user("1")
    assert "pintoken" in system.user("2")


def test_white_space_is_a_pin(system: System) -> None:
    system.edit_user("1", pin=" ")
    assert can_log_in(system, "1", " ")


def test_of_pin_and_pintoken_the_later_counts(system: System) -> None:
    system.edit_user("1", ("pin", "a"), ("pintoken", "b"))
    assert can_log_in(system, "1", "b")
    system.edit_user("1", ("pintoken", "c"), ("pin", "d"))
    assert can_log_in(system, "1", "d")
    system.edit_user("1", ("pin", "e"), ("pintoken", None))
    assert "pintoken" not in system.user("1")
    system.edit_user("1", ("pintoken", None), ("pin", "f"))
    assert can_log_in(system, "1", "f")


@pytest.mark.parametrize(
    ("written", "pin"),
    [
        ([("pintoken", "stored")], "first"),
        ([("pin", "new"), ("pintoken", "stored")], "new"),
        ([("pintoken", "stored"), ("pin", "new")], "new"),
        ([("pin", "a"), ("pintoken", "b"), ("pintoken", "stored")], "b"),
        ([("pintoken", "a"), ("pin", "stored")], "a"),
    ],
)
def test_the_stored_hash_is_dropped_before_the_last_pin_is_picked(
    system: System, written: list[tuple[str, str]], pin: str
) -> None:
    stored = system.user("1")["pintoken"]
    system.edit_user(
        "1", *((name, stored if value == "stored" else value) for name, value in written)
    )
    assert can_log_in(system, "1", pin)
    if pin == "first":
        assert system.user("1")["pintoken"] == stored


def test_the_pin_that_counts_is_checked_also_when_it_is_not_the_last(system: System) -> None:
    stored = system.user("1")["pintoken"]
    system.refuses(
        refused("tooLong", "pin"),
        operation="manageUser",
        search={"byUserName": "1"},
        edit=edits(("pin", TOO_LONG), ("pintoken", stored)),
    )


def test_another_hash_is_taken_over(system: System) -> None:
    system.edit_user("1", pintoken=system.user("2")["pintoken"])
    assert can_log_in(system, "1", "second")


@pytest.mark.parametrize("text", NOT_HASHES)
def test_what_is_no_hash_is_a_pin_in_clear_text(system: System, text: str) -> None:
    system.edit_user("1", pintoken=text)
    assert can_log_in(system, "1", text)


def test_a_hash_in_pin_is_a_pin_in_clear_text(system: System) -> None:
    text = pins.hash_pin("x")
    system.edit_user("1", pin=text)
    assert can_log_in(system, "1", text)
    assert not can_log_in(system, "1", "x")


@pytest.mark.parametrize("costlier", COSTLIER, ids=["memory", "time", "lanes", "huge"])
def test_a_costlier_hash_is_refused(system: System, costlier: str) -> None:
    fault = system.refusal("manageUser", search={"byGroup": "G"}, edit=edits(pintoken=costlier))
    assert fault.problems == [refused("invalidValue", "pintoken")]
    assert costlier not in fault.response.text


def test_one_users_hash_written_to_several_is_their_pin(system: System) -> None:
    stored = system.user("1")["pintoken"]
    edit = edits(("pin", "new"), ("pintoken", stored))
    system.do("manageUser", search={"byGroup": "G"}, edit=edit)
    # For user 1 it is the stored hash and dropped, for user 2 another hash of our kind.
    assert can_log_in(system, "1", "new")
    assert can_log_in(system, "2", "first")


def test_pins_of_several_users_are_set_at_once(system: System) -> None:
    system.do("manageUser", search={"byGroup": "G"}, edit=edits(pin="same"))
    assert can_log_in(system, "1", "same")
    assert can_log_in(system, "2", "same")
    system.do("manageUser", search={"byGroup": "G"}, edit=edits(pin=None))
    assert "pintoken" not in system.user("1")


# The SIP password.


@pytest.mark.parametrize("blank", ["", " \t", None])
def test_a_cleared_sip_password_is_made_up_for_each(system: System, blank: str | None) -> None:
    system.do("manageUser", search={"byGroup": "G"}, edit=edits(sipPassword="same"))
    assert [system.user(name)["sipPassword"] for name in ("1", "2")] == ["same", "same"]
    system.do("manageUser", search={"byGroup": "G"}, edit=edits(sipPassword=blank))
    passwords = {system.user(name)["sipPassword"] for name in ("1", "2")}
    assert len(passwords - {"same"}) == 2
    assert all(len(password) == 12 for password in passwords)


# Groups and branches.


def test_groups_are_replaced_then_one_is_entered_and_one_left(system: System) -> None:
    system.do(
        "manageUser",
        search={"byUserName": "1"},
        edit=edits(groups="A,B"),
        addGroup="C",
        removeGroup="A",
    )
    assert system.user("1")["groups"] == ["B", "C"]


def test_groups_of_all_that_match_are_managed(system: System) -> None:
    system.do("manageUser", search={"byGroup": "G"}, addGroup="H")
    assert system.user_names(byGroup="H") == ["1", "2"]
    system.do("manageUser", search={"byFuzzyUserNameOrAlias": "1"}, removeGroup="G")
    assert system.user_names(byGroup="G") == ["2"]


@pytest.mark.parametrize("parameter", ["updateBranch", "updateGroup"])
def test_the_branch_is_updated_by_either_name(system: System, parameter: str) -> None:
    system.do("manageUser", search={"byUserName": "1"}, **{parameter: " Berlin "})
    assert system.user("1")["branchName"] == "Berlin"
    assert system.user("1")["groups"] == ["G"]
    assert "branchName" not in system.user("2")


def test_both_names_for_one_branch_are_fine(system: System) -> None:
    system.do("manageUser", updateBranch="Berlin", updateGroup=" Berlin")
    assert system.user("2")["branchName"] == "Berlin"


def test_two_branches_contradict_each_other(system: System) -> None:
    system.refuses(
        refused("invalidValue", "updateGroup", " Bonn"),
        operation="manageUser",
        search={"byUserName": "nobody"},
        updateBranch="Berlin",
        updateGroup=" Bonn",
    )


def test_with_deletion_two_branches_do_not_matter(system: System) -> None:
    one = {"byUserName": "1"}
    system.do("manageUser", search=one, deleteUser=True, updateBranch="a", updateGroup="b")
    assert system.user_names() == ["2", "superadmin"]


def test_the_branch_of_the_parameter_comes_after_that_of_the_edit(system: System) -> None:
    branches = edits(branchName="Bonn")
    system.do("manageUser", search={"byUserName": "1"}, edit=branches, updateBranch="Berlin")
    assert system.user("1")["branchName"] == "Berlin"
    system.edit_user("1", branchName=" ")
    assert "branchName" not in system.user("1")
    assert system.scalar("SELECT array_agg(name ORDER BY id) FROM branches") == ["Bonn", "Berlin"]


# Profiles of phones.


@pytest.mark.parametrize(
    ("change", "queued"),
    [
        (("userName", "9"), True),
        (("sipPassword", "x"), True),
        (("firstName", "x"), True),
        (("lastName", "x"), True),
        (("emailAddress", "a@b"), False),
        (("pin", "x"), False),
        (("aliases", "x"), False),
        (("groups", "x"), False),
    ],
)
def test_changes_that_stand_in_profiles_queue_new_ones(
    system: System, change: tuple[str, str], *, queued: bool
) -> None:
    system.add_phone(MAC, lines=[{"userId": "1"}, {"userId": "1"}])
    system.add_phone("bria2", "bria", lines=[{"userId": "2"}])
    system.edit_user("1", change)
    assert system.jobs() == ([("profiles", MAC)] if queued else [])


def test_no_secret_stands_in_a_fault(system: System) -> None:
    fault = system.refusal(
        "manageUser",
        edit=edits(pin=TOO_LONG, pintoken="s" * (LONGEST + 1), sipPassword="hush\x80"),
    )
    assert [problem.value for problem in fault.problems] == [None] * 3
    assert "hush" not in fault.response.text
    assert "sss" not in fault.response.text
