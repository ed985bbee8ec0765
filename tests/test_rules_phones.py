"""PhoneService: adding and finding phones (docs/spec/services.md §6, phones.md §1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from sipxconfig_soap.provisioning.models import DEVICE_VERSIONS, MODELS
from tests.support.system import LONGEST, MAC, TOO_LONG, System, edits, refused

if TYPE_CHECKING:
    from sipxconfig_soap.db import Database
    from tests.support.soap import Soap

MAX_SERIAL = 64


@pytest.fixture
def system(soap: Soap, database: Database) -> System:
    system = System(soap, database)
    system.add_users("1", "2")
    return system


def line(user: str) -> dict[str, str]:
    return {"userId": user, "uri": "not read"}


def test_a_phone_is_found_as_it_was_added(system: System) -> None:
    system.add_phone(
        MAC,
        "polycom650",
        description=" d ",
        groups=["A", "B"],
        lines=[line("1"), line("2"), line("1")],
        deviceVersion="polycom3.1.X",
    )
    assert system.do("findPhone") == [
        {
            "serialNumber": MAC,
            "modelId": "polycom650",
            "description": " d ",
            "groups": ["A", "B"],
            "lines": [
                {"userId": "1", "uri": "sip:1@example.org"},
                {"userId": "2", "uri": "sip:2@example.org"},
                {"userId": "1", "uri": "sip:1@example.org"},
            ],
            "deviceVersion": "polycom3.1.X",
        }
    ]


# Serial numbers.


@pytest.mark.parametrize(
    "sent",
    [
        MAC,
        "0004F2AABBCC",
        "00:04:f2:aa:bb:cc",
        "00-04-F2-AA-BB-CC",
        "0004.f2aa.bbcc",
        " 0004 f2aa\tbbcc\n",
        "0.0-0:4 f2aabbcc-",
        "0" + ":" * 300 + MAC[1:],
    ],
)
def test_a_mac_address_is_cleaned(system: System, sent: str) -> None:
    system.add_phone(sent)
    assert system.serials() == [MAC]
    if len(sent) < LONGEST:
        assert system.serials(bySerialNumber=sent) == [MAC]
    system.refuses(
        refused("duplicateSerialNumber", "serialNumber", MAC),
        operation="addPhone",
        phone={"serialNumber": MAC, "modelId": "cisco7960"},
    )


@pytest.mark.parametrize(
    "sent",
    ["0004f2aabbc", "0004f2aabbccd", "0004f2aabbcg", "x", "0004f2aabb٣c", "0004f2\xa0aabbcc"],
)
def test_what_is_no_mac_address_is_refused(system: System, sent: str) -> None:
    fault = system.refusal("addPhone", phone={"serialNumber": sent, "modelId": "polycom331"})
    assert fault.problems == [refused("invalidSerialNumber", "serialNumber", sent)]
    assert "polycom331" in fault.text


def test_other_serial_numbers_keep_their_case(system: System) -> None:
    system.add_phone(" AbC123 ", "bria")
    assert system.serials() == ["AbC123"]
    assert system.serials(bySerialNumber="\tAbC123\n") == ["AbC123"]
    for sent in ("abc123", "ABC123", "a-b:c.1 23"):
        assert system.serials(bySerialNumber=sent) == ["AbC123"]
    assert system.serials(bySerialNumber="-") == []


@pytest.mark.parametrize("sent", ["a-b", "a b", "a.b", "../x", "ü", "a\nb"])
def test_other_serial_numbers_match_the_pattern_of_their_model(system: System, sent: str) -> None:
    system.refuses(
        refused("invalidSerialNumber", "serialNumber", sent),
        operation="addPhone",
        phone={"serialNumber": sent, "modelId": "bria"},
    )


def test_other_serial_numbers_have_64_characters_at_most(system: System) -> None:
    system.add_phone("x" * MAX_SERIAL, "bria")
    for length in (MAX_SERIAL + 1, LONGEST + 1):
        sent = "y" * length
        system.refuses(
            refused("invalidSerialNumber", "serialNumber", sent[:100]),
            operation="addPhone",
            phone={"serialNumber": sent, "modelId": "bria"},
        )


@pytest.mark.parametrize("sent", ["0004F2AABBCC", MAC, "00:04:f2:aa:bb:cc"])
def test_a_number_that_looks_like_a_mac_address_is_found_as_it_is_stored(
    system: System, sent: str
) -> None:
    system.add_phone("0004F2AABBCC", "bria")
    assert system.serials(bySerialNumber=sent) == ["0004F2AABBCC"]
    system.refuses(
        refused("duplicateSerialNumber", "serialNumber", sent),
        operation="addPhone",
        phone={"serialNumber": sent, "modelId": "polycom331"},
    )


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (("hitachi5000", "0004f2aabbcc"), ("hitachi3000", "000000aabbcc")),
        (("isphone", "abc"), ("isphone", "ABC")),
        (("isphone", "abc"), ("isphoneModel", "aBc")),
        (("isphone", "abc"), ("zoiperPhoneModel", "ABC")),
        (("bria", "AbC"), ("bria", "aBc")),
        (("bria", MAC.upper()), ("polycom331", MAC)),
        (("polycom331", MAC), ("bria", MAC.upper())),
        (("bria", "x1"), ("counterpathCMCEnterprise", "x1")),
        (("polycom331", MAC), ("polycom650", MAC)),
    ],
)
def test_two_phones_never_share_a_number_or_a_profile_file(
    system: System, first: tuple[str, str], second: tuple[str, str]
) -> None:
    (model, serial), (other_model, other) = first, second
    system.add_phone(serial, model)
    system.refuses(
        refused("duplicateSerialNumber", "serialNumber", other),
        operation="addPhone",
        phone={"serialNumber": other, "modelId": other_model},
    )
    system.manage_phone(serial, deletePhone=True)
    system.add_phone(other, other_model)


def test_one_number_and_one_file_each_are_enough(system: System) -> None:
    system.add_phone("abc", "bria")
    system.add_phone("abd", "bria")
    system.refuses(
        refused("duplicateSerialNumber", "serialNumber", "abc"),
        operation="addPhone",
        phone={"serialNumber": "abc", "modelId": "zoiperPhoneModel"},
    )


# Models and versions.


@pytest.mark.parametrize("model", ["polycom332", "Polycom331", " polycom331", "polycom331 "])
def test_an_unknown_model_is_refused(system: System, model: str) -> None:
    system.refuses(
        refused("unknownModel", "modelId", model),
        operation="addPhone",
        phone={"serialNumber": MAC, "modelId": model},
    )


def test_an_unknown_model_may_mean_others(system: System) -> None:
    for model, meant in (("330", "polycom330"), ("300", "polycom300 or snom300")):
        fault = system.refusal("addPhone", phone={"serialNumber": MAC, "modelId": model})
        assert f"; perhaps {meant} is meant" in fault.text
    fault = system.refusal("addPhone", phone={"serialNumber": MAC, "modelId": "toaster"})
    assert fault.text.endswith("'toaster' is not a known phone model.")


@pytest.mark.parametrize("blank", ["", " ", None])
def test_a_model_is_required(system: System, blank: str | None) -> None:
    system.refuses(
        refused("required", "modelId"),
        operation="addPhone",
        phone={"serialNumber": MAC, "modelId": blank},
    )


def test_every_model_of_the_table_can_be_added(system: System) -> None:
    for number, model in enumerate(MODELS):
        system.add_phone(f"{number:06x}{number:06x}", model)
    found = system.do("findPhone")
    assert [phone["modelId"] for phone in found] == list(MODELS)
    assert [phone.get("deviceVersion") for phone in found] == [
        model.default_version for model in MODELS.values()
    ]


@pytest.mark.parametrize("version", [None, "", " \n"])
def test_without_a_version_the_default_of_the_model_counts(
    system: System, version: str | None
) -> None:
    system.add_phone(MAC, "audiocodesMP112_FXS", deviceVersion=version)
    assert system.phone()["deviceVersion"] == "audiocodes6.0"
    system.add_phone("bria1", "bria", deviceVersion=version)
    assert "deviceVersion" not in system.phone("bria1")


def test_any_version_of_the_table_is_taken_for_any_model(system: System) -> None:
    for number, version in enumerate(sorted(DEVICE_VERSIONS)):
        system.add_phone(f"b{number}", "bria", deviceVersion=version)
        assert system.phone(f"b{number}")["deviceVersion"] == version


@pytest.mark.parametrize("version", ["3.1", "polycom", "POLYCOM3.1.X", " polycom3.1.X", "x" * 90])
def test_an_unknown_version_is_refused(system: System, version: str) -> None:
    system.refuses(
        refused("unknownDeviceVersion", "deviceVersion", version),
        operation="addPhone",
        phone={"serialNumber": MAC, "modelId": "polycom331", "deviceVersion": version},
    )


# Lines.


@pytest.mark.parametrize(
    ("names", "uri"),
    [
        ({}, "sip:9@example.org"),
        ({"firstName": "Ada"}, '"Ada"<sip:9@example.org>'),
        ({"lastName": "Byron"}, '"Byron"<sip:9@example.org>'),
        ({"firstName": "Ada", "lastName": "Byron"}, '"Ada Byron"<sip:9@example.org>'),
        ({"firstName": " Ada ", "lastName": "B  C"}, '"Ada B  C"<sip:9@example.org>'),
        ({"firstName": 'A "B"', "lastName": "C\\D"}, '"A \\"B\\" C\\\\D"<sip:9@example.org>'),
        ({"lastName": '\\"'}, '"\\\\\\""<sip:9@example.org>'),
        (
            {"firstName": "Ünal", "lastName": "<\U0001f4de>"},
            '"Ünal <\U0001f4de>"<sip:9@example.org>',
        ),
    ],
)
def test_the_uri_of_an_internal_line(system: System, names: dict[str, str], uri: str) -> None:
    system.add_users("9", **names)
    system.add_phone(lines=[line("9")])
    assert system.phone()["lines"] == [{"userId": "9", "uri": uri}]


def test_the_uri_of_a_line_follows_its_user(system: System) -> None:
    system.add_phone(lines=[line("1")])
    system.edit_user("1", userName="3", firstName="Ada")
    assert system.phone()["lines"] == [{"userId": "3", "uri": '"Ada"<sip:3@example.org>'}]


@pytest.mark.parametrize(
    ("external", "uri"),
    [
        ({}, "sip:x@sip.example"),
        ({"displayName": "Ada"}, '"Ada"<sip:x@sip.example>'),
        ({"displayName": ' A"\\ '}, '"A\\"\\\\"<sip:x@sip.example>'),
        ({"displayName": " "}, "sip:x@sip.example"),
        ({"registrationServer": "[2001:db8::1]:5070"}, "sip:x@[2001:db8::1]:5070"),
        ({"userId": " a%20b "}, "sip:a%20b@sip.example"),
    ],
)
def test_the_uri_of_an_external_line(system: System, external: dict[str, str], uri: str) -> None:
    values = {"userId": "x", "registrationServer": "sip.example"} | external
    system.add_phone()
    system.manage_phone(addExternalLine=values)
    assert system.phone()["lines"] == [{"userId": values["userId"].strip(), "uri": uri}]


def test_lines_belong_to_users_and_not_to_aliases(system: System) -> None:
    system.edit_user("1", aliases="one")
    system.refuses(
        refused("unknownUser", "lines[0].userId", "one"),
        refused("unknownUser", "lines[2].userId", " 9"),
        operation="addPhone",
        phone={
            "serialNumber": MAC,
            "modelId": "polycom650",
            "lines": [line("one"), line("1"), line(" 9")],
        },
    )


@pytest.mark.parametrize("blank", [{"uri": "sip:1@x"}, {"userId": ""}, {"userId": None}, {}])
def test_a_line_needs_a_user(system: System, blank: dict[str, Any]) -> None:
    system.refuses(
        refused("required", "lines[1].userId"),
        operation="addPhone",
        phone={"serialNumber": MAC, "modelId": "polycom331", "lines": [line("1"), blank]},
    )


def test_a_phone_has_no_more_lines_than_its_model(system: System) -> None:
    phone = {"serialNumber": MAC, "modelId": "polycom331"}
    system.refuses(
        refused("tooManyLines", "lines"),
        operation="addPhone",
        phone=phone | {"lines": [line("1")] * 3},
    )
    system.do("addPhone", phone=phone | {"lines": [line("1")] * 2})
    assert system.line_users() == ["1", "1"]


def test_lines_are_counted_by_the_version(system: System) -> None:
    phone = {"serialNumber": MAC, "modelId": "nortel11xx"}
    lines = {"lines": [line("1")] * 24}
    fault = system.refusal("addPhone", phone=phone | lines)
    assert fault.problems == [refused("tooManyLines", "lines")]
    assert "24" in fault.text
    system.refuses(
        refused("tooManyLines", "lines"),
        operation="addPhone",
        phone=phone | {"lines": [line("1")] * 25, "deviceVersion": "nortelPhone3.2"},
    )
    system.do("addPhone", phone=phone | lines | {"deviceVersion": "nortelPhone3.2"})
    assert len(system.line_users()) == 24


def test_all_that_is_wrong_with_a_phone_is_listed(system: System) -> None:
    fault = system.refusal(
        "addPhone",
        phone={
            "serialNumber": "x",
            "modelId": "polycom331",
            "description": TOO_LONG,
            "groups": ["ok", TOO_LONG],
            "lines": [line("9"), line("1"), line(TOO_LONG)],
            "deviceVersion": "none",
            "colour": "black",
        },
    )
    found = {(problem.code, problem.field) for problem in fault.problems}
    assert found == {
        ("invalidSerialNumber", "serialNumber"),
        ("tooLong", "description"),
        ("tooLong", "groups[1]"),
        ("unknownUser", "lines[0].userId"),
        ("tooLong", "lines[2].userId"),
        ("tooManyLines", "lines"),
        ("unknownDeviceVersion", "deviceVersion"),
        ("unknownElement", "colour"),
    }
    assert len(fault.problems) == len(found)


# Finding.


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ({"bySerialNumber": "b1"}, ["b1"]),
        ({"bySerialNumber": "b"}, []),
        ({"byGroup": "G"}, ["b2", "b1"]),
        ({"byGroup": "g"}, []),
        ({"byGroup": "unknown"}, []),
        ({"byGroup": "G", "bySerialNumber": "b3"}, ["b3"]),
        ({"byGroup": "G", "bySerialNumber": ""}, []),
    ],
)
def test_phones_are_found_in_the_order_of_creation(
    system: System, search: dict[str, str], found: list[str]
) -> None:
    for serial, groups in (("b2", ["G"]), ("b3", []), ("b1", ["H", "G"])):
        system.add_phone(serial, "bria", groups=groups)
    assert system.serials(**search) == found
    assert system.serials() == ["b2", "b3", "b1"]


def test_no_job_is_queued_for_a_new_phone(system: System) -> None:
    system.add_phone(lines=[line("1")])
    assert system.jobs() == []


def test_the_domain_is_not_that_of_an_external_line(system: System) -> None:
    system.add_phone()
    external = {"userId": "1", "registrationServer": "other.example"}
    system.manage_phone(addExternalLine=external, addLine={"userId": "1"})
    assert [each["uri"] for each in system.phone()["lines"]] == [
        "sip:1@example.org",
        "sip:1@other.example",
    ]
    system.manage_phone(edit=edits(description="d"))
    assert system.line_users() == ["1", "1"]
