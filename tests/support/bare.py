"""Our gunicorn with an application of a few lines."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from http.client import HTTPConnection
from typing import TYPE_CHECKING

from sipxconfig_soap.server import GRACEFUL_SECONDS

if TYPE_CHECKING:
    from pathlib import Path

WAIT_SECONDS = 30
"""After this a test gives up; none depends on how fast something is."""

BARE_SERVER = """
import os
import sys
import threading
import time
from sipxconfig_soap import logs, server
from sipxconfig_soap.settings import Settings

gone_on = threading.Event()

def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/broken":
        raise RuntimeError("a secret")
    if path == "/unread":
        status = environ["QUERY_STRING"] or "401"
        start_response(f"{status} Refused", [("Content-Length", "0")])
        return []
    body = environ["wsgi.input"].read()
    if path == "/go":
        gone_on.set()
    if path == "/slow":
        os.write(1, b"begun\\n")
        time.sleep(2)
    if path == "/process":
        body = str(os.getpid()).encode()
    if path == "/scheme":
        body = environ["wsgi.url_scheme"].encode()
    if path == "/big":
        body = b"x" * 50_000_000
    if path == "/stream":
        start_response("200 OK", [])
        return iter([b"one", b"two"])
    if path == "/paused":
        start_response("200 OK", [])
        return paused()
    if path == "/cut":
        start_response("200 OK", [])
        return cut()
    if path == "/empty":
        start_response("200 OK", [("Content-Length", "4")])
        return []
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]

def paused():
    yield b"one"
    gone_on.wait(30)
    yield b"two"

def cut():
    yield b"one"
    raise RuntimeError("a secret")

stall_seconds, workers, threads = sys.argv[1:]
logs.setup("info")
settings = Settings.load({}, bind="127.0.0.1:0", workers=workers, threads=threads)
server.run(
    settings,
    lambda: application,
    lambda url: print(url, flush=True),
    receive_seconds=float(stall_seconds),
    send_seconds=float(stall_seconds),
)
"""


class Bare:
    """A server with no application of ours.

    Args:
        home: its directory.
        stall_seconds: how long clients may stall.
        workers: the number of its processes.
        threads: of each process.
    """

    def __init__(self, home: Path, stall_seconds: float, workers: int, threads: int) -> None:
        self.home = home
        with (home / "log").open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", BARE_SERVER, *map(str, (stall_seconds, workers, threads))],
                env={**os.environ, "HOME": str(home), "XDG_RUNTIME_DIR": str(home)},
                cwd=home,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert self.process.stdout is not None
        self.host, port = self.process.stdout.readline().strip()[len("http://") :].split(":")
        self.port = int(port)

    def stop(self, how: int = signal.SIGTERM) -> int:
        self.process.send_signal(how)
        return self.wait()

    def wait(self) -> int:
        """Wait for its end; returns its exit code."""
        # What does not end by itself, gunicorn ends after its graceful time.
        code = self.process.wait(WAIT_SECONDS + GRACEFUL_SECONDS)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return code

    def connect(self) -> socket.socket:
        return socket.create_connection((self.host, self.port), WAIT_SECONDS)

    def raw(self, request: bytes) -> bytes:
        """The whole answer to ``request``, until the server closes the connection."""
        with self.connect() as client:
            client.sendall(request)
            return b"".join(iter(lambda: client.recv(65536), b""))

    def get(self, path: str = "/", **headers: str) -> tuple[int, bytes]:
        connection = HTTPConnection(self.host, self.port, timeout=WAIT_SECONDS)
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        return answer.status, body

    @property
    def log(self) -> str:
        return (self.home / "log").read_text()
