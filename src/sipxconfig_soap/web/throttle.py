"""Slows down the guessing of PINs (wire.md §7, "many failures").

Three things are counted, in this process and in bounded memory:

- failures in a row for one user name from one address: from the fifth on, each starts a pause;
- failures from one address in ten minutes: beyond a hundred, the same for all its names;
- failures for one user name in a minute: beyond thirty, only addresses from which this user is
  known to have logged in go on: here during the last day, or according to who asks.

What is refused here is not examined, and counts nowhere.
"""

from __future__ import annotations

import math
import time
from collections import deque
from threading import Lock
from typing import TYPE_CHECKING

from cachetools import LRUCache

if TYPE_CHECKING:
    from collections.abc import Callable

FREE_FAILURES = 5
"""Failures in a row, for one name from one address, that are examined without a pause."""

LONGEST_PAUSE = 30
"""Seconds; pauses last 1, 2, 4 … seconds, but no longer than this."""

QUIET = 600
"""Seconds without a failure after which all is forgotten; also the time over which the failures
of an address are counted."""

ADDRESS_FAILURES = 100
"""Failures of an address within `QUIET` that start no pause for all its names."""

NAME_FAILURES = 30
"""Wrong passwords for one name that are examined within `NAME_SECONDS`."""

NAME_SECONDS = 60
"""See `NAME_FAILURES`."""

LOGIN_REMEMBERED = 86_400
"""Seconds for which an address counts as one from which a user logs in."""

CAPACITY = 20_000
"""Entries of each kind that are kept; beyond that the ones longest untouched are dropped."""

TURNS = 64
"""Locks that names share; two names with the same lock wait for each other's hashing only."""

_Login = tuple[str, str]
"""A user name and an address."""


class _Row:
    """Failures in a row of one name from one address."""

    __slots__ = ("count", "last")

    def __init__(self) -> None:
        self.count = 0
        self.last = 0.0

    def add(self, now: float) -> None:
        self.count = self.count + 1 if now - self.last < QUIET else 1
        self.last = now

    def pause(self, now: float) -> float:
        passed = now - self.last
        if self.count < FREE_FAILURES or passed >= QUIET:
            return 0
        return _length(self.count - FREE_FAILURES) - passed


class _Place:
    """Failures of one address, whatever the name."""

    __slots__ = ("level", "times", "until")

    def __init__(self) -> None:
        self.times: deque[float] = deque(maxlen=ADDRESS_FAILURES + 1)
        self.level = 0
        self.until = 0.0

    def is_over(self, now: float) -> bool:
        return len(self.times) > ADDRESS_FAILURES and now - self.times[0] < QUIET

    def add(self, now: float) -> None:
        self.times.append(now)
        if self.is_over(now):
            self.until = now + _length(self.level)
            self.level += 1
        else:
            self.level = 0

    def end(self) -> None:
        """A login has succeeded; the failures before it still count against the next."""
        self.level = 0
        self.until = 0.0

    def pause(self, now: float) -> float:
        return self.until - now

    def claim(self, now: float) -> None:
        """Let one attempt be examined after a pause; others wait for what comes of it."""
        if self.level and self.is_over(now):
            self.until = now + _length(self.level)


def _length(level: int) -> float:
    """Seconds of a pause: 1, 2, 4 … up to the longest."""
    return min(LONGEST_PAUSE, 2.0 ** min(level, 10))


class Throttle:
    """Decides whether an attempt to log in may be looked at, and learns how it ended.

    Args:
        clock: seconds that only go forward.
        capacity: entries of each kind that are kept.
    """

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, capacity: int = CAPACITY
    ) -> None:
        self._clock = clock
        self._lock = Lock()
        self._rows: LRUCache[_Login, _Row] = LRUCache(capacity)
        self._places: LRUCache[str, _Place] = LRUCache(capacity)
        self._names: LRUCache[str, deque[float]] = LRUCache(capacity)
        self._logins: LRUCache[_Login, float] = LRUCache(capacity)
        self._turns = tuple(Lock() for _ in range(TURNS))

    def turn(self, name: str) -> Lock:
        """The lock to hold from `admit` to the end of the examination.

        Without it, attempts that come at the same moment would all be let through before the
        first of them is known to have failed.
        """
        return self._turns[hash(name) % TURNS]

    def pause(self, name: str, address: str) -> int:
        """Whole seconds that an attempt has to wait; 0 when it may be examined now."""
        with self._lock:
            return self._pause(name, address, self._clock())

    def admit(self, name: str, address: str) -> int:
        """Like `pause`; with 0 the attempt is about to be examined."""
        with self._lock:
            now = self._clock()
            seconds = self._pause(name, address, now)
            place = self._places.get(address)
            if not seconds and place is not None:
                place.claim(now)
            return seconds

    def failed(self, name: str, address: str) -> None:
        """An attempt has been examined, and the password was wrong."""
        with self._lock:
            now = self._clock()
            row = self._rows.get((name, address)) or _Row()
            row.add(now)
            self._rows[name, address] = row
            place = self._places.get(address) or _Place()
            place.add(now)
            self._places[address] = place
            times = self._names.get(name) or deque(maxlen=NAME_FAILURES)
            times.append(now)
            self._names[name] = times

    def succeeded(self, name: str, address: str) -> None:
        """An attempt has been examined, and the password was right."""
        with self._lock:
            self._rows.pop((name, address), None)
            place = self._places.get(address)
            if place is not None:
                place.end()
            self._logins[name, address] = self._clock()

    def is_crowded(self, name: str) -> bool:
        """Whether so many have failed with this name that only known addresses go on."""
        with self._lock:
            return self._pause_of_name(name, None, self._clock()) > 0

    def recall(self, name: str, address: str) -> None:
        """This user has logged in from this address before; its own failures count as ever."""
        with self._lock:
            self._logins[name, address] = self._clock()

    def _pause(self, name: str, address: str, now: float) -> int:
        row = self._rows.get((name, address))
        place = self._places.get(address)
        longest = max(
            row.pause(now) if row is not None else 0,
            place.pause(now) if place is not None else 0,
            self._pause_of_name(name, address, now),
        )
        return max(0, math.ceil(longest))

    def _pause_of_name(self, name: str, address: str | None, now: float) -> float:
        times = self._names.get(name)
        if times is None or len(times) < NAME_FAILURES:
            return 0
        login = None if address is None else self._logins.get((name, address))
        if login is not None and now - login < LOGIN_REMEMBERED:
            return 0
        return NAME_SECONDS - (now - times[0])
