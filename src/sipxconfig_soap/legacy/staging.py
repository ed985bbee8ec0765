"""Temporary tables of the target: what is to be taken over, and what became of the rest.

They are seen by one transaction only and go with it, so that nothing has changed until the end.
Rows keep the ids that they have in the source.
"""

from __future__ import annotations

from collections import Counter
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

import sqlalchemy as sa

from sipxconfig_soap.domain.pool import FOLDED_LIMIT
from sipxconfig_soap.domain.tables import text, text_type

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from sipxconfig_soap.errors import Problem

PIECE = 1000
"""Rows that are written or read at a time."""

CHANGED, REFUSED = "changed", "refused"

_staged = sa.MetaData()


def _table(name: str, *columns: Any) -> sa.Table:
    return sa.Table(
        *(f"import_{name}", _staged, *columns), prefixes=["TEMPORARY"], postgresql_on_commit="DROP"
    )


def _number(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger)


def _key(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, index=True)


def _words(name: str) -> sa.Column[str]:
    """A text that only the report has."""
    return sa.Column(name, sa.Text)


def _flag(name: str) -> sa.Column[bool]:
    return sa.Column(name, sa.Boolean)


branches = _table("branches", _key("id"), text("name"))
groups = _table(
    *("groups", text("kind"), _key("id"), text("name"), _number("place"), _flag("there")),
)
members = _table("members", text("kind"), _key("entity"), _number("group_id"))
permissions = _table(
    *("permissions", _key("id"), text("name"), text("label"), text("description")),
    *(_flag("default_value"), _flag("there")),
)
values = _table("values", text("kind"), _key("owner"), text("permission"), _flag("enabled"))
users = _table(
    *("users", _key("id"), text("user_name"), text("first_name"), text("last_name")),
    *(text("sip_password"), text("email_address"), _number("branch"), text("pin_form")),
)
profiles = _table(
    *(
        "profiles",
        _number("line"),
        _key("user_id"),
        _words("user_name"),
        text("email_address"),
        _flag("enabled"),
    ),
)
pins = _table("pins", _key("user_id"), sa.Column("pin_hash", sa.Text))
names = _table(
    *("names", text("owner"), _key("id"), _number("rank"), text("kind"), _words("entity")),
    sa.Column("value", text_type(), index=True),
    *(text(each, limit=FOLDED_LIMIT) for each in ("folded", "first_name_folded")),
    text("last_name_folded", limit=FOLDED_LIMIT),
)
call_groups = _table(
    *("call_groups", _key("id"), text("name"), text("description"), _flag("enabled")),
)
rings = _table(
    *("rings", _key("id"), _key("call_group"), _key("user_id"), _words("user_name")),
    *(_number("position"), text("type"), _number("expiration"), _words("entity")),
)
park_orbits = _table(
    *("park_orbits", _key("id"), text("name"), text("description"), _flag("enabled")),
    text("music"),
)
phones = _table(
    *("phones", _key("id"), text("serial_number"), text("model_id"), text("description")),
    *(text("device_version"), text("profile_file"), _number("max_lines")),
)
lines = _table(
    *("lines", _key("id"), _key("phone"), _words("entity"), _number("position")),
    *(_key("user_id"), _words("user_name"), text("external_user_id"), text("display_name")),
    *(text("password"), text("registration_server"), text("voice_mail")),
)
findings = _table(
    "findings",
    *(sa.Column("number", sa.BigInteger, sa.Identity()), text("kind"), text("verdict")),
    *(_number("id"), _words("name"), text("code"), text("field")),
    _words("sentence"),
)


class Entry(NamedTuple):
    """A row of the source, as the report names it.

    Attributes:
        kind: what it is, such as ``users``.
        id: its key in the source.
        name: what people know it by.
    """

    kind: str
    id: int | None
    name: str


class Staging:
    """The temporary tables, and the notes on what is changed or refused.

    Args:
        connection: to the target, in a transaction.

    Attributes:
        connection: the same.
        read: how many rows of each kind the source has.
        no_place: how many there are of what cannot be kept here, by its name.
    """

    def __init__(self, connection: sa.Connection) -> None:
        self.connection = connection
        self.read: Counter[str] = Counter()
        self.no_place: Counter[str] = Counter()
        self._notes: list[dict[str, Any]] = []
        _staged.create_all(connection, checkfirst=False)

    def put(self, table: sa.Table, rows: Iterable[Mapping[str, Any]]) -> None:
        """Write rows into a temporary table, some at a time."""
        for piece in pieces(rows):
            self.connection.execute(table.insert(), piece)

    def refuse(self, entry: Entry, problem: Problem) -> None:
        """Note that a row is not taken over."""
        self._note(entry, REFUSED, problem.code, problem.field, problem.sentence)

    def change(self, entry: Entry, code: str, field: str | None, sentence: str) -> None:
        """Note that a row is taken over in another form; the code names the rule."""
        self._note(entry, CHANGED, code, field, sentence)

    def leave_out(self, entry: Entry, problem: Problem) -> None:
        """Note that a row is taken over without a part that cannot be kept."""
        self.change(entry, problem.code, problem.field, f"{problem.sentence} It is left out.")

    def _note(
        self, entry: Entry, verdict: str, code: str, field: str | None, sentence: str
    ) -> None:
        row = entry._asdict() | {"verdict": verdict, "code": code, "field": field}
        self._notes.append({**row, "sentence": sentence})
        if len(self._notes) >= PIECE:
            self.flush()

    def flush(self) -> None:
        """Write the notes that wait."""
        if self._notes:
            self.connection.execute(findings.insert(), self._notes)
            self._notes = []

    def analyze(self) -> None:
        """Have PostgreSQL count the rows, since it plans by their numbers."""
        self.flush()
        for table in _staged.tables:
            self.connection.exec_driver_sql(f"ANALYZE {table}")

    def count(self, table: sa.Table, *where: sa.ColumnElement[bool]) -> int:
        """How many rows there are."""
        statement = sa.select(sa.func.count()).select_from(table).where(*where)
        return int(self.connection.execute(statement).scalar_one())

    def rows(self, statement: sa.Select[Any]) -> Iterator[list[sa.Row[Any]]]:
        """The rows of a statement, in pieces; other statements may run between them."""
        return pieces(self.connection.execute(statement, execution_options={"yield_per": PIECE}))


def pieces(rows: Iterable[Any]) -> Iterator[list[Any]]:
    """The same rows, some at a time."""
    iterator = iter(rows)
    while piece := list(islice(iterator, PIECE)):
        yield piece
