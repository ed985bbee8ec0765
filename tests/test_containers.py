"""The images and the compose file of docker/, built and started on this machine."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.compose import Image, Project, load
from tests.support.images import BASE_PYTHON, OURS, REPOSITORY, TFTP, built
from tests.support.worker import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

DOCKER = REPOSITORY / "docker"
RANDOM_USER = "1234567890:0"
WAIT_SECONDS = 60

TOOLS = "buildah mmdebstrap unshare nsenter setpriv chroot ip openssl curl nginx"
POSTGRESQL = sorted(Path("/usr/lib/postgresql").glob("*/bin"))

needs_tools = pytest.mark.skipif(
    os.geteuid() != 0
    or sys.version_info[:2] != BASE_PYTHON
    or not POSTGRESQL
    or not all(shutil.which(each) for each in TOOLS.split()),
    reason=f"needs root, Python 3.11, Debian's postgresql, and {TOOLS}",
)

# As the image of PostgreSQL does when its volume is empty.
START_POSTGRESQL = """
cd "$PGDATA"
initdb --username="$POSTGRES_USER" --pwfile="$POSTGRES_PASSWORD_FILE" --auth=scram-sha-256 \
  $POSTGRES_INITDB_ARGS >/dev/null
echo "CREATE DATABASE $POSTGRES_DB" | postgres --single postgres >/dev/null
echo "host all all all scram-sha-256" >>pg_hba.conf
exec postgres -c listen_addresses='*' -c unix_socket_directories=/run -c fsync=off
"""

FETCH_BY_TFTP = """
import socket, sys
server, name = sys.argv[1:]
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.settimeout(1)
for attempt in range(30):
    sock.sendto(b"\\0\\1" + name.encode() + b"\\0octet\\0", (server, 69))
    try:
        answer, sender = sock.recvfrom(1024)
        break
    except TimeoutError:
        pass
assert sender == (server, 69), sender
print(answer)
"""


def test_the_compose_file_is_what_its_schema_wants() -> None:
    checked = [sys.executable, "-m", "check_jsonschema", "--builtin-schema=vendor.compose-spec"]
    done = subprocess.run(
        [*checked, DOCKER / "compose.yaml"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_the_compose_file_refers_to_is_there(tmp_path: Path) -> None:
    prepare(tmp_path)
    content = compose(tmp_path)
    for service in content["services"].values():
        assert set(service.get("secrets", [])) <= set(content["secrets"])
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert source in content["volumes"] or (tmp_path / source).is_file()
        assert set(service["networks"]) <= set(content["networks"])
    for secret in content["secrets"].values():
        assert (tmp_path / secret["file"]).stat().st_mode & 0o777 == 0o444
    assert (tmp_path / "secrets").stat().st_mode & 0o777 == 0o700


def test_every_variable_of_the_compose_file_is_explained() -> None:
    used = set(re.findall(r"\$\{(\w+)", (DOCKER / "compose.yaml").read_text()))
    (table,) = re.findall(r"(?:^\|.*\n)+", (DOCKER / "README.md").read_text(), re.MULTILINE)
    assert set(re.findall(r"`([A-Z_]+)`", table)) == used


def prepare(directory: Path) -> None:
    """A copy of docker/ in which what its README says has been done."""
    ignored = shutil.ignore_patterns("secrets", ".env")
    shutil.copytree(DOCKER, directory, dirs_exist_ok=True, ignore=ignored)
    commands = re.findall(r"```sh\n(.*?)```", (DOCKER / "README.md").read_text(), re.DOTALL)
    subprocess.run(
        ["sh", "-euc", "\n".join(commands)], cwd=directory, check=True, capture_output=True
    )


def compose(directory: Path) -> dict[str, Any]:
    lines = (directory / ".env").read_text().splitlines()
    return load(directory / "compose.yaml", dict(line.split("=", 1) for line in lines))


@pytest.fixture
def images(tmp_path: Path) -> Iterator[dict[str, Image]]:
    """An image for each service: ours, and this machine's programs for those of others."""
    with (
        built(tmp_path) as buildah,
        buildah.mounted(OURS) as ours,
        buildah.mounted(TFTP) as tftp,
    ):
        found = {}
        for name, image, root in (("ours", OURS, ours), ("tftp", TFTP, tftp)):
            config = buildah.config(image)
            assert config["User"] == "10001:0"
            found[name] = Image(
                root=root,
                entrypoint=config["Entrypoint"],
                user=RANDOM_USER,
                environment=dict(each.split("=", 1) for each in config["Env"]),
                health=config.get("Healthcheck", {}).get("Test", []),
            )
        postgres = pwd.getpwnam("postgres")
        programs = {"PATH": f"{POSTGRESQL[-1]}:/usr/sbin:/usr/bin:/sbin:/bin"}
        data = {"PGDATA": "/var/lib/postgresql/data"}
        found["db"] = Image(
            root=None,
            entrypoint=["sh", "-ec", START_POSTGRESQL],
            user=f"{postgres.pw_uid}:{postgres.pw_gid}",
            environment=programs | data,
            scratch=["/run", "/var/lib/postgresql"],
        )
        found["nginx"] = Image(
            root=None,
            entrypoint=["nginx", "-g", "daemon off;"],
            user="101:101",
            environment=programs,
            scratch=["/run"],
        )
        yield found | dict.fromkeys(("migrate", "server", "worker"), found["ours"])


@pytest.fixture
def project(images: dict[str, Image], tmp_path: Path) -> Iterator[Project]:
    """What ``docker compose --profile tftp up`` starts."""
    directory, volumes = tmp_path / "docker", tmp_path / "volumes"
    prepare(directory)
    volumes.mkdir()
    # A new volume takes owner and mode from what the image has there.
    assert images["ours"].root is not None
    there = (images["ours"].root / "srv" / "phones").stat()
    (volumes / "phones").mkdir()
    os.chown(volumes / "phones", there.st_uid, there.st_gid)
    (volumes / "phones").chmod(stat.S_IMODE(there.st_mode))
    (volumes / "database").mkdir(mode=0o700)
    os.chown(volumes / "database", *map(int, images["db"].user.split(":")))
    with Project(directory, compose(directory), images, volumes) as started:
        started.up("nginx", "tftp")
        started.service_healthy("nginx")
        yield started


def call(project: Project, service: str, body: str, *options: str) -> str:
    """The answer to a call through nginx, made by curl from outside the containers."""
    secrets = project.directory / "secrets"
    pin = (secrets / "admin_pin").read_text().strip()
    envelope = (
        '<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/" '
        'xmlns:c="http://www.sipfoundry.org/2007/08/21/ConfigService"><e:Body>'
        f"{body}</e:Body></e:Envelope>"
    )
    return project.inside(
        *("curl", "--silent", "--show-error", "--fail-with-body", "--cacert", secrets / "tls.crt"),
        *("--resolve", f"pbx.example.org:8443:{project.address('nginx')}"),
        *("--user", f"superadmin:{pin}", "--header", "Content-Type: text/xml", *options),
        *("--data", envelope, f"https://pbx.example.org:8443/sipxconfig/services/{service}"),
    )


def a_call_a_profile_and_its_way_to_the_phone(project: Project) -> None:
    serial = "0004f2abcdef"
    phone = f"<serialNumber>{serial}</serialNumber><modelId>polycom330</modelId>"
    call(project, "PhoneService", f"<c:AddPhone><phone>{phone}</phone></c:AddPhone>")
    assert serial in call(project, "PhoneService", "<c:FindPhone/>")
    search = f"<search><bySerialNumber>{serial}</bySerialNumber></search>"
    asked = f"<c:ManagePhone>{search}<generateProfiles>true</generateProfiles></c:ManagePhone>"
    call(project, "PhoneService", asked)
    until = time.monotonic() + WAIT_SECONDS
    while not (project.volumes / "phones" / f"{serial}.cfg").exists():
        assert time.monotonic() < until, project.services["worker"].log
        time.sleep(0.1)
    address = project.address("tftp")
    answer = project.inside(sys.executable, "-c", FETCH_BY_TFTP, address, f"{serial}.cfg")
    assert "CONFIG_FILES" in answer


def what_the_proxy_says_of_clients_counts_and_not_what_they_say(project: Project) -> None:
    spoofed = ("--header", "X-Forwarded-For: 10.9.8.7", "--header", "X-Forwarded-Proto: http")
    call(project, "PermissionService", "<c:FindPermission/>", *spoofed)
    line = project.services["server"].log.splitlines()[-1]
    assert f"address={project.gateway} " in line


def nothing_but_the_volume_and_memory_can_be_written(project: Project) -> None:
    attempt = "touch {0}/new 2>/dev/null && rm {0}/new && echo {0}"
    folders = (
        "/ /tmp /var/tmp /run /run/secrets /etc /opt/sipxconfig-soap /dev /dev/shm /srv/phones"
    )
    program = "; ".join(attempt.format(each) for each in folders.split())
    done = project.services["worker"].execute("sh", "-c", program)
    assert done.stdout.split() == ["/dev/shm", "/srv/phones"]
    done = project.services["tftp"].execute("sh", "-c", program)
    assert done.stdout.split() == ["/dev/shm"]
    shown = project.services["server"].execute("sh", "-c", "id -u; id -G; getent passwd $(id -u)")
    assert (shown.returncode, shown.stdout.split()) == (2, ["1234567890", "0"])


def nothing_was_odd_and_nothing_told(project: Project) -> None:
    files = [project.directory / "secrets" / each for each in ("admin_pin", "database_password")]
    for name in ("migrate", "server", "worker", "nginx"):
        log = project.services[name].log
        assert "Warning" not in log
        assert "level=error" not in log
        assert not [each for each in files if each.read_text().strip() in log]


def the_health_check_knows_when_the_database_is_away(project: Project) -> None:
    server, database = project.services["server"], project.services["db"]
    _, *check = server.image.health
    assert server.execute(*check).returncode == 0
    database.stop(signal.SIGINT)
    # An answer counts for a second, so that many who ask are one.
    wait_for(lambda: server.execute(*check).returncode == 1)
    assert server.process.poll() is None


def it_ends_well_when_it_is_told_to(project: Project) -> None:
    # The first process of a container gets no signal that it does not ask for.
    for name in ("worker", "server", "tftp", "nginx"):
        assert project.services[name].stop() == 0, project.services[name].log


def the_image_holds_nothing_that_its_user_can_change(images: dict[str, Image]) -> None:
    root = images["ours"].root
    who = ["(", "-perm", "-o+w", "-o", "-user", "10001", "-o", "-group", "0", "-perm", "-g+w", ")"]
    places = ["find", root, "-xdev", "!", "-type", "l", *who, "-printf", "/%P\n"]
    done = subprocess.run(places, capture_output=True, text=True, check=True)
    allowed = {"/tmp", "/var/tmp", "/run/lock", "/srv/phones"}
    assert {each for each in done.stdout.split() if not each.startswith("/dev")} <= allowed
    assert not (root / "etc/pip.conf").exists()


@needs_tools
def test_what_the_compose_file_describes_is_built_started_used_and_stopped(
    project: Project, images: dict[str, Image]
) -> None:
    # One test, since everything is started once, and these build on each other.
    a_call_a_profile_and_its_way_to_the_phone(project)
    what_the_proxy_says_of_clients_counts_and_not_what_they_say(project)
    nothing_but_the_volume_and_memory_can_be_written(project)
    nothing_was_odd_and_nothing_told(project)
    the_health_check_knows_when_the_database_is_away(project)
    it_ends_well_when_it_is_told_to(project)
    the_image_holds_nothing_that_its_user_can_change(images)
