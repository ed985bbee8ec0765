"""CallGroupService (docs/spec/services.md §4)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.support.system import TOO_LONG, System, refused

if TYPE_CHECKING:
    from sipxconfig_soap.db import Database
    from tests.support.soap import Soap


@pytest.fixture
def system(soap: Soap, database: Database) -> System:
    system = System(soap, database)
    system.add_users("211", "212", "213")
    return system


def ring(user: str, **others: Any) -> dict[str, Any]:
    return {"expiration": 5, "type": "delayed", "userName": user} | others


def add(system: System, name: str, *rings: dict[str, Any], **others: Any) -> None:
    system.do("addCallGroup", callGroup={"name": name, **others, "rings": list(rings)})


def users_of(group: dict[str, Any]) -> list[str]:
    return [each["userName"] for each in group.get("rings", [])]


def names(system: System) -> list[str]:
    return [group["name"] for group in system.do("getCallGroups")]


def test_a_call_group_is_listed_as_it_was_added(system: System) -> None:
    add(
        system,
        "Sales",
        ring("211", position=0),
        ring("212", position=1, type="immediate", expiration=0),
        extension="500",
        description=" d ",
        enabled=True,
    )
    assert system.do("getCallGroups") == [
        {
            "name": "Sales",
            "extension": "500",
            "description": " d ",
            "enabled": "true",
            "rings": [
                {"expiration": "5", "type": "delayed", "position": "0", "userName": "211"},
                {"expiration": "0", "type": "immediate", "position": "1", "userName": "212"},
            ],
        }
    ]


def test_call_groups_are_listed_in_the_order_of_their_creation(system: System) -> None:
    for name in ("b", "a", "10", "B"):
        add(system, name)
    assert names(system) == ["b", "a", "10", "B"]


def test_without_call_groups_the_list_is_empty(system: System) -> None:
    assert system.do("getCallGroups") == []


@pytest.mark.parametrize("extension", ["500", "sales desk", "ü\U0001f4de", "*9", "a@b"])
def test_an_extension_is_any_text(system: System, extension: str) -> None:
    add(system, "c", extension=extension)
    assert system.do("getCallGroups")[0]["extension"] == extension


def test_two_groups_without_an_extension_do_not_conflict(system: System) -> None:
    add(system, "a", extension="")
    add(system, "b", extension=" ")
    assert names(system) == ["a", "b"]


# Rings.


@pytest.mark.parametrize(
    ("positions", "order"),
    [
        ((0, 1, 2), "211 212 213"),
        ((2, 1, 0), "213 212 211"),
        ((7, -3, 7), "212 211 213"),
        ((1, 1, 1), "211 212 213"),
        ((2147483647, -2147483648, 0), "212 213 211"),
        ((None, None, None), "211 212 213"),
        ((5, None, None), "212 213 211"),
        ((None, None, 0), "211 213 212"),
        ((1, None, 0), "213 211 212"),
        ((None, -1, None), "212 211 213"),
    ],
)
def test_rings_are_ordered_by_position_then_place_in_the_document(
    system: System, positions: tuple[int | None, ...], order: str
) -> None:
    rings = [
        ring(user) if position is None else ring(user, position=position)
        for user, position in zip(("211", "212", "213"), positions, strict=True)
    ]
    add(system, "c", *rings)
    (group,) = system.do("getCallGroups")
    assert " ".join(users_of(group)) == order
    assert [each["position"] for each in group["rings"]] == ["0", "1", "2"]


def test_places_in_the_document_count_nil_rings(system: System) -> None:
    rings = [None, ring("211"), ring("212", position=0), ring("nobody")]
    fault = system.refusal("addCallGroup", callGroup={"name": "c", "rings": rings})
    assert fault.problems == [refused("unknownUser", "rings[3].userName", "nobody")]
    system.do("addCallGroup", callGroup={"name": "c", "rings": rings[:3]})
    assert users_of(system.do("getCallGroups")[0]) == ["212", "211"]


def test_the_same_user_may_ring_twice(system: System) -> None:
    add(system, "c", ring("211"), ring("212"), ring("211", type="immediate"))
    (group,) = system.do("getCallGroups")
    assert users_of(group) == ["211", "212", "211"]
    assert group["rings"][2]["type"] == "immediate"


@pytest.mark.parametrize("absent", [{}, {"expiration": None}])
def test_an_absent_expiration_is_zero(system: System, absent: dict[str, Any]) -> None:
    add(system, "c", {"type": "delayed", "userName": "211"} | absent)
    assert system.do("getCallGroups")[0]["rings"][0]["expiration"] == "0"


@pytest.mark.parametrize("seconds", ["-1", "-2147483648", "2147483648", "1.5", "x", " "])
def test_an_expiration_is_a_number_of_seconds_from_zero_on(system: System, seconds: str) -> None:
    system.refuses(
        refused("invalidValue", "rings[1].expiration", seconds),
        operation="addCallGroup",
        callGroup={"name": "c", "rings": [ring("211"), ring("211", expiration=seconds)]},
    )


@pytest.mark.parametrize("absent", [{}, {"type": None}, {"type": ""}, {"type": " "}])
def test_a_ring_type_is_required(system: System, absent: dict[str, Any]) -> None:
    values = {"expiration": 1, "userName": "211"} | absent
    system.refuses(
        refused("required", "rings[0].type"),
        operation="addCallGroup",
        callGroup={"name": "c", "rings": values},
    )


@pytest.mark.parametrize("kind", ["Delayed", "IMMEDIATE", " delayed", "delayed\n", "x"])
def test_another_ring_type_is_refused(system: System, kind: str) -> None:
    system.refuses(
        refused("unknownRingType", "rings[0].type", kind),
        operation="addCallGroup",
        callGroup={"name": "c", "rings": ring("211", type=kind)},
    )


def test_a_ring_names_a_user_and_not_an_alias(system: System) -> None:
    system.edit_user("211", aliases="alias")
    system.refuses(
        refused("unknownUser", "rings[0].userName", "alias"),
        refused("unknownUser", "rings[1].userName", "999"),
        operation="addCallGroup",
        callGroup={"name": "c", "rings": [ring("alias"), ring("999"), ring("211")]},
    )


@pytest.mark.parametrize("blank", [None, "", " "])
def test_a_ring_needs_a_user(system: System, blank: str | None) -> None:
    values = ring("x") | {"userName": blank}
    system.refuses(
        refused("required", "rings[0].userName"),
        operation="addCallGroup",
        callGroup={"name": "c", "rings": values},
    )


def test_a_user_name_that_is_too_long_is_refused_as_such(system: System) -> None:
    system.refuses(
        refused("tooLong", "rings[0].userName", TOO_LONG[:100]),
        operation="addCallGroup",
        callGroup={"name": "c", "rings": ring(TOO_LONG)},
    )


def test_all_that_is_wrong_with_a_call_group_is_listed(system: System) -> None:
    rings = [ring("999", type="x", expiration=-1), {"position": 1}]
    fault = system.refusal("addCallGroup", callGroup={"extension": "211", "rings": rings})
    found = {(problem.code, problem.field, problem.value) for problem in fault.problems}
    assert found == {
        ("required", "name", None),
        ("extensionInUse", "extension", "211"),
        ("unknownUser", "rings[0].userName", "999"),
        ("unknownRingType", "rings[0].type", "x"),
        ("invalidValue", "rings[0].expiration", "-1"),
        ("required", "rings[1].userName", None),
        ("required", "rings[1].type", None),
    }


# Removing.


@pytest.mark.parametrize("argument", ["Sales", "500", " Sales\n", "\t500 "])
def test_a_call_group_is_removed_by_name_or_extension(system: System, argument: str) -> None:
    add(system, "Sales", ring("211"), extension="500")
    add(system, "Support", ring("211"), extension="501")
    system.do("removeCallGroup", callGroup=argument)
    assert names(system) == ["Support"]
    assert system.scalar("SELECT count(*) FROM rings") == 1


def test_a_call_group_called_like_its_extension_is_removed(system: System) -> None:
    add(system, "500", extension="500")
    system.do("removeCallGroup", callGroup="500")
    assert names(system) == []


@pytest.mark.parametrize("argument", ["unknown", "sales", "50", "%", "211", "Park"])
def test_an_unknown_call_group_is_removed_to_no_effect(system: System, argument: str) -> None:
    add(system, "Sales", extension="500")
    system.do("addParkOrbit", parkOrbit={"name": "Park"})
    before = system.dump()
    system.do("removeCallGroup", callGroup=argument)
    assert system.dump() == before


@pytest.mark.parametrize(
    "argument", [{}, {"callGroup": None}, {"callGroup": ""}, {"callGroup": " "}]
)
def test_something_must_be_said_to_be_removed(system: System, argument: dict[str, Any]) -> None:
    add(system, "Sales")
    system.refuses(refused("required", "callGroup"), operation="removeCallGroup", **argument)


def test_an_argument_that_is_too_long_is_refused(system: System) -> None:
    system.refuses(
        refused("tooLong", "callGroup", TOO_LONG[:100]),
        operation="removeCallGroup",
        callGroup=TOO_LONG,
    )
