"""``serve`` as a newcomer starts it."""

from __future__ import annotations

import re
import signal
import socket
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.cli import WAIT_SECONDS, Cli, Processes, Server
from tests.support.client import PIN

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """The command, each in a process: those that run share the embedded PostgreSQL."""
    return Processes(tmp_path)


@pytest.fixture
def start(cli: Cli) -> Iterator[Callable[..., Server]]:
    servers: list[Server] = []

    def run(*options: str) -> Server:
        servers.append(Server(cli, "--workers", "2", *options))
        return servers[-1]

    yield run
    for server in servers:
        if server.process.poll() is None:
            server.end(signal.SIGTERM)


@pytest.fixture
def start_own(own: Cli) -> Iterator[Callable[..., Server]]:
    """Starts the least of a server on an own database."""
    with ExitStack() as stack:

        def run(*options: str) -> Server:
            server = Server(own, "--no-worker", "--workers", "1", *options)
            stack.callback(server.end, signal.SIGTERM)
            return server

        yield run


def postgres_runs(cli: Cli) -> bool:
    return (Path(cli.environ["SIPXCONFIG_DATA_DIR"]) / "postgresql/postmaster.pid").exists()


def test_a_newcomer_starts_it_twice(cli: Cli, start: Callable[..., Server]) -> None:
    first = start()
    pin_line, shown_once, services, administrator = first.printed
    pin = pin_line.removeprefix("PIN of superadmin: ")
    assert "not shown again" in shown_once
    assert re.fullmatch(r"Services: http://127\.0\.0\.1:\d+/sipxconfig/services/", services)
    assert administrator == "Administrator: superadmin"
    assert first.status(pin) == 200
    assert first.status("wrong") == 401
    # Other commands share the running database, and leave it running.
    assert cli.ok("jobs", "--json") == ""
    assert first.status(pin) == 200
    assert first.end(signal.SIGTERM) == 0
    assert not postgres_runs(cli)
    # They start it for a moment when nothing else does.
    assert cli.ok("jobs", "--json") == ""
    assert not postgres_runs(cli)

    second = start()
    assert second.printed[0].startswith("Services: ")
    assert second.status(pin) == 200
    cli.ok("admin", "set-pin", "--stdin", stdin="another\n")
    assert (second.status(pin), second.status("another")) == (401, 200)
    assert second.end(signal.SIGINT) == 0
    assert not postgres_runs(cli)
    assert pin not in second.log.read_text()


def test_a_given_pin_counts_at_creation_only_and_is_not_printed(
    cli: Cli, start: Callable[..., Server]
) -> None:
    cli.environ["SIPXCONFIG_ADMIN_PIN"] = "g1ven"
    first = start("--no-worker")
    assert [line.split(":")[0] for line in first.printed] == ["Services", "Administrator"]
    assert first.status("g1ven") == 200
    first.end(signal.SIGTERM)
    cli.environ["SIPXCONFIG_ADMIN_PIN"] = "0ther"
    second = start("--no-worker")
    assert (second.status("0ther"), second.status("g1ven")) == (401, 200)


def test_a_killed_server_leaves_a_database_that_the_next_takes_over(
    cli: Cli, start: Callable[..., Server], embedded_data: Callable[[Path], None]
) -> None:
    embedded_data(Path(cli.environ["SIPXCONFIG_DATA_DIR"]))
    first = start()
    first.process.kill()
    first.process.wait(WAIT_SECONDS)
    assert first.process.stdout is not None
    first.process.stdout.close()
    second = start()
    assert second.status(PIN) == 200
    assert second.end(signal.SIGTERM) == 0


def test_the_default_domain_is_a_warning(own: Cli, start_own: Callable[..., Server]) -> None:
    del own.environ["SIPXCONFIG_DOMAIN"]
    server = start_own()
    assert server.log.read_text().startswith(
        "Warning: the SIP domain is the default example.org; phones need the real one: "
        "set SIPXCONFIG_DOMAIN or --domain.\n"
    )


def test_the_default_domain_on_purpose_is_none(own: Cli, start_own: Callable[..., Server]) -> None:
    own.environ["SIPXCONFIG_DOMAIN"] = "example.org"
    assert "Warning" not in start_own().log.read_text()
    del own.environ["SIPXCONFIG_DOMAIN"]
    assert "Warning" not in start_own("--domain", "example.org").log.read_text()


def test_it_says_that_administrators_can_empty_the_system(
    cli: Cli, start: Callable[..., Server], embedded_data: Callable[[Path], None]
) -> None:
    embedded_data(Path(cli.environ["SIPXCONFIG_DATA_DIR"]))
    first = start("--no-worker")
    assert "TestService is on" in first.log.read_text()
    cli.environ["SIPXCONFIG_TEST_SERVICE"] = "no"
    assert "TestService is off" in start("--no-worker").log.read_text()


def test_with_an_own_database_nobody_can_unless_told_to(own: Cli) -> None:
    for given, level, state in (("", "info", "off"), ("yes", "warning", "on")):
        own.environ["SIPXCONFIG_TEST_SERVICE"] = given
        server = Server(own, "--no-worker", "--workers", "1")
        assert server.status("first") == 200
        assert ("TestService" in server.page("first")) is (state == "on")
        assert server.end(signal.SIGTERM) == 0
        (line,) = [line for line in server.log.read_text().splitlines() if "TestService" in line]
        assert f"level={level}" in line
        assert f"TestService is {state}" in line


def test_a_profile_directory_that_cannot_be_written_is_a_warning(own: Cli) -> None:
    own.environ["SIPXCONFIG_PROFILE_ROOT"] = "/dev/null/profiles"
    warning = "Warning: the profile directory /dev/null/profiles cannot be written: Not a directory"
    server = Server(own, "--workers", "1")
    assert server.end(signal.SIGTERM) == 0
    assert warning in server.log.read_text()
    # Without a worker nobody would write there.
    server = Server(own, "--no-worker", "--workers", "1")
    assert server.end(signal.SIGTERM) == 0
    assert warning not in server.log.read_text()


def test_a_public_url_is_the_one_that_is_announced(start_own: Callable[..., Server]) -> None:
    server = start_own("--public-url", "https://pbx.example.com/")
    assert server.printed[-2] == "Services: https://pbx.example.com/sipxconfig/services/"


def test_a_taken_port_is_told_before_anything_is_started(cli: Cli, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        bind = f"127.0.0.1:{taken.getsockname()[1]}"
        assert cli.fails("serve", "--bind", bind) == (
            f"Cannot listen on {bind}: Address already in use. Choose another address with --bind."
        )
    assert not (tmp_path / "data").exists()
