"""Permissions: what users may do (services.md §2), and which ones a user effectively has (§3)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from sipxconfig_soap import errors
from sipxconfig_soap.domain.properties import (
    Flag,
    Ignored,
    Text,
    by_name,
    clean_all,
    column_values,
    named_edits,
    parse_edits,
)
from sipxconfig_soap.domain.searches import Finder, condition, exactly, literally
from sipxconfig_soap.domain.tables import among, identity, metadata, one_of, text, text_array

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sipxconfig_soap.domain.properties import Edit
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


_FINDER = Finder(sa.select(permissions).order_by(permissions.c.name), SEARCHES)


def add(work: Work, values: Mapping[str, Any]) -> None:
    """Add a custom permission of type CALL, named by the next number.

    Raises:
        Refused: required, tooLong, duplicatePermission.
    """
    cleaned = clean_all(PROPERTIES, values, work.problems)
    _check_label(work, cleaned["label"])
    work.problems.check()
    name = sa.literal("perm_").concat(sa.cast(numbers.next_value(), sa.String))
    row = column_values(cleaned, permissions) | {"name": name, "type": CALL, "built_in": False}
    work.touch(
        work.execute(permissions.insert().values(row).returning(permissions.c.name)).scalars()
    )


def find(query: Query, criterion: Criterion) -> Iterator[Any]:
    """The permissions that match, by name."""
    return _FINDER.rows(query, criterion)


def manage(work: Work, criterion: Criterion, edits: Sequence[Edit], *, delete: bool) -> None:
    """Edit or delete the custom permissions that match; built-in ones are passed over.

    Raises:
        Refused: unknownProperty, required, tooLong, invalidValue, duplicatePermission.
    """
    named = named_edits(edits, PROPERTIES, "Permission", work.problems)
    cleaned = {} if delete else parse_edits(named, PROPERTIES, work.problems)
    found = condition(criterion, SEARCHES, work.problems)
    matched = work.execute(
        sa.select(permissions.c.id, permissions.c.name, permissions.c.label)
        .where(found.where, ~permissions.c.built_in)
        .order_by(permissions.c.id)
        .with_for_update(),
        found.parameters,
    ).all()
    if cleaned.get("label"):
        for row in matched:
            # Of several permissions that are to get one label, the first could have it.
            taken = row is not matched[0]
            _check_label(work, cleaned["label"], of=row, taken=taken)
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


def _check_label(
    work: Work, label: str | None, *, of: sa.Row[Any] | None = None, taken: bool = False
) -> None:
    """Note a problem when another permission has the label."""
    if label is None:
        return
    others = sa.select(permissions.c.id).where(permissions.c.label == label)
    if of is not None:
        others = others.where(permissions.c.id != of.id)
    if taken or work.execute(others).first() is not None:
        entity = None if of is None else of.name
        work.problems.add(errors.duplicate_permission("label", label, entity=entity))


def ids_by_name(work: Work, fields: Mapping[str, str]) -> list[int]:
    """The ids of permissions by where each name was given; unknown ones are noted as problems."""
    if not fields:
        return []
    wanted = permissions.c.name == sa.any_(text_array(list(fields)))
    found = work.execute(sa.select(permissions.c.name, permissions.c.id).where(wanted))
    known = {row.name: row.id for row in found}
    for name, field in fields.items():
        if name not in known:
            work.problems.add(errors.unknown_permission(field, name))
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
