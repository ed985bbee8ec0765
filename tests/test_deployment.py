"""Behind the proxies of deploy/: two servers on one PostgreSQL of Debian's through PgBouncer."""

from __future__ import annotations

import shutil
import socket
import ssl
import tempfile
from contextlib import ExitStack, contextmanager, suppress
from http.client import HTTPSConnection
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest
import requests
import sqlalchemy as sa
import zeep
from zeep.transports import Transport

from sipxconfig_soap import schema
from tests.support.client import ADMINISTRATOR
from tests.support.debian_postgres import IS_HERE, debian_postgres
from tests.support.load import Load
from tests.support.pgbouncer import pgbouncer
from tests.support.proxies import Proxy, haproxy, nginx
from tests.support.raw import AUTHORIZATION, PATIENCE
from tests.support.server import serve
from tests.support.soap import envelope
from tests.support.worker import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from tests.support.server import RunningServer

_NEEDED = [name for name in ("nginx", "haproxy", "pgbouncer", "openssl") if not shutil.which(name)]
pytestmark = pytest.mark.skipif(
    bool(_NEEDED) or not IS_HERE,
    reason="needs Debian's nginx-light, haproxy, pgbouncer, openssl and postgresql-15",
)

CLIENTS = 6
USERS = "/sipxconfig/services/UserService"
FIND = envelope("<con:FindUser><search><byUserName>superadmin</byUserName></search></con:FindUser>")


@pytest.fixture(scope="module")
def behind() -> Iterator[str]:
    """An own database on Debian's PostgreSQL, with the schema."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        directory.chmod(0o711)
        data = directory / "postgresql"
        data.mkdir()
        with debian_postgres(data) as url:
            engine = sa.create_engine(url)
            schema.upgrade(engine)
            engine.dispose()
            yield url


@contextmanager
def started(behind: str, directory: Path) -> Iterator[list[RunningServer]]:
    """Two servers as they are set behind a proxy."""
    with ExitStack() as stack:
        pooler = directory / "pgbouncer"
        pooler.mkdir()
        through = stack.enter_context(pgbouncer(pooler, behind))
        environment = {
            "SIPXCONFIG_DATABASE_URL": through.render_as_string(hide_password=False),
            "SIPXCONFIG_DIRECT_DATABASE_URL": behind,
            "SIPXCONFIG_PREPARE_STATEMENTS": "false",
            "SIPXCONFIG_TRUSTED_PROXIES": "127.0.0.1",
            "SIPXCONFIG_REQUIRE_HTTPS": "true",
            "SIPXCONFIG_DOMAIN": "pbx.example.org",
        }
        yield [
            stack.enter_context(serve(directory / name, environment, "--no-worker"))
            for name in ("first", "second")
        ]


@pytest.fixture(scope="module")
def servers(behind: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[RunningServer]]:
    with started(behind, tmp_path_factory.mktemp("servers")) as running:
        yield running


PROXIES = pytest.mark.parametrize("kind", [nginx, haproxy], ids=["nginx", "haproxy"])


@pytest.fixture(scope="module", params=[nginx, haproxy], ids=["nginx", "haproxy"])
def proxy(
    request: pytest.FixtureRequest,
    servers: list[RunningServer],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Proxy]:
    with request.param(tmp_path_factory.mktemp("proxy"), addresses(servers)) as running:
        yield running


def addresses(servers: Sequence[RunningServer]) -> list[str]:
    return [f"{host}:{port}" for host, port in (each.address for each in servers)]


def session_of(proxy: Proxy) -> requests.Session:
    session = requests.Session()
    session.auth = ADMINISTRATOR
    session.verify = proxy.certificate
    session.trust_env = False
    return session


def test_a_script_works_over_https_by_the_wsdl_alone(
    proxy: Proxy, servers: list[RunningServer]
) -> None:
    session = session_of(proxy)
    # The address in the WSDL is the one that was asked, so zeep finds back through the proxy.
    client = zeep.Client(f"{proxy.url}{USERS}?wsdl", transport=Transport(session=session))
    name = f"z{proxy.name}"
    client.service.addUser(user={"userName": name, "lastName": "Łukasz"}, pin="1234")
    (found,) = client.service.findUser(search={"byUserName": name})
    assert found.lastName == "Łukasz"
    answer = session.post(f"{proxy.url}{USERS}", FIND, headers={"Content-Type": "text/xml"})
    assert answer.status_code == 200
    # One number for a request, in the answer and in the log; with it the client's address.
    number = answer.headers["X-Request-ID"]

    def lines() -> list[str]:
        return [line for each in servers for line in each.output if f"request_id={number}" in line]

    assert "address=127.0.0.1" in wait_for(lines)[0]


def test_headers_of_a_client_do_not_get_through(proxy: Proxy, servers: list[RunningServer]) -> None:
    lies = {
        "X-Forwarded-For": "192.0.2.99",
        "X-Forwarded-Proto": "http",
        "X-Forwarded-Host": "evil.example.net",
        "X-Forwarded-Port": "1",
        "X-Request-ID": "lie",
    }
    answer = session_of(proxy).get(f"{proxy.url}{USERS}?wsdl", headers=lies)
    assert answer.status_code == 200
    assert f'location="{proxy.url}{USERS}"' in answer.text
    assert answer.headers["X-Request-ID"] != "lie"
    assert not [line for each in servers for line in each.output if "192.0.2.99" in line]


@pytest.mark.parametrize("path", ["/", "/metrics", "/readyz", "/healthz"])
def test_only_the_services_are_there_for_clients(proxy: Proxy, path: str) -> None:
    assert session_of(proxy).get(f"{proxy.url}{path}").status_code == 404


def connected(proxy: Proxy) -> ssl.SSLSocket:
    context = ssl.create_default_context(cafile=proxy.certificate)
    plain = socket.create_connection(("127.0.0.1", proxy.port), timeout=PATIENCE)
    return context.wrap_socket(plain, server_hostname="localhost")


HALVES = (
    f"POST {USERS} HTTP/1.1\r\nHost: half\r\nX-Half".encode(),
    f"POST {USERS} HTTP/1.1\r\nHost: half\r\nContent-Type: text/xml\r\n"
    f"Authorization: {AUTHORIZATION}\r\nContent-Length: {len(FIND)}\r\n\r\n".encode()
    + FIND[: len(FIND) // 2],
)


def test_half_a_request_stays_with_the_proxy_and_ends_in_time(
    proxy: Proxy, servers: list[RunningServer]
) -> None:
    threads = 80  # of each half more than both servers have
    before = [len(each.output) for each in servers]

    def requests_since() -> list[str]:
        lines = [each.output[old:] for each, old in zip(servers, before, strict=True)]
        return [line for line in chain(*lines) if "event=request" in line]

    with ExitStack() as stack:
        stalled = []
        for half in HALVES:
            for _ in range(threads):
                stalled.append(stack.enter_context(connected(proxy)))
                stalled[-1].sendall(half)
        # Nobody else waits for them.
        assert session_of(proxy).get(f"{proxy.url}{USERS}?wsdl").status_code == 200
        for each in stalled:
            said = b"".join(iter(lambda reader=each: reader.recv(65536), b""))
            assert not said or said.startswith(b"HTTP/1.1 408 ")
    wait_for(requests_since)
    assert [line for line in requests_since() if "method=GET" not in line] == []


@pytest.mark.parametrize(
    "flood",
    [b"X-Flood: y\r\n" * 20_000, b"X-Flood: " + b"y" * 200_000 + b"\r\n"],
    ids=["many", "long"],
)
def test_a_flood_of_headers_is_refused_by_the_proxy(proxy: Proxy, flood: bytes) -> None:
    with connected(proxy) as client:
        with suppress(OSError):  # it need not be read to its end
            client.sendall(f"GET {USERS}?wsdl HTTP/1.1\r\nHost: x\r\n".encode() + flood + b"\r\n")
        said = b""
        with suppress(OSError):
            said = client.recv(65536)
    assert not said or said.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 431 "))
    assert session_of(proxy).get(f"{proxy.url}{USERS}?wsdl").status_code == 200


def test_plain_http_to_the_proxy_does_not_reach_a_server(proxy: Proxy) -> None:
    answer = None
    try:
        answer = requests.post(
            f"http://localhost:{proxy.port}{USERS}", FIND, auth=ADMINISTRATOR, timeout=PATIENCE
        )
    except requests.ConnectionError:
        return
    assert answer.status_code == 400


def test_what_is_too_large_is_refused_by_the_servers_own_sentence(proxy: Proxy) -> None:
    body = FIND.replace(b"superadmin", b"x" * (16 * 1024 * 1024))
    answer = session_of(proxy).post(
        f"{proxy.url}{USERS}", body, headers={"Content-Type": "text/xml"}
    )
    assert answer.status_code == 413
    assert answer.text == "The request is larger than 16777216 bytes.\n"


@PROXIES
def test_a_killed_server_loses_no_acknowledged_write_and_only_what_was_under_way(
    kind: Callable[..., AbstractContextManager[Proxy]], behind: str, tmp_path: Path
) -> None:
    directory = tmp_path / "proxy"
    directory.mkdir()
    with started(behind, tmp_path) as servers, kind(directory, addresses(servers)) as proxy:
        context = ssl.create_default_context(cafile=proxy.certificate)

        def connect() -> HTTPSConnection:
            return HTTPSConnection("localhost", proxy.port, timeout=PATIENCE, context=context)

        first = {"nginx": 100_000, "haproxy": 200_000}[proxy.name]
        with Load(connect, kept=CLIENTS // 2, new=CLIENTS // 2, first=first) as load:
            wait_for(lambda: len(load.added) > 20)
            _kill(servers[0])
            before = len(load.added)
            wait_for(lambda: len(load.added) > before + 60)
    answered = load.outcomes[200]
    lost = sum(load.outcomes.values()) - answered
    # Each client had one request under way at most.
    assert lost <= CLIENTS, load.outcomes
    engine = sa.create_engine(behind)
    with engine.connect() as connection:
        stored = set(connection.execute(sa.text("SELECT user_name FROM users")).scalars())
    engine.dispose()
    assert len(load.added) > 60
    assert set(load.added) <= stored


def _kill(server: RunningServer) -> None:
    """End a server and its processes at once, as a crash of its machine would."""
    main = psutil.Process(server.process.pid)
    for each in [main, *main.children(recursive=True)]:
        each.kill()
    server.process.wait()
