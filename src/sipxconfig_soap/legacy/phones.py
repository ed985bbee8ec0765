"""Phones and their lines (migration.md §5, §6)."""

from __future__ import annotations

from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from sipxconfig_soap import errors
from sipxconfig_soap.domain.lines import external_row
from sipxconfig_soap.domain.phones import PROPERTIES, serial_columns
from sipxconfig_soap.domain.properties import clean_all, column_values
from sipxconfig_soap.errors import Problems
from sipxconfig_soap.legacy import staging
from sipxconfig_soap.legacy.external_lines import ALL_PATHS, properties_of
from sipxconfig_soap.legacy.staging import Entry
from sipxconfig_soap.provisioning.models import MODELS, renamed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sipxconfig_soap.legacy.run import Run

PHONES, LINES = "phones", "lines"

_FAMILIES = {
    "unmanagedPhone": "acmePhone",
    "ciscospaPhone": "linksysPhone",
    "yealinkPhone": "yealink",
}
"""What old releases called families of models."""

_FIRST_POLYCOM = "polycom2.0"
"""The version of a Polycom phone that says none: it is older than versions are."""

_INTERNAL = dict.fromkeys(
    ("external_user_id", "display_name", "password", "registration_server", "voice_mail")
)
"""What a line of a user has not."""


def stage(run: Run) -> None:
    """Take over phones, then the lines of users, then external lines."""
    run.staging.put(staging.phones, _phones(run))
    run.staging.put(staging.lines, _internal_lines(run))
    run.staging.put(staging.lines, _external_lines(run))


def model_of(model_id: str, bean_id: str | None) -> str:
    """The id that a model has here; the same one for a model that nobody knows.

    Old ids without a vendor may mean models of several; the plugin decides.
    """
    if model_id in MODELS:
        return model_id
    found = renamed(model_id)
    if len(found) > 1:
        family = _FAMILIES.get(bean_id or "", bean_id)
        found = tuple(each for each in found if MODELS[each].family == family)
    return found[0] if len(found) == 1 else model_id


def _phones(run: Run) -> Iterator[dict[str, Any]]:
    old = run.source.table("phone")
    names = ("phone_id", "serial_number", "model_id", "description")
    optional = ("bean_id", "device_version_id")
    columns = (*(old.c[name] for name in names), *(run.source.column(old, n) for n in optional))
    for row in run.read(PHONES, sa.select(*columns).order_by(old.c.phone_id)):
        entry = Entry(PHONES, row.phone_id, row.serial_number)
        model_id = model_of(row.model_id or "", row.bean_id)
        if model_id != (row.model_id or ""):
            sentence = f"modelId '{row.model_id}' is called '{model_id}' now."
            run.staging.change(entry, "renamedModel", "modelId", sentence)
        made = _phone(run, entry, row, model_id)
        if made is not None:
            yield made | {"id": row.phone_id}


def _phone(run: Run, entry: Entry, row: sa.Row[Any], model_id: str) -> dict[str, Any] | None:
    """The columns of a phone; None when it is refused."""
    problems = Problems()
    version, model = row.device_version_id or None, MODELS.get(model_id)
    sent = {
        "serialNumber": row.serial_number,
        "modelId": model_id,
        "groups": (),
        "lines": None,
        "description": row.description,
        "deviceVersion": version,
    }
    cleaned = clean_all(PROPERTIES, run.legible(entry, sent, "description"), problems)
    serial: dict[str, str] = {}
    if model is not None and cleaned["serialNumber"] is not None:
        serial = serial_columns(model, cleaned["serialNumber"])
        if not serial:
            problems.add(errors.invalid_serial_number("serialNumber", row.serial_number, model_id))
    if not run.accepts(entry, problems, ["serialNumber", "modelId"]) or model is None:
        return None
    kept = cleaned["deviceVersion"]
    if kept is None:
        kept = model.default_version
        if version is None and model.family == "polycom":
            kept = _FIRST_POLYCOM
        if kept is not None:
            sentence = f"There is no deviceVersion that is known: it becomes '{kept}'."
            run.staging.change(entry, "defaultVersion", "deviceVersion", sentence)
    made = column_values(cleaned, staging.phones) | serial
    return made | {"device_version": kept, "max_lines": model.max_lines_for(kept)}


def _internal_lines(run: Run) -> Iterator[dict[str, Any]]:
    line, phone = run.source.table("line"), run.source.table("phone")
    users = run.source.table("users")
    wanted = (
        sa.select(
            *(line.c.line_id, line.c.phone_id, line.c.position, line.c.user_id),
            *(phone.c.serial_number, users.c.user_name),
        )
        .join_from(line, phone, phone.c.phone_id == line.c.phone_id)
        .outerjoin(users, users.c.user_id == line.c.user_id)
        .where(line.c.user_id.is_not(None))
        .order_by(line.c.line_id)
    )
    for row in run.read(LINES, wanted):
        yield {
            "id": row.line_id,
            "phone": row.phone_id,
            "position": row.position,
            "user_id": row.user_id,
            "user_name": row.user_name or f"number {row.user_id}",
            "entity": row.serial_number,
            **_INTERNAL,
        }


def _external_lines(run: Run) -> Iterator[dict[str, Any]]:
    line, phone = run.source.table("line"), run.source.table("phone")
    value = run.source.table("setting_value")
    lines = (
        sa.select(
            *(line.c.line_id, line.c.phone_id, line.c.position, line.c.value_storage_id),
            *(phone.c.serial_number, phone.c.model_id, run.source.column(phone, "bean_id")),
            phone.c.value_storage_id.label("phone_storage_id"),
        )
        .join_from(line, phone, phone.c.phone_id == line.c.phone_id)
        .where(line.c.user_id.is_(None))
        .subquery("lines")
    )
    total = run.source.count(sa.select(lines))
    run.staging.read[LINES] += total
    of_line = sa.and_(
        value.c.value_storage_id.in_([lines.c.value_storage_id, lines.c.phone_storage_id]),
        value.c.path.in_(ALL_PATHS),
    )
    # Both, where a line has the same settings as its phone.
    own = value.c.value_storage_id == lines.c.value_storage_id
    of_phone = value.c.value_storage_id == lines.c.phone_storage_id
    wanted = (
        sa.select(lines, value.c.path, value.c.value, own.label("own"), of_phone.label("of_phone"))
        .join_from(lines, value, of_line, isouter=True)
        .order_by(lines.c.line_id)
    )
    grouped = groupby(run.source.rows(wanted), attrgetter("line_id"))
    tracked = run.progress.track(grouped, "Reading external lines", total)
    for line_id, rows in tracked:
        made = _external_line(run, line_id, list(rows))
        if made is not None:
            yield made


def _external_line(run: Run, line_id: int, rows: list[sa.Row[Any]]) -> dict[str, Any] | None:
    """The columns of an external line from its settings; None when it or its phone is refused."""
    first = rows[0]
    model = MODELS.get(model_of(first.model_id or "", first.bean_id))
    if model is None:
        return None
    of_line = {row.path: row.value for row in rows if row.own}
    of_phone = {row.path: row.value for row in rows if row.of_phone}
    problems = Problems()
    entry = Entry(LINES, line_id, first.serial_number)
    sent = properties_of(model.family, of_line, of_phone)
    sent = run.legible(entry, sent, "displayName", "password", "voiceMail")
    made = external_row(sent, problems)
    if not run.accepts(entry, problems, ["userId", "registrationServer"]):
        return None
    return {
        "id": line_id,
        "phone": first.phone_id,
        "position": first.position,
        "user_id": None,
        "user_name": None,
        "entity": first.serial_number,
        **made,
    }
