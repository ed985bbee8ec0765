"""A real Kamailio with the file of deploy/kamailio, beside a real server on Debian's PostgreSQL."""

from __future__ import annotations

import os
import random
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import requests
import sqlalchemy as sa

from sipxconfig_soap import schema
from sipxconfig_soap.db import Database
from tests.support.cli import Cli
from tests.support.client import ADMINISTRATOR, Response
from tests.support.debian_postgres import IS_HERE, debian_postgres
from tests.support.server import serve
from tests.support.soap import Soap
from tests.support.system import System
from tests.support.worker import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.support.server import RunningServer

CONFIGURATION = Path(__file__).parents[2] / "deploy" / "kamailio" / "kamailio.cfg"
_SEARCHED = "/usr/sbin:/usr/bin:/sbin:/bin"
KAMAILIO = shutil.which("kamailio", path=_SEARCHED)
_MODULES = list(Path("/usr/lib").glob("*/kamailio/modules/db_postgres.so"))

needs_kamailio = pytest.mark.skipif(
    not (KAMAILIO and _MODULES and shutil.which("sipp") and IS_HERE),
    reason="needs Debian's kamailio, kamailio-postgres-modules, sip-tester and postgresql-15",
)

DOMAIN = "pbx.example.com"
SERVER, PHONES, GATEWAY = "127.0.0.1", "127.0.0.2", "127.0.0.3"
"""Addresses on loopback: of the server and Kamailio, of phones and strangers, of a gateway."""


class OverHttp:
    """What `Soap` sends requests through, to a server in a process of its own."""

    def __init__(self, server: RunningServer) -> None:
        self._url = server.url
        self._session = requests.Session()
        self._session.auth = ADMINISTRATOR

    def request(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> Response:
        answer = self._session.request(method, self._url + path, data=body, headers=headers)
        named = {name.lower(): value for name, value in answer.headers.items()}
        return Response(answer.status_code, named, answer.content, named.pop("x-request-id"))


@dataclass(frozen=True)
class Exchange:
    """All that makes calls possible, but the phones.

    Attributes:
        system: the server's operations, over HTTP.
        port: where Kamailio listens on `SERVER`, UDP and TCP.
        database_url: of the server.
        reader_url: of the views, as Kamailio has it.
        directory: for files of a test.
        process: Kamailio.
        log: what it says.
    """

    system: System
    port: int
    database_url: str
    reader_url: str
    directory: Path
    process: subprocess.Popen[bytes]
    log: Path


def free_port(address: str = SERVER) -> int:
    """A port that is free for UDP and TCP, and so is the next one, which is for TLS.

    None of those that the system gives to clients, who might take it meanwhile.
    """
    while True:
        port = random.randrange(20_000, 32_000)
        try:
            with (
                socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
                socket.create_server((address, port)),
                socket.create_server((address, port + 1)),
            ):
                udp.bind((address, port))
                return port
        except OSError:
            continue


@contextmanager
def kamailio(
    directory: Path, reader_url: str, port: int, **defines: str
) -> Iterator[subprocess.Popen[bytes]]:
    """Run Kamailio in the foreground until the context ends.

    Args:
        directory: for its files; its log is ``kamailio.log`` there.
        reader_url: of the database, as ``sip-role`` prints it.
        port: to listen on, UDP and TCP.
        defines: what a local file says beside that, by name.
    """
    assert KAMAILIO is not None
    shutil.copy(CONFIGURATION, directory / "kamailio.cfg")
    values = {
        "DATABASE": f'"pbx=>{reader_url}"',
        # The phones of a test have one address.
        "NO_LIMIT": f'"{PHONES}"',
    } | defines
    local = [f"#!define {name} {value}" for name, value in values.items()]
    local += [f"listen={each}:{SERVER}:{port}" for each in ("udp", "tcp")]
    (directory / "sipxconfig-local.cfg").write_text("\n".join(local) + "\n")
    command = [KAMAILIO, "-DD", "-E", "-m", "64", "-w", str(directory), "-Y", str(directory)]
    command += ["-f", str(directory / "kamailio.cfg"), "-P", str(directory / "kamailio.pid")]
    with (directory / "kamailio.log").open("ab") as log:
        process = subprocess.Popen(
            command,
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            process_group=0,
        )
    try:
        wait_for(lambda: is_up(port) or process.poll() is not None)
        assert process.poll() is None, (directory / "kamailio.log").read_text()
        yield process
    finally:
        end(process)


def end(process: subprocess.Popen[bytes], patience: float = 30) -> None:
    """End Kamailio with all its processes, by force if it has not ended after these seconds."""
    if process.returncode is None:
        deadline = time.monotonic() + patience
        # As long as it is not reaped, its group is no other one's.
        look = os.WEXITED | os.WNOWAIT | os.WNOHANG
        while not os.waitid(os.P_PID, process.pid, look) and time.monotonic() < deadline:
            # One signal may be lost behind another one.
            os.kill(process.pid, signal.SIGTERM)
            time.sleep(0.1)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def is_up(port: int) -> bool:
    """Whether Kamailio answers, also while the database is away."""
    return ask(port, f"OPTIONS sip:{DOMAIN} SIP/2.0", seconds=0.3).startswith("SIP/2.0 ")


def ask(port: int, line: str, *more: str, seconds: float = 5.0, source: str = PHONES) -> str:
    """The answer to a request that is made by hand, empty if none comes."""
    method = line.split(maxsplit=1)[0]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((source, 0))
        sock.settimeout(seconds)
        own = f"{source}:{sock.getsockname()[1]}"
        unique = f"{time.monotonic_ns()}"
        usual = {
            "From": f"From: <sip:nobody@{DOMAIN}>;tag=1",
            "To": f"To: <sip:nobody@{DOMAIN}>",
            "Contact": f"Contact: <sip:nobody@{own}>",
            "Max-Forwards": "Max-Forwards: 70",
            "Call-ID": f"Call-ID: {unique}",
        }
        given = {each.split(":")[0] for each in more}
        headers = [
            f"Via: SIP/2.0/UDP {own};rport;branch=z9hG4bK{unique}",
            f"CSeq: 1 {method}",
            *(each for name, each in usual.items() if name not in given),
            *more,
            "Content-Length: 0",
        ]
        sock.sendto("\r\n".join([line, *headers, "", ""]).encode(), (SERVER, port))
        try:
            while True:
                answer = sock.recv(65536).decode()
                if not answer.startswith("SIP/2.0 100"):
                    return answer
        except TimeoutError:
            return ""


class Wire:
    """A way to PostgreSQL that can be cut, or become so slow that nothing comes."""

    def __init__(self) -> None:
        self.port = free_port()
        self._flows = threading.Event()
        self._flows.set()
        self._behind = 0
        self._open: list[socket.socket] = []

    def mend(self, behind: int | None = None) -> None:
        """Let connections through, to this port or the one of before."""
        self._behind = behind or self._behind
        listener = socket.create_server((SERVER, self.port))
        self._open = [listener]
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Take all that is said, and pass it on when the context ends."""
        self._flows.clear()
        try:
            yield
        finally:
            self._flows.set()

    def cut(self) -> None:
        """End all connections, and refuse new ones."""
        for each in self._open:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                server = socket.create_connection((SERVER, self._behind))
                self._open += [client, server]
                for pair in ((client, server), (server, client)):
                    threading.Thread(target=self._pass_on, args=pair, daemon=True).start()

    def _pass_on(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                self._flows.wait()
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)


@contextmanager
def exchange(wire: Wire | None = None, **defines: str) -> Iterator[Exchange]:
    """PostgreSQL, a server with a worker, and Kamailio, in a fresh directory.

    Args:
        wire: by which Kamailio reaches PostgreSQL, if not directly.
        defines: what Kamailio's local file says.
    """
    with tempfile.TemporaryDirectory(prefix="calls-") as name:
        directory = Path(name)
        # PostgreSQL may run as another user.
        directory.chmod(0o711)
        (directory / "postgresql").mkdir()
        with debian_postgres(directory / "postgresql") as url:
            engine = sa.create_engine(url)
            schema.upgrade(engine)
            engine.dispose()
            port = free_port()
            settings = {
                "SIPXCONFIG_DATABASE_URL": url,
                "SIPXCONFIG_DOMAIN": DOMAIN,
                "SIPXCONFIG_TEST_SERVICE": "true",
                "SIPXCONFIG_SIP_PROXY": f"{SERVER}:{port}",
                "SIPXCONFIG_WORKERS": "1",
                "SIPXCONFIG_RESTART_SPACING": "0.1",
            }
            with serve(directory, settings) as server:
                reader = _reader_url(directory, url, wire)
                with kamailio(directory, reader, port, **defines) as process:
                    database = Database(url, pool_size=2)
                    system = System(Soap(OverHttp(server)), database)  # type: ignore[arg-type]
                    log = directory / "kamailio.log"
                    yield Exchange(system, port, url, reader, directory, process, log)
                    database.dispose()


def _reader_url(directory: Path, url: str, wire: Wire | None) -> str:
    """What the command prints for Kamailio, over TCP."""
    cli = Cli(directory)
    cli.environ["SIPXCONFIG_DATABASE_URL"] = url
    printed = cli.ok("sip-role", "kamailio")
    found = re.search(r'"(?:pbx=>)?postgres://(.*)@.*?/(\w+)"', printed)
    assert found is not None
    port = int(str(sa.make_url(url).query["port"]))
    if wire is not None:
        wire.mend(port)
        port = wire.port
    return f"postgres://{found[1]}@{SERVER}:{port}/{found[2]}"
