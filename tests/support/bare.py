"""Our gunicorn with an application of a few lines and one thread in each of its processes."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from http.client import HTTPConnection
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

WAIT_SECONDS = 30
"""After this a test gives up; none depends on how fast something is."""

BARE_SERVER = """
import os
import sys
from gunicorn import config
from sipxconfig_soap import gunicorn_socket, gunicorn_worker, logs, server
from sipxconfig_soap.settings import Settings

def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/broken":
        raise RuntimeError("a secret")
    if path == "/unread":
        start_response("401 Unauthorized", [("Content-Length", "0")])
        return []
    body = environ["wsgi.input"].read()
    if path == "/process":
        body = str(os.getpid()).encode()
    if path == "/scheme":
        body = environ["wsgi.url_scheme"].encode()
    if path == "/big":
        body = b"x" * 50_000_000
    if path == "/stream":
        start_response("200 OK", [])
        return iter([b"one", b"two"])
    if path == "/cut":
        start_response("200 OK", [])
        return cut()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]

def cut():
    yield b"one"
    raise RuntimeError("a secret")

gunicorn_socket.REQUEST_SECONDS = float(sys.argv[1])
# However busy the machine is, another process is given the time to take a connection.
gunicorn_worker.YIELD_SECONDS = 10
# How long a worker may not be heard of.
config.Timeout.default = 3
logs.setup("info")
settings = Settings.load({}, bind="127.0.0.1:0", workers=sys.argv[2], threads="1")
server.run(settings, lambda: application, lambda url: print(url, flush=True))
"""


class Bare:
    """A server with one thread in each process and no application of ours.

    Args:
        home: its directory.
        request_seconds: how long clients may take for what they do.
        workers: the number of its processes.
    """

    def __init__(self, home: Path, request_seconds: float, workers: int = 1) -> None:
        self.home = home
        with (home / "log").open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", BARE_SERVER, str(request_seconds), str(workers)],
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
        code = self.process.wait(WAIT_SECONDS)
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
