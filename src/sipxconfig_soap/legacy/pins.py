"""PINs: which form one has in the source, and hashing them on all cores (migration.md §3)."""

from __future__ import annotations

import hashlib
from contextlib import closing
from typing import TYPE_CHECKING

import sqlalchemy as sa

from sipxconfig_soap.domain import pins
from sipxconfig_soap.legacy import staging

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sipxconfig_soap.legacy.run import Run

CLEAR, TOKEN = "clear", "token"


def md5(text: str) -> str:
    """The MD5 of a text in UTF-8, in hex digits: how sipXconfig kept what it need not know."""
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def form_of(kept: str | None, user_name: str, realm: str, *, clear: bool) -> tuple[str | None, str]:
    """Which form a PIN has.

    Args:
        kept: the column ``pintoken``.
        user_name: of its user.
        realm: that tokens are made with.
        clear: whether this release keeps PINs in clear text; it may have tokens of earlier ones.

    Returns:
        `CLEAR`, `TOKEN`, or None for one that lets nobody in, with a sentence that says why.
    """
    if not kept:
        return None, "The PIN is empty: nobody can log in with it."
    if pins.is_token(kept):
        if kept.lower() == md5(f"{user_name}:{realm}:"):
            return None, "The PIN is that of an empty text: nobody can log in with it."
        return TOKEN, ""
    if not clear:
        return None, "The PIN is neither clear nor a token: nobody could log in with it."
    if len(kept) > pins.PIN_LIMIT:
        return None, f"The PIN is longer than {pins.PIN_LIMIT} characters: there will be none."
    return CLEAR, ""


def count(run: Run) -> dict[str, int]:
    """How many of those who are taken over have a PIN of which form, or none."""
    form = staging.users.c.pin_form
    wanted = {CLEAR: form == CLEAR, TOKEN: form == TOKEN, "none": form.is_(None)}
    return {name: run.staging.count(staging.users, where) for name, where in wanted.items()}


def stage(run: Run) -> None:
    """Hash the PINs of all who are taken over.

    A token is kept inside a hash with the userName and realm that it was made with, and replaced at
    the first login (services.md §3).
    """
    users = staging.users
    has_one = users.c.pin_form.is_not(None)
    pieces = run.staging.rows(sa.select(users.c.id).where(has_one).order_by(users.c.id))
    ids = (row.id for piece in pieces for row in piece)
    tracked = run.progress.track(ids, "Hashing PINs", run.staging.count(users, has_one))
    for piece in staging.pieces(tracked):
        run.staging.put(staging.pins, _hashed(run, piece))


def _hashed(run: Run, ids: list[int]) -> Iterator[dict[str, object]]:
    users = run.source.table("users")
    of_these = sa.select(users.c.user_id, users.c.user_name, users.c.pintoken).where(
        users.c.user_id.in_(ids)
    )
    rows = list(run.source.rows(of_these))
    tokens = [pins.is_token(row.pintoken) for row in rows]
    texts = [
        row.pintoken.lower() if is_token else row.pintoken
        for row, is_token in zip(rows, tokens, strict=True)
    ]
    with closing(pins.hash_all(texts)) as hashes:
        for row, is_token, made in zip(rows, tokens, hashes, strict=True):
            kept = pins.of_token(made, row.user_name, run.realm) if is_token else made
            yield {"user_id": row.user_id, "pin_hash": kept}
