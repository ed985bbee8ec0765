"""Users as rows of a CSV file (docs/migration.md)."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, cast

import sqlalchemy as sa

from sipxconfig_soap import errors
from sipxconfig_soap.db import stream
from sipxconfig_soap.domain import grouping, pins, pool, user_changes, user_list
from sipxconfig_soap.domain.properties import Edit, Text
from sipxconfig_soap.domain.searches import Criterion
from sipxconfig_soap.domain.tables import given
from sipxconfig_soap.domain.user_pins import NO_HASH, Pin, check_cost, check_voicemail_hash
from sipxconfig_soap.domain.users import PROPERTIES, add, is_superadmin, users
from sipxconfig_soap.errors import Refused
from sipxconfig_soap.sheets import cells
from sipxconfig_soap.sheets.columns import OUR_USER_COLUMNS, USER_COLUMNS, USER_NAME
from sipxconfig_soap.sheets.importing import (
    GONE,
    GROUPS,
    batches,
    create_groups,
    names_in,
    warn_of_numbers,
)
from sipxconfig_soap.values import is_blank, trim

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from sipxconfig_soap.domain.properties import Names
    from sipxconfig_soap.domain.work import Work
    from sipxconfig_soap.sheets.files import Row, Sheet
    from sipxconfig_soap.sheets.importing import Advance, Progress, Task

COLUMNS = (*USER_COLUMNS, *OUR_USER_COLUMNS)

_BY_FIELD = {each.field: each for each in COLUMNS}
_LABELS = {each.field: each.label for each in COLUMNS}
_ALIASES = cast("Names", PROPERTIES["aliases"])
_TEXTS = ("lastName", "firstName", "sipPassword", "emailAddress", "branchName")

_NUMBERED = [_BY_FIELD[name] for name in ("userName", "pin", "vmpin", "sipPassword", "aliases")]

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


Hashes: TypeAlias = dict[tuple[int, str], str]
"""Of PINs, by line and field."""

_ALL = (
    sa.select(
        users.c.user_name,
        users.c.sip_password,
        users.c.first_name,
        users.c.last_name,
        users.c.email_address,
        user_list.BRANCH_NAME,
        users.c.pin_hash,
        users.c.voicemail_pin_hash,
        user_list.ALIASES,
        user_list.GROUPS.c.names,
    )
    .select_from(user_list.WITH_BRANCH_AND_GROUPS)
    .order_by(users.c.user_name)
)
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
    tables: Sequence[sa.Table] = (
        users,
        pool.names,
        grouping.branches,
        grouping.USER_GROUPS.groups,
        grouping.USER_GROUPS.members,
    )

    def __init__(self) -> None:
        self.without_pin = 0
        self._hashes: Hashes = {}

    def prepare(self, sheet: Sheet, progress: Progress) -> None:
        """Hash what is in clear text, on all cores; equal PINs get different hashes."""
        rows, _ = _without_repeated(sheet.rows)
        texts = list(_clear_texts(rows))
        self._hashes = {}
        if not texts:
            return
        advance = progress("Hashing PINs", len(texts))
        for batch in batches(texts):
            with closing(pins.hash_all([text for _, text in batch])) as made:
                for (key, _), hashed in zip(batch, made, strict=True):
                    self._hashes[key] = hashed
                    advance(1)

    def carry_out(self, task: Task, sheet: Sheet, advance: Advance) -> None:
        """Do it row by row."""
        self.without_pin = 0
        first, contradicting = _without_repeated(sheet.rows)
        for row, earlier in contradicting:
            reason = f"stands in line {earlier.line} too, and other things are said of it"
            problem = errors.invalid_value("userName", row.get(USER_NAME), reason)
            task.refuse(row, [problem], _LABELS)
        warn_of_numbers(task, first, COLUMNS, _NUMBERED)
        create_groups(task, grouping.USER_GROUPS, first, _BY_FIELD["groups"])
        advance(len(sheet.rows) - len(first))
        with_zeros = {name.lstrip("0"): name for name in task.work().execute(_ZEROS).scalars()}
        for batch in batches(first):
            names = [trim(row.get(USER_NAME)) for row in batch]
            found = task.work().execute(_SOME, {"names": names}).all()
            known = {row.user_name: _stored(row) for row in found}
            for row in batch:
                name = trim(row.get(USER_NAME))
                if name and name not in known and name in with_zeros:
                    task.warn(row, USER_NAME, f"'{name}' is new, but {with_zeros[name]} is there.")
                self._row(task, row, known.get(name))
            advance(len(batch))

    def finish(self, task: Task) -> None:
        """Phones whose files change are queued with each change."""

    def _row(self, task: Task, row: Row, stored: Stored | None) -> None:
        work = task.work()
        given_row = _Given(row, work, self._hashes)
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


def _without_repeated(rows: Sequence[Row]) -> tuple[list[Row], list[tuple[Row, Row]]]:
    """The rows that say something of a user, without those that say the same again.

    sipXconfig writes a user once for each of its phones.

    Returns:
        The rows, and those that say something else of a user, each with the earlier one.
    """
    seen: dict[str, Row] = {}
    first, contradicting = [], []
    for row in rows:
        if all(is_blank(row.get(each)) for each in COLUMNS):
            continue
        earlier = seen.setdefault(trim(row.get(USER_NAME)), row)
        if earlier is row or is_blank(row.get(USER_NAME)):
            first.append(row)
        elif any(row.get(each) != earlier.get(each) for each in COLUMNS):
            contradicting.append((row, earlier))
    return first, contradicting


def _clear_texts(rows: Iterable[Row]) -> Iterator[tuple[tuple[int, str], str]]:
    """What is to be hashed of these rows: line and field, and the text."""
    for row in rows:
        for name in ("pin", "vmpin"):
            text = row.get(_BY_FIELD[name])
            token = _token(text)[1]
            if is_blank(text) or len(text) > pins.PIN_LIMIT:
                continue
            if name == "pin":
                yield (row.line, name), token or text
            elif token is None:
                yield (row.line, name), text


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
        # Also of those that a PIN in clear text stands beside.
        if self._pintoken and not pins.is_hash(self._pintoken):
            problems.add(errors.invalid_value("pintoken", None, NO_HASH))
        else:
            check_cost(self._pintoken, problems)
        check_voicemail_hash(self._text("vmpintoken") or None, problems)

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
        """The hash of the voicemail PIN that the row gives, likewise."""
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
        add(
            self._work,
            values,
            pin=None,
            voicemail_pin=None,
            voicemail_hash=self._voicemail_hash(),
        )

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
        voicemail_hash = self._voicemail_hash()
        if voicemail_hash == stored.vmpintoken:
            voicemail_hash = None
        new_voicemail = bool(voicemail_hash) or self._gives_voicemail_pin
        work.problems.check()
        changed = bool(edits or missing or new_pin or new_voicemail)
        if changed:
            self._manage(edits, voicemail_hash)
        if missing:
            ids = sa.select(users.c.id).where(users.c.user_name == self._name)
            grouping.USER_GROUPS.join(work, list(work.execute(ids).scalars()), missing)
        return changed

    def _manage(self, edits: Sequence[Edit], voicemail_hash: str | None) -> None:
        work, before = self._work, len(self._work.touched)
        actions = user_changes.Actions(voicemail_hash=voicemail_hash)
        user_changes.manage(work, Criterion("byUserName", self._name), edits, actions)
        if len(work.touched) == before:
            errors.refuse(errors.invalid_value("userName", self._name, GONE))

    @property
    def _gives_voicemail_pin(self) -> bool:
        return bool(self._text("vmpin")) and not self.foreign_voicemail_pin

    def _different(self, name: str, stored: Stored) -> str | None:
        """What a cell says if it is not what is stored; an empty one says nothing."""
        text, rule = self._text(name), PROPERTIES[name]
        kept = trim(text) if isinstance(rule, Text) and rule.trimmed else text
        return text if text and kept != getattr(stored, name) else None
