"""Call groups, also called hunt groups: a number that rings several users (services.md §4)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import aggregate_order_by

from sipxconfig_soap import errors
from sipxconfig_soap.domain import extensions
from sipxconfig_soap.domain.properties import Flag, Rule, Text, by_name, clean_all, column_values
from sipxconfig_soap.domain.searches import Finder
from sipxconfig_soap.domain.tables import identity, metadata, one_of, owned_by, text
from sipxconfig_soap.domain.users import ids_by_field, users

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from sipxconfig_soap.domain.work import Query, Work
    from sipxconfig_soap.errors import Problems

DELAYED, IMMEDIATE = "delayed", "immediate"
"""A ring starts after the one before it, or together with it."""

PROPERTIES = by_name(
    Text("name", required=True, trimmed=True),
    Text("extension", trimmed=True),
    Text("description"),
    Flag("enabled"),
)

call_groups = extensions.table("call_groups", PROPERTIES)


class _Seconds(NamedTuple):
    """A number of seconds, 0 or more; absent is 0."""

    name: str

    def clean(self, value: int | None, problems: Problems, field: str) -> int:
        if value is not None and value < 0:
            problems.add(errors.invalid_value(field, str(value), "is not 0 or more seconds"))
        return value or 0


_TYPE = Text(
    "type", required=True, rule=Rule((DELAYED, IMMEDIATE).__contains__, errors.unknown_ring_type)
)
_EXPIRATION = _Seconds("expiration")

rings = sa.Table(
    "rings",
    metadata,
    identity(),
    owned_by("call_group_id", "call_groups.id"),
    owned_by("user_id", "users.id"),
    text("type", nullable=False),
    sa.Column("expiration", sa.Integer, nullable=False),
    sa.Column("position", sa.Integer, nullable=False),
    one_of("type", (DELAYED, IMMEDIATE), "type"),
    sa.CheckConstraint("expiration >= 0", name="expiration"),
    sa.Index(None, "call_group_id"),
    sa.Index(None, "user_id"),
)


class Ring(NamedTuple):
    """A ring as getCallGroups shows it: ``expiration`` in seconds, ``position`` from 0."""

    expiration: int
    type: str
    position: int
    user_name: str


class CallGroupView(NamedTuple):
    """A call group as getCallGroups shows it."""

    name: str
    extension: str | None
    description: str | None
    enabled: bool
    rings: list[Ring]


def add(
    work: Work, values: Mapping[str, Any], ring_values: Mapping[int, Mapping[str, Any]]
) -> None:
    """Add a call group.

    Args:
        work: the operation.
        values: the properties, by their names in the contract.
        ring_values: the properties of each ring, by its place in the document.

    Raises:
        Refused: required, tooLong, invalidValue, reservedName, nameInUse, extensionInUse,
            unknownUser, unknownRingType.
    """
    cleaned = clean_all(PROPERTIES, values, work.problems)
    claims = extensions.claims_of(cleaned, values)
    extensions.check(work, claims, "call_group_id")
    rows = _ring_rows(work, ring_values)
    work.problems.check()
    row = column_values(cleaned, call_groups)
    group_id = extensions.insert(work, call_groups, row, "call_group_id", claims)
    if rows:
        # The ids count up in the order as sent, which decides between rings of the same position.
        work.execute(rings.insert(), [{"call_group_id": group_id, **ring} for ring in rows])


def _ring_rows(work: Work, ring_values: Mapping[int, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Check the rings; an absent position is the ring's place in the document."""
    ids = ids_by_field(
        work, {f"rings[{index}].userName": ring["userName"] for index, ring in ring_values.items()}
    )
    return [
        {
            "user_id": ids.get(f"rings[{index}].userName"),
            "position": index if ring["position"] is None else ring["position"],
            **ring_columns(ring, work.problems, f"rings[{index}]."),
        }
        for index, ring in ring_values.items()
    ]


def ring_columns(ring: Mapping[str, Any], problems: Problems, prefix: str = "") -> dict[str, Any]:
    """Type and expiration of a ring, checked; ``prefix`` stands before the names of fields."""
    return {
        "type": _TYPE.clean(ring["type"], problems, f"{prefix}type"),
        "expiration": _EXPIRATION.clean(ring["expiration"], problems, f"{prefix}expiration"),
    }


def _statement() -> sa.Select[Any]:
    in_order = sa.func.json_build_array(rings.c.expiration, rings.c.type, users.c.user_name)
    group_rings = (
        sa.select(sa.func.json_agg(aggregate_order_by(in_order, rings.c.position, rings.c.id)))
        .select_from(rings.join(users, users.c.id == rings.c.user_id))
        .where(rings.c.call_group_id == call_groups.c.id)
        .scalar_subquery()
    )
    columns = (call_groups.c[name] for name in CallGroupView._fields if name != "rings")
    return sa.select(*columns, group_rings).order_by(call_groups.c.id)


_FINDER = Finder(_statement(), {})


def get_all(query: Query) -> Iterator[CallGroupView]:
    """All call groups in the order of creation, their rings in order."""
    return _views(_FINDER.rows(query))


def _views(rows: Iterable[Any]) -> Iterator[CallGroupView]:
    for name, extension, description, enabled, ring_list in rows:
        in_order = [
            Ring(expiration, kind, position, user)
            for position, (expiration, kind, user) in enumerate(ring_list or ())
        ]
        yield CallGroupView(name, extension, description, enabled, in_order)


def remove(work: Work, name_or_extension: str | None) -> None:
    """Remove all call groups with this name or extension; there may be none.

    Raises:
        Refused: required, tooLong.
    """
    value = Text("callGroup", required=True, trimmed=True).clean(name_or_extension, work.problems)
    work.problems.check()
    matching = (call_groups.c.name == value) | (call_groups.c.extension == value)
    extensions.delete(work, call_groups, matching)


def delete_all(work: Work) -> None:
    """Remove every call group."""
    extensions.delete(work, call_groups, sa.true())
