"""The login in an ``Authorization`` header, and the memory of logins that were right."""

from __future__ import annotations

import base64
import binascii
import secrets
import time
from hashlib import blake2b
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple

from cachetools import TTLCache

from sipxconfig_soap.domain.tables import TEXT_LIMIT
from sipxconfig_soap.values import has_control

if TYPE_CHECKING:
    from collections.abc import Callable

REMEMBERED_SECONDS = 60
"""How long a verified login needs no hashing; what it may do is read at every request all the same.
"""

CAPACITY = 4096
"""Verified logins that are remembered."""


class Credentials(NamedTuple):
    """A user name and a PIN as a client sent them; never logged.

    Attributes:
        user_name: the login.
        pin: what is to prove it.
        counted_as: the name under which failures are counted; "" for a name that no user can have
            (too long, or with control characters), so that the database need not be asked.
    """

    user_name: str
    pin: str
    counted_as: str


def read_basic(header: str | None) -> Credentials | None:
    """Read the header of HTTP Basic (RFC 7617); None when it holds no such credentials.

    They are UTF-8, as our challenge asks, or else ISO-8859-1, which older clients send and
    Werkzeug does not read.
    """
    scheme, _, token = (header or "").strip().partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        raw = base64.b64decode(token.strip(), validate=True)
    except (binascii.Error, ValueError):
        return None
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        text = raw.decode("iso-8859-1")
    user_name, colon, pin = text.partition(":")
    if not colon:
        return None
    possible = len(user_name) <= TEXT_LIMIT and not has_control(user_name)
    return Credentials(user_name, pin, user_name if possible else "")


class VerifiedLogins:
    """Remembers for a short time which logins were right, without keeping them.

    What is kept is a hash of user name, PIN and stored hash, keyed with a secret of this process.
    Another hash in the database is another PIN, so nothing has to be forgotten.

    Args:
        clock: seconds that only go forward.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._secret = secrets.token_bytes(32)
        self._lock = Lock()
        self._known: TTLCache[bytes, None] = TTLCache(CAPACITY, REMEMBERED_SECONDS, timer=clock)

    def __len__(self) -> int:
        return len(self._known)

    def knows(self, login: Credentials, pin_hash: str | None) -> bool:
        """Whether this login was verified against this hash not long ago."""
        if pin_hash is None:
            return False
        with self._lock:
            return self._key(login, pin_hash) in self._known

    def remember(self, login: Credentials, pin_hash: str) -> None:
        """This login has just been verified against this hash."""
        with self._lock:
            self._known[self._key(login, pin_hash)] = None

    def _key(self, login: Credentials, pin_hash: str) -> bytes:
        # As a representation, in which no two logins are the same text.
        text = repr((login.user_name, login.pin, pin_hash))
        return blake2b(text.encode(), key=self._secret, digest_size=32).digest()
