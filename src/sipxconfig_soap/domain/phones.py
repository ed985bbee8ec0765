"""Phones: what can be added and found (services.md §6)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import aggregate_order_by

from sipxconfig_soap import errors
from sipxconfig_soap.domain import grouping
from sipxconfig_soap.domain.lines import external_row, line_facts, lines_with_users, uri_of
from sipxconfig_soap.domain.phone_tables import lines, phones, serial_key
from sipxconfig_soap.domain.properties import (
    Names,
    Rule,
    Text,
    by_name,
    clean_all,
    column_values,
)
from sipxconfig_soap.domain.searches import VALUE, Finder, Matcher
from sipxconfig_soap.domain.tables import given
from sipxconfig_soap.domain.users import ids_by_field
from sipxconfig_soap.provisioning.models import (
    DEVICE_VERSIONS,
    MODELS,
    cleaned_serial,
    suggestions,
)
from sipxconfig_soap.values import is_blank

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from sipxconfig_soap.domain.searches import Criterion
    from sipxconfig_soap.domain.work import Query, Work
    from sipxconfig_soap.errors import Problem, Problems
    from sipxconfig_soap.provisioning.models import Model


class SerialNumber(NamedTuple):
    """A serial number as sent: what it must be like depends on the model."""

    name: str

    def clean(self, value: str | None, problems: Problems) -> str | None:
        """It must not be blank."""
        if value is None or is_blank(value):
            problems.add(errors.required(self.name))
            return None
        return value

    def parse(self, value: str | None, problems: Problems) -> str | None:
        """An edit's text is checked like any other."""
        return self.clean(value, problems)


def _unknown_model(field: str, sent: str) -> Problem:
    return errors.unknown_model(field, sent, suggestions(sent))


class ModelId(NamedTuple):
    """The id of a model of the table, which never changes."""

    name: str

    def clean(self, value: str | None, problems: Problems) -> str | None:
        """It must be in the table."""
        rule = Rule(MODELS.__contains__, _unknown_model)
        return Text(self.name, required=True, rule=rule).clean(value, problems)

    def parse(self, value: str | None, _problems: Problems) -> str:
        """An edit is compared with the stored one, whatever it says."""
        return value or ""


class Lines(NamedTuple):
    """The lines, which have elements of their own and are no text to be edited."""

    name: str

    def clean(self, _value: object, _problems: Problems) -> None:
        """Checked with the users they belong to."""

    def parse(self, value: str | None, problems: Problems) -> None:
        """Every edit is refused."""
        problems.add(errors.read_only_property(self.name, value))


PROPERTIES = by_name(
    SerialNumber("serialNumber"),
    ModelId("modelId"),
    Text("description"),
    Names("groups"),
    Lines("lines"),
    Text("deviceVersion", rule=Rule(DEVICE_VERSIONS.__contains__, errors.unknown_device_version)),
)


SEARCHES = {
    "bySerialNumber": Matcher(
        serial_key == VALUE, lambda value: {"value": cleaned_serial(value)}, unique=True
    ),
    "byGroup": grouping.PHONE_GROUPS.in_group(phones.c.id),
}


_HOLDERS = (
    sa.select(phones.c.id, phones.c.serial_number, phones.c.profile_file)
    .where(
        (serial_key == sa.any_(given("serial_number", sa.Text())))
        | (phones.c.profile_file == sa.any_(given("profile_file", sa.Text())))
    )
    .execution_options(prepared=True)
)


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
            properties of each line, by its place in the document. One with a registrationServer
            is an external line, as no addPhone has it but an import.

    Raises:
        Refused: required, tooLong, unknownModel, invalidSerialNumber, duplicateSerialNumber,
            unknownDeviceVersion, tooManyLines, unknownUser, invalidValue.
    """
    cleaned = clean_all(PROPERTIES, values, work.problems)
    row = column_values(cleaned, phones)
    line_rows = _line_rows(work, values["lines"])
    if (model := MODELS.get(cleaned["modelId"])) is not None:
        row["device_version"] = row["device_version"] or model.default_version
        if cleaned["serialNumber"] is not None:
            row |= _new_serial(work, model, cleaned["serialNumber"])
        count, limit = len(values["lines"]), model.max_lines_for(row["device_version"])
        if count > limit:
            work.problems.add(errors.too_many_lines("lines", count, limit, model.model_id))
    work.problems.check()
    phone_id: int = work.execute(phones.insert().returning(phones.c.id), row).scalar_one()
    if line_rows:
        work.execute(lines.insert(), [{"phone_id": phone_id, **row} for row in line_rows])
    grouping.PHONE_GROUPS.join(work, [phone_id], list(cleaned["groups"]))
    work.touch([row["serial_number"]])


def _line_rows(work: Work, sent: Mapping[int, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The columns of a new phone's lines in their order; what is wrong with them is noted."""
    external = {
        index: external_row(line, work.problems, f"lines[{index}].")
        for index, line in sent.items()
        if "registrationServer" in line
    }
    internal = {index: line["userId"] for index, line in sent.items() if index not in external}
    ids = ids_by_field(work, {f"lines[{index}].userId": user for index, user in internal.items()})
    none = dict.fromkeys(next(iter(external.values()), ()))
    return [
        {"user_id": ids.get(f"lines[{index}].userId"), **external.get(index, none)}
        for index in sent
    ]


def _new_serial(work: Work, model: Model, sent: str) -> dict[str, str]:
    """The columns of a new phone's serial number; what is wrong with it is noted."""
    columns = serial_columns(model, sent)
    if not columns:
        work.problems.add(errors.invalid_serial_number("serialNumber", sent, model.model_id))
    else:
        marks = marks_of(columns)
        if (problem := duplicate(sent, marks, holders(work, marks))) is not None:
            work.problems.add(problem)
    return columns


def serial_columns(model: Model, sent: str) -> dict[str, str]:
    """The columns that follow from a serial number; none when the model cannot have it."""
    cleaned = model.clean_serial(sent)
    if cleaned is None:
        return {}
    return {"serial_number": cleaned, "profile_file": model.profile_path(cleaned)}


def marks_of(columns: Mapping[str, str]) -> list[Mark]:
    """What no other phone may have: the cleaned serial number, then the file."""
    return [
        Mark(name, cleaned_serial(value) if name == "serial_number" else value)
        for name, value in columns.items()
    ]


class Mark(NamedTuple):
    """Something that no two phones have: a column and a text in it."""

    column: str
    value: str


class Holder(NamedTuple):
    """The phone that has a mark; its serial number is None while the same edit gives it one."""

    phone_id: int
    serial_number: str | None


def holders(work: Work, marks: Iterable[Mark]) -> dict[Mark, Holder]:
    """The phones that have these marks."""
    wanted = set(marks)
    values = {
        name: [value for each, value in wanted if each == name]
        for name in ("serial_number", "profile_file")
    }
    rows: Iterable[Any] = work.execute(_HOLDERS, values) if wanted else ()
    return {
        mark: Holder(phone_id, serial)
        for phone_id, serial, file in rows
        for mark in marks_of({"serial_number": serial, "profile_file": file})
        if mark in wanted
    }


def duplicate(
    sent: str,
    marks: Sequence[Mark],
    taken: Mapping[Mark, Holder],
    *,
    phone_id: int | None = None,
    entity: str | None = None,
) -> Problem | None:
    """What is wrong with a serial number when another phone has one of its marks, if one has.

    Args:
        sent: the serial number.
        marks: of it.
        taken: who has which.
        phone_id: of the phone that is to have it; None for a new one.
        entity: what a fault calls that phone.
    """
    for mark in marks:
        holder = taken.get(mark)
        if holder is None or holder.phone_id == phone_id:
            continue
        if holder.serial_number is None:
            owner = "another phone of the same edit"
            return errors.duplicate_serial_number("serialNumber", sent, owner, entity=entity)
        if mark.column == "profile_file":
            owner = holder.serial_number
            return errors.duplicate_profile_file("serialNumber", sent, owner, entity=entity)
        return errors.duplicate_serial_number("serialNumber", sent, entity=entity)
    return None


def find(query: Query, criterion: Criterion) -> Iterator[PhoneView]:
    """The phones that match, in the order of creation, their lines in order."""
    return _views(_FINDER.rows(query, criterion), query.rules.domain)


def _views(rows: Iterable[Any], domain: str) -> Iterator[PhoneView]:
    for row in rows:
        serial, model, description, groups, facts, version = row
        views = [LineView(each[0], uri_of(domain, *each)) for each in facts or ()]
        yield PhoneView(serial, model, description, groups, views, version)


def _statement() -> sa.Select[Any]:
    facts = sa.func.json_build_array(*line_facts())
    phone_lines = (
        sa.select(sa.func.json_agg(aggregate_order_by(facts, lines.c.id)))
        .select_from(lines_with_users)
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
