"""Call groups, park orbits, and names that several have (docs/spec/migration.md §4)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.imports import Importer
from tests.support.legacy import GENERATIONS
from tests.support.system import LONGEST, MAC, System

if TYPE_CHECKING:
    from collections.abc import Callable

    from sipxconfig_soap.settings import Settings
    from tests.support.legacy import Legacy

    Make = Callable[..., Legacy]

AT_ONCE = {"ring_type": "At the same time"}


@GENERATIONS
def test_call_groups_come_with_their_rings(
    system: System, importer: Importer, make_legacy: Make, version: int
) -> None:
    old = make_legacy(version)
    ann, bob = old.user("200"), old.user("201")
    old.call_group(
        *("Verkauf", "500"),
        (ann, {"position": 5, "expiration": 20}),
        (bob, {"position": 2, **AT_ONCE}),
        (ann, {"position": 9, "expiration": 0}),
        description="Zürich",
    )
    old.call_group("closed", enabled=None, fallback_destination="sip:1@x")
    outcome = importer.run(old)
    assert outcome.counts("call groups") == (2, 2, 0, 0)
    assert outcome.counts("rings") == (3, 3, 0, 0)
    assert outcome.report["no_place"]["fallback_destination of call_group"] == 1
    rings = [
        {"expiration": "10", "type": "immediate", "position": "0", "userName": "201"},
        {"expiration": "20", "type": "delayed", "position": "1", "userName": "200"},
        {"expiration": "0", "type": "delayed", "position": "2", "userName": "200"},
    ]
    assert system.do("getCallGroups") == [
        {
            "name": "Verkauf",
            "extension": "500",
            "description": "Zürich",
            "enabled": "true",
            "rings": rings,
        },
        {"name": "closed", "enabled": "false"},
    ]


def test_rings_that_cannot_be_are_refused(
    system: System, importer: Importer, make_legacy: Make
) -> None:
    old = make_legacy()
    ann, nobody = old.user("200"), old.user("two words")
    old.call_group(
        *("sales", None),
        (ann, {"ring_type": None}),
        (ann, {"ring_type": "Sometimes"}),
        (ann, {"expiration": -1}),
        (nobody, {}),
        (ann, {"expiration": None, "position": None}),
    )
    old.call_group(" ", "501", (ann, {}))
    # A name that is as long as it may be, and the report says more than that.
    long = old.user("u" * LONGEST, sip_password="s")
    old.call_group("x" * LONGEST, None, (long, {"expiration": -1}))
    outcome = importer.run(old)
    assert outcome.found("rings") == [
        ("sales, 200", "required", "type"),
        ("sales, 200", "unknownRingType", "type"),
        ("sales, 200", "invalidValue", "expiration"),
        (f"{'x' * LONGEST}, {'u' * LONGEST}", "invalidValue", "expiration"),
        ("sales, two words", "unknownUser", "userName"),
    ]
    assert outcome.counts("rings") == (7, 1, 0, 6)
    assert outcome.found("call groups") == [(" ", "required", "name")]
    group, _ = system.do("getCallGroups")
    assert [ring["userName"] for ring in group["rings"]] == ["200"]


@GENERATIONS
def test_park_orbits_come_without_the_default_music(
    system: System, importer: Importer, make_legacy: Make, version: int
) -> None:
    old = make_legacy(version)
    old.park_orbit(None, None, orbit_type="H", music="default.wav")
    old.park_orbit("Café", "700", description="d")
    old.park_orbit("701", "701", enabled=None)
    outcome = importer.run(old)
    assert outcome.counts("park orbits") == (2, 2, 1, 0)
    assert outcome.found("park orbits") == [("701", "extensionInUse", "extension")]
    assert outcome.report["no_place"]["default music of park orbits (park_orbit)"] == 1
    assert system.do("getParkOrbits") == [
        {
            "name": "Café",
            "extension": "700",
            "description": "d",
            "enabled": "true",
            "music": "parkMusic.wav",
        },
        {"name": "701", "enabled": "false", "music": "parkMusic.wav"},
    ]


def test_who_gets_a_name_that_several_have(
    system: System, importer: Importer, make_legacy: Make
) -> None:
    old = make_legacy()
    old.user("200", "500", "sales", "alias")
    old.user("201", "700", "202", " alias")
    old.user("202")
    old.user(" 202")
    old.user("203", " 203", "204 ", "204")
    old.call_group("sales", "500")
    old.call_group("201", "501")
    old.call_group("own", "own")
    old.call_group("sales ", "502")
    old.call_group("late", "500 ")
    old.park_orbit("sales  ", "700")
    old.park_orbit("orbit", "500  ")
    outcome = importer.run(old)
    assert outcome.found("users") == [("202", "nameInUse", "userName")]
    told = [each for each in outcome.found("call groups") if each[1] != "trimmed"]
    assert told == [
        ("201", "nameInUse", "name"),
        ("sales", "nameInUse", "name"),
        ("late", "extensionInUse", "extension"),
    ]
    assert outcome.found("call groups", "changed")[0] == ("late", "trimmed", "extension")
    assert outcome.found("park orbits") == [
        ("orbit", "trimmed", "extension"),
        ("sales", "nameInUse", "name"),
        ("orbit", "extensionInUse", "extension"),
    ]
    trimmed = ("trimmed", "aliases[0]")
    assert outcome.found("aliases", "changed") == [
        ("201", *trimmed),
        ("203", *trimmed),
        ("203", *trimmed),
    ]
    assert sorted(outcome.found("aliases", "refused")) == [
        ("200", "nameInUse", "aliases"),
        ("200", "nameInUse", "aliases"),
        ("201", "nameInUse", "aliases"),
        ("201", "nameInUse", "aliases"),
        ("203", "nameInUse", "aliases"),
    ]
    assert "aliases '500' is already in use by the extension of the call group sales." in (
        outcome.sentences("aliases")
    )
    aliases = {name: system.user(name).get("aliases") for name in ("200", "201", "202", "203")}
    # The extension of an orbit that is refused is free again.
    assert aliases == {"200": ["alias"], "201": ["700"], "202": None, "203": ["204"]}
    groups = {group["name"]: group.get("extension") for group in system.do("getCallGroups")}
    assert groups == {"sales": "500", "own": "own", "late": None}
    assert [orbit["name"] for orbit in system.do("getParkOrbits")] == ["orbit"]


def test_a_text_that_is_too_long_is_left_out_alone(
    system: System, importer: Importer, make_legacy: Make
) -> None:
    old = make_legacy()
    old.execute(
        "ALTER TABLE call_group ALTER description TYPE text",
        "ALTER TABLE users ALTER first_name TYPE text, ALTER pintoken TYPE text",
        "ALTER TABLE users ALTER user_name TYPE text",
    )
    too_long = "x" * (LONGEST + 1)
    old.call_group("sales", "500", description=too_long)
    old.user("200", first_name=too_long, last_name="Last", pintoken=too_long)
    old.user(too_long, sip_password=None)
    outcome = importer.run(old)
    assert outcome.found("call groups") == [("sales", "tooLong", "description")]
    assert outcome.found("users") == [
        ("200", "tooLong", "firstName"),
        ("200", "noPin", "pin"),
        (too_long, "tooLong", "userName"),
    ]
    assert system.do("getCallGroups") == [{"name": "sales", "extension": "500", "enabled": "true"}]
    user = system.user("200")
    assert (user.get("firstName"), user["lastName"]) == (None, "Last")


def test_reserved_names_are_nobodys(
    system: System, importer: Importer, make_legacy: Make, settings: Settings
) -> None:
    settings = type(settings).load({}, reserved_extensions="100 101", data_dir="/nowhere")
    old = make_legacy()
    old.user("100")
    old.user("200", "101")
    old.call_group("~~in~", "500")
    old.call_group("sales", "101")
    outcome = Importer(importer.database, settings).run(old)
    assert outcome.found("users") == [("100", "reservedName", "userName")]
    assert outcome.found("aliases") == [("200", "reservedName", "aliases[0]")]
    assert outcome.found("call groups") == [
        ("~~in~", "reservedName", "name"),
        ("sales", "reservedName", "extension"),
    ]
    (group,) = system.do("getCallGroups")
    assert group == {"name": "sales", "enabled": "true"}


def test_names_that_are_the_same_without_white_space_are_one_group(
    system: System, importer: Importer, make_legacy: Make
) -> None:
    old = make_legacy()
    first = old.group("sales", weight=1, permission__application__superadmin="ENABLE")
    second = old.group(" sales", weight=2)
    old.group(" ", weight=3)
    old.row("branch", branch_id=1, name="north")
    old.row("branch", branch_id=2, name="north ")
    old.row("branch", branch_id=3, name="")
    old.user("200", groups=[first, second], branch_id=2)
    outcome = importer.run(old)
    assert outcome.counts("user groups") == (3, 2, 1, 1)
    assert outcome.counts("branches") == (3, 2, 1, 1)
    user = system.user("200")
    assert (user["groups"], user["branchName"]) == (["sales"], "north")
    assert system.permission_of("200", "superadmin")


def test_a_merge_leaves_what_is_there(
    system: System, importer: Importer, make_legacy: Make
) -> None:
    system.add_users("200", "201", aliases=[], groups=["sales"], firstName="Here")
    system.add_users("300", aliases=["500"])
    system.add_phone(MAC)
    name = system.add_permission("Door")
    old = make_legacy()
    sales = old.group("sales", permission__application__superadmin="ENABLE")
    admins = old.group("administrators", permission__application__superadmin="DISABLE")
    old.row("permission", permission_id=int(name[5:]), label="Gate", default_value=True)
    user = old.user("200", "2000", groups=[sales], first_name="Old")
    new = old.user("400", "201", "4000", groups=[sales, admins])
    old.user("superadmin", pin="9999")
    old.call_group("300", "501")
    old.call_group("sales", "500", (user, {}), (new, {}))
    old.line(old.phone(MAC), new)
    outcome = importer.run(old, merge=True)
    assert outcome.found("users", "refused") == [
        ("200", "nameInUse", "userName"),
        ("superadmin", "nameInUse", "userName"),
    ]
    assert outcome.sentences("users")[0] == (
        "userName '200' is already in use by the userName of the user 200."
    )
    assert outcome.found("aliases") == [("400", "nameInUse", "aliases")]
    assert outcome.found("call groups") == [
        ("300", "nameInUse", "name"),
        ("sales", "extensionInUse", "extension"),
    ]
    assert outcome.found("rings") == [("sales, 200", "unknownUser", "userName")]
    assert outcome.found("phones", "refused") == [(MAC, "duplicateSerialNumber", "serialNumber")]
    assert outcome.found("custom permissions") == [("Gate", "duplicatePermission", "name")]
    assert outcome.found("user groups") == [
        ("sales", "alreadyThere", "name"),
        ("administrators", "alreadyThere", "name"),
    ]
    assert system.user("200")["firstName"] == "Here"
    # A group that was there gives its new members what it gave the others.
    assert system.user("400")["groups"] == ["administrators", "sales"]
    assert system.permission_of("400", "superadmin")
    assert not system.permission_of("200", "superadmin")
    assert system.user("400")["aliases"] == ["4000"]
    assert system.line_users() == []


def test_a_second_merge_finds_everything_there(
    system: System, importer: Importer, make_legacy: Make
) -> None:
    old = make_legacy()
    old.row("permission", permission_id=1001, label="Door", default_value=True)
    group = old.group("g", permission__application__perm_1001="ENABLE")
    user = old.user("200", "2000", groups=[group])
    old.call_group("sales", "500", (user, {}))
    old.park_orbit("orbit", "700")
    old.line(old.phone(MAC), user)
    importer.run(old)
    before = system.dump()
    outcome = importer.run(old, merge=True)
    taken = {kind: counts["taken"] for kind, counts in outcome.report["kinds"].items()}
    assert {kind for kind, number in taken.items() if number} == {
        "user groups",
        "custom permissions",
    }
    assert outcome.found("custom permissions") == [("Door", "alreadyThere", "name")]
    assert system.dump() == before
