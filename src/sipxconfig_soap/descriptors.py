"""File descriptors: as many as the system allows, and no more clients than they are enough for."""

from __future__ import annotations

import errno
import math
import os
import resource
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from collections.abc import Iterator

_logger = structlog.stdlib.get_logger(__name__)

CONNECTIONS = 1000
"""Clients that one process holds at most, most of them without a thread."""

OWN = 64
"""Descriptors of a process for itself: its files, pipes, listener and poller."""

OF_A_THREAD = 2
"""Of each thread, beside its client: a connection to the database, and what it waits with."""

PAUSE_SECONDS = 0.1
"""How long a process waits that has no descriptor for a client, before it looks again."""

QUIET_SECONDS = 10.0
"""How long it says nothing more of that."""

_MISSING = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


def prepare(threads: int) -> int:
    """Allow this process, and those that it starts, as many as possible; say when they are few.

    Returns:
        How many clients each of these processes can hold with so many threads.
    """
    allowed = _raise_limit()
    clients = connections_for(allowed, threads)
    if clients < CONNECTIONS:
        _logger.warning(
            "few file descriptors: a process holds fewer clients than it could",
            allowed=allowed,
            clients=clients,
            usual=CONNECTIONS,
            hint="raise the limit: ulimit -n, LimitNOFILE= of systemd",
        )
    return clients


def _raise_limit() -> int:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        # Some systems call a limit infinite that they do not grant.
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return CONNECTIONS * 1000 if soft == resource.RLIM_INFINITY else soft


def connections_for(limit: int, threads: int) -> int:
    """How many clients a process with so many descriptors and threads can hold.

    There is one more than threads in any case, since gunicorn wants it so.
    """
    return max(threads + 1, min(CONNECTIONS, limit - OWN - OF_A_THREAD * threads))


def are_missing(error: BaseException) -> bool:
    """Whether an error says that the system, or this process, can hold no more for the moment."""
    return isinstance(error, OSError) and error.errno in _MISSING


class Shortage:
    """What a process does that has no descriptor for a client: it waits a little, and goes on."""

    def __init__(self) -> None:
        self._quiet_until = -math.inf

    @contextmanager
    def endured(self) -> Iterator[None]:
        """Accept a client in this block, or do without it.

        Raises:
            OSError: it fails for another reason.
        """
        try:
            yield
        except OSError as error:
            if not are_missing(error):
                raise
            if time.monotonic() > self._quiet_until:
                _logger.warning("no new clients for now", reason=os.strerror(error.errno or 0))
            self._quiet_until = time.monotonic() + QUIET_SECONDS
            # The client is still there; to look again at once would keep the processor busy.
            time.sleep(PAUSE_SECONDS)
