"""Editing, provisioning and deleting phones that are there (services.md §6)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from sipxconfig_soap import errors
from sipxconfig_soap.domain import grouping, jobs
from sipxconfig_soap.domain.lines import HeldLine, check_lengths, external_row, held_lines
from sipxconfig_soap.domain.phone_tables import lines, phones, queue_jobs
from sipxconfig_soap.domain.phones import (
    PROPERTIES,
    SEARCHES,
    Holder,
    duplicate,
    holders,
    marks_of,
    serial_columns,
)
from sipxconfig_soap.domain.properties import (
    clean_name,
    column_values,
    last_values,
    named_edits,
    parse_all,
)
from sipxconfig_soap.domain.searches import Condition, condition
from sipxconfig_soap.domain.tables import among, each_of, id_array
from sipxconfig_soap.domain.users import ids_by_field
from sipxconfig_soap.provisioning.models import MODELS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sipxconfig_soap.domain.properties import Edit
    from sipxconfig_soap.domain.searches import Criterion
    from sipxconfig_soap.domain.work import Work
    from sipxconfig_soap.errors import Problems


@dataclass(frozen=True, slots=True)
class Actions:
    """What a managePhone does beside editing, in the order in which it is done.

    Attributes:
        delete: whether the phones are deleted; nothing else is done then.
        remove_line_by_user_id: userName whose first internal line goes.
        remove_line_by_uri: address of which the first line goes.
        add_line: the properties of a new internal line.
        add_external_line: the properties of a new external line.
        add_group: a group to enter.
        remove_group: a group to leave.
        generate_profiles: whether profiles are written.
        restart: whether the phones are restarted.
    """

    delete: bool = False
    remove_line_by_user_id: str | None = None
    remove_line_by_uri: str | None = None
    add_line: Mapping[str, Any] | None = None
    add_external_line: Mapping[str, Any] | None = None
    add_group: str | None = None
    remove_group: str | None = None
    generate_profiles: bool = False
    restart: bool = False


def manage(work: Work, criterion: Criterion, edits: Sequence[Edit], actions: Actions) -> None:
    """Edit, provision or delete the phones that match.

    Raises:
        Refused: for what is wrong with the request (required, tooLong, invalidValue, unknownUser,
            unknownDeviceVersion, unknownProperty, readOnlyProperty) and for every phone that
            refuses (invalidSerialNumber, duplicateSerialNumber, readOnlyProperty, tooManyLines).
    """
    named = named_edits(edits, PROPERTIES, "Phone", work.problems)
    actions = _with_clean_names(actions, work.problems)
    matched = _lock(work, condition(criterion, SEARCHES, work.problems), delete=actions.delete)
    if actions.delete:
        check_lengths(work.problems, "addLine", actions.add_line)
        check_lengths(work.problems, "addExternalLine", actions.add_external_line)
        work.problems.check()
        delete(work, matched)
        return
    change = _Change(work, matched, named, actions)
    change.check()
    work.problems.check()
    work.touch(row.serial_number for row in matched)
    if matched:
        change.apply()


def _with_clean_names(actions: Actions, problems: Problems) -> Actions:
    """The same with trimmed names; blank ones are None and do nothing."""
    return replace(
        actions,
        add_group=clean_name("addGroup", actions.add_group, problems),
        remove_group=clean_name("removeGroup", actions.remove_group, problems),
        remove_line_by_user_id=clean_name(
            "removeLineByUserId", actions.remove_line_by_user_id, problems
        ),
    )


def _lock(work: Work, matching: Condition, *, delete: bool) -> Sequence[sa.Row[Any]]:
    """The matched phones, locked in the order of their ids; edits let profiles be written."""
    return work.execute(
        sa.select(phones)
        .where(matching.where)
        .order_by(phones.c.id)
        .with_for_update(key_share=not delete),
        matching.parameters,
    ).all()


def change_external_line(work: Work, line_id: int, values: Mapping[str, Any]) -> bool:
    """Change what an external line has beside its address, as no managePhone does but an import.

    Args:
        work: the operation.
        line_id: of the line.
        values: its properties by the rules of addExternalLine; those that are blank stay.

    Returns:
        Whether anything is different now.

    Raises:
        Refused: required, tooLong, invalidValue, also for a line that has gone.
    """
    prefix = "addExternalLine."
    row = external_row(values, work.problems, prefix)
    work.problems.check()
    own = lines.c.id == line_id, lines.c.external_user_id.is_not(None)
    stored = work.execute(
        sa.select(phones.c.serial_number, lines)
        .join_from(phones, lines)
        .where(*own)
        .with_for_update(of=phones, key_share=True)
    ).one_or_none()
    if stored is None:
        reason = "is of a line that has gone meanwhile"
        errors.refuse(errors.invalid_value(f"{prefix}userId", values["userId"], reason))
    new = {
        name: row[name]
        for name in ("display_name", "password", "voice_mail")
        if row[name] is not None and row[name] != getattr(stored, name)
    }
    if new:
        work.execute(lines.update().where(*own).values(new))
        work.touch([stored.serial_number])
    return bool(new)


def delete(work: Work, matched: Sequence[sa.Row[Any]]) -> None:
    """Delete phones with their lines; the removal of their files is queued."""
    ids = [row.id for row in matched]
    work.touch(row.serial_number for row in matched)
    jobs.cancel(work, ids)
    jobs.queue_removals(work.connection, [_files(row) for row in matched])
    work.execute(phones.delete().where(among(phones.c.id, ids)))


def delete_all(work: Work) -> None:
    """Delete every phone and every phone group."""
    delete(work, _lock(work, Condition(sa.true(), {}), delete=True))
    work.execute(grouping.PHONE_GROUPS.groups.delete())


def _files(row: sa.Row[Any], *, moved: bool = False) -> jobs.Removal:
    """Which files of a phone are to be removed; a phone that only moves gets new ones."""
    paths = MODELS[row.model_id].profile_paths(row.serial_number)
    phone_id = row.id if moved else None
    return jobs.Removal(row.serial_number, row.profile_file, paths, phone_id)


class _Change:
    """What one managePhone changes on the phones that match."""

    def __init__(
        self, work: Work, matched: Sequence[sa.Row[Any]], edits: list[Edit], actions: Actions
    ) -> None:
        """Check all that does not depend on the phones."""
        self._work = work
        self._matched = matched
        self._ids = [row.id for row in matched]
        self._actions = actions
        self._values = parse_all(PROPERTIES, last_values(edits), work.problems)
        self._new_lines = self._check_new_lines()
        self._doomed_lines: list[int] = []
        self._moves: dict[int, dict[str, str]] = {}
        self._moved: list[sa.Row[Any]] = []

    def _check_new_lines(self) -> list[dict[str, Any]]:
        """The columns of the lines to be added."""
        rows = []
        work, actions = self._work, self._actions
        if actions.add_line is not None:
            field = "addLine.userId"
            ids = ids_by_field(work, {field: actions.add_line["userId"]})
            rows.append({"user_id": ids.get(field)})
        if actions.add_external_line is not None:
            rows.append(external_row(actions.add_external_line, work.problems, "addExternalLine."))
        return rows

    def check(self) -> None:
        """Note what each phone refuses."""
        if "modelId" in self._values:
            self._check_models()
        if self._values.get("serialNumber") is not None:
            self._check_serials(self._values["serialNumber"])
        if self._touches_lines:
            self._check_lines()

    @property
    def _touches_lines(self) -> bool:
        actions = self._actions
        removals = (actions.remove_line_by_user_id, actions.remove_line_by_uri)
        return any((*removals, self._new_lines, "deviceVersion" in self._values))

    def _check_models(self) -> None:
        model_id = self._values["modelId"]
        for row in self._matched:
            if row.model_id != model_id:
                self._work.problems.add(
                    errors.read_only_property("modelId", model_id, entity=row.serial_number)
                )

    def _check_serials(self, sent: str) -> None:
        """Work out each phone's new serial number: who has it keeps it, else the first gets it."""
        refuse = self._work.problems.add
        wanted = {row.id: serial_columns(MODELS[row.model_id], sent) for row in self._matched}
        marks = {phone_id: marks_of(columns) for phone_id, columns in wanted.items()}
        taken = holders(self._work, chain.from_iterable(marks.values()))
        for row in self._matched:
            columns, entity = wanted[row.id], row.serial_number
            problem = duplicate(sent, marks[row.id], taken, phone_id=row.id, entity=entity)
            if not columns:
                refuse(
                    errors.invalid_serial_number("serialNumber", sent, row.model_id, entity=entity)
                )
            elif problem is not None:
                refuse(problem)
            else:
                for mark in marks[row.id]:
                    taken.setdefault(mark, Holder(row.id, None))
                if columns["serial_number"] != row.serial_number:
                    self._moves[row.id] = columns
                    self._moved.append(row)

    def _check_lines(self) -> None:
        """Find the lines to be removed, and count what is left and added."""
        held = held_lines(self._work, self._ids)
        adds = self._actions.add_line is not None or self._actions.add_external_line is not None
        for row in self._matched:
            doomed = self._doomed(held[row.id])
            self._doomed_lines += doomed
            model = MODELS[row.model_id]
            version = row.device_version
            if "deviceVersion" in self._values:
                version = self._values["deviceVersion"] or model.default_version
            limit = model.max_lines_for(version)
            count = len(held[row.id]) - len(doomed) + len(self._new_lines)
            if count > limit and (adds or "deviceVersion" in self._values):
                field = "addLine" if adds else "lines"
                self._work.problems.add(
                    errors.too_many_lines(
                        field, count, limit, model.model_id, entity=row.serial_number
                    )
                )

    def _doomed(self, held: list[HeldLine]) -> list[int]:
        """The ids of the lines of one phone that are to be removed."""
        doomed: list[int] = []
        user, uri = self._actions.remove_line_by_user_id, self._actions.remove_line_by_uri
        for line in held:
            if line.internal and line.user_id == user:
                doomed.append(line.id)
                break
        for line in held:
            if line.id not in doomed and line.uri == uri:
                doomed.append(line.id)
                break
        return doomed

    def apply(self) -> None:
        """Carry everything out, in the order of services.md §6."""
        work, ids, actions = self._work, self._ids, self._actions
        self._apply_columns()
        if self._doomed_lines:
            work.execute(lines.delete().where(among(lines.c.id, self._doomed_lines)))
        for row in self._new_lines:
            phone = each_of(id_array(ids), "phone")
            values = [
                phone,
                *(sa.literal(value, lines.c[name].type) for name, value in row.items()),
            ]
            work.execute(lines.insert().from_select(["phone_id", *row], sa.select(*values)))
        grouping.PHONE_GROUPS.apply(
            work,
            ids,
            replace=list(self._values["groups"]) if "groups" in self._values else None,
            add=actions.add_group,
            remove=actions.remove_group,
        )
        these = among(phones.c.id, ids)
        if actions.generate_profiles:
            queue_jobs(work.connection, jobs.PROFILES, these)
        if actions.restart:
            queue_jobs(work.connection, jobs.RESTART, these)

    def _apply_columns(self) -> None:
        """Store edited columns; each model has its own default version."""
        work, ids = self._work, self._ids
        row = column_values(self._values, phones)
        row.pop("serial_number", None)
        row.pop("model_id", None)
        if "device_version" in row and row["device_version"] is None:
            defaults = {model.model_id: model.default_version for model in MODELS.values()}
            row["device_version"] = sa.case(defaults, value=phones.c.model_id)
        if row:
            work.execute(phones.update().where(among(phones.c.id, ids)).values(row))
        for phone_id, columns in self._moves.items():
            work.execute(phones.update().where(phones.c.id == phone_id).values(columns))
        jobs.queue_removals(work.connection, [_files(old, moved=True) for old in self._moved])
