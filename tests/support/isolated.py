"""Programs run by a stranger, or among file systems that are closed, full or small.

Only root can do that; elsewhere these tests are skipped.
"""

from __future__ import annotations

import functools
import os
import shutil
import subprocess

import pytest

STRANGER = 54321
"""A user who is not in passwd."""


def mounted(*mounts: str) -> list[str]:
    """What to put before a command that is to see these file systems, which nobody else sees.

    Args:
        mounts: the arguments of `mount`, in their order.
    """
    lines = [*(f"mount {each} || exit 99" for each in mounts), 'exec "$@"']
    return ["unshare", "--mount", "sh", "-c", "\n".join(lines), "sh"]


def by_stranger(group: int = STRANGER) -> list[str]:
    """What to put before a command that a stranger of this group is to run.

    It may read everything: the interpreter may lie in root's home. It may write what others may.
    """
    kept = "-all,+dac_read_search"
    return [
        *("setpriv", f"--reuid={STRANGER}", f"--regid={group}", "--clear-groups"),
        *(f"--{each}={kept}" for each in ("inh-caps", "ambient-caps", "bounding-set")),
    ]


@functools.cache
def may_mount() -> bool:
    """Whether this user may mount file systems."""
    if os.geteuid() != 0:
        return False
    command = [*mounted("-t tmpfs tmpfs /mnt"), "true"]
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


needs_mounts = pytest.mark.skipif(not may_mount(), reason="only root may mount a full disk")
needs_root = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("setpriv") is None,
    reason="only root may become another user",
)
