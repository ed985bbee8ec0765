"""CSV files: read as spreadsheets write them, written so that spreadsheets do no harm."""

from __future__ import annotations

import csv
import errno
import io
import os
import re
import sys
import tempfile
from codecs import BOM_UTF16_BE, BOM_UTF16_LE, getincrementaldecoder
from contextlib import contextmanager, nullcontext, suppress
from itertools import chain, count
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from sipxconfig_soap.naming import give_name
from sipxconfig_soap.sheets import cells
from sipxconfig_soap.sheets.columns import KNOWN, OURS
from sipxconfig_soap.values import fold, is_blank

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from sipxconfig_soap.sheets.columns import Column

ENCODING = "utf-8-sig"
"""Of files that are written: without the mark spreadsheets would take them for windows-1252."""

STANDARD = Path("-")
"""Means standard input or output."""

LARGEST = 256 * 1024 * 1024
"""Bytes of a file that is read: some 700,000 users as they are written."""

MOST_ROWS = 1_000_000
"""Rows of one."""

LONGEST_LINE = 1024 * 1024
"""Characters of one line of it, with its end."""

_PIECE = 1024 * 1024
_SEPARATORS = ",;\t"
_NAMED_SEPARATOR = re.compile(r"\"?sep=([^\w\s\"]|\t)\"?(?:\r\n?|\n)", re.IGNORECASE)
# sipXconfig writes a quote inside a cell so; at the end of a cell it is a backslash.
_ESCAPED_QUOTE = re.compile(r'\\"(?![,;\t\r\n]|\Z)')
_NOT_CP1252 = re.compile(rb"[\x81\x8d\x8f\x90\x9d]")


class NoSheet(Exception):
    """The file is none that can be read; the text says why, and what to do."""


class Row(NamedTuple):
    """A row.

    Attributes:
        line: where it begins, from 1.
        cells: what each column says, by label; columns that the file does not have are missing.
    """

    line: int
    cells: Mapping[str, str]

    def get(self, column: Column) -> str:
        """What a column says: the empty string where the file does not have it."""
        return self.cells.get(column.label, "")


class Finding(NamedTuple):
    """Something to say about a row: its line, the label of its column if there is one, and what."""

    line: int
    column: str | None
    sentence: str


class Sheet(NamedTuple):
    """A file that was read.

    Attributes:
        labels: the columns that it has.
        rows: all that are not blank.
        refusals: what rows cannot be read, and why; they are not among ``rows``.
        notes: what is odd about the file.
    """

    labels: tuple[str, ...]
    rows: list[Row]
    refusals: list[Finding]
    notes: list[str]


def read(path: Path, needed: Column) -> Sheet:
    """Read a file that has at least this column.

    What is not read for its size takes no more memory than `LARGEST`.

    Args:
        path: of the file; `STANDARD` for standard input.
        needed: the column.

    Raises:
        NoSheet: it is not there, or is none of ours. The text has none of its cells but labels.
    """
    content = _content(path)
    notes: list[str] = []
    encoding = _encoding(content, notes)
    text = io.TextIOWrapper(io.BytesIO(content), encoding, newline="")
    lines = _lines(text, encoding)
    before, separator, head = 0, None, next(lines, "").lstrip("\ufeff")
    if named := _NAMED_SEPARATOR.fullmatch(head):
        before, separator, head = 1, named.group(1), next(lines, "")
    separator = separator or max(_SEPARATORS, key=head.count)
    try:
        labels = _labels(next(csv.reader([head], delimiter=separator), []), needed)
    except csv.Error as error:
        raise NoSheet(f"Line {before + 1} cannot be read as CSV: {error}.") from None
    if OURS.isdisjoint(map(fold, labels)):
        lines = (_ESCAPED_QUOTE.sub('""', line) for line in lines)
    # Strict: a quote that nobody closes must not swallow the rows behind it.
    reader = csv.reader(chain([head], lines), delimiter=separator, strict=True)
    return _rows(labels, reader, before, notes)


def _content(path: Path) -> bytes:
    try:
        with _opened(path) as file:
            content = file.read(LARGEST + 1)
    except OSError as error:
        raise NoSheet(f"{path} cannot be read: {reason_of(error)}.") from None
    if len(content) > LARGEST:
        raise NoSheet(f"The file is larger than {LARGEST >> 20} MiB: split it.")
    return content


def _opened(path: Path) -> AbstractContextManager[IO[bytes]]:
    if path != STANDARD:
        return path.open("rb")
    # Python has none where it was started with it closed.
    if sys.stdin is None:
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))
    return nullcontext(sys.stdin.buffer)


def reason_of(error: OSError) -> str:
    """What the system says, in words."""
    return error.strerror or type(error).__name__


def _encoding(content: bytes, notes: list[str]) -> str:
    if content.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
        return "utf-16"
    decoder = getincrementaldecoder("utf-8")()
    view = memoryview(content)
    try:
        for start in range(0, len(view), _PIECE):
            decoder.decode(view[start : start + _PIECE])
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        if found := _NOT_CP1252.search(content):
            line = content[: found.start()].count(b"\n") + 1
            reason = f"Line {line} is neither UTF-8 nor windows-1252: save it as UTF-8."
            raise NoSheet(reason) from None
        notes.append("The file is not UTF-8 and was read as windows-1252: look at accents.")
        return "cp1252"
    return "utf-8-sig"


def _lines(text: IO[str], encoding: str) -> Iterator[str]:
    """The lines with their ends, whichever those are; none of them is held beyond its limit."""
    for number in count(1):
        try:
            line = text.readline(LONGEST_LINE + 1)
        except UnicodeDecodeError:
            reason = f"The file is not all {encoding.upper()}, as it says of itself."
            raise NoSheet(reason) from None
        if not line:
            return
        if len(line) > LONGEST_LINE:
            raise NoSheet(f"Line {number} is longer than {LONGEST_LINE} characters.")
        yield line


def _labels(head: Sequence[str], needed: Column) -> tuple[str, ...]:
    """The columns as we spell them; empty for those without a name."""
    found = [" ".join(cell.split()) for cell in head]
    labels = tuple(KNOWN.get(fold(label), label) for label in found)
    named = [label for label in labels if label]
    if KNOWN.keys().isdisjoint(map(fold, named)):
        raise NoSheet(
            "The first line must name the columns as sipXconfig does, such as "
            "User name,PIN,Voicemail PIN,SIP password,First name,Last name."
        )
    # First of all: a file without labels must not have its secrets told as unknown ones.
    if needed.label not in labels:
        raise NoSheet(f"The column {needed.label!r} is missing.")
    unknown = [label for label in named if fold(label) not in KNOWN]
    if unknown:
        raise NoSheet(f"Columns that are unknown: {', '.join(map(repr, unknown))}.")
    twice = {label for label in named if named.count(label) > 1}
    if twice:
        raise NoSheet(f"Columns that are there twice: {', '.join(map(repr, sorted(twice)))}.")
    return labels


def _rows(labels: tuple[str, ...], reader: Any, before: int, notes: list[str]) -> Sheet:
    sheet = Sheet(tuple(filter(None, labels)), [], [], notes)
    line = before + 1
    try:
        next(reader)
        while True:
            line = before + reader.line_num + 1
            row = next(reader)
            if not all(map(is_blank, row)):
                _read_row(line, labels, row, sheet)
                if len(sheet.rows) + len(sheet.refusals) > MOST_ROWS:
                    raise NoSheet(f"The file has more than {MOST_ROWS} rows: split it.")
    except StopIteration:
        return sheet
    except csv.Error as error:
        raise NoSheet(f"Line {line} cannot be read as CSV: {error}.") from None


def _read_row(line: int, labels: tuple[str, ...], row: list[str], sheet: Sheet) -> None:
    texts = {label: cells.plain(cell) for label, cell in zip(labels, row, strict=False) if label}
    beyond = [
        cell
        for index, cell in enumerate(row)
        if not (index < len(labels) and labels[index]) and not is_blank(cell)
    ]
    if beyond:
        reason = "The row has cells in columns without a name: a separator or a quote is wrong."
        sheet.refusals.append(Finding(line, None, reason))
        return
    odd = [label for label, text in texts.items() if cells.is_unreadable(text)]
    for label in odd:
        reason = "The cell has control characters or others that no answer could show."
        sheet.refusals.append(Finding(line, label, reason))
    if not odd:
        sheet.rows.append(Row(line, texts))


def write(
    path: Path, columns: Sequence[Column], rows: Iterable[Sequence[str | None]], *, force: bool
) -> int:
    """Write a file for its owner alone; returns how many rows it has.

    UTF-8 with a mark, commas, CR LF: what spreadsheets and sipXconfig read. Under its name there is
    all of it or what was there before.

    Args:
        path: of the file; `STANDARD` for standard output.
        columns: their labels stand in the first line.
        rows: the cells of each.
        force: whether a plain file that is there is replaced.

    Raises:
        FileExistsError: the file is there, and ``force`` is false.
        OSError: it cannot be written.
    """
    number = 0
    with _standard_output() if path == STANDARD else _new_file(path, force=force) as file:
        writer = csv.writer(file)
        writer.writerow([each.label for each in columns])
        for number, row in enumerate(rows, 1):  # noqa: B007 - the last one is the answer
            writer.writerow([cells.protected(cell or "") for cell in row])
    return number


@contextmanager
def _standard_output() -> Iterator[IO[str]]:
    if sys.stdout is None:
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))
    # Without a buffer that Python would try to write again when it ends.
    with open(sys.stdout.fileno(), "w", encoding=ENCODING, newline="", closefd=False) as text:
        yield text


@contextmanager
def _new_file(path: Path, *, force: bool) -> Iterator[IO[str]]:
    """A file, for its owner alone, that gets its name when it is complete and on the disk.

    At the end the name is on the disk too, unless the folder cannot be read or its file system
    has no such thing.
    """
    if not force and os.path.lexists(path):
        raise _taken()
    if path.exists() and not path.is_file():
        # A device or a pipe, which must not become a file.
        raise OSError(errno.EINVAL, "it is no plain file")
    descriptor, name = tempfile.mkstemp(prefix=".export-", dir=path.parent)
    temporary = Path(name)
    try:
        with open(descriptor, "w", encoding=ENCODING, newline="") as file:  # noqa: PTH123
            yield file
            file.flush()
            os.fsync(descriptor)
        if force:
            temporary.replace(path)
        elif not give_name(temporary, path):
            raise _taken()
    finally:
        # Of a name that was given away there is nothing left to remove.
        with suppress(OSError):
            temporary.unlink()
    _keep_names(path.parent)


def _taken() -> FileExistsError:
    return FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))


def _keep_names(folder: Path) -> None:
    """Have the names in a folder on the disk."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except PermissionError:
        return
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
    finally:
        os.close(descriptor)
