"""Measuring: both sides in turn, round by round, under the same load."""

from __future__ import annotations

import re
import statistics
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench import load, usage
from bench.client import Connection
from bench.request import SPARE
from bench.stage import FLOOR, SERVER, SIDES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from bench.client import Answer
    from bench.request import Request
    from bench.stage import Application, Stage
    from bench.workloads import Workload

_SETTLE_SECONDS = 0.5

_SERIES = 10
"""How many series of requests there are before the numbers begin again."""

_OWN = re.compile(rb"<pintoken>[^<]*</pintoken>|\d{7,12}")
"""What two entities that were added alike do not share: hashes, names and serial numbers."""


class Differs(Exception):
    """Server and floor do not answer alike, so nothing can be compared."""


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says.

    Attributes:
        users: how many are stored unless a workload needs another number.
        seconds: of every load.
        rounds: how often both sides are measured.
        connections: the numbers of connections at once.
        fresh: whether server and floor are started anew for every line of the table, without which
            their memory shows what came before, too.
    """

    users: int
    seconds: float
    rounds: int
    connections: Sequence[int]
    fresh: bool = True


@dataclass(frozen=True, slots=True)
class Spread:
    """The median of the rounds, and what they lie between."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Sum the values of the rounds up."""
        return cls(statistics.median(values), min(values), max(values))


@dataclass(frozen=True, slots=True)
class Sample:
    """One side in one round; processor time in milliseconds per request."""

    load: load.Load
    application_cpu: float
    postgres_cpu: float


@dataclass(frozen=True, slots=True)
class SideResult:
    """One side over all rounds; times in milliseconds, memory in bytes.

    Attributes:
        rate: requests per second.
        p50: half of the answers were there within it.
        p99: 99 of 100 were.
        first_byte: half of the answers had begun, by round; None where it was not measured.
        application_cpu: processor time of the application's processes for one request.
        postgres_cpu: likewise of PostgreSQL's.
        resident_before: of the worker that grew most, after it was warmed up.
        resident_after: of the same worker.
        peak_growth: by how much it exceeded what it had before.
        errors: answers other than 200, in all rounds.
    """

    rate: Spread
    p50: float
    p99: float
    first_byte: Spread | None
    application_cpu: float
    postgres_cpu: float
    resident_before: int
    resident_after: int
    peak_growth: int
    errors: int


@dataclass(frozen=True, slots=True)
class Result:
    """One workload at one number of connections.

    Attributes:
        workload: its name.
        connections: at once.
        users: how many were stored.
        answer_bytes: length of an answer's body.
        ratio: the server's requests per second as a part of the floor's, by round.
        server: the server's figures.
        floor: the floor's.
    """

    workload: str
    connections: int
    users: int
    answer_bytes: int
    ratio: Spread
    server: SideResult
    floor: SideResult


def measure(
    stage: Stage, workload: Workload, options: Options, note: Callable[[str], None]
) -> Iterator[Result]:
    """Measure one workload at all its numbers of connections.

    Args:
        stage: what it runs on.
        workload: what is asked.
        options: how long and how often.
        note: is told what is going on.
    """
    stage.store.grow(workload.users or options.users)
    counts = (1,) if workload.listing else (workload.connections or options.connections)
    for connections in counts:
        note(f"{workload.name}, {connections} connections, {stage.store.users:,} users")
        with stage.applications(fresh=options.fresh) as applications:
            yield _Measuring(stage, workload, options, applications).result(connections)


class _Measuring:
    """One workload on running applications."""

    def __init__(
        self,
        stage: Stage,
        workload: Workload,
        options: Options,
        applications: dict[str, Application],
    ) -> None:
        self._stage = stage
        self._workload = workload
        self._options = options
        self._applications = applications

    def result(self, connections: int) -> Result:
        """Check, and measure round by round."""
        memory = {side: _Memory(self._applications[side]) for side in SIDES}
        answer_bytes = self._check()
        samples: dict[str, list[Sample]] = {side: [] for side in SIDES}
        for number in range(self._options.rounds):
            # Who comes second finds caches that the first one filled.
            for place, side in enumerate(SIDES if number % 2 == 0 else reversed(SIDES)):
                # What a load has added late may still be there: the next one has other numbers.
                offset = (2 * number + place) % _SERIES * SPARE
                application = self._applications[side]
                samples[side].append(self._sample(application, connections, offset))
        both = zip(samples[SERVER], samples[FLOOR], strict=True)
        return Result(
            workload=self._workload.name,
            connections=connections,
            users=self._stage.store.users,
            answer_bytes=answer_bytes,
            ratio=Spread.of([own.load.rate / (floor.load.rate or 1) for own, floor in both]),
            server=_summary(samples[SERVER], memory[SERVER]),
            floor=_summary(samples[FLOOR], memory[FLOOR]),
        )

    def _sample(self, application: Application, connections: int, offset: int) -> Sample:
        """Put one side under load."""
        if not self._workload.listing:
            sample = self._pressed(load.press, application, connections, offset)
            if sample.load.answers:
                return sample
        # wrk gives an answer up that takes longer than the load; our client waits for it.
        return self._pressed(load.press_by_client, application, connections, offset)

    def _pressed(
        self,
        press: Callable[..., load.Load],
        application: Application,
        connections: int,
        offset: int,
    ) -> Sample:
        postgres = self._stage.postgres_pid
        before = usage.cpu_seconds(application.pid), usage.cpu_seconds(postgres)
        requests, seconds = self._workload.requests, self._options.seconds
        done = press(application.host, requests, connections, seconds, offset=offset)
        after = usage.cpu_seconds(application.pid), usage.cpu_seconds(postgres)
        if self._workload.writes:
            # wrk does not wait for the last answers.
            time.sleep(_SETTLE_SECONDS)
            self._stage.store.tidy()
        own, others = (
            (late - early) * 1000 / max(done.answers, 1)
            for early, late in zip(before, after, strict=True)
        )
        return Sample(done, own, others)

    def _check(self) -> int:
        """See that both sides answer every request of the workload with the same bytes.

        Raises:
            Differs: they do not.
        """
        length = 0
        for request in dict.fromkeys(self._workload.requests):
            answers = {
                # Far from the numbers of the load; what both add has different numbers.
                side: self._ask(side, request, _SERIES * SPARE + place)
                for place, side in enumerate(SIDES)
            }
            if request.count <= SPARE:
                answers[FLOOR] = self._ask(FLOOR, request, _SERIES * SPARE)
            else:
                self._check_added(request)
            _compare(self._workload.name, answers)
            length = max(length, answers[SERVER].length)
        if self._workload.writes:
            self._stage.store.tidy()
        return length

    def _check_added(self, request: Request) -> None:
        """See that what both sides have just added is found alike."""
        user = request.service == "UserService"
        message, criterion = ("FindUser", "byUserName") if user else ("FindPhone", "bySerialNumber")
        found = {}
        for place, side in enumerate(SIDES):
            number = request.number(_SERIES * SPARE + place).decode()
            search = f"<search><{criterion}>{number}</{criterion}></search>"
            find = type(request)(request.service, f"<con:{message}>{search}</con:{message}>")
            found[side] = self._ask(SERVER, find, 0)
        _compare(f"what {self._workload.name} added", found, but=_OWN)

    def _ask(self, side: str, request: Request, number: int) -> Answer:
        host = self._applications[side].host
        with Connection(host) as connection:
            return connection.exchange(request.bytes_of(host, number), keep=True)


def _compare(
    what: str, answers: dict[str, Answer], *, but: re.Pattern[bytes] | None = None
) -> None:
    """See that two answers are alike and good, but for what a pattern finds."""
    own, floor = answers[SERVER], answers[FLOOR]
    bodies = [but.sub(b"", answer.body) if but else answer.body for answer in (own, floor)]
    if own.status != 200 or own.content_type != floor.content_type or bodies[0] != bodies[1]:
        place = next((i for i, (a, b) in enumerate(zip(*bodies, strict=False)) if a != b), -1)
        begin = max(place - 100, 0)
        raise Differs(
            f"{what}: server {own.status} and floor {floor.status} do not answer alike:\n"
            + "\n".join(repr(body[begin : begin + 300]) for body in bodies)
        )


class _Memory:
    """The resident memory of the workers of one application, from now on."""

    def __init__(self, application: Application) -> None:
        self._application = application
        self._before = {pid: usage.resident(pid) for pid in application.workers()}
        for pid in self._before:
            usage.forget_peak(pid)

    def grown_most(self) -> tuple[int, int, int]:
        """Memory before and now, and growth at its peak, of the worker that grew most."""
        now = self._before.keys() & set(self._application.workers())
        growth = {pid: usage.peak(pid) - self._before[pid] for pid in now}
        pid = max(growth, key=growth.__getitem__)
        return self._before[pid], usage.resident(pid), max(growth[pid], 0)


def _summary(samples: Sequence[Sample], memory: _Memory) -> SideResult:
    loads = [sample.load for sample in samples]
    first_bytes = [each.first_byte * 1000 for each in loads if each.first_byte is not None]
    before, after, growth = memory.grown_most()
    return SideResult(
        rate=Spread.of([each.rate for each in loads]),
        p50=statistics.median(each.p50 for each in loads) * 1000,
        p99=statistics.median(each.p99 for each in loads) * 1000,
        first_byte=Spread.of(first_bytes) if first_bytes else None,
        application_cpu=statistics.median(sample.application_cpu for sample in samples),
        postgres_cpu=statistics.median(sample.postgres_cpu for sample in samples),
        resident_before=before,
        resident_after=after,
        peak_growth=growth,
        errors=sum(each.errors for each in loads),
    )
