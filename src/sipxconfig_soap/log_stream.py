"""Standard error as a stream that nobody waits for without end.

Who reads our log may stop reading: a service manager that hangs, a terminal that is held. When the
pipe is full, a usual stream blocks, with the lock of the log held, and so the whole server.
"""

from __future__ import annotations

import os
import select
import time
from typing import TYPE_CHECKING, TextIO

import structlog

if TYPE_CHECKING:
    from collections.abc import Callable

PATIENCE_SECONDS = 2.0
"""How long a line waits for a reader; when it has waited in vain, those after it do not."""

# What POSIX lets be written without blocking to a pipe that is ready (PIPE_BUF).
_PIECE = 512 if not hasattr(select, "PIPE_BUF") else select.PIPE_BUF


class PatientStream:
    """What `logging.StreamHandler` writes to; its lock keeps threads from writing at a time.

    Args:
        stream: with a descriptor, standard error as a rule.
        clock: seconds that only go forward.
    """

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._clock = clock
        self._descriptor = stream.fileno()
        self._poll = select.poll()
        self._poll.register(self._descriptor, select.POLLOUT)
        self._patient = True
        self._torn = False
        self._lost = 0

    def isatty(self) -> bool:
        """Whether somebody looks at it directly."""
        return self._stream.isatty()

    def flush(self) -> None:
        """Nothing is kept back."""

    def write(self, text: str) -> None:
        """Write some lines, or lose them when nobody reads."""
        # What stands there of a line that was lost on the way is to end.
        text = f"\n{text}" if self._torn else text
        whole = left = memoryview(text.encode("utf-8", "backslashreplace"))
        until = self._clock() + (PATIENCE_SECONDS if self._patient else 0.0)
        while left:
            if not self._poll.poll(max(0.0, until - self._clock()) * 1000):
                self._patient = False
                self._lost += 1
                self._torn = self._torn or len(left) < len(whole)
                return
            left = left[os.write(self._descriptor, left[:_PIECE]) :]
        self._patient, self._torn = True, False
        if self._lost:
            lost, self._lost = self._lost, 0
            structlog.stdlib.get_logger(__name__).warning("log lines were lost", count=lost)
