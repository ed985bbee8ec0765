"""File descriptors: as many as the system allows, and no more clients than they are enough for."""

from __future__ import annotations

import errno
import resource
from contextlib import suppress

import structlog

_logger = structlog.stdlib.get_logger(__name__)

CONNECTIONS = 1000
"""Clients that one process holds at most, most of them without a thread."""

OWN = 64
"""Descriptors of a process for itself: its files, pipes, listener and poller."""

OF_A_THREAD = 2
"""Of each thread, beside its client: a connection to the database, and what it waits with."""

EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
"""Errors of a system, or a process, that can hold no more clients for the moment."""


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
