"""PINs: hashed with argon2id, checked in bounded numbers at a time (wire.md §7).

The parameters stand here and nowhere else; a hash made with others is made anew at the next login.
"""

from __future__ import annotations

import os
import secrets
import string
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NamedTuple

from passlib.context import CryptContext
from passlib.hash import argon2

if TYPE_CHECKING:
    from collections.abc import Callable

TIME_COST = 2
"""Passes over the memory."""

MEMORY_COST = 19 * 1024
"""KiB of memory for one hash."""

PARALLELISM = 1
"""Lanes of one hash."""

HASH_LIMIT = 255
"""Characters of a stored hash."""

PIN_LIMIT = 255
"""Characters of a PIN."""

CHECKSUM_BYTES = 32
"""Length of what is compared in a hash."""

LEAST_SALT_BYTES = 8
"""Length of a salt that argon2 takes."""

_COSTS = (MEMORY_COST, TIME_COST, PARALLELISM)
_context = CryptContext(
    schemes=["argon2"],
    argon2__type="ID",
    argon2__time_cost=TIME_COST,
    argon2__memory_cost=MEMORY_COST,
    argon2__parallelism=PARALLELISM,
)

_LETTERS_AND_DIGITS = string.ascii_letters + string.digits


class _Hashers:
    """The threads that hash: no more than there are cores.

    Hashing takes a core and 19 MiB, which the thread that did it keeps for the next time.
    """

    def __init__(self) -> None:
        self._start()
        # Threads do not survive a fork.
        os.register_at_fork(after_in_child=self._start)

    def _start(self) -> None:
        self._threads = ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="hashing")

    def run(self, work: Callable[..., Any], *arguments: str) -> Any:
        """Do this work when its turn has come, and wait for it."""
        return self._threads.submit(work, *arguments).result()


_hashers = _Hashers()


class Verdict(NamedTuple):
    """What came of checking a PIN.

    Attributes:
        ok: it is the one that was hashed.
        rehash: it is, but the hash was made with other parameters than today's.
    """

    ok: bool
    rehash: bool


def hash_pin(pin: str) -> str:
    """Hash a PIN."""
    hashed: str = _hashers.run(_context.hash, pin)
    return hashed


_UNKNOWN: str = _context.hash(secrets.token_hex())
"""What the PIN of nobody is checked against, so that it takes as long as somebody's."""


def verify_pin(pin: str, stored: str | None) -> Verdict:
    """Check a PIN against a stored hash; without one (None) it takes as long and is wrong.

    So it does when the PIN is longer than any that can be set.
    """
    if len(pin) > PIN_LIMIT:
        pin, stored = pin[:PIN_LIMIT], None
    right = bool(_hashers.run(_context.verify, pin, stored or _UNKNOWN))
    ok = right and stored is not None
    return Verdict(ok, ok and bool(_context.needs_update(stored)))


def _costs(text: str) -> tuple[int, int, int] | None:
    """Memory, passes and lanes of a hash of our kind; None when it is none."""
    if len(text) > HASH_LIMIT or not text.startswith("$argon2id$v=19$"):
        return None
    try:
        parsed = argon2.from_string(text)
    except (TypeError, ValueError):
        return None
    # What is not written as the library writes it is not what it can check.
    if len(parsed.checksum or b"") != CHECKSUM_BYTES or parsed.to_string() != text:
        return None
    costs = int(parsed.memory_cost), int(parsed.rounds), int(parsed.parallelism)
    return costs if len(parsed.salt) >= LEAST_SALT_BYTES and costs[0] >= 8 * costs[2] else None


def is_hash(text: str) -> bool:
    """Whether a text is a hash of our kind, one that a PIN can be checked against."""
    return _costs(text) is not None


def is_costlier(text: str) -> bool:
    """Whether checking against this hash would cost more than against one of ours."""
    costs = _costs(text)
    return costs is not None and any(
        cost > limit for cost, limit in zip(costs, _COSTS, strict=True)
    )


def random_text(length: int) -> str:
    """Random letters and digits, from the system's source for secrets."""
    return "".join(secrets.choice(_LETTERS_AND_DIGITS) for _ in range(length))
