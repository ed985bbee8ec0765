"""The one pool of names and extensions (services.md §1).

A value may be used once over all users, aliases, call groups and park orbits. The table's primary
key is that rule, so it also holds between two clients that add the same value at once
(docs/adr/0003-one-pool-table.md).
"""

from __future__ import annotations

from functools import cache
from itertools import chain, product
from typing import TYPE_CHECKING, Any, NamedTuple

import sqlalchemy as sa

from sipxconfig_soap import errors
from sipxconfig_soap.domain import grams
from sipxconfig_soap.domain.tables import (
    among,
    given,
    metadata,
    one_of,
    owned_by,
    text,
    text_type,
)
from sipxconfig_soap.values import fold

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from sipxconfig_soap.domain.properties import Given
    from sipxconfig_soap.domain.work import Work
    from sipxconfig_soap.errors import Problem

USER_NAME, ALIAS, NAME, EXTENSION = "userName", "alias", "name", "extension"

RESERVED_PREFIX = "~~"
"""Names that begin so belong to the system itself."""

FOLDED_LIMIT = 1024
"""Characters of a folded text: folding may make three of one."""

names = sa.Table(
    "names",
    metadata,
    sa.Column("value", text_type(), primary_key=True),
    # What a fuzzy search looks at: texts in the form in which case does not count. The names of the
    # person stand beside the userName. In a row of users they would have every update of a user
    # that moves the row, most of an edit of many, enter all its grams anew.
    text("folded", nullable=False, limit=FOLDED_LIMIT),
    text("first_name_folded", limit=FOLDED_LIMIT),
    text("last_name_folded", limit=FOLDED_LIMIT),
    text("kind", nullable=False),
    owned_by("user_id", "users.id", nullable=True),
    owned_by("call_group_id", "call_groups.id", nullable=True),
    owned_by("park_orbit_id", "park_orbits.id", nullable=True),
    sa.CheckConstraint("num_nonnulls(user_id, call_group_id, park_orbit_id) = 1", name="one_owner"),
    sa.CheckConstraint("left(value, 2) <> '~~'", name="not_reserved"),
    one_of("kind", (USER_NAME, ALIAS, NAME, EXTENSION), "kind"),
    sa.Index(None, "user_id", "value"),
    sa.Index(None, "call_group_id"),
    sa.Index(None, "park_orbit_id"),
)

SEARCHED = (names.c.folded, names.c.first_name_folded, names.c.last_name_folded)
"""The columns in which a fuzzy search finds a user."""

grams.index("ix_names_grams", SEARCHED, names.c.user_id.is_not(None))

_OWNERS = {
    "user_id": ("users", "user_name", "user"),
    "call_group_id": ("call_groups", "name", "call group"),
    "park_orbit_id": ("park_orbits", "name", "park orbit"),
}
_KINDS = {
    USER_NAME: "the userName",
    ALIAS: "an alias",
    NAME: "the name",
    EXTENSION: "the extension",
}


def must_be_in_pool(table: sa.Table, *columns: str) -> None:
    """Add the constraint that an entity's names stand in the pool.

    It is looked at when the transaction ends, since the two rows point to each other; for the same
    reason it is added when both tables exist.
    """
    for column in columns:
        table.append_constraint(
            sa.ForeignKeyConstraint(
                [table.c[column]],
                [names.c.value],
                name=f"fk_{table.name}_{column}",
                deferrable=True,
                initially="DEFERRED",
                use_alter=True,
            )
        )


NOBODY: Mapping[str, str | None] = {"first_name_folded": None, "last_name_folded": None}


class Claim(NamedTuple):
    """A value that an entity is to have.

    Attributes:
        value: the trimmed name or extension.
        kind: one of the kinds above.
        given: where the request gave it, and as what text.
        person: the columns of a user's first and last name, which stand beside its userName.
    """

    value: str
    kind: str
    given: Given
    person: Mapping[str, str | None] = NOBODY


def check_reserved(work: Work, claims: Sequence[Claim]) -> None:
    """Note a problem for every value that the system keeps for itself."""
    for claim in claims:
        if claim.value.startswith(RESERVED_PREFIX) or claim.value in work.rules.reserved:
            work.problems.add(errors.reserved_name(*claim.given))


def check_free(
    work: Work,
    claims: Sequence[Claim],
    owner: str,
    *,
    entities: Mapping[int, str] | None = None,
) -> list[Claim]:
    """Note a problem for every value that is taken.

    Args:
        work: the operation.
        claims: the values.
        owner: the pool's column for this kind of entity (``user_id``).
        entities: names of the matched entities that are to have the values, by id; None when a
            new entity is added. Each keeps what it has.

    Returns:
        The claims of values that nobody has.
    """
    taken = holders(work, [claim.value for claim in claims])
    free = []
    for claim in claims:
        holder = taken.get(claim.value)
        if holder is None:
            free.append(claim)
        elif entities is None:
            work.problems.add(in_use(claim, holder.words))
        else:
            for entity_id, name in entities.items():
                if entity_id != holder.ids.get(owner):
                    work.problems.add(in_use(claim, holder.words, entity=name))
    return free


def check_single(work: Work, claims: Sequence[Claim], entities: Sequence[str]) -> None:
    """Note that one entity alone can have values that are free: the first that nothing refuses.

    Args:
        work: the operation, with the problems that each entity has by itself.
        claims: the values.
        entities: names of the matched ones.
    """
    refused = {(each.field, each.value, each.entity) for each in work.problems.found}
    refusing = {entity for *_, entity in refused}
    fit = next(chain((name for name in entities if name not in refusing), entities), None)
    for claim, name in product(claims, entities):
        problem = in_use(claim, "another entity of the same edit", entity=name)
        # Who cannot have a value is in nobody's way, and has said why.
        if name != fit and (problem.field, problem.value, name) not in refused:
            work.problems.add(problem)


def in_use(claim: Claim, words: str, *, entity: str | None = None) -> Problem:
    """The problem of a value that is taken; ``words`` say by what."""
    refusal: Callable[..., Problem] = (
        errors.extension_in_use if claim.kind == EXTENSION else errors.name_in_use
    )
    return refusal(*claim.given, words, entity=entity)


def in_words(owner: str, kind: str, name: str) -> str:
    """How a fault says what has a value.

    Args:
        owner: the pool's column for this kind of entity.
        kind: of the value.
        name: of the entity.
    """
    return f"{_KINDS[kind]} of the {_OWNERS[owner][2]} {name}"


def check_distinct(work: Work, first: Claim, others: Sequence[Claim]) -> None:
    """Note a problem for every other value that equals the first: both belong to one entity."""
    for claim in others:
        if claim.value == first.value:
            words = f"{_KINDS[first.kind]} itself"
            work.problems.add(errors.name_in_use(*claim.given, words))


class Holder(NamedTuple):
    """Who has a value: the ids by column, and how a fault says it."""

    ids: dict[str, int]
    words: str


def holders(work: Work, values: Sequence[str]) -> dict[str, Holder]:
    """Who has which of these values."""
    if not values:
        return {}
    found = {}
    rows: Iterable[Any] = work.execute(_owners(), {"values": list(values)})
    for value, kind, owner_name, *ids in rows:
        column, owner_id = next(
            (name, each) for name, each in zip(_OWNERS, ids, strict=True) if each is not None
        )
        words = in_words(column, kind, owner_name)
        found[value] = Holder({column: owner_id}, words)
    return found


@cache
def _owners() -> sa.Executable:
    """Reads who has which of some values; made when the tables of all owners are there."""
    source: sa.FromClause = names
    owner_names = []
    for column, (table_name, name_column, _noun) in _OWNERS.items():
        table = metadata.tables[table_name]
        source = source.outerjoin(table, table.c.id == names.c[column])
        owner_names.append(table.c[name_column])
    return (
        sa.select(
            names.c.value,
            names.c.kind,
            sa.func.coalesce(*owner_names),
            *(names.c[column] for column in _OWNERS),
        )
        .select_from(source)
        .where(names.c.value == sa.any_(given("values", sa.Text())))
        .execution_options(prepared=True)
    )


def value_columns(value: str) -> dict[str, str | None]:
    """A value and what searches look at, by column."""
    return {"value": value, "folded": fold(value)}


def take(work: Work, owner: str, owner_id: int, claims: Sequence[Claim]) -> None:
    """Enter values into the pool; the same value twice (a name that is its extension) is one."""
    rows: dict[str, dict[str, Any]] = {}
    for claim in claims:
        row = {**value_columns(claim.value), "kind": claim.kind, **NOBODY, **claim.person}
        rows.setdefault(claim.value, {owner: owner_id, **row})
    if rows:
        work.execute(names.insert(), list(rows.values()))


def rewrite(
    work: Work, owner: str, owner_ids: Sequence[int], kind: str, columns: Mapping[str, str | None]
) -> None:
    """Change columns of the values of one kind, if any columns are given."""
    if columns:
        of_owners = among(names.c[owner], owner_ids)
        work.execute(names.update().where(of_owners, names.c.kind == kind).values(columns))


def give_back(work: Work, owner: str, owner_ids: Sequence[int], kinds: Sequence[str]) -> None:
    """Remove values of these kinds from the pool."""
    work.execute(names.delete().where(among(names.c[owner], owner_ids), names.c.kind.in_(kinds)))
