"""UserService: adding, finding and deleting users (docs/spec/services.md §3)."""

from __future__ import annotations

import string
from typing import Any

import pytest

from sipxconfig_soap.domain import pins
from tests.support.client import PIN
from tests.support.system import LONGEST, MAC, System, edits, refused

COSTLIER = [
    "$argon2id$v=19$m=19457,t=2,p=1$c29tZXNhbHRzb21l$" + "A" * 43,
    "$argon2id$v=19$m=19456,t=3,p=1$c29tZXNhbHRzb21l$" + "A" * 43,
    "$argon2id$v=19$m=19456,t=2,p=2$c29tZXNhbHRzb21l$" + "A" * 43,
    "$argon2id$v=19$m=4294967295,t=4294967295,p=1$c29tZXNhbHRzb21l$" + "A" * 43,
]
NOT_HASHES = [
    " d41d8cd98f00b204e9800998ecf8427e",
    "d41d8cd98f00b204e9800998ecf8427",
    "d41d8cd98f00b204e9800998ecf8427g",
    "d41d8cd98f00b204e9800998ecf8427\u0663",
    "1234",
    "$argon2i$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21l$" + "A" * 43,
    "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21l$" + "A" * 42,
    "$argon2id$v=19$m=4,t=2,p=1$c29tZXNhbHRzb21l$" + "A" * 43,
]


def can_log_in(system: System, user: str, pin: str) -> bool:
    stored = system.user(user).get("pintoken")
    return pins.verify_pin(pin, stored).ok


def test_a_user_is_found_as_it_was_added(system: System) -> None:
    system.add_permission("x")
    user = {
        "userName": "223",
        "lastName": "Brandt",
        "firstName": "Jürgen \U0001f4de",
        "sipPassword": "s3cret",
        "aliases": ["brandt", "b"],
        "emailAddress": "jb@example.org",
        "groups": ["Managers", "Sales"],
        "permissions": ["perm_1"],
        "branchName": "Berlin",
    }
    system.do("addUser", user=user)
    found = system.user("223")
    assert "perm_1" in found["permissions"]
    assert found == user | {"aliases": ["b", "brandt"], "permissions": found["permissions"]}


@pytest.mark.parametrize(
    "name", ["0", "a-1", "-_.!~*'()&=+$,;?/", "%20", "a%fFb", "A", "~", "x" * LONGEST]
)
def test_user_names_have_the_characters_of_a_sip_user(system: System, name: str) -> None:
    system.add_users(name, aliases=[f"{name[1:]}+"])
    assert system.user(name)["userName"] == name


@pytest.mark.parametrize(
    "name", ["a b", "ü", "a@b", "a:b", "%", "%2", "%g0", '"', "<", "#", "a\nb", "\U0001f4de", "٣"]
)
def test_other_characters_are_refused(system: System, name: str) -> None:
    system.refuses(
        refused("invalidValue", "userName", name), operation="addUser", user={"userName": name}
    )
    system.refuses(
        refused("invalidValue", "aliases[0]", name),
        operation="addUser",
        user={"userName": "1", "aliases": [name]},
    )


@pytest.mark.parametrize("address", ["a@b", "jürgen@example.org", "a.b+c@x.y.z", "x@[::1]"])
def test_an_email_address_looks_like_one(system: System, address: str) -> None:
    system.add_users("1", emailAddress=address)
    assert system.user("1")["emailAddress"] == address


@pytest.mark.parametrize("address", ["a", "@b", "a@", "a@b@c", "a b@c", "a@b c", "<a@b>", "a\n@b"])
def test_what_does_not_look_like_an_email_address_is_refused(system: System, address: str) -> None:
    system.refuses(
        refused("invalidValue", "emailAddress", address),
        operation="addUser",
        user={"userName": "1", "emailAddress": address},
    )


def test_aliases_are_listed_in_ascending_order_code_point_by_code_point(system: System) -> None:
    system.add_users("1", aliases=["b", "a", "Z", "10", "9", "~"])
    assert system.user("1")["aliases"] == ["10", "9", "Z", "a", "b", "~"]


# The SIP password.


@pytest.mark.parametrize("given", [{}, {"sipPassword": None}, {"sipPassword": " \t"}])
def test_a_sip_password_is_made_up_when_none_is_given(
    system: System, given: dict[str, Any]
) -> None:
    system.add_users("1", "2", **given)
    first, second = (system.user(name)["sipPassword"] for name in ("1", "2"))
    assert first != second
    for made_up in (first, second):
        assert len(made_up) == 12
        assert set(made_up) <= set(string.ascii_letters + string.digits)


@pytest.mark.parametrize("password", [" x ", "ü" * LONGEST, "\U0001f511", "<&>\"'"])
def test_a_sip_password_is_kept_as_given(system: System, password: str) -> None:
    system.add_users("1", sipPassword=password)
    assert system.user("1")["sipPassword"] == password


@pytest.mark.parametrize("character", ["\t", "\n", "\x7f", "\x80", "\x85", "\x9f"])
def test_a_sip_password_has_no_control_characters(system: System, character: str) -> None:
    fault = system.refusal(
        "addUser", user={"userName": "1", "sipPassword": f"secret{character}word"}
    )
    assert fault.problems == [refused("invalidValue", "sipPassword")]
    assert "secret" not in fault.response.text


# PINs.


def test_a_pin_is_hashed(system: System) -> None:
    system.do("addUser", user={"userName": "1"}, pin=" 12 34 ")
    assert pins.is_hash(system.user("1")["pintoken"])
    assert can_log_in(system, "1", " 12 34 ")
    assert not can_log_in(system, "1", "12 34")


@pytest.mark.parametrize("given", [{}, {"pin": None}, {"pin": ""}], ids=["absent", "nil", "empty"])
def test_without_a_pin_the_user_has_none(system: System, given: dict[str, Any]) -> None:
    system.do("addUser", user={"userName": "1"}, **given)
    assert "pintoken" not in system.user("1")


@pytest.mark.parametrize("pin", [" ", "\n", "ü\U0001f4de", "x" * LONGEST])
def test_any_text_is_a_pin(system: System, pin: str) -> None:
    system.do("addUser", user={"userName": "1"}, pin=pin)
    assert can_log_in(system, "1", pin)


@pytest.mark.parametrize("parameter", ["pin", "vmpin"])
def test_a_pin_that_is_too_long_is_refused_without_being_repeated(
    system: System, parameter: str
) -> None:
    fault = system.refusal("addUser", user={"userName": "1"}, **{parameter: "7" * (LONGEST + 1)})
    assert fault.problems == [refused("tooLong", parameter)]
    assert "777" not in fault.response.text


def test_the_voicemail_pin_is_hashed_or_the_same_as_the_pin(system: System) -> None:
    system.do("addUser", user={"userName": "1"}, pin="1234", vmpin="77")
    system.do("addUser", user={"userName": "2"}, pin="1234")
    stored = "SELECT voicemail_pin_hash FROM users WHERE user_name = :name"
    assert pins.verify_pin("77", system.scalar(stored, name="1")).ok
    assert can_log_in(system, "1", "1234")
    assert system.scalar(stored, name="2") is None


def test_a_copy_of_a_user_keeps_its_pin(system: System) -> None:
    system.do("addUser", user={"userName": "1"}, pin="1234")
    copy = system.user("1") | {"userName": "2", "permissions": []}
    system.do("addUser", user=copy)
    assert can_log_in(system, "2", "1234")
    assert system.user("2")["pintoken"] == system.user("1")["pintoken"]


def test_a_pintoken_counts_only_without_a_pin(system: System) -> None:
    system.do("addUser", user={"userName": "1", "pintoken": pins.hash_pin("old")}, pin="new")
    assert can_log_in(system, "1", "new")
    system.do("addUser", user={"userName": "2", "pintoken": COSTLIER[0]}, pin="new")
    assert can_log_in(system, "2", "new")
    system.do("addUser", user={"userName": "3", "pintoken": pins.hash_pin("old")}, pin="")
    assert can_log_in(system, "3", "old")


@pytest.mark.parametrize("text", NOT_HASHES)
def test_a_pintoken_that_is_no_hash_of_ours_is_ignored(system: System, text: str) -> None:
    system.add_users("1", pintoken=text)
    assert "pintoken" not in system.user("1")


@pytest.mark.parametrize("costlier", COSTLIER, ids=["memory", "time", "lanes", "huge"])
def test_a_hash_that_costs_more_than_ours_is_refused(system: System, costlier: str) -> None:
    fault = system.refusal("addUser", user={"userName": "1", "pintoken": costlier})
    assert fault.problems == [refused("invalidValue", "pintoken")]
    assert costlier not in fault.response.text


def test_a_hash_that_costs_less_than_ours_is_taken_over(system: System) -> None:
    cheaper = "$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHRzb21l$" + "A" * 43
    system.add_users("1", pintoken=cheaper)
    assert system.user("1")["pintoken"] == cheaper


# Finding.


def test_users_are_ordered_by_name_code_point_by_code_point(system: System) -> None:
    names = ["b", "B", "a", "10", "9", "~", "-", "aa", "A", "_", "%20"]
    system.add_users(*names)
    assert system.user_names() == sorted([*names, "superadmin"])


def test_an_alias_does_not_find_a_user_by_user_name(system: System) -> None:
    system.add_users("1", aliases=["one"])
    assert system.user_names(byUserName="one") == []
    assert system.user_names(byFuzzyUserNameOrAlias="one") == ["1"]


@pytest.fixture
def people(system: System) -> System:
    system.add_users("200", aliases=["Front.Desk"], firstName="Änne", lastName="Strauß")
    system.add_users("201", aliases=["a_b", "x-y"], firstName="İnci", lastName=r"back\slash")
    system.add_users("2020", lastName="ΣΊΣΥΦΟΣ", firstName="100% Bob", emailAddress="q@q.example")
    return system


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("20", ["200", "201", "2020"]),
        ("0", ["200", "201", "2020"]),
        ("200", ["200"]),
        ("front.desk", ["200"]),
        ("T.D", ["200"]),
        ("änne", ["200"]),
        ("ÄNN", ["200"]),
        ("STRAUSS", ["200"]),
        ("strauß", ["200"]),
        ("auẞ", ["200"]),
        ("i\N{COMBINING DOT ABOVE}nci", ["201"]),
        ("İNCİ", []),
        ("İN", ["201"]),
        ("σίσυφος", ["2020"]),
        ("σίσυφοσ", ["2020"]),
        ("2%0", ["200", "201", "2020"]),
        ("0%2", ["2020"]),
        ("2%1", ["201"]),
        ("%", ["200", "201", "2020", "superadmin"]),
        ("100%%bob", ["2020"]),
        ("_", ["201"]),
        ("a_b", ["201"]),
        ("2_0", []),
        ("\\", ["201"]),
        ("K\\S", ["201"]),
        ("\\%", ["201"]),
        ("\\_", []),
        (" bob", ["2020"]),
        (" 200", []),
        ("200 ", []),
        ("q@q", []),
        ("Änne Strauß", []),
        ("SUPER", ["superadmin"]),
    ],
)
def test_a_fuzzy_search_finds_parts_of_names_and_aliases(
    people: System, text: str, found: list[str]
) -> None:
    assert people.user_names(byFuzzyUserNameOrAlias=text) == sorted(found)


def test_a_fuzzy_search_follows_what_is_edited(people: System) -> None:
    people.edit_user("200", firstName="Zoë", lastName=None, aliases="new")
    for gone in ("änne", "strauss", "front"):
        assert people.user_names(byFuzzyUserNameOrAlias=gone) == []
    for there in ("ZOË", "NEW"):
        assert people.user_names(byFuzzyUserNameOrAlias=there) == ["200"]


def test_the_longest_name_that_folds_to_more_characters_is_searchable(system: System) -> None:
    name = "\N{LATIN SMALL LIGATURE FFI}" * LONGEST
    system.add_users("1", firstName=name)
    assert system.user("1")["firstName"] == name
    assert system.user_names(byFuzzyUserNameOrAlias=name.upper()[:LONGEST]) == ["1"]


def test_a_user_who_matches_twice_is_listed_once(system: System) -> None:
    system.add_users("bob", aliases=["bob2", "bobby"], firstName="Bob", lastName="Bobson")
    assert system.user_names(byFuzzyUserNameOrAlias="bob") == ["bob"]


def test_a_list_is_never_cut_off(system: System) -> None:
    with system.database.engine.begin() as connection:
        connection.exec_driver_sql(
            "WITH new AS (INSERT INTO users (user_name, sip_password)"
            " SELECT 'u' || n, 'x' FROM generate_series(1, 3000) n RETURNING id, user_name)"
            " INSERT INTO names (value, folded, kind, user_id)"
            " SELECT user_name, user_name, 'userName', id FROM new"
        )
    assert len(system.user_names()) == 3001
    assert len(system.user_names(byFuzzyUserNameOrAlias="u")) == 3001


# Deleting.


@pytest.fixture
def connected(system: System) -> System:
    """User 1 is everywhere, user 2 too."""
    system.add_users("1", "2", groups=["G"], permissions=["900Dialing"], branchName="B")
    system.edit_user("1", aliases="one")
    rings = [{"userName": name, "type": "delayed", "expiration": 5} for name in ("1", "2", "1")]
    system.do("addCallGroup", callGroup={"name": "c", "rings": rings})
    lines = [{"userId": "1"}, {"userId": "2"}, {"userId": "1"}]
    system.add_phone(MAC, "polycom650", lines=lines)
    system.add_phone("bria2", "bria", lines=[{"userId": "2"}])
    return system


def test_deleting_a_user_takes_all_that_is_its_own(connected: System) -> None:
    connected.do("manageUser", search={"byUserName": "1"}, deleteUser=True)
    assert connected.user_names() == ["2", "superadmin"]
    (group,) = connected.do("getCallGroups")
    assert [ring["userName"] for ring in group["rings"]] == ["2"]
    assert group["rings"][0]["position"] == "0"
    assert connected.line_users() == ["2"]
    assert connected.scalar("SELECT count(*) FROM user_permissions") == 1
    assert connected.user("2")["groups"] == ["G"]
    connected.add_users("1", aliases=["one"])


def test_phones_with_lines_of_a_deleted_user_get_new_profiles(connected: System) -> None:
    assert connected.jobs() == []
    connected.do("manageUser", search={"byUserName": "1"}, deleteUser=True)
    assert connected.jobs() == [("profiles", MAC)]


def test_groups_call_groups_and_phones_stay_without_users(connected: System) -> None:
    connected.do("manageUser", deleteUser=True)
    assert connected.user_names() == ["superadmin"]
    assert "rings" not in connected.do("getCallGroups")[0]
    assert [phone.get("lines") for phone in connected.do("findPhone")] == [None, None]
    connected.add_users("3", groups=["Z", "G"], branchName="B")
    assert connected.user("3")["groups"] == ["G", "Z"]


def test_deleted_users_do_not_come_back_in_groups(connected: System) -> None:
    connected.do("manageUser", search={"byGroup": "G"}, deleteUser=True)
    assert connected.user_names(byGroup="G") == []
    connected.add_users("1")
    assert "groups" not in connected.user("1")


# superadmin.


def test_a_new_system_has_superadmin_and_its_group(system: System) -> None:
    (user,) = system.do("findUser")
    assert user["userName"] == "superadmin"
    assert user["groups"] == ["administrators"]
    assert "superadmin" in user["permissions"]
    assert "tui-change-pin" not in user["permissions"]


@pytest.mark.parametrize(
    "search", [{"byUserName": "superadmin"}, {"byGroup": "administrators"}, None]
)
def test_superadmin_alone_cannot_be_deleted(system: System, search: dict[str, str] | None) -> None:
    system.refuses(
        refused("protectedUser", "deleteUser", entity="superadmin"),
        operation="manageUser",
        search=search,
        deleteUser=True,
    )


def test_superadmin_is_skipped_when_others_are_deleted_too(system: System) -> None:
    system.add_users("1", "2")
    system.do("manageUser", deleteUser=True)
    assert system.user_names() == ["superadmin"]


@pytest.mark.parametrize("change", [("userName", "root"), ("pin", None), ("pintoken", "")])
def test_superadmin_keeps_its_name_and_a_pin(system: System, change: tuple[str, str]) -> None:
    name, value = change
    shown = value if name == "userName" else None
    for search in ({"byUserName": "superadmin"}, {"byFuzzyUserNameOrAlias": "super"}):
        system.refuses(
            refused("protectedUser", name, shown, "superadmin"),
            operation="manageUser",
            search=search,
            edit=edits(change),
        )


def test_superadmin_may_be_edited_otherwise(system: System) -> None:
    system.edit_user("superadmin", userName="superadmin", firstName="Root", aliases="root", pin=PIN)
    assert system.user("superadmin")["aliases"] == ["root"]
    assert can_log_in(system, "superadmin", PIN)


def test_another_administrator_is_not_protected(system: System) -> None:
    system.add_users("boss", groups=["administrators"])
    system.edit_user("boss", userName="chief", pin=None)
    system.do("manageUser", search={"byUserName": "chief"}, deleteUser=True)
    assert system.user_names() == ["superadmin"]
