"""Branches, groups of users and phones, and who is in them (migration.md §3)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from sipxconfig_soap.domain.properties import Given, Text
from sipxconfig_soap.errors import Problems
from sipxconfig_soap.legacy import staging
from sipxconfig_soap.legacy.staging import Entry

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sipxconfig_soap.legacy.run import Run

BRANCHES = "branches"
USER_GROUPS, PHONE_GROUPS = "user groups", "phone groups"
MEMBERS = "memberships"

KINDS = {"user": USER_GROUPS, "phone": PHONE_GROUPS}
"""What the source calls the groups that have a place here."""

_NAME = Text("name", required=True, trimmed=True)


def stage(run: Run) -> None:
    """Take over branches and groups; groups in the order of their weight, the least first."""
    if "branch" in run.source.tables:
        branch = run.source.table("branch")
        wanted = sa.select(branch.c.branch_id, branch.c.name).order_by(branch.c.branch_id)
        run.staging.put(staging.branches, _named(run, BRANCHES, wanted))
    storage = run.source.table("group_storage")
    for resource, kind in KINDS.items():
        weight = sa.func.coalesce(storage.c.weight, 0)
        wanted = (
            sa.select(storage.c.group_id, storage.c.name)
            .where(storage.c.resource == resource)
            .order_by(weight, storage.c.group_id)
        )
        rows = enumerate(_named(run, kind, wanted))
        run.staging.put(
            staging.groups,
            ({**row, "kind": resource, "place": place, "there": False} for place, row in rows),
        )


def _named(run: Run, kind: str, wanted: sa.Select[Any]) -> Iterator[dict[str, Any]]:
    for row_id, name in run.read(kind, wanted):
        problems = Problems()
        entry = Entry(kind, row_id, name or "")
        sent = run.legible(entry, {"name": name}, "name")["name"]
        kept = _NAME.clean(sent, problems)
        if run.accepts(entry, problems, ["name"]):
            run.note_trimmed(entry, {Given("name", sent): kept or ""})
            yield {"id": row_id, "name": kept}


def stage_members(run: Run) -> None:
    """Take over who is in which group."""
    for resource in KINDS:
        member = run.source.table(f"{resource}_group")
        storage = run.source.table("group_storage")
        wanted = (
            sa.select(member.c[f"{resource}_id"], member.c.group_id)
            .join_from(member, storage, storage.c.group_id == member.c.group_id)
            .where(storage.c.resource == resource)
        )
        if resource == "user":
            users = run.source.table("users")
            wanted = wanted.join(users, users.c.user_id == member.c.user_id)
            wanted = wanted.where(is_person(run, users))
        rows = run.read(MEMBERS, wanted)
        run.staging.put(
            staging.members,
            ({"kind": resource, "entity": entity, "group_id": group} for entity, group in rows),
        )


def is_person(run: Run, users: sa.TableClause) -> sa.ColumnElement[bool]:
    """Whether a user of the source is a person; others log in for the system itself."""
    kind = run.source.column(users, "user_type")
    return sa.true() if isinstance(kind, sa.Label) else sa.or_(kind.is_(None), kind == "C")
