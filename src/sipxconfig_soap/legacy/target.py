"""Writing what is taken over, from the temporary tables into the real ones (migration.md §9)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from sipxconfig_soap.domain import accounts, audit, grants, jobs, pool
from sipxconfig_soap.domain.accounts import ADMINISTRATORS
from sipxconfig_soap.domain.call_groups import call_groups, rings
from sipxconfig_soap.domain.grouping import PHONE_GROUPS, USER_GROUPS, branches
from sipxconfig_soap.domain.park_orbits import park_orbits
from sipxconfig_soap.domain.permissions import CALL, SUPERADMIN, numbers, permissions
from sipxconfig_soap.domain.phone_tables import lines, phones, queue_jobs
from sipxconfig_soap.domain.pool import EXTENSION
from sipxconfig_soap.domain.users import users
from sipxconfig_soap.legacy import staging

if TYPE_CHECKING:
    from collections.abc import Callable

    from sipxconfig_soap.domain.work import Work
    from sipxconfig_soap.legacy.run import Run
    from sipxconfig_soap.transactions import Receipt

GROUPINGS = {"user": USER_GROUPS, "phone": PHONE_GROUPS}
"""The groups of each kind, by what the source calls it."""

FILLED = (
    *(branches, permissions, users, pool.names, grants.user_values, grants.group_values),
    *(call_groups, rings, park_orbits, phones, lines, jobs.jobs),
    *(table for each in GROUPINGS.values() for table in (each.groups, each.members)),
)
"""The tables that an import fills."""

_POOLED = ("value", "kind", "folded", "first_name_folded", "last_name_folded")


class NotEmpty(Exception):
    """The target has entities already; the text is one sentence for the administrator."""


@dataclass(frozen=True, slots=True)
class Target:
    """What the target has.

    Attributes:
        empty: whether there is nothing but what every new system has.
        superadmin: id of that user.
        made_up: its PIN if that was made up just now; else None.
    """

    empty: bool
    superadmin: int
    made_up: str | None


class Written(NamedTuple):
    """What is to be committed.

    Attributes:
        receipt: finds out whether it was, if the connection dies meanwhile.
        made_up: the PIN of superadmin if one was made up, to be shown once; else None.
    """

    receipt: Receipt
    made_up: str | None


def look_at(connection: sa.Connection, *, merge: bool, admin_pin: str | None) -> Target:
    """See whether there is room for an import; what every system has is created.

    Args:
        connection: to the target.
        merge: whether what is there may stay beside it.
        admin_pin: superadmin's PIN if that user is created now; None to make one up.

    Raises:
        NotEmpty: it may not, and there is something.
    """
    counted = {
        "users": sa.select(users.c.id).where(users.c.user_name != SUPERADMIN),
        "user groups": sa.select(USER_GROUPS.groups.c.id).where(
            USER_GROUPS.groups.c.name != ADMINISTRATORS
        ),
        "phone groups": sa.select(PHONE_GROUPS.groups.c.id),
        "branches": sa.select(branches.c.id),
        "custom permissions": sa.select(permissions.c.id).where(~permissions.c.built_in),
        "call groups": sa.select(call_groups.c.id),
        "park orbits": sa.select(park_orbits.c.id),
        "phones": sa.select(phones.c.id),
    }
    held = {}
    for name, statement in counted.items():
        number = connection.scalar(sa.select(sa.func.count()).select_from(statement.subquery()))
        if number:
            held[name] = number
    if held and not merge:
        found = ", ".join(f"{name}: {number}" for name, number in held.items())
        raise NotEmpty(
            f"The target is not empty ({found}). Import into a new database; --merge imports beside"
            " what is there."
        )
    known = sa.select(users.c.id).where(users.c.user_name == SUPERADMIN)
    made_up = accounts.bootstrap(connection, admin_pin=admin_pin).made_up
    return Target(not held, connection.execute(known).scalar_one(), made_up)


def write(run: Run, target: Target, *, queue_profiles: bool) -> Written:
    """Write everything that is taken over, in the transaction of the staging.

    Args:
        run: the import, with its conflicts settled and its PINs hashed.
        target: as it was looked at.
        queue_profiles: whether the profiles of the new phones are queued.

    Returns:
        What the caller needs to commit it and to tell of it.
    """
    work = run.work()
    keeps_pin = _make_room(work) if target.empty else True
    steps: list[Callable[[Work], None]] = [
        *(_branches, _groups, _permissions, _users, _values, _call_groups, _park_orbits),
        *(_phones, _lines, _members),
    ]
    if queue_profiles:
        steps.append(_queue)
    for step in run.progress.track(steps, "Writing", len(steps)):
        step(work)
    if target.empty:
        _see_to_superadmin(work)
    counts = ("users", staging.users), ("phones", staging.phones)
    entities = [f"{name}: {run.staging.count(table)}" for name, table in counts]
    receipt = audit.record_local(work.connection, "import-legacy", entities)
    return Written(receipt, target.made_up if keeps_pin else None)


def _make_room(work: Work) -> bool:
    """Let superadmin and its group of the source take the place of those of a new system.

    Groups are in the order of their creation, and the group may not be the first one there.

    Returns:
        Whether superadmin's PIN stays: the source has none.
    """
    new, groups = staging.users, staging.groups
    execute = work.execute
    known = execute(
        sa.select(new.c.id, new.c.pin_form).where(new.c.user_name == SUPERADMIN)
    ).first()
    old = users.c.user_name == SUPERADMIN
    if known is not None:
        if known.pin_form is None:
            pin = sa.select(sa.literal(known.id), users.c.pin_hash).where(old)
            execute(staging.pins.insert().from_select(["user_id", "pin_hash"], pin))
        execute(users.delete().where(old))
    mine = sa.select(groups.c.name).where(groups.c.kind == "user", groups.c.name == ADMINISTRATORS)
    execute(USER_GROUPS.groups.delete().where(USER_GROUPS.groups.c.name.in_(mine)))
    return known is None or known.pin_form is None


def _see_to_superadmin(work: Work) -> None:
    """A superadmin whom the source does not have is in its group again."""
    known = sa.select(users.c.id).where(users.c.user_name == SUPERADMIN)
    kept = known.where(users.c.user_name.not_in(sa.select(staging.users.c.user_name)))
    USER_GROUPS.join(work, list(work.execute(kept).scalars()), [ADMINISTRATORS])


def _insert(work: Work, table: sa.Table, wanted: sa.Select[Any], *, once: bool = False) -> None:
    """Insert the rows of a statement.

    Args:
        work: the import.
        table: of the target.
        wanted: selects columns that are called like the table's.
        once: whether a row that is there already is passed over; otherwise it means that somebody
            was quicker, and nothing is imported.
    """
    names = [column.name for column in wanted.selected_columns]
    new = insert(table).from_select(names, wanted)
    work.execute(new.on_conflict_do_nothing() if once else new)


def _named(table: sa.Table, place: sa.Column[int], *where: sa.ColumnElement[bool]) -> Any:
    """The distinct names of a temporary table in their order."""
    first = sa.func.min(place)
    return sa.select(table.c.name).where(*where).group_by(table.c.name).order_by(first)


def _branches(work: Work) -> None:
    _insert(work, branches, _named(staging.branches, staging.branches.c.id), once=True)


def _groups(work: Work) -> None:
    mine = staging.groups
    for kind, grouped in GROUPINGS.items():
        new = (mine.c.kind == kind, ~mine.c.there)
        _insert(work, grouped.groups, _named(mine, mine.c.place, *new))


def _permissions(work: Work) -> None:
    """Custom permissions with their numbers; the sequence goes on behind them."""
    mine = staging.permissions
    columns = (mine.c.name, mine.c.label, mine.c.description, mine.c.default_value)
    more = (sa.literal(CALL).label("type"), sa.false().label("built_in"))
    new = sa.select(*columns, *more).where(~mine.c.there)
    _insert(work, permissions, new.order_by(mine.c.id))
    last = sa.table(numbers.name, sa.column("last_value"))
    highest = sa.select(sa.func.max(mine.c.id).label("number")).subquery()
    work.execute(
        sa.select(sa.func.setval(numbers.name, highest.c.number))
        .select_from(highest)
        .join(last, highest.c.number >= last.c.last_value)
    )


def _users(work: Work) -> None:
    mine, place = staging.users, staging.branches
    names = ("user_name", "first_name", "last_name", "sip_password", "email_address")
    source = (
        mine.outerjoin(staging.pins, staging.pins.c.user_id == mine.c.id)
        .outerjoin(place, place.c.id == mine.c.branch)
        .outerjoin(branches, branches.c.name == place.c.name)
    )
    columns = (*(mine.c[name] for name in names), staging.pins.c.pin_hash)
    wanted = sa.select(*columns, branches.c.id.label("branch_id")).select_from(source)
    _insert(work, users, wanted.order_by(mine.c.id))
    _names(work, "user_id", mine.join(users, users.c.user_name == mine.c.user_name), users)


def _names(work: Work, owner: str, source: sa.Join, made: sa.Table) -> None:
    """Enter names and extensions into the pool.

    Args:
        work: the import.
        owner: the pool's column for this kind of entity.
        source: its temporary table, joined with its table.
        made: the latter.
    """
    mine, first = staging.names, staging.names.alias("first")
    # A name that is its own extension is one value, and so is the same alias twice.
    again = sa.exists().where(
        *(first.c[name] == mine.c[name] for name in ("owner", "id", "value")),
        first.c.rank < mine.c.rank,
    )
    wanted = (
        sa.select(*(mine.c[name] for name in _POOLED), made.c.id.label(owner))
        .select_from(source.join(mine, mine.c.id == source.left.c.id))
        .where(mine.c.owner == owner, sa.not_(again))
        .distinct()
    )
    _insert(work, pool.names, wanted)


def _members(work: Work) -> None:
    mine, group = staging.members, staging.groups
    for kind, table, made, key in (
        ("user", staging.users, users, "user_name"),
        ("phone", staging.phones, phones, "profile_file"),
    ):
        grouped = GROUPINGS[kind]
        wanted = (
            sa.select(made.c.id.label("entity_id"), grouped.groups.c.id.label("group_id"))
            .join_from(mine, table, table.c.id == mine.c.entity)
            .join(made, made.c[key] == table.c[key])
            .join(group, group.c.id == mine.c.group_id)
            .join(grouped.groups, grouped.groups.c.name == group.c.name)
            .where(mine.c.kind == kind)
        )
        _insert(work, grouped.members, wanted, once=True)


def _values(work: Work) -> None:
    """Permission values of users and of new groups."""
    mine, groups = staging.values, USER_GROUPS.groups
    for kind, table, made, key, stored in (
        ("user", staging.users, users, "user_name", grants.user_values),
        ("group", staging.groups, groups, "name", grants.group_values),
    ):
        wanted = (
            sa.select(
                made.c.id.label(f"{kind}_id"),
                permissions.c.id.label("permission_id"),
                mine.c.enabled,
            )
            .join_from(mine, table, table.c.id == mine.c.owner)
            .join(made, made.c[key] == table.c[key])
            .join(permissions, permissions.c.name == mine.c.permission)
            .where(mine.c.kind == kind)
        )
        if kind == "group":
            # Of two groups that have become one, the values of the heavier one count.
            wanted = wanted.order_by(table.c.place.desc())
        _insert(work, stored, wanted, once=True)


def _pooled(work: Work, owner: str, mine: sa.Table, made: sa.Table) -> None:
    """Insert entities that have a name and an extension."""
    names = staging.names
    extension = (
        sa.select(names.c.value)
        .where(names.c.owner == owner, names.c.id == mine.c.id, names.c.kind == EXTENSION)
        .scalar_subquery()
        .label("extension")
    )
    columns = (column for column in mine.c if column.name != "id")
    _insert(work, made, sa.select(*columns, extension).order_by(mine.c.id))
    _names(work, owner, mine.join(made, made.c.name == mine.c.name), made)


def _call_groups(work: Work) -> None:
    mine, group = staging.rings, staging.call_groups
    _pooled(work, "call_group_id", group, call_groups)
    wanted = (
        sa.select(
            *(call_groups.c.id.label("call_group_id"), users.c.id.label("user_id")),
            *(mine.c.type, mine.c.expiration, mine.c.position),
        )
        .join_from(mine, group, group.c.id == mine.c.call_group)
        .join(call_groups, call_groups.c.name == group.c.name)
        .join(staging.users, staging.users.c.id == mine.c.user_id)
        .join(users, users.c.user_name == staging.users.c.user_name)
        .order_by(mine.c.call_group, mine.c.position)
    )
    _insert(work, rings, wanted)


def _park_orbits(work: Work) -> None:
    _pooled(work, "park_orbit_id", staging.park_orbits, park_orbits)


def _phones(work: Work) -> None:
    mine = staging.phones
    names = ("serial_number", "model_id", "description", "device_version", "profile_file")
    _insert(work, phones, sa.select(*(mine.c[name] for name in names)).order_by(mine.c.id))


def _lines(work: Work) -> None:
    mine, phone, user = staging.lines, staging.phones, staging.users
    names = ("external_user_id", "display_name", "password", "registration_server", "voice_mail")
    wanted = (
        sa.select(
            *(phones.c.id.label("phone_id"), users.c.id.label("user_id")),
            *(mine.c[name] for name in names),
        )
        .join_from(mine, phone, phone.c.id == mine.c.phone)
        .join(phones, phones.c.profile_file == phone.c.profile_file)
        .outerjoin(user, user.c.id == mine.c.user_id)
        .outerjoin(users, users.c.user_name == user.c.user_name)
        .order_by(mine.c.phone, mine.c.position.asc().nulls_last(), mine.c.id)
    )
    _insert(work, lines, wanted)


def _queue(work: Work) -> None:
    new = sa.select(staging.phones.c.profile_file)
    queue_jobs(work.connection, jobs.PROFILES, phones.c.profile_file.in_(new))
