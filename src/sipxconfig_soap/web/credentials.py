"""The login in an ``Authorization`` header, and the memory of logins that were right."""

from __future__ import annotations

import base64
import binascii
import math
import secrets
import time
from collections import OrderedDict
from hashlib import blake2b
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple

from sipxconfig_soap.domain.tables import TEXT_LIMIT
from sipxconfig_soap.values import has_control

if TYPE_CHECKING:
    from collections.abc import Callable

    from sipxconfig_soap.domain.accounts import Account

REMEMBERED_SECONDS = 60
"""How long a verified login needs no hashing; what it may do is read at every request all the same.
"""

CAPACITY = 4096
"""Verified logins that are remembered."""

_NOBODY: tuple[float, Account | None] = (-math.inf, None)


class Credentials(NamedTuple):
    """A user name and a PIN as a client sent them, and the header they came in; never logged."""

    user_name: str
    pin: str
    header: str

    @property
    def counted_as(self) -> str:
        """The name under which failures are counted; all impossible ones are one."""
        return self.user_name if self.can_exist else ""

    @property
    def can_exist(self) -> bool:
        """Whether a user of that name is possible at all, and the database can be asked."""
        return len(self.user_name) <= TEXT_LIMIT and not has_control(self.user_name)


def read_basic(header: str | None) -> Credentials | None:
    """Read the header of HTTP Basic (RFC 7617); None when it holds no such credentials.

    They are UTF-8, as our challenge asks, or else ISO-8859-1, which older clients send.
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
    return Credentials(user_name, pin, header) if header and colon else None


class VerifiedLogins:
    """Remembers for a short time which logins were right, without keeping them.

    The key is a hash of the header, keyed with a secret of this process. What is remembered is the
    account, with the hash that the PIN was verified against: another hash in the database is
    another PIN, so nothing has to be forgotten.

    Args:
        clock: seconds that only go forward.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._secret = secrets.token_bytes(32)
        self._lock = Lock()
        self._known: OrderedDict[bytes, tuple[float, Account]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._known)

    def account_of(self, header: str) -> Account | None:
        """Whose login this was not long ago; what became of the account is not known here."""
        until, account = self._known.get(self._key(header), _NOBODY)
        return account if self._clock() < until else None

    def knows(self, header: str, pin_hash: str | None) -> bool:
        """Whether the login was verified against this hash not long ago."""
        account = self.account_of(header)
        return pin_hash is not None and account is not None and account.pin_hash == pin_hash

    def remember(self, header: str, account: Account) -> None:
        """The login has just been verified against the hash of this account."""
        key = self._key(header)
        with self._lock:
            self._known[key] = (self._clock() + REMEMBERED_SECONDS, account)
            self._known.move_to_end(key)
            if len(self._known) > CAPACITY:
                self._known.popitem(last=False)

    def _key(self, header: str) -> bytes:
        return blake2b(header.encode(), key=self._secret, digest_size=32).digest()
