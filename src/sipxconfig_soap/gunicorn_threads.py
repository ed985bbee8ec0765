"""Threads that take work from a queue; leaner than those of `concurrent.futures`."""

from __future__ import annotations

import atexit
import threading
import time
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

Work = TypeVar("Work")

STUCK_SECONDS = 0.5
"""See `Threads.is_stuck`."""


class Threads(Generic[Work]):
    """At most so many threads, started when they are needed.

    Args:
        most: how many.
        serve: does a piece of work; must not raise.
    """

    def __init__(self, most: int, serve: Callable[[Work], None]) -> None:
        self._most = most
        self._serve = serve
        self._work: SimpleQueue[Work | None] = SimpleQueue()
        self._idle: SimpleQueue[None] = SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._starting = threading.Lock()
        self._taken = 0.0
        # Work that was begun is finished before the process ends.
        atexit.register(self._finish)

    def put(self, work: Work) -> None:
        """Have a thread do this, after all that was put before."""
        self._work.put(work)
        try:
            self._idle.get_nowait()
        except Empty:
            if len(self._threads) < self._most:
                self._start()

    def is_stuck(self) -> bool:
        """Whether there is work, and no thread has taken any for `STUCK_SECONDS`."""
        return not self._work.empty() and time.monotonic() > self._taken + STUCK_SECONDS

    def is_wanted(self) -> bool:
        """Whether there is work that no thread has taken yet."""
        return not self._work.empty()

    def shutdown(self, *, wait: bool) -> None:
        """End the threads that have nothing to do; the others when they are done.

        Args:
            wait: whether to wait for that.
        """
        for _ in range(self._most):
            self._work.put(None)
        if wait:
            for thread in self._threads:
                thread.join()

    def _finish(self) -> None:
        self.shutdown(wait=True)

    def _start(self) -> None:
        with self._starting:
            if len(self._threads) < self._most:
                name = f"request-{len(self._threads)}"
                thread = threading.Thread(target=self._run, name=name, daemon=True)
                try:
                    thread.start()
                except RuntimeError:
                    # The system has none to spare; the others do the work then.
                    if not self._threads:
                        raise
                else:
                    self._threads.append(thread)

    def _run(self) -> None:
        while (work := self._work.get()) is not None:
            self._taken = time.monotonic()
            self._serve(work)
            del work
            self._idle.put(None)
