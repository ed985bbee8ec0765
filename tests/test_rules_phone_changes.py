"""PhoneService.managePhone (docs/spec/services.md §6)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.support.system import MAC, System, edits, refused

if TYPE_CHECKING:
    from sipxconfig_soap.db import Database
    from tests.support.soap import Soap

OTHER = "0004f2000002"


@pytest.fixture
def system(soap: Soap, database: Database) -> System:
    """Two phones in one group: one of two lines, one of many."""
    system = System(soap, database)
    system.add_users("1", "2", "3")
    system.add_phone(MAC, "polycom331", groups=["G"], lines=[{"userId": "1"}])
    system.add_phone(OTHER, "polycom650", groups=["G"], lines=[{"userId": "1"}, {"userId": "2"}])
    return system


def external(**values: Any) -> dict[str, Any]:
    return {"userId": "x", "registrationServer": "sip.example"} | values


# Editing.


def test_every_property_of_a_phone_but_two_can_be_edited(system: System) -> None:
    system.manage_phone(
        edit=edits(
            serialNumber="00:04:F2:00:00:01",
            description=" d ",
            deviceVersion="polycom4.1.2",
            groups="A,B",
            modelId="polycom331",
        )
    )
    assert system.do("findPhone", search={"byGroup": "A"}) == [
        {
            "serialNumber": "0004f2000001",
            "modelId": "polycom331",
            "description": " d ",
            "groups": ["A", "B"],
            "lines": [{"userId": "1", "uri": "sip:1@example.org"}],
            "deviceVersion": "polycom4.1.2",
        }
    ]


@pytest.mark.parametrize("model", ["polycom650", "POLYCOM331", "none", " polycom331", "", None])
def test_the_model_never_changes(system: System, model: str | None) -> None:
    system.refuses(
        refused("readOnlyProperty", "modelId", model or "", MAC),
        operation="managePhone",
        search={"bySerialNumber": MAC},
        edit=edits(modelId=model),
    )


def test_each_phone_of_another_model_refuses(system: System) -> None:
    system.refuses(
        refused("readOnlyProperty", "modelId", "polycom331", OTHER),
        operation="managePhone",
        search={"byGroup": "G"},
        edit=edits(modelId="polycom331", description="x"),
    )


@pytest.mark.parametrize("serial", [MAC, "nobody"])
@pytest.mark.parametrize("value", ["1", ""])
def test_lines_cannot_be_edited(system: System, serial: str, value: str) -> None:
    system.refuses(
        refused("readOnlyProperty", "lines", value),
        operation="managePhone",
        search={"bySerialNumber": serial},
        edit=edits(lines=value),
    )


def test_a_cleared_version_becomes_the_default_of_each_model(system: System) -> None:
    defaults = [phone.get("deviceVersion") for phone in system.do("findPhone")]
    system.add_phone("0004f2000003", "audiocodesMP112_FXS", groups=["G"])
    system.do("managePhone", edit=edits(deviceVersion="polycom3.1.X"))
    assert {phone["deviceVersion"] for phone in system.do("findPhone")} == {"polycom3.1.X"}
    system.do("managePhone", edit=edits(deviceVersion=" "))
    versions = [phone.get("deviceVersion") for phone in system.do("findPhone")]
    assert versions == [*defaults, "audiocodes6.0"]


def test_an_unknown_version_is_refused(system: System) -> None:
    system.refuses(
        refused("unknownDeviceVersion", "deviceVersion", "3.1"),
        operation="managePhone",
        edit=edits(deviceVersion="3.1"),
    )


@pytest.mark.parametrize(
    ("serial", "problem"),
    [
        ("x", "invalidSerialNumber"),
        ("00:04:f2:00:00:02", "duplicateSerialNumber"),
        ("0" * 300, "invalidSerialNumber"),
    ],
)
def test_a_new_serial_number_is_checked_like_that_of_a_new_phone(
    system: System, serial: str, problem: str
) -> None:
    system.refuses(
        refused(problem, "serialNumber", serial[:100], MAC),
        operation="managePhone",
        search={"bySerialNumber": MAC},
        edit=edits(serialNumber=serial),
    )


@pytest.mark.parametrize(
    ("serial", "refusing"), [("0004f2000009", [OTHER]), (OTHER, [MAC]), (MAC, [OTHER])]
)
def test_several_phones_cannot_have_one_serial_number(
    system: System, serial: str, refusing: list[str]
) -> None:
    system.refuses(
        *(refused("duplicateSerialNumber", "serialNumber", serial, phone) for phone in refusing),
        operation="managePhone",
        edit=edits(serialNumber=serial),
    )


def test_a_phone_does_not_move_to_the_profile_file_of_another(system: System) -> None:
    system.add_phone("000001abcdef", "hitachi5000")
    system.add_phone("000002fedcba", "hitachi5000")
    system.refuses(
        refused("duplicateSerialNumber", "serialNumber", "000003abcdef", "000002fedcba"),
        operation="managePhone",
        search={"bySerialNumber": "000002fedcba"},
        edit=edits(serialNumber="000003abcdef"),
    )
    system.manage_phone("000001abcdef", edit=edits(serialNumber="000004abcdef"))
    assert system.phone("000004abcdef")


def test_the_case_of_a_serial_number_can_be_changed(system: System) -> None:
    system.add_phone("AbC", "bria")
    system.manage_phone("abc", edit=edits(serialNumber="aBC"))
    assert system.phone("ABC")["serialNumber"] == "aBC"
    system.add_phone("x", "bria")
    system.refuses(
        refused("duplicateSerialNumber", "serialNumber", "ABc", "x"),
        operation="managePhone",
        search={"bySerialNumber": "X"},
        edit=edits(serialNumber="ABc"),
    )


# Lines.


def test_a_line_is_added_at_the_end_again_for_the_same_user(system: System) -> None:
    system.manage_phone(OTHER, addLine={"userId": " 1 ", "uri": "not read"})
    assert system.line_users(OTHER) == ["1", "2", "1"]


def test_an_internal_line_is_added_before_an_external_one(system: System) -> None:
    system.manage_phone(OTHER, addExternalLine=external(), addLine={"userId": "3"})
    assert system.line_users(OTHER) == ["1", "2", "3", "x"]


def test_lines_are_added_to_all_that_match(system: System) -> None:
    system.do("managePhone", search={"byGroup": "G"}, addLine={"userId": "3"})
    assert [system.line_users(serial) for serial in (MAC, OTHER)] == [["1", "3"], ["1", "2", "3"]]


def test_one_line_of_a_user_is_removed(system: System) -> None:
    for user in ("1", "3"):
        system.manage_phone(OTHER, addLine={"userId": user})
    system.manage_phone(OTHER, removeLineByUserId=" 1 ")
    assert system.line_users(OTHER) == ["2", "1", "3"]


def test_an_external_line_is_not_that_of_a_user(system: System) -> None:
    system.manage_phone(OTHER, addExternalLine=external(userId="3"))
    system.manage_phone(OTHER, removeLineByUserId="3")
    assert system.line_users(OTHER) == ["1", "2", "3"]


def test_one_line_of_an_address_is_removed(system: System) -> None:
    system.edit_user("2", firstName='"B"')
    system.manage_phone(OTHER, addLine={"userId": "2"}, addExternalLine=external())
    uris = [line["uri"] for line in system.phone(OTHER)["lines"]]
    assert uris[1] == uris[2] == '"\\"B\\""<sip:2@example.org>'
    system.manage_phone(OTHER, removeLineByUri=uris[2])
    assert system.line_users(OTHER) == ["1", "2", "x"]
    system.manage_phone(OTHER, removeLineByUri="sip:x@sip.example")
    assert system.line_users(OTHER) == ["1", "2"]


@pytest.mark.parametrize(
    "uri", ["sip:2@EXAMPLE.ORG", " sip:2@example.org", "2", "<sip:2@example.org>", "x" * 3000]
)
def test_an_address_is_compared_exactly(system: System, uri: str) -> None:
    before = system.dump()
    system.manage_phone(OTHER, removeLineByUri=uri)
    assert system.dump() == before


@pytest.mark.parametrize("parameter", ["removeLineByUserId", "removeLineByUri"])
@pytest.mark.parametrize("value", ["3", "nobody", "", " "])
def test_a_line_that_is_not_there_is_removed_to_no_effect(
    system: System, parameter: str, value: str
) -> None:
    before = system.dump()
    system.do("managePhone", **{parameter: value})
    assert system.dump() == before


def test_both_removals_take_two_lines(system: System) -> None:
    system.manage_phone(OTHER, addLine={"userId": "1"})
    system.manage_phone(OTHER, removeLineByUserId="1", removeLineByUri="sip:1@example.org")
    assert system.line_users(OTHER) == ["2"]


def test_lines_are_counted_after_all_steps(system: System) -> None:
    system.manage_phone(addLine={"userId": "2"})
    system.manage_phone(removeLineByUserId="1", addLine={"userId": "3"})
    assert system.line_users() == ["2", "3"]
    system.refuses(
        refused("tooManyLines", "addLine", entity=MAC),
        operation="managePhone",
        search={"byGroup": "G"},
        addLine={"userId": "1"},
    )
    system.refuses(
        refused("tooManyLines", "addLine", entity=MAC),
        operation="managePhone",
        search={"bySerialNumber": MAC},
        removeLineByUserId="2",
        addLine={"userId": "1"},
        addExternalLine=external(),
    )
    system.refuses(
        refused("tooManyLines", "addLine", entity=MAC),
        operation="managePhone",
        search={"bySerialNumber": MAC},
        addExternalLine=external(),
    )


def test_lines_are_counted_by_the_version_that_then_holds(system: System) -> None:
    serial = "0004f2000003"
    system.add_phone(serial, "nortel11xx", lines=[{"userId": "1"}])
    system.refuses(
        refused("tooManyLines", "addLine", entity=serial),
        operation="managePhone",
        search={"bySerialNumber": serial},
        addLine={"userId": "2"},
    )
    version = edits(deviceVersion="nortelPhone3.2")
    system.manage_phone(serial, edit=version, addLine={"userId": "2"})
    for value in (None, "polycom3.1.X"):
        system.refuses(
            refused("tooManyLines", "lines", entity=serial),
            operation="managePhone",
            search={"bySerialNumber": serial},
            edit=edits(deviceVersion=value),
        )
    system.manage_phone(serial, edit=edits(deviceVersion=None), removeLineByUserId="1")
    assert system.line_users(serial) == ["2"]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ({"userId": "9"}, ("unknownUser", "addLine.userId", "9")),
        ({"userId": " 9 "}, ("unknownUser", "addLine.userId", " 9 ")),
        ({"uri": "sip:1@x"}, ("required", "addLine.userId", None)),
        ({"userId": " ", "uri": "x"}, ("required", "addLine.userId", None)),
    ],
)
@pytest.mark.parametrize("serial", [MAC, "nobody"])
def test_a_line_is_that_of_a_user_who_exists(
    system: System, serial: str, line: dict[str, str], problem: tuple[str, str, str | None]
) -> None:
    system.refuses(
        refused(*problem),
        operation="managePhone",
        search={"bySerialNumber": serial},
        addLine=line,
    )


@pytest.mark.parametrize("hollow", [{}, {"userId": ""}, {"userId": None, "uri": " "}])
def test_a_hollow_line_is_passed_over(system: System, hollow: dict[str, Any]) -> None:
    before = system.dump()
    system.do("managePhone", addLine=hollow, addExternalLine=hollow and {"userId": ""})
    assert system.dump() == before


@pytest.mark.parametrize(
    "server",
    [
        "sip",
        "a-b.example.org",
        "1a.x",
        "x" * 63 + ".org",
        "10.0.0.1",
        "10.0.0.1:5060",
        "sip.example:1",
        "sip.example:65535",
        "[::1]",
        "[2001:db8::1]:5070",
        "[::ffff:10.0.0.1]",
        " sip.example ",
    ],
)
def test_a_registration_server_is_a_host_with_or_without_a_port(
    system: System, server: str
) -> None:
    system.manage_phone(OTHER, addExternalLine=external(registrationServer=server))
    assert system.phone(OTHER)["lines"][2]["uri"] == f"sip:x@{server.strip()}"


@pytest.mark.parametrize(
    "server",
    [
        "a_b",
        "-a.b",
        "a-.b",
        "a..b",
        "a.",
        ".a",
        "ü.example",
        "x" * 64,
        "10.0.0",
        "10.0.0.256",
        "1234",
        "sip.example:0",
        "sip.example:65536",
        "sip.example:",
        "sip.example:x",
        "sip.example:5060:1",
        "::1",
        "[::1",
        "[::g]",
        "[10.0.0.1]",
        "[fe80::1%eth0]",
        "[::1]5060",
        "sip:a.b",
        "a.b/c",
        "a b",
        "a\nb",
        "a@b",
    ],
)
def test_another_registration_server_is_refused(system: System, server: str) -> None:
    system.refuses(
        refused("invalidValue", "addExternalLine.registrationServer", server),
        operation="managePhone",
        addExternalLine=external(registrationServer=server),
    )


@pytest.mark.parametrize("missing", ["userId", "registrationServer"])
@pytest.mark.parametrize("blank", ["", " ", None, ...])
def test_an_external_line_needs_an_account_and_a_server(
    system: System, missing: str, blank: Any
) -> None:
    values = external(displayName="x")
    del values[missing]
    if blank is not ...:
        values[missing] = blank
    system.refuses(
        refused("required", f"addExternalLine.{missing}"),
        operation="managePhone",
        addExternalLine=values,
    )


@pytest.mark.parametrize("name", ["displayName", "password", "voiceMail"])
@pytest.mark.parametrize("character", ["\t", "\n", "\x7f", "\x85"])
def test_what_goes_into_files_has_no_control_characters(
    system: System, name: str, character: str
) -> None:
    value = f"hush{character}x"
    fault = system.refusal("managePhone", addExternalLine=external(**{name: value}))
    (problem,) = fault.problems
    assert (problem.code, problem.field) == ("invalidValue", f"addExternalLine.{name}")
    assert problem.value == (None if name == "password" else value)
    assert name != "password" or "hush" not in fault.response.text


@pytest.mark.parametrize("account", ["a b", "ü", "a@b", "%2"])
def test_the_account_of_an_external_line_has_the_characters_of_a_user_name(
    system: System, account: str
) -> None:
    system.refuses(
        refused("invalidValue", "addExternalLine.userId", account),
        operation="managePhone",
        addExternalLine=external(userId=account),
    )


def test_an_external_line_is_stored_whole(system: System) -> None:
    values = {"displayName": " A  B ", "password": " p ", "voiceMail": " 8 "}
    system.manage_phone(OTHER, addExternalLine=external(**values))
    system.manage_phone(OTHER, addExternalLine=external(displayName="", password=" ", voiceMail=""))
    with system.database.engine.connect() as connection:
        rows = connection.exec_driver_sql(
            "SELECT external_user_id, display_name, password, registration_server, voice_mail"
            " FROM lines WHERE user_id IS NULL ORDER BY id"
        ).all()
    assert list(map(tuple, rows)) == [
        ("x", "A  B", " p ", "sip.example", " 8 "),
        ("x", None, None, "sip.example", None),
    ]


# Groups, and the order of all.


def test_groups_are_replaced_then_one_is_entered_and_one_left(system: System) -> None:
    system.manage_phone(edit=edits(groups="A B"), addGroup=" C ", removeGroup="A")
    assert system.phone()["groups"] == ["B", "C"]
    assert system.serials(byGroup="G") == [OTHER]


def test_all_steps_act_in_one_call(system: System) -> None:
    system.manage_phone(
        edit=edits(serialNumber="0004f2000001", deviceVersion="polycom4.1.2"),
        removeLineByUserId="1",
        addLine={"userId": "2"},
        addExternalLine=external(),
        addGroup="H",
        removeGroup="G",
        generateProfiles=True,
        restart=True,
    )
    phone = system.phone("0004f2000001")
    assert [line["userId"] for line in phone["lines"]] == ["2", "x"]
    assert phone["groups"] == ["H"]
    assert ("profiles", "0004f2000001") in system.jobs()
    assert ("restart", "0004f2000001") in system.jobs()


def test_a_refusal_undoes_every_step(system: System) -> None:
    system.refuses(
        refused("tooManyLines", "addLine", entity=MAC),
        operation="managePhone",
        edit=edits(description="x"),
        addLine={"userId": "2"},
        addExternalLine=external(),
        addGroup="New",
        generateProfiles=True,
    )


# Deleting.


def test_deleting_a_phone_deletes_its_lines_and_leaves_users_and_groups(system: System) -> None:
    system.manage_phone(deletePhone=True)
    assert system.serials() == [OTHER]
    assert system.scalar("SELECT count(*) FROM lines") == 2
    assert system.user_names() == ["1", "2", "3", "superadmin"]
    assert system.serials(byGroup="G") == [OTHER]
    system.add_phone(MAC)


def test_phones_of_a_group_are_deleted(system: System) -> None:
    system.do("managePhone", search={"byGroup": "G"}, deletePhone=True)
    assert system.serials() == []
    assert system.scalar("SELECT count(*) FROM phone_groups") == 1


def test_deleting_wins_over_everything_else(system: System) -> None:
    system.manage_phone(
        deletePhone=True,
        edit=edits(serialNumber="0004f2000001"),
        addLine={"userId": "nobody"},
        addExternalLine={"userId": "x"},
        generateProfiles=True,
        restart=True,
    )
    assert system.serials() == [OTHER]
    assert system.jobs() == [("removal", MAC)]
