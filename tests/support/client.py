"""A client that calls the WSGI application directly, as strictly as a server would."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from wsgiref.validate import validator

from sipxconfig_soap.web.app import create_app

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sipxconfig_soap.db import Database
    from sipxconfig_soap.settings import Settings

PIN = "1234"
"""superadmin's PIN in tests."""

ADMINISTRATOR = ("superadmin", PIN)


@dataclass(frozen=True)
class Response:
    """An answer: header names are in lower case; every one has a number of its own."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    request_id: str = field(compare=False)

    @property
    def text(self) -> str:
        """The body, which is UTF-8."""
        return self.body.decode()


def basic(user_name: str, pin: str) -> str:
    """The value of an Authorization header."""
    return "Basic " + base64.b64encode(f"{user_name}:{pin}".encode()).decode()


class Client:
    """Sends requests to a server with these settings, in this process."""

    def __init__(self, settings: Settings, database: Database) -> None:
        self.settings = settings
        self.app = create_app(settings, database)

    def request(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        *,
        auth: tuple[str, str] | None = ADMINISTRATOR,
        environ: Mapping[str, object] | None = None,
    ) -> Response:
        """Send one request and read the whole answer."""
        path_info, _, query = path.partition("?")
        request: dict[str, object] = {
            "REQUEST_METHOD": method,
            "SCRIPT_NAME": "",
            "PATH_INFO": path_info,
            "QUERY_STRING": query,
            "SERVER_NAME": "localhost",
            "SERVER_PORT": "8080",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "REMOTE_ADDR": "127.0.0.1",
            "HTTP_HOST": "localhost:8080",
            "CONTENT_LENGTH": str(len(body)),
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(body),
            "wsgi.errors": io.StringIO(),
            "wsgi.multithread": True,
            "wsgi.multiprocess": True,
            "wsgi.run_once": False,
        }
        if auth is not None:
            request["HTTP_AUTHORIZATION"] = basic(*auth)
        for name, value in (headers or {}).items():
            key = name.upper().replace("-", "_")
            request[
                key if key.startswith("CONTENT_") and key != "CONTENT_ENCODING" else f"HTTP_{key}"
            ] = value
        request.update(environ or {})
        return self._run({key: value for key, value in request.items() if value is not None})

    def _run(self, environ: dict[str, object]) -> Response:
        started: list[tuple[str, list[tuple[str, str]]]] = []

        def start_response(
            status: str, headers: list[tuple[str, str]], _exc_info: object = None
        ) -> object:
            started.append((status, headers))
            return lambda _data: None

        result = validator(self.app)(environ, start_response)
        try:
            body = b"".join(result)
        finally:
            result.close()
        ((status, headers),) = started
        named = {name.lower(): value for name, value in headers}
        if "content-length" in named and environ["REQUEST_METHOD"] != "HEAD":
            assert int(named["content-length"]) == len(body)
        request_id = named.pop("x-request-id")
        return Response(int(status.split()[0]), named, body, request_id)
