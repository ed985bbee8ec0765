"""Debian's PostgreSQL, on a free port of this machine, as an administrator's own one."""

from __future__ import annotations

import os
import pwd
import socket
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

START_SECONDS = 60

PROGRAMS = Path("/usr/lib/postgresql/15/bin")
"""Where Debian has the programs of its PostgreSQL."""

IS_HERE = (PROGRAMS / "initdb").exists()


@contextmanager
def debian_postgres(directory: Path) -> Iterator[str]:
    """Run it until the context ends; the URL of its administrator's database comes of it.

    Args:
        directory: empty; for its data and its sockets. Those who run it must be able to reach it.
    """
    # Root may not run it.
    owner = pwd.getpwnam("postgres") if os.geteuid() == 0 else None
    if owner is not None:
        os.chown(directory, owner.pw_uid, owner.pw_gid)
    who = {} if owner is None else {"user": owner.pw_uid, "group": owner.pw_gid}
    data = directory / "data"

    def run(program: str, *arguments: str) -> None:
        subprocess.run(
            [PROGRAMS / program, "-D", str(data), *arguments],
            check=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            cwd=directory,
            timeout=START_SECONDS,
            **who,  # type: ignore[call-overload]
        )

    run("initdb", "--auth=trust", "--username=postgres", "--encoding=UTF8", "--locale=C.UTF-8")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    options = f"-c listen_addresses=127.0.0.1 -c port={port} -c unix_socket_directories={directory}"
    # Killed servers are part of the tests, a killed PostgreSQL is not: nothing needs to be durable.
    options += " -c fsync=off -c max_connections=200"
    run("pg_ctl", "start", "--wait", "-o", options, "-l", str(directory / "log"))
    try:
        yield f"postgresql+psycopg2://postgres@/postgres?host={directory}&port={port}"
    finally:
        run("pg_ctl", "stop", "--wait", "-m", "immediate")
