"""Where the server listens beside a port: on a Unix socket, and where systemd has opened one."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import requests

from sipxconfig_soap.listening import CannotListen, check_address
from sipxconfig_soap.settings import Settings, SettingsError
from tests.support.client import ADMINISTRATOR, PIN
from tests.support.proxies import nginx
from tests.support.raw import AUTHORIZATION
from tests.support.worker import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from sipxconfig_soap.db import Database
    from tests.support.server import RunningServer

    Run = Callable[..., AbstractContextManager[RunningServer]]

WSDL = "/sipxconfig/services/UserService?wsdl"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "http.sock"


def get(path: Path, target: str, *headers: str) -> str:
    """An answer, with its head, over a Unix socket."""
    lines = [f"GET {target} HTTP/1.1", "Host: pbx", "Connection: close", *headers]
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(30)
        client.connect(str(path))
        client.sendall("".join(f"{line}\r\n" for line in [*lines, ""]).encode())
        return b"".join(iter(lambda: client.recv(65536), b"")).decode()


def test_a_unix_socket_is_served_for_this_user_and_its_group(run_server: Run, path: Path) -> None:
    with run_server(SIPXCONFIG_BIND=f"unix:{path}") as server:
        assert f"Services: unix:{path}/sipxconfig/services/\n" in server.output
        assert path.stat().st_mode & 0o777 == 0o770
        login = f"Authorization: {AUTHORIZATION}"
        assert get(path, "/readyz").endswith("ready\n")
        assert "401 Unauthorized" in get(path, WSDL)
        assert 'location="http://pbx/sipxconfig/services/UserService"' in get(path, WSDL, login)
        wait_for(lambda: [line for line in server.output if "address=unix" in line])
    assert not path.exists()


def test_who_may_open_it_is_trusted_like_a_proxy(run_server: Run, path: Path) -> None:
    forwarded = (
        "X-Forwarded-For: 192.0.2.7",
        "X-Forwarded-Proto: https",
        "X-Forwarded-Host: pbx.example.org",
        "X-Request-ID: of-the-proxy",
    )
    with run_server(SIPXCONFIG_BIND=f"unix:{path}", SIPXCONFIG_REQUIRE_HTTPS="true") as server:
        answer = get(path, WSDL, f"Authorization: {AUTHORIZATION}", *forwarded)
        assert 'location="https://pbx.example.org/sipxconfig/services/UserService"' in answer
        assert "X-Request-ID: of-the-proxy" in answer
        wait_for(lambda: [line for line in server.output if "address=192.0.2.7" in line])
        # What a client of the proxy has sent in clear text is refused there, too.
        in_the_open = [each.replace("https", "http") for each in forwarded]
        assert "403 Forbidden" in get(path, WSDL, *in_the_open)


def test_health_and_the_proxy_of_deploy_reach_it(run_server: Run, tmp_path: Path) -> None:
    path = tmp_path / "http.sock"
    own = {
        "SIPXCONFIG_BIND": f"unix:{path}",
        "SIPXCONFIG_MANAGEMENT_BIND": "127.0.0.1:0",
        "SIPXCONFIG_REQUIRE_HTTPS": "true",
    }
    with run_server(**own) as server:
        (url,) = re.findall(r"Management: (\S+)", "".join(server.output))
        assert requests.get(f"{url}/readyz", timeout=30).text == "ready\n"
        if shutil.which("nginx") is None:
            pytest.skip("nginx is not here (Debian: nginx-light)")
        with nginx(tmp_path, [f"unix:{path}"]) as proxy:
            answer = requests.get(
                f"{proxy.url}{WSDL}", auth=ADMINISTRATOR, verify=proxy.certificate, timeout=30
            )
            assert f'location="{proxy.url}/sipxconfig/services/UserService"' in answer.text


def test_a_path_that_cannot_be_had_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with socket.socket(socket.AF_UNIX) as taken:
        taken.bind(str(tmp_path / "taken"))
        taken.listen()
        reasons = {
            "taken": "Address already in use",
            "file": "File exists",
            "none/there": "No such file or directory",
        }
        for name, reason in reasons.items():
            bind = f"unix:{tmp_path / name}"
            with pytest.raises(CannotListen, match=f"^Cannot listen on {bind}: {reason}"):
                check_address(Settings.load({}, bind=bind))
    # Nobody listens there any more: the next server takes its place.
    check_address(Settings.load({}, bind=f"unix:{tmp_path / 'taken'}"))


@pytest.mark.parametrize("bind", ["unix:", "unix:relative", f"unix:/{'x' * 107}"])
def test_what_is_no_path_is_no_setting(bind: str) -> None:
    with pytest.raises(SettingsError, match="unix: and an absolute path"):
        Settings.load({}, bind=bind)
    with pytest.raises(SettingsError, match="--management-bind"):
        Settings.load({}, management_bind="unix:/run/x")


# -- systemd -------------------------------------------------------------------------------------

# As systemd does it: the socket is descriptor 3, and who is meant is named by number.
_ACTIVATE = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()))
os.execv(sys.executable, [sys.executable, "-m", "sipxconfig_soap", "serve"])
"""


@pytest.fixture
def activated(
    database: Database, database_url: str, tmp_path: Path
) -> Iterator[tuple[subprocess.Popen[str], tuple[str, int]]]:
    """A server whose socket was opened before it; clients may already wait."""
    assert database
    environment = {name: text for name, text in os.environ.items() if "SIPXCONFIG" not in name}
    own = {
        "SIPXCONFIG_DATABASE_URL": database_url,
        "SIPXCONFIG_DATA_DIR": str(tmp_path),
        "SIPXCONFIG_ADMIN_PIN": PIN,
        "SIPXCONFIG_WORKERS": "1",
        # Nobody may listen there.
        "SIPXCONFIG_BIND": "192.0.2.1:80",
    }
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        subprocess.Popen(
            [sys.executable, "-c", _ACTIVATE, str(listener.fileno())],
            env=environment | own,
            pass_fds=[listener.fileno()],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process,
    ):
        yield process, listener.getsockname()
        process.kill()


def test_a_socket_that_systemd_has_opened_comes_first(
    activated: tuple[subprocess.Popen[str], tuple[str, int]],
) -> None:
    process, (host, port) = activated
    # This client connects before the server is there, and waits.
    url = f"http://{host}:{port}"
    assert requests.get(f"{url}/readyz", timeout=60).text == "ready\n"
    assert requests.get(f"{url}{WSDL}", auth=ADMINISTRATOR, timeout=30).status_code == 200
    process.terminate()
    said, _ = process.communicate(timeout=60)
    assert f"Services: {url}/sipxconfig/services/\n" in said
    assert process.returncode == 0
