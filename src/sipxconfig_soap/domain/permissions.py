"""Permissions: what users may do (services.md §2), and which ones a user effectively has (§3)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import sqlalchemy as sa

from sipxconfig_soap import errors
from sipxconfig_soap.domain.properties import (
    Flag,
    Ignored,
    Text,
    by_name,
    clean_all,
    column_values,
    last_values,
    named_edits,
    parse_all,
)
from sipxconfig_soap.domain.searches import Finder, condition, exactly, literally
from sipxconfig_soap.domain.tables import among, given, identity, metadata, one_of, text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from sipxconfig_soap.domain.properties import Edit, Given
    from sipxconfig_soap.domain.searches import Criterion
    from sipxconfig_soap.domain.work import Query, Work

SUPERADMIN = "superadmin"
"""The permission to configure the system, and the name of the user who always has it."""

CALL, VOICEMAIL_SERVER, APPLICATION = "CALL", "VOICEMAIL_SERVER", "APPLICATION"

BUILT_IN = (
    ("900Dialing", CALL, False),
    ("AutoAttendant", CALL, False),
    ("ExchangeUMVoicemailServer", VOICEMAIL_SERVER, False),
    ("FreeswitchVoicemailServer", VOICEMAIL_SERVER, True),
    ("InternationalDialing", CALL, True),
    ("LocalDialing", CALL, True),
    ("LongDistanceDialing", CALL, True),
    ("Mobile", CALL, True),
    ("RecordSystemPrompts", CALL, False),
    ("TollFree", CALL, True),
    ("Voicemail", CALL, True),
    ("dbauth-only", APPLICATION, False),
    ("group-music-on-hold", APPLICATION, False),
    ("music-on-hold", APPLICATION, True),
    ("personal-auto-attendant", APPLICATION, True),
    ("subscribe-to-presence", APPLICATION, True),
    (SUPERADMIN, APPLICATION, False),
    ("tui-change-pin", APPLICATION, True),
)
"""Name, type and default of the permissions that every system has."""

PROPERTIES = by_name(
    Ignored("name"),
    Text("label", required=True),
    Text("description"),
    Flag("defaultValue"),
    Ignored("type"),
    Ignored("builtIn"),
)

permissions = sa.Table(
    "permissions",
    metadata,
    identity(),
    text("name", nullable=False),
    *(each.column() for each in PROPERTIES.values() if isinstance(each, Text | Flag)),
    text("type", nullable=False),
    sa.Column("built_in", sa.Boolean, nullable=False),
    sa.UniqueConstraint("name"),
    # Labels of built-in permissions are their names, so this keeps custom labels off those too.
    sa.UniqueConstraint("label"),
    one_of("type", (CALL, VOICEMAIL_SERVER, APPLICATION), "type"),
)

numbers = sa.Sequence("permission_numbers", metadata=metadata)
"""Numbers of custom permissions, never used twice."""

SEARCHES = {"byName": exactly(permissions.c.name), "byLabel": literally(permissions.c.label)}


class PermissionView(NamedTuple):
    """A permission as findPermission shows it."""

    name: str
    label: str
    description: str | None
    default_value: bool
    type: str
    built_in: bool


_FINDER = Finder(
    sa.select(*(permissions.c[name] for name in PermissionView._fields)).order_by(
        permissions.c.name
    ),
    SEARCHES,
)


def add(work: Work, values: Mapping[str, Any]) -> None:
    """Add a custom permission of type CALL, named by the next number.

    Raises:
        Refused: required, tooLong, duplicatePermission.
    """
    cleaned = clean_all(PROPERTIES, values, work.problems)
    label = cleaned["label"]
    if label is not None and _holder(work, label) is not None:
        work.problems.add(errors.duplicate_permission("label", label))
    work.problems.check()
    name = sa.literal("perm_").concat(sa.cast(numbers.next_value(), sa.String))
    row = column_values(cleaned, permissions) | {"name": name, "type": CALL, "built_in": False}
    work.touch(
        work.execute(permissions.insert().values(row).returning(permissions.c.name)).scalars()
    )


def find(query: Query, criterion: Criterion) -> Iterator[PermissionView]:
    """The permissions that match, by name."""
    return map(PermissionView._make, _FINDER.rows(query, criterion))


def manage(work: Work, criterion: Criterion, edits: Sequence[Edit], *, delete: bool) -> None:
    """Edit or delete the custom permissions that match; built-in ones are passed over.

    Raises:
        Refused: unknownProperty, required, tooLong, invalidValue, duplicatePermission.
    """
    named = named_edits(edits, PROPERTIES, "Permission", work.problems)
    cleaned = {} if delete else parse_all(PROPERTIES, last_values(named), work.problems)
    found = condition(criterion, SEARCHES, work.problems)
    matched = work.execute(
        sa.select(permissions.c.id, permissions.c.name, permissions.c.label)
        .where(found.where, ~permissions.c.built_in)
        .order_by(permissions.c.id)
        .with_for_update(),
        found.parameters,
    ).all()
    if matched and cleaned.get("label") is not None:
        _check_label(work, cleaned["label"], matched)
    work.problems.check()
    work.touch(row.name for row in matched)
    these = among(permissions.c.id, [row.id for row in matched])
    changes = column_values(cleaned, permissions)
    if delete:
        work.execute(permissions.delete().where(these))
    elif changes and matched:
        work.execute(permissions.update().where(these).values(changes))


def delete_custom(work: Work) -> None:
    """Delete all custom permissions, and what users and groups hold of them."""
    gone = permissions.delete().where(~permissions.c.built_in).returning(permissions.c.name)
    work.touch(work.execute(gone).scalars())


def _holder(work: Work, label: str) -> int | None:
    """The id of the permission that has this label, built-in or custom."""
    return work.execute(sa.select(permissions.c.id).where(permissions.c.label == label)).scalar()


def _check_label(work: Work, label: str, matched: Sequence[sa.Row[Any]]) -> None:
    """Note every permission that cannot have the label: who has it keeps it, else the first."""
    holder = _holder(work, label)
    free_for = matched[0].id if holder is None else holder
    for row in matched:
        if row.id != free_for:
            work.problems.add(errors.duplicate_permission("label", label, entity=row.name))


_IDS = (
    sa.select(permissions.c.name, permissions.c.id)
    .where(permissions.c.name == sa.any_(given("names", sa.Text())))
    .execution_options(prepared=True)
)


def ids_by_name(work: Work, named: Mapping[str, Given]) -> list[int]:
    """The ids of permissions by where each name was given; unknown ones are noted as problems."""
    if not named:
        return []
    rows: Iterable[Any] = work.execute(_IDS, {"names": list(named)})
    known = {row.name: row.id for row in rows}
    for name, where in named.items():
        if name not in known:
            work.problems.add(errors.unknown_permission(*where))
    return list(known.values())


def ensure_built_in(connection: sa.Connection) -> None:
    """Create the built-in permissions that are missing."""
    known = set(connection.execute(sa.select(permissions.c.name)).scalars())
    rows = [
        {"name": name, "label": name, "type": kind, "default_value": default, "built_in": True}
        for name, kind, default in BUILT_IN
        if name not in known
    ]
    if rows:
        connection.execute(permissions.insert(), rows)
