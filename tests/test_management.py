"""Health at an address of its own, which needs no thread that is free for clients (wire.md §1)."""

from __future__ import annotations

import os
import re
import signal
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from http.client import HTTPConnection
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from prometheus_client import CollectorRegistry, make_wsgi_app

from sipxconfig_soap import management
from sipxconfig_soap.listening import CannotListen, check_address
from sipxconfig_soap.management import ServerHealth, Watch, serving
from sipxconfig_soap.settings import Settings, SettingsError
from sipxconfig_soap.web.app import create_app
from tests.support.hostile import USERS, XML
from tests.support.raw import head
from tests.support.server import serve
from tests.support.worker import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path
    from wsgiref.types import WSGIApplication

    from sipxconfig_soap.db import Database
    from tests.support.client import Client
    from tests.support.server import RunningServer

    Run = Callable[..., AbstractContextManager[RunningServer]]

NOTHING: WSGIApplication = make_wsgi_app(CollectorRegistry())

ON = {"SIPXCONFIG_MANAGEMENT_BIND": "127.0.0.1:0"}


def watch(health: ServerHealth) -> Watch:
    return Watch(health, NOTHING)


def get(url: str, path: str, method: str = "GET") -> tuple[int, str]:
    parts = urlsplit(url)
    connection = HTTPConnection(str(parts.hostname), parts.port, timeout=30)
    connection.request(method, path)
    response = connection.getresponse()
    body = response.read().decode()
    connection.close()
    return response.status, body


def address_of(server: RunningServer) -> str:
    (found,) = re.findall(r"Management: (\S+)", "".join(server.output))
    return str(found)


def test_it_tells_what_the_server_tells(run_server: Run) -> None:
    with run_server(**ON) as server:
        url = address_of(server)
        assert get(url, "/healthz") == (200, "alive\n")
        wait_for(lambda: get(url, "/readyz") == (200, "ready\n"))
        assert get(url, "/readyz", "HEAD") == (200, "")
        assert get(url, "/healthz", "POST")[0] == 405
        assert get(url, "/sipxconfig/services/")[0] == 404
        # New processes; it goes on all the same.
        server.process.send_signal(signal.SIGHUP)
        assert get(url, "/healthz") == (200, "alive\n")
        wait_for(lambda: get(url, "/readyz") == (200, "ready\n"))
        assert server.stop() == 0
        with pytest.raises(ConnectionRefusedError):
            get(url, "/healthz")
    assert "Traceback" not in "".join(server.output)


def test_there_is_none_unless_it_is_set(run_server: Run) -> None:
    with run_server() as server:
        assert "Management" not in "".join(server.output)


def test_it_answers_when_no_thread_is_free_and_says_so(run_server: Run) -> None:
    few = {"SIPXCONFIG_WORKERS": "1", "SIPXCONFIG_THREADS": "2"}
    with run_server(**ON, **few) as server, ExitStack() as stack:
        url = address_of(server)
        wait_for(lambda: get(url, "/readyz")[0] == 200)
        for _ in range(6):
            client = stack.enter_context(socket.create_connection(server.address))
            client.sendall(head(USERS, XML)[:-20])
        time.sleep(management.FRESH_SECONDS)
        status, text = get(url, "/readyz")
        assert status == 503
        assert "no request thread was free" in text
        assert get(url, "/healthz") == (200, "alive\n")
        stack.close()
        wait_for(lambda: get(url, "/readyz") == (200, "ready\n"))


def test_a_socket_that_the_servers_user_may_not_open_is_told_of(tmp_path: Path) -> None:
    """As systemd makes one for the proxy alone; else health would be a riddle."""
    path = tmp_path / "http.sock"
    health = ServerHealth()
    health.url = f"unix:{path}"
    user = os.geteuid()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        path.chmod(0)
        if user == 0:
            os.seteuid(65534)  # root may open all
        try:
            status, text = health()
        finally:
            os.seteuid(user)
    assert status == 503
    assert f"unix:{path} cannot be asked" in text
    assert "SocketUser=" in text


def test_a_main_process_that_is_killed_leaves_its_port(run_server: Run) -> None:
    with run_server(**ON) as server:
        url = address_of(server)
        os.kill(server.process.pid, signal.SIGKILL)
        server.process.wait()
        # Whatever the processes for clients are still at.
        with pytest.raises(ConnectionRefusedError):
            get(url, "/healthz")


def test_a_taken_port_is_told_with_the_option_to_change() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        bind = f"127.0.0.1:{taken.getsockname()[1]}"
        settings = Settings.load({}, bind="127.0.0.1:0", management_bind=bind)
        with pytest.raises(CannotListen, match=f"^Cannot listen on {bind}") as caught:
            check_address(settings)
    assert caught.value.option == "--management-bind"


def test_it_needs_a_port_of_its_own() -> None:
    with pytest.raises(SettingsError, match="MANAGEMENT_BIND needs a port of its own"):
        Settings.load({}, bind="127.0.0.1:8080", management_bind="127.0.0.1:8080")
    assert Settings.load({}).management_bind is None
    with pytest.raises(SettingsError, match="HOST:PORT"):
        Settings.load({}, management_bind="8081")


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_client_that_stalls_or_leaves_bothers_nobody(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], host: str
) -> None:
    monkeypatch.setattr(management._Handler, "timeout", 0.2)
    with serving((host, 0), watch(ServerHealth())) as url:
        parts = urlsplit(url)
        address = (str(parts.hostname), int(parts.port or 0))
        with socket.create_connection(address) as stalling:
            stalling.sendall(b"GET /hea")
            socket.create_connection(address).close()
            assert get(url, "/healthz") == (200, "alive\n")
            stalling.settimeout(30)
            assert stalling.recv(1) == b""
    assert capfd.readouterr() == ("", "")


def test_who_stalls_in_numbers_takes_no_more_threads_than_there_may_be(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(management._Handler, "timeout", 1)
    with serving(("127.0.0.1", 0), watch(ServerHealth())) as url, ExitStack() as stack:
        parts = urlsplit(url)
        address = (str(parts.hostname), int(parts.port or 0))
        for _ in range(100):
            stack.enter_context(socket.create_connection(address)).sendall(b"GET /hea")
        time.sleep(0.2)
        assert threading.active_count() <= management.MOST_THREADS + 1
        stack.close()
        assert wait_for(lambda: get_or_none(url, "/healthz")) == (200, "alive\n")


def get_or_none(url: str, path: str) -> tuple[int, str] | None:
    try:
        return get(url, path)
    except OSError:
        return None


def test_many_who_ask_are_one_client_of_the_server() -> None:
    asked: list[str] = []

    def server(environ: dict[str, str], start_response: Callable[..., object]) -> Iterable[bytes]:
        asked.append(environ["PATH_INFO"])
        start_response("200 OK", [("Content-Length", "0")])
        return []

    health = ServerHealth()
    with (
        serving(("127.0.0.1", 0), server) as health.url,
        serving(("127.0.0.1", 0), watch(health)) as url,
    ):
        assert {get(url, "/readyz")[0] for _ in range(20)} == {200}
    assert len(asked) <= 4


class Slow:
    """Finds out whether the program is ready when it is let go; each answer is another one."""

    def __init__(self) -> None:
        self.asked = 0
        self.go = threading.Event()

    def __call__(self) -> tuple[int, str]:
        self.asked += 1
        number = self.asked
        assert self.go.wait(60)
        return 200, f"answer {number}"


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Iterator[Slow]:
    """Nobody's answer counts for the next."""
    monkeypatch.setattr(management, "FRESH_SECONDS", 0)
    slow = Slow()
    yield slow
    slow.go.set()


def test_while_one_waits_for_an_answer_the_others_get_the_last(slow: Slow) -> None:
    with (
        serving(("127.0.0.1", 0), Watch(slow, NOTHING)) as url,
        ThreadPoolExecutor() as threads,
    ):
        slow.go.set()
        assert get(url, "/readyz") == (200, "answer 1\n")
        slow.go.clear()
        waiting = threads.submit(get, url, "/readyz")
        wait_for(lambda: slow.asked == 2)
        # More than there may be threads.
        for _ in range(management.MOST_THREADS + 1):
            assert get(url, "/readyz") == (200, "answer 1\n")
        assert get(url, "/healthz") == (200, "alive\n")
        assert not waiting.done()
        slow.go.set()
        assert waiting.result() == (200, "answer 2\n")
    assert slow.asked == 2


@pytest.mark.parametrize("first", [True, False])
def test_without_a_last_answer_of_late_all_wait(
    slow: Slow, monkeypatch: pytest.MonkeyPatch, *, first: bool
) -> None:
    monkeypatch.setattr(management, "LAST_SECONDS", 30 if first else 0)
    with (
        serving(("127.0.0.1", 0), Watch(slow, NOTHING)) as url,
        ThreadPoolExecutor() as threads,
    ):
        if not first:
            slow.go.set()
            assert get(url, "/readyz") == (200, "answer 1\n")
            slow.go.clear()
        before = slow.asked
        waiting = [threads.submit(get, url, "/readyz") for _ in range(2)]
        wait_for(lambda: slow.asked == before + 1)
        time.sleep(0.2)
        assert not any(each.done() for each in waiting)
        slow.go.set()
        answers = {each.result() for each in waiting}
    assert answers == {(200, f"answer {before + number}\n") for number in (1, 2)}


def test_a_server_that_starts_or_is_gone_is_not_ready() -> None:
    health = ServerHealth()
    with serving(("127.0.0.1", 0), watch(health)) as url:
        assert get(url, "/readyz") == (503, "not ready: the server does not answer\n")
    health.url = "http://127.0.0.1:1"
    with serving(("127.0.0.1", 0), watch(health)) as url:
        assert get(url, "/readyz") == (503, "not ready: the server does not answer\n")


# -- the profile directory ---------------------------------------------------------------------


@pytest.fixture
def watched(client: Client, settings: Settings, database: Database) -> Client:
    """A server with a worker beside it."""
    client.app = create_app(settings, database, worker=True)
    return client


def test_a_server_with_a_worker_is_not_ready_when_no_profile_can_be_written(
    watched: Client, tmp_path: Path
) -> None:
    assert watched.request("GET", "/readyz", auth=None).status == 200
    # Not even root can make a directory in a file.
    (tmp_path / "profiles").write_text("")
    answer = watched.request("GET", "/readyz", auth=None)
    assert (answer.status, answer.text) == (
        503,
        "not ready: the profile directory cannot be written: Not a directory\n",
    )
    (tmp_path / "profiles").unlink()
    assert watched.request("GET", "/readyz", auth=None).status == 200
    # Nothing is left behind.
    assert not (tmp_path / "profiles").exists()


def test_a_server_without_a_worker_does_not_ask(client: Client, tmp_path: Path) -> None:
    (tmp_path / "profiles").write_text("")
    assert client.request("GET", "/readyz", auth=None).status == 200


@pytest.mark.parametrize(("option", "status"), [((), 503), (("--no-worker",), 200)])
def test_serve_knows_whether_a_worker_runs_beside_it(
    database_url: str, tmp_path: Path, option: tuple[str, ...], status: int
) -> None:
    (tmp_path / "taken").write_text("")
    environment = {
        "SIPXCONFIG_DATABASE_URL": database_url,
        "SIPXCONFIG_PROFILE_ROOT": str(tmp_path / "taken"),
    }
    with serve(tmp_path, environment, *option) as server:
        assert get(server.url, "/readyz")[0] == status
