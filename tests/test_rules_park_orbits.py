"""ParkOrbitService (docs/spec/services.md §5)."""

from __future__ import annotations

import pytest

from tests.support.system import System, refused


def test_a_park_orbit_is_listed_as_it_was_added(system: System) -> None:
    orbit = {
        "name": "Lobby",
        "extension": "600",
        "description": "d",
        "enabled": "true",
        "music": "/no/such/file.wav",
    }
    system.do("addParkOrbit", parkOrbit=orbit)
    assert system.do("getParkOrbits") == [orbit]


def test_park_orbits_are_listed_in_the_order_of_their_creation(system: System) -> None:
    for name in ("b", "a", "10", "B"):
        system.do("addParkOrbit", parkOrbit={"name": name})
    assert [orbit["name"] for orbit in system.do("getParkOrbits")] == ["b", "a", "10", "B"]
    assert {orbit["enabled"] for orbit in system.do("getParkOrbits")} == {"false"}


def test_without_park_orbits_the_list_is_empty(system: System) -> None:
    assert system.do("getParkOrbits") == []


@pytest.mark.parametrize("extension", ["600", "park here", "ü\U0001f4de"])
def test_name_and_extension_are_any_texts(system: System, extension: str) -> None:
    system.do("addParkOrbit", parkOrbit={"name": f"{extension}!", "extension": extension})
    (orbit,) = system.do("getParkOrbits")
    assert (orbit["name"], orbit["extension"]) == (f"{extension}!", extension)


def test_all_that_is_wrong_with_a_park_orbit_is_listed(system: System) -> None:
    system.add_users("600")
    fault = system.refusal(
        "addParkOrbit",
        parkOrbit={"name": "~~x", "extension": "600", "enabled": "maybe", "wine": "red"},
    )
    found = {(problem.code, problem.field, problem.value) for problem in fault.problems}
    assert found == {
        ("reservedName", "name", "~~x"),
        ("extensionInUse", "extension", "600"),
        ("invalidValue", "enabled", "maybe"),
        ("unknownElement", "wine", None),
    }


def test_an_add_without_a_park_orbit_is_refused(system: System) -> None:
    system.refuses(refused("required", "parkOrbit"), operation="addParkOrbit")
