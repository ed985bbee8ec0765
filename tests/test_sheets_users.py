"""Users as CSV files (docs/migration.md): out, in again, and what the rules say of them."""

from __future__ import annotations

import errno
import hashlib
import stat
from typing import TYPE_CHECKING

import pytest

from sipxconfig_soap.domain import pins
from sipxconfig_soap.sheets import files
from sipxconfig_soap.sheets.columns import USER_NAME
from tests.support.cli import Cli
from tests.support.sheets import USERS_HEAD, Sheets
from tests.support.system import TOO_LONG, System

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


OUR_HEAD = f"{USERS_HEAD},Branch,PIN hash,Voicemail PIN hash"
NO_PIN = "Warning: New users without a PIN, who cannot log in: {}.\n"


@pytest.fixture
def sheets(system: System, tmp_path: Path, database_url: str) -> Sheets:  # noqa: ARG001 - emptied
    cli = Cli(tmp_path)
    cli.environ["SIPXCONFIG_DATABASE_URL"] = database_url
    return Sheets(cli, "users", tmp_path, USERS_HEAD)


# -- out -----------------------------------------------------------------------------------------


def test_the_columns_are_those_of_sipxconfig_and_ours_behind(sheets: Sheets) -> None:
    said = sheets.cli.ok("users", "export", str(sheets.path))
    assert said == f"Rows written to {sheets.path}: 1.\n"
    content = sheets.path.read_bytes()
    assert content.startswith(f"\ufeff{OUR_HEAD}\r\n".encode())
    assert content.count(b"\n") == content.count(b"\r\n") == 2


def test_an_export_is_for_its_owner_alone_and_replaces_nothing_unasked(
    sheets: Sheets, system: System
) -> None:
    system.add_users("201")
    sheets.path.write_text("mine")
    sheets.path.chmod(0o644)
    assert sheets.cli.fails("users", "export", str(sheets.path)) == (
        f"{sheets.path} is there already: use --force to replace it."
    )
    assert sheets.path.read_text() == "mine"
    assert [row["User name"] for row in sheets.export()] == ["201", "superadmin"]
    assert stat.S_IMODE(sheets.path.stat().st_mode) == 0o600
    sheets.path.unlink()
    sheets.cli.ok("users", "export", str(sheets.path))
    assert stat.S_IMODE(sheets.path.stat().st_mode) == 0o600
    assert [each.name for each in sheets.path.parent.glob("*users*")] == ["users.csv"]


def test_an_export_to_where_nothing_can_be_written(sheets: Sheets, tmp_path: Path) -> None:
    path = tmp_path / "missing" / "users.csv"
    for options in ([], ["--force"]):
        assert sheets.cli.fails("users", "export", *options, str(path)) == (
            f"{path} cannot be written: No such file or directory."
        )


@pytest.mark.parametrize("force", [False, True])
def test_a_full_disk_leaves_what_was_there(tmp_path: Path, *, force: bool) -> None:
    def rows() -> Iterator[list[str]]:
        yield ["201"]
        raise OSError(errno.ENOSPC, "No space left on device")

    path = tmp_path / "users.csv"
    if force:
        path.write_text("mine")
    with pytest.raises(OSError, match="No space"):
        files.write(path, [USER_NAME], rows(), force=force)
    assert {each.name: each.read_text() for each in tmp_path.iterdir()} == (
        {"users.csv": "mine"} if force else {}
    )


def test_without_secrets(sheets: Sheets, system: System) -> None:
    system.do("addUser", user={"userName": "201", "sipPassword": "secret"}, pin="1", vmpin="2")
    for row in sheets.export("--without-secrets"):
        secret = [row[label] for label in row if "PIN" in label or "password" in label]
        assert secret == [""] * 5


# -- in again ------------------------------------------------------------------------------------


@pytest.fixture
def many(system: System) -> System:
    """Users with all that is odd in a CSV file."""
    system.do(
        "addUser",
        user={
            "userName": "201",
            "firstName": 'Zoë, called "Zo"; ',
            "lastName": "=1+1",
            "sipPassword": " 'pa;ss,\"word' ",
            "aliases": ["+4930", "0201", "a,b;c", "-1"],
            "emailAddress": "zoe@example.org",
            "groups": ['the "A" team', "sales, north", "ops"],
            "branchName": "Łódź",
        },
        pin="0042",
        vmpin="77",
    )
    system.add_users("202", lastName="\"'=x", groups=["early"])
    system.add_users("203", firstName="two\nlines", groups=["ops", "late"])
    system.edit_user("202", groups="late,ops")
    return system


def test_what_was_exported_changes_nothing(sheets: Sheets, many: System) -> None:
    before = many.dump()
    sheets.export()
    said = sheets.cli.ok("users", "import", "--apply", str(sheets.path))
    assert said == "Done; added: 0, changed: 0, unchanged: 4.\n"
    assert many.dump() == before
    assert many.scalar("SELECT count(*) FROM audit_log WHERE operation = 'users import'") == 0


def test_what_was_exported_makes_the_same_users_elsewhere(sheets: Sheets, many: System) -> None:
    users = many.do("findUser")
    hashes = "SELECT string_agg(voicemail_pin_hash, ',') FROM users"
    voicemail = many.scalar(hashes)
    rows, path = sheets.export(), str(sheets.path)
    many.do("resetServices", user=True, superAdmin=True)
    delete = "DELETE FROM user_groups WHERE name <> 'administrators'"
    many.database.change(lambda connection: connection.exec_driver_sql(delete))
    empty = many.dump()
    said = sheets.cli.run("users", "import", path)
    counts = "added: 3, changed: 1, unchanged: 0.\n"
    assert said == (0, f"Nothing has been changed; with --apply: {counts}", NO_PIN.format(2))
    assert many.dump() == empty
    said = sheets.cli.run("users", "import", "--apply", path)
    assert said == (0, f"Done; {counts}", NO_PIN.format(2))
    assert many.do("findUser") == users
    assert many.scalar(hashes) == voicemail
    assert sheets.export() == rows


def test_cells_are_so_that_spreadsheets_do_not_compute_them(sheets: Sheets, many: System) -> None:
    assert many.user("201")["lastName"] == "=1+1"
    cells = [cell for row in sheets.export() for cell in row.values()]
    protected = {cell for cell in cells if cell.startswith("'")}
    assert protected == {'\'+4930 -1 0201 "a,b;c"', "'=1+1"}
    assert not [cell for cell in cells if cell[:1] in {"=", "+", "-", "@", "\t", "\r"}]


def test_the_audit_log_has_who_was_changed(sheets: Sheets, system: System) -> None:
    system.add_users("201", "202", firstName="Ann")
    sheets.imports("201,,,,Bob", "202,,,,Ann", "203,1")
    assert system.scalar(
        "SELECT entities || ARRAY[operation, service, outcome] FROM audit_log ORDER BY id DESC"
    ) == ["201", "203", "users import", "command line", "done"]


# -- adding and changing ---------------------------------------------------------------------------


def test_without_apply_nothing_is_written(sheets: Sheets, system: System) -> None:
    system.add_users("201")
    before = system.dump()
    path = sheets.write("201,1234,,,Bob", "202,1234,5,,Ann,,,,new")
    assert sheets.cli.ok("users", "import", path) == (
        "Nothing has been changed; with --apply: added: 1, changed: 1, unchanged: 0.\n"
    )
    assert system.dump() == before


@pytest.mark.parametrize("line", ["201", "201,,,,,,,,", "201, ,\t, ,,,,,ops"])
def test_an_empty_cell_changes_nothing(sheets: Sheets, many: System, line: str) -> None:
    before = many.dump()
    assert sheets.imports(line) == "Done; added: 0, changed: 0, unchanged: 1.\n"
    assert many.dump() == before


def test_a_filled_one_replaces_and_groups_are_added(sheets: Sheets, many: System) -> None:
    sheets.imports("201,,,new,Ann,Lee,300 301,a@b.org,ops late")
    user = many.user("201")
    assert (user["firstName"], user["lastName"], user["sipPassword"]) == ("Ann", "Lee", "new")
    assert (user["aliases"], user["emailAddress"]) == (["300", "301"], "a@b.org")
    assert user["groups"] == ['the "A" team', "sales, north", "ops", "late"]


def test_phones_of_a_user_who_was_changed_get_new_files(sheets: Sheets, system: System) -> None:
    system.add_users("201", firstName="Ann")
    system.add_phone(lines=[{"userId": "201"}])
    sheets.imports("201,,,,Ann")
    assert system.scalar("SELECT count(*) FROM jobs") == 0
    sheets.imports("201,,,,Bob")
    assert system.scalar("SELECT count(*) FROM jobs WHERE kind = 'profiles'") == 1


def test_groups_whose_order_contradicts_itself(sheets: Sheets, system: System) -> None:
    sheets.imports("201,1,,,,,,,a b", "202,1,,,,,,,b a")
    assert system.user("201")["groups"] == system.user("202")["groups"] == ["a", "b"]


# -- PINs ----------------------------------------------------------------------------------------


def logs_in(system: System, name: str, pin: str) -> bool:
    stored = system.scalar("SELECT pin_hash FROM users WHERE user_name = :name", name=name)
    return pins.verify_pin(pin, stored).ok


def test_a_pin_in_clear_text_is_hashed(sheets: Sheets, system: System) -> None:
    system.do("addUser", user={"userName": "202"}, pin="old")
    sheets.imports("201,0042,7", "202,new,", "203,0042")
    assert logs_in(system, "201", "0042")
    assert logs_in(system, "202", "new")
    assert logs_in(system, "203", "0042")
    assert system.scalar("SELECT count(DISTINCT pin_hash) FROM users") == 4
    voicemail = system.scalar("SELECT voicemail_pin_hash FROM users WHERE user_name = '201'")
    assert pins.verify_pin("7", voicemail).ok


@pytest.mark.parametrize("realm", ["old.example.org", ""])
def test_a_token_of_sipxconfig_is_kept(sheets: Sheets, system: System, realm: str) -> None:
    made_with = f"201:{realm or 'pbx.example.com'}:1234".encode()
    token = hashlib.md5(made_with, usedforsecurity=False).hexdigest()
    sheets.imports(f"201,{realm}#{token}" if realm else f"201,{token}")
    assert logs_in(system, "201", "1234")
    assert not logs_in(system, "201", token)


def test_a_hash_of_sipxconfig_for_voicemail_is_left(sheets: Sheets, system: System) -> None:
    sheets.write(f"201,1234,{'ab' * 16}")
    assert sheets.warnings("--apply") == [
        (
            "Line 2, Voicemail PIN: A hash of sipXconfig cannot be taken over; the voicemail PIN "
            "stays as it is."
        )
    ]
    assert system.scalar("SELECT voicemail_pin_hash FROM users WHERE user_name = '201'") is None


def test_who_gets_no_pin_is_counted(sheets: Sheets) -> None:
    sheets.write("201", "202,1", "203")
    assert [f"Warning: {line}\n" for line in sheets.warnings()] == [NO_PIN.format(2)]


def test_another_pin_of_superadmin_is_a_warning(sheets: Sheets) -> None:
    sheets.write("superadmin,4711")
    assert sheets.warnings() == ["Line 2: The PIN of superadmin becomes another one."]


def test_no_pin_is_ever_said(sheets: Sheets) -> None:
    secret = "5ecret" * 50
    line = f"201,{secret},{secret},{secret},,,,,,,{secret},{secret}"
    code, output, errors = sheets.cli.run("users", "import", sheets.write(line, head=OUR_HEAD))
    assert code == 1
    assert "5ecret" not in output + errors
    assert {line.split(":")[0] for line in output.splitlines()} == {
        "Line 2, PIN",
        "Line 2, Voicemail PIN",
        "Line 2, PIN hash",
        "Line 2, Voicemail PIN hash",
        "Line 2, SIP password",
    }


# -- what is refused -------------------------------------------------------------------------------


def test_every_bad_row_is_told_and_none_is_carried_out(sheets: Sheets, system: System) -> None:
    system.add_users("300")
    before = system.dump()
    said = sheets.refusals(
        "201,1,,,Ann",
        "bad name",
        ",1234",
        '"202",,,,"two\nlines",,"303 300 ~~x"',
        f"300,,,,{TOO_LONG},,,no address",
        "203,,,,,,204",
        "204",
        '205,,,,,,,,"""open"',
        "300",
        "206,,,,,,,,,more",
        "207,\x07",
    )
    assert said == [
        (
            "Line 3, User name: userName 'bad name' has characters that the user part of a SIP "
            "address cannot have."
        ),
        "Line 4, User name: userName is required and must not be blank.",
        "Line 5, User alias: aliases[2] '~~x' is reserved.",
        "Line 5, User alias: aliases[1] '300' is already in use by the userName of the user 300.",
        (
            f"Line 7, First name: firstName '{'x' * 100}' is too long: 256 characters, at most 255 "
            "are kept."
        ),
        "Line 7, EMail address: emailAddress 'no address' is not an email address.",
        "Line 9, User name: userName '204' is already in use by an alias of the user 203.",
        "Line 10, User group: groups '\"open' has a double quote that is not closed.",
        "Line 11, User name: userName '300' stands in line 7 too, and other things are said of it.",
        "Line 12: The row has cells in columns without a name: a separator or a quote is wrong.",
        "Line 13, PIN: The cell has control characters or others that no answer could show.",
    ]
    assert system.dump() == before
