"""Builds the images of docker/Dockerfile with buildah, on a Debian made on this machine.

The storage of buildah is kept between runs, with the Debian and all steps of the build that come
out the same.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
import tomllib
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

REPOSITORY = Path(__file__).parents[2]
BASE = "localhost/sipxconfig-soap-tests-bookworm"
BASE_PYTHON = (3, 11)
OURS = "localhost/sipxconfig-soap"
TFTP = "localhost/sipxconfig-soap-tftp"

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
        places = ["--root", str(storage / "root"), "--runroot", str(storage / "run")]
        overlay, copies = ([*places, "--storage-driver", each] for each in ("overlay", "vfs"))
        self.layered = self._works(overlay)
        """Whether the kernel can lay file systems over others; else everything is copied."""
        self._options = overlay if self.layered else copies

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


@contextmanager
def built(directory: Path) -> Iterator[Buildah]:
    """Build `OURS` and `TFTP`; another run that wants to waits as long as the context lasts.

    Args:
        directory: for the packages that are to be installed.
    """
    _CACHE.mkdir(parents=True, exist_ok=True)
    with (_CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        buildah = Buildah(_CACHE / "storage")
        buildah("rm", "--all")  # what a run that was killed has left
        used = BASE in buildah("images", "--noheading", "--format", "{{.Name}}").split()
        if not used:
            _make_base(buildah)
        options = [
            *("bud", "--pull-never", "--format=docker", f"--build-arg=BASE={BASE}"),
            *("--file", REPOSITORY / "docker" / "Dockerfile", *_packages(directory)),
        ]
        if buildah.layered and used:
            # Its steps have a name so that they are kept, too. To copy after each takes too long,
            # and what was used never before, as on a machine made for this run, may never be again.
            options += ["--layers"]
            buildah(*options, "--target=build", f"--tag={OURS}-build", REPOSITORY)
        buildah(*options, f"--tag={OURS}", REPOSITORY)
        buildah(*options, "--target=tftp", f"--tag={TFTP}", REPOSITORY)
        buildah("rmi", "--prune")
        yield buildah


_APT = [
    "Acquire::Languages none",
    # They are unpacked more quickly.
    'Acquire::CompressionTypes::Order:: "gz"',
    'DPkg::Post-Invoke { "rm -f /var/cache/apt/*.bin /var/cache/apt/archives/*.deb"; }',
]


def _make_base(buildah: Buildah) -> None:
    """Make a Debian such as Debian's own slim image: what nobody reads there costs time only."""
    container = buildah("from", "scratch")
    root = Path(buildah("mount", container))
    left_out = "".join(f"path-exclude=/usr/share/{each}/*\\n" for each in ("doc", "locale", "man"))
    configuration = '"$1/etc/dpkg/dpkg.cfg.d"'
    command = [
        *("mmdebstrap", "--quiet", "--variant=apt"),
        # Else usrmerge comes, and Perl with it.
        "--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr",
        *(f"--aptopt={each}" for each in _APT),
        f"--setup-hook=mkdir -p {configuration}; printf '{left_out}' >{configuration}/slim",
    ]
    made = subprocess.run([*command, "bookworm", root], capture_output=True, text=True, check=False)
    if made.returncode != 0:
        # No mirror of Debian can be reached, or this machine lets nobody make devices.
        pytest.skip(f"no Debian can be made here: {made.stdout[-300:]}{made.stderr[-300:]}")
    for emptied in ("usr/share/doc", "usr/share/locale", "usr/share/man"):
        shutil.rmtree(root / emptied)
        (root / emptied).mkdir()
    for kept in ("var/cache/apt", "var/lib/apt/lists"):
        shutil.rmtree(root / kept)
        (root / kept / "partial").mkdir(parents=True)
    buildah("commit", "--rm", container, BASE)


def _packages(directory: Path) -> list[str]:
    """Options that let pip in the build find what pip outside finds, by whatever settings."""
    wheels = directory / "wheels"
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    needed = project["project"]["dependencies"] + project["build-system"]["requires"]
    run(sys.executable, "-m", "pip", "wheel", "-q", "-w", wheels, *needed)
    settings = directory / "pip.conf"
    settings.write_text("[global]\nno-index = true\nfind-links = /wheels\n")
    return [f"--secret=id=pip.conf,src={settings}", f"--volume={wheels}:/wheels:ro"]
