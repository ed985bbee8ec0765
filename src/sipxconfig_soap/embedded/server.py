"""Sharing the embedded server among the programs that use it.

Whoever uses the server holds a shared lock on a file beside the data; who is the last to let go
stops the server. The kernel frees the lock of a killed process, so nothing stale is left behind.
A server whose users were all killed goes on running, and the next user takes it over.
"""

from __future__ import annotations

import fcntl
import os
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Self

import psycopg2
from sqlalchemy.engine import URL

from sipxconfig_soap.embedded.account import Account, EmbeddedError, account_for
from sipxconfig_soap.embedded.cluster import POLL_SECONDS, ROLE, Cluster

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DATABASE = "sipxconfig"

ANSWER_SECONDS = 30
"""How long a server that is started may take to answer."""


class EmbeddedPostgres:
    """The PostgreSQL server in ``data_dir``/postgresql, as one of its users sees it.

    Args:
        data_dir: made if missing, with access for its owner only.
        durable: False gives up safety against a crash of the machine for speed; for tests.
        connections: how many the server must be able to serve, if this call starts it.
    """

    def __init__(self, data_dir: Path, *, durable: bool = True, connections: int = 100) -> None:
        self._data_dir = data_dir
        self._cluster = Cluster(
            data_dir / "postgresql", durable=durable, connections=max(connections, 100)
        )
        self._hold: int | None = None
        self._owner_pid = 0
        self._busy = threading.Lock()
        self._stopping = False

    @property
    def exists(self) -> bool:
        """Whether there are data already."""
        return self._cluster.exists

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> str:
        """Make sure that the server runs, creating data on first use; return `url`.

        Raises:
            EmbeddedError: it cannot run; the text says why and what to do.
        """
        self._stopping = False
        try:
            # Under root another user runs the server, and has to pass through.
            mode = 0o711 if os.geteuid() == 0 else 0o700
            self._data_dir.mkdir(mode=mode, parents=True, exist_ok=True)
            account = self._account()
            with self._starting_or_stopping(account):
                self._hold_on(account)
                try:
                    self._start(account)
                except BaseException:
                    self._let_go()
                    raise
        except OSError as error:
            raise EmbeddedError(
                f"The data directory {self._data_dir} cannot be used: {error.strerror}. "
                "Choose another with SIPXCONFIG_DATA_DIR or --data-dir."
            ) from error
        return self.url()

    @property
    def is_running(self) -> bool:
        """Whether the server runs and is ready."""
        return self._cluster.running_at() is not None

    def last_words(self) -> str | None:
        """Why the server ended, as its log says; None if it does not."""
        return self._cluster.last_words()

    def start_again(self) -> None:
        """Start the server on the data that are there, if it has died since `start`.

        Raises:
            EmbeddedError: it cannot run, or is told to stop, or the data are gone.
            OSError: the data directory cannot be used.
        """
        if not self.exists:
            raise EmbeddedError(f"There are no data in {self._data_dir} any more.")
        account = self._account()
        with self._starting_or_stopping(account):
            self._start(account)

    def url(self, database: str = DATABASE) -> str:
        """A SQLAlchemy URL of a database of the running server.

        Raises:
            EmbeddedError: it does not run.
        """
        return URL.create(
            "postgresql+psycopg2",
            username=ROLE,
            database=database,
            query={"host": self._socket_directory()},
        ).render_as_string(hide_password=False)

    def stop(self) -> None:
        """Let go of the server, and stop it if nobody else uses it.

        A start by another thread is broken off. Does nothing in a process that was forked from the
        one that called `start`.
        """
        if self._hold is None or os.getpid() != self._owner_pid:
            return
        self._stopping = True
        self._let_go()
        # If the data were deleted, the server stops by itself.
        with suppress(FileNotFoundError):
            account = self._account()
            while self._busy.locked():
                # Who waits for the server to be ready, maybe for minutes, sees it end and lets go.
                # It may not even be there yet, so this is tried until then.
                with self._if_unused(account) as unused:
                    if not unused:
                        return
                    with suppress(EmbeddedError):
                        self._cluster.stop(account)
                time.sleep(POLL_SECONDS)
            with self._if_unused(account) as unused:
                if not unused:
                    return  # without waiting for a start by one of the others
            with self._starting_or_stopping(account), self._if_unused(account) as unused:
                if unused:
                    self._cluster.stop(account)

    def _account(self) -> Account | None:
        return account_for(self._cluster.directory if self.exists else self._data_dir)

    @contextmanager
    def _starting_or_stopping(self, account: Account | None) -> Iterator[None]:
        """Keep all other processes and threads from starting or stopping meanwhile.

        The lock on the file belongs to the process, not to the descriptor: a web worker that is
        forked meanwhile does not get it, and cannot keep it after we have let go. But it does not
        keep threads of one process apart, and is gone as soon as any of them closes the file. So
        no thread may open it without the other lock.
        """
        with self._busy:
            descriptor = _open_lock(self._data_dir / "postgresql.lock", account)
            try:
                fcntl.lockf(descriptor, fcntl.LOCK_EX)
                yield
            finally:
                os.close(descriptor)

    def _hold_on(self, account: Account | None) -> None:
        self._let_go()
        descriptor = _open_lock(self._data_dir / "postgresql.users", account)
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        self._hold, self._owner_pid = descriptor, os.getpid()

    def _let_go(self) -> None:
        if self._hold is not None:
            # By closing alone, a forked process that still has the file would keep the lock.
            fcntl.flock(self._hold, fcntl.LOCK_UN)
            os.close(self._hold)
            self._hold = None

    @contextmanager
    def _if_unused(self, account: Account | None) -> Iterator[bool]:
        """Find out whether nobody uses the server; if so, nobody begins to until the end.

        Who starts it waits for that end. So no lock may be waited for meanwhile.
        """
        descriptor = _open_lock(self._data_dir / "postgresql.users", account)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
        finally:
            os.close(descriptor)

    def _start(self, account: Account | None) -> None:
        """Start the server until it answers: one that was just killed still looks alive."""
        deadline = time.monotonic() + ANSWER_SECONDS
        while True:
            if self._stopping:
                raise EmbeddedError("The embedded PostgreSQL is told to stop.")
            self._cluster.start(account)
            try:
                self._create_database()
            except (psycopg2.OperationalError, EmbeddedError) as error:
                if time.monotonic() > deadline:
                    reason = str(error).splitlines()[0]
                    raise EmbeddedError(
                        f"The embedded PostgreSQL does not answer: {reason}."
                    ) from error
                time.sleep(POLL_SECONDS)
            else:
                return

    def _create_database(self) -> None:
        connection = psycopg2.connect(
            host=self._socket_directory(), port=5432, user=ROLE, dbname="postgres"
        )
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", (DATABASE,))
                if cursor.fetchone() is None:
                    cursor.execute(f"CREATE DATABASE {DATABASE} ENCODING 'UTF8' TEMPLATE template0")
        finally:
            connection.close()

    def _socket_directory(self) -> str:
        directory = self._cluster.running_at()
        if directory is None:
            raise EmbeddedError(f"No PostgreSQL runs in {self._cluster.directory}.")
        return directory


def _open_lock(path: Path, account: Account | None) -> int:
    # Not through a link, by which the owner of the directory would be given a file of root's.
    how = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    descriptor = os.open(path, how, 0o600)
    if account is not None:
        os.fchown(descriptor, account.uid, account.gid)
    return descriptor
