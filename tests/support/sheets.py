"""CSV files of users and phones, and the commands that read and write them."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, Any, NamedTuple

from sipxconfig_soap.domain.rules import Rules
from sipxconfig_soap.settings import Settings
from sipxconfig_soap.sheets import files, importing, phones, users

if TYPE_CHECKING:
    from pathlib import Path

    from sipxconfig_soap.db import Database
    from tests.support.cli import Cli

USERS_HEAD = "User name,PIN,Voicemail PIN,SIP password,First name,Last name,User alias"
USERS_HEAD += ",EMail address,User group"
"""The columns that sipXconfig's files have of a user."""

PHONES_HEAD = f"{USERS_HEAD},Phone serial number,Phone model,Phone group,Phone description"
"""Those and what they have of a phone."""


class Sheets:
    """Runs the commands of one kind of thing, ``users`` or ``phones``."""

    def __init__(self, cli: Cli, kind: str, directory: Path, head: str) -> None:
        self.cli = cli
        self.kind = kind
        self.path = directory / f"{kind}.csv"
        self.head = head

    def write(self, *lines: str, head: str | None = None) -> str:
        """Write a file of these lines; returns its path."""
        self.path.write_text("".join(f"{line}\n" for line in (head or self.head, *lines)), "utf-8")
        return str(self.path)

    def export(self, *options: str) -> list[dict[str, str]]:
        """Export, and return the rows of the file."""
        self.cli.ok(self.kind, "export", "--force", *options, str(self.path))
        return rows_of(self.path)

    def imports(self, *lines: str, head: str | None = None) -> str:
        """Import a file of these lines, without warnings, to be kept."""
        return self.cli.ok(self.kind, "import", "--apply", self.write(*lines, head=head))

    def warnings(self, *options: str) -> list[str]:
        """What the import of the file that was written last warns of."""
        code, _, errors = self.cli.run(self.kind, "import", str(self.path), *options)
        assert code == 0
        return [line.removeprefix("Warning: ") for line in errors.splitlines()]

    def refusals(self, *lines: str, head: str | None = None) -> list[str]:
        """What the import of these lines says for which rows are refused."""
        path = self.write(*lines, head=head)
        code, output, errors = self.cli.run(self.kind, "import", "--apply", path)
        assert code == 1
        assert "nothing has been changed." in errors
        return output.splitlines()


def rows_of(path: Path) -> list[dict[str, str]]:
    """The rows of a file that was exported."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


class InProcess(NamedTuple):
    """Exports and imports of both kinds without a process for each."""

    database: Database
    directory: Path

    @property
    def settings(self) -> Settings:
        return Settings.load({}, data_dir=str(self.directory))

    def export(self, kind: str) -> bytes:
        """What the file of an export has."""
        path = self.directory / f"{kind}.out"
        sheet: Any = {"users": users, "phones": phones}[kind]
        with self.database.connect() as connection:
            rows = sheet.export(connection, secrets=True)
            files.write(path, sheet.COLUMNS, rows, force=True)
        return path.read_bytes()

    def imports(self, kind: str, content: bytes, *, apply: bool = True) -> importing.Report:
        """Import a file of this content."""
        path = self.directory / f"{kind}.in"
        path.write_bytes(content)
        importer: importing.Importer = (
            users.UserImporter() if kind == "users" else phones.PhoneImporter(profiles=True)
        )
        sheet = files.read(path, importer.key)
        terms = importing.Terms(Rules.from_settings(self.settings), apply)
        return importing.run(self.database, importer, sheet, terms, lambda *_: lambda _: None)


def counts(report: importing.Report) -> tuple[int, int, int]:
    """How many were added, changed and unchanged, of an import that nothing refused."""
    assert report.refusals == []
    return report.added, report.changed, report.unchanged
