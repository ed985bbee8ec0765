"""Addresses from which administrators have logged in: guessing by others does not hold them up.

They are in the database, so that they outlive a process and count in all of them (wire.md §7).
"""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING

import sqlalchemy as sa
import structlog
from cachetools import TTLCache
from sqlalchemy import exc
from sqlalchemy.dialects.postgresql import insert

from sipxconfig_soap.availability import availability, described
from sipxconfig_soap.domain.tables import metadata, owned_by, text
from sipxconfig_soap.domain.users import users

if TYPE_CHECKING:
    from sipxconfig_soap.db import Database

_logger = structlog.stdlib.get_logger(__name__)

KNOWN_DAYS = 90
"""Days after the last login from it for which an address is known, and kept."""

DAY_SECONDS = 86_400
"""How long a process remembers that it has noted a login."""

READ_SECONDS = 60
"""How long it believes what it has read: whoever guesses cannot make it read more often."""

MOST = 1000
"""Addresses of one user that count, the latest ones."""

NOTED = 20_000
READ = 1000
"""How many logins, and addresses of how many names, a process remembers."""

known_addresses = sa.Table(
    "known_addresses",
    metadata,
    owned_by("user_id", "users.id"),
    text("address", nullable=False),
    sa.Column("day", sa.Date, nullable=False),
    sa.PrimaryKeyConstraint("user_id", "address"),
)

_TODAY = sa.func.current_date()
_USER = sa.bindparam("user", type_=sa.BigInteger)
_ADDRESS = sa.bindparam("address", type_=sa.Text)
_MINE = (known_addresses.c.user_id == _USER) & (known_addresses.c.address == _ADDRESS)
_OLD = known_addresses.c.day < _TODAY - KNOWN_DAYS

_NEW = insert(known_addresses).from_select(
    ["user_id", "address", "day"],
    # Nothing is written, not even a lock, for a user who is gone or an address of today.
    sa.select(users.c.id, _ADDRESS, _TODAY)
    .where(users.c.id == _USER)
    .where(~sa.exists().where(_MINE, known_addresses.c.day == _TODAY)),
)
_NOTE = _NEW.on_conflict_do_update(
    index_elements=["user_id", "address"], set_={"day": _NEW.excluded.day}
).add_cte(known_addresses.delete().where(_OLD, ~_MINE).cte("old"))

_ADDRESSES = (
    sa.select(known_addresses.c.address)
    .join(users, users.c.id == known_addresses.c.user_id)
    .where(users.c.user_name == sa.bindparam("login", type_=sa.Text), ~_OLD)
    .order_by(known_addresses.c.day.desc())
    .limit(MOST)
)


class KnownAddresses:
    """What one process knows of them; whoever writes an address also removes those long unused.

    Args:
        database: where they are.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = Lock()
        self._noted: TTLCache[tuple[int, str], None] = TTLCache(NOTED, DAY_SECONDS)
        self._read: TTLCache[str, frozenset[str]] = TTLCache(READ, READ_SECONDS)

    def note(self, connection: sa.Connection, user_id: int, address: str) -> None:
        """A user has logged in; written once a day, and the login counts even if it cannot be.

        Args:
            connection: in autocommit.
            user_id: of the user.
            address: of the client.
        """
        with self._lock:
            if (user_id, address) in self._noted:
                return
            self._noted[user_id, address] = None
        try:
            connection.execute(_NOTE, {"user": user_id, "address": address})
            connection.commit()
        except exc.DBAPIError as error:
            _logger.warning("login not noted", **described(error))
            connection.rollback()
            with self._lock:
                self._noted.pop((user_id, address), None)

    def includes(
        self, user_name: str, address: str, connection: sa.Connection | None = None
    ) -> bool:
        """Whether this user has logged in from this address.

        Args:
            user_name: the login.
            address: of the client.
            connection: in autocommit; None to take one if need be.

        Raises:
            Unavailable: the database is away.
        """
        with self._lock:
            addresses = self._read.get(user_name)
        if addresses is None:
            if connection is None:
                with self._database.connect() as own:
                    addresses = _addresses(own, user_name)
            else:
                addresses = _addresses(connection, user_name)
            with self._lock:
                self._read[user_name] = addresses
        return address in addresses


def _addresses(connection: sa.Connection, user_name: str) -> frozenset[str]:
    with availability():
        return frozenset(connection.scalars(_ADDRESSES, {"login": user_name}))
