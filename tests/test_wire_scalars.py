"""How booleans, ints and texts are read (wire.md §3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.messages import refusal
from tests.support.soap import Problem

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.support.soap import Soap

NIL = 'xsi:nil="true"'

TRUE = ["true", "t", "yes", "y", "on", "1", "TRUE", "True", "T", "YES", "oN", " true ", "\n1\t"]
FALSE = ["false", "f", "no", "n", "off", "0", "FALSE", "False", "N", "Off", " 0 ", "", "  "]


WORDS = dict.fromkeys(TRUE, "true") | dict.fromkeys(FALSE, "false")


def defaults(soap: Soap, words: Iterable[str]) -> dict[str, str]:
    """The ``defaultValue`` of permissions that are labelled by the words' places."""
    found = soap.operation("PermissionService", "findPermission", {})
    by_label = {each["label"]: each["defaultValue"] for each in found}
    return {word: by_label[f"word {place}"] for place, word in enumerate(words)}


def test_a_boolean_is_one_of_twelve_words_of_any_case_trimmed(soap: Soap) -> None:
    for place, word in enumerate(WORDS):
        permission = {"label": f"word {place}", "defaultValue": word}
        soap.operation("PermissionService", "addPermission", {"permission": permission})
    assert defaults(soap, WORDS) == WORDS


def test_a_boolean_in_an_edit_is_one_of_the_same_words(soap: Soap) -> None:
    for place, (word, value) in enumerate(WORDS.items()):
        before = "false" if value == "true" else "true"
        permission = {"label": f"word {place}", "defaultValue": before}
        soap.operation("PermissionService", "addPermission", {"permission": permission})
        edit = {"property": "defaultValue", "value": word}
        search = {"byLabel": f"word {place}"}
        values = {"search": search, "edit": edit}
        soap.operation("PermissionService", "managePermission", values)
    assert defaults(soap, WORDS) == WORDS


@pytest.mark.parametrize(
    "word", ["maybe", "2", "-1", "01", "ja", "true false", "tru", "1.0", "\u0661"]
)
def test_another_word_is_no_boolean(soap: Soap, word: str) -> None:
    permission = f"<label>Fax</label><defaultValue>{word}</defaultValue>"
    added = f"<AddPermission><permission>{permission}</permission></AddPermission>"
    edit = f"<edit><property>defaultValue</property><value>{word}</value></edit>"
    edited = f"<ManagePermission>{edit}</ManagePermission>"
    deleted = f"<ManagePermission><deletePermission>{word}</deletePermission></ManagePermission>"
    for body, field in (
        (added, "defaultValue"),
        (edited, "defaultValue"),
        (deleted, "deletePermission"),
    ):
        fault = refusal(soap, "PermissionService", body)
        assert fault.problems == [Problem("invalidValue", field, word)]
        assert fault.text == f"{field} '{word}' is not a boolean: true or false."


def ring_with(inside: str) -> str:
    ring = f"<rings><userName>superadmin</userName><type>delayed</type>{inside}</rings>"
    return f"<AddCallGroup><callGroup><name>sales</name>{ring}</callGroup></AddCallGroup>"


@pytest.mark.parametrize(
    ("sent", "seconds"),
    [
        ("<expiration>10</expiration>", "10"),
        ("<expiration>+10</expiration>", "10"),
        ("<expiration> \n10\t</expiration>", "10"),
        ("<expiration>0010</expiration>", "10"),
        ("<expiration>-0</expiration>", "0"),
        ("<expiration>2147483647</expiration>", "2147483647"),
        ("<expiration>1</expiration><expiration>2</expiration>", "2"),
        ("", "0"),
        (f"<expiration {NIL}/>", "0"),
    ],
)
def test_an_int_is_read(soap: Soap, sent: str, seconds: str) -> None:
    soap.call("CallGroupService", ring_with(sent))
    (group,) = soap.operation("CallGroupService", "getCallGroups", {})
    assert group["rings"][0]["expiration"] == seconds


@pytest.mark.parametrize("position", ["-2147483648", "-1", "2147483647"])
def test_an_int_has_32_bits(soap: Soap, position: str) -> None:
    soap.call("CallGroupService", ring_with(f"<position>{position}</position>"))


@pytest.mark.parametrize(
    "sent",
    [
        *("", " ", "ten", "1.0", "1e3", "0x10", "1_000", "1 000", "--1", "+ 1", "\u0663", "1,0"),
        *("2147483648", "-2147483649", "4294967296", "9" * 100),
    ],
)
def test_another_text_is_no_int(soap: Soap, sent: str) -> None:
    fault = refusal(soap, "CallGroupService", ring_with(f"<position>{sent}</position>"))
    assert fault.problems == [Problem("invalidValue", "rings[0].position", sent)]
    assert "is not an int of 32 bits." in fault.text


def test_a_text_is_kept_as_it_was_sent(soap: Soap) -> None:
    sent = " \t two  blanks, a tab\n and a line "
    orbit = {"name": " park ", "description": sent}
    soap.operation("ParkOrbitService", "addParkOrbit", {"parkOrbit": orbit})
    (found,) = soap.operation("ParkOrbitService", "getParkOrbits", {})
    assert found["description"] == sent
    assert found["name"] == "park"  # identifiers are trimmed: services.md §1


def test_a_text_fills_its_column_and_not_more(soap: Soap) -> None:
    widest = "\U0001f4de" * 255
    orbit = {"name": f" {'n' * 255}\n", "description": widest}
    soap.operation("ParkOrbitService", "addParkOrbit", {"parkOrbit": orbit})
    (found,) = soap.operation("ParkOrbitService", "getParkOrbits", {})
    assert found["description"] == widest
    too_long = f"<name>m</name><description>{widest}x</description><music>{'m' * 256}</music>"
    body = f"<AddParkOrbit><parkOrbit>{too_long}</parkOrbit></AddParkOrbit>"
    fault = refusal(soap, "ParkOrbitService", body)
    assert fault.problems == [
        Problem("tooLong", "description", widest[:100]),
        Problem("tooLong", "music", "m" * 100),
    ]
    assert "256 characters, at most 255" in fault.text
