"""Phones as CSV files (docs/migration.md): a row for each line."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.cli import Cli
from tests.support.sheets import PHONES_HEAD, Sheets
from tests.support.system import MAC, System

if TYPE_CHECKING:
    from pathlib import Path

    from sipxconfig_soap.db import Database
    from tests.support.soap import Soap

OUR_HEAD = f"{PHONES_HEAD},Device version,Line user,Line name,Line password,Line server"
OUR_HEAD += ",Line voicemail"
OTHER = "0004f2000002"
DETAILS = (
    "SELECT string_agg(concat_ws('|', serial_number, position, password, voice_mail), ' ')"
    " FROM (SELECT *, row_number() OVER (ORDER BY lines.id) AS position FROM lines"
    " JOIN phones ON phones.id = lines.phone_id) AS each"
)


@pytest.fixture
def system(soap: Soap, database: Database) -> System:
    system = System(soap, database)
    system.add_users("201", firstName="Ann")
    system.add_users("202", firstName="Bob")
    return system


@pytest.fixture
def sheets(system: System, tmp_path: Path, database_url: str) -> Sheets:  # noqa: ARG001 - emptied
    cli = Cli(tmp_path)
    cli.environ["SIPXCONFIG_DATABASE_URL"] = database_url
    return Sheets(cli, "phones", tmp_path, PHONES_HEAD)


def row(user: str, serial: str = MAC, model: str = "polycom331", more: str = "") -> str:
    return f"{user},,,,,,,,,{serial},{model}{more}"


def external(user: str = "ext", name: str = "", password: str = "", server: str = "sip.org") -> str:
    return f",,,,,,,,,{MAC},polycom650,,,,{user},{name},{password},{server},"


@pytest.fixture
def with_phones(system: System) -> System:
    """Phones with lines of both kinds in a mixed order, groups and odd texts."""
    system.add_phone(
        MAC,
        "polycom650",
        lines=[{"userId": "201"}],
        groups=["lobby", 'the "A" team'],
        description='=2+2, "hall"',
        deviceVersion="polycom4.0.X",
    )
    line = {"userId": "ext", "displayName": "-Out", "registrationServer": "sip.org:5070"}
    system.manage_phone(MAC, addExternalLine={**line, "password": "=x", "voiceMail": "*98"})
    system.manage_phone(MAC, addLine={"userId": "202"})
    system.manage_phone(MAC, addLine={"userId": "201"})
    system.add_phone(OTHER, "polycom331", groups=["late", "lobby"])
    return system


def test_the_columns_are_where_sipxconfig_looks_for_them(
    sheets: Sheets, with_phones: System
) -> None:
    assert with_phones.phone(OTHER)["groups"] == ["lobby", "late"]
    rows = sheets.export()
    assert sheets.path.read_text("utf-8-sig").splitlines()[0] == OUR_HEAD
    lines = [(each["Phone serial number"], each["User name"], each["Line user"]) for each in rows]
    assert lines == [
        (MAC, "201", ""),
        (MAC, "", "ext"),
        (MAC, "202", ""),
        (MAC, "201", ""),
        (OTHER, "", ""),
    ]
    assert rows[1]["Line password"] == "'=x"
    assert sheets.export("--without-secrets")[1]["Line password"] == ""


def test_what_was_exported_changes_nothing(sheets: Sheets, with_phones: System) -> None:
    for options in ([], ["--without-secrets"]):
        sheets.export(*options)
        before = with_phones.dump()
        said = sheets.cli.ok("phones", "import", "--apply", str(sheets.path))
        assert said == "Done; added: 0, changed: 0, unchanged: 2.\n"
        assert with_phones.dump() == before


def test_what_was_exported_makes_the_same_phones_elsewhere(
    sheets: Sheets, with_phones: System
) -> None:
    phones, details = with_phones.do("findPhone"), with_phones.scalar(DETAILS)
    rows = sheets.export()
    with_phones.do("resetServices", phone=True)
    said = sheets.cli.ok("phones", "import", str(sheets.path))
    assert said == "Nothing has been changed; with --apply: added: 2, changed: 0, unchanged: 0.\n"
    assert with_phones.do("findPhone") == []
    sheets.cli.ok("phones", "import", "--apply", str(sheets.path))
    assert with_phones.do("findPhone") == phones
    assert with_phones.scalar(DETAILS) == details
    assert sheets.export() == rows


def test_files_of_new_and_changed_phones_are_queued(sheets: Sheets, system: System) -> None:
    system.add_phone(MAC, "polycom331", lines=[{"userId": "201"}])
    system.add_phone(OTHER, "polycom331")
    path = sheets.write(row("201"), row("202", OTHER), row("", "0004f2000003"))
    sheets.cli.ok("phones", "import", "--apply", "--no-profiles", path)
    queued = "SELECT string_agg(serial, ' ' ORDER BY serial) FROM jobs WHERE kind = 'profiles'"
    assert system.scalar(queued) is None
    sheets.imports(row("201"), row("201", OTHER), row("", "0004f2000004"))
    assert system.scalar(queued) == f"{OTHER} 0004f2000004"
    assert system.scalar("SELECT entities FROM audit_log ORDER BY id DESC LIMIT 1") == [
        OTHER,
        "0004f2000004",
    ]


def test_a_file_of_sipxconfig_brings_a_line_for_each_user(sheets: Sheets, system: System) -> None:
    user = "{},1,,pw,Some,Body,,a@b.org,sales"
    sheets.imports(
        f"{user.format('202')},00-04-F2-AA-BB-CC,polycom450,lobby,Hall",
        f"{user.format('201')},0004f2aabbcc,polycom450,lobby,Hall",
        user.format("nobody"),
    )
    phone = system.phone()
    assert [line["userId"] for line in phone["lines"]] == ["202", "201"]
    assert (phone["groups"], phone["description"]) == (["lobby"], "Hall")


def test_lines_and_groups_are_added_and_cells_replace(sheets: Sheets, with_phones: System) -> None:
    sheets.imports(
        f",,,,,,,,,{MAC},polycom650,new lobby,Hall,polycom3.2.X,ext,Other,secret,sip.org:5070,",
        external(user="ext2", name="Second", password="p"),
        row("201", model="polycom650"),
        head=OUR_HEAD,
    )
    phone = with_phones.phone()
    assert [line["userId"] for line in phone["lines"]] == ["201", "ext", "202", "201", "ext2"]
    assert phone["lines"][1]["uri"] == '"Other"<sip:ext@sip.org:5070>'
    assert set(phone["groups"]) == {"lobby", 'the "A" team', "new"}
    assert (phone["description"], phone["deviceVersion"]) == ("Hall", "polycom3.2.X")
    password = "SELECT concat_ws(' ', password, voice_mail) FROM lines WHERE display_name = 'Other'"
    assert with_phones.scalar(password) == "secret *98"


def test_old_model_ids_are_renamed(sheets: Sheets, system: System) -> None:
    sheets.write(row("201", model="nortel-1210"), row("", OTHER, "330"))
    assert sheets.cli.run("phones", "import", str(sheets.path))[0] == 0
    assert sheets.warnings("--apply") == [
        "Line 2, Phone model: 'nortel-1210' is called avaya-1210 now.",
        "Line 3, Phone model: '330' is called polycom330 now.",
    ]
    assert system.phone()["modelId"] == "avaya-1210"


def test_every_bad_row_is_told_and_none_is_carried_out(sheets: Sheets, with_phones: System) -> None:
    before = with_phones.dump()
    said = sheets.refusals(
        row("nobody", "0004f2000010"),
        row("201", "12"),
        row("201", "0004f2000011", "polycon331"),
        row("201", ""),
        row("201", "0004f2000012") + ",,Hall",
        row("201", "0004f2000012") + ",,Floor",
        row("201", "0004f2000013", more=",,,,ext,,,sip.org,"),
        external(server="no server", name="x"),
        external(user="", server="sip.org"),
        row("nobody", model="polycom650"),
        row("201", OTHER, "polycom450"),
        row("201", "0004f2000014", more=",,,polycom9"),
        *(row("201", "0004f2000015", "polycom331") for _ in range(3)),
        head=OUR_HEAD,
    )
    assert said == [
        "Line 2, User name: lines[0].userId 'nobody' is not the userName of a user.",
        "Line 3, Phone serial number: serialNumber '12' is not a serial number of a polycom331.",
        (
            "Line 4, Phone model: modelId 'polycon331' is not a known phone model; perhaps "
            "polycom331 is meant."
        ),
        "Line 5, Phone serial number: serialNumber is required and must not be blank.",
        (
            "Line 7, Phone description: description 'Floor' differs from what line 6 says of the "
            "phone."
        ),
        (
            "Line 8, User name: userId '201' and the columns of an external line are both given: a "
            "line is one of them."
        ),
        (
            "Line 9, Line server: addExternalLine.registrationServer 'no server' is not a host "
            "name or IP address with or without port."
        ),
        "Line 10, Line user: addExternalLine.userId is required and must not be blank.",
        "Line 11, User name: addLine.userId 'nobody' is not the userName of a user.",
        (
            "Line 12, Phone model: modelId 'polycom450' (of 0004f2000002) cannot be changed by an "
            "edit."
        ),
        "Line 13, Device version: deviceVersion 'polycom9' is not a known device version.",
        "Line 14: lines would make 3 lines: a polycom331 has at most 2.",
    ]
    assert with_phones.dump() == before
