"""What call groups and park orbits share: a name and an extension from the one pool."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from sipxconfig_soap.domain import pool
from sipxconfig_soap.domain.properties import Flag, Given, Text
from sipxconfig_soap.domain.tables import identity, metadata

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sipxconfig_soap.domain.properties import AnyProperty
    from sipxconfig_soap.domain.work import Work

_POOLED = ("name", "extension")


def table(name: str, properties: Mapping[str, AnyProperty]) -> sa.Table:
    """A table with the columns of these properties, name and extension tied to the pool."""
    made = sa.Table(
        name,
        metadata,
        identity(),
        *(each.column() for each in properties.values() if isinstance(each, Text | Flag)),
    )
    for column in _POOLED:
        made.append_constraint(sa.UniqueConstraint(made.c[column]))
    pool.must_be_in_pool(made, *_POOLED)
    return made


def claims_of(cleaned: Mapping[str, Any], sent: Mapping[str, Any]) -> list[pool.Claim]:
    """What an entity takes from the pool: its name, then its extension."""
    return [
        pool.Claim(cleaned[kind], kind, Given(kind, sent[kind]))
        for kind in _POOLED
        if cleaned[kind] is not None
    ]


def check(work: Work, claims: Sequence[pool.Claim], owner: str) -> None:
    """Note a problem for every name and extension that is reserved or taken."""
    pool.check_reserved(work, claims)
    pool.check_free(work, claims, owner)


def insert(
    work: Work, target: sa.Table, row: Mapping[str, Any], owner: str, claims: Sequence[pool.Claim]
) -> int:
    """Store a new entity and enter its name and extension into the pool; returns its id.

    Args:
        work: the operation.
        target: its table.
        row: its columns.
        owner: the pool's column for this kind of entity.
        claims: its name and extension.
    """
    new_id: int = work.execute(target.insert().returning(target.c.id), row).scalar_one()
    pool.take(work, owner, new_id, claims)
    work.touch([row["name"]])
    return new_id


def delete(work: Work, target: sa.Table, where: sa.ColumnElement[bool]) -> None:
    """Delete the entities that match, with their names and extensions."""
    work.touch(work.execute(target.delete().where(where).returning(target.c.name)).scalars())
