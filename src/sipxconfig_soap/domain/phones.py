"""Phones: what can be added and found (services.md §6)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import aggregate_order_by

from sipxconfig_soap import errors
from sipxconfig_soap.domain import grouping
from sipxconfig_soap.domain.call_groups import user_ids
from sipxconfig_soap.domain.lines import INTERNAL_USER, LineFacts
from sipxconfig_soap.domain.phone_tables import lines, phones
from sipxconfig_soap.domain.properties import Names, Text, by_name, clean_all, column_values
from sipxconfig_soap.domain.searches import VALUE, Finder, Matcher
from sipxconfig_soap.domain.users import users
from sipxconfig_soap.provisioning.models import DEVICE_VERSIONS, MODELS, clean_search

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sipxconfig_soap.domain.searches import Criterion
    from sipxconfig_soap.domain.work import Query, Work
    from sipxconfig_soap.errors import Problem, Problems
    from sipxconfig_soap.provisioning.models import Model


def _check_version(field: str, value: str) -> Problem | None:
    return None if value in DEVICE_VERSIONS else errors.unknown_device_version(field, value)


def _check_model(field: str, value: str) -> Problem | None:
    return None if value in MODELS else errors.unknown_model(field, value)


class ReadOnly(NamedTuple):
    """A property that no edit changes."""

    name: str

    def clean(self, _value: object, _problems: Problems) -> None:
        """Not part of what is added through the table of properties."""

    def parse(self, value: str | None, problems: Problems) -> None:
        """Every edit is refused."""
        problems.add(errors.read_only_property(self.name, value))


PROPERTIES = by_name(
    Text("serialNumber", required=True, trimmed=True),
    Text("modelId", required=True, check=_check_model),
    Text("description"),
    Names("groups"),
    ReadOnly("lines"),
    Text("deviceVersion", check=_check_version),
)


def _by_serial_number() -> Matcher:
    """Matches a serial number as it was sent, else in the form in which MAC addresses are kept."""
    other = phones.alias("other")
    as_sent = sa.exists().where(other.c.serial_number == VALUE)
    cleaned = sa.bindparam("cleaned", type_=sa.Text)
    return Matcher(
        (phones.c.serial_number == VALUE) | ((phones.c.serial_number == cleaned) & ~as_sent),
        _serial_forms,
        unique=True,
    )


def _serial_forms(value: str) -> dict[str, str]:
    forms = clean_search(value)
    return {"value": forms[0], "cleaned": forms[-1]}


SEARCHES = {
    "bySerialNumber": _by_serial_number(),
    "byGroup": grouping.PHONE_GROUPS.in_group(phones.c.id),
}


class LineView(NamedTuple):
    """A line as findPhone shows it."""

    user_id: str
    uri: str


class PhoneView(NamedTuple):
    """A phone as findPhone shows it."""

    serial_number: str
    model_id: str
    description: str | None
    groups: Sequence[str] | None
    lines: list[LineView]
    device_version: str | None


def add(work: Work, values: Mapping[str, Any]) -> None:
    """Add a phone.

    Args:
        work: the operation.
        values: the properties, by their names in the contract; ``lines`` has the
            properties of each line, by its place in the document.

    Raises:
        Refused: required, tooLong, unknownModel, invalidSerialNumber, duplicateSerialNumber,
            unknownDeviceVersion, tooManyLines, unknownUser.
    """
    cleaned = clean_all(PROPERTIES, values, work.problems)
    model = MODELS.get(cleaned["modelId"])
    row = column_values(cleaned, phones)
    line_users = _line_users(work, values["lines"])
    if model is not None:
        row["device_version"] = row["device_version"] or model.default_version
        if row["serial_number"] is not None:
            row |= serial_columns(work, model, values["serialNumber"])
        limit = model.max_lines_for(row["device_version"])
        if len(line_users) > limit:
            count = len(line_users)
            work.problems.add(errors.too_many_lines("lines", count, limit, model.model_id))
    work.problems.check()
    phone_id = work.execute(phones.insert().values(row).returning(phones.c.id)).scalar_one()
    if line_users:
        work.execute(
            lines.insert(), [{"phone_id": phone_id, "user_id": user} for user in line_users]
        )
    grouping.PHONE_GROUPS.join(work, [phone_id], list(cleaned["groups"]))
    work.touch([row["serial_number"]])


def _line_users(work: Work, line_values: Mapping[int, Mapping[str, Any]]) -> list[int]:
    """The ids of the users of new lines."""
    names = {
        field: INTERNAL_USER.clean(line["userId"], work.problems, field)
        for field, line in ((f"lines[{index}].userId", line) for index, line in line_values.items())
    }
    ids = user_ids(work, [name for name in names.values() if name])
    for field, name in names.items():
        if name and name not in ids:
            work.problems.add(errors.unknown_user(field, name))
    return [ids[name] for name in names.values() if name in ids]


def serial_columns(work: Work, model: Model, serial: str) -> dict[str, str]:
    """The columns of a new phone's serial number; what is wrong with it is noted."""
    cleaned = model.clean_serial(serial)
    if cleaned is None:
        work.problems.add(errors.invalid_serial_number("serialNumber", serial, model.model_id))
        return {}
    columns = {"serial_number": cleaned, "profile_file": model.profile_path(cleaned)}
    if work.execute(sharing(columns)).first() is not None:
        work.problems.add(errors.duplicate_serial_number("serialNumber", serial))
    return columns


def sharing(columns: Mapping[str, str]) -> sa.Select[Any]:
    """Selects the ids of phones with this serial number or this profile file."""
    return sa.select(phones.c.id).where(
        (phones.c.serial_number == columns["serial_number"])
        | (phones.c.profile_file == columns["profile_file"])
    )


def find(query: Query, criterion: Criterion) -> Iterator[PhoneView]:
    """The phones that match, in the order of creation, their lines in order."""
    domain = query.rules.domain
    for row in _FINDER.rows(query, criterion):
        serial, model, description, groups, facts, version = row
        views = [
            LineView(line.user_id, line.uri(domain))
            for line in (LineFacts(*f) for f in facts or ())
        ]
        yield PhoneView(serial, model, description, groups, views, version)


def line_facts() -> tuple[sa.ColumnElement[Any], ...]:
    """The columns of `LineFacts`, from lines outer joined to users."""
    return (
        sa.func.coalesce(users.c.user_name, lines.c.external_user_id),
        users.c.first_name,
        sa.func.coalesce(users.c.last_name, lines.c.display_name),
        lines.c.registration_server,
    )


def _statement() -> sa.Select[Any]:
    facts = sa.func.json_build_array(*line_facts())
    phone_lines = (
        sa.select(sa.func.json_agg(aggregate_order_by(facts, lines.c.id)))
        .select_from(lines.outerjoin(users, users.c.id == lines.c.user_id))
        .where(lines.c.phone_id == phones.c.id)
        .scalar_subquery()
    )
    groups = grouping.PHONE_GROUPS.of_entity(phones.c.id)
    return (
        sa.select(
            phones.c.serial_number,
            phones.c.model_id,
            phones.c.description,
            groups.c.names,
            phone_lines,
            phones.c.device_version,
        )
        .select_from(phones.join(groups, sa.true()))
        .order_by(phones.c.id)
    )


_FINDER = Finder(_statement(), SEARCHES)
