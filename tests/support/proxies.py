"""The proxies of deploy/ with their shipped configuration, and a certificate made on the spot."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

START_SECONDS = 30
DEPLOY = Path(__file__).parents[2] / "deploy"

_NGINX = """\
{user}
daemon off;
pid {directory}/nginx.pid;
error_log {directory}/error.log warn;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    {paths}
    include {site};
}}
"""
_TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy that takes requests.

    Attributes:
        name: of the program.
        port: of HTTPS, on this machine.
        certificate: the file that clients trust.
    """

    name: str
    port: int
    certificate: str

    @property
    def url(self) -> str:
        """Its base URL, with the name that is in the certificate."""
        return f"https://localhost:{self.port}"


def certify(directory: Path) -> Path:
    """Make a certificate for this machine, followed by its key, in one file."""
    made = directory / "certificate.pem"
    key = directory / "key.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-nodes", "-days", "2", "-subj", "/CN=localhost", "-keyout", key, "-out", made),
            *("-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"),
        ],
        check=True,
        capture_output=True,
    )
    made.write_text(made.read_text() + key.read_text())
    return made


@contextmanager
def nginx(directory: Path, servers: Sequence[str]) -> Iterator[Proxy]:
    """nginx with deploy/nginx in front of these servers (``host:port`` or ``unix:path``)."""
    certificate, port = certify(directory), free_port()
    changes = {
        "listen 443 ssl;": f"listen 127.0.0.1:{port} ssl;",
        "listen [::]:443 ssl;": "",
        "server_name pbx.example.org;": "server_name localhost;",
        "/etc/ssl/sipxconfig-soap/fullchain.pem": str(certificate),
        "/etc/ssl/sipxconfig-soap/privkey.pem": str(certificate),
        "server 127.0.0.1:8080 max_fails=1 fail_timeout=5s;": "\n".join(
            f"server {each} max_fails=1 fail_timeout=5s;" for each in servers
        ),
    }
    site = directory / "site.conf"
    site.write_text(_changed(DEPLOY / "nginx" / "sipxconfig-soap.conf", changes))
    configuration = directory / "nginx.conf"
    configuration.write_text(
        _NGINX.format(
            # Its processes share a directory that is closed to others.
            user="user root;" if os.geteuid() == 0 else "",
            directory=directory,
            site=site,
            paths="\n    ".join(f"{name}_temp_path {directory}/{name};" for name in _TEMPORARY),
        )
    )
    arguments = ["nginx", "-p", str(directory), "-c", str(configuration)]
    with _running("nginx", arguments, port, directory, certificate) as proxy:
        yield proxy


@contextmanager
def haproxy(directory: Path, servers: Sequence[str]) -> Iterator[Proxy]:
    """HAProxy with deploy/haproxy in front of these servers."""
    certificate, port = certify(directory), free_port()
    changes = {
        "    log /dev/log local0\n": "",
        "bind :443 ssl": f"bind 127.0.0.1:{port} ssl",
        "/etc/haproxy/sipxconfig-soap.pem": str(certificate),
        "server first 127.0.0.1:8080": "\n".join(
            f"    server s{number} {each.replace('unix:', 'unix@')}"
            for number, each in enumerate(servers)
        ),
    }
    if os.geteuid() != 0:
        changes["    user haproxy\n    group haproxy\n"] = ""  # only root can become somebody else
    configuration = directory / "haproxy.cfg"
    configuration.write_text(_changed(DEPLOY / "haproxy" / "haproxy.cfg", changes))
    arguments = ["haproxy", "-db", "-f", str(configuration)]
    with _running("haproxy", arguments, port, directory, certificate) as proxy:
        yield proxy


def _changed(shipped: Path, changes: dict[str, str]) -> str:
    """A shipped file with what its administrator has to change; each of it must be in the file."""
    text = shipped.read_text()
    for old, new in changes.items():
        assert text.count(old) == 1, f"{old!r} in {shipped.name}"
        text = text.replace(old, new)
    return text


@contextmanager
def _running(
    name: str, arguments: list[str], port: int, directory: Path, certificate: Path
) -> Iterator[Proxy]:
    said = directory / f"{name}.out"
    with (
        said.open("w") as log,
        subprocess.Popen(
            arguments, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
        ) as process,
    ):
        try:
            deadline = time.monotonic() + START_SECONDS
            while not _listens(port):
                assert process.poll() is None, said.read_text()
                assert time.monotonic() < deadline, said.read_text()
                time.sleep(0.05)
            yield Proxy(name, port, str(certificate))
        finally:
            process.terminate()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
        return port
