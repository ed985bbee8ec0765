"""Processor time and memory of processes, as Linux accounts for them in /proc."""

from __future__ import annotations

import os
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_PROC = Path("/proc")


def tree(pid: int) -> list[int]:
    """A process and all its descendants; the process itself comes first."""
    children: dict[int, list[int]] = {}
    for entry in _PROC.iterdir():
        if entry.name.isdigit() and (fields := _stat(int(entry.name))):
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    found = [pid]
    for each in found:
        found += children.get(each, [])
    return found


def cpu_seconds(pid: int) -> float:
    """Processor time of a process and its descendants, those that have ended included."""
    ticks = 0
    for each in tree(pid):
        # utime, stime, and the same of children that were waited for.
        ticks += sum(int(field) for field in _stat(each)[11:15])
    return ticks / _TICKS


def resident(pid: int) -> int:
    """Resident memory of one process, in bytes."""
    return _memory(pid, "VmRSS")


def peak(pid: int) -> int:
    """The most resident memory since `forget_peak`, in bytes."""
    return _memory(pid, "VmHWM")


def forget_peak(pid: int) -> None:
    """Let the peak begin anew at what is resident now."""
    (_PROC / str(pid) / "clear_refs").write_text("5")


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat after the name: state, parent and so on; none when it ended."""
    try:
        text = (_PROC / str(pid) / "stat").read_text()
    except OSError:
        return []
    # The name stands in parentheses and may have some itself.
    return text.rpartition(")")[2].split()


def _memory(pid: int, name: str) -> int:
    for line in (_PROC / str(pid) / "status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    return 0
