"""The many faces of a database that is away, and what the log says of them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import psycopg2
import structlog
from sqlalchemy import exc

from sipxconfig_soap.errors import Unavailable

if TYPE_CHECKING:
    from types import TracebackType

_logger = structlog.stdlib.get_logger(__name__)

DEAD = (psycopg2.OperationalError, psycopg2.InterfaceError)
"""What psycopg2 raises on a connection that has died."""

QUERY_CANCELED = "57014"
"""SQLSTATE of a statement that took longer than it may."""

_AWAY = (exc.OperationalError, exc.InterfaceError, exc.TimeoutError, *DEAD)
_ADDRESS = re.compile(r"connection to server (?:at|on socket) .*? failed: ")


class availability:  # noqa: N801 - a context like contextlib's, which are written so
    """Turn a database that is away into `Unavailable`, and log what it was.

    A class, since a request enters it three times, and contextlib would make a generator each time.
    """

    def __enter__(self) -> None:
        """Nothing is to be done before."""

    def __exit__(
        self, _kind: object, error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        """Look at what was raised, if anything was."""
        if error is None:
            return
        if isinstance(error, _AWAY) or getattr(error, "connection_invalidated", False):
            _logger.warning("database unavailable", **described(error))
            raise Unavailable from error


def sqlstate(error: BaseException | None) -> str | None:
    """PostgreSQL's code of an error; None when it was not PostgreSQL that spoke."""
    state: str | None = getattr(getattr(error, "orig", error), "pgcode", None)
    return state


def described(error: BaseException) -> dict[str, str | None]:
    """What a log line may say of an error: nothing of the URL, and no values."""
    return {"kind": type(error).__name__, "sqlstate": sqlstate(error), "reason": _sentence(error)}


def _sentence(error: BaseException) -> str:
    """The first sentence of PostgreSQL or its client library; details, which quote rows, follow."""
    original = getattr(error, "orig", error)
    lines = str(original).strip().splitlines() or [type(original).__name__]
    return _ADDRESS.sub("", lines[0]).strip()
