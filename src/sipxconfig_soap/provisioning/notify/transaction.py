"""The client transaction of a request other than INVITE over UDP (RFC 3261 §17.1.2).

It knows neither sockets nor clocks: who drives it says what time it is, in seconds on any clock
that only goes forward.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum, auto


@dataclass(frozen=True, slots=True)
class Timers:
    """Seconds.

    Attributes:
        t1: until the request is sent a second time.
        t2: the longest pause between two sendings.
        total: until a transaction is given up.
    """

    t1: float = 0.5
    t2: float = 4.0
    total: float = 32.0


class State(Enum):
    """Of a transaction. What the RFC calls Completed is over for us: the socket is closed."""

    TRYING = auto()
    PROCEEDING = auto()
    OVER = auto()


class Step(Enum):
    """What is to be done when time has passed."""

    WAIT = auto()
    SEND = auto()
    GIVE_UP = auto()


class ClientTransaction:
    """Says when to send again and when to give up; the first sending is taken as done."""

    def __init__(self, timers: Timers, now: float) -> None:
        self._timers = timers
        self._pause = timers.t1
        self._send_at = now + self._pause
        self._end = now + timers.total
        self.state = State.TRYING

    @property
    def due(self) -> float:
        """When `on_time` has something to do; infinite when it is over."""
        return math.inf if self.state is State.OVER else min(self._send_at, self._end)

    def on_time(self, now: float) -> Step:
        """Time has passed."""
        if now < self.due:
            return Step.WAIT
        if now >= self._end:
            self.state = State.OVER
            return Step.GIVE_UP
        longest = self._timers.t2
        self._pause = min(2 * self._pause, longest)
        self._send_at = now + self._pause
        return Step.SEND

    def on_response(self, code: int, now: float) -> None:
        """An answer has come.

        The first provisional one begins a long pause in place of the one that runs, which the RFC
        would let end: who has answered has heard us.
        """
        if code >= 200:
            self.state = State.OVER
        elif self.state is State.TRYING:
            self.state = State.PROCEEDING
            self._pause = self._timers.t2
            self._send_at = now + self._pause
