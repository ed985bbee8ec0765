"""The floor: a bare WSGI application that does the least with which a call can be answered.

It reads the credential row, runs one statement for the data and formats strings around them; an
adding call does the inserts of the server in one transaction. It checks nothing that is not needed
to answer the requests of the benchmark, and what it answers to those are the server's own bytes.

``python -m bench.floor`` serves it by the server's own machinery, with the settings of the
environment.
"""

from __future__ import annotations

import base64
import os
import re
import sys
import threading
from typing import TYPE_CHECKING, Any

import psycopg2

from bench.data import dsn_of
from bench.floor_reads import READS
from bench.floor_writes import WRITES
from bench.request import PIN
from sipxconfig_soap import logs, server
from sipxconfig_soap.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

HEAD = (
    b'<?xml version="1.0" encoding="UTF-8"?>'
    b'<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" '
    b'xmlns:xsd="http://www.w3.org/2001/XMLSchema" '
    b'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><soapenv:Body>'
)
TAIL = b"</soapenv:Body></soapenv:Envelope>"

_CREDENTIALS = """
    PREPARE credentials (text) AS
    SELECT u.pin_hash, u.user_name = 'superadmin' OR coalesce(
        (SELECT v.enabled FROM user_permissions v
         WHERE v.user_id = u.id AND v.permission_id = p.id),
        (SELECT v.enabled FROM user_group_members m JOIN user_group_permissions v USING (group_id)
         WHERE m.entity_id = u.id AND v.permission_id = p.id ORDER BY v.group_id DESC LIMIT 1),
        p.default_value)
    FROM users u JOIN permissions p ON p.name = 'superadmin' WHERE u.user_name = $1
"""

_ROUTES = {
    "CallGroupService": re.compile(rb"<soapenv:Body/>"),
    "PermissionService": re.compile(rb"<con:FindPermission>"),
    "PhoneService": re.compile(
        rb"<bySerialNumber>(?P<findPhone>[^<]*)|(?P<findPhones><con:FindPhone/>)"
        rb"|(?P<addPhone><con:AddPhone>)"
    ),
    "UserService": re.compile(
        rb"<byUserName>(?P<findUser>[^<]*)|<byFuzzyUserNameOrAlias>(?P<findFuzzy>[^<]*)"
        rb"|(?P<manageUser><con:ManageUser>)|<byGroup>(?P<findGroup>[^<]*)"
        rb"|(?P<findUsers><con:FindUser/>)|(?P<addUser><con:AddUser>)"
    ),
}
"""What to look for in the requests of a service; the group that matches names the operation."""


class Floor:
    """The application.

    Args:
        url: of the database.
    """

    def __init__(self, url: str) -> None:
        self._dsn = dsn_of(url)
        self._local = threading.local()

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        """Answer one request."""
        cursor = self._cursor()
        if not self._may_call(cursor, environ["HTTP_AUTHORIZATION"]):
            start_response("401 Unauthorized", [("Content-Length", "0")])
            return [b""]
        body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
        service = environ["PATH_INFO"].rpartition("/")[2]
        found = _ROUTES[service].search(body)
        if found is None:
            start_response("400 Bad Request", [("Content-Length", "0")])
            return [b""]
        operation = found.lastgroup or service
        if operation in READS:
            inside = READS[operation](cursor, found[operation] if found.lastgroup else b"")
        else:
            inside = self._write(cursor, operation, body)
        answer = HEAD + inside.encode() + TAIL
        length = str(len(answer))
        headers = [("Content-Type", "text/xml; charset=UTF-8"), ("Content-Length", length)]
        start_response("200 OK", headers)
        return [answer]

    @staticmethod
    def _write(cursor: Any, operation: str, body: bytes) -> str:
        """Change something; the connection is of use after a failure, too."""
        try:
            return WRITES[operation](cursor, body)
        except psycopg2.Error:
            cursor.execute("ROLLBACK")
            raise

    def _cursor(self) -> Any:
        """The cursor of this thread; it has a connection of its own."""
        cursor = getattr(self._local, "cursor", None)
        if cursor is None:
            options = "-c jit=off -c timezone=UTC"
            connection = psycopg2.connect(self._dsn, options=options)
            connection.autocommit = True
            cursor = self._local.cursor = connection.cursor()
            cursor.execute(_CREDENTIALS)
            for each in READS.values():
                each.prepare(cursor)
        return cursor

    @staticmethod
    def _may_call(cursor: Any, authorization: str) -> bool:
        """Read the credential row as the server does, but compare with a constant."""
        login, _, pin = base64.b64decode(authorization[6:]).decode().partition(":")
        cursor.execute("EXECUTE credentials (%s)", (login,))
        row = cursor.fetchone()
        return row is not None and row[1] and pin == PIN


def main() -> None:
    """Serve the floor until a signal ends it."""
    settings = Settings.load(os.environ)
    logs.setup(settings.log_level)
    url = settings.database_url
    if url is None:
        raise SystemExit("The floor needs SIPXCONFIG_DATABASE_URL.")

    def announce(address: str) -> None:
        sys.stdout.write(f"Services: {address}/sipxconfig/services/\n")
        sys.stdout.flush()

    server.run(settings, lambda: Floor(url), announce)


if __name__ == "__main__":
    main()
