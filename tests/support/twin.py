"""Servers to compare: ours over real HTTP, and one that answers what a test gives it."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from werkzeug.serving import WSGIRequestHandler, make_server

from tests.support.soap import HEAD, NS, TAIL

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator, Mapping

LISTS = {
    "PermissionService": ("FindPermissionResponse", "permissions"),
    "UserService": ("FindUserResponse", "users"),
    "CallGroupService": ("GetCallGroupsResponse", "callGroups"),
    "ParkOrbitService": ("GetParkOrbitsResponse", "parkOrbits"),
    "PhoneService": ("FindPhoneResponse", "phones"),
}
"""Element and list of each service's answer."""


class _Quiet(WSGIRequestHandler):
    def log(self, *_arguments: Any) -> None:
        pass


@contextmanager
def served(app: Any) -> Iterator[str]:
    """Serve a WSGI application; its base URL."""
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=_Quiet)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def listing(service: str, content: str) -> bytes:
    """The answer of the operation that lists all."""
    response, name = LISTS[service]
    body = f'<{response} xmlns="{NS}"><{name} xmlns="">{content}</{name}></{response}>'
    return HEAD + body.encode() + TAIL


class Canned:
    """What a server answers: by service the content of its list, or a status and a whole body."""

    def __init__(self, answers: Mapping[str, str | tuple[int, bytes]] | None = None) -> None:
        self.answers = dict(answers or {})
        self.requests: list[tuple[str, str | None, bytes]] = []


@contextmanager
def canned(answers: Canned, context: ssl.SSLContext | None = None) -> Iterator[str]:
    """A server that answers so; its base URL. What was asked is noted."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            answers.requests.append((self.path, self.headers["Authorization"], body))
            service = self.path.rpartition("/")[2]
            answer = answers.answers.get(service, "")
            status, content = (200, listing(service, answer)) if isinstance(answer, str) else answer
            self.send_response(status)
            self.send_header("Content-Type", "text/xml; charset=UTF-8")
            if status == 302:
                self.send_header("Location", "http://elsewhere.example.org/")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_arguments: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http{'s' if context else ''}://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
