"""The results, for people and for programs."""

from __future__ import annotations

import json
import os
import platform
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from bench import load
from bench.targets import growth_of, targets_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.measure import Options, Result, SideResult, Spread
    from bench.targets import Growth, Target

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
    ratio = _spread(result.ratio)
    size = f"{result.answer_bytes:>9}"
    return (
        f"{name} {count} server {_side(result.server, size)}  {ratio}\n"
        f"{'':<38} {'':>4} floor  {_side(result.floor, f'{chr(34):>9}')}"
    )


def _side(side: SideResult, size: str) -> str:
    between = f"({side.rate.low:.1f} - {side.rate.high:.1f})"
    first = "" if side.first_byte is None else f"{side.first_byte.median:.1f}"
    return (
        f"{side.rate.median:>8.1f} {between:>17} {side.p50:>8.2f} {side.p99:>8.2f} {first:>8} "
        f"{side.application_cpu:>8.2f} {side.postgres_cpu:>8.2f} {size} "
        f"{side.resident_before / _MIB:>5.0f} {side.resident_after / _MIB:>5.0f} "
        f"{side.peak_growth / _MIB:>6.1f} {side.errors:>6}"
    )


def summary(results: Sequence[Result]) -> str:
    """The tables at the end: how small calls grow, and which targets are met."""
    parts = [LEGEND]
    if growth := growth_of(results):
        parts.append("\n".join(_growth_lines(growth)))
    if targets := targets_of(results):
        parts.append("\n".join(_target_lines(targets)))
    return "\n\n".join(parts)


def _growth_lines(growth: Sequence[Growth]) -> list[str]:
    counts = sorted({users for each in growth for users in each.milliseconds})
    head = f"{'growth: ms by users stored':<32}" + "".join(f"{users:>11,}" for users in counts)
    lines = [f"{head}  {'last / first (from - to)':<26} {'processor':>9}  the floor's"]
    for each in growth:
        times = (each.milliseconds.get(users) for users in counts)
        shown = "".join(f"{'':>11}" if time is None else f"{time:>11.2f}" for time in times)
        lines.append(
            f"{each.call:<32}{shown}  {_spread(each.server):<26} {each.processor:>9.2f}  "
            f"{_spread(each.floor)}",
        )
    return lines


def _target_lines(targets: Sequence[Target]) -> list[str]:
    width = max(len(each.what) for each in targets)
    lines = [f"{'workload':<32} {'conn':>4} {'':<{width}} {'target':>8}  measured (from - to)"]
    for each in targets:
        limit = f"{'>=' if each.at_least else '<='} {each.limit:g}"
        lines.append(
            f"{each.workload:<32} {each.connections:>4} {each.what:<{width}} {limit:>8}  "
            f"{_spread(each.measured):<26} {'met' if each.met else 'not met'}",
        )
    return lines


def _spread(spread: Spread) -> str:
    return f"{spread.median:.2f} ({spread.low:.2f} - {spread.high:.2f})"


def machine(options: Options) -> dict[str, Any]:
    """What the numbers were measured on, and what made the load."""
    return {
        "processors": os.cpu_count(),
        "python": platform.python_version(),
        "system": platform.platform(),
        "client": "wrk" if load.by_wrk(options.seconds) else "own",
    }


def as_json(options: Options, results: Sequence[Result]) -> str:
    """Everything, as one JSON object; times are in milliseconds and memory in bytes."""
    return json.dumps(
        {
            "machine": machine(options),
            "options": asdict(options),
            "results": [asdict(result) for result in results],
            "growth": [asdict(each) for each in growth_of(results)],
            "targets": [asdict(each) for each in targets_of(results)],
        },
        indent=2,
    )
