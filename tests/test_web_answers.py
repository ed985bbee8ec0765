"""How answers leave: streamed lists, clients that go away, and what nobody foresaw (wire.md §6)."""

from __future__ import annotations

import re
from itertools import islice
from typing import TYPE_CHECKING, Any
from wsgiref.util import setup_testing_defaults

import pytest
import sqlalchemy as sa

from sipxconfig_soap.soap.endpoint import Endpoint
from tests.support.client import Client, basic
from tests.support.logs import events
from tests.support.soap import HEAD, TAIL, envelope

if TYPE_CHECKING:
    from sipxconfig_soap.db import Database

PATH = "/sipxconfig/services/UserService"
ALL_USERS = envelope("<con:FindUser/>")
PID = sa.select(sa.func.pg_backend_pid())

ADD_USERS = """
    WITH added AS (
        INSERT INTO users (user_name, sip_password)
        SELECT 'u' || number, 'x' FROM generate_series(1, 5000) AS number
        RETURNING id, user_name
    )
    INSERT INTO names (value, folded, kind, user_id)
    SELECT user_name, user_name, 'userName', id FROM added
"""


@pytest.fixture
def many_users(database: Database) -> None:
    """More users than leave in one piece, or are fetched at once."""
    with database.engine.begin() as connection:
        connection.exec_driver_sql(ADD_USERS)


class Answer:
    """An answer that is taken piece by piece."""

    def __init__(self, client: Client, body: bytes) -> None:
        environ: dict[str, Any] = {}
        setup_testing_defaults(environ)
        stream = environ["wsgi.input"]
        stream.write(body)
        stream.seek(0)
        environ |= {"REQUEST_METHOD": "POST", "PATH_INFO": PATH, "REMOTE_ADDR": "127.0.0.1"}
        environ |= {"CONTENT_LENGTH": str(len(body))}
        environ["HTTP_AUTHORIZATION"] = basic("superadmin", "1234")
        self.status = ""
        self.headers: dict[str, str] = {}
        self.pieces: Any = client.app(environ, self._start)

    def _start(self, status: str, headers: list[tuple[str, str]], _info: Any = None) -> Any:
        self.status = status
        self.headers = dict(headers)


def held(database: Database) -> int:
    """Connections that are in use."""
    pool = database.reads.pool
    assert isinstance(pool, sa.QueuePool)
    return pool.checkedout()


def busy(database: Database) -> int:
    """Transactions that are open on the server."""
    query = "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%'"
    with database.engine.connect() as connection:
        return int(connection.scalar(sa.text(f"{query} AND datname = current_database()")))


def test_statuses_are_told_as_http_spells_them(client: Client) -> None:
    told = []
    for path in ("/", PATH, "/nothing"):
        environ: dict[str, Any] = {}
        setup_testing_defaults(environ)
        environ |= {"PATH_INFO": path}
        answer: Any = client.app(environ, lambda status, *_: told.append(status))
        answer.close()
    assert told == ["302 Found", "401 Unauthorized", "404 Not Found"]


@pytest.mark.usefixtures("many_users")
def test_a_long_list_leaves_in_pieces(client: Client, database: Database) -> None:
    answer = Answer(client, ALL_USERS)
    assert answer.status == "200 OK"
    assert "Content-Length" not in answer.headers
    pieces = list(answer.pieces)
    assert held(database) == 1
    answer.pieces.close()
    assert held(database) == 0
    assert len(pieces) > 3
    body = b"".join(pieces)
    assert body.startswith(HEAD)
    assert body.endswith(TAIL)
    assert body.count(b"<item>") == 5001


@pytest.mark.usefixtures("many_users")
def test_a_client_that_goes_away_leaves_nothing_behind(
    client: Client, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "sipxconfig_soap.web.exchange")
    with database.connect() as connection:
        before = connection.scalar(PID)
    answer = Answer(client, ALL_USERS)
    piece = next(iter(answer.pieces))
    answer.pieces.close()
    assert held(database) == 0
    assert busy(database) == 0
    (fields,) = events(caplog)
    assert (fields["bytes"], fields["complete"]) == (len(piece), False)
    # Its connection is of use to others.
    with database.connect() as connection:
        assert connection.scalar(PID) == before


@pytest.mark.usefixtures("many_users")
def test_a_list_that_cannot_be_begun_leaves_nothing_behind(
    client: Client, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError("no way to the client")

    monkeypatch.setattr(Answer, "_start", fail)
    with pytest.raises(OSError, match="no way"):
        Answer(client, ALL_USERS)
    assert held(database) == 0
    assert busy(database) == 0


@pytest.mark.parametrize("taken", [0, 1, 2])
def test_what_the_log_says_of_an_answer_that_is_given_up(
    client: Client, caplog: pytest.LogCaptureFixture, taken: int
) -> None:
    caplog.set_level("INFO", "sipxconfig_soap.web.exchange")
    answer = Answer(client, ALL_USERS)
    pieces = list(islice(answer.pieces, taken))
    answer.pieces.close()
    (fields,) = events(caplog)
    assert fields["bytes"] == sum(map(len, pieces))
    assert fields.get("complete") is (None if taken == 2 else False)


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS"])
def test_an_answer_without_a_body_is_complete(
    client: Client, caplog: pytest.LogCaptureFixture, method: str
) -> None:
    caplog.set_level("INFO", "sipxconfig_soap.web.exchange")
    assert client.request(method, PATH).body == b""
    (fields,) = events(caplog)
    assert (fields["bytes"], fields.get("complete")) == (0, None)


@pytest.mark.usefixtures("many_users")
def test_a_list_shows_one_moment_whatever_is_changed_meanwhile(
    client: Client, database: Database
) -> None:
    before = client.request("POST", PATH, ALL_USERS).body
    answer = Answer(client, ALL_USERS)
    pieces = [next(iter(answer.pieces))]
    with database.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE users SET last_name = 'late'")
        connection.exec_driver_sql("DELETE FROM users WHERE user_name <> 'superadmin'")
    pieces += answer.pieces
    answer.pieces.close()
    assert b"".join(pieces) == before
    assert client.request("POST", PATH, ALL_USERS).body.count(b"<item>") == 1


@pytest.mark.usefixtures("many_users")
def test_a_list_that_breaks_off_is_not_ended_as_if_it_were_whole(
    client: Client, database: Database
) -> None:
    answer = Answer(client, ALL_USERS)
    next(iter(answer.pieces))
    with database.engine.connect() as connection:
        connection.exec_driver_sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    with pytest.raises(ConnectionError, match="broke off"):
        list(answer.pieces)
    answer.pieces.close()
    assert held(database) == 0
    assert client.request("POST", PATH, ALL_USERS).status == 200


def test_a_short_answer_gives_its_connection_back_too(client: Client, database: Database) -> None:
    for _ in range(3):
        answer = Answer(client, ALL_USERS)
        assert int(answer.headers["Content-Length"]) == len(b"".join(answer.pieces))
        answer.pieces.close()
    assert held(database) == 0


# That the method is none is the point.
@pytest.mark.filterwarnings("ignore:Unknown REQUEST_METHOD")
@pytest.mark.parametrize(("method", "shown"), [("POST", "POST"), ("GET", "GET"), ("G\nT", "other")])
def test_the_log_names_no_method_that_is_none(
    client: Client, caplog: pytest.LogCaptureFixture, method: str, shown: str
) -> None:
    caplog.set_level("INFO", "sipxconfig_soap.web.exchange")
    client.request(method, "/sipxconfig/services/")
    (fields,) = events(caplog)
    assert fields["method"] == shown


@pytest.fixture
def broken(client: Client, monkeypatch: pytest.MonkeyPatch) -> Client:
    """A server in which nothing works as its programmers thought."""

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("a secret: 4711")

    monkeypatch.setattr(Endpoint, "call", fail)
    monkeypatch.setattr(Endpoint, "wsdl", fail)
    return client


def test_what_nobody_foresaw_is_answered_with_a_number_that_the_log_has_too(
    broken: Client, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    soap = broken.request("POST", PATH, ALL_USERS, {"Content-Type": "text/xml"})
    soap12 = broken.request("POST", PATH, ALL_USERS, {"Content-Type": "application/soap+xml"})
    page = broken.request("GET", f"{PATH}?wsdl")
    assert [each.status for each in (soap, soap12, page)] == [500] * 3
    assert b"<faultcode>soapenv:Server</faultcode>" in soap.body
    assert b"<soapenv:Value>soapenv:Receiver</soapenv:Value>" in soap12.body
    assert page.headers["content-type"] == "text/plain; charset=UTF-8"
    reported = [event["reference"] for event in events(caplog, "internal error")]
    for answer, reference in zip((soap, soap12, page), reported, strict=True):
        found = re.search(r"Internal error \(reference ([0-9a-f]+)\)", answer.text)
        assert found is not None
        assert found[1] == reference
        assert "4711" not in answer.text
    assert "4711" not in caplog.text
    assert held(database) == 0
