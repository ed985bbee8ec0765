"""What is counted for Prometheus, in the processes that serve.

Where `sipxconfig_soap.cli.watching` has said so, the values of all processes lie in files of one
directory (prometheus_client's multiprocess mode); else nobody asks, and requests and logins are not
counted. Labels are our own words only, never what a client sends, so their number has a limit.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from prometheus_client import Counter, Gauge, Histogram

from sipxconfig_soap.management import COUNTERS

if TYPE_CHECKING:
    from sipxconfig_soap.db import Database

_ASKED = COUNTERS in os.environ
"""Whether there is an address where somebody can ask; this module is loaded when that is known."""

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
"""Seconds between which durations are told apart."""

REQUESTS = Counter(
    "sipxconfig_requests",
    "Requests that were answered or given up, by service, operation and outcome",
    ("service", "operation", "outcome"),
)
REQUEST_SECONDS = Histogram(
    "sipxconfig_request_seconds",
    "Time from the head of a request to the last byte of its answer",
    ("service", "operation"),
    buckets=BUCKETS,
)
_LOGINS = Counter("sipxconfig_logins", "Logins that were looked at, by outcome", ("outcome",))
DATABASE_SECONDS = Histogram(
    "sipxconfig_database_seconds", "Time for one statement, without fetching", buckets=BUCKETS
)
CONNECTIONS = Gauge(
    "sipxconfig_database_connections_in_use",
    "Connections of the pools that requests hold",
    multiprocess_mode="livesum",
)
CONNECTIONS_MOST = Gauge(
    "sipxconfig_database_connections_most",
    "Connections that the pools of all processes have at most",
    multiprocess_mode="livesum",
)

_BY_FAULT = {
    "Server.userException": "refused",
    "Server.unavailable": "unavailable",
    "Server": "error",
}
_BY_STATUS = {401: "unauthorized", 403: "forbidden", 429: "held", 503: "unavailable"}


def outcome(status: int | None, fault: str | None, *, complete: bool) -> str:
    """How a request ended; ``bad`` is what is no call, ``broken`` an answer that broke off.

    Args:
        status: of the answer; None when there was none.
        fault: the code of the SOAP fault, if it was one.
        complete: whether the answer was sent to its end.
    """
    if status is None or not complete:
        return "broken"
    if fault is not None:
        return _BY_FAULT.get(fault, "bad")
    if status < 400:
        return "ok"
    return _BY_STATUS.get(status, "bad" if status < 500 else "error")


def count_request(service: str, operation: str, ended: str, seconds: float) -> None:
    """Count a request and its time; see `outcome` for how it ended."""
    if _ASKED:
        REQUESTS.labels(service, operation, ended).inc()
        REQUEST_SECONDS.labels(service, operation).observe(seconds)


def count_login(ended: str) -> None:
    """Count a login: ``right``, ``wrong``, ``forbidden`` or ``held``."""
    if _ASKED:
        _LOGINS.labels(ended).inc()


def watch(database: Database, most: int) -> None:
    """Count the time of statements, and the connections that are in use.

    Args:
        database: of this process.
        most: connections that its pool has at most.
    """
    engine = database.reads
    CONNECTIONS_MOST.set(most)
    sa.event.listen(engine, "before_cursor_execute", _begin)
    sa.event.listen(engine, "after_cursor_execute", _end)
    sa.event.listen(engine, "checkout", lambda *_: CONNECTIONS.inc())
    sa.event.listen(engine, "checkin", lambda *_: CONNECTIONS.dec())


_CONTEXT = 4
"""The place of a statement's context in what SQLAlchemy tells of it."""


def _begin(*event: Any) -> None:
    context = event[_CONTEXT]
    context.began = time.perf_counter()


def _end(*event: Any) -> None:
    context = event[_CONTEXT]
    DATABASE_SECONDS.observe(time.perf_counter() - context.began)
