"""Builds the images of docker/Dockerfile with buildah, on a Debian made on this machine.

The storage of buildah is kept between runs, with the Debian and all steps of the build that come
out the same: debootstrap takes most of a minute.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

REPOSITORY = Path(__file__).parents[2]
BASE = "localhost/sipxconfig-soap-tests-bookworm"
BASE_PYTHON = (3, 11)
MOST_IMAGES = 150
"""Of steps that were kept, before all but the base are thrown away."""

_CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sipxconfig-soap-tests"


def run(*command: str | Path) -> str:
    """The output of a program that has to succeed."""
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )
    assert done.returncode == 0, f"{command}:\n{done.stdout}{done.stderr}"
    return done.stdout


class Buildah:
    """buildah as root without the help of an engine: with no more than chroot to isolate steps."""

    def __init__(self, storage: Path) -> None:
        self._options = ["--root", str(storage / "root"), "--runroot", str(storage / "run")]
        # Where the kernel cannot lay file systems over others, whole copies do.
        drivers = [[*self._options, "--storage-driver", each] for each in ("overlay", "vfs")]
        self._options = drivers[0] if self._works(drivers[0]) else drivers[1]

    @staticmethod
    def _works(options: list[str]) -> bool:
        command = ["buildah", *options, "info"]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0

    def __call__(self, *arguments: str | Path) -> str:
        isolated = ["env", "BUILDAH_ISOLATION=chroot", "buildah", *self._options]
        return run(*isolated, *arguments).strip()

    def config(self, image: str) -> dict[str, Any]:
        """What the image says of itself: Env, User, Entrypoint, Healthcheck."""
        found: dict[str, Any] = json.loads(self("inspect", "--type", "image", image))
        config: dict[str, Any] = found["Docker"]["config"]
        return config

    @contextmanager
    def mounted(self, image: str) -> Iterator[Path]:
        """The root file system of a container of the image."""
        container = self("from", "--pull-never", image)
        try:
            yield Path(self("mount", container))
        finally:
            self("rm", container)


def build(directory: Path) -> Buildah:
    """Build ``localhost/sipxconfig-soap`` and ``localhost/sipxconfig-soap-tftp``.

    Args:
        directory: for the packages that are to be installed.
    """
    _CACHE.mkdir(parents=True, exist_ok=True)
    with (_CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # another run may be at it
        buildah = Buildah(_CACHE / "storage")
        names = buildah("images", "--noheading", "--format", "{{.Name}}")
        if BASE not in names:
            _make_base(buildah)
        if len(names.splitlines()) > MOST_IMAGES:
            shown = buildah("images", "--all", "--noheading", "--format", "{{.Name}} {{.ID}}")
            old = [each.split()[1] for each in shown.splitlines() if not each.startswith(BASE)]
            buildah("rmi", "--force", *old)
        options = [
            *("bud", "--layers", "--pull-never", "--format=docker", f"--build-arg=BASE={BASE}"),
            *("--file", REPOSITORY / "docker" / "Dockerfile"),
        ]
        packages = _packages(directory)
        buildah(*options, *packages, "--tag=localhost/sipxconfig-soap", REPOSITORY)
        buildah(*options, "--target=tftp", "--tag=localhost/sipxconfig-soap-tftp", REPOSITORY)
    return buildah


def _make_base(buildah: Buildah) -> None:
    container = buildah("from", "scratch")
    root = Path(buildah("mount", container))
    run("debootstrap", "--variant=minbase", "bookworm", root)
    for kept in ("var/cache/apt", "var/lib/apt/lists"):
        shutil.rmtree(root / kept)
        (root / kept / "partial").mkdir(parents=True)
    buildah("commit", "--rm", container, BASE)


def _packages(directory: Path) -> list[str]:
    """Options that let pip in the build find what pip outside finds, by whatever settings."""
    wheels = directory / "wheels"
    run(sys.executable, "-m", "pip", "wheel", "-q", "-w", wheels, REPOSITORY, "hatchling")
    settings = directory / "pip.conf"
    settings.write_text("[global]\nno-index = true\nfind-links = /wheels\n")
    return [f"--secret=id=pip.conf,src={settings}", f"--volume={wheels}:/wheels:ro"]
