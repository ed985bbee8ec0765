"""Who has sent headers of a proxy without being a trusted one: perhaps a setting was forgotten.

Then all clients have the proxy's address, and one that guesses PINs holds up all (wire.md §7).
What the processes of the server have seen is in the database, where ``doctor`` finds it.
"""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING

import sqlalchemy as sa
import structlog
from sqlalchemy import exc
from sqlalchemy.dialects.postgresql import insert

from sipxconfig_soap.availability import described
from sipxconfig_soap.domain.tables import metadata, text
from sipxconfig_soap.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from sipxconfig_soap.db import Database

_logger = structlog.stdlib.get_logger(__name__)

PAUSE = timedelta(hours=1)
"""How often the log repeats it."""

KEPT = timedelta(days=1)
"""How long ``doctor`` tells of it after the last time."""

untrusted_proxies = sa.Table(
    "untrusted_proxies",
    metadata,
    text("address", nullable=False),
    sa.Column("seen", sa.DateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint("address"),
)

_NOW = sa.func.now()
_ADDRESS = sa.bindparam("address", type_=sa.Text)
_OLD = untrusted_proxies.c.seen < _NOW - KEPT
# A row comes back from the first of all processes that notes it in an hour.
_NOTE = (
    insert(untrusted_proxies)
    .values(address=_ADDRESS, seen=_NOW)
    .on_conflict_do_update(
        index_elements=["address"],
        set_={"seen": _NOW},
        where=untrusted_proxies.c.seen < _NOW - PAUSE,
    )
    .returning(untrusted_proxies.c.address)
    .add_cte(
        untrusted_proxies.delete().where(_OLD, untrusted_proxies.c.address != _ADDRESS).cte("old")
    )
)


class UntrustedProxies:
    """Says and notes, once an hour, that headers of a proxy were not believed.

    Args:
        database: where it is noted.
        clock: seconds that only go forward.
    """

    def __init__(self, database: Database, clock: Callable[[], float] = time.monotonic) -> None:
        self._database = database
        self._clock = clock
        self._quiet_until = -1.0

    def noticed(self, address: str) -> None:
        """Somebody at this address has sent such headers."""
        now = self._clock()
        if now < self._quiet_until:
            return
        self._quiet_until = now + PAUSE.total_seconds()
        try:
            with self._database.connect() as connection:
                is_new = connection.execute(_NOTE, {"address": address}).first() is not None
        except Unavailable:
            is_new = True
        except exc.DBAPIError as error:
            _logger.warning("untrusted proxy not noted", **described(error))
            is_new = True
        if is_new:
            _logger.warning(
                "forwarded headers are not believed: their sender is no trusted proxy",
                address=address,
                setting=f"SIPXCONFIG_TRUSTED_PROXIES={address}",
            )


def seen_lately(connection: sa.Connection) -> Sequence[sa.Row[str, datetime]]:
    """Addresses and times of those who were noted during the last day, the latest first."""
    latest = untrusted_proxies.c.seen.desc()
    return connection.execute(sa.select(untrusted_proxies).where(~_OLD).order_by(latest)).all()
