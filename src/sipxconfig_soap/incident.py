"""Reporting what nobody foresaw, without repeating what a client sent.

The message of an exception may quote a PIN, and PostgreSQL's details quote whole rows. So a report
has the kind of the exception and where it was raised, and of the database's words only its code and
the names of a constraint and a table.
"""

from __future__ import annotations

import random
import traceback

import structlog
from structlog.contextvars import get_contextvars

logger = structlog.stdlib.get_logger(__name__)


def _words_of_database(error: BaseException) -> str:
    """What PostgreSQL says without quoting values, or nothing."""
    diagnosis = getattr(getattr(error, "orig", error), "diag", None)
    if diagnosis is None:
        return ""
    known = (diagnosis.sqlstate, diagnosis.constraint_name, diagnosis.table_name)
    return " ".join(word for word in known if word)


def new_reference() -> str:
    """A number for a request or a report."""
    return f"{random.getrandbits(48):012x}"


def report(error: BaseException) -> str:
    """Log an unforeseen failure; return its reference: the request's number, or a new one."""
    reference = str(get_contextvars().get("request_id") or new_reference())
    stack = "; ".join(
        f"{frame.name} ({frame.filename.rpartition('/')[2]}:{frame.lineno})"
        for frame in traceback.extract_tb(error.__traceback__)
    )
    kind = f"{type(error).__module__}.{type(error).__qualname__}"
    logger.error(
        "internal error",
        reference=reference,
        kind=kind,
        database=_words_of_database(error) or None,
        at=stack,
    )
    return reference
