"""How much memory a process took, in tests that look at that in a process of its own."""

from __future__ import annotations

from pathlib import Path


def peak() -> int:
    """The most that this process had resident since it was started, in KiB.

    Unlike ``ru_maxrss``, which on Linux begins with what its parent had.
    """
    lines = Path("/proc/self/status").read_text().splitlines()
    (found,) = (line.split() for line in lines if line.startswith("VmHWM:"))
    return int(found[1])
