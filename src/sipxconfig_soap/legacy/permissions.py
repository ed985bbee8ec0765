"""Custom permissions, and the values that users and groups have (migration.md §2, §4)."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any, NamedTuple

import sqlalchemy as sa

from sipxconfig_soap import errors
from sipxconfig_soap.domain.permissions import PROPERTIES, permissions
from sipxconfig_soap.domain.properties import clean_all
from sipxconfig_soap.domain.tables import TEXT_LIMIT
from sipxconfig_soap.errors import Problems
from sipxconfig_soap.legacy import staging
from sipxconfig_soap.legacy.groups import is_person
from sipxconfig_soap.legacy.staging import Entry

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from sipxconfig_soap.legacy.run import Run

PERMISSIONS, VALUES = "custom permissions", "permission values"

PATH = "permission/"
"""What the paths of permission values begin with."""

_CUSTOM = "perm_"
_WORDS = {"ENABLE": True, "DISABLE": False}


class _Owners(NamedTuple):
    """Who has permission values: ``user`` or ``group``, their table, columns of it, and which."""

    kind: str
    table: sa.TableClause
    storage: sa.ColumnElement[int]
    id: sa.ColumnElement[int]
    name: sa.ColumnElement[str]
    counts: sa.ColumnElement[bool]


def stage(run: Run) -> None:
    """Take over custom permissions with their numbers, then the values of users and groups."""
    run.staging.put(staging.permissions, _permissions(run))
    built_in = sa.select(permissions.c.name).where(permissions.c.built_in)
    names = sa.union(built_in, sa.select(staging.permissions.c.name))
    known = set(run.staging.connection.execute(names).scalars())
    users, storage = run.source.table("users"), run.source.table("group_storage")
    for owners in (
        _Owners(
            *("user", users, users.c.value_storage_id, users.c.user_id, users.c.user_name),
            is_person(run, users),
        ),
        _Owners(
            *("group", storage, storage.c.group_id, storage.c.group_id, storage.c.name),
            storage.c.resource == "user",
        ),
    ):
        run.staging.put(staging.values, _values(run, owners, known))


def _permissions(run: Run) -> Iterator[dict[str, Any]]:
    known = run.staging.connection.execute(sa.select(permissions.c.name, permissions.c.label)).all()
    there = {row.name: row.label for row in known}
    labels = set(there.values())
    old = run.source.table("permission")
    wanted = sa.select(
        old.c.permission_id, old.c.label, old.c.description, old.c.default_value
    ).order_by(old.c.permission_id)
    for number, label, description, default in run.read(PERMISSIONS, wanted):
        name = f"{_CUSTOM}{number}"
        entry = Entry(PERMISSIONS, number, label or name)
        problems = Problems()
        sent = {"label": label, "description": description, "defaultValue": default}
        sent = run.legible(entry, sent, "label", "description")
        cleaned = clean_all(PROPERTIES, sent, problems)
        own = cleaned["label"]
        run.accepts(entry, problems, ())
        if name in there:
            if there[name] != own:
                run.staging.refuse(entry, errors.duplicate_permission("name", name))
                continue
            sentence = f"{name} is there already, with the same label, and stays as it is."
            run.staging.change(entry, "alreadyThere", "name", sentence)
        elif own is None or own in labels:
            own = _different(own, name, labels)
            sentence = f"label '{label or ''}' is blank or taken; it becomes '{own}'."
            run.staging.change(entry, "duplicatePermission", "label", sentence)
        labels.add(own)
        yield {
            "id": number,
            "name": name,
            "label": own,
            "description": cleaned["description"],
            "default_value": cleaned["defaultValue"],
            "there": name in there,
        }


def _different(label: str | None, name: str, labels: Collection[str]) -> str:
    """A label that no other permission has, made of its own one and the permission's name."""
    for number in count(1):
        more = name if number == 1 else f"{name}, {number}"
        made = more if label is None else f"{label[: TEXT_LIMIT - len(more) - 3]} ({more})"
        if made not in labels:
            break
    return made


def _values(run: Run, owners: _Owners, known: set[str]) -> Iterator[dict[str, Any]]:
    """Permission values; those of permissions that are not ``known``, by name, are counted."""
    value = run.source.table("setting_value")
    wanted = (
        sa.select(owners.id, owners.name, value.c.path, value.c.value)
        .join_from(owners.table, value, value.c.value_storage_id == owners.storage)
        .where(owners.counts, value.c.path.like(f"{PATH}%"))
        .order_by(owners.id, value.c.path)
    )
    before: tuple[int, set[str]] = (0, set())
    for owner, owner_name, path, word in run.read(VALUES, wanted):
        if owner != before[0]:
            before = owner, set()
        name = path.rpartition("/")[2]
        if name not in known:
            gone = "custom permissions that are gone" if name.startswith(_CUSTOM) else name
            run.staging.no_place[f"permission values of {gone}"] += 1
            run.staging.read[VALUES] -= 1
        elif word not in _WORDS:
            problem = errors.invalid_value(path, word or "", "is neither ENABLE nor DISABLE")
            run.staging.refuse(Entry(VALUES, owner, owner_name or ""), problem)
        elif name in before[1]:
            problem = errors.invalid_value(path, word, f"is a second value of {name}")
            run.staging.refuse(Entry(VALUES, owner, owner_name or ""), problem)
        else:
            before[1].add(name)
            yield {"kind": owners.kind, "owner": owner, "permission": name, "enabled": _WORDS[word]}
