"""The e-mail addresses of 4.6 and later, from an export of MongoDB (migration.md §7)."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from sipxconfig_soap import errors
from sipxconfig_soap.domain.permissions import SUPERADMIN
from sipxconfig_soap.domain.properties import by_name, clean_all
from sipxconfig_soap.domain.tables import among
from sipxconfig_soap.domain.users import PROPERTIES
from sipxconfig_soap.errors import Problems
from sipxconfig_soap.legacy import staging
from sipxconfig_soap.legacy.source import SourceError
from sipxconfig_soap.legacy.staging import Entry
from sipxconfig_soap.values import NOT_XML

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from sipxconfig_soap.legacy.run import Run

PROFILES = "user profiles"

_ADDRESS = by_name(PROPERTIES["emailAddress"])

_INTEGER = re.compile("-?[0-9]{1,18}")
"""An id that a column of the target can hold."""

_USED = frozenset({"m_userName", "m_firstName", "m_lastName", "m_emailAddress", "m_enabled"})
_OF_THE_SYSTEM = frozenset({"m_timestamp", "m_lastImportedDate"})


def stage(run: Run, path: Path) -> None:
    """Take the e-mail addresses from a file of JSON lines, as mongoexport writes them.

    Raises:
        SourceError: the file cannot be read, or is something else; the line is named.
    """
    try:
        with path.open(encoding="utf-8-sig") as file:
            run.staging.put(staging.profiles, _profiles(run, file, path))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise SourceError(f"{path} cannot be read: {reason}.") from error


def _profiles(run: Run, lines: Iterable[str], path: Path) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            profile = json.loads(line)
            user_id = _number(profile["_id"])
        except (ValueError, KeyError, TypeError, RecursionError):
            raise SourceError(
                f"{path} cannot be read: line {number} is not a document of the collection"
                " userProfile; export it by mongoexport, without --jsonArray and --pretty."
            ) from None
        run.staging.read[PROFILES] += 1
        for name, value in profile.items():
            if name.startswith("m_") and value and name not in _USED | _OF_THE_SYSTEM:
                run.staging.no_place[f"{_text(name)} of user profiles"] += 1
        problems = Problems()
        user_name = _text(profile.get("m_userName"))
        given = profile.get("m_emailAddress")
        address = clean_all(_ADDRESS, {"emailAddress": _text(given)}, problems)["emailAddress"]
        if given is not None and not isinstance(given, str):
            shown = json.dumps(given)
            problems.add(errors.invalid_value("emailAddress", shown, "is not a text"))
        run.accepts(Entry(PROFILES, user_id, user_name or ""), problems, ())
        yield {
            "line": number,
            "user_id": user_id,
            "user_name": user_name,
            "email_address": address,
            "enabled": profile.get("m_enabled") is not False,
        }


def _number(key: Any) -> int:
    """The id of a user: a text, or a number in one of the ways in which mongoexport writes it."""
    if isinstance(key, dict):
        (key,) = key.values()
    if isinstance(key, bool) or not _INTEGER.fullmatch(str(key)):
        raise ValueError(key)
    return int(key)


def _text(value: Any) -> str | None:
    return NOT_XML.sub("", value) if isinstance(value, str) else None


def settle(run: Run) -> None:
    """Give users the addresses of their profiles; a disabled user is left without a PIN."""
    users, profiles, execute = staging.users, staging.profiles, run.staging.connection.execute
    same = profiles.c.user_id == users.c.id
    another = sa.and_(same, profiles.c.user_name != users.c.user_name)
    sentence = "The profile with this number is another user's: it is left out."
    _note(run, another, "otherUser", "emailAddress", sentence)
    own = sa.exists().where(same, sa.not_(sa.func.coalesce(another, sa.false())))
    execute(profiles.delete().where(sa.not_(own)))
    _refuse_second_ones(run)
    execute(users.update().where(same).values(email_address=profiles.c.email_address))
    disabled = sa.and_(same, ~profiles.c.enabled, users.c.user_name != SUPERADMIN)
    sentence = "The user is disabled, which cannot be kept: there will be no PIN."
    _note(run, disabled, "disabled", "pin", sentence)
    execute(users.update().where(disabled).values(pin_form=None))


def _refuse_second_ones(run: Run) -> None:
    """Of several profiles of one user, as in exports that were joined, the first one counts."""
    profiles = staging.profiles
    nth = sa.func.row_number().over(partition_by=profiles.c.user_id, order_by=profiles.c.line)
    counted = sa.select(profiles, nth.label("nth")).subquery()
    wanted = sa.select(counted).where(counted.c.nth > 1).order_by(counted.c.line)
    for piece in run.staging.rows(wanted):
        for row in piece:
            entry = Entry(PROFILES, row.user_id, row.user_name or "")
            reason = f"is the number of an earlier profile too; this is line {row.line}"
            run.staging.refuse(entry, errors.invalid_value("_id", str(row.user_id), reason))
        gone = profiles.delete().where(among(profiles.c.line, [row.line for row in piece]))
        run.staging.connection.execute(gone)


def _note(run: Run, which: sa.ColumnElement[bool], code: str, field: str, sentence: str) -> None:
    """Note the same of all users whose profiles are so."""
    users = staging.users
    for piece in run.staging.rows(sa.select(users.c.id, users.c.user_name).where(which)):
        for row in piece:
            run.staging.change(Entry("users", row.id, row.user_name), code, field, sentence)
