"""Imports of old databases, as the command does them, with their reports."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sipxconfig_soap.legacy.importer import Options, prepare
from sipxconfig_soap.legacy.report import write_json
from sipxconfig_soap.legacy.source import open_source
from tests.support.cli import Cli
from tests.support.legacy import DOMAIN, REALM

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    import sqlalchemy as sa

    from sipxconfig_soap.db import Database
    from sipxconfig_soap.settings import Settings
    from tests.support.legacy import Legacy


def command(home: Path, url: str) -> Cli:
    """The command with an own database, and the domain and realm of old systems."""
    cli = Cli(home)
    settings = {"DATABASE_URL": url, "DOMAIN": DOMAIN, "REALM": REALM}
    cli.environ |= {f"SIPXCONFIG_{name}": value for name, value in settings.items()}
    return cli


class Quiet:
    """Shows no progress."""

    def track(self, items: Iterable[Any], what: str, total: int) -> Iterator[Any]:  # noqa: ARG002
        return iter(items)


@dataclass(frozen=True)
class Outcome:
    """What an import said."""

    report: dict[str, Any]
    made_up: str | None

    def counts(self, kind: str) -> tuple[int, int, int, int]:
        """Read, taken, changed, refused."""
        found = self.report["kinds"][kind]
        return found["read"], found["taken"], found["changed"], found["refused"]

    def found(self, kind: str, verdict: str | None = None) -> list[tuple[str, str, str]]:
        """Name, code and field of what happened to rows of a kind, in order."""
        return [
            (each["name"], each["code"], each["field"])
            for each in self.report["findings"]
            if each["kind"] == kind and verdict in (None, each["verdict"])
        ]

    def sentences(self, kind: str) -> list[str]:
        """What the report says of rows of a kind."""
        return [each["sentence"] for each in self.report["findings"] if each["kind"] == kind]


class Importer:
    """Imports into the database of the test.

    Attributes:
        connection: the one to the target, while it imports.
    """

    connection: sa.Connection

    def __init__(self, database: Database, settings: Settings) -> None:
        self.database = database
        self.settings = settings
        self.quiet = Quiet()

    def run(self, legacy: Legacy, *, apply: bool = True, **options: Any) -> Outcome:
        """Import everything."""
        with (
            open_source(legacy.url) as source,
            self.database.engine.connect() as connection,
        ):
            self.connection = connection
            found = prepare(source, connection, self.settings, Options(**options), self.quiet)
            made_up = found.write().made_up if apply else None
            text = io.StringIO()
            write_json(found.report, found.run, text)
            if apply:
                connection.commit()
        return Outcome(json.loads(text.getvalue()), made_up)
