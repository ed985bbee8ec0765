"""Putting a server under load: by wrk where it is installed, else by our own client.

oha is of no use here: its requests differ by chance only, and what is added needs a new number each
time.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bench import client

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.request import Request

GRACE = 180
"""Seconds beyond the planned ones after which a load is given up."""

_WRK_SCRIPT = """\
local requests = {%s}
local sent = %d
request = function()
  local each = requests[sent %% #requests + 1]
  local text = each.before
  if each.after ~= "" then
    local number = each.first + sent %% each.count
    text = text .. string.format("%%0" .. each.digits .. "d", number) .. each.after
  end
  sent = sent + 1
  return text
end
done = function(summary, latency)
  local failed = summary.errors
  io.write(string.format(
    '\\nOUTCOME {"answers": %%d, "seconds": %%f, "p50": %%f, "p99": %%f, "errors": %%d}\\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e6,
    latency:percentile(99) / 1e6,
    failed.connect + failed.read + failed.write + failed.timeout + failed.status))
end
"""


@dataclass(frozen=True, slots=True)
class Load:
    """What came of a load; times in seconds.

    Attributes:
        answers: how many.
        seconds: of how long.
        p50: the time within which half of the answers were there.
        p99: likewise 99 of 100.
        first_byte: the time until half of the answers had begun; None where it was not measured.
        errors: answers other than 200 and broken connections.
    """

    answers: int
    seconds: float
    p50: float
    p99: float
    first_byte: float | None
    errors: int

    @property
    def rate(self) -> float:
        """Answers per second."""
        return self.answers / self.seconds


def wrk() -> str | None:
    """Where wrk is, if it is."""
    return shutil.which("wrk")


def press(
    host: str, requests: Sequence[Request], connections: int, seconds: float, *, offset: int = 0
) -> Load:
    """Keep so many connections busy for a while.

    Args:
        host: and port of the server.
        requests: sent in turn.
        connections: at once.
        seconds: for how long.
        offset: how many requests of the series count as sent.
    """
    if by_wrk(seconds):
        return _press_by_wrk(host, requests, connections, int(seconds), offset)
    return press_by_client(host, requests, connections, seconds, offset=offset)


def by_wrk(seconds: float) -> bool:
    """Whether a load of this length comes from wrk, which counts whole seconds."""
    return wrk() is not None and seconds == int(seconds)


def press_by_client(
    host: str, requests: Sequence[Request], connections: int, seconds: float, *, offset: int = 0
) -> Load:
    """The same by our own client in processes of its own, which times the first bytes too."""
    shares = client.jobs(host, requests, connections, seconds, offset)
    with ThreadPoolExecutor(len(shares)) as threads:
        outcomes = list(threads.map(_run_client, shares))
    return _joined(outcomes)


def _run_client(job: client.Job) -> client.Outcome:
    """Have a process do a part of the load."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.client"],
        check=True,
        input=json.dumps(asdict(job)),
        capture_output=True,
        text=True,
        timeout=job.seconds + GRACE,
    )
    return client.Outcome(**json.loads(done.stdout))


def _joined(outcomes: Sequence[client.Outcome]) -> Load:
    times = sorted(time for outcome in outcomes for time in outcome.times)
    first_bytes = sorted(time for outcome in outcomes for time in outcome.first_bytes)
    return Load(
        answers=len(times),
        seconds=max(outcome.seconds for outcome in outcomes),
        p50=percentile(times, 50),
        p99=percentile(times, 99),
        first_byte=percentile(first_bytes, 50),
        errors=sum(outcome.errors for outcome in outcomes),
    )


def percentile(ordered: Sequence[float], percent: int) -> float:
    """The value that so many of a hundred do not exceed; 0 of nothing."""
    if not ordered:
        return 0.0
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]


def _press_by_wrk(
    host: str, requests: Sequence[Request], connections: int, seconds: int, offset: int
) -> Load:
    with tempfile.TemporaryDirectory() as directory:
        script = Path(directory) / "requests.lua"
        script.write_text(
            _WRK_SCRIPT % (", ".join(_lua_table(host, each) for each in requests), offset)
        )
        done = subprocess.run(  # noqa: S603 - our own list of arguments
            [
                *(str(wrk()), "--threads", "1", "--connections", str(connections)),
                *("--duration", f"{seconds}s", "--timeout", "60s", "--script", str(script)),
                f"http://{host}/",
            ],
            check=True,
            capture_output=True,
            text=True,
            timeout=seconds + GRACE,
        )
    (found,) = (line for line in done.stdout.splitlines() if line.startswith("OUTCOME "))
    return Load(**json.loads(found.removeprefix("OUTCOME ")), first_byte=None)


def _lua_table(host: str, request: Request) -> str:
    before, after = (_lua_string(part) for part in request.parts(host))
    return (
        f"{{before = {before}, after = {after}, first = {request.first},"
        f" count = {request.count}, digits = {request.digits}}}"
    )


def _lua_string(text: bytes) -> str:
    return '"' + "".join(f"\\{byte:03}" for byte in text) + '"'
