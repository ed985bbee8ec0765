"""Groups and permissions of an old sipXconfig (docs/spec/migration.md §2, §3, §4)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.system import LONGEST, System

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.imports import Importer
    from tests.support.legacy import Legacy

    Make = Callable[..., Legacy]

ADMINISTRATOR = {"permission__application__superadmin": "ENABLE"}


def test_groups_come_in_the_order_of_their_weight(
    system: System, importer: Importer, make_legacy: Make
) -> None:
    old = make_legacy()
    path = "permission__application__music-on-hold"
    strong = old.group("strong", weight=9, **{path: "DISABLE"})
    admins = old.group("administrators", weight=5, **ADMINISTRATOR, **{path: "ENABLE"})
    weak = old.group("weak", weight=1, **{path: "DISABLE"})
    old.group("of phones", "phone")
    old.group("of orbits", "park_orbit")
    old.user("superadmin", groups=[admins])
    old.user("200", groups=[admins, strong])
    old.user("201", groups=[weak, admins])
    outcome = importer.run(old)
    assert outcome.counts("user groups") == (3, 3, 0, 0)
    assert outcome.counts("phone groups") == (1, 1, 0, 0)
    assert system.user("200")["groups"] == ["administrators", "strong"]
    assert system.user("201")["groups"] == ["weak", "administrators"]
    assert not system.permission_of("200", "music-on-hold")
    assert system.permission_of("201", "music-on-hold")
    assert system.permission_of("201", "superadmin")
    # What a new system's group has beside that is not in the source.
    assert system.permission_of("superadmin", "tui-change-pin")


def test_permissions_keep_their_numbers_and_values(
    system: System, importer: Importer, make_legacy: Make
) -> None:
    old = make_legacy()
    rows = {
        1003: ("Door", False),
        1001: ("Gate", True),
        1007: ("Gate", False),
        1008: (None, True),
        1009: ("Voicemail", True),
    }
    for number, (label, default) in rows.items():
        old.row("permission", permission_id=number, label=label, default_value=default)
    group = old.group("g", **{"permission__call-handling__perm_1001": "DISABLE"})
    old.user(
        "200",
        groups=[group],
        settings={
            "permission/call-handling/perm_1003": "ENABLE",
            "permission/call-handling/perm_1": "ENABLE",
            "permission/call-handling/Gone": "ENABLE",
            "permission/call-handling/LocalDialing": "DISABLE",
            "permission/call-handling/TollFree": "maybe",
            "callfwd/timer": "20",
        },
    )
    outcome = importer.run(old)
    assert outcome.counts("custom permissions") == (5, 5, 3, 0)
    assert outcome.counts("permission values") == (4, 3, 0, 1)
    assert outcome.found("permission values") == [
        ("200", "invalidValue", "permission/call-handling/TollFree")
    ]
    assert (
        outcome.report["no_place"]
        | {
            "permission values of custom permissions that are gone": 1,
            "permission values of Gone": 1,
            "settings of users: callfwd": 1,
        }
        == outcome.report["no_place"]
    )
    found = {each["name"]: each["label"] for each in system.do("findPermission")}
    assert {name: label for name, label in found.items() if name.startswith("perm_")} == {
        "perm_1001": "Gate",
        "perm_1003": "Door",
        "perm_1007": "Gate (perm_1007)",
        "perm_1008": "perm_1008",
        "perm_1009": "Voicemail (perm_1009)",
    }
    assert system.permission_of("200", "perm_1003")
    assert not system.permission_of("200", "perm_1001")
    assert not system.permission_of("200", "LocalDialing")
    assert system.permission_of("200", "TollFree")
    assert system.add_permission("another") == "perm_1010"


def test_a_label_stays_as_long_as_texts_may_be(
    system: System, importer: Importer, make_legacy: Make
) -> None:
    old = make_legacy()
    for number in (1, 2):
        old.row("permission", permission_id=number, label="x" * LONGEST, default_value=True)
    importer.run(old)
    (found,) = system.do("findPermission", search={"byName": "perm_2"})
    assert found["label"] == "x" * (LONGEST - 9) + " (perm_2)"
