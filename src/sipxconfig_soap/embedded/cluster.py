"""The server process of the embedded PostgreSQL and its data: creating, starting, stopping.

Nothing here keeps two processes from doing so at once; `sipxconfig_soap.embedded.server` does.
"""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import shutil
import stat
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from sipxconfig_soap.directories import temporary_directory, why_not_writable
from sipxconfig_soap.embedded import entry
from sipxconfig_soap.embedded.account import Account, EmbeddedError, Identity, open_way
from sipxconfig_soap.embedded.programs import find_programs, make_readable, run

ROLE = "sipxconfig"
START_SECONDS = 600
"""How long the server may take to start: after a crash it replays what was not written yet."""

_STOP_SECONDS = 60
POLL_SECONDS = 0.1
_LOG_LIMIT = 10 * 1024 * 1024
LOG = "server.log"
"""The server's own log, among its data."""

_TAIL_BYTES = 64 * 1024
_READY = "database system is ready to accept connections"
# Not what it answers to clients while it starts.
_FAILURE = re.compile(r"(?:FATAL|PANIC|: error): +(?!the database system is)(.*)")
_END = re.compile(r"PANIC: .*|received \w+ shutdown request|server process .* was terminated by .*")
_SOCKET = ".s.PGSQL.5432"
# Longest path of a Unix socket on the systems that allow least, without the closing NUL.
_SOCKET_PATH_LIMIT = 103
# The server splits its list of socket directories at commas and knows quotes.
_PLAIN_PATH = re.compile(rb"[A-Za-z0-9/._+@:=-]+\Z")


@dataclass(frozen=True, slots=True)
class Cluster:
    """The data in ``directory`` and the server on them.

    Attributes:
        durable: False gives up safety against a crash of the machine for speed.
        connections: how many clients a server started from here serves at once.
    """

    directory: Path
    durable: bool
    connections: int

    @property
    def exists(self) -> bool:
        """Whether there are data."""
        return (self.directory / "PG_VERSION").exists()

    def running_at(self) -> str | None:
        """The directory of the running server's socket, None if no server is ready."""
        lines = self._server()
        return lines[4] if len(lines) >= 8 and lines[7].strip() == "ready" else None

    def _server(self) -> list[str]:
        """What a server says of itself, be it ready or not yet; nothing if there is none.

        pid, data directory, start time, port, socket directory, address, memory, status: one that
        is just starting does not know all of it.
        """
        with suppress(FileNotFoundError, ValueError):  # there is no number yet
            lines = (self.directory / "postmaster.pid").read_text().splitlines()
            if lines and self._has_open(int(lines[0])):
                return lines
        return []

    def start(self, account: Account | None) -> None:
        """Make sure that a server runs, as ``account`` (None: as this user).

        Raises:
            EmbeddedError: it cannot; the text says why.
        """
        programs = find_programs(self.directory)
        if account is not None:
            make_readable(programs)
            open_way(programs, account)
            open_way(self.directory, account)
        if not self.exists:
            self._create(programs, account)
        if self.running_at() is None:
            socket_directory = self._choose_socket_directory(account)
            self._clear_crash(socket_directory)
            if self.running_at() is None:
                self._launch(programs, account, socket_directory)

    def stop(self, account: Account | None) -> None:
        """Stop the server, if one runs or is being started; its clients are cut off.

        Raises:
            EmbeddedError: it does not stop.
        """
        server = self._server()
        if not server:
            return
        programs = find_programs(self.directory)
        command = [
            *(str(programs / "pg_ctl"), "stop", "-m", "fast", "-w"),
            *("-t", str(_STOP_SECONDS), "-D", str(self.directory)),
        ]
        _run(command, account, _STOP_SECONDS + 10, "stop")
        if len(server) > 4 and Path(server[4]) != self.directory:
            with suppress(OSError):
                Path(server[4]).rmdir()

    def _create(self, programs: Path, account: Account | None) -> None:
        """Run initdb in a directory of its own, so that half-made data never count."""
        unfinished = self.directory.with_suffix(".unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(mode=0o700)
        if account is not None:
            os.chown(unfinished, account.uid, account.gid)
        command = [
            *(str(programs / "initdb"), "-D", str(unfinished), "-U", ROLE),
            *("--auth=trust", "--encoding=UTF8", "--locale=C"),
            *("--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
        ]
        if not self.durable:
            command.append("--no-sync")
        purpose = "create its data"
        if entry.has_entry(account):
            _run(command, account, START_SECONDS, purpose)
        else:
            self._run_without_entry(command, account, purpose)
        unfinished.rename(self.directory)

    def _run_without_entry(self, command: list[str], account: Account | None, purpose: str) -> None:
        """Run initdb for a user who is not in passwd, by the first way that there is."""
        with entry.by_library(account, self.directory.parent) as before:
            try:
                _run([*before, *command], account, START_SECONDS, purpose)
            except EmbeddedError as error:
                if entry.MISSING not in str(error):
                    raise
            else:
                return
        try:
            _run([*entry.by_namespace(), *command], account, START_SECONDS, purpose)
        except EmbeddedError as error:
            if entry.MISSING in str(error) or "unshare" in str(error):
                raise EmbeddedError(f"{error} {entry.WAYS_OUT}") from None
            raise

    def _launch(self, programs: Path, account: Account | None, socket_directory: Path) -> None:
        log = self.directory / LOG
        with suppress(FileNotFoundError):
            if log.stat().st_size > _LOG_LIMIT:
                log.replace(log.with_suffix(".log.1"))
        settings = self._server_settings(socket_directory)
        options = [f"-c{name}={value}" for name, value in settings.items()]
        command = [
            *(str(programs / "pg_ctl"), "start", "-w", "-t", str(START_SECONDS)),
            *("-D", str(self.directory), "-l", str(log), "-o", shlex.join(options)),
        ]
        _run(command, account, START_SECONDS + 10, "start", log)

    def last_words(self) -> str | None:
        """Why the server ended, as far as it could still say so; None if nobody knows."""
        with suppress(OSError), (self.directory / LOG).open("rb") as log:
            log.seek(max(0, log.seek(0, os.SEEK_END) - _TAIL_BYTES))
            # What it said before it was ready, or what it told clients, is another matter.
            _, _, last = log.read().decode(errors="replace").rpartition(_READY)
            return next((found.group().strip() for found in _END.finditer(last)), None)
        return None

    def _server_settings(self, socket_directory: Path) -> dict[str, str]:
        settings = {
            "listen_addresses": "",
            "port": "5432",
            "unix_socket_directories": str(socket_directory),
            "unix_socket_permissions": "0700",
            "max_connections": str(self.connections),
            "timezone": "UTC",
            "log_timezone": "UTC",
            "log_checkpoints": "off",
            # Statements carry what users keep secret; none may reach the log.
            "log_min_error_statement": "panic",
            "log_error_verbosity": "terse",
        }
        if not self.durable:
            settings |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
        return settings

    def _choose_socket_directory(self, account: Account | None) -> Path:
        """The data's own directory, or a private one where that path is too long or strange."""
        if _fits(self.directory):
            return self.directory
        name = f"sipxconfig-{hashlib.sha256(os.fsencode(self.directory)).hexdigest()[:16]}"
        for base in (temporary_directory(), Path("/tmp")):  # noqa: S108 - made private below
            if _fits(base / name):
                _make_private(base / name, account)
                return base / name
        raise EmbeddedError("No directory for a Unix socket was found.")

    def _has_open(self, pid: int) -> bool:
        """Whether a process is a PostgreSQL on these data, a server or one of its helpers."""
        import psutil  # noqa: PLC0415 - comes with the extra, like the server itself

        try:
            process = psutil.Process(pid)
            return process.name() == "postgres" and Path(process.cwd()).samefile(self.directory)
        except (psutil.Error, OSError):
            return False

    def _is_in_use(self) -> bool:
        import psutil  # noqa: PLC0415 - comes with the extra, like the server itself

        return any(self._has_open(pid) for pid in psutil.pids())

    def _clear_crash(self, socket_directory: Path) -> None:
        """Make a start possible after the server was killed or its machine went down.

        Its helpers notice within moments; no other server may open the data before they are
        gone. The number in the lock files may belong to any other process by now, and the new
        server would take that one for its predecessor.
        """
        deadline = time.monotonic() + _STOP_SECONDS
        while self._is_in_use():
            if self.running_at() is not None:
                return
            if time.monotonic() > deadline:
                raise EmbeddedError(
                    f"Processes of a PostgreSQL that has ended still use {self.directory}; "
                    "end them and try again."
                )
            time.sleep(POLL_SECONDS)
        (self.directory / "postmaster.pid").unlink(missing_ok=True)
        (socket_directory / f"{_SOCKET}.lock").unlink(missing_ok=True)


def _fits(socket_directory: Path) -> bool:
    path = os.fsencode(socket_directory / _SOCKET)
    return len(path) <= _SOCKET_PATH_LIMIT and _PLAIN_PATH.match(path) is not None


def _make_private(directory: Path, account: Account | None) -> None:
    """Make a directory that only the server's account can enter; refuse somebody else's."""
    with suppress(FileExistsError):
        directory.mkdir(mode=0o700)
        if account is not None:
            os.chown(directory, account.uid, account.gid)
    found = directory.lstat()
    owner = os.geteuid() if account is None else account.uid
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != owner or found.st_mode & 0o077:
        raise EmbeddedError(f"{directory} belongs to somebody else; remove it and try again.")
    if account is not None:
        open_way(directory, account)


def _run(
    command: list[str],
    account: Account | None,
    seconds: float,
    purpose: str,
    log: Path | None = None,
) -> None:
    """Run a program of PostgreSQL as ``account``, without anything of our environment.

    Args:
        command: the program and its arguments.
        account: who runs it; None is this user.
        seconds: how long it may take.
        purpose: what it does, as it continues "could not".
        log: the file in which the server that it starts says why it does not.

    Raises:
        EmbeddedError: it came to nothing; the text says why.
    """
    who: Identity = {} if account is None else account.for_subprocess()
    before = log.stat().st_size if log is not None and log.exists() else 0
    try:
        code, said = run(
            command,
            seconds,
            cwd="/",
            env={"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"},
            umask=0o077,
            **who,
        )
    except subprocess.TimeoutExpired:
        raise EmbeddedError(
            f"The embedded PostgreSQL did not {purpose} within {seconds:.0f} s."
        ) from None
    if not code:
        return
    reason, advice = _failure(said), ""
    if log is not None:
        # A full disk may be why it has said nothing.
        reason = _failure(_said_in(log, before)) or why_not_writable(log.parent) or reason
        advice = f" Its own log is {log}."
    if reason is None:
        reason = (said.strip(" .\n").splitlines() or ["(no word)"])[-1].strip()
    raise EmbeddedError(f"The embedded PostgreSQL could not {purpose}: {reason}.{advice}")


def _said_in(log: Path, before: int) -> str:
    """What a server has written into its log since that was so long."""
    with suppress(OSError), log.open("rb") as opened:
        opened.seek(before)
        return opened.read(_LOG_LIMIT).decode(errors="replace")
    return ""


def _failure(said: str) -> str | None:
    """The line that says why a program came to nothing; those behind it tell consequences."""
    found = _FAILURE.search(said)
    return found.group(1).strip(" .") if found else None
