"""Editing, provisioning and deleting phones that are there (services.md §6)."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import sqlalchemy as sa

from sipxconfig_soap import errors
from sipxconfig_soap.domain import grouping, jobs
from sipxconfig_soap.domain.call_groups import user_ids
from sipxconfig_soap.domain.lines import INTERNAL_USER, LineFacts, external_row
from sipxconfig_soap.domain.phone_tables import lines, phones
from sipxconfig_soap.domain.phones import PROPERTIES, SEARCHES, line_facts, sharing
from sipxconfig_soap.domain.properties import column_values, named_edits, parse_edits
from sipxconfig_soap.domain.searches import Condition, condition
from sipxconfig_soap.domain.tables import among, each_of, id_array
from sipxconfig_soap.domain.users import users
from sipxconfig_soap.provisioning.models import MODELS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sipxconfig_soap.domain.properties import Edit
    from sipxconfig_soap.domain.searches import Criterion
    from sipxconfig_soap.domain.work import Work


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
    change = None if actions.delete else _Change(work, named, actions)
    matched = _lock(work, condition(criterion, SEARCHES, work.problems))
    if change is None:
        work.problems.check()
        delete(work, matched)
        return
    change.check(matched)
    work.problems.check()
    work.touch(row.serial_number for row in matched)
    if matched:
        change.apply([row.id for row in matched])


def _lock(work: Work, matching: Condition) -> Sequence[sa.Row[Any]]:
    """The matched phones, locked in the order of their ids."""
    return work.execute(
        sa.select(phones).where(matching.where).order_by(phones.c.id).with_for_update(),
        matching.parameters,
    ).all()


def delete(work: Work, matched: Sequence[sa.Row[Any]]) -> None:
    """Delete phones with their lines; the removal of their files is queued."""
    ids = [row.id for row in matched]
    work.touch(row.serial_number for row in matched)
    jobs.cancel(work, ids)
    jobs.queue_removals(work, [_files(row) for row in matched])
    work.execute(phones.delete().where(among(phones.c.id, ids)))


def delete_all(work: Work) -> None:
    """Delete every phone and every phone group."""
    delete(work, _lock(work, Condition(sa.true(), {})))
    work.execute(grouping.PHONE_GROUPS.groups.delete())


def _files(row: sa.Row[Any], *, moved: bool = False) -> jobs.Removal:
    """Which files of a phone are to be removed; a phone that only moves gets new ones."""
    paths = MODELS[row.model_id].profile_paths(row.serial_number)
    return jobs.Removal(row.serial_number, paths, row.id if moved else None)


class _HeldLine(NamedTuple):
    """A line that a phone has: its id, its user if it is internal, and what its uri is made of."""

    id: int
    user_id: int | None
    facts: LineFacts


class _Change:
    """What one managePhone changes on the phones that match."""

    def __init__(self, work: Work, edits: list[Edit], actions: Actions) -> None:
        """Check all that does not depend on the phones."""
        self._work = work
        self._actions = actions
        self._values = parse_edits(edits, PROPERTIES, work.problems)
        self._serial = _last_value(edits, "serialNumber")
        self._add_group = grouping.clean_name(work, "addGroup", actions.add_group)
        self._remove_group = grouping.clean_name(work, "removeGroup", actions.remove_group)
        self._remove_user = grouping.clean_name(
            work, "removeLineByUserId", actions.remove_line_by_user_id
        )
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
            name = INTERNAL_USER.clean(actions.add_line["userId"], work.problems, field)
            ids = user_ids(work, [name] if name else [])
            if name and name not in ids:
                work.problems.add(errors.unknown_user(field, name))
            rows.append({"user_id": ids.get(name or "")})
        if actions.add_external_line is not None:
            rows.append(external_row(work, actions.add_external_line))
        return rows

    def check(self, matched: Sequence[sa.Row[Any]]) -> None:
        """Note what each phone refuses."""
        if self._values.get("modelId"):
            self._check_models(matched)
        if self._values.get("serialNumber"):
            self._check_serials(matched)
        if self._touches_lines:
            self._check_lines(matched)

    @property
    def _touches_lines(self) -> bool:
        removals = (self._remove_user, self._actions.remove_line_by_uri)
        return any((*removals, self._new_lines, "deviceVersion" in self._values))

    def _check_models(self, matched: Sequence[sa.Row[Any]]) -> None:
        model_id = self._values["modelId"]
        for row in matched:
            if row.model_id != model_id:
                self._work.problems.add(
                    errors.read_only_property("modelId", model_id, entity=row.serial_number)
                )

    def _check_serials(self, matched: Sequence[sa.Row[Any]]) -> None:
        """Work out each phone's new serial number; two of them cannot have the same."""
        refuse = self._work.problems.add
        serial = self._serial or ""
        claimed: set[tuple[str, str]] = set()
        for row in matched:
            model = MODELS[row.model_id]
            cleaned = model.clean_serial(serial)
            entity = row.serial_number
            if cleaned is None:
                refuse(
                    errors.invalid_serial_number(
                        "serialNumber", serial, model.model_id, entity=entity
                    )
                )
                continue
            columns = {"serial_number": cleaned, "profile_file": model.profile_path(cleaned)}
            holders = self._work.execute(sharing(columns)).scalars().all()
            names = {("serial", cleaned), ("file", columns["profile_file"])}
            if any(holder != row.id for holder in holders) or names & claimed:
                refuse(errors.duplicate_serial_number("serialNumber", serial, entity=entity))
            claimed |= names
            if cleaned != row.serial_number:
                self._moves[row.id] = columns
                self._moved.append(row)

    def _check_lines(self, matched: Sequence[sa.Row[Any]]) -> None:
        """Find the lines to be removed, and count what is left and added."""
        held = self._lines_of([row.id for row in matched])
        adds = self._actions.add_line is not None or self._actions.add_external_line is not None
        for row in matched:
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

    def _lines_of(self, ids: Sequence[int]) -> dict[int, list[_HeldLine]]:
        """The lines of phones in their order, by phone."""
        held: dict[int, list[_HeldLine]] = defaultdict(list)
        rows: Iterable[Any] = self._work.execute(
            sa.select(lines.c.id, lines.c.phone_id, lines.c.user_id, *line_facts())
            .select_from(lines.outerjoin(users, users.c.id == lines.c.user_id))
            .where(among(lines.c.phone_id, ids))
            .order_by(lines.c.phone_id, lines.c.id)
        )
        for line_id, phone_id, user_id, *facts in rows:
            held[phone_id].append(_HeldLine(line_id, user_id, LineFacts(*facts)))
        return held

    def _doomed(self, held: list[_HeldLine]) -> list[int]:
        """The ids of the lines of one phone that are to be removed."""
        doomed: list[int] = []
        for line in held:
            if line.user_id is not None and line.facts.user_id == self._remove_user:
                doomed.append(line.id)
                break
        uri = self._actions.remove_line_by_uri
        for line in held:
            if line.id not in doomed and line.facts.uri(self._work.rules.domain) == uri:
                doomed.append(line.id)
                break
        return doomed

    def apply(self, ids: list[int]) -> None:
        """Carry everything out, in the order of services.md §6."""
        work = self._work
        self._apply_columns(ids)
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
            add=self._add_group,
            remove=self._remove_group,
        )
        these = sa.select(phones.c.id, phones.c.serial_number).where(among(phones.c.id, ids))
        if self._actions.generate_profiles:
            jobs.queue(work, jobs.PROFILES, these.order_by(phones.c.id))
        if self._actions.restart:
            jobs.queue(work, jobs.RESTART, these.order_by(phones.c.id))

    def _apply_columns(self, ids: list[int]) -> None:
        """Store edited columns; each model has its own default version."""
        work = self._work
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
        jobs.queue_removals(work, [_files(old, moved=True) for old in self._moved])


def _last_value(edits: Sequence[Edit], name: str) -> str | None:
    """The text of the last edit of a property, as it came."""
    values = [edit.value for edit in edits if edit.name == name]
    return values[-1] if values else None
