"""PINs: hashed with argon2id, checked in bounded numbers at a time (wire.md §7).

The parameters stand here and nowhere else; a hash made with others is made anew at the next login.

sipXecs up to 4.4 kept a token instead: the MD5 of ``userName:realm:PIN``. Of a token we keep a hash
too, with the userName and realm behind it. It is made anew at the next login like one with other
parameters, since only then the PIN is known.
"""

from __future__ import annotations

import binascii
import hashlib
import os
import re
import secrets
import string
from base64 import b64decode, b64encode
from concurrent.futures import Future, ThreadPoolExecutor, wait
from queue import SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Any, NamedTuple

from passlib.context import CryptContext
from passlib.hash import argon2

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

TIME_COST = 2
"""Passes over the memory."""

MEMORY_COST = 19 * 1024
"""KiB of memory for one hash."""

PARALLELISM = 1
"""Lanes of one hash."""

HASH_LIMIT = 2048
"""Characters of a stored hash: room for a userName and a realm of 255 characters each."""

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

_ARGON2ID = "$argon2id$v=19$"
_ARGON2_LIMIT = 255
_TOKEN = re.compile("[0-9a-fA-F]{32}")
_MARK = "$md5="
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

    def each(self, work: Callable[[str], Any], texts: Sequence[str]) -> Generator[Any, None, None]:
        """Do this work for each text; nothing more is begun when the iterator is closed.

        The executor is asked by a thread, not by the caller. Ctrl-C may come in the middle of a
        method of the executor, and leave a lock held for which its threads then wait for ever.
        """
        done: SimpleQueue[Future[Any]] = SimpleQueue()
        wanted = True

        def ask() -> None:
            try:
                for each in [self._threads.submit(work, text) for text in texts]:
                    if wanted:
                        wait([each])
                    else:
                        each.cancel()
                    done.put(each)
            except Exception as error:  # noqa: BLE001 - it is raised where somebody waits
                failed: Future[Any] = Future()
                failed.set_exception(error)
                done.put(failed)

        Thread(target=ask, name="hashing for a command", daemon=True).start()
        try:
            for _ in texts:
                yield done.get().result()
        finally:
            wanted = False


_hashers = _Hashers()


class Verdict(NamedTuple):
    """What came of checking a PIN.

    Attributes:
        ok: it is the one that was hashed.
        rehash: it is, but the hash was made with other parameters than today's, or of a token.
    """

    ok: bool
    rehash: bool


def hash_pin(pin: str) -> str:
    """Hash a PIN."""
    hashed: str = _hashers.run(_context.hash, pin)
    return hashed


def hash_all(texts: Sequence[str]) -> Generator[str, None, None]:
    """Hash many PINs, on all cores; the hashes come in the order of the PINs.

    Close it when no more are wanted, as after Ctrl-C: the program ends when hashing does.
    """
    return _hashers.each(_context.hash, texts)


def is_token(text: str) -> bool:
    """Whether a text is a token of sipXecs up to 4.4: 32 hex digits."""
    return _TOKEN.fullmatch(text) is not None


def hash_token(token: str, user_name: str, realm: str) -> str:
    """Hash a token, to be kept in place of the hash of the PIN that it was made of.

    Args:
        token: see `is_token`.
        user_name: with which it was made, whatever the user is called later.
        realm: likewise; each of 255 characters at most.
    """
    return of_token(hash_pin(token.lower()), user_name, realm)


def of_token(hashed: str, user_name: str, realm: str) -> str:
    """The hash of a token, in lower case, as it is stored: see `hash_token`."""
    made_with = b64encode(f"{user_name}:{realm}".encode()).decode()
    return f"{hashed}{_MARK}{made_with}"


def _random_base64(length: int) -> str:
    return b64encode(secrets.token_bytes(length)).decode().rstrip("=")


_UNKNOWN = (
    f"{_ARGON2ID}m={MEMORY_COST},t={TIME_COST},p={PARALLELISM}"
    f"${_random_base64(16)}${_random_base64(CHECKSUM_BYTES)}"
)
"""What the PIN of nobody is checked against, so that it takes as long as somebody's.

It is no PIN's. It is not hashed, so that no command begins with that.
"""


def verify_pin(pin: str, stored: str | None) -> Verdict:
    """Check a PIN against a stored hash; without one (None) it takes as long and is wrong.

    So it does when the PIN is longer than any that can be set, or empty, which means none: a hash
    or a token that was brought along may be that of an empty PIN.
    """
    if not 0 < len(pin) <= PIN_LIMIT:
        pin, stored = pin[:PIN_LIMIT], None
    hashed, is_of_token, made_with = (stored or _UNKNOWN).partition(_MARK)
    if is_of_token:
        made_of = b64decode(made_with) + b":" + pin.encode()
        pin = hashlib.md5(made_of, usedforsecurity=False).hexdigest()
    right = bool(_hashers.run(_context.verify, pin, hashed))
    ok = right and stored is not None
    return Verdict(ok, ok and (bool(is_of_token) or bool(_context.needs_update(hashed))))


def _costs(text: str) -> tuple[int, int, int] | None:
    """Memory, passes and lanes of a hash of our kind; None when it is none."""
    hashed, is_of_token, made_with = text[: HASH_LIMIT + 1].partition(_MARK)
    if len(text) > HASH_LIMIT or len(hashed) > _ARGON2_LIMIT or not hashed.startswith(_ARGON2ID):
        return None
    if is_of_token and not _is_made_with(made_with):
        return None
    try:
        parsed = argon2.from_string(hashed)
    except (TypeError, ValueError):
        return None
    # What is not written as the library writes it is not what it can check.
    if len(parsed.checksum or b"") != CHECKSUM_BYTES or parsed.to_string() != hashed:
        return None
    costs = int(parsed.memory_cost), int(parsed.rounds), int(parsed.parallelism)
    return costs if len(parsed.salt) >= LEAST_SALT_BYTES and costs[0] >= 8 * costs[2] else None


def _is_made_with(text: str) -> bool:
    """Whether this is userName and realm as `of_token` writes them."""
    try:
        decoded = b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return False
    return b":" in decoded and b64encode(decoded).decode() == text


def is_hash(text: str) -> bool:
    """Whether a text is a hash of our kind, one that a PIN can be checked against."""
    return _costs(text) is not None


def is_hash_of_pin(text: str) -> bool:
    """Whether a text is a hash of our kind, and of the PIN itself, not of a token."""
    return _MARK not in text and is_hash(text)


def is_costlier(text: str) -> bool:
    """Whether checking against this hash would cost more than against one of ours."""
    costs = _costs(text)
    return costs is not None and any(
        cost > limit for cost, limit in zip(costs, _COSTS, strict=True)
    )


def random_text(length: int) -> str:
    """Random letters and digits, from the system's source for secrets."""
    return "".join(secrets.choice(_LETTERS_AND_DIGITS) for _ in range(length))
