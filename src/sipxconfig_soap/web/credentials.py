"""The login in an ``Authorization`` header, and the memory of logins that were right."""

from __future__ import annotations

import base64
import binascii
import secrets
import time
from collections import OrderedDict
from hashlib import blake2b
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple

from sipxconfig_soap.domain import accounts
from sipxconfig_soap.domain.tables import TEXT_LIMIT
from sipxconfig_soap.values import has_control

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sipxconfig_soap.domain.accounts import Account
    from sipxconfig_soap.prepared import Step

REMEMBERED_SECONDS = 60
"""How long a verified login needs no hashing; what it may do is read at every request all the same.
"""

CAPACITY = 4096
"""Verified logins that are remembered."""


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


class Remembered(NamedTuple):
    """A login that was right.

    Attributes:
        until: when it is forgotten.
        account: whose login it was, with the hash that the PIN was verified against.
        unchanged: requires that the account is so still.
    """

    until: float
    account: Account
    unchanged: Step


class VerifiedLogins:
    """Remembers for a short time which logins were right, without keeping them.

    The key is a hash of user name and PIN, keyed with a secret of this process; the header that was
    verified is one too, so that who sends the same again need not be taken apart. Another hash in
    the database is another PIN, so nothing has to be forgotten.

    Args:
        clock: seconds that only go forward.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._secret = secrets.token_bytes(32)
        self._lock = Lock()
        self._known: OrderedDict[bytes, Remembered] = OrderedDict()
        self._headers: OrderedDict[bytes, Remembered] = OrderedDict()

    def __len__(self) -> int:
        return max(len(self._known), len(self._headers))

    def of_header(self, header: str) -> Remembered | None:
        """The login that came in this header not long ago, if it did."""
        return self._of(self._headers, header)

    def knows(self, login: Credentials, pin_hash: str | None) -> bool:
        """Whether this login was verified against this hash not long ago, in whatever header."""
        known = self._of(self._known, _joined(login))
        return pin_hash is not None and known is not None and known.account.pin_hash == pin_hash

    def remember(self, login: Credentials, account: Account) -> None:
        """This login has just been verified against the hash of this account."""
        until = self._clock() + REMEMBERED_SECONDS
        remembered = Remembered(until, account, accounts.unchanged(account))
        with self._lock:
            for memory, text in ((self._known, _joined(login)), (self._headers, login.header)):
                key = self._key(text)
                memory[key] = remembered
                memory.move_to_end(key)
                if len(memory) > CAPACITY:
                    memory.popitem(last=False)

    def _of(self, memory: Mapping[bytes, Remembered], text: str) -> Remembered | None:
        known = memory.get(self._key(text))
        return known if known is not None and self._clock() < known.until else None

    def _key(self, text: str) -> bytes:
        return blake2b(text.encode(), key=self._secret, digest_size=32).digest()


def _joined(login: Credentials) -> str:
    # With a length, so that no two logins are the same text.
    return f"{len(login.user_name)}:{login.user_name}{login.pin}"
