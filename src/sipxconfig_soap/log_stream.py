"""Standard error as a stream that nobody waits for without end.

Who reads our log may stop reading: a service manager that hangs, a terminal that is held. When the
pipe is full, a usual stream blocks, with the lock of the log held, and so the whole server.
"""

from __future__ import annotations

import os
import select
import socket
import stat
import time
import weakref
from contextlib import suppress
from typing import TYPE_CHECKING, TextIO

import structlog

if TYPE_CHECKING:
    from collections.abc import Callable

PATIENCE_SECONDS = 2.0
"""How long a line waits for a reader; when it has waited in vain, those after it do not."""

# What is written to a pipe in one go, so that no other process's line comes between (PIPE_BUF).
_PIECE = 512 if not hasattr(select, "PIPE_BUF") else select.PIPE_BUF


class PatientStream:
    """What `logging.StreamHandler` writes to; its lock keeps threads from writing at a time.

    Other processes write to the same pipe, terminal or socket. So that it is ready promises
    nothing: when the others have filled it meanwhile, a write fails instead of blocking.

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
        self._socket: socket.socket | None = None
        self._open_anew()
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
            taken = self._take(left[:_PIECE], until)
            if not taken:
                self._patient = False
                self._lost += 1
                self._torn = self._torn or len(left) < len(whole)
                return
            left = left[taken:]
        self._patient, self._torn = True, False
        if self._lost:
            lost, self._lost = self._lost, 0
            structlog.stdlib.get_logger(__name__).warning("log lines were lost", count=lost)

    def _take(self, piece: memoryview, until: float) -> int:
        """Write some of a piece; the bytes written, 0 when nobody has read in time."""
        # To ask first costs as much as to write.
        ready = self._never_blocks
        while ready or self._poll.poll(max(0.0, until - self._clock()) * 1000):
            ready = False
            with suppress(BlockingIOError):
                if self._socket is not None:
                    return self._socket.send(piece, socket.MSG_DONTWAIT)
                return os.write(self._descriptor, piece)
            if self._clock() >= until:
                break
        return 0

    def _open_anew(self) -> None:
        """Find the way to write that never blocks.

        To set O_NONBLOCK on standard error itself would set it for all who share it, such as the
        shell. Where it cannot be opened anew (no /proc, or not our user's), only asking before
        helps, against all but other processes.
        """
        mode = os.fstat(self._descriptor).st_mode
        self._never_blocks = stat.S_ISSOCK(mode) or stat.S_ISREG(mode)
        if stat.S_ISSOCK(mode):
            self._socket = socket.socket(fileno=os.dup(self._descriptor))
            weakref.finalize(self, self._socket.close).atexit = False
        elif stat.S_ISFIFO(mode) or os.isatty(self._descriptor):
            flags = os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
            with suppress(OSError):
                self._descriptor = os.open(f"/proc/self/fd/{self._descriptor}", flags)
                self._never_blocks = True
                weakref.finalize(self, os.close, self._descriptor).atexit = False
