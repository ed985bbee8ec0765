"""The results, for people and for programs."""

from __future__ import annotations

import json
import os
import platform
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from bench import load

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.measure import Options, Result, SideResult

_MIB = 1024 * 1024

_COLUMNS = (
    f"{'workload':<38} {'conn':>4} {'side':<6} {'req/s':>8} {'(from - to)':>17} {'p50 ms':>8} "
    f"{'p99 ms':>8} {'1st byte':>8} {'app ms':>8} {'pg ms':>8} {'bytes':>9} {'MiB':>5} "
    f"{'now':>5} {'peak':>6} {'errors':>6}  ratio (from - to)"
)

HEADING = f"{_COLUMNS}\n{'-' * len(_COLUMNS)}"

LEGEND = (
    "ratio: the server's requests per second as a part of the floor's, median of the rounds. "
    "app, pg: processor time\nfor one request, of the application's processes and of PostgreSQL's. "
    "MiB, now, peak: resident memory of the worker\nthat grew most, before and after, and its "
    "growth at most."
)


def lines(result: Result) -> str:
    """Two lines of the table."""
    name, count = f"{result.workload:<38}", f"{result.connections:>4}"
    ratio = f"{result.ratio.median:.2f} ({result.ratio.low:.2f} - {result.ratio.high:.2f})"
    size = f"{result.answer_bytes:>9}"
    return (
        f"{name} {count} server {_side(result.server, size)}  {ratio}\n"
        f"{'':<38} {'':>4} floor  {_side(result.floor, f'{chr(34):>9}')}"
    )


def _side(side: SideResult, size: str) -> str:
    between = f"({side.rate.low:.1f} - {side.rate.high:.1f})"
    first = "" if side.first_byte is None else f"{side.first_byte:.1f}"
    return (
        f"{side.rate.median:>8.1f} {between:>17} {side.p50:>8.2f} {side.p99:>8.2f} {first:>8} "
        f"{side.application_cpu:>8.2f} {side.postgres_cpu:>8.2f} {size} "
        f"{side.resident_before / _MIB:>5.0f} {side.resident_after / _MIB:>5.0f} "
        f"{side.peak_growth / _MIB:>6.1f} {side.errors:>6}"
    )


def machine() -> dict[str, Any]:
    """What the numbers were measured on."""
    return {
        "processors": os.cpu_count(),
        "python": platform.python_version(),
        "system": platform.platform(),
        "client": "wrk" if load.wrk() else "own",
    }


def as_json(options: Options, results: Sequence[Result]) -> str:
    """Everything, as one JSON object; times are in milliseconds and memory in bytes."""
    return json.dumps(
        {
            "machine": machine(),
            "options": asdict(options),
            "results": [asdict(result) for result in results],
        },
        indent=2,
    )
