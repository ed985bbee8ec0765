"""Directories of others: whether they can be written, and where something temporary can be."""

from __future__ import annotations

import os
import tempfile
import threading
import time
from concurrent.futures import Future
from pathlib import Path

_IN_MEMORY = Path("/dev/shm")  # noqa: S108 - files there are made as by tempfile anywhere else
_PIECE = bytes(4096)


class NoTemporaryDirectory(Exception):
    """Nothing temporary can be written; the text says what to do."""


ANSWER_SECONDS = 3.0
"""How long a directory may take to answer; one of a file server that is away never does."""


THREAD = "directory"
"""The name of threads that wait for a directory."""


class _Askers:
    """Threads that ask directories, one for each that is being asked."""

    def __init__(self) -> None:
        self._start()
        # Threads do not survive a fork.
        os.register_at_fork(after_in_child=self._start)

    def _start(self) -> None:
        self._lock = threading.Lock()
        self._asked: dict[Path, tuple[Future[str | None], float]] = {}

    def ask(self, directory: Path) -> str | None:
        """What it answers; who asks meanwhile gets the same, and waits no longer than the first.

        Raises:
            TimeoutError: it has not answered in time.
        """
        with self._lock:
            asked = self._asked.get(directory)
            if asked is None:
                answer: Future[str | None] = Future()
                look = (directory, answer)
                threading.Thread(target=self._look, args=look, name=THREAD, daemon=True).start()
                asked = self._asked[directory] = answer, time.monotonic() + ANSWER_SECONDS
        answer, until = asked
        return answer.result(max(0.0, until - time.monotonic()))

    def _look(self, directory: Path, answer: Future[str | None]) -> None:
        reason, failure = None, None
        try:
            reason = _why_not_writable(directory)
        except Exception as error:  # noqa: BLE001 - it is raised where somebody waits
            failure = error
        # Who asks after an answer asks anew, so the answer comes last.
        with self._lock:
            del self._asked[directory]
        if failure is None:
            answer.set_result(reason)
        else:
            answer.set_exception(failure)


_askers = _Askers()


def why_not_writable(directory: Path) -> str | None:
    """The reason why no file can be written in a directory, None if it can.

    Of a directory that is missing it is the reason why it cannot be made. Nothing is left behind.
    Who waits for a file server that is away cannot be called back: so it is a thread that waits,
    and no other is sent after it.
    """
    try:
        return _askers.ask(directory)
    except TimeoutError:
        return f"it does not answer within {ANSWER_SECONDS:g} s"


def _why_not_writable(directory: Path) -> str | None:
    try:
        nearest = next(each for each in (directory, *directory.parents) if each.exists())
        with tempfile.TemporaryFile(dir=nearest) as file:
            # On a full disk a file can be made, but nothing written into it.
            file.write(_PIECE)
            file.flush()
    except OSError as error:
        return error.strerror or type(error).__name__
    return None


def temporary_directory() -> Path:
    """A directory for what is temporary; `tempfile` takes the same from now on.

    Raises:
        NoTemporaryDirectory: there is none.
    """
    try:
        return Path(tempfile.gettempdir())
    except FileNotFoundError:
        if why_not_writable(_IN_MEMORY):
            raise NoTemporaryDirectory(
                "Nothing temporary can be written, neither in the usual directories nor in "
                f"{_IN_MEMORY}: name a directory that can be written in TMPDIR."
            ) from None
    tempfile.tempdir = str(_IN_MEMORY)
    return _IN_MEMORY
