"""PgBouncer, set up as the README says, in front of the tests' PostgreSQL."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg2
import sqlalchemy as sa

from sipxconfig_soap.db import SESSION

if TYPE_CHECKING:
    from collections.abc import Iterator

START_SECONDS = 30

_CONFIGURATION = """\
[databases]
* = host={home} port={behind} user={user}{settings}

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = {mode}
max_client_conn = 1000
default_pool_size = 40
log_connections = 0
log_disconnections = 0
"""


@contextmanager
def pgbouncer(directory: Path, server: str, mode: str = "transaction") -> Iterator[sa.URL]:
    """Run it on a free port until the context ends.

    In session mode nothing is set for us.

    Args:
        directory: for its configuration and its log.
        server: URL of a database of the PostgreSQL behind it, which listens on a Unix socket.
        mode: of its pools.

    Yields:
        The URL of that database through PgBouncer.
    """
    behind = sa.make_url(server)
    home = str(behind.query["host"])
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    configuration = directory / "pgbouncer.ini"
    wanted = "".join(f"SET {name} TO {value};" for name, value in SESSION.items())
    settings = f" connect_query='{wanted}'" if mode == "transaction" else ""
    configuration.write_text(
        _CONFIGURATION.format(
            home=home,
            user=behind.username,
            behind=behind.query.get("port", 5432),
            port=port,
            mode=mode,
            settings=settings,
        )
    )
    # Root may run neither of both, and only the owner of the socket may connect to it.
    owner = Path(home).stat()
    who = {"user": owner.st_uid, "group": owner.st_gid} if os.geteuid() == 0 else {}
    with (
        (directory / "pgbouncer.log").open("w") as log,
        configuration.open() as opened,
        subprocess.Popen(
            ["pgbouncer", f"/dev/fd/{opened.fileno()}"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            pass_fds=[opened.fileno()],
            cwd="/",
            **who,
        ) as process,
    ):
        url = behind.set(host="127.0.0.1", port=port, query={})
        try:
            _wait_for(url, directory / "pgbouncer.log")
            yield url
        finally:
            process.terminate()


def _wait_for(url: sa.URL, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            psycopg2.connect(
                host=url.host, port=url.port, user=url.username, dbname=url.database
            ).close()
        except psycopg2.OperationalError:
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        else:
            return
