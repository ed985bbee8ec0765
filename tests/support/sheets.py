"""CSV files of users and phones, and the commands that read and write them."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

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
