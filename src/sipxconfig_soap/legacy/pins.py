"""PINs: which form one has in the source, and hashing them on all cores (migration.md §3)."""

from __future__ import annotations

import hashlib
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


def stage(run: Run) -> dict[str, int]:
    """Hash the PINs of all who are taken over; returns how many there were of each form.

    A token is kept inside a hash with the userName and realm that it was made with, and replaced at
    the first login (services.md §3).
    """
    users = staging.users
    wanted = sa.select(users.c.id).where(users.c.has_pin).order_by(users.c.id)
    total = run.staging.count(users, users.c.has_pin)
    pieces = run.staging.rows(wanted)
    ids = (row.id for piece in pieces for row in piece)
    counts = {CLEAR: 0, TOKEN: 0}
    tracked = run.progress.track(ids, "Hashing PINs", total)
    for piece in staging.pieces(tracked):
        run.staging.put(staging.pins, _hashed(run, piece, counts))
    return counts


def _hashed(run: Run, ids: list[int], counts: dict[str, int]) -> Iterator[dict[str, object]]:
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
    realm = run.domain.realm or run.rules.realm
    for row, is_token, made in zip(rows, tokens, pins.hash_all(texts), strict=True):
        counts[TOKEN if is_token else CLEAR] += 1
        kept = pins.of_token(made, row.user_name, realm) if is_token else made
        yield {"user_id": row.user_id, "pin_hash": kept}
