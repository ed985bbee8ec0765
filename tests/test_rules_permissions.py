"""PermissionService (docs/spec/services.md §2), and effective permissions (§3)."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa

from tests.support.system import System, edits, refused

BUILT_IN = """
900Dialing                 CALL              false
AutoAttendant              CALL              false
ExchangeUMVoicemailServer  VOICEMAIL_SERVER  false
FreeswitchVoicemailServer  VOICEMAIL_SERVER  true
InternationalDialing       CALL              true
LocalDialing               CALL              true
LongDistanceDialing        CALL              true
Mobile                     CALL              true
RecordSystemPrompts        CALL              false
TollFree                   CALL              true
Voicemail                  CALL              true
dbauth-only                APPLICATION       false
group-music-on-hold        APPLICATION       false
music-on-hold              APPLICATION       true
personal-auto-attendant    APPLICATION       true
subscribe-to-presence      APPLICATION       true
superadmin                 APPLICATION       false
tui-change-pin             APPLICATION       true
"""
"""The table of services.md §2."""

BUILT_IN_NAMES = [line.split()[0] for line in BUILT_IN.split("\n") if line]
DEFAULTS = [line.split()[0] for line in BUILT_IN.split("\n") if line.endswith("true")]


def names(system: System) -> list[str]:
    return [permission["name"] for permission in system.do("findPermission")]


def test_built_in_permissions_are_those_of_the_table(system: System) -> None:
    expected = [
        {"name": name, "label": name, "defaultValue": default, "type": kind, "builtIn": "true"}
        for name, kind, default in (line.split() for line in BUILT_IN.split("\n") if line)
    ]
    assert system.do("findPermission") == expected


def test_a_custom_permission_is_a_call_permission_named_by_a_number(system: System) -> None:
    permission = {"name": "x", "label": "Fax", "type": "APPLICATION", "builtIn": True}
    system.do("addPermission", permission=permission | {"description": "d", "defaultValue": True})
    assert system.do("findPermission", search={"byLabel": "Fax"}) == [
        {
            "name": "perm_1",
            "label": "Fax",
            "description": "d",
            "defaultValue": "true",
            "type": "CALL",
            "builtIn": "false",
        }
    ]


def test_a_number_is_never_used_twice(system: System) -> None:
    assert system.add_permission("a") == "perm_1"
    system.do("managePermission", search={"byName": "perm_1"}, deletePermission=True)
    assert system.add_permission("b") == "perm_2"
    system.do("resetServices", permission=True)
    assert system.add_permission("c") == "perm_3"
    assert names(system)[-1] != "perm_1"


def test_permissions_are_ordered_by_name_code_point_by_code_point(system: System) -> None:
    for number in range(1, 12):
        system.add_permission(f"label {number}")
    custom = sorted(f"perm_{number}" for number in range(1, 12))
    assert names(system) == sorted([*BUILT_IN_NAMES, *custom])
    assert names(system).index("perm_10") < names(system).index("perm_2")


@pytest.mark.parametrize("label", ["Fax", "Voicemail", "superadmin"])
def test_a_label_differs_from_custom_labels_and_built_in_names(system: System, label: str) -> None:
    system.add_permission("Fax")
    system.refuses(
        refused("duplicatePermission", "label", label),
        operation="addPermission",
        permission={"label": label},
    )


def test_labels_differ_in_case_and_white_space(system: System) -> None:
    for label in ("Fax", "fax", " Fax", "Fax "):
        system.add_permission(label)
    found = system.do("findPermission", search={"byLabel": " Fax"})
    assert [permission["name"] for permission in found] == ["perm_3"]


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ({"byName": "perm_1"}, ["perm_1"]),
        ({"byName": " perm_1\n"}, ["perm_1"]),
        ({"byName": "Voicemail"}, ["Voicemail"]),
        ({"byLabel": "Fax"}, ["perm_1"]),
        ({"byLabel": "Voicemail"}, ["Voicemail"]),
        ({"byLabel": "perm_1"}, []),
        ({"byLabel": "Fax", "byName": "perm_2"}, ["perm_2"]),
        ({"byLabel": "Fax", "byName": "none"}, []),
        ({"byName": "perm_"}, []),
        ({"byName": "%"}, []),
    ],
)
def test_permissions_are_found_by_name_or_label(
    system: System, search: dict[str, str], found: list[str]
) -> None:
    system.add_permission("Fax")
    system.add_permission("Pager")
    assert [p["name"] for p in system.do("findPermission", search=search)] == found


@pytest.mark.parametrize("search", [None, {"byName": "Voicemail"}, {"byLabel": "superadmin"}])
def test_built_in_permissions_are_skipped(system: System, search: dict[str, str] | None) -> None:
    before = system.dump()
    changes = edits(description="changed", defaultValue="false")
    system.do("managePermission", search=search, edit=changes)
    system.do("managePermission", search=search, deletePermission=True)
    assert system.dump() == before


def test_deleting_all_permissions_deletes_the_custom_ones(system: System) -> None:
    system.add_permission("a")
    system.add_permission("b")
    system.do("managePermission", deletePermission=True)
    assert names(system) == BUILT_IN_NAMES


def test_label_description_and_default_can_be_edited(system: System) -> None:
    system.add_permission("Fax")
    system.do(
        "managePermission",
        search={"byLabel": "Fax"},
        edit=edits(
            name="n", label="Pager", description="d", defaultValue="on", type="x", builtIn="maybe"
        ),
    )
    assert system.do("findPermission", search={"byName": "perm_1"}) == [
        {
            "name": "perm_1",
            "label": "Pager",
            "description": "d",
            "defaultValue": "true",
            "type": "CALL",
            "builtIn": "false",
        }
    ]


def test_a_label_may_be_edited_to_what_it_is(system: System) -> None:
    system.add_permission("Fax")
    system.do("managePermission", search={"byLabel": "Fax"}, edit=edits(label="Fax"))
    assert system.do("findPermission", search={"byLabel": "Fax"})


@pytest.mark.parametrize(
    ("label", "refusing"),
    [
        ("new", ["perm_2", "perm_3"]),
        ("b", ["perm_1", "perm_3"]),
        ("Voicemail", ["perm_1", "perm_2", "perm_3"]),
    ],
)
def test_several_permissions_cannot_have_one_label(
    system: System, label: str, refusing: list[str]
) -> None:
    for each in ("a", "b", "c"):
        system.add_permission(each)
    system.refuses(
        *(refused("duplicatePermission", "label", label, name) for name in refusing),
        operation="managePermission",
        edit=edits(label=label, description="changed"),
    )


def test_deleting_a_permission_drops_what_users_and_groups_hold_of_it(system: System) -> None:
    name = system.add_permission("Fax")
    system.add_users("1", groups=["G"], permissions=[name])
    give(system, "G", name, enabled=True)
    system.do("managePermission", search={"byName": name}, deletePermission=True)
    assert system.user("1")["permissions"] == DEFAULTS
    assert system.scalar("SELECT count(*) FROM user_permissions") == 0
    assert system.scalar("SELECT count(*) FROM user_group_permissions") == 2


# Effective permissions: a user's own value, else the groups', else the default.


def give(system: System, group: str, permission: str, *, enabled: bool) -> None:
    """No operation sets the values of groups."""
    with system.database.engine.begin() as connection:
        connection.execute(
            sa.text(
                "INSERT INTO user_group_permissions (group_id, permission_id, enabled) SELECT g.id,"
                " p.id, :enabled FROM user_groups g, permissions p"
                " WHERE g.name = :group AND p.name = :permission"
            ),
            {"group": group, "permission": permission, "enabled": enabled},
        )


def test_a_new_user_has_the_permissions_enabled_by_default(system: System) -> None:
    system.add_users("1")
    assert system.user("1")["permissions"] == DEFAULTS


def test_a_changed_default_shows_at_once_where_nothing_else_is_said(system: System) -> None:
    name = system.add_permission("Fax")
    system.add_users("default")
    system.add_users("own", permissions=[name])
    system.add_users("group", groups=["G"])
    give(system, "G", name, enabled=False)
    expected = {"default": False, "own": True, "group": False}
    assert {user: system.permission_of(user, name) for user in expected} == expected
    system.do("managePermission", search={"byName": name}, edit=edits(defaultValue="true"))
    expected = {"default": True, "own": True, "group": False}
    assert {user: system.permission_of(user, name) for user in expected} == expected


@pytest.mark.parametrize("default", [False, True])
@pytest.mark.parametrize("first", [None, False, True])
@pytest.mark.parametrize("last", [None, False, True])
def test_own_value_else_group_created_last_else_default(
    system: System, default: Any, first: Any, last: Any
) -> None:
    name = system.add_permission("Fax", defaultValue=default)
    # The order in which users enter the groups does not matter, nor do the names of groups.
    system.add_users("other", groups=["Zeta", "Alpha"])
    system.add_users("neither", "false", "true", groups=["Alpha", "Zeta"])
    for group, value in (("Zeta", first), ("Alpha", last)):
        if value is not None:
            give(system, group, name, enabled=value)
    system.edit_user("false", permissions="Mobile")
    system.edit_user("true", permissions=f"Mobile {name}")
    by_group = first if last is None else last
    inherited = default if by_group is None else by_group
    expected = {"neither": inherited, "false": False, "true": True}
    assert {user: system.permission_of(user, name) for user in expected} == expected


def test_permissions_of_users_are_listed_in_the_order_of_find_permission(system: System) -> None:
    given = ["tui-change-pin", "900Dialing", system.add_permission("x"), "dbauth-only"]
    system.add_users("1", permissions=given)
    assert system.user("1")["permissions"] == sorted({*DEFAULTS, *given})


def test_granting_leaves_everything_else_as_it_is_by_default(system: System) -> None:
    system.add_users("1", permissions=["900Dialing", "900Dialing", " Mobile "])
    assert system.user("1")["permissions"] == ["900Dialing", *DEFAULTS]
    assert system.scalar("SELECT count(*) FROM user_permissions WHERE enabled") == 2


def test_administrators_may_configure_but_not_change_their_pin_by_telephone(
    system: System,
) -> None:
    system.add_users("boss", groups=["administrators"])
    permissions = system.user("boss")["permissions"]
    assert permissions == sorted({*DEFAULTS, "superadmin"} - {"tui-change-pin"})


def test_unknown_permissions_are_refused_where_they_stand(system: System) -> None:
    system.refuses(
        refused("unknownPermission", "permissions[1]", "perm_8"),
        refused("unknownPermission", "permissions[2]", "voicemail"),
        operation="addUser",
        user={"userName": "1", "permissions": ["Voicemail", "perm_8", "voicemail"]},
    )


# Editing permissions of users.


def own_values(system: System, user: str) -> dict[str, bool]:
    with system.database.engine.connect() as connection:
        rows = connection.execute(
            sa.text(
                "SELECT p.name, v.enabled FROM user_permissions v"
                " JOIN permissions p ON p.id = v.permission_id JOIN users u ON u.id = v.user_id"
                " WHERE u.user_name = :user"
            ),
            {"user": user},
        )
        return {row.name: row.enabled for row in rows}


def test_an_edit_makes_exactly_the_listed_permissions_effective(system: System) -> None:
    by_group, off, on = (system.add_permission(label) for label in ("g", "off", "on"))
    system.add_users("1", groups=["G"], permissions=[off])
    give(system, "G", by_group, enabled=True)
    give(system, "G", "Voicemail", enabled=False)
    system.edit_user("1", permissions=f"{on} Mobile Voicemail")
    assert system.user("1")["permissions"] == ["Mobile", "Voicemail", on]
    listed = dict.fromkeys(("Mobile", "Voicemail", on), True)
    # Off without an own value, since nothing else says on: `off` and Voicemail's like.
    others = dict.fromkeys({*DEFAULTS, by_group} - {"Mobile", "Voicemail"}, False)
    assert own_values(system, "1") == listed | others


def test_an_edit_counts_the_groups_of_the_same_edit(system: System) -> None:
    name = system.add_permission("Fax")
    system.add_users("other", groups=["G"])
    give(system, "G", name, enabled=True)
    system.add_users("1")
    system.edit_user("1", permissions="Mobile", groups="G")
    assert system.user("1")["permissions"] == ["Mobile"]


def test_permissions_of_several_users_are_edited_at_once(system: System) -> None:
    system.add_users("1", "2", groups=["G"], permissions=["900Dialing"])
    system.do("manageUser", search={"byGroup": "G"}, edit=edits(permissions="Mobile,Voicemail"))
    assert system.user("1")["permissions"] == system.user("2")["permissions"]
    assert system.user("2")["permissions"] == ["Mobile", "Voicemail"]


def test_writing_back_what_was_read_changes_nothing_that_is_seen(system: System) -> None:
    system.add_users("1", groups=["administrators"], permissions=["900Dialing"])
    before = system.user("1")
    system.edit_user("1", permissions=",".join(before["permissions"]))
    assert system.user("1") == before


def test_superadmin_holds_its_permission_whatever_is_said(system: System) -> None:
    system.edit_user("superadmin", permissions="Mobile", groups="")
    assert system.user("superadmin")["permissions"] == ["Mobile", "superadmin"]
    give_own = edits(permissions=None)
    system.do("manageUser", search={"byUserName": "superadmin"}, edit=give_own)
    assert system.user("superadmin")["permissions"] == ["superadmin"]
    assert system.permission_of("superadmin", "superadmin")
