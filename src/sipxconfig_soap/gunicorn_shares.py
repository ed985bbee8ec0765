"""How many connections each process has, for all of them to see, so that each takes its share.

All processes wait for clients on one socket, and whoever wakes first takes the next one. Of clients
that come at the same moment one process would often take all, and the other processors be idle.
"""

from __future__ import annotations

import mmap

PLACES = 256
"""Processes that are told apart."""

_NO_PLACE = -1


class Shares:
    """The numbers, in memory that is shared by all processes forked after it was made."""

    def __init__(self) -> None:
        size = PLACES * 4
        self._counts = memoryview(mmap.mmap(-1, size)).cast("i")
        for place in range(PLACES):
            self._counts[place] = _NO_PLACE

    def note(self, age: int, count: int) -> None:
        """This process has so many connections, and takes more.

        Args:
            age: gunicorn's number of the process, counted up from 1.
            count: of its connections.
        """
        self._counts[age % PLACES] = count

    def forget(self, age: int) -> None:
        """This process takes no connections, at least for now."""
        self._counts[age % PLACES] = _NO_PLACE

    def is_ahead(self, age: int) -> bool:
        """Whether another process has fewer connections than this one."""
        own = self._counts[age % PLACES]
        return any(0 <= count < own for count in self._counts)
