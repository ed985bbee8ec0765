"""Users: the table and what can be added and changed (services.md §3)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from sipxconfig_soap import errors
from sipxconfig_soap.domain import grants, grouping, pins, pool
from sipxconfig_soap.domain.permissions import SUPERADMIN, ids_by_name
from sipxconfig_soap.domain.properties import Names, Text, by_name, clean_all, column_values
from sipxconfig_soap.domain.searches import VALUE, Matcher, containing, exactly
from sipxconfig_soap.domain.tables import identity, metadata, text
from sipxconfig_soap.domain.user_pins import Pin, pins_of_new
from sipxconfig_soap.values import fold, has_control

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sipxconfig_soap.domain.work import Work
    from sipxconfig_soap.errors import Problem

SIP_PASSWORD_LENGTH = 12
"""Characters of a SIP password that is made up."""

_SIP_USER = re.compile(r"(?:[A-Za-z0-9\-_.!~*'()&=+$,;?/]|%[0-9A-Fa-f]{2})+")
_EMAIL = re.compile(r"[^@\s\x00-\x1f\x7f-\x9f<>\"(),:;\\\[\]]+@[^@\s\x00-\x1f\x7f-\x9f<>\"(),;\\]+")


def check_sip_user(field: str, value: str) -> Problem | None:
    """Refuse what cannot be the user part of a SIP address."""
    if _SIP_USER.fullmatch(value):
        return None
    return errors.invalid_value(
        field, value, "has characters that the user part of a SIP address cannot have"
    )


def _check_email(field: str, value: str) -> Problem | None:
    if _EMAIL.fullmatch(value):
        return None
    return errors.invalid_value(field, value, "is not an email address")


def check_no_control(field: str, value: str) -> Problem | None:
    """Refuse control characters: the value goes into files and SIP headers."""
    return (
        errors.invalid_value(field, value, "has control characters") if has_control(value) else None
    )


PROPERTIES = by_name(
    Text("userName", required=True, trimmed=True, check=check_sip_user),
    Pin("pintoken"),
    Pin("pin"),
    Text("lastName", trimmed=True),
    Text("firstName", trimmed=True),
    Text("sipPassword", check=check_no_control),
    Names("aliases", check=check_sip_user),
    Text("emailAddress", trimmed=True, check=_check_email),
    Names("groups"),
    Names("permissions"),
    Text("branchName", trimmed=True),
)

users = sa.Table(
    "users",
    metadata,
    identity(),
    text("user_name", nullable=False),
    text("pin_hash"),
    text("voicemail_pin_hash"),
    text("last_name"),
    text("first_name"),
    # What searches look at, in the form in which case does not count.
    text("last_name_folded", limit=pool.FOLDED_LIMIT),
    text("first_name_folded", limit=pool.FOLDED_LIMIT),
    text("sip_password", nullable=False),
    text("email_address"),
    sa.Column("branch_id", sa.BigInteger, sa.ForeignKey("branches.id", ondelete="SET NULL")),
    sa.UniqueConstraint("user_name"),
    sa.CheckConstraint("sip_password <> ''", name="sip_password"),
    sa.Index(None, "branch_id"),
)
pool.must_be_in_pool(users, "user_name")


def _fuzzy() -> Matcher:
    """Matches a substring of userName, alias, first or last name; case does not count."""
    by_pool = sa.select(pool.names.c.user_id).where(
        pool.names.c.user_id.is_not(None), pool.names.c.folded.like(VALUE)
    )
    by_person = sa.select(users.c.id).where(
        users.c.first_name_folded.like(VALUE) | users.c.last_name_folded.like(VALUE)
    )
    return Matcher(
        users.c.id.in_(by_pool.union(by_person)),
        lambda value: {"value": containing(fold(value))},
    )


SEARCHES = {
    "byUserName": exactly(users.c.user_name),
    "byFuzzyUserNameOrAlias": _fuzzy(),
    "byGroup": grouping.USER_GROUPS.in_group(users.c.id),
}


def claims_of(user_name: str | None, aliases: Mapping[str, str]) -> list[pool.Claim]:
    """What a user takes from the pool: its name, then its aliases."""
    claims = [] if user_name is None else [pool.Claim(user_name, pool.USER_NAME, "userName")]
    return claims + [pool.Claim(alias, pool.ALIAS, field) for alias, field in aliases.items()]


def row_values(cleaned: Mapping[str, Any]) -> dict[str, Any]:
    """The columns of cleaned properties, with what is derived from them."""
    values = column_values(cleaned, users)
    for name in ("first_name", "last_name"):
        if name in values:
            values[f"{name}_folded"] = fold(values[name]) if values[name] else None
    return values


def add(
    work: Work, values: Mapping[str, Any], *, pin: str | None, voicemail_pin: str | None
) -> None:
    """Add a user.

    Args:
        work: the operation.
        values: the properties, by their names in the contract.
        pin: in clear text; None and empty mean none.
        voicemail_pin: likewise; None and empty mean the same as the PIN.

    Raises:
        Refused: required, tooLong, invalidValue, reservedName, nameInUse, unknownPermission.
    """
    cleaned = clean_all(PROPERTIES, {"pin": pin, **values}, work.problems)
    claims = claims_of(cleaned["userName"], cleaned["aliases"])
    pool.check_reserved(work, claims)
    if cleaned["userName"] is not None:
        pool.check_distinct(work, claims[0], claims[1:])
    pool.check_free(work, claims, "user_id")
    permission_ids = ids_by_name(work, cleaned["permissions"])
    pin_hashes = pins_of_new(cleaned["pin"], cleaned["pintoken"], voicemail_pin, work.problems)
    work.problems.check()
    row = (
        row_values(cleaned)
        | pin_hashes.hashed()
        | {"branch_id": branch_id(work, cleaned["branchName"])}
    )
    row["sip_password"] = row["sip_password"] or new_sip_password()
    user_id = work.execute(users.insert().values(row).returning(users.c.id)).scalar_one()
    pool.take(work, "user_id", user_id, claims)
    grouping.USER_GROUPS.join(work, [user_id], list(cleaned["groups"]))
    grants.grant(work, user_id, permission_ids)
    work.touch([cleaned["userName"]])


def branch_id(work: Work, name: str | None) -> int | None:
    """The id of a branch, which is created when it is new; None for none."""
    return grouping.ensure(work.connection, grouping.branches, [name])[0] if name else None


def new_sip_password() -> str:
    """A SIP password for a user who was given none."""
    return pins.random_text(SIP_PASSWORD_LENGTH)


def is_superadmin(user_name: str) -> bool:
    """Whether this is the built-in administrator, whom nobody can take away."""
    return user_name == SUPERADMIN
