"""Users as rows of a CSV file (docs/migration.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, cast

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import aggregate_order_by

from sipxconfig_soap import errors
from sipxconfig_soap.db import stream
from sipxconfig_soap.domain import grouping, pins, pool, user_changes
from sipxconfig_soap.domain.properties import Edit, Text
from sipxconfig_soap.domain.searches import Criterion
from sipxconfig_soap.domain.tables import given
from sipxconfig_soap.domain.user_pins import Pin, check_cost
from sipxconfig_soap.domain.users import PROPERTIES, add, is_superadmin, users
from sipxconfig_soap.errors import Refused
from sipxconfig_soap.sheets import cells
from sipxconfig_soap.sheets.columns import OUR_USER_COLUMNS, USER_COLUMNS, USER_NAME
from sipxconfig_soap.sheets.importing import (
    GROUPS,
    batches,
    create_groups,
    names_in,
    warn_of_numbers,
)
from sipxconfig_soap.values import is_blank, trim

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sipxconfig_soap.domain.properties import Names
    from sipxconfig_soap.domain.work import Work
    from sipxconfig_soap.sheets.files import Row, Sheet
    from sipxconfig_soap.sheets.importing import Advance, Task

COLUMNS = (*USER_COLUMNS, *OUR_USER_COLUMNS)

_BY_FIELD = {each.field: each for each in COLUMNS}
_LABELS = {each.field: each.label for each in COLUMNS}
_ALIASES = cast("Names", PROPERTIES["aliases"])
_TEXTS = ("lastName", "firstName", "sipPassword", "emailAddress", "branchName")

REALM_MARK = "#"
"""Between realm and token in a PIN cell of sipXconfig up to 4.4."""


class Stored(NamedTuple):
    """A user as it is, by the fields of the columns."""

    userName: str  # noqa: N815 - as the contract calls it
    sipPassword: str  # noqa: N815
    firstName: str | None  # noqa: N815
    lastName: str | None  # noqa: N815
    emailAddress: str | None  # noqa: N815
    branchName: str | None  # noqa: N815
    pintoken: str | None
    vmpintoken: str | None
    aliases: Sequence[str]
    groups: Sequence[str]


def _statement() -> sa.Select[Any]:
    held = pool.names
    aliases = (
        sa.select(sa.func.array_agg(aggregate_order_by(held.c.value, held.c.value)))
        .where(held.c.user_id == users.c.id, held.c.kind == pool.ALIAS)
        .scalar_subquery()
    )
    groups = grouping.USER_GROUPS.of_entity(users.c.id)
    branches = grouping.branches
    return (
        sa.select(
            users.c.user_name,
            users.c.sip_password,
            users.c.first_name,
            users.c.last_name,
            users.c.email_address,
            branches.c.name,
            users.c.pin_hash,
            users.c.voicemail_pin_hash,
            aliases,
            groups.c.names,
        )
        .select_from(
            users.outerjoin(branches, branches.c.id == users.c.branch_id).join(groups, sa.true())
        )
        .order_by(users.c.user_name)
    )


Hashes: TypeAlias = dict[tuple[int, str], str]
"""Of PINs, by line and field."""

_ALL = _statement()
_SOME = _ALL.where(users.c.user_name == sa.any_(given("names", sa.Text())))
_ZEROS = sa.select(pool.names.c.value).where(pool.names.c.value.regexp_match("^0[0-9]+$"))


def export(connection: sa.Connection, *, secrets: bool) -> Iterator[list[str | None]]:
    """The rows of all users, by userName, from one snapshot.

    Args:
        connection: in autocommit.
        secrets: whether with SIP passwords and the hashes of PINs.
    """
    for row in stream(connection, _ALL, {}):
        stored = _stored(row)
        values: dict[str, str | None] = {
            **stored._asdict(),
            "aliases": cells.joined(stored.aliases),
            "groups": cells.joined(stored.groups),
        }
        yield [None if each.secret and not secrets else values.get(each.field) for each in COLUMNS]


def _stored(row: Any) -> Stored:
    return Stored._make([*row[:-2], row[-2] or (), row[-1] or ()])


class UserImporter:
    """Adds the users of a file, and changes those that are there: an empty cell changes nothing."""

    operation = "users import"
    key = USER_NAME

    def __init__(self) -> None:
        self.without_pin = 0

    def carry_out(self, task: Task, sheet: Sheet, advance: Advance) -> None:
        """Do it row by row."""
        self.without_pin = 0
        rows = [row for row in sheet.rows if any(not is_blank(row.get(each)) for each in COLUMNS)]
        first = _without_repeated(task, rows)
        numbers = [_BY_FIELD[name] for name in ("userName", "pin", "vmpin")]
        warn_of_numbers(task, first, numbers)
        create_groups(task, grouping.USER_GROUPS, first, _BY_FIELD["groups"])
        advance(len(sheet.rows) - len(first))
        with_zeros = {name.lstrip("0"): name for name in task.work().execute(_ZEROS).scalars()}
        for batch in batches(first):
            names = [trim(row.get(USER_NAME)) for row in batch]
            found = task.work().execute(_SOME, {"names": names}).all()
            known = {row.user_name: _stored(row) for row in found}
            hashes = _hashes(task, batch)
            for row in batch:
                name = trim(row.get(USER_NAME))
                if name and name not in known and name in with_zeros:
                    task.warn(row, USER_NAME, f"'{name}' is new, but {with_zeros[name]} is there.")
                self._row(task, row, known.get(name), hashes)
            advance(len(batch))

    def finish(self, task: Task) -> None:
        """Phones whose files change are queued with each change."""

    def _row(self, task: Task, row: Row, stored: Stored | None, hashes: Hashes) -> None:
        work = task.work()
        given_row = _Given(row, work, hashes)
        try:
            if stored is None:
                given_row.add()
                task.report.added += 1
                self.without_pin += not given_row.has_pin
            elif given_row.change(stored):
                task.report.changed += 1
                if given_row.has_pin and is_superadmin(stored.userName):
                    task.warn(row, None, "The PIN of superadmin becomes another one.")
            else:
                task.report.unchanged += 1
        except Refused as refused:
            task.refuse(row, refused.problems, _LABELS)
        if given_row.foreign_voicemail_pin:
            sentence = (
                "A hash of sipXconfig cannot be taken over; the voicemail PIN stays as it is."
            )
            task.warn(row, _BY_FIELD["vmpin"], sentence)


def _without_repeated(task: Task, rows: Sequence[Row]) -> list[Row]:
    """The rows without those that say the same of a user again.

    sipXconfig writes a user once for each of its phones.
    """
    seen: dict[str, Row] = {}
    first = []
    for row in rows:
        earlier = seen.setdefault(trim(row.get(USER_NAME)), row)
        if earlier is row or is_blank(row.get(USER_NAME)):
            first.append(row)
        elif any(row.get(each) != earlier.get(each) for each in COLUMNS):
            reason = f"stands in line {earlier.line} too, and other things are said of it"
            problem = errors.invalid_value("userName", row.get(USER_NAME), reason)
            task.refuse(row, [problem], _LABELS)
    return first


def _hashes(task: Task, rows: Sequence[Row]) -> Hashes:
    """The hashes of what is in clear text in these rows, by line and field, made on all cores.

    Equal PINs have different hashes, as they must not show. A dry run does not need any.
    """
    if not task.apply:
        return {}
    texts = {
        (row.line, name): text
        for row in rows
        for name in ("pin", "vmpin")
        if not is_blank(text := row.get(_BY_FIELD[name])) and len(text) <= pins.PIN_LIMIT
    }
    wanted = [(_token(text)[1] or text) if key[1] == "pin" else text for key, text in texts.items()]
    return dict(zip(texts, pins.hash_all(wanted), strict=True))


def _token(pin: str) -> tuple[str | None, str | None]:
    """Realm and token of a PIN cell as sipXconfig up to 4.4 wrote it, ``realm#token``.

    The realm is None where there is only the token, as a database of 4.6 may have one.
    """
    realm, mark, token = pin.rpartition(REALM_MARK)
    if pins.is_token(token):
        return (realm if mark else None), token.lower()
    return None, None


class _Given:
    """What a row gives of a user.

    Attributes:
        has_pin: whether it gives a PIN, or the hash of one.
        foreign_voicemail_pin: whether its voicemail PIN is a hash that nobody here can check.
    """

    def __init__(self, row: Row, work: Work, hashes: Hashes) -> None:
        """Read what is not a property of an operation: PINs and lists."""
        self._row = row
        self._work = work
        self._hashes = hashes
        self._name = trim(row.get(USER_NAME))
        self._aliases = names_in(row, _BY_FIELD["aliases"], work.problems)
        self._groups = names_in(row, _BY_FIELD["groups"], work.problems)
        self._pin = self._text("pin")
        self._pintoken = self._text("pintoken")
        self.has_pin = bool(self._pin or self._pintoken)
        self.foreign_voicemail_pin = pins.is_token(self._text("vmpin"))
        self._check_pins()

    def _text(self, name: str) -> str:
        text = self._row.get(_BY_FIELD[name])
        return "" if is_blank(text) else text

    def _check_pins(self) -> None:
        problems = self._work.problems
        for name in ("pin", "vmpin"):
            Pin(name).clean(self._text(name), problems)
        for name in ("pintoken", "vmpintoken"):
            text = self._text(name)
            if text and not pins.is_hash(text):
                reason = "is not a hash that this server could check"
                problems.add(errors.invalid_value(name, None, reason))
            elif text:
                check_cost(text, problems)

    def _pin_hash(self) -> str | None:
        """The hash of the PIN that the row gives; None for none, and in a dry run."""
        if not self._pin:
            return self._pintoken or None
        realm, token = _token(self._pin)
        hashed = self._hashes.get((self._row.line, "pin"))
        if token is None or hashed is None:
            return hashed
        return pins.of_token(hashed, self._name, self._work.rules.realm if realm is None else realm)

    def _voicemail_hash(self) -> str | None:
        pin = self._text("vmpin")
        if not pin or self.foreign_voicemail_pin:
            return self._text("vmpintoken") or None
        return self._hashes.get((self._row.line, "vmpin"))

    def add(self) -> None:
        """Add the user.

        Raises:
            Refused: as addUser.
        """
        values: dict[str, Any] = {name: self._text(name) for name in _TEXTS}
        lists = {"aliases": self._aliases, "groups": self._groups, "permissions": []}
        values |= {"userName": self._text("userName"), "pintoken": self._pin_hash(), **lists}
        add(self._work, values, pin=None, voicemail_pin=None)
        self._set_voicemail(None)

    def change(self, stored: Stored) -> bool:
        """Change the user who is there; returns whether anything is different.

        Raises:
            Refused: as manageUser.
        """
        work = self._work
        edits = [
            Edit(place, name, text)
            for place, name in enumerate(_TEXTS)
            if (text := self._different(name, stored))
        ]
        aliases = _ALIASES.clean(self._aliases, work.problems)
        if aliases and set(aliases) != set(stored.aliases):
            # Their characters leave out white space and quotes.
            edits.append(Edit(len(edits), "aliases", " ".join(f'"{each}"' for each in aliases)))
        groups = GROUPS.clean(self._groups, work.problems)
        missing = [name for name in groups if name not in stored.groups]
        new_pin = bool(self._pin or (self._pintoken and self._pintoken != stored.pintoken))
        self.has_pin = new_pin
        if new_pin and (pin_hash := self._pin_hash()):
            edits.append(Edit(len(edits), "pintoken", pin_hash))
        work.problems.check()
        if edits:
            user_changes.manage(
                work, Criterion("byUserName", self._name), edits, user_changes.Actions()
            )
        if missing:
            ids = sa.select(users.c.id).where(users.c.user_name == self._name)
            grouping.USER_GROUPS.join(work, list(work.execute(ids).scalars()), missing)
        new_voicemail = self._set_voicemail(stored.vmpintoken)
        changed = bool(edits or missing or new_pin or new_voicemail)
        if changed:
            work.touch([self._name])
        return changed

    def _different(self, name: str, stored: Stored) -> str | None:
        """What a cell says if it is not what is stored; an empty one says nothing."""
        text, rule = self._text(name), PROPERTIES[name]
        kept = trim(text) if isinstance(rule, Text) and rule.trimmed else text
        return text if text and kept != getattr(stored, name) else None

    def _set_voicemail(self, stored: str | None) -> bool:
        """Set the hash of the voicemail PIN; returns whether that is another one."""
        pin = self._text("vmpin")
        new = self._voicemail_hash()
        if new is not None and new != stored:
            self._work.execute(
                users.update().where(users.c.user_name == self._name).values(voicemail_pin_hash=new)
            )
        return bool(pin and not self.foreign_voicemail_pin) or (new is not None and new != stored)
