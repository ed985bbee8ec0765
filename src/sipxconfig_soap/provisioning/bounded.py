"""Calling functions in a child process that has so much time and memory and no more.

What an administrator writes into a template may loop for ever or ask for all memory there is, and
nothing stops Python code in its own process for certain. The limits of the child are the kernel's.
"""

from __future__ import annotations

import pickle
import resource
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any, BinaryIO, ParamSpec, Self, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
T = TypeVar("T")

SECONDS = 2.0
"""Processor time that a call may take."""

MEGABYTES = 256
"""Memory that the child may have."""


class TooLong(Exception):
    """Raised within a call that has used up its time, wherever it is."""


class Ended(Exception):
    """The child did not survive the call; the text is a clause that says why."""


class Bounded:
    """A child process that is started when it is first needed; a context manager.

    It is for one thread.
    """

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a function of some module with values that can be pickled.

        Raises:
            Ended: it took more than its time or killed the child in another way.
            Exception: what the function raised, if it is plain.
        """
        if self._process is not None and self._process.poll() is not None:
            # It ended between two calls, which is nobody's fault.
            self.close()
        if self._process is None:
            self._process = subprocess.Popen(  # noqa: S603 - ourselves
                [sys.executable, "-P", "-c", f"from {__name__} import serve; serve()"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )
        process = self._process
        try:
            pickle.dump((function, args, kwargs), _pipe(process.stdin))
            _pipe(process.stdin).flush()
            failed, outcome = pickle.load(_pipe(process.stdout))  # noqa: S301 - from our own child
        except (OSError, EOFError, pickle.UnpicklingError):
            self.close()
            raise Ended(_why(process.returncode)) from None
        except BaseException:
            # It may be at something, and its next answer would be taken for another one.
            process.kill()
            self.close()
            raise
        if failed:
            raise outcome
        result: T = outcome
        return result

    def close(self) -> None:
        """End the child; the next call starts another one."""
        if self._process is not None:
            process, self._process = self._process, None
            # The end of its input is that of its loop; the kernel sees to a call that never ends.
            process.communicate()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _pipe(pipe: Any) -> BinaryIO:
    """A pipe that was asked for, and so is there."""
    found: BinaryIO = pipe
    return found


def _why(code: int) -> str:
    if code == -signal.SIGVTALRM:
        return f"takes more than {SECONDS:g} seconds"
    return f"killed its process, which ended with {code}"


def serve() -> None:
    """What the child does: answer calls until there are no more."""
    requests, answers = sys.stdin.buffer, sys.stdout.buffer
    # What is printed must not get among the answers.
    sys.stdout = sys.stderr
    most = MEGABYTES * 1024 * 1024
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # Who presses Control-C means the parent, which ends us.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGPROF, _too_long)
    while True:
        try:
            function, args, kwargs = pickle.load(requests)  # noqa: S301 - from our own parent
        except EOFError:
            return
        try:
            outcome = _outcome(function, args, kwargs)
        except TooLong as error:  # its time ended just as it did
            outcome = True, error
        pickle.dump(outcome, answers)
        answers.flush()


def _outcome(function: Callable[..., Any], args: Any, kwargs: Any) -> tuple[bool, Any]:
    """Whether a call failed, and what it returned or raised."""
    # The first one interrupts Python code, which then says where it was. What does not come back
    # to Python, such as the power of large numbers, is ended by the second, which kills.
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    signal.setitimer(signal.ITIMER_VIRTUAL, 2 * SECONDS)
    try:
        return False, function(*args, **kwargs)
    except Exception as error:  # noqa: BLE001 - whose it is, the parent knows
        return True, error
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)


def _too_long(_signal: int, _frame: object) -> None:
    raise TooLong(f"takes more than {SECONDS:g} seconds")
