"""Users: the table and what can be added and changed (services.md §3)."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from sipxconfig_soap import errors
from sipxconfig_soap.domain import grams, grants, grouping, pins, pool
from sipxconfig_soap.domain.permissions import SUPERADMIN, ids_by_name
from sipxconfig_soap.domain.properties import (
    Given,
    Names,
    Rule,
    Text,
    by_name,
    clean_all,
    column_values,
)
from sipxconfig_soap.domain.searches import VALUE, Matcher, containing, exactly
from sipxconfig_soap.domain.tables import given, identity, metadata, text
from sipxconfig_soap.domain.user_pins import Pin, pins_of_new
from sipxconfig_soap.values import fold, has_control, snake_case

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from sipxconfig_soap.domain.work import Work

SIP_PASSWORD_LENGTH = 12
"""Characters of a SIP password that is made up."""

_SIP_USER = re.compile(r"(?:[A-Za-z0-9\-_.!~*'()&=+$,;?/]|%[0-9A-Fa-f]{2})+")
_EMAIL = re.compile(r"[^@\s\x00-\x1f\x7f-\x9f<>\"(),:;\\\[\]]+@[^@\s\x00-\x1f\x7f-\x9f<>\"(),;\\]+")


def _matches(pattern: re.Pattern[str]) -> Callable[[str], bool]:
    return lambda text: pattern.fullmatch(text) is not None


SIP_USER = Rule(
    _matches(_SIP_USER),
    partial(
        errors.invalid_value,
        reason="has characters that the user part of a SIP address cannot have",
    ),
)

EMAIL = Rule(_matches(_EMAIL), partial(errors.invalid_value, reason="is not an email address"))

NO_CONTROL = Rule(
    lambda text: not has_control(text),
    partial(errors.invalid_value, reason="has control characters"),
)
"""For what goes into files and SIP headers."""

PROPERTIES = by_name(
    Text("userName", required=True, trimmed=True, rule=SIP_USER),
    Pin("pintoken"),
    Pin("pin"),
    Text("lastName", trimmed=True),
    Text("firstName", trimmed=True),
    Text("sipPassword", rule=NO_CONTROL, made_up=True),
    Names("aliases", rule=SIP_USER),
    Text("emailAddress", trimmed=True, rule=EMAIL),
    Names("groups"),
    Names("permissions"),
    Text("branchName", trimmed=True),
)

_REFERENCE = Text("userName", required=True, trimmed=True)
"""How rings and lines name a user."""

TEXTS = tuple(
    each for each in PROPERTIES.values() if isinstance(each, Text) and each.name != "branchName"
)
"""The properties that are texts of the user itself; a branch is a row of its own."""

users = sa.Table(
    "users",
    metadata,
    identity(),
    *(each.column() for each in TEXTS),
    text("pin_hash", limit=pins.HASH_LIMIT),
    # Null: the same as the PIN.
    text("voicemail_pin_hash"),
    sa.Column("branch_id", sa.BigInteger, sa.ForeignKey("branches.id", ondelete="SET NULL")),
    sa.UniqueConstraint("user_name"),
    sa.CheckConstraint("sip_password <> ''", name="sip_password"),
    sa.Index(None, "branch_id"),
)
pool.must_be_in_pool(users, "user_name")

_IDS = (
    sa.select(users.c.user_name, users.c.id)
    .where(users.c.user_name == sa.any_(given("names", sa.Text())))
    .execution_options(prepared=True)
)


def _fuzzy() -> Matcher:
    """Matches a substring of userName, alias, first or last name; case does not count.

    Without three characters in a row it has no grams, and all names are looked through.
    """
    found = sa.select(pool.names.c.user_id).where(
        pool.names.c.user_id.is_not(None), sa.or_(*(each.like(VALUE) for each in pool.SEARCHED))
    )
    by_grams = grams.of_columns(pool.SEARCHED).contains(grams.GRAMS)

    def among(ids: sa.Select[tuple[int]]) -> sa.ColumnElement[bool]:
        # As an array they are found once and looked up by their key, whatever the planner believes
        # of a table that has just been filled.
        return users.c.id == sa.any_(sa.func.array(ids.scalar_subquery()))

    def pattern(value: str) -> dict[str, Any]:
        return {"value": containing(fold(value))}

    def needed(value: str) -> list[str]:
        return grams.grams_of(fold(value))

    return Matcher(
        among(found.where(by_grams)),
        lambda value: {**pattern(value), "grams": needed(value)},
        suits=lambda value: bool(needed(value)),
        otherwise=Matcher(among(found), pattern),
    )


SEARCHES = {
    "byUserName": exactly(users.c.user_name),
    "byFuzzyUserNameOrAlias": _fuzzy(),
    "byGroup": grouping.USER_GROUPS.in_group(users.c.id),
}


def claims_of(cleaned: Mapping[str, Any], sent: Mapping[str, Any]) -> list[pool.Claim]:
    """What a user takes from the pool: its name, then its aliases, as far as they are given."""
    name = cleaned.get("userName")
    claims = [
        pool.Claim(alias, pool.ALIAS, given) for alias, given in cleaned.get("aliases", {}).items()
    ]
    if name is not None:
        given = Given("userName", sent["userName"])
        claims.insert(0, pool.Claim(name, pool.USER_NAME, given, folded_person(cleaned)))
    return claims


def ids_by_field(work: Work, sent: Mapping[str, str | None]) -> dict[str, int]:
    """The ids of the users whose userNames stand in these fields; an alias is none.

    What is wrong is noted: required, tooLong, unknownUser.
    """
    names = {field: _REFERENCE.clean(text, work.problems, field) for field, text in sent.items()}
    wanted = [name for name in names.values() if name is not None]
    if not wanted:
        return {}
    rows: Iterable[Any] = work.execute(_IDS, {"names": wanted})
    known = {row.user_name: row.id for row in rows}
    for field, name in names.items():
        if name is not None and name not in known:
            work.problems.add(errors.unknown_user(field, sent[field] or ""))
    return {field: known[name] for field, name in names.items() if name in known}


def folded_person(cleaned: Mapping[str, Any]) -> dict[str, str | None]:
    """What the pool has of first and last name, as far as they are given."""
    return {
        f"{snake_case(name)}_folded": fold(cleaned[name]) if cleaned[name] else None
        for name in ("firstName", "lastName")
        if name in cleaned
    }


def add(
    work: Work,
    values: Mapping[str, Any],
    *,
    pin: str | None,
    voicemail_pin: str | None,
    voicemail_hash: str | None = None,
) -> None:
    """Add a user.

    Args:
        work: the operation.
        values: the properties, by their names in the contract.
        pin: in clear text; None and empty mean none.
        voicemail_pin: likewise; None and empty mean the same as the PIN.
        voicemail_hash: the hash of one instead, as no addUser has it but an import.

    Raises:
        Refused: required, tooLong, invalidValue, reservedName, nameInUse, unknownPermission.
    """
    cleaned = clean_all(PROPERTIES, {"pin": pin, **values}, work.problems)
    claims = claims_of(cleaned, values)
    pool.check_reserved(work, claims)
    if cleaned["userName"] is not None:
        pool.check_distinct(work, claims[0], claims[1:])
    pool.check_free(work, claims, "user_id")
    permission_ids = ids_by_name(work, cleaned["permissions"])
    given_pins = cleaned["pin"], cleaned["pintoken"], voicemail_pin, voicemail_hash
    pin_hashes = pins_of_new(*given_pins, work.problems)
    work.problems.check()
    branch = cleaned["branchName"]
    row = (
        column_values(cleaned, users)
        | pin_hashes.hashed(cleaned["userName"], work.rules.realm)
        | {"branch_id": grouping.branch_id(work, branch) if branch else None}
    )
    row["sip_password"] = row["sip_password"] or new_sip_password()
    user_id: int = work.execute(users.insert().returning(users.c.id), row).scalar_one()
    pool.take(work, "user_id", user_id, claims)
    grouping.USER_GROUPS.join(work, [user_id], list(cleaned["groups"]))
    grants.grant(work, user_id, permission_ids)
    work.touch([cleaned["userName"]])


def new_sip_password() -> str:
    """A SIP password for a user who was given none."""
    return pins.random_text(SIP_PASSWORD_LENGTH)


def is_superadmin(user_name: str) -> bool:
    """Whether this is the built-in administrator, whom nobody can take away."""
    return user_name == SUPERADMIN
