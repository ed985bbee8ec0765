"""Two phones never have one profile file (docs/spec/phones.md §1): what refusals say of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.system import MAC, System, edits, refused

if TYPE_CHECKING:
    from sipxconfig_soap.db import Database
    from tests.support.soap import Soap

FIRST, SECOND = "0004f2abcdef", "0004f2fedcba"
SHARING = "0011f2abcdef"
"""A number with the last six digits of the first phone, which are those of its file."""

SHARES = "would share its profile file with the phone"
CODE, FIELD = "duplicateSerialNumber", "serialNumber"


@pytest.fixture
def system(soap: Soap, database: Database) -> System:
    system = System(soap, database)
    for serial in (FIRST, SECOND):
        system.add_phone(serial, "hitachi5000", groups=["H"])
    return system


def test_the_phone_is_named_with_which_a_new_one_would_share_its_file(system: System) -> None:
    fault = system.refusal("addPhone", phone={FIELD: SHARING, "modelId": "hitachi3000"})
    assert fault.problems == [refused(CODE, FIELD, SHARING)]
    assert fault.text == f"serialNumber '{SHARING}' {SHARES} {FIRST}."


def test_it_is_named_where_the_number_is_edited_too(system: System) -> None:
    fault = system.refusal(
        "managePhone", search={"bySerialNumber": SECOND}, edit=edits(serialNumber=SHARING)
    )
    assert fault.problems == [refused(CODE, FIELD, SHARING, SECOND)]
    assert fault.text == f"serialNumber '{SHARING}' (of {SECOND}) {SHARES} {FIRST}."


def test_a_number_that_the_same_edit_gives_to_another_phone(system: System) -> None:
    fault = system.refusal("managePhone", search={"byGroup": "H"}, edit=edits(serialNumber=MAC))
    assert fault.problems == [refused(CODE, FIELD, MAC, SECOND)]
    assert fault.text == (
        f"serialNumber '{MAC}' (of {SECOND}) already belongs to another phone of the same edit."
    )


def test_a_phone_that_cannot_have_a_number_takes_it_from_none_that_could(system: System) -> None:
    """The second phone would share a file with the first; a Polycom would not."""
    system.add_phone(MAC, "polycom331", groups=["G"])
    system.manage_phone(SECOND, addGroup="G")
    system.refuses(
        refused(CODE, FIELD, SHARING, SECOND),
        operation="managePhone",
        search={"byGroup": "G"},
        edit=edits(serialNumber=SHARING),
    )
