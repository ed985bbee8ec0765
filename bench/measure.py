"""Measuring: the sides in turn, round by round, under the same load."""

from __future__ import annotations

import itertools
import statistics
import time
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

from bench import data, load
from bench.floor import ALL_USERS as STATEMENT
from bench.stage import FLOOR, SERVER, Side, forget_peak, resident
from bench.workloads import ALL_USERS, BLOCK, WORKLOADS, Target
from sipxconfig_soap.db import Database

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from bench.load import Load
    from bench.stage import Application, Stage
    from bench.workloads import Workload

FEW, MANY = 1_000, 1_000_000
"""Users between which small calls must not become slower."""

_GROWTH, _BEYOND, _BEGINNING, _MEMORY = Target(1.2), Target(20), Target(0.5), Target(64)


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the report: figures of the rounds, and what they shall reach."""

    what: str
    connections: int
    figures: Sequence[float]
    unit: str
    target: Target
    note: str = ""

    def __str__(self) -> str:
        goal = f"{'≥' if self.target.at_least else '≤'} {self.target.limit:g}"
        verdict = "met" if self.target.met(statistics.median(self.figures)) else "MISSED"
        return (
            f"{self.what:<23} {self.connections:>4}  {_spread(self.figures, 2):<22} "
            f"{self.unit:<31} {goal:>5} {verdict:<6}  {self.note}"
        )


def _spread(values: Sequence[float], digits: int) -> str:
    shown = (f"{each:.{digits}f}" for each in (statistics.median(values), min(values), max(values)))
    return "{} ({} - {})".format(*shown)


def compared(
    what: str, connections: int, loads: Mapping[str, Sequence[Load]], target: Target
) -> Row:
    """The first of two sides beside the other: as the target has it, by rate or by time."""
    rates = {name: [each.rate for each in each_load] for name, each_load in loads.items()}
    _, other = rates
    ratios = [ours / theirs for ours, theirs in zip(*rates.values(), strict=True)]
    note = ", ".join(f"{name} {_spread(each, 1)}" for name, each in rates.items())
    if target.at_least:
        return Row(what, connections, ratios, f"of the rate of {other}", target, note)
    times = [1 / each for each in ratios]
    return Row(what, connections, times, f"times the time of {other}", target, note)


@dataclass(frozen=True, slots=True)
class Measuring:
    """One run."""

    stage: Stage
    users: int
    longest: int  # Users of the longest list.
    rounds: int
    seconds: int  # Of every load.
    connections: Sequence[int]
    growth: bool = False
    only: tuple[str, ...] = ()  # How the names of calls begin; else all of them.
    _begins: Iterator[int] = field(default_factory=lambda: itertools.count(0, BLOCK))

    def rows(self) -> Iterator[Row]:
        """Measure everything; `load.Wrong` when an answer is."""
        workloads = [each for each in WORKLOADS if not self.only or each.name.startswith(self.only)]
        if any(each.request == ALL_USERS for each in workloads):
            # Before anything is added to the same database.
            yield from self._longest_list()
        url = self.stage.database(self.users)
        sides = {"server": Side(SERVER, url), "floor": Side(FLOOR, url)}
        with self.stage.running(sides) as running:
            for each in workloads:
                self._check(each, running)
                for connections in (1,) if each.long else self.connections:
                    loads = self._pressed(each, running, connections)
                    yield compared(each.name, connections, loads, each.target)
                if each.request == ALL_USERS:
                    yield self._beyond_postgresql(running["server"], url)
        if self.growth:
            yield from self._growth([each for each in workloads if not each.long])

    def _pressed(
        self, workload: Workload, running: Mapping[str, Application], connections: int
    ) -> dict[str, list[Load]]:
        """The loads of every side, by round."""
        # wrk gives an answer up that takes longer than the load; our client waits for it.
        press = load.by_threads if workload.long else load.press
        loads: dict[str, list[Load]] = {name: [] for name in running}
        for number in range(self.rounds):
            # Who comes second finds caches that the first one filled.
            for name in list(running)[:: 1 if number % 2 == 0 else -1]:
                host, begin = running[name].host, next(self._begins)
                loads[name].append(press(host, workload.request, connections, self.seconds, begin))
                if workload.shown_by is not None:
                    time.sleep(0.3)  # wrk does not wait for the last answers
                    data.execute(running[name].url, "VACUUM users, names, phones, lines")
        return loads

    def _check(self, workload: Workload, running: Mapping[str, Application]) -> None:
        """See that server and floor answer alike, and have changed the same."""
        found = []
        for name in ("server", "floor"):
            index = next(self._begins) if workload.shown_by else 0
            content = canonical(load.answer(running[name].host, workload.request, index))
            if workload.shown_by is not None:
                shown = canonical(load.answer(running["server"].host, workload.shown_by, index))
                content += shown.replace(workload.shown_by.number(index), "N")
            found.append(content)
        if found[0] != found[1]:
            raise load.Wrong("{}: not alike:\n{}\n{}".format(workload.name, *found))

    @staticmethod
    def _list(server: Application) -> Load:
        return load.by_threads(server.host, ALL_USERS, connections=1, seconds=0, index=0)

    def _beyond_postgresql(self, server: Application, url: str) -> Row:
        """The time of the list beyond PostgreSQL's own.

        That is the time in which psycopg2's plain cursor has executed the same statement: then the
        whole result is in memory, and no value of it is an object of Python yet.
        """
        database = Database(url, pool_size=1)
        compiled = STATEMENT.compile(database.reads)
        figures = []
        with database.connect() as connection, closing(connection.connection.cursor()) as cursor:
            for _ in range(self.rounds):
                own = statistics.median(self._list(server).seconds for _ in range(3))
                less = statistics.median(_seconds(cursor, compiled) for _ in range(3))
                figures.append((own - less) * 1e6 / self.users)
        database.dispose()
        return Row("findUser all", 1, figures, "µs a user more than PostgreSQL", _BEYOND)

    def _longest_list(self) -> Iterator[Row]:
        """How soon the longest list begins, and what a worker needs for it."""
        what = f"findUser all {self.longest:,}"
        with self.stage.running({"": Side(SERVER, self.stage.database(self.longest))}) as running:
            (server,) = running.values()
            before = {pid: resident(pid) for pid in server.workers()}
            for pid in before:
                forget_peak(pid)
            first = [self._list(server).first_bytes[0] for _ in range(self.rounds)]
            growth = [resident(pid, "VmHWM") - before[pid] for pid in before]
            # superadmin is a user, too.
            if load.answer(server.host, ALL_USERS, 0).count(b"<item>") != self.longest + 1:
                raise load.Wrong(f"{what}: there are not so many.")
        yield Row(what, 1, first, "s to the first byte", _BEGINNING)
        yield Row(what, 1, [max(growth)], "MiB that a worker grows by", _MEMORY)

    def _growth(self, workloads: Sequence[Workload]) -> Iterator[Row]:
        """Small calls with many users stored beside the same with few, both at once there."""
        databases = {f"{users:,}": self.stage.database(users) for users in (MANY, FEW)}
        sides = {name: Side(SERVER, url) for name, url in databases.items()}
        with self.stage.running(sides) as running:
            for each in workloads:
                yield compared(each.name, 1, self._pressed(each, running, 1), _GROWTH)


def _seconds(cursor: Any, compiled: Any) -> float:
    begin = time.perf_counter()
    cursor.execute(str(compiled), compiled.params)
    return time.perf_counter() - begin


def canonical(content: bytes) -> str:
    """An answer however it is written; without hashes, of which no two are alike."""
    root = ET.fromstring(content)  # noqa: S314 - our own server's
    for hashed in root.iter("pintoken"):
        hashed.text = hashed.text and "hashed"
    return ET.canonicalize(ET.tostring(root, encoding="unicode"), rewrite_prefixes=True)
