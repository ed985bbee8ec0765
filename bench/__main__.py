"""``python -m bench``: the sides in turn under the same load, round by round, and the report."""

from __future__ import annotations

import itertools
import os
import platform
import re
import shutil
import signal
import statistics
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import click

from bench.sides import FLOOR, SERVER, Side, Wrong, started
from bench.workloads import ALL_USERS, BLOCK, WORKLOADS, Target, Workload, execute, load
from sipxconfig_soap import logs
from sipxconfig_soap.db import Database
from sipxconfig_soap.domain import user_list
from sipxconfig_soap.embedded import EmbeddedPostgres

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

SECONDS = 1
"""Of every load. Loads of two seconds differ as much from each other, so there are more instead."""

FEW, MANY = 1_000, 1_000_000
"""Users between which small calls must not become slower."""

SHORT = {"rounds": 1, "connections": [8], "users": FEW, "longest": 2_000}
"""What ``--short`` measures: enough to see that everything works, and orders of magnitude."""

_GROWTH = Target(1.2, f"times the time of {FEW:,}")
_BEYOND = Target(20, "µs a user more than PostgreSQL")
_BEGINNING = Target(0.5, "s to the first byte")
_MEMORY = Target(64, "MiB that a worker grows by")

_HEADING = f"{'call':<23} {'conn':>4}  {'figure':<22} {'':<31} {'target':<12}  answers per second"

_begins = itertools.count(0, BLOCK)  # Of loads, and of requests that are compared.


@click.command()
@click.option(
    "--rounds", type=click.IntRange(1, 40), default=11, help="How often each is measured."
)
@click.option("--growth", is_flag=True, help="Small calls with a million users, too: minutes more.")
@click.option("--only", multiple=True, metavar="NAME", help="Calls whose name begins so.")
@click.option("--short", is_flag=True, help="A quick look; the figures mean little.")
def main(*, rounds: int, growth: bool, only: tuple[str, ...], short: bool) -> None:
    """Measure the server beside the floor, the least that the same libraries can do, in one run.

    A figure is the median of the rounds, and what they lie between; of two sides it is the ratio
    within a round. What a machine shows that does other things as well means little; nothing fails
    by it.
    """
    logs.setup("warning")
    # Everything that was started is stopped on the way out.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    workloads = [each for each in WORKLOADS if not only or each.name.startswith(only)]
    chosen: dict[str, Any] = SHORT if short else {"rounds": rounds}
    with TemporaryDirectory(prefix="bench-") as name:
        directory = Path(name)
        # Where this is root, PostgreSQL runs as another user.
        directory.chmod(0o711)
        with EmbeddedPostgres(directory / "data") as postgres:
            for line in Run(postgres, **chosen).report(workloads, growth=growth):
                click.echo(line)


@dataclass(frozen=True, slots=True)
class Run:
    """One run; it is a full one unless said otherwise."""

    postgres: EmbeddedPostgres
    rounds: int
    connections: Sequence[int] = (1, 8, 32)
    users: int = 10_000
    longest: int = 100_000  # Users of the longest list.

    def report(self, workloads: Sequence[Workload], *, growth: bool) -> Iterator[str]:
        """Measure, and tell line by line; raises `Wrong` when an answer is."""
        client = "wrk" if shutil.which("wrk") else "our own client, which takes a part of the time"
        yield f"{os.cpu_count()} processors, Python {platform.python_version()}, load by {client}"
        yield f"{self.users:,} users stored, {self.rounds} rounds of {SECONDS} s"
        yield f"\n{_HEADING}"
        if any(each.request == ALL_USERS for each in workloads):
            yield from self._longest_list()
        url = load(self.postgres, "usual", self.users)
        with started(SERVER, url) as server, started(FLOOR, url) as floor:
            sides = {"server": server, "floor": floor}
            for each in workloads:
                check(each, server, floor)
                for connections in (1,) if each.long else self.connections:
                    yield self._side_by_side(each, connections, sides)
                if each.request == ALL_USERS:
                    yield self._beyond_postgresql(server)
        if growth:
            yield from self._growth([each for each in workloads if not each.long])

    def _side_by_side(self, workload: Workload, connections: int, sides: Mapping[str, Side]) -> str:
        """Put both sides under the same load."""
        rates: dict[str, list[float]] = {name: [] for name in sides}
        for number in range(self.rounds):
            # Who comes second finds caches that the first one filled.
            for name in list(sides)[:: 1 if number % 2 == 0 else -1]:
                side = sides[name]
                # wrk gives up what is not answered when the load ends; our client waits for it.
                waits = workload.long or workload.shown_by is not None
                press = side.press_by_threads if waits else side.press
                rate = press(workload.request, connections, SECONDS, next(_begins))
                rates[name].append(rate)
                if workload.shown_by is not None:
                    execute(side.url, "VACUUM users, names, phones, lines")
        return compared(workload.name, connections, rates, workload.target)

    def _beyond_postgresql(self, server: Side) -> str:
        """The time of the list beyond PostgreSQL's own.

        That is the time in which psycopg2 has executed the same statement: then the whole result is
        in memory, and no value of it is an object of Python yet.
        """
        database, statement = Database(server.url, pool_size=1), user_list._statement()
        with database.connect() as connection:

            def beyond() -> float:
                begin = time.perf_counter()
                connection.execute(statement)
                less = time.perf_counter() - begin
                return (server.answer(ALL_USERS).seconds - less) * 1e6 / self.users

            figures = [statistics.median(beyond() for _ in range(3)) for _ in range(self.rounds)]
        database.dispose()
        return row("findUser all", 1, figures, _BEYOND)

    def _longest_list(self) -> Iterator[str]:
        """How soon the longest list begins, and what a worker needs for it."""
        what = f"findUser all {self.longest:,}"
        with started(SERVER, load(self.postgres, "longest", self.longest)) as server:
            server.forget_peaks()
            before = server.peaks()
            begun = [server.answer(ALL_USERS).begun for _ in range(self.rounds)]
            growth = [now - then for now, then in zip(server.peaks(), before, strict=True)]
            # superadmin is a user, too.
            if server.answer(ALL_USERS).content.count(b"<item>") != self.longest + 1:
                raise Wrong(f"{what}: there are not so many.")
        yield row(what, 1, begun, _BEGINNING)
        yield row(what, 1, [max(growth)], _MEMORY)

    def _growth(self, workloads: Sequence[Workload]) -> Iterator[str]:
        """Small calls with many users stored beside the same with few, both at once there."""
        urls = [load(self.postgres, f"users_{users}", users) for users in (MANY, FEW)]
        with started(SERVER, urls[0]) as many, started(SERVER, urls[1]) as few:
            sides = {f"{MANY:,}": many, f"{FEW:,}": few}
            for each in workloads:
                yield self._side_by_side(each._replace(target=_GROWTH), 1, sides)


def compared(
    what: str, connections: int, rates: Mapping[str, Sequence[float]], target: Target
) -> str:
    """The first of two sides beside the other: as the target has it, by rate or by time."""
    ratios = [ours / theirs for ours, theirs in zip(*rates.values(), strict=True)]
    figures = ratios if target.at_least else [1 / each for each in ratios]
    note = ", ".join(f"{name} {_spread(each, 1)}" for name, each in rates.items())
    return row(what, connections, figures, target, note)


def row(
    what: str, connections: int, figures: Sequence[float], target: Target, note: str = ""
) -> str:
    """One line of the report: figures of the rounds, and whether their median meets the target."""
    median = statistics.median(figures)
    met = median >= target.limit if target.at_least else median <= target.limit
    goal = f"{'≥' if target.at_least else '≤'} {target.limit:g}"
    return (
        f"{what:<23} {connections:>4}  {_spread(figures, 2):<22} "
        f"{target.unit:<31} {goal:>5} {'met' if met else 'MISSED':<6}  {note}"
    )


def _spread(values: Sequence[float], digits: int) -> str:
    shown = (f"{each:.{digits}f}" for each in (statistics.median(values), min(values), max(values)))
    return "{} ({} - {})".format(*shown)


def check(workload: Workload, server: Side, floor: Side) -> None:
    """See that server and floor answer alike, and have changed the same."""
    found = []
    for side in (server, floor):
        index = next(_begins) if workload.shown_by else 0
        content = side.answer(workload.request, index).content.decode()
        if workload.shown_by is not None:
            shown = server.answer(workload.shown_by, index).content.decode()
            content += shown.replace(workload.request.number(index), "N")
        # No two hashes are alike.
        found.append(re.sub("<pintoken>[^<]+", "<pintoken>hashed", content))
    if found[0] != found[1]:
        raise Wrong("{}: not alike:\n{}\n{}".format(workload.name, *found))


if __name__ == "__main__":
    main()
