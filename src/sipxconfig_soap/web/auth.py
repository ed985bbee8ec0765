"""Who may call: HTTP Basic over users and their PINs (wire.md §7)."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import structlog

from sipxconfig_soap import metrics
from sipxconfig_soap.availability import availability
from sipxconfig_soap.domain import accounts, pins
from sipxconfig_soap.errors import Unavailable
from sipxconfig_soap.transactions import change, without_transactions
from sipxconfig_soap.web.credentials import Credentials, VerifiedLogins, read_basic
from sipxconfig_soap.web.forwarded import UNKNOWN, place_of
from sipxconfig_soap.web.responses import Refusal, plain

if TYPE_CHECKING:
    from collections.abc import Callable

    import sqlalchemy as sa

    from sipxconfig_soap.domain.accounts import Account
    from sipxconfig_soap.domain.known_addresses import KnownAddresses
    from sipxconfig_soap.web.request import Request
    from sipxconfig_soap.web.responses import Response
    from sipxconfig_soap.web.throttle import Throttle

_logger = structlog.stdlib.get_logger(__name__)


class Gate:
    """Lets administrators in.

    Args:
        realm: what clients are told they log in to.
        throttle: slows down guessing.
        verified: remembers logins that were right.
        known: the addresses of good logins.
    """

    def __init__(
        self, realm: str, throttle: Throttle, verified: VerifiedLogins, known: KnownAddresses
    ) -> None:
        self._challenge = f'Basic realm="{realm}", charset="UTF-8"'
        self._throttle = throttle
        self._verified = verified
        self._known = known

    def login_of(self, request: Request) -> Credentials:
        """The login in a request, which may be looked at now.

        Raises:
            Refusal: with 401 or 429. The database has not been asked, or no more than whether this
                address is known where many fail with the name.
            Unavailable: the database is away.
        """
        login = read_basic(request.header("HTTP_AUTHORIZATION"))
        if login is None:
            raise Refusal(self._unauthorized())
        self._hold(self._throttle.pause, login, place_of(request.address))
        return login

    def authenticate(self, login: Credentials, address: str, connection: sa.Connection) -> Account:
        """Find out which administrator calls.

        The user is looked at on every request, so that another PIN, a lost permission and a deleted
        user count at once; a PIN that was right a moment ago is not hashed again.

        Args:
            login: of the request.
            address: of the client.
            connection: in autocommit.

        Raises:
            Refusal: with 401, 403 or 429.
            Unavailable: the database is away.
        """
        account, name = None, login.counted_as
        if name:  # nobody's is empty
            with availability():
                account = accounts.find_account(connection, login.user_name)
        if account is None or not self._verified.knows(login, account.pin_hash):
            account = self._examine(login, account, address, connection)
        place = place_of(address)
        self._throttle.succeeded(name, place)
        if account is None or not account.administrator:
            metrics.count_login("forbidden")
            raise Refusal(plain(403, "This user is not an administrator."))
        if place != UNKNOWN:
            self._known.note(connection, account.id, place)
        metrics.count_login("right")
        return account

    def _examine(
        self, login: Credentials, account: Account | None, address: str, connection: sa.Connection
    ) -> Account | None:
        """Check a PIN, one attempt for a name at a time; an unknown user's takes as long.

        Returns the account with the hash that is stored now.
        """
        with self._throttle.turn(login.counted_as):
            stored = None if account is None else account.pin_hash
            # While waiting, the same login may have been found right, or its name paused.
            if self._verified.knows(login, stored):
                return account
            place = place_of(address)
            self._hold(self._throttle.admit, login, place, connection)
            verdict = pins.verify_pin(login.pin, stored)
            if account is None or stored is None or not verdict.ok:
                self._throttle.failed(login.counted_as, place)
                metrics.count_login("wrong")
                # A name that is nobody's may well be a PIN in the wrong field.
                name = account.user_name if account else None
                _logger.warning("login failed", user=name, address=address)
                raise Refusal(self._unauthorized())
            if verdict.rehash:
                stored = _rehash(login, account, connection)
            self._verified.remember(login, stored)
            return account._replace(pin_hash=stored)

    def _hold(
        self,
        ask: Callable[[str, str], int],
        login: Credentials,
        place: str,
        connection: sa.Connection | None = None,
    ) -> None:
        """Refuse an attempt that comes too soon after failed ones."""
        name = login.counted_as
        seconds = ask(name, place)
        # What others do with a name does not concern a place that is known to have it.
        if (
            seconds
            and self._throttle.is_crowded(name)
            and self._known.includes(name, place, connection)
        ):
            self._throttle.recall(name, place)
            seconds = ask(name, place)
        if seconds:
            metrics.count_login("held")
            sentence = f"Too many failed logins. Try again in {seconds} s."
            raise Refusal(plain(429, sentence, [("Retry-After", str(seconds))]))

    def _unauthorized(self) -> Response:
        return plain(401, "Log in as an administrator.", [("WWW-Authenticate", self._challenge)])


def _rehash(login: Credentials, account: Account, connection: sa.Connection) -> str:
    """Store the PIN with today's parameters; the login counts even if that cannot be done now."""
    new_hash = pins.hash_pin(login.pin)
    with suppress(Unavailable):
        change(connection, lambda each: accounts.replace_hash(each, account, new_hash))
        # What the request reads now is not to hold a snapshot until its answer is sent.
        without_transactions(connection)
    return new_hash
