"""What all services share (docs/spec/services.md §1), and the fields of faults (wire.md §6)."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from tests.support.soap import Soap
from tests.support.system import LONGEST, TOO_LONG, System, edits, refused

if TYPE_CHECKING:
    from collections.abc import Callable

    from sipxconfig_soap.db import Database
    from tests.support.client import Client

VALUE = "555"
ASTRAL = "\N{TELEPHONE RECEIVER}"
"""One character beyond the BMP: two units of UTF-16, four bytes of UTF-8."""


# The pool of names and extensions.


class Taker(NamedTuple):
    """An operation that takes `VALUE` from the pool."""

    operation: str
    values: dict[str, Any]
    field: str
    code: str
    owner: str


def taker(operation: str, thing: dict[str, Any], field: str, code: str, owner: str) -> Taker:
    name = operation[3].lower() + operation[4:]
    return Taker(operation, {name: thing}, field, code, owner)


TAKERS = {
    "userName": taker("addUser", {"userName": VALUE}, "userName", "nameInUse", "user"),
    "alias": taker(
        "addUser", {"userName": "a-1", "aliases": ["a-2", VALUE]}, "aliases[1]", "nameInUse", "user"
    ),
    "call group name": taker("addCallGroup", {"name": VALUE}, "name", "nameInUse", "call group"),
    "call group extension": taker(
        "addCallGroup",
        {"name": "c", "extension": VALUE},
        "extension",
        "extensionInUse",
        "call group",
    ),
    "park orbit name": taker("addParkOrbit", {"name": VALUE}, "name", "nameInUse", "park orbit"),
    "park orbit extension": taker(
        "addParkOrbit",
        {"name": "p", "extension": VALUE},
        "extension",
        "extensionInUse",
        "park orbit",
    ),
}

HOLDERS = {
    "userName": ("addUser", {"user": {"userName": VALUE}}),
    "alias": ("addUser", {"user": {"userName": "b-1", "aliases": [VALUE]}}),
    "call group name": ("addCallGroup", {"callGroup": {"name": VALUE}}),
    "call group extension": ("addCallGroup", {"callGroup": {"name": "h", "extension": VALUE}}),
    "park orbit name": ("addParkOrbit", {"parkOrbit": {"name": VALUE}}),
    "park orbit extension": ("addParkOrbit", {"parkOrbit": {"name": "o", "extension": VALUE}}),
}


@pytest.mark.parametrize(("wanted", "holder"), list(product(TAKERS, HOLDERS)))
def test_a_value_is_used_once_over_all_kinds_of_entities(
    system: System, wanted: str, holder: str
) -> None:
    operation, values = HOLDERS[holder]
    system.do(operation, **values)
    taker = TAKERS[wanted]
    fault = system.refusal(taker.operation, **taker.values)
    assert fault.problems == [refused(taker.code, taker.field, VALUE)]
    assert f" of the {TAKERS[holder].owner} " in fault.text
    assert f"'{VALUE}'" in fault.text


@pytest.mark.parametrize("wanted", TAKERS)
def test_a_configured_extension_is_reserved(
    make_client: Callable[..., Client], database: Database, wanted: str
) -> None:
    system = System(Soap(make_client(reserved_extensions=f"911,{VALUE}")), database)
    taker = TAKERS[wanted]
    system.refuses(
        refused("reservedName", taker.field, VALUE), operation=taker.operation, **taker.values
    )


@pytest.mark.parametrize(
    ("operation", "values", "field"),
    [
        ("addUser", {"user": {"userName": "~~x"}}, "userName"),
        ("addUser", {"user": {"userName": "1", "aliases": ["~~x"]}}, "aliases[0]"),
        ("addCallGroup", {"callGroup": {"name": "~~x"}}, "name"),
        ("addCallGroup", {"callGroup": {"name": "c", "extension": "~~x"}}, "extension"),
        ("addParkOrbit", {"parkOrbit": {"name": " ~~x"}}, "name"),
        ("addParkOrbit", {"parkOrbit": {"name": "p", "extension": "~~x"}}, "extension"),
    ],
)
def test_values_that_start_with_two_tildes_are_reserved(
    system: System, operation: str, values: dict[str, Any], field: str
) -> None:
    fault = system.refusal(operation, **values)
    assert [(p.code, p.field, (p.value or "").strip()) for p in fault.problems] == [
        ("reservedName", field, "~~x")
    ]


def test_one_tilde_is_not_reserved(system: System) -> None:
    system.add_users("~x", "x~~")
    assert system.user_names() == ["superadmin", "x~~", "~x"]


def test_the_name_of_superadmin_is_in_the_pool(system: System) -> None:
    system.refuses(
        refused("nameInUse", "name", "superadmin"),
        operation="addCallGroup",
        callGroup={"name": "superadmin"},
    )


def test_the_same_alias_twice_in_one_list_is_one_alias(system: System) -> None:
    system.add_users("1", aliases=["a", " a ", "b", "a"])
    assert system.user("1")["aliases"] == ["a", "b"]


def test_an_alias_is_not_its_own_users_name(system: System) -> None:
    system.refuses(
        refused("nameInUse", "aliases[1]", "1"),
        operation="addUser",
        user={"userName": "1", "aliases": ["x", "1"]},
    )


def test_a_call_group_may_be_called_like_its_own_extension(system: System) -> None:
    system.do("addCallGroup", callGroup={"name": "500", "extension": "500"})
    (group,) = system.do("getCallGroups")
    assert (group["name"], group["extension"]) == ("500", "500")
    system.refuses(
        refused("nameInUse", "userName", "500"), operation="addUser", user={"userName": "500"}
    )


def test_a_park_orbit_may_not_be_called_like_its_own_extension(system: System) -> None:
    system.refuses(
        refused("nameInUse", "name", "500"),
        operation="addParkOrbit",
        parkOrbit={"name": "500", "extension": "500"},
    )


def test_names_differ_in_case(system: System) -> None:
    system.add_users("sales", "Sales", "SALES")
    assert system.user_names(byUserName="Sales") == ["Sales"]


@pytest.mark.parametrize(
    ("removal", "values"),
    [
        ("manageUser", {"search": {"byUserName": "b-1"}, "deleteUser": True}),
        ("manageUser", {"search": {"byUserName": "b-1"}, "edit": edits(aliases=None)}),
        ("resetServices", {"user": True}),
    ],
)
def test_a_value_given_back_is_free(system: System, removal: str, values: dict[str, Any]) -> None:
    system.add_users("b-1", aliases=[VALUE])
    system.do(removal, **values)
    system.do("addParkOrbit", parkOrbit={"name": VALUE})


def test_a_removed_call_group_gives_name_and_extension_back(system: System) -> None:
    system.do("addCallGroup", callGroup={"name": "c", "extension": VALUE})
    system.do("removeCallGroup", callGroup="c")
    system.add_users("c", VALUE)


def test_all_conflicts_of_a_request_are_listed(system: System) -> None:
    system.add_users("1", aliases=["2"])
    system.refuses(
        refused("reservedName", "aliases[1]", "~~9"),
        refused("nameInUse", "userName", "1"),
        refused("nameInUse", "aliases[0]", "2"),
        operation="addUser",
        user={"userName": "1", "aliases": ["2", "~~9"]},
    )


# Texts.


BLANK_TEXTS = ["", " ", "\t\n ", " " * (LONGEST + 1), None]
BLANK_IDS = ["empty", "a space", "white space", "long white space", "nil"]


@pytest.mark.parametrize("blank", BLANK_TEXTS, ids=BLANK_IDS)
def test_blank_optional_texts_are_null(system: System, blank: str | None) -> None:
    optional = ("firstName", "lastName", "emailAddress", "branchName", "sipPassword")
    system.add_users("1", aliases=[blank], groups=[blank], permissions=[blank])
    system.do("addUser", user={"userName": "2", **dict.fromkeys(optional, blank)})
    user = system.user("2")
    assert set(user) == {"userName", "sipPassword", "permissions"}
    assert not {"aliases", "groups"} & system.user("1").keys()
    for place in ("c", "d"):
        system.do(
            "addCallGroup", callGroup={"name": place, "extension": blank, "description": blank}
        )
        orbit = {"name": place * 2, "extension": blank, "description": blank, "music": blank}
        system.do("addParkOrbit", parkOrbit=orbit)
    assert system.do("getCallGroups")[0] == {"name": "c", "enabled": "false"}
    assert system.do("getParkOrbits")[1] == {"name": "dd", "enabled": "false"}
    system.add_permission("l", description=blank)
    (permission,) = system.do("findPermission", search={"byLabel": "l"})
    assert "description" not in permission
    system.add_phone(description=blank, groups=[blank], deviceVersion=blank)
    assert not {"description", "groups"} & system.phone().keys()


@pytest.mark.parametrize(
    ("operation", "thing", "field"),
    [
        ("addPermission", "permission", "label"),
        ("addUser", "user", "userName"),
        ("addCallGroup", "callGroup", "name"),
        ("addParkOrbit", "parkOrbit", "name"),
        ("addPhone", "phone", "serialNumber"),
    ],
)
def test_required_texts_must_not_be_blank(
    system: System, operation: str, thing: str, field: str
) -> None:
    others = {"modelId": "polycom331"} if thing == "phone" else {}
    for given in ({}, *({field: blank} for blank in BLANK_TEXTS)):
        values = {thing: others | given}
        system.refuses(refused("required", field), operation=operation, **values)


def test_the_non_breaking_space_is_not_white_space(system: System) -> None:
    system.do("addCallGroup", callGroup={"name": "c", "description": "\xa0"})
    assert system.do("getCallGroups")[0]["description"] == "\xa0"


def test_identifiers_and_names_of_persons_are_trimmed(system: System) -> None:
    system.do("addUser", user={key: f" \t{value}\n " for key, value in TRIMMED_USER.items()})
    (user,) = system.do("findUser", search={"byUserName": "\n 223 "})
    assert {key: user[key] for key in TRIMMED_USER} == {
        key: [value] if key in ("aliases", "groups") else value
        for key, value in TRIMMED_USER.items()
    }
    assert system.user_names(byGroup=" Managers\n") == ["223"]
    system.do("addCallGroup", callGroup={"name": " Sales ", "extension": "\t500 "})
    assert system.do("getCallGroups")[0]["name"] == "Sales"
    assert system.do("getCallGroups")[0]["extension"] == "500"
    system.do("addParkOrbit", parkOrbit={"name": " Park ", "extension": " 600 "})
    assert system.do("getParkOrbits")[0]["name"] == "Park"
    system.add_phone(" bria1 ", "bria", groups=[" G "], lines=[{"userId": " 223 "}])
    assert system.phone(" bria1 ")["groups"] == ["G"]
    assert system.serials(byGroup=" G ") == ["bria1"]


TRIMMED_USER = {
    "userName": "223",
    "lastName": "Bach",
    "firstName": "Johann Sebastian",
    "emailAddress": "jsb@example.org",
    "aliases": "bach",
    "groups": "Managers",
    "branchName": "Leipzig",
}


def test_other_texts_are_as_sent(system: System) -> None:
    system.do("addCallGroup", callGroup={"name": "c", "description": "  two  \n"})
    assert system.do("getCallGroups")[0]["description"] == "  two  \n"
    system.do("addParkOrbit", parkOrbit={"name": "p", "music": " a.wav "})
    assert system.do("getParkOrbits")[0]["music"] == " a.wav "
    system.add_users("1", sipPassword=" pass word ")
    assert system.user("1")["sipPassword"] == " pass word "
    system.do("addPermission", permission={"label": " L ", "description": " d "})
    assert system.do("findPermission", search={"byLabel": "L"}) == []
    (permission,) = system.do("findPermission", search={"byLabel": " L "})
    assert (permission["label"], permission["description"]) == (" L ", " d ")


LENGTHS = [
    ("addPermission", "permission", "label", {}),
    ("addPermission", "permission", "description", {"label": "l"}),
    ("addUser", "user", "userName", {}),
    ("addUser", "user", "firstName", {"userName": "1"}),
    ("addUser", "user", "lastName", {"userName": "1"}),
    ("addUser", "user", "sipPassword", {"userName": "1"}),
    ("addUser", "user", "branchName", {"userName": "1"}),
    ("addUser", "user", "aliases", {"userName": "1"}),
    ("addUser", "user", "groups", {"userName": "1"}),
    ("addCallGroup", "callGroup", "name", {}),
    ("addCallGroup", "callGroup", "extension", {"name": "c"}),
    ("addCallGroup", "callGroup", "description", {"name": "c"}),
    ("addParkOrbit", "parkOrbit", "name", {}),
    ("addParkOrbit", "parkOrbit", "extension", {"name": "p"}),
    ("addParkOrbit", "parkOrbit", "description", {"name": "p"}),
    ("addParkOrbit", "parkOrbit", "music", {"name": "p"}),
    ("addPhone", "phone", "description", {"serialNumber": "b", "modelId": "bria"}),
    ("addPhone", "phone", "groups", {"serialNumber": "b", "modelId": "bria"}),
]
LENGTH_IDS = [f"{thing} {field}" for _, thing, field, _ in LENGTHS]
ASCII_ONLY = ("userName", "aliases")


@pytest.mark.parametrize(("operation", "thing", "field", "others"), LENGTHS, ids=LENGTH_IDS)
def test_texts_hold_255_characters(
    system: System, operation: str, thing: str, field: str, others: dict[str, str]
) -> None:
    letter = "x" if field in ASCII_ONLY else ASTRAL
    path = f"{field}[0]" if field in ("aliases", "groups") else field
    long = letter * (LONGEST + 1)
    shown = None if field == "sipPassword" else long[:100]
    system.refuses(
        refused("tooLong", path, shown), operation=operation, **{thing: others | {field: long}}
    )
    system.do(operation, **{thing: others | {field: letter * LONGEST}})


def test_white_space_that_is_trimmed_does_not_count_as_length(system: System) -> None:
    system.add_users("x" * LONGEST + " " * 9)
    assert system.user("x" * LONGEST)


def test_every_problem_of_a_request_is_listed(system: System) -> None:
    fault = system.refusal(
        "addUser",
        user={
            "userName": "a b",
            "firstName": TOO_LONG,
            "emailAddress": "nobody",
            "aliases": ["ok", "ö"],
            "permissions": ["none"],
            "color": "red",
        },
        pin=TOO_LONG,
        vmpin=TOO_LONG,
    )
    found = {(p.code, p.field, p.value) for p in fault.problems}
    assert found == {
        ("invalidValue", "userName", "a b"),
        ("tooLong", "firstName", TOO_LONG[:100]),
        ("invalidValue", "emailAddress", "nobody"),
        ("invalidValue", "aliases[1]", "ö"),
        ("unknownPermission", "permissions[0]", "none"),
        ("unknownElement", "color", None),
        ("tooLong", "pin", None),
        ("tooLong", "vmpin", None),
    }
    assert len(fault.problems) == len(found)
    assert fault.text.endswith("(7 more problems)")


def test_a_refused_value_stands_in_the_fault_as_it_came(system: System) -> None:
    system.add_users("1")
    cases: list[tuple[str, dict[str, Any], str, str]] = [
        ("addUser", {"user": {"userName": " a b "}}, "userName", " a b "),
        ("addUser", {"user": {"userName": " 1 "}}, "userName", " 1 "),
        ("addUser", {"user": {"userName": "2", "aliases": ["\t1"]}}, "aliases[0]", "\t1"),
        ("addUser", {"user": {"userName": "2", "permissions": [" x"]}}, "permissions[0]", " x"),
        ("addCallGroup", {"callGroup": {"name": "c", "extension": "1 "}}, "extension", "1 "),
        (
            "addCallGroup",
            {"callGroup": {"name": "c", "rings": [{"userName": " x", "type": "delayed"}]}},
            "rings[0].userName",
            " x",
        ),
    ]
    for operation, values, field, value in cases:
        (problem,) = system.refusal(operation, **values).problems
        assert (problem.field, problem.value) == (field, value)


# Booleans and groups.


def test_absent_booleans_are_false_when_something_is_added(system: System) -> None:
    system.do("addCallGroup", callGroup={"name": "c"})
    system.do("addParkOrbit", parkOrbit={"name": "p", "enabled": None})
    system.add_permission("l", defaultValue="")
    assert system.do("getCallGroups")[0]["enabled"] == "false"
    assert system.do("getParkOrbits")[0]["enabled"] == "false"
    assert system.do("findPermission", search={"byLabel": "l"})[0]["defaultValue"] == "false"


def test_groups_are_listed_in_the_order_of_their_creation(system: System) -> None:
    system.add_users("1", groups=["Zeta", "Alpha", "Mitte", "Alpha"])
    system.add_users("2", groups=["Omega", "Alpha", "Beta", "Zeta"])
    assert system.user("1")["groups"] == ["Zeta", "Alpha", "Mitte"]
    assert system.user("2")["groups"] == ["Zeta", "Alpha", "Omega", "Beta"]
    system.add_phone(groups=["Omega", "Alpha"])
    assert system.phone()["groups"] == ["Omega", "Alpha"]


def test_users_and_phones_have_groups_of_their_own(system: System) -> None:
    system.add_users("1", groups=["G"])
    system.add_phone(groups=["H"])
    assert system.user_names(byGroup="H") == []
    assert system.serials(byGroup="G") == []


def test_entering_a_group_twice_and_leaving_one_not_held_have_no_effect(system: System) -> None:
    system.add_users("1", groups=["G"])
    everyone = {"search": {"byUserName": "1"}}
    system.do("manageUser", **everyone, addGroup="G")
    system.do("manageUser", **everyone, removeGroup="unknown")
    before = system.dump()
    system.do("manageUser", **everyone, addGroup=" G ", removeGroup="administrators")
    assert system.dump() == before
    assert system.user("1")["groups"] == ["G"]


def test_a_group_is_entered_before_one_is_left(system: System) -> None:
    system.add_users("1")
    system.do("manageUser", search={"byUserName": "1"}, addGroup="G", removeGroup="G")
    assert "groups" not in system.user("1")


def test_the_groups_of_one_edit_are_created_in_its_order(system: System) -> None:
    system.add_users("1")
    system.do("manageUser", edit=edits(groups="c, a b"), addGroup="0")
    assert system.user("1")["groups"] == ["c", "a", "b", "0"]


# Searches.


SEARCHES = {
    "findPermission": ("byName", "byLabel"),
    "findUser": ("byUserName", "byFuzzyUserNameOrAlias", "byGroup"),
    "findPhone": ("bySerialNumber", "byGroup"),
}
EVERY_SEARCH = [(find, by) for find, all_of_them in SEARCHES.items() for by in all_of_them]


@pytest.fixture
def populated(system: System) -> System:
    system.add_users("1", "2", groups=["G"])
    system.add_phone("bria1", "bria", groups=["G"])
    system.add_phone("bria2", "bria", groups=["G"])
    system.add_permission("L")
    return system


@pytest.mark.parametrize("find", SEARCHES)
def test_without_a_search_every_entity_is_found(populated: System, find: str) -> None:
    counts = {"findPermission": 19, "findUser": 3, "findPhone": 2}
    assert len(populated.do(find)) == counts[find]
    assert len(populated.do(find, search=None)) == counts[find]


@pytest.mark.parametrize("find", SEARCHES)
@pytest.mark.parametrize("search", [{}, {"nil": None}], ids=["empty", "nil members"])
def test_a_search_with_nothing_inside_finds_nothing(
    populated: System, find: str, search: dict[str, Any]
) -> None:
    if search:
        search = dict.fromkeys(SEARCHES[find])
    assert populated.do(find, search=search) == []


@pytest.mark.parametrize(("find", "by"), EVERY_SEARCH)
@pytest.mark.parametrize("blank", ["", "  \n"], ids=["empty", "white space"])
def test_a_blank_criterion_finds_nothing(populated: System, find: str, by: str, blank: str) -> None:
    assert populated.do(find, search={by: blank}) == []


@pytest.mark.parametrize(("find", "by"), EVERY_SEARCH)
def test_what_nobody_has_is_not_found(populated: System, find: str, by: str) -> None:
    assert populated.do(find, search={by: "nobody"}) == []


@pytest.mark.parametrize(("find", "by"), EVERY_SEARCH)
def test_a_search_longer_than_anything_stored_is_refused(
    populated: System, find: str, by: str
) -> None:
    wanted = refused("tooLong", f"search.{by}", TOO_LONG[:100])
    populated.refuses(wanted, operation=find, search={by: TOO_LONG})
    populated.refuses(wanted, operation=find.replace("find", "manage"), search={by: TOO_LONG})


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ({"byGroup": "G", "byUserName": "1"}, ["1"]),
        ({"byGroup": "administrators", "byFuzzyUserNameOrAlias": "2"}, ["2"]),
        ({"byFuzzyUserNameOrAlias": "2", "byUserName": "1"}, ["1"]),
        ({"byUserName": None, "byGroup": "G"}, ["1", "2"]),
        ({"byUserName": "", "byGroup": "G"}, []),
        ({"byUserName": "nobody", "byGroup": "G"}, []),
    ],
)
def test_the_first_criterion_given_counts(
    populated: System, search: dict[str, Any], found: list[str]
) -> None:
    assert populated.user_names(**search) == found


def test_names_are_compared_exactly_and_with_case(populated: System) -> None:
    assert populated.user_names(byGroup="g") == []
    assert populated.do("findPermission", search={"byLabel": "l"}) == []
    assert populated.do("findPermission", search={"byName": "voicemail"}) == []


@pytest.mark.parametrize("search", [{}, {"byGroup": ""}, {"byGroup": "unknown"}])
def test_a_mass_deletion_does_not_happen_by_accident(
    populated: System, search: dict[str, str]
) -> None:
    before = populated.dump()
    populated.do("manageUser", search=search, deleteUser=True)
    populated.do("managePhone", search=search, deletePhone=True)
    if search == {}:
        populated.do("managePermission", search=search, deletePermission=True)
    assert populated.dump() == before


# Edits.


MANAGE = {
    "managePermission": ("Permission", "description", "deletePermission"),
    "manageUser": ("User", "firstName", "deleteUser"),
    "managePhone": ("Phone", "description", "deletePhone"),
}
ONE = {
    "managePermission": {"byLabel": "L"},
    "manageUser": {"byUserName": "1"},
    "managePhone": {"bySerialNumber": "bria1"},
}


def shown(system: System, manage: str) -> dict[str, Any]:
    (found,) = system.do(manage.replace("manage", "find"), search=ONE[manage])
    return dict(found)


@pytest.mark.parametrize("manage", MANAGE)
@pytest.mark.parametrize("delete", [False, True], ids=["editing", "deleting"])
def test_an_unknown_property_is_refused_matched_entities_or_not(
    populated: System, manage: str, *, delete: bool
) -> None:
    type_name, known, flag = MANAGE[manage]
    nobody = {next(iter(ONE[manage])): "nobody"}
    for search in ({"search": ONE[manage]}, {"search": nobody}, {"search": {}}, {}):
        edit = edits((known, "x"), ("color", "red"))
        fault = populated.refusal(manage, **search, edit=edit, **{flag: delete})
        assert fault.problems == [refused("unknownProperty", "edit[1].property", "color")]
        assert type_name in fault.text


@pytest.mark.parametrize("manage", MANAGE)
@pytest.mark.parametrize("spelling", ["Description", " firstName", "description "])
def test_property_names_are_compared_as_sent(populated: System, manage: str, spelling: str) -> None:
    populated.refuses(
        refused("unknownProperty", "edit[0].property", spelling),
        operation=manage,
        edit=edits((spelling, "x")),
    )


@pytest.mark.parametrize("manage", MANAGE)
@pytest.mark.parametrize("delete", [False, True], ids=["editing", "deleting"])
def test_a_value_without_a_name_is_refused(populated: System, manage: str, *, delete: bool) -> None:
    nameless: list[dict[str, Any]] = [{"property": name} for name in ("", " ", None)]
    for edit in ({}, *nameless):
        populated.refuses(
            refused("required", "edit[0].property"),
            operation=manage,
            edit=edit | {"value": "x"},
            **{MANAGE[manage][2]: delete},
        )


@pytest.mark.parametrize("manage", MANAGE)
def test_hollow_edits_are_passed_over(populated: System, manage: str) -> None:
    hollow: list[dict[str, Any]] = [
        {},
        {"property": ""},
        {"property": " ", "value": ""},
        {"property": None, "value": None},
    ]
    before = populated.dump()
    populated.do(manage, search=ONE[manage], edit=hollow)
    assert populated.dump() == before


def test_places_of_edits_are_counted_as_sent(populated: System) -> None:
    populated.refuses(
        refused("unknownProperty", "edit[2].property", "a"),
        refused("required", "edit[3].property"),
        operation="manageUser",
        edit=[{}, *edits(firstName="x"), *edits(("a", "b"), (None, "c"))],
    )


@pytest.mark.parametrize("manage", MANAGE)
def test_the_last_of_a_repeated_property_wins(populated: System, manage: str) -> None:
    known = MANAGE[manage][1]
    populated.do(manage, search=ONE[manage], edit=edits((known, "a"), (known, "b")))
    assert shown(populated, manage)[known] == "b"
    populated.do(manage, search=ONE[manage], edit=edits((known, "c"), (known, None)))
    assert known not in shown(populated, manage)


@pytest.mark.parametrize("manage", MANAGE)
def test_a_blank_value_clears_a_text(populated: System, manage: str) -> None:
    known = MANAGE[manage][1]
    for value in ({}, *({"value": blank} for blank in BLANK_TEXTS)):
        populated.do(manage, search=ONE[manage], edit=edits((known, "a")))
        assert shown(populated, manage)[known] == "a"
        populated.do(manage, search=ONE[manage], edit={"property": known} | value)
        assert known not in shown(populated, manage)


@pytest.mark.parametrize(
    ("manage", "required"),
    [("managePermission", "label"), ("manageUser", "userName"), ("managePhone", "serialNumber")],
)
def test_a_blank_value_does_not_clear_a_required_text(
    populated: System, manage: str, required: str
) -> None:
    for blank in BLANK_TEXTS:
        populated.refuses(
            refused("required", required),
            operation=manage,
            search=ONE[manage],
            edit=edits((required, blank)),
        )


@pytest.mark.parametrize("blank", ["", " \n", None])
def test_a_blank_value_means_false_for_a_boolean(system: System, blank: str | None) -> None:
    system.add_permission("L", defaultValue=True)
    system.do("managePermission", search={"byLabel": "L"}, edit=edits(defaultValue=blank))
    assert system.do("findPermission", search={"byLabel": "L"})[0]["defaultValue"] == "false"


@pytest.mark.parametrize(
    ("word", "value"),
    [
        *((word, "true") for word in ("true", "T", "yes", "Y", " on ", "1", "TRUE")),
        *((word, "false") for word in ("false", "F", "no", "N", "Off", "0\n")),
    ],
)
def test_booleans_of_edits_are_read_like_others(system: System, word: str, value: str) -> None:
    system.add_permission("L", defaultValue=value == "false")
    system.do("managePermission", search={"byLabel": "L"}, edit=edits(defaultValue=word))
    assert system.do("findPermission", search={"byLabel": "L"})[0]["defaultValue"] == value


def test_another_word_is_no_boolean(system: System) -> None:
    system.add_permission("L")
    system.refuses(
        refused("invalidValue", "defaultValue", " maybe"),
        operation="managePermission",
        edit=edits(defaultValue=" maybe"),
    )


@pytest.mark.parametrize("blank", BLANK_TEXTS, ids=BLANK_IDS)
def test_a_blank_value_clears_a_list(system: System, blank: str | None) -> None:
    system.add_users("1", aliases=["a"], groups=["G"])
    system.add_phone(groups=["G"])
    system.edit_user("1", aliases=blank, groups=blank, permissions=blank)
    assert not {"aliases", "groups", "permissions"} & system.user("1").keys()
    system.manage_phone(edit=edits(groups=blank))
    assert "groups" not in system.phone()


@pytest.mark.parametrize(
    ("text", "members"),
    [
        ("a", ["a"]),
        ("a,b", ["a", "b"]),
        ("a b", ["a", "b"]),
        (" ,a ,\t,b\n,, c,", ["a", "b", "c"]),
        ('"Sales Team",Managers', ["Sales Team", "Managers"]),
        ('"a, b" "c"', ["a, b", "c"]),
        ('x,"",y', ["x", "y"]),
        ('" padded "', ["padded"]),
        ('"  "', []),
        ("b a b", ["b", "a"]),
        ("\xa0", ["\xa0"]),
    ],
)
def test_lists_are_separated_by_commas_or_white_space(
    system: System, text: str, members: list[str]
) -> None:
    system.add_users("1")
    system.edit_user("1", groups=text)
    assert system.user("1").get("groups", []) == members


@pytest.mark.parametrize("text", ['"open', 'a,"b c', 'a "b" "', 'a"b'])
def test_an_open_quote_is_refused(system: System, text: str) -> None:
    system.add_users("1", groups=["kept"])
    system.refuses(
        refused("invalidValue", "groups", text), operation="manageUser", edit=edits(groups=text)
    )


def test_the_fault_for_a_list_of_an_edit_names_the_member(system: System) -> None:
    system.add_users("1")
    fault = system.refusal(
        "manageUser",
        search={"byUserName": "1"},
        edit=edits(aliases="good ö", permissions=f"Voicemail,none {TOO_LONG}"),
    )
    assert sorted(map(str, fault.problems)) == sorted(
        map(
            str,
            [
                refused("invalidValue", "aliases", "ö"),
                refused("unknownPermission", "permissions", "none"),
                refused("tooLong", "permissions", TOO_LONG[:100]),
            ],
        )
    )


@pytest.mark.parametrize("manage", MANAGE)
def test_edits_are_checked_for_length(populated: System, manage: str) -> None:
    known = MANAGE[manage][1]
    populated.refuses(
        refused("tooLong", known, TOO_LONG[:100]),
        operation=manage,
        search=ONE[manage],
        edit=edits((known, TOO_LONG)),
    )


# Managing.


@pytest.mark.parametrize("manage", MANAGE)
def test_no_match_is_no_error(populated: System, manage: str) -> None:
    criterion = next(iter(ONE[manage]))
    before = populated.dump()
    known, flag = MANAGE[manage][1:]
    populated.do(manage, search={criterion: "nobody"}, edit=edits((known, "x")))
    populated.do(manage, search={criterion: "nobody"}, **{flag: True})
    assert populated.dump() == before


@pytest.mark.parametrize("manage", MANAGE)
def test_no_search_means_all_entities(populated: System, manage: str) -> None:
    known = MANAGE[manage][1]
    populated.do(manage, edit=edits((known, "same")))
    for entity in populated.do(manage.replace("manage", "find")):
        assert entity.get("builtIn") == "true" or entity[known] == "same"


@pytest.mark.parametrize("manage", MANAGE)
def test_nothing_to_do_is_no_error(populated: System, manage: str) -> None:
    before = populated.dump()
    populated.do(manage)
    populated.do(manage, **{MANAGE[manage][2]: False})
    assert populated.dump() == before


@pytest.mark.parametrize("manage", MANAGE)
def test_with_deletion_nothing_else_is_carried_out(populated: System, manage: str) -> None:
    known, flag = MANAGE[manage][1:]
    others = {} if manage == "managePermission" else {"addGroup": "New"}
    populated.do(manage, search=ONE[manage], edit=edits((known, "x")), **others, **{flag: True})
    assert populated.do(manage.replace("manage", "find"), search=ONE[manage]) == []
    assert populated.scalar("SELECT count(*) FROM user_groups WHERE name = 'New'") == 0
    assert populated.scalar("SELECT count(*) FROM phone_groups WHERE name = 'New'") == 0


@pytest.mark.parametrize(
    ("manage", "edit"),
    [
        ("managePermission", edits(label=None, defaultValue="maybe", description=TOO_LONG)),
        ("manageUser", edits(userName="a b", aliases='"', permissions="none", emailAddress="x")),
        ("managePhone", edits(serialNumber="!", deviceVersion="none", lines="x", modelId="x")),
    ],
)
def test_with_deletion_the_values_of_edits_are_not_checked(
    populated: System, manage: str, edit: list[dict[str, Any]]
) -> None:
    populated.do(manage, search=ONE[manage], edit=edit, **{MANAGE[manage][2]: True})
    assert populated.do(manage.replace("manage", "find"), search=ONE[manage]) == []


@pytest.mark.parametrize(
    ("manage", "field", "value"),
    [
        ("manageUser", "addGroup", TOO_LONG),
        ("manageUser", "removeGroup", TOO_LONG),
        ("manageUser", "updateBranch", TOO_LONG),
        ("manageUser", "updateGroup", TOO_LONG),
        ("managePhone", "addGroup", TOO_LONG),
        ("managePhone", "removeGroup", TOO_LONG),
        ("managePhone", "removeLineByUserId", TOO_LONG),
        ("managePhone", "addLine.userId", {"userId": TOO_LONG}),
        (
            "managePhone",
            "addExternalLine.displayName",
            {"userId": "1", "displayName": TOO_LONG, "registrationServer": "h"},
        ),
    ],
)
def test_lengths_of_parameters_are_checked_with_deletion_too(
    populated: System, manage: str, field: str, value: Any
) -> None:
    for delete in (False, True):
        populated.refuses(
            refused("tooLong", field, TOO_LONG[:100]),
            operation=manage,
            **{field.partition(".")[0]: value, MANAGE[manage][2]: delete},
        )


@pytest.mark.parametrize("manage", MANAGE)
def test_unknown_elements_are_refused_with_deletion_too(populated: System, manage: str) -> None:
    populated.refuses(
        refused("unknownElement", "search.byColor"),
        operation=manage,
        search={"byColor": "red"},
        **{MANAGE[manage][2]: True},
    )


@pytest.mark.parametrize("blank", ["", " \n", None])
def test_blank_parameters_do_nothing(populated: System, blank: str | None) -> None:
    before = populated.dump()
    groups = {"addGroup": blank, "removeGroup": blank}
    populated.do("manageUser", **groups, updateBranch=blank, updateGroup=blank)
    populated.do("managePhone", **groups, removeLineByUserId=blank, removeLineByUri=blank)
    assert populated.dump() == before


def test_if_one_entity_is_refused_nothing_is_changed_and_all_refusals_are_listed(
    populated: System,
) -> None:
    populated.refuses(
        refused("nameInUse", "userName", "1", "superadmin"),
        refused("nameInUse", "userName", "1", "2"),
        refused("protectedUser", "userName", "1", "superadmin"),
        operation="manageUser",
        edit=edits(userName="1", firstName="X"),
        addGroup="New",
    )
