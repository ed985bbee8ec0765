"""What Prometheus reads: the counters of all processes, the jobs in the database, and the build."""

from __future__ import annotations

import platform
import threading
import time
from itertools import product
from typing import TYPE_CHECKING, TypeVar

import sqlalchemy as sa
from prometheus_client import CollectorRegistry, make_wsgi_app
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector
from sqlalchemy import exc

from sipxconfig_soap import __version__, incident
from sipxconfig_soap.domain import jobs
from sipxconfig_soap.errors import Unavailable
from sipxconfig_soap.readiness import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from wsgiref.types import WSGIApplication

    from prometheus_client import Metric

    from sipxconfig_soap.db import Database

    Summary = dict[tuple[str, str], tuple[int, float]]

T = TypeVar("T")

FRESH_SECONDS = 5
"""How long the numbers of jobs count, so that many who read are one client of the database."""


def exposition(directory: str, database: Database) -> WSGIApplication:
    """The application that answers ``/metrics``.

    Args:
        directory: where all processes keep what they count.
        database: with the jobs; used for one statement at a time.
    """
    registry = CollectorRegistry()
    MultiProcessCollector(registry, path=directory)  # type: ignore[no-untyped-call]
    registry.register(_Surroundings(database))
    app: WSGIApplication = make_wsgi_app(registry)
    return app


class _Surroundings(Collector):
    """What no process counts, since it is there to be read."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._read_at = 0.0
        self._found: Summary | None = None
        self._answers = False

    def collect(self) -> Iterator[Metric]:
        """Read it."""
        build = GaugeMetricFamily(
            "sipxconfig_build", "The program that runs", labels=("version", "python")
        )
        build.add_metric((__version__, platform.python_version()), 1)
        yield build
        found, answers = self._look()
        yield GaugeMetricFamily(
            "sipxconfig_database_up", "Whether the database answers", float(answers)
        )
        number = GaugeMetricFamily(
            "sipxconfig_jobs",
            "Jobs that have not ended, or ended within a day, by kind and state",
            labels=("kind", "state"),
        )
        oldest = GaugeMetricFamily(
            "sipxconfig_jobs_oldest_seconds",
            "Age of the oldest job that has not ended",
            labels=("kind", "state"),
        )
        # While the database is away nobody knows, and 0 would be a lie.
        known = product(jobs.KINDS, jobs.STATES) if found is not None else ()
        for kind, state in known:
            count, age = (found or {}).get((kind, state), (0, 0.0))
            number.add_metric((kind, state), count)
            if state in jobs.UNFINISHED:
                oldest.add_metric((kind, state), age)
        yield number
        yield oldest

    def _look(self) -> tuple[Summary | None, bool]:
        """The jobs, None while nobody knows; and whether the database answers."""
        with self._lock:
            if time.monotonic() - self._read_at >= FRESH_SECONDS:
                self._found = self._try(_summary)
                # What takes too long is no database that is away.
                self._answers = self._found is not None or self._try(_one) is not None
                self._read_at = time.monotonic()
            return self._found, self._answers

    def _try(self, work: Callable[[sa.Connection], T]) -> T | None:
        try:
            return self._database.change(work)
        except Unavailable:
            return None
        except exc.DBAPIError as error:
            incident.report(error)
            return None


def _summary(connection: sa.Connection) -> Summary:
    connection.execute(PATIENCE)
    return {(row.kind, row.state): (row.number, row.age) for row in jobs.summary(connection)}


def _one(connection: sa.Connection) -> int:
    connection.execute(PATIENCE)
    return connection.execute(sa.select(sa.literal(1))).scalar_one()
