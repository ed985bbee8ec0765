"""CSV files: read as spreadsheets write them, written so that spreadsheets do no harm."""

from __future__ import annotations

import csv
import io
import os
import re
import tempfile
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from sipxconfig_soap.sheets import cells
from sipxconfig_soap.sheets.columns import KNOWN, OURS
from sipxconfig_soap.values import fold, is_blank

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from sipxconfig_soap.sheets.columns import Column

OWN_MODE = 0o600
"""Of files that are written: they hold secrets."""

_SEPARATORS = ",;\t"
_NAMED_SEPARATOR = re.compile(r"\"?sep=(.)\"?\r?\n", re.IGNORECASE)
_LINE_END = re.compile(r"[\r\n]")
# sipXconfig writes a quote inside a cell so; at the end of a cell it is a backslash.
_ESCAPED_QUOTE = re.compile(r'\\"(?![,;\t\r\n]|\Z)')


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

    Raises:
        NoSheet: it is not there, or is none of ours.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise NoSheet(f"{path} cannot be read: {error.strerror}.") from None
    notes: list[str] = []
    text = _decoded(content, notes)
    before, separator = 0, None
    if named := _NAMED_SEPARATOR.match(text):
        before, separator = 1, named.group(1)
        text = text[named.end() :]
    head = _LINE_END.split(text, maxsplit=1)[0]
    separator = separator or max(_SEPARATORS, key=head.count)
    labels = _labels(next(csv.reader([head], delimiter=separator), []))
    if needed.label not in labels:
        raise NoSheet(f"The column {needed.label!r} is missing.")
    if OURS.isdisjoint(map(fold, labels)):
        text = _ESCAPED_QUOTE.sub('""', text)
    # Strict: a quote that nobody closes must not swallow the rows behind it.
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    return _rows(labels, reader, before, notes)


def _decoded(content: bytes, notes: list[str]) -> str:
    try:
        if content.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
            return content.decode("utf-16")
        return content.removeprefix(BOM_UTF8).decode()
    except UnicodeDecodeError:
        pass
    try:
        text = content.decode("cp1252")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise NoSheet(f"Line {line} is neither UTF-8 nor windows-1252: save it as UTF-8.") from None
    notes.append("The file is not UTF-8 and was read as windows-1252: look at accents.")
    return text


def _labels(head: Sequence[str]) -> tuple[str, ...]:
    """The columns as we spell them; empty for those without a name."""
    found = [" ".join(cell.split()) for cell in head]
    labels = tuple(KNOWN.get(fold(label), label) for label in found)
    named = [label for label in labels if label]
    if KNOWN.keys().isdisjoint(map(fold, named)):
        raise NoSheet(
            "The first line must name the columns as sipXconfig does, such as "
            "User name,PIN,Voicemail PIN,SIP password,First name,Last name."
        )
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

    UTF-8 with a mark, commas, CR LF: what spreadsheets and sipXconfig read. A file that cannot be
    written to its end leaves nothing behind.

    Raises:
        FileExistsError: the file is there, and ``force`` is false.
        OSError: it cannot be written.
    """
    count = 0
    with _new_file(path, force=force) as file:
        writer = csv.writer(file)
        writer.writerow([each.label for each in columns])
        for count, row in enumerate(rows, 1):  # noqa: B007 - the last one is the answer
            writer.writerow([cells.protected(cell or "") for cell in row])
    return count


@contextmanager
def _new_file(path: Path, *, force: bool) -> Iterator[IO[str]]:
    if force:
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    else:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWN_MODE)
        name = str(path)
    try:
        with open(descriptor, "w", encoding="utf-8-sig", newline="") as file:  # noqa: PTH123
            yield file
        if force:
            Path(name).replace(path)
    except BaseException:
        with suppress(OSError):
            Path(name).unlink()
        raise
