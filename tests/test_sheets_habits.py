"""CSV files as nobody should write them, but programs and people do (docs/migration.md)."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from sipxconfig_soap.sheets import cells, files
from sipxconfig_soap.sheets.columns import USER_NAME

if TYPE_CHECKING:
    from collections.abc import Iterator

HEAD = "User name,First name"
REPOSITORY = Path(__file__).parents[1]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "users.csv"


def read(path: Path, content: bytes | str) -> list[tuple[int, str, str]]:
    """Line, userName and first name of each row of a file in which nothing is refused."""
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    sheet = files.read(path, USER_NAME)
    assert sheet.refusals == []
    return [(row.line, row.cells["User name"], row.cells["First name"]) for row in sheet.rows]


def reason(path: Path, content: bytes | str) -> str:
    """Why a file cannot be read."""
    with pytest.raises(files.NoSheet) as caught:
        read(path, content)
    return str(caught.value)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", ["sep=;", '"sep=;"', "SEP=;"])
def test_a_line_that_names_the_separator(path: Path, mark: str, end: str) -> None:
    lines = [mark, HEAD.replace(",", ";"), "201;a,b", ";", ";;", '"202";"x', 'y"', ""]
    assert read(path, end.join(lines)) == [(3, "201", "a,b"), (6, "202", f"x{end}y")]


@pytest.mark.parametrize("separator", ['"', "a", "1", " ", "\r", "=="])
def test_what_cannot_separate(path: Path, separator: str) -> None:
    assert "The first line must name" in reason(path, f"sep={separator}\r\n{HEAD}\r\n201,x")


@pytest.mark.parametrize(
    ("encoding", "mark"),
    [
        ("utf-8", "\ufeff"),
        ("utf-8", "\ufeff\ufeff"),
        ("utf-16-le", "\ufeff"),
        ("utf-16-be", "\ufeff"),
        ("cp1252", ""),
    ],
)
def test_encodings(path: Path, encoding: str, mark: str) -> None:
    text = f"{mark}{HEAD}\r\n201,Zo\xeb \u20ac\r\n"
    assert read(path, text.encode(encoding)) == [(2, "201", "Zo\xeb \u20ac")]


@pytest.mark.parametrize("spoilt", [b"\x00", b"\x00\xd8"])
def test_half_a_character_of_utf_16(path: Path, spoilt: bytes) -> None:
    content = b"\xff\xfe" + f"{HEAD}\n201,x".encode("utf-16-le") + spoilt
    assert reason(path, content) == "The file is not all UTF-16, as it says of itself."


def test_utf_8_that_is_torn_between_two_pieces(path: Path) -> None:
    last = "201,\xeb".encode()
    content = f"{HEAD}\n".encode().ljust(files._PIECE + 1 - len(last), b"\n") + last
    assert content[: files._PIECE].endswith(b"\xc3")
    ((_, *cells_read),) = read(path, content)
    assert cells_read == ["201", "\xeb"]


def test_columns_in_another_order_and_others_beside(path: Path) -> None:
    head = "fIRST  name\xa0,,USER NAME,PIN"
    assert read(path, f"{head},,\n Ann ,,201\n") == [(2, "201", " Ann ")]


@pytest.mark.parametrize(
    "line",
    [
        "manager,s3cret,s3cret2,s3cret3,Location,Twitter",
        "s3cret,PIN",
        "201,s3cret,,,Ann",
        "Benutzername;s3cret;Vorname",
    ],
)
def test_a_file_without_labels_does_not_have_its_secrets_told(path: Path, line: str) -> None:
    assert "s3cret" not in reason(path, f"{line}\n{line}\n")


def test_a_first_line_too_long_to_be_one(path: Path) -> None:
    assert reason(path, "x" * 200_000) == (
        "Line 1 cannot be read as CSV: field larger than field limit (131072)."
    )


def test_a_line_that_never_ends(path: Path) -> None:
    content = f"{HEAD}\n201,Ann\n" + "," * (files.LONGEST_LINE + 1)
    assert reason(path, content) == "Line 3 is longer than 1048576 characters."


@pytest.mark.parametrize("end", ["", "\n", "\r", "\r\n"])
def test_a_line_as_long_as_may_be(path: Path, end: str) -> None:
    line = "201,Ann".ljust(files.LONGEST_LINE - len(end), ",")
    rest = "202,Bob\n" if end else ""
    expected = [(2, "201", "Ann"), (3, "202", "Bob")][: 2 if end else 1]
    assert read(path, f"{HEAD}\n{line}{end}{rest}") == expected
    assert reason(path, f"{HEAD}\n{line},{end}{rest}") == (
        "Line 2 is longer than 1048576 characters."
    )


def test_too_many_rows(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MOST_ROWS", 3)
    lines = "\n".join(str(number) for number in range(3))
    path.write_text(f"{HEAD}\n{lines}\n\n")
    assert len(files.read(path, USER_NAME).rows) == 3
    assert reason(path, f"{HEAD}\n{lines}\n4,,,refused\n") == (
        "The file has more than 3 rows: split it."
    )


PEAK = """
import sys
from pathlib import Path
from sipxconfig_soap.sheets import files
from sipxconfig_soap.sheets.columns import USER_NAME
from tests.support.memory import peak
before = peak()
try:
    files.read(Path(sys.argv[1]), USER_NAME)
except files.NoSheet as error:
    print(error)
print(peak() - before)
"""


@pytest.mark.parametrize(
    ("size", "sentence"),
    [
        (files.LARGEST, "Line 2 is longer than 1048576 characters."),
        (1 << 30, "The file is larger than 256 MiB: split it."),
    ],
)
def test_a_gigabyte_of_one_line_takes_bounded_memory(path: Path, size: int, sentence: str) -> None:
    with path.open("wb") as file:
        file.write(f"{HEAD}\n".encode())
        file.truncate(size)
    run = subprocess.run(
        [sys.executable, "-c", PEAK, str(path)],
        check=True,
        capture_output=True,
        text=True,
        cwd=REPOSITORY,
    )
    said, grown = run.stdout.splitlines()
    assert said == sentence
    assert int(grown) < files.LARGEST // 1024 + 64 * 1024


def test_nul_and_other_control_characters_refuse_their_rows(path: Path) -> None:
    path.write_bytes(f"{HEAD}\n201,a\0b\n202,x\n203,\x1a\n204,\x7f\n".encode())
    sheet = files.read(path, USER_NAME)
    assert [(each.line, each.column) for each in sheet.refusals] == [
        (2, "First name"),
        (4, "First name"),
    ]
    assert [row.line for row in sheet.rows] == [3, 5]


def test_quotes_of_sipxconfig_and_backslashes(path: Path) -> None:
    assert read(path, f'{HEAD}\n"201","Bob \\"Bo\\" \\"\n"202","x\ny\\"\n') == [
        (2, "201", 'Bob "Bo" \\'),
        (3, "202", "x\ny\\"),
    ]


@pytest.mark.parametrize("first", "=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")
@pytest.mark.parametrize("before", ["", "'", "''"])
def test_no_cell_is_computed_and_each_is_read_as_it_was(first: str, before: str) -> None:
    text = f"{before}{first}HYPERLINK(1)"
    assert cells.protected(text) == f"'{text}"
    assert cells.plain(cells.protected(text)) == text
    assert cells.plain(text.lstrip("'")) == text.lstrip("'")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("4.93012E+11", "looks like a number that a spreadsheet rounded"),
        ("4,9E+11", "looks like a number that a spreadsheet rounded"),
        ("1e+06", "looks like a number that a spreadsheet rounded"),
        ("201.0", "looks like a number that a script made a fraction"),
        ("#NAME?", "looks like an error that a spreadsheet wrote"),
        ("201", None),
        ("0042", None),
        ("E+1", None),
        ("1.0.0", None),
        ("polycom4.0", None),
        ("#name", None),
        ("\u0661.0", None),
    ],
)
def test_what_programs_make_of_cells_is_noticed(text: str, words: str | None) -> None:
    assert cells.spoilt(text) == words


# -- written ---------------------------------------------------------------------------------------


def test_what_is_no_plain_file_stays_what_it_is(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    link = tmp_path / "link"
    link.symlink_to(pipe)
    for path in (pipe, link):
        with pytest.raises(OSError, match="it is no plain file"):
            files.write(path, [USER_NAME], [["201"]], force=True)
    assert (pipe.is_fifo(), link.is_symlink()) == (True, True)
    assert len(list(tmp_path.iterdir())) == 2


def test_a_file_has_its_name_when_it_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "users.csv"

    def rows() -> Iterator[list[str]]:
        assert not path.exists()
        yield ["201"]

    assert files.write(path, [USER_NAME], rows(), force=False) == 1
    assert path.read_text("utf-8-sig") == "User name\n201\n"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("links", [True, False])
def test_who_takes_the_name_meanwhile_keeps_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, links: bool
) -> None:
    path = tmp_path / "users.csv"
    if not links:
        monkeypatch.setattr(os, "link", _no_link)

    def rows() -> Iterator[list[str]]:
        path.write_text("theirs")
        yield ["201"]

    with pytest.raises(FileExistsError):
        files.write(path, [USER_NAME], rows(), force=False)
    assert [each.read_text() for each in tmp_path.iterdir()] == ["theirs"]


def test_where_there_are_no_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "link", _no_link)
    path = tmp_path / "users.csv"
    files.write(path, [USER_NAME], [["201"]], force=False)
    assert path.read_text("utf-8-sig") == "User name\n201\n"
    assert list(tmp_path.iterdir()) == [path]


def _no_link(*_: object, **__: object) -> None:
    raise PermissionError(1, "Operation not permitted")


@pytest.mark.parametrize("links", [True, False])
@pytest.mark.parametrize("force", [True, False])
def test_a_file_and_then_its_name_are_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, force: bool, links: bool
) -> None:
    path = tmp_path / "users.csv"
    synced: list[tuple[bool, list[str]]] = []

    def fsync(descriptor: int) -> None:
        is_folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        synced.append((is_folder, [each.name for each in tmp_path.iterdir()]))

    monkeypatch.setattr(os, "fsync", fsync)
    if not links:
        monkeypatch.setattr(os, "link", _no_link)
    files.write(path, [USER_NAME], [["201"]], force=force)
    (_, before), after = synced
    assert [name.startswith(".export-") for name in before] == [True]
    assert after == (True, ["users.csv"])


def test_a_folder_that_cannot_be_brought_to_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that may be written but not read, and a file system that syncs no folders."""
    opened, synced = os.open, os.fsync
    closed: list[object] = []

    def unreadable(path: object, flags: int, *more: Any, **named: Any) -> int:
        if path == tmp_path:
            closed.append(path)
            raise PermissionError(errno.EACCES, "Permission denied")
        return opened(path, flags, *more, **named)  # type: ignore[arg-type]

    def fsync(code: int, descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(code, os.strerror(code))
        synced(descriptor)

    path = tmp_path / "users.csv"
    with monkeypatch.context() as patch:
        patch.setattr(os, "open", unreadable)
        files.write(path, [USER_NAME], [["201"]], force=False)
    assert closed == [tmp_path]
    monkeypatch.setattr(os, "fsync", partial(fsync, errno.EINVAL))
    files.write(path, [USER_NAME], [["202"]], force=True)
    assert path.read_text("utf-8-sig") == "User name\n202\n"
    monkeypatch.setattr(os, "fsync", partial(fsync, errno.EIO))
    with pytest.raises(OSError, match="Input/output error"):
        files.write(path, [USER_NAME], [["203"]], force=True)


def test_a_disk_that_is_full(tmp_path: Path) -> None:
    """A file system without room, and what became of the file there."""
    script = """
import resource, signal, sys
from pathlib import Path
from sipxconfig_soap.sheets import files
from sipxconfig_soap.sheets.columns import USER_NAME
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
for force in (False, True):
    try:
        files.write(Path(sys.argv[1]), [USER_NAME], (["x" * 100] for _ in range(1000)), force=force)
    except OSError as error:
        print(error.strerror)
"""
    path = tmp_path / "users.csv"
    run = subprocess.run(
        [sys.executable, "-c", script, str(path)], check=True, capture_output=True, text=True
    )
    assert run.stdout.splitlines() == ["File too large"] * 2
    assert list(tmp_path.iterdir()) == []
