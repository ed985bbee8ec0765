"""What can be said of rows only beside others, and beside what the target has (migration.md §9)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from sipxconfig_soap import errors
from sipxconfig_soap.domain import phone_tables
from sipxconfig_soap.domain.accounts import ADMINISTRATORS
from sipxconfig_soap.domain.permissions import SUPERADMIN
from sipxconfig_soap.domain.tables import among
from sipxconfig_soap.legacy import names, staging
from sipxconfig_soap.legacy.groups import KINDS
from sipxconfig_soap.legacy.staging import Entry
from sipxconfig_soap.legacy.target import GROUPINGS
from sipxconfig_soap.provisioning.models import cleaned_serial

if TYPE_CHECKING:
    from collections.abc import Callable

    from sipxconfig_soap.errors import Problem
    from sipxconfig_soap.legacy.run import Run
    from sipxconfig_soap.legacy.target import Target

_SERIAL = sa.func.lower(staging.phones.c.serial_number)


def settle(run: Run, target: Target) -> None:
    """Refuse what is in the way of something else, and what belongs to refused rows."""
    run.staging.analyze()
    # The aliases of users who are refused by themselves are in nobody's way.
    nobodys = ~sa.exists().where(staging.users.c.id == staging.names.c.id)
    _drop(run, staging.names, staging.names.c.owner == "user_id", nobodys)
    comes = staging.users.c.user_name == SUPERADMIN
    replaces = target.empty and run.staging.count(staging.users, comes) > 0
    names.settle(run, target.superadmin if replaces else None)
    _settle_groups(run, target)
    for mine, theirs in (
        (_SERIAL, phone_tables.serial_key),
        (staging.phones.c.profile_file, phone_tables.phones.c.profile_file),
    ):
        _refuse(run, staging.phones, _taken_twice(mine), _duplicate)
        _refuse(run, staging.phones, _taken_there(mine, theirs), _duplicate)
    _orphans(run)
    _refuse(run, staging.lines, _lines_beyond(), _too_many)
    run.staging.flush()
    changed, refused = staging.findings.alias("changed"), staging.findings.alias("refused")
    in_vain = sa.exists().where(
        *(refused.c[name] == changed.c[name] for name in ("kind", "id")),
        refused.c.verdict == staging.REFUSED,
    )
    gone = sa.select(changed.c.number).where(
        changed.c.verdict == staging.CHANGED,
        # All aliases of a user have the same number; of the others it is their own.
        changed.c.kind != "aliases",
        in_vain,
    )
    number = staging.findings.c.number
    run.staging.connection.execute(staging.findings.delete().where(number.in_(gone)))


def _settle_groups(run: Run, target: Target) -> None:
    """Who comes along enters a group that is there; its permission values stay as they are."""
    mine, values = staging.groups, staging.values
    for resource, grouped in GROUPINGS.items():
        there = mine.c.name.in_(sa.select(grouped.groups.c.name))
        wanted = sa.select(mine.c.id, mine.c.name).where(mine.c.kind == resource, there)
        for row in run.staging.connection.execute(wanted.order_by(mine.c.place)).all():
            if target.empty and row.name == ADMINISTRATORS:
                continue
            entry = Entry(KINDS[resource], row.id, row.name)
            sentence = f"'{row.name}' is there already: it gets members, and stays as it is."
            run.staging.change(entry, "alreadyThere", "name", sentence)
            run.staging.connection.execute(
                mine.update().where(mine.c.id == row.id), {"there": True}
            )
            if resource == "user":
                _drop(run, values, values.c.kind == "group", values.c.owner == row.id)


def _taken_twice(mark: sa.ColumnElement[str]) -> sa.Select[Any]:
    """The phones but the first of those that have the same mark, each with that one's number."""
    phones = staging.phones
    serial, order = phones.c.serial_number, phones.c.id
    owner = sa.func.first_value(serial).over(partition_by=mark, order_by=order).label("owner")
    nth = sa.func.row_number().over(partition_by=mark, order_by=order).label("nth")
    counted = sa.select(phones.c.id, serial, owner, nth).subquery()
    return sa.select(counted).where(counted.c.nth > 1)


def _taken_there(mine: sa.ColumnElement[str], theirs: sa.ColumnElement[str]) -> sa.Select[Any]:
    """The phones that have a mark of one in the target, each with that one's number."""
    phones, there = staging.phones, phone_tables.phones
    columns = phones.c.id, phones.c.serial_number, there.c.serial_number.label("owner")
    return sa.select(*columns).join_from(phones, there, mine == theirs)


def _duplicate(row: sa.Row[Any]) -> tuple[Entry, Problem]:
    serial, owner = row.serial_number, row.owner
    if cleaned_serial(serial) == cleaned_serial(owner):
        problem = errors.duplicate_serial_number("serialNumber", serial)
    else:
        problem = errors.duplicate_profile_file("serialNumber", serial, owner)
    return Entry("phones", row.id, serial), problem


def _lines_beyond() -> sa.Select[Any]:
    """The lines that a phone has beyond those of its model."""
    lines, phones = staging.lines, staging.phones
    in_order = (lines.c.position.asc().nulls_last(), lines.c.id)
    nth = sa.func.row_number().over(partition_by=lines.c.phone, order_by=in_order).label("nth")
    counted = (
        sa.select(lines.c.id, lines.c.entity, nth, phones.c.max_lines, phones.c.model_id)
        .join_from(lines, phones, phones.c.id == lines.c.phone)
        .subquery()
    )
    return sa.select(counted).where(counted.c.nth > counted.c.max_lines)


def _too_many(row: sa.Row[Any]) -> tuple[Entry, Problem]:
    problem = errors.too_many_lines("lines", row.nth, row.max_lines, row.model_id)
    return Entry("lines", row.id, row.entity), problem


def _refuse(
    run: Run,
    table: sa.Table,
    wanted: sa.Select[Any],
    explain: Callable[[sa.Row[Any]], tuple[Entry, Problem]],
) -> None:
    """Note rows as refused, and take them away."""
    for piece in run.staging.rows(wanted.order_by("id")):
        for row in piece:
            run.staging.refuse(*explain(row))
        gone = table.delete().where(among(table.c.id, [row.id for row in piece]))
        run.staging.connection.execute(gone)


def _orphans(run: Run) -> None:
    """Take away what belongs to refused rows; rings and lines of refused users are noted."""
    rings, lines, users = staging.rings, staging.lines, staging.users
    members, values, groups = staging.members, staging.values, staging.groups
    for table, owner in ((rings, rings.c.call_group), (lines, lines.c.phone)):
        owners = staging.call_groups if table is rings else staging.phones
        _drop(run, table, ~sa.exists().where(owners.c.id == owner))
    for kind, table in {"rings": rings, "lines": lines}.items():
        unknown = sa.select(table.c.id, table.c.entity, table.c.user_name).where(
            table.c.user_id.is_not(None), ~sa.exists().where(users.c.id == table.c.user_id)
        )

        def explain(row: sa.Row[Any], kind: str = kind) -> tuple[Entry, Problem]:
            return Entry(kind, row.id, row.entity), errors.unknown_user("userName", row.user_name)

        _refuse(run, table, unknown, explain)
    branch_gone = users.c.branch.is_not(None) & ~sa.exists().where(
        staging.branches.c.id == users.c.branch
    )
    for piece in run.staging.rows(sa.select(users.c.id, users.c.user_name).where(branch_gone)):
        for row in piece:
            sentence = "The branch is not taken over: there will be none."
            entry = Entry("users", row.id, row.user_name)
            run.staging.change(entry, "noBranch", "branchName", sentence)
    for kind, entities in {"user": users, "phone": staging.phones}.items():
        entity = sa.exists().where(entities.c.id == members.c.entity)
        group = sa.exists().where(groups.c.id == members.c.group_id)
        _drop(run, members, members.c.kind == kind, ~sa.and_(entity, group))
    for kind, owners in {"user": users, "group": groups}.items():
        owner_there = sa.exists().where(owners.c.id == values.c.owner)
        _drop(run, values, values.c.kind == kind, ~owner_there)


def _drop(run: Run, table: sa.Table, *where: sa.ColumnElement[bool]) -> None:
    """Take rows away that need not be noted: what they belong to is."""
    run.staging.connection.execute(table.delete().where(*where))
