"""Starts what docker/compose.yaml describes, as far as Linux alone can: no engine is needed.

Each service gets namespaces of its own for processes, mounts and network, a root file system that
it cannot write to, its volumes and secrets, and its user, and is started when those that it depends
on are as it wants them. It has no privileges, and cannot get any.
"""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from ruamel.yaml import YAML

from tests.support.images import run

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType

START_SECONDS = 60
_NO_LONGER = ("setpriv", "--pdeathsig=KILL")
"""Before a command: it ends when this program does, however that ends."""

_APART = (
    *_NO_LONGER,
    *("unshare", "--mount", "--pid", "--net", "--ipc", "--fork", "--kill-child"),
)
_VARIABLE = re.compile(r"\$\{(\w+)(?::([-?])([^}]*))?\}")


def load(file: Path, variables: Mapping[str, str]) -> dict[str, Any]:
    """The compose file with ``${NAME:-default}`` and ``${NAME:?what it is}`` filled in."""

    def value(found: re.Match[str]) -> str:
        name, operator, text = found.groups()
        given = variables.get(name, "")
        assert given or operator != "?", f"{name} is needed: {text}"
        return given or text or ""

    content: dict[str, Any] = YAML(typ="safe").load(_VARIABLE.sub(value, file.read_text()))
    return content


@dataclass(frozen=True)
class Image:
    """What a service is started from.

    Attributes:
        root: its root file system; without one the programs of this machine are used.
        entrypoint: the command, or what comes before that of the service.
        user: number of the user and, after a colon, of the group.
        environment: its variables.
        health: the command that tells whether the service is well.
        scratch: directories that the service sees empty; where its own files go, if there is no
            root file system.
    """

    root: Path | None
    entrypoint: Sequence[str]
    user: str
    environment: Mapping[str, str] = field(default_factory=dict)
    health: Sequence[str] = ()
    scratch: Sequence[str] = ()


class Service:
    """A service that was started."""

    def __init__(self, process: subprocess.Popen[str], image: Image, log: Path) -> None:
        self.process = process
        self.image = image
        self._log = log

    @property
    def log(self) -> str:
        """All that it has printed."""
        return self._log.read_text()

    @property
    def main(self) -> int | None:
        """The number of its first process, seen from here; None before it is there and after."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return int(children.read_text() or 0) or None

    def execute(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command beside its first process."""
        user, group = self.image.user.split(":")
        entering = [
            *("nsenter", f"--target={self.main}", "--mount", "--pid", "--net", "--root", "--wd"),
            *(f"--setuid={user}", f"--setgid={group}"),
        ]
        environment = dict(self.image.environment)
        return subprocess.run(
            [*entering, *command],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )

    def stop(self, how: int = signal.SIGTERM) -> int:
        """End it as an engine does; the exit code."""
        if self.process.poll() is None:
            os.kill(self.main or self.process.pid, how)
        return self.process.wait(START_SECONDS)


class Project:
    """The services of a compose file.

    Args:
        directory: where the compose file is, with its secrets.
        content: what is in it.
        images: by the name of the service.
        volumes: a directory for the named volumes.
    """

    def __init__(
        self, directory: Path, content: dict[str, Any], images: Mapping[str, Image], volumes: Path
    ) -> None:
        self.directory, self.volumes = directory, volumes
        self._content, self._images = content, images
        self.services: dict[str, Service] = {}
        (subnet,) = content["networks"]["front"]["ipam"]["config"]
        self._network = subnet["subnet"].removesuffix(".0/24")
        self.gateway = f"{self._network}.1"
        # Its only process keeps the network that all services are connected to.
        self._switch = subprocess.Popen([*_NO_LONGER, "unshare", "--net", "sleep", "infinity"])

    def __enter__(self) -> Self:
        while self._is_ours():
            time.sleep(0.01)
        for command in (
            "link set lo up",
            "link add name bridge type bridge",
            f"address add {self.gateway}/24 dev bridge",
            "link set bridge up",
        ):
            self.inside("ip", *command.split())
        hosts = [f"{self.address(name)} {name}\n" for name in self._content["services"]]
        (self.volumes / "hosts").write_text("127.0.0.1 localhost\n" + "".join(hosts))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        for each in self.services.values():
            each.stop(signal.SIGKILL)
        self._switch.kill()
        self._switch.wait()

    def _is_ours(self) -> bool:
        """Whether that process is still in this program's own network."""
        there, here = Path(f"/proc/{self._switch.pid}/ns/net"), Path("/proc/self/ns/net")
        return there.readlink() == here.readlink()

    def inside(self, *command: str | Path) -> str:
        """Run a program of this machine in the network of the services, at the gateway."""
        return run("nsenter", f"--net=/proc/{self._switch.pid}/ns/net", *command)

    def address(self, name: str) -> str:
        """The address of a service."""
        networks = self._content["services"][name]["networks"]
        if isinstance(networks, dict):
            return str(networks["front"]["ipv4_address"])
        return f"{self._network}.{20 + list(self._content['services']).index(name)}"

    def up(self, *names: str) -> None:
        """Start services, and before them what they depend on, each when it is its turn."""
        for name in names:
            for other, how in self._content["services"][name].get("depends_on", {}).items():
                if other not in self.services:
                    self.up(other)
                getattr(self, how["condition"])(other)
            self.services[name] = self.start(name)

    def service_started(self, name: str) -> None:
        """A condition: it runs."""
        assert self.services[name].process.poll() is None

    def service_completed_successfully(self, name: str) -> None:
        """A condition: it has ended well."""
        service = self.services[name]
        assert service.process.wait(START_SECONDS) == 0, service.log

    def service_healthy(self, name: str) -> None:
        """A condition: its health check succeeds."""
        service, until = self.services[name], time.monotonic() + START_SECONDS
        check = self._content["services"][name].get("healthcheck", {}).get("test")
        how, *command = check or service.image.health
        assert how == "CMD"
        while service.main is None or service.execute(*command).returncode != 0:
            assert service.process.poll() is None, service.log
            assert time.monotonic() < until, service.log
            time.sleep(0.2)

    def start(self, name: str) -> Service:
        """Start a service, whatever it depends on."""
        given, image = self._content["services"][name], self._images[name]
        environment = {**image.environment, **given.get("environment", {})}
        command = [*image.entrypoint, *given.get("command", [])]
        log = self.volumes / f"{name}.log"
        with log.open("w") as output:
            log.chmod(0o666)  # nginx opens it once more, as its own user
            process = subprocess.Popen(
                [*_APART, "sh", "-ec", self._script(name, image, environment, command)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                text=True,
            )
        return Service(process, image, log)

    def _script(
        self, name: str, image: Image, environment: Mapping[str, str], command: Sequence[str]
    ) -> str:
        """What root does in the new namespaces before the service is started in its place."""
        given = self._content["services"][name]
        root = str(image.root or "")
        empty = "mount -t tmpfs -o mode=1777 tmpfs"
        lines = self._networking(name)
        if image.root:
            lines += [f"mount --bind {root} {root}", f"mkdir -p {root}/proc {root}/dev"]
            lines += [f"mount -t tmpfs -o mode=755 tmpfs {root}/dev"]
            lines += [f"mkdir {root}/dev/shm", f"{empty} {root}/dev/shm"]
            for each in ("null", "zero", "random", "urandom"):
                lines += self._bind(f"/dev/{each}", f"{root}/dev/{each}", "rw")
        lines += [f"{empty} {root}{each}" for each in image.scratch]
        lines += self._bind(str(self.volumes / "hosts"), f"{root}/etc/hosts", "ro")
        for source, target, how in self._mounts(given):
            lines += self._bind(source, root + target, how)
        # These may hide where the files above come from.
        lines += [f"{empty} {root}{each}" for each in given.get("tmpfs", [])]
        if given.get("read_only") and root:
            lines += [f"mount -o remount,bind,ro {root}"]
        # Seen from the new namespace of processes.
        lines += [f"mount -t proc proc {root}/proc"]
        user, group = image.user.split(":")
        as_user = ["setpriv", "--no-new-privs"]
        if root:
            as_user += ["chroot", f"--userspec={user}:{group}", "--groups=", root]
        else:
            as_user += [f"--reuid={user}", f"--regid={group}", "--clear-groups"]
        variables = [f"{key}={value}" for key, value in environment.items()]
        lines += [shlex.join(["exec", "env", "-i", *variables, *as_user, *command])]
        return "\n".join(lines)

    def _networking(self, name: str) -> list[str]:
        given = self._content["services"][name]
        end = f"to-{name}"
        settings = given.get("sysctls", {}).items()
        at_switch = f"nsenter --net=/proc/{self._switch.pid}/ns/net ip link"
        return [
            # The first process of this namespace of processes is in the new network.
            f"{at_switch} add {end} type veth peer name eth0 netns 1",
            f"{at_switch} set {end} master bridge up",
            "ip link set lo up",
            "ip link set eth0 up",
            f"ip address add {self.address(name)}/24 dev eth0",
            *(f"echo {value} >/proc/sys/{key.replace('.', '/')}" for key, value in settings),
        ]

    def _mounts(self, given: dict[str, Any]) -> list[tuple[str, str, str]]:
        mounts = []
        for secret in given.get("secrets", []):
            file = self.directory / self._content["secrets"][secret]["file"]
            mounts.append((str(file), f"/run/secrets/{secret}", "ro"))
        for volume in given.get("volumes", []):
            source, target, how = f"{volume}:rw".split(":")[:3]
            base = self.directory if source.startswith(".") else self.volumes
            mounts.append((str(base / source), target, how))
        return mounts

    @staticmethod
    def _bind(source: str, target: str, how: str) -> list[str]:
        make = f"mkdir -p {target}" if Path(source).is_dir() else f"touch {target}"
        return [
            f"mkdir -p {Path(target).parent}",
            f"[ -e {target} ] || {make}",
            f"mount --bind {source} {target}",
            f"mount -o remount,bind,{how} {target}",
        ]
