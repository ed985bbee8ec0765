"""What this server shall reach beside the floor, and whether a measurement shows it.

For information only: on a machine that does other things as well a figure means little, and nothing
fails by it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from bench.measure import Spread
from bench.workloads import WORKLOADS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from bench.measure import Result, SideResult

_MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Target:
    """One target and what was measured.

    Attributes:
        workload: its name, or ``growth:`` and the small call that was repeated.
        connections: at once.
        what: the figure, with its unit.
        limit: of the figure.
        at_least: whether the limit is the least; else it is the most.
        measured: the figure.
        met: whether its median keeps the limit.
    """

    workload: str
    connections: int
    what: str
    limit: float
    at_least: bool
    measured: Spread
    met: bool


@dataclass(frozen=True, slots=True)
class Growth:
    """A small call with few and with many users stored.

    Attributes:
        call: which one.
        milliseconds: how long the server takes for one, by the number of users.
        server: the time with most users as a part of the time with fewest. Median over median; the
            spread is that of the rounds with most users.
        floor: the same of the floor, on the same machine at the same time.
        processor: the same of the server's and PostgreSQL's processor time, which depends less on
            what else the machine does.
    """

    call: str
    milliseconds: dict[int, float]
    server: Spread
    floor: Spread
    processor: float


class _Goal(NamedTuple):
    """A target before anything is measured."""

    what: str
    limit: float
    figure: Callable[[Result], Spread]
    at_least: bool = False

    def target(self, result: Result) -> Target:
        return _target(self, result.workload, result.connections, self.figure(result))


def _rate(result: Result) -> Spread:
    return result.ratio


def _time(result: Result) -> Spread:
    return _inverted(result.ratio, 1)


def _first_byte(result: Result) -> Spread:
    found = result.server.first_byte or Spread(0, 0, 0)
    return Spread(found.median / 1000, found.low / 1000, found.high / 1000)


def _memory(result: Result) -> Spread:
    return Spread.of([result.server.peak_growth / _MIB])


_READ = _Goal("requests/s, part of the floor's", 0.8, _rate, at_least=True)
_ADD = _Goal("requests/s, part of the floor's", 0.6, _rate, at_least=True)
_LIST = _Goal("time, part of the floor's", 1.3, _time)
_EDIT = _Goal("time, part of one UPDATE's", 5, _time)
_BEGINNING = _Goal("seconds to the first byte", 0.5, _first_byte)
_MEMORY = _Goal("MiB that a worker grows by", 32, _memory)
_GROWTH = _Goal("time with most users, part of that with fewest", 1.2, _time)

GOALS: dict[str, tuple[_Goal, ...]] = {
    "findUser by name": (_READ,),
    "findUser fuzzy": (_READ,),
    "findUser by group of 100": (_READ,),
    "findPermission all": (_READ,),
    "getCallGroups": (_READ,),
    "findPhone by serial": (_READ,),
    "addUser": (_ADD,),
    "addUser with pintoken": (_ADD,),
    "addPhone": (_ADD,),
    "manageUser of 1,000": (_EDIT,),
    "findUser all 10,000": (_LIST,),
    "findUser all 100,000": (_BEGINNING, _MEMORY),
}
"""By the name of the workload. Growth has its own, which is the same for every call."""

_GROWTH_OF = {each.name: each.growth_of for each in WORKLOADS if each.growth_of}


def targets_of(results: Sequence[Result]) -> list[Target]:
    """The targets of everything that was measured."""
    found = [goal.target(each) for each in results for goal in GOALS.get(each.workload, ())]
    found += [
        _target(_GROWTH, f"growth: {each.call}", 1, each.server) for each in growth_of(results)
    ]
    return found


def growth_of(results: Iterable[Result]) -> list[Growth]:
    """The small calls that were measured with more than one number of users."""
    calls: dict[str, list[Result]] = {}
    for result in results:
        if call := _GROWTH_OF.get(result.workload):
            calls.setdefault(call, []).append(result)
    found = []
    for call, rows in calls.items():
        rows.sort(key=lambda each: each.users)
        few, many = rows[0], rows[-1]
        if few.users < many.users:
            times = {each.users: _inverted(each.server.rate, 1000).median for each in rows}
            server = _inverted(many.server.rate, few.server.rate.median)
            floor = _inverted(many.floor.rate, few.floor.rate.median)
            processor = _processor(many.server) / max(_processor(few.server), 1e-6)
            found.append(Growth(call, times, server, floor, processor))
    return found


def _processor(side: SideResult) -> float:
    """Milliseconds of one request, of all processes."""
    return side.application_cpu + side.postgres_cpu


def _target(goal: _Goal, workload: str, connections: int, measured: Spread) -> Target:
    over = measured.median >= goal.limit
    met = over if goal.at_least else not over or measured.median == goal.limit
    return Target(workload, connections, goal.what, goal.limit, goal.at_least, measured, met)


def _inverted(rate: Spread, by: float) -> Spread:
    """Times from rates; nothing at all counts as very slow."""
    median, low, high = (by / max(each, 1e-6) for each in (rate.median, rate.high, rate.low))
    return Spread(median, low, high)
