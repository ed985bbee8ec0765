"""Names and aliases of users that are edited (docs/spec/services.md §1, §3)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.support.system import System, edits, refused

if TYPE_CHECKING:
    from sipxconfig_soap.db import Database
    from tests.support.soap import Soap


@pytest.fixture
def system(soap: Soap, database: Database) -> System:
    system = System(soap, database)
    for name in ("1", "2"):
        system.add_users(name, groups=["G"])
    return system


def test_a_renamed_user_keeps_rings_and_lines(system: System) -> None:
    ring = {"userName": "1", "type": "immediate", "expiration": 5}
    system.do("addCallGroup", callGroup={"name": "c", "rings": [ring]})
    system.add_phone(lines=[{"userId": "1"}])
    system.edit_user("1", userName="9")
    assert system.do("getCallGroups")[0]["rings"][0]["userName"] == "9"
    assert system.phone()["lines"] == [{"userId": "9", "uri": "sip:9@example.org"}]
    system.add_users("1")


def test_a_user_may_take_its_own_alias_as_name(system: System) -> None:
    system.edit_user("1", aliases="one uno")
    system.refuses(
        refused("nameInUse", "userName", "one", "1"),
        operation="manageUser",
        search={"byUserName": "1"},
        edit=edits(userName="one"),
    )
    system.edit_user("1", userName="one", aliases="1 uno")
    assert system.user("one")["aliases"] == ["1", "uno"]


def test_an_alias_is_not_edited_to_the_users_own_name(system: System) -> None:
    system.refuses(
        refused("nameInUse", "aliases", "1", "1"),
        operation="manageUser",
        search={"byUserName": "1"},
        edit=edits(aliases="a 1"),
    )
    system.refuses(
        refused("nameInUse", "aliases", "3", "1"),
        operation="manageUser",
        search={"byUserName": "1"},
        edit=edits(userName="3", aliases="3"),
    )


def test_names_and_aliases_of_others_cannot_be_taken(system: System) -> None:
    system.edit_user("2", aliases="two")
    system.do("addCallGroup", callGroup={"name": "c", "extension": "500"})
    fault = system.refusal(
        "manageUser", search={"byUserName": "1"}, edit=edits(userName="500", aliases="two 2 c x")
    )
    assert fault.problems == [
        refused("nameInUse", "userName", "500", "1"),
        refused("nameInUse", "aliases", "two", "1"),
        refused("nameInUse", "aliases", "2", "1"),
        refused("nameInUse", "aliases", "c", "1"),
    ]
    assert "call group" in fault.text


def test_aliases_are_replaced(system: System) -> None:
    system.edit_user("1", aliases="a b")
    system.edit_user("1", aliases="b c")
    assert system.user("1")["aliases"] == ["b", "c"]
    system.edit_user("2", aliases="a")
    system.do("manageUser", search={"byGroup": "G"}, edit=edits(aliases=None))
    assert [user.get("aliases") for user in system.do("findUser")] == [None, None, None]


# Several users at once.


def test_several_users_cannot_have_one_name_or_alias(system: System) -> None:
    for name in ("userName", "aliases"):
        system.refuses(
            refused("nameInUse", name, "x", "2"),
            operation="manageUser",
            search={"byGroup": "G"},
            edit=edits((name, "x")),
        )
    system.edit_user("2", aliases="x")
    system.refuses(
        refused("nameInUse", "aliases", "x", "1"),
        operation="manageUser",
        search={"byGroup": "G"},
        edit=edits(aliases="x"),
    )


@pytest.fixture
def teams(system: System) -> System:
    """Two users in A, two in B, of whom the first has an alias."""
    system.add_users("a1", "a2", groups=["A"])
    system.add_users("b1", groups=["B"], aliases=["k"])
    system.add_users("b2", groups=["B"])
    return system


@pytest.mark.parametrize(
    ("group", "edit", "refusals"),
    [
        # The alias is the userName of one of them: no other may have it, nor may that one.
        ("A", {"aliases": "a1"}, [("aliases", "a1", "a2"), ("aliases", "a1", "a1")]),
        # The userName is an alias of one of them.
        ("B", {"userName": "k"}, [("userName", "k", "b2"), ("userName", "k", "b1")]),
        # The alias would be the userName of each of them.
        (
            "A",
            {"userName": "q", "aliases": "q"},
            [("aliases", "q", "a1"), ("aliases", "q", "a2"), ("userName", "q", "a2")],
        ),
        # What is edited with it makes room.
        (
            "A",
            {"userName": "q", "aliases": "a1"},
            [("aliases", "a1", "a2"), ("userName", "q", "a2")],
        ),
        ("B", {"userName": "k", "aliases": None}, [("userName", "k", "b2")]),
    ],
)
def test_whoever_would_be_refused_alone_is_listed_among_several_too(
    teams: System, group: str, edit: dict[str, Any], refusals: list[tuple[str, str, str]]
) -> None:
    teams.refuses(
        *(refused("nameInUse", *each) for each in refusals),
        operation="manageUser",
        search={"byGroup": group},
        edit=edits(**edit),
    )


def test_who_cannot_be_renamed_is_in_nobodys_way(system: System) -> None:
    protected = refused("protectedUser", "userName", "zz", "superadmin")
    administrators: dict[str, Any] = {
        "operation": "manageUser",
        "search": {"byGroup": "administrators"},
        "edit": edits(userName="zz"),
    }
    system.add_users("a1", groups=["administrators"])
    system.refuses(protected, **administrators)
    system.add_users("a2", groups=["administrators"])
    system.refuses(protected, refused("nameInUse", "userName", "zz", "a2"), **administrators)


def test_a_free_name_is_for_the_one_that_could_have_all(system: System) -> None:
    system.edit_user("2", aliases="x")
    system.refuses(
        refused("nameInUse", "aliases", "x", "1"),
        refused("nameInUse", "userName", "zz", "1"),
        operation="manageUser",
        search={"byGroup": "G"},
        edit=edits(userName="zz", aliases="x"),
    )
