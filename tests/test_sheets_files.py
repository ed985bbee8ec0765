"""CSV files as spreadsheets and sipXconfig write them (docs/migration.md)."""

from __future__ import annotations

import os
import pty
import re
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sipxconfig_soap.sheets import cells, files
from sipxconfig_soap.sheets.users import COLUMNS
from sipxconfig_soap.values import is_blank
from tests.support.cli import Cli
from tests.support.sheets import PHONES_HEAD, USERS_HEAD, Sheets

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.system import System


@pytest.fixture
def sheets(system: System, tmp_path: Path, database_url: str) -> Sheets:  # noqa: ARG001 - emptied
    cli = Cli(tmp_path)
    cli.environ["SIPXCONFIG_DATABASE_URL"] = database_url
    return Sheets(cli, "users", tmp_path, USERS_HEAD)


@pytest.mark.parametrize(
    ("head", "sentence"),
    [
        ("201,1234", "The first line must name the columns as sipXconfig does, such as User name"),
        ("User name,Frist name", "Columns that are unknown: 'Frist name'."),
        ("User name,PIN,user  NAME", "Columns that are there twice: 'User name'."),
        ("\n", "The first line must name the columns"),
        ("PIN,First name", "The column 'User name' is missing."),
    ],
)
def test_a_first_line_that_cannot_be_read(sheets: Sheets, head: str, sentence: str) -> None:
    path = sheets.write("202", head=head)
    assert sheets.cli.fails("users", "import", path).startswith(sentence)


def test_files_that_are_none(sheets: Sheets, tmp_path: Path) -> None:
    missing = tmp_path / "missing.csv"
    assert sheets.cli.fails("users", "import", str(missing)) == (
        f"{missing} cannot be read: No such file or directory."
    )
    path = sheets.write("201,1", '202,"12', "203,34")
    assert sheets.cli.fails("users", "import", path) == (
        "Line 3 cannot be read as CSV: unexpected end of data."
    )
    sheets.write("201,1", f"202,{'x' * 200_000}")
    assert sheets.cli.fails("users", "import", path) == (
        "Line 3 cannot be read as CSV: field larger than field limit (131072)."
    )
    sheets.path.write_bytes(USERS_HEAD.encode() + b"\n201\n202,,,,\x81\xff\n")
    assert sheets.cli.fails("users", "import", path) == (
        "Line 3 is neither UTF-8 nor windows-1252: save it as UTF-8."
    )


@pytest.mark.parametrize(
    ("separator", "end", "encoding"),
    [
        (",", "\n", "utf-8"),
        (";", "\r\n", "utf-8-sig"),
        ("\t", "\r\n", "utf-16"),
        ("|", "\r\n", "utf-8"),
        (";", "\r", "utf-8"),
    ],
)
def test_separators_line_ends_and_marks(
    sheets: Sheets, system: System, separator: str, end: str, encoding: str
) -> None:
    before = ["sep=|"] if separator == "|" else []
    lines = [USERS_HEAD, '201,1,,,"Zoë ""Zo""",Lee', "", ",,,", "202,1,,,=Bob,Lee"]
    text = "".join(line + end for line in [*before, *(x.replace(",", separator) for x in lines)])
    sheets.path.write_bytes(text.encode(encoding))
    sheets.cli.ok("users", "import", "--apply", str(sheets.path))
    assert system.user("201")["firstName"] == 'Zoë "Zo"'
    assert system.user("202")["firstName"] == "=Bob"


def test_old_spreadsheets_write_windows_1252(sheets: Sheets, system: System) -> None:
    sheets.path.write_bytes(f"{USERS_HEAD}\n201,1,,,Zoë\n".encode("cp1252"))
    said = sheets.warnings("--apply")
    assert said == ["The file is not UTF-8 and was read as windows-1252: look at accents."]
    assert system.user("201")["firstName"] == "Zoë"


def test_a_file_as_sipxconfig_writes_it(sheets: Sheets, system: System) -> None:
    user = '"201","4711","","pw","Bob \\"Bo\\"","C:\\","300 301","b@example.org","sales ops"'
    path = sheets.write(
        f'{user},"0004f2000001","polycom331","","","bob",""',
        f'{user},"0004f2000002","polycom331","","","bob",""',
        '"","","","","","","","","","0004f2000003","polycom331","","",,',
        head=f"{PHONES_HEAD},Im Id,Custom 3",
    )
    code, output, errors = sheets.cli.run("users", "import", "--apply", path)
    assert (code, output) == (0, "Done; added: 1, changed: 0, unchanged: 0.\n")
    assert errors == (
        "Warning: Columns that are passed over: Phone serial number, Phone model, Phone group, "
        "Phone description, Im Id, Custom 3.\n"
    )
    found = system.user("201")
    assert (found["firstName"], found["lastName"]) == ('Bob "Bo"', "C:\\")
    assert (found["aliases"], found["groups"]) == (["300", "301"], ["sales", "ops"])


def test_numbers_that_lost_their_zeros_are_warned_of(sheets: Sheets, system: System) -> None:
    system.add_users("0042")
    pairs = [f"30{n},123{n}" for n in range(4)]
    sheets.write("42,1234", *pairs, "305,99", "4.9301E+11,1234")
    lost = "perhaps a spreadsheet has taken zeros in front."
    assert sheets.warnings() == [
        f"Line 2, User name: '42' has 2 digits, most have 3: {lost}",
        "Line 2, User name: '42' is new, but 0042 is there.",
        f"Line 7, PIN: The number has 2 digits, most have 4: {lost}",
        "Line 8, User name: '4.9301E+11' looks like a number that a spreadsheet rounded.",
    ]


def test_numbers_that_are_to_keep_their_zeros(sheets: Sheets, system: System) -> None:
    sheets.imports('="0201",1', '"=""0042""",1')
    assert system.user_names() == ["0042", "0201", "superadmin"]


@pytest.mark.parametrize(
    "text", ["=1", "'=1", "''=1", "+1", "-1", "@x", "\tx", "\rx", "'", "'x", '="1"', "x=1", ""]
)
def test_what_protects_a_cell_is_taken_back(text: str) -> None:
    written = cells.protected(text)
    assert written[:1] not in set("=+-@\t\r")
    assert cells.plain(written) == text


READABLE = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff")
    | st.sampled_from("\t\r\n=+-@'\"\\,; ")
)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.lists(READABLE, min_size=12, max_size=12), max_size=5))
def test_what_was_written_is_read(tmp_path_factory: pytest.TempPathFactory, rows: Any) -> None:
    path = tmp_path_factory.mktemp("sheets") / "users.csv"
    assert files.write(path, COLUMNS, rows, force=False) == len(rows)
    sheet = files.read(path, COLUMNS[0])
    assert (sheet.refusals, sheet.notes) == ([], [])
    assert [[row.get(each) for each in COLUMNS] for row in sheet.rows] == [
        row for row in rows if not all(map(is_blank, row))
    ]


@pytest.mark.parametrize(
    "names", [[], ["a"], ["a", "b c"], ['a"b', "c"], ["a,b"], ['"'], ['""', ""[:0] + "x"]]
)
def test_lists_in_cells_are_read_as_they_were_written(names: list[str]) -> None:
    assert cells.split(cells.joined(names)) == names


@pytest.mark.parametrize("text", ["a b", "a,b", " a , b ", '"a" "b"', "a\n b"])
def test_lists_may_be_written_in_other_ways(text: str) -> None:
    assert cells.split(text) == ["a", "b"]


@pytest.mark.parametrize("text", ['"a', 'a"b', '"a"b', '"a""'])
def test_quotes_in_lists_must_be_closed(text: str) -> None:
    with pytest.raises(ValueError, match="a"):
        cells.split(text)


def test_progress_is_shown_on_a_terminal_alone(sheets: Sheets) -> None:
    path = sheets.write(*(f"{300 + number},1" for number in range(450)))
    _, output, errors = sheets.cli.run("users", "import", path)
    assert re.fullmatch(r"Nothing has been changed; with --apply: added: 450, .*\n", output)
    assert errors == ""
    main, terminal = pty.openpty()
    with sheets.cli.popen("users", "import", path, stderr=terminal) as process:
        os.close(terminal)
        shown = b""
        while True:
            try:
                shown += os.read(main, 4096)
            except OSError:  # nobody has the terminal open any more
                break
    os.close(main)
    assert process.returncode == 0
    assert b"Reading rows" in shown
    assert b"100%" in shown
