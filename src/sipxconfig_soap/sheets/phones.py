"""Phones as rows of a CSV file, one for each line (docs/migration.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import aggregate_order_by

from sipxconfig_soap import errors
from sipxconfig_soap.db import stream
from sipxconfig_soap.domain import grouping, jobs, phone_changes
from sipxconfig_soap.domain.lines import lines_with_users
from sipxconfig_soap.domain.phone_tables import lines, phones, queue_jobs, serial_key
from sipxconfig_soap.domain.phones import add
from sipxconfig_soap.domain.properties import Edit
from sipxconfig_soap.domain.searches import Criterion
from sipxconfig_soap.domain.tables import given, text_array
from sipxconfig_soap.domain.users import users
from sipxconfig_soap.errors import Refused
from sipxconfig_soap.provisioning.models import MODELS, cleaned_serial, renamed
from sipxconfig_soap.sheets import cells
from sipxconfig_soap.sheets.columns import (
    LINE_COLUMNS,
    OUR_PHONE_COLUMNS,
    PHONE_COLUMNS,
    USER_COLUMNS,
    USER_NAME,
)
from sipxconfig_soap.sheets.importing import (
    GONE,
    GROUPS,
    batches,
    create_groups,
    names_in,
    warn_of_numbers,
)
from sipxconfig_soap.values import is_blank, snake_case, trim

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sipxconfig_soap.domain.work import Work
    from sipxconfig_soap.sheets.columns import Column
    from sipxconfig_soap.sheets.files import Row, Sheet
    from sipxconfig_soap.sheets.importing import Advance, Progress, Task

COLUMNS = (*USER_COLUMNS, *PHONE_COLUMNS, *OUR_PHONE_COLUMNS)
"""Of a file that is written: phones stand where sipXconfig looks for them."""

_OF_PHONE = (*PHONE_COLUMNS, *OUR_PHONE_COLUMNS[:1])
_READ = (*PHONE_COLUMNS, *OUR_PHONE_COLUMNS)
_BY_FIELD = {each.field: each for each in _OF_PHONE}
_SERIAL = _BY_FIELD["serialNumber"]
_USER_ID, _PASSWORD = LINE_COLUMNS[0], LINE_COLUMNS[2]

_LABELS = {each.field: each.label for each in _OF_PHONE}
_INTERNAL = {"userId": USER_NAME.label}
_EXTERNAL = {each.field: each.label for each in LINE_COLUMNS}


class Line(NamedTuple):
    """A line as it is: of a user, or with what an external one has."""

    id: int
    user_name: str | None
    external_user_id: str | None
    display_name: str | None
    password: str | None
    registration_server: str | None
    voice_mail: str | None


class Stored(NamedTuple):
    """A phone as it is."""

    id: int
    serial_number: str
    model_id: str
    description: str | None
    device_version: str | None
    groups: Sequence[str]
    lines: Sequence[Line]


def _statement() -> sa.Select[Any]:
    facts = sa.func.json_build_array(
        lines.c.id, users.c.user_name, *(lines.c[name] for name in Line._fields[2:])
    )
    phone_lines = (
        sa.select(sa.func.json_agg(aggregate_order_by(facts, lines.c.id)))
        .select_from(lines_with_users)
        .where(lines.c.phone_id == phones.c.id)
        .scalar_subquery()
    )
    groups = grouping.PHONE_GROUPS.of_entity(phones.c.id)
    columns = (phones.c[name] for name in Stored._fields[:5])
    return (
        sa.select(*columns, groups.c.names, phone_lines)
        .select_from(phones.join(groups, sa.true()))
        .order_by(phones.c.id)
    )


_ALL = _statement()
_SOME = _ALL.where(serial_key == sa.any_(given("serials", sa.Text())))


def _stored(row: Any) -> Stored:
    return Stored._make([*row[:5], row[5] or (), [Line(*each) for each in row[6] or ()]])


def export(connection: sa.Connection, *, secrets: bool) -> Iterator[list[str | None]]:
    """The rows of all phones in the order of their creation, from one snapshot.

    Args:
        connection: in autocommit.
        secrets: whether with the passwords of external lines.
    """
    for row in stream(connection, _ALL, {}):
        phone = _stored(row)
        facts: dict[Column, str | None] = {
            _SERIAL: phone.serial_number,
            _BY_FIELD["modelId"]: phone.model_id,
            _BY_FIELD["groups"]: cells.joined(phone.groups),
            _BY_FIELD["description"]: phone.description,
            _BY_FIELD["deviceVersion"]: phone.device_version,
        }
        for line in phone.lines or (None,):
            values = facts | _cells_of(line)
            yield [None if each.secret and not secrets else values.get(each) for each in COLUMNS]


def _cells_of(line: Line | None) -> dict[Column, str | None]:
    if line is None:
        return {}
    external = {each: getattr(line, _column(each.field)) for each in LINE_COLUMNS}
    return {USER_NAME: line.user_name, **external}


def _column(name: str) -> str:
    return "external_user_id" if name == "userId" else snake_case(name)


class PhoneImporter:
    """Adds the phones of a file with their lines, and changes those that are there.

    As with users an empty cell changes nothing; lines and groups are added, never taken.

    Args:
        profiles: whether the files of phones that are new or changed are written.
    """

    operation = "phones import"
    key = _SERIAL
    tables: Sequence[sa.Table] = (
        phones,
        lines,
        grouping.PHONE_GROUPS.groups,
        grouping.PHONE_GROUPS.members,
        jobs.jobs,
    )

    def __init__(self, *, profiles: bool) -> None:
        self._profiles = profiles
        self._serials: list[str] = []

    def prepare(self, sheet: Sheet, progress: Progress) -> None:
        """Nothing of phones takes long."""

    def carry_out(self, task: Task, sheet: Sheet, advance: Advance) -> None:
        """Do it phone by phone."""
        self._serials = []
        rows = [row for row in sheet.rows if any(not is_blank(row.get(each)) for each in _READ)]
        found: dict[str, list[Row]] = {}
        for row in rows:
            found.setdefault(cleaned_serial(row.get(_SERIAL)), []).append(row)
        firsts = [each[0] for each in found.values()]
        warn_of_numbers(task, firsts, _OF_PHONE, [_SERIAL])
        of_lines = (USER_NAME, *LINE_COLUMNS)
        warn_of_numbers(task, rows, of_lines, [USER_NAME, _USER_ID, _PASSWORD])
        create_groups(task, grouping.PHONE_GROUPS, firsts, _BY_FIELD["groups"])
        for batch in batches(found.items()):
            known = task.work().execute(_SOME, {"serials": [serial for serial, _ in batch]}).all()
            stored = {cleaned_serial(row.serial_number): _stored(row) for row in known}
            for serial, of_phone in batch:
                self._phone(task, _Given(task, of_phone), stored.get(serial))
            advance(sum(len(of_phone) for _, of_phone in batch))

    def finish(self, task: Task) -> None:
        """Queue the files of the phones."""
        if self._profiles:
            these = serial_key == sa.any_(text_array(self._serials))
            queue_jobs(task.connection, jobs.PROFILES, these)

    def _phone(self, task: Task, phone: _Given, stored: Stored | None) -> None:
        if not phone.is_sound():
            return
        if stored is None:
            if phone.add():
                task.report.added += 1
                self._serials.append(phone.serial)
            return
        changed = phone.change(stored)
        if changed:
            task.report.changed += 1
            self._serials.append(phone.serial)
        elif changed is not None:
            task.report.unchanged += 1


class _Given:
    """What the rows of one phone give of it: the first one of the phone, each of a line."""

    def __init__(self, task: Task, rows: Sequence[Row]) -> None:
        self._task = task
        self._rows = rows
        self._first = rows[0]
        self.serial = cleaned_serial(self._text("serialNumber"))

    def _text(self, name: str) -> str:
        return self._first.get(_BY_FIELD[name])

    def is_sound(self) -> bool:
        """Whether the rows agree with each other; what does not is noted."""
        count = len(self._task.report.refusals)
        for row in self._rows[1:] if self.serial else ():
            for column in _OF_PHONE[1:]:
                text = row.get(column)
                if not is_blank(text) and text != self._first.get(column):
                    reason = f"differs from what line {self._first.line} says of the phone"
                    problem = errors.invalid_value(column.field, text, reason)
                    self._task.refuse(row, [problem], _LABELS)
        for row in self._rows:
            if not is_blank(row.get(USER_NAME)) and _is_external(row):
                reason = "and the columns of an external line are both given: a line is one of them"
                problem = errors.invalid_value("userId", row.get(USER_NAME), reason)
                self._task.refuse(row, [problem], _INTERNAL)
        return len(self._task.report.refusals) == count

    def _lines(self) -> list[tuple[Row, dict[str, str | None]]]:
        """The lines, each with its row."""
        return [
            (row, {each.field: row.get(each) or None for each in LINE_COLUMNS})
            if _is_external(row)
            else (row, {"userId": row.get(USER_NAME)})
            for row in self._rows
            if _is_external(row) or not is_blank(row.get(USER_NAME))
        ]

    def _model(self) -> str:
        """The id of the model; one that an old release called otherwise by its new name."""
        sent = trim(self._text("modelId"))
        names = renamed(sent)
        if sent in MODELS or len(names) != 1:
            return sent
        column = _BY_FIELD["modelId"]
        self._task.warn(self._first, column, f"'{sent}' is called {names[0]} now.")
        return names[0]

    def add(self) -> bool:
        """Add the phone; returns whether it was not refused."""
        work = self._task.work()
        of_lines = self._lines()
        try:
            values: dict[str, Any] = {
                "serialNumber": self._text("serialNumber"),
                "modelId": self._model(),
                "description": self._text("description"),
                "groups": names_in(self._first, _BY_FIELD["groups"], work.problems),
                "deviceVersion": self._text("deviceVersion"),
                "lines": {index: line for index, (_, line) in enumerate(of_lines)},
            }
            add(work, values)
        except Refused as refused:
            self._refuse(refused.problems, of_lines)
            return False
        return True

    def _refuse(
        self,
        problems: Sequence[errors.Problem],
        of_lines: Sequence[tuple[Row, Mapping[str, str | None]]],
    ) -> None:
        """Note what is refused with the row of the line that it is about."""
        for problem in problems:
            place, dot, _ = (problem.field or "").partition(".")
            if dot:
                index = int(place.removeprefix("lines[").removesuffix("]"))
                self._refuse_line(*of_lines[index], [problem])
            else:
                self._task.refuse(self._first, [problem], _LABELS)

    def _refuse_line(
        self, row: Row, line: Mapping[str, str | None], problems: Sequence[errors.Problem]
    ) -> None:
        labels = _EXTERNAL if "registrationServer" in line else _INTERNAL
        self._task.refuse(row, problems, labels)

    def change(self, stored: Stored) -> bool | None:
        """Change the phone that is there; whether anything is different, None if refused."""
        try:
            changed = self._change_phone(self._task.work(), stored)
        except Refused as refused:
            self._task.refuse(self._first, refused.problems, _LABELS)
            return None
        held, sound = list(stored.lines), True
        for row, line in self._lines():
            try:
                changed = self._merge_line(stored, held, line) or changed
            except Refused as refused:
                self._refuse_line(row, line, refused.problems)
                sound = False
        return changed if sound else None

    def _merge_line(self, stored: Stored, held: list[Line], line: Mapping[str, str | None]) -> bool:
        """Find a line among those that are held and not found yet, else add it."""
        same = next((each for each in held if _is_same(each, line)), None)
        if same is None:
            self._add_line(stored, line)
            return True
        held.remove(same)
        return same.user_name is None and phone_changes.change_external_line(
            self._task.work(), same.id, line
        )

    def _change_phone(self, work: Work, stored: Stored) -> bool:
        texts = {
            "modelId": self._model(),
            "description": self._text("description"),
            "deviceVersion": self._text("deviceVersion"),
        }
        edits = [
            Edit(place, name, text)
            for place, (name, text) in enumerate(texts.items())
            if not is_blank(text) and text != getattr(stored, snake_case(name))
        ]
        given_groups = names_in(self._first, _BY_FIELD["groups"], work.problems)
        groups = GROUPS.clean(given_groups, work.problems)
        missing = [name for name in groups if name not in stored.groups]
        work.problems.check()
        if edits or missing:
            self._manage(work, stored, phone_changes.Actions(), edits)
        grouping.PHONE_GROUPS.join(work, [stored.id], missing)
        return bool(edits or missing)

    def _add_line(self, stored: Stored, line: Mapping[str, str | None]) -> None:
        external = "registrationServer" in line
        actions = phone_changes.Actions(
            add_line=None if external else line, add_external_line=line if external else None
        )
        self._manage(self._task.work(), stored, actions, [])

    def _manage(
        self,
        work: Work,
        stored: Stored,
        actions: phone_changes.Actions,
        edits: Sequence[Edit],
    ) -> None:
        search = Criterion("bySerialNumber", stored.serial_number)
        before = len(work.touched)
        phone_changes.manage(work, search, edits, actions)
        if len(work.touched) == before:
            errors.refuse(errors.invalid_value("serialNumber", stored.serial_number, GONE))


def _is_external(row: Row) -> bool:
    return any(not is_blank(row.get(each)) for each in LINE_COLUMNS)


def _is_same(held: Line, line: Mapping[str, str | None]) -> bool:
    """Whether a line that a phone has is the one of a row."""
    user_id = trim(line["userId"] or "")
    if "registrationServer" not in line:
        return held.user_name == user_id
    server = trim(line["registrationServer"] or "")
    return (held.external_user_id, held.registration_server) == (user_id, server)
