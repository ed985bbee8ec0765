"""Users, their aliases and e-mail addresses (migration.md §3, §7)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from sipxconfig_soap import errors
from sipxconfig_soap.domain import pool
from sipxconfig_soap.domain.properties import by_name, clean_all, column_values
from sipxconfig_soap.domain.users import PROPERTIES, claims_of, new_sip_password, users
from sipxconfig_soap.legacy import names, pins, staging
from sipxconfig_soap.legacy.groups import is_person
from sipxconfig_soap.legacy.staging import Entry

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sipxconfig_soap.legacy.run import Run

USERS, ALIASES = "users", "aliases"

_ALIASES = by_name(PROPERTIES["aliases"])


def stage(run: Run) -> None:
    """Take over the users that are people, then their aliases."""
    for piece in staging.pieces(_users(run)):
        run.staging.put(staging.users, [row for row, _claims in piece])
        run.staging.put(staging.names, [name for _row, found in piece for name in found])
    old = run.source.table("users")
    others = sa.select(old.c.user_id).where(sa.not_(is_person(run, old)))
    run.staging.no_place["internal users (users)"] += run.source.count(others)
    run.staging.put(staging.names, _aliases(run))


def _users(run: Run) -> Iterator[tuple[dict[str, Any], list[dict[str, Any]]]]:
    """The columns of each user, and its userName for the pool."""
    old = run.source.table("users")
    optional = ("voicemail_pintoken", "branch_id")
    wanted = sa.select(
        *(old.c.user_id, old.c.user_name, old.c.first_name, old.c.last_name, old.c.pintoken),
        *(old.c.sip_password, *(run.source.column(old, name) for name in optional)),
    )
    key = run.source.column(old, "address_book_entry_id")
    if run.source.has_clear_pins or "address_book_entry" not in run.source.tables:
        wanted = wanted.add_columns(sa.null().label("email_address"))
    else:
        book = run.source.table("address_book_entry")
        same = book.c.address_book_entry_id == key
        wanted = wanted.select_from(old.outerjoin(book, same)).add_columns(book.c.email_address)
    wanted = wanted.where(is_person(run, old)).order_by(old.c.user_id)
    for row in run.read(USERS, wanted):
        yield from _user(run, row)


def _user(run: Run, row: sa.Row[Any]) -> Iterator[tuple[dict[str, Any], list[dict[str, Any]]]]:
    """One user, or none when it is refused."""
    entry = Entry(USERS, row.user_id, row.user_name)
    sent = {
        "userName": row.user_name,
        "firstName": row.first_name,
        "lastName": row.last_name,
        "sipPassword": row.sip_password,
        "emailAddress": row.email_address,
        "pin": None,
        "pintoken": None,
        "branchName": None,
        "aliases": (),
        "groups": (),
        "permissions": (),
    }
    sent = run.legible(entry, sent, "firstName", "lastName", "sipPassword", "emailAddress")
    work = run.work()
    cleaned = clean_all(PROPERTIES, sent, work.problems)
    claims = claims_of(cleaned, sent)
    pool.check_reserved(work, claims)
    if not run.accepts(entry, work.problems, ["userName"]):
        return
    run.note_trimmed(entry, {claim.given: claim.value for claim in claims})
    if cleaned["sipPassword"] is None:
        cleaned["sipPassword"] = new_sip_password()
        sentence = "There is no sipPassword: a new one is made up."
        run.staging.change(entry, "madeUp", "sipPassword", sentence)
    stored = column_values(cleaned, users)
    more = {"id": row.user_id, "branch": row.branch_id, "pin_form": _pin_form(run, entry, row)}
    yield stored | more, names.rows_of("user_id", row.user_id, cleaned["userName"], claims)


def _pin_form(run: Run, entry: Entry, row: sa.Row[Any]) -> str | None:
    """Which form a user's PIN has; who has none, or another one for voicemail, is noted."""
    clear = run.source.has_clear_pins
    form, why_none = pins.form_of(row.pintoken, row.user_name, run.realm, clear=clear)
    if form is None:
        run.staging.change(entry, "noPin", "pin", why_none)
    own, pin = row.voicemail_pintoken, row.pintoken or ""
    if own and form != pins.TOKEN and own.lower() != pins.md5(f"{row.user_name}:{pin}"):
        sentence = "A voicemail PIN of its own cannot be kept: the PIN counts for both."
        run.staging.change(entry, "voicemailPin", "vmpin", sentence)
    return form


def _aliases(run: Run) -> Iterator[dict[str, Any]]:
    old, alias = run.source.table("users"), run.source.table("user_alias")
    wanted = (
        sa.select(old.c.user_id, old.c.user_name, alias.c.alias)
        .join_from(alias, old, old.c.user_id == alias.c.user_id)
        .where(is_person(run, old))
        .order_by(old.c.user_id, alias.c.alias)
    )
    for user_id, user_name, text in run.read(ALIASES, wanted):
        work = run.work()
        cleaned = clean_all(_ALIASES, {"aliases": [text]}, work.problems)
        claims = claims_of(cleaned, {})
        pool.check_reserved(work, claims)
        entry = Entry(ALIASES, user_id, user_name)
        if text is None:
            run.staging.refuse(entry, errors.required("aliases[0]"))
        elif run.accepts(entry, work.problems, ["aliases[0]"]):
            run.note_trimmed(entry, {claim.given: claim.value for claim in claims})
            yield from names.rows_of("user_id", user_id, user_name, claims)
