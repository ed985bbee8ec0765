"""Who may log in (wire.md §7), and the first administrator (services.md §3)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import sqlalchemy as sa

from sipxconfig_soap.domain import audit, grants, grouping, pins, pool
from sipxconfig_soap.domain.permissions import SUPERADMIN, ensure_built_in, permissions
from sipxconfig_soap.domain.phone_tables import queue_profiles_of_users
from sipxconfig_soap.domain.users import PROPERTIES, add, new_sip_password, users

if TYPE_CHECKING:
    from sipxconfig_soap.domain.work import Work
    from sipxconfig_soap.transactions import Receipt

ADMINISTRATORS = "administrators"
"""The group whose members may configure the system."""

ADMINISTRATORS_VALUES = {SUPERADMIN: True, "tui-change-pin": False}
"""The permission values of that group."""

MADE_UP_PIN_LENGTH = 16
"""Characters of superadmin's PIN when none is configured."""


class Account(NamedTuple):
    """A user who wants to log in.

    Attributes:
        id: of the user.
        user_name: the login.
        pin_hash: what the PIN is checked against; None cannot log in.
        administrator: whether the user effectively has the permission superadmin.
    """

    id: int
    user_name: str
    pin_hash: str | None
    administrator: bool


_ACCOUNT = (
    sa.select(
        users.c.id,
        users.c.user_name,
        users.c.pin_hash,
        grants.administrator(users.c.id, users.c.user_name),
    )
    .where(users.c.user_name == sa.bindparam("login", type_=sa.Text))
    .execution_options(prepared=True)
)


def find_account(connection: sa.Connection, user_name: str) -> Account | None:
    """The account of this exact userName, as it is at this moment; None when there is none."""
    row = connection.execute(_ACCOUNT, {"login": user_name}).first()
    return None if row is None else Account(*row)


def replace_hash(connection: sa.Connection, account: Account, new_hash: str) -> None:
    """Store a hash with today's parameters, unless the PIN has been changed meanwhile."""
    connection.execute(
        users.update()
        .where(users.c.id == account.id, users.c.pin_hash == account.pin_hash)
        .values(pin_hash=new_hash)
    )


def set_pin(connection: sa.Connection, user_name: str, pin: str) -> Receipt | None:
    """Give a user a new PIN from the command line; None when there is no such user."""
    new = users.update().where(users.c.user_name == user_name).values(pin_hash=pins.hash_pin(pin))
    if not connection.execute(new).rowcount:
        return None
    return audit.record_local(connection, "set-pin", [user_name])


def create_administrator(work: Work, user_name: str, pin: str) -> Receipt:
    """Create a user who may configure the system, from the command line; superadmin, say.

    Raises:
        Refused: what is wrong with name or PIN, as in addUser (services.md §3).
    """
    ensure_built_in(work.connection)
    _ensure_administrators(work.connection)
    values: dict[str, Any] = dict.fromkeys(each for each in PROPERTIES if each != "pin")
    values |= {"userName": user_name, "groups": [ADMINISTRATORS], "aliases": [], "permissions": []}
    add(work, values, pin=pin, voicemail_pin=None)
    return audit.record_local(work.connection, "create", work.touched)


class Beginning(NamedTuple):
    """What was to be done so that a system has what every system has.

    Attributes:
        created: whether superadmin was missing.
        made_up: the PIN that was made up for superadmin, to be shown once; None without one.
    """

    created: bool
    made_up: str | None


def bootstrap(connection: sa.Connection, *, admin_pin: str | None) -> Beginning:
    """Create what every system has: permissions, the administrators and superadmin.

    What is there already stays as it is, superadmin's PIN above all.

    Args:
        connection: in a transaction.
        admin_pin: superadmin's PIN if the account is created now; None to make one up.
    """
    ensure_built_in(connection)
    group_id = _ensure_administrators(connection)
    known = sa.select(users.c.id).where(users.c.user_name == SUPERADMIN)
    if connection.execute(known).first() is not None:
        return Beginning(created=False, made_up=None)
    pin = admin_pin or pins.random_text(MADE_UP_PIN_LENGTH)
    _create_superadmin(connection, group_id, pin)
    return Beginning(created=True, made_up=None if admin_pin else pin)


def begin(connection: sa.Connection, admin_pin: str | None) -> tuple[str | None, Receipt | None]:
    """`bootstrap` from the command line; the PIN that was made up, and the receipt of a change."""
    beginning = bootstrap(connection, admin_pin=admin_pin)
    if not beginning.created:
        return None, None
    return beginning.made_up, audit.record_local(connection, "create", [SUPERADMIN])


def _ensure_administrators(connection: sa.Connection) -> int:
    """The id of the group administrators; a new one gets its permission values."""
    groups = grouping.USER_GROUPS.groups
    known = connection.execute(sa.select(groups.c.id).where(groups.c.name == ADMINISTRATORS))
    group_id = known.scalar()
    if group_id is not None:
        return int(group_id)
    new = groups.insert().values(name=ADMINISTRATORS).returning(groups.c.id)
    group_id = connection.execute(new).scalar_one()
    values = sa.case(ADMINISTRATORS_VALUES, value=permissions.c.name)
    rows = sa.select(sa.literal(group_id, sa.BigInteger), permissions.c.id, values).where(
        permissions.c.name.in_(ADMINISTRATORS_VALUES)
    )
    columns = ["group_id", "permission_id", "enabled"]
    connection.execute(grants.group_values.insert().from_select(columns, rows))
    return int(group_id)


def _create_superadmin(connection: sa.Connection, group_id: int, pin: str) -> None:
    row = {
        "user_name": SUPERADMIN,
        "pin_hash": pins.hash_pin(pin),
        "sip_password": new_sip_password(),
    }
    user_id = connection.execute(users.insert().values(row).returning(users.c.id)).scalar_one()
    connection.execute(
        pool.names.insert().values(
            value=SUPERADMIN, folded=SUPERADMIN, kind=pool.USER_NAME, user_id=user_id
        )
    )
    connection.execute(
        grouping.USER_GROUPS.members.insert().values(entity_id=user_id, group_id=group_id)
    )


def reset_superadmin(work: Work) -> None:
    """Bring superadmin back to its beginnings; the PIN stays (services.md §7).

    Names, aliases, email address, branch, own permission values and all groups but administrators
    go, and the SIP password is a new one. Group and user are created where they are missing: a
    user created so has a PIN that nobody knows until ``sipxconfig-soap admin set-pin`` sets one.
    """
    ensure_built_in(work.connection)
    group_id = _ensure_administrators(work.connection)
    cleared = ("first_name", "last_name", "email_address", "branch_id")
    user_id = work.execute(
        users.update()
        .where(users.c.user_name == SUPERADMIN)
        .values(dict.fromkeys(cleared))
        .values(sip_password=new_sip_password())
        .returning(users.c.id)
    ).scalar()
    work.touch([SUPERADMIN])
    if user_id is None:
        _create_superadmin(work.connection, group_id, pins.random_text(MADE_UP_PIN_LENGTH))
        return
    pool.give_back(work, "user_id", [user_id], [pool.ALIAS])
    pool.rewrite(work, "user_id", [user_id], pool.USER_NAME, pool.NOBODY)
    grants.revoke_own(work, [user_id])
    queue_profiles_of_users(work, [user_id])
    grouping.USER_GROUPS.apply(work, [user_id], replace=[ADMINISTRATORS], add=None, remove=None)
