"""``sipxconfig-soap worker``, and the one that ``serve`` runs beside the web workers."""

from __future__ import annotations

import os
import signal
import sys
import threading
from contextlib import contextmanager, nullcontext, suppress
from typing import TYPE_CHECKING

import click
import structlog

from sipxconfig_soap import logs
from sipxconfig_soap.cli.database import data_dir_option, open_database
from sipxconfig_soap.cli.output import warn
from sipxconfig_soap.cli.watching import watched
from sipxconfig_soap.directories import why_not_writable
from sipxconfig_soap.settings import SETTINGS, Settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path

    from sipxconfig_soap.db import Database

logger = structlog.stdlib.get_logger(__name__)

CONNECTIONS = 4
"""Of each loop one that listens and one that works."""

WATCHING = 2
"""Connections for who looks at health and metrics."""

RESTART_SECONDS = 2.0
"""Pause before a worker that died is started again."""

STOP_SECONDS = 15.0
"""How long a worker may take for what it is at when it is told to stop."""

_STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


@click.command()
@click.option("--while-input", is_flag=True, hidden=True, help="End when standard input does.")
@data_dir_option
def worker(while_input: bool, data_dir: Path | None) -> None:
    """Carry out jobs: write profiles, restart phones.

    "serve" runs one, unless told not to. Any number of workers share the jobs.
    """
    settings = Settings.load(os.environ, data_dir=data_dir)
    logs.setup(settings.log_level, settings.log_format)
    if not while_input:  # "serve" has said so
        warn_of_pooler(settings)
    with open_database(settings, pool_size=CONNECTIONS + WATCHING, wait=True) as database:
        # So that new folders have their mode at once. To change it afterwards would take the bit
        # from them that hands the group on, where this user is not in the profile root's group.
        os.umask(0o027)
        # From here on, in all threads, the signals wait until they are asked for. A thread that
        # took one would have this one end wherever it is, perhaps with a loop that nobody stops.
        signal.pthread_sigmask(signal.SIG_BLOCK, _STOP_SIGNALS)
        if while_input:
            threading.Thread(target=_end_with_input, daemon=True).start()
        # The one beside a server is watched with it.
        watching = nullcontext() if while_input else _watched(settings, database)
        with watching:
            # Its counters must know by now where they are kept.
            from sipxconfig_soap.jobs.worker import Worker  # noqa: PLC0415 - loads tables, too

            with Worker(database, settings):
                signal.sigwait(_STOP_SIGNALS)


def _watched(settings: Settings, database: Database) -> AbstractContextManager[None]:
    """Let others see how it does, where an address is set for that."""
    from sipxconfig_soap.readiness import why_not_ready  # noqa: PLC0415

    def ready() -> tuple[int, str]:
        reason = why_not_ready(database, settings.profile_root)
        return (200, "ready") if reason is None else (503, f"not ready: {reason}")

    return watched(settings, database, ready)


def warn_of_pooler(settings: Settings) -> None:
    """Say that the worker needs sessions, where they seem to be missing."""
    if settings.database_url and not (settings.prepare_statements or settings.direct_database_url):
        warn(
            "statements are not prepared, as behind a connection pooler in transaction mode, but "
            "the worker needs sessions: name the database itself in "
            "SIPXCONFIG_DIRECT_DATABASE_URL."
        )


def warn_of_profile_root(settings: Settings) -> None:
    """Say that the worker cannot write where it shall."""
    problem = profile_root_problem(settings)
    if problem is not None:
        warn(problem)


def profile_root_problem(settings: Settings) -> str | None:
    """What to say of a profile root into which no file can be written; None if it can."""
    reason = why_not_writable(settings.profile_root)
    return reason and (
        f"the profile directory {settings.profile_root} cannot be written: {reason}; give it to "
        "this user, or name another one in SIPXCONFIG_PROFILE_ROOT."
    )


def _end_with_input() -> None:
    # Not through sys.stdin, whose lock this thread would hold when the interpreter ends.
    while os.read(0, 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


@contextmanager
def beside(options: Mapping[str, object]) -> Iterator[None]:
    """Run a worker in a process of its own for as long as the context lasts.

    One that dies is started again. When this process dies, however suddenly, the worker's standard
    input ends, and so does the worker.

    Args:
        options: those of ``serve``, which count for the worker too.
    """
    given = {
        setting.variable: str(options[setting.field])
        for setting in SETTINGS
        if options.get(setting.field) is not None
    }
    supervisor, owner = _Supervisor(os.environ | given), os.getpid()
    supervisor.start()
    try:
        yield
    finally:
        # Web workers are forks of this process, and leave by the same way.
        if os.getpid() == owner:
            supervisor.stop()


class _Supervisor(threading.Thread):
    """Starts the worker, and starts it again.

    All its workers read the same pipe, in which nothing is ever written. This process alone holds
    the other end, so the pipe ends when this process does.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        super().__init__(name="worker supervisor", daemon=True)
        self._environment = environment
        self._stopping = threading.Event()
        self._worker: int | None = None
        reading, writing = os.pipe()
        self._input, self._life = os.fdopen(reading, "rb"), os.fdopen(writing, "wb")
        # A web worker that is forked must not keep the pipe open when it outlives this process.
        os.register_at_fork(after_in_child=self._life.close)

    def run(self) -> None:
        """Keep a worker running."""
        while not self._stopping.is_set():
            try:
                self._worker = self._start()
            except OSError as error:
                logger.warning("the worker cannot be started", reason=os.strerror(error.errno or 0))
            else:
                # Gunicorn waits for all children of this process, and may be the first.
                with suppress(ChildProcessError):
                    os.waitpid(self._worker, 0)
            # Its number may soon be that of another process.
            self._worker = None
            if not self._stopping.wait(RESTART_SECONDS):
                logger.warning("there is no worker; another one is started")

    def _start(self) -> int:
        # Not by subprocess: the pipe on which that waits would be inherited by a web worker that
        # is forked at the same moment, and then never end.
        return os.posix_spawn(
            sys.executable,
            [sys.executable, "-m", "sipxconfig_soap", "worker", "--while-input"],
            self._environment,
            file_actions=[(os.POSIX_SPAWN_DUP2, self._input.fileno(), 0)],
            # A Ctrl-C is for the server, which then ends its worker.
            setsid=True,
        )

    def stop(self) -> None:
        """End the worker; one that does not end in time is killed, and loses nothing by it."""
        self._stopping.set()
        self._life.close()
        self.join(STOP_SECONDS)
        worker = self._worker
        if worker is not None:
            with suppress(ProcessLookupError):
                os.kill(worker, signal.SIGKILL)
            self.join()
        self._input.close()
