from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from bench.__main__ import check, compared
from bench.floor import ANSWERS, found
from bench.sides import Answer, Side, Wrong
from bench.workloads import WORKLOADS, Request, Target

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[1]


def bench(tmp_path: Path, *options: str) -> subprocess.CompletedProcess[str]:
    # Without wrk the load comes from our own client, on every machine.
    path = os.environ["PATH"].split(os.pathsep)
    without_wrk = [each for each in path if shutil.which("wrk", path=each) is None]
    return subprocess.run(
        [sys.executable, "-m", "bench", *options],
        capture_output=True,
        check=False,
        cwd=ROOT,
        env={**os.environ, "PATH": os.pathsep.join(without_wrk), "TMPDIR": str(tmp_path)},
        text=True,
        timeout=240,
    )


REPORTED = {
    "findUser by name": ["of the rate of floor"],
    "addPhone": ["of the rate of floor"],
    "findUser all 2,000": ["s to the first byte", "MiB that a worker grows by"],
    "findUser all  ": ["times the time of floor", "µs a user more than PostgreSQL"],
    "manageUser": ["times the time of floor"],
}


def test_every_call_that_was_chosen_is_reported_and_no_other(tmp_path: Path) -> None:
    """One test, since it is one run."""
    chosen = ("findUser", "manageUser", "addPhone")
    done = bench(tmp_path, "--short", *(part for name in chosen for part in ("--only", name)))
    assert done.returncode == 0, done.stderr
    report = done.stdout.splitlines()
    for call, figures in REPORTED.items():
        lines = [line for line in report if line.startswith(call)]
        assert len(lines) == len(figures), call
        for line, figure in zip(lines, figures, strict=True):
            assert figure in line
            assert "met" in line or "MISSED" in line
    # Calls that were not chosen are not measured.
    assert not [line for line in report if line.startswith(("getCallGroups", "addUser"))]


@pytest.mark.parametrize(
    ("target", "floor", "shown"),
    [
        (Target(0.7, "of the rate", at_least=True), (100, 100, 100), "0.70 (0.50 - 2.00)"),
        (Target(0.7, "of the rate", at_least=True), (100, 101, 100), "0.69 (0.50 - 2.00)"),
        (Target(2, "times the time"), (100, 140, 100), "2.00 (0.50 - 2.00)"),
        (Target(2, "times the time"), (150, 150, 100), "2.14 (0.50 - 3.00)"),
    ],
)
def test_a_target_is_met_by_the_median_of_the_rounds(
    target: Target, floor: tuple[int, ...], shown: str
) -> None:
    line = compared("call", 8, {"server": (50, 70, 200), "floor": floor}, target)
    assert shown in line
    verdict = [word for word in ("met", "MISSED") if word in line]
    expected = "met" if shown.startswith(("0.70", "2.00")) else "MISSED"
    assert verdict == [expected]


def test_the_floor_knows_each_request_and_its_number() -> None:
    assert list(ANSWERS) == [each.name for each in WORKLOADS]
    for each in WORKLOADS:
        workload, value = found(each.request.content(7))
        assert workload is each
        assert ("{n}" in each.request.envelope) == value.startswith(each.request.number(7))


def answering(monkeypatch: pytest.MonkeyPatch, **answers: str) -> list[Side]:
    """Sides that answer this."""
    monkeypatch.setattr(Side, "answer", lambda side, *_: Answer(answers[side.host].encode(), 1, 1))
    return [Side(1, host, "") for host in answers]


def test_sides_that_do_not_answer_alike_end_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    sides = answering(monkeypatch, server="<a>12</a>", floor="<a>13</a>")
    with pytest.raises(Wrong, match="findUser by name"):
        check(WORKLOADS[0], *sides)


def test_hashes_need_not_be_alike_but_must_be_there(monkeypatch: pytest.MonkeyPatch) -> None:
    hashed, other = "<pintoken>x</pintoken>", "<pintoken>y</pintoken>"
    check(WORKLOADS[0], *answering(monkeypatch, server=hashed, floor=other))
    sides = answering(monkeypatch, server=hashed, floor="<pintoken></pintoken>")
    with pytest.raises(Wrong):
        check(WORKLOADS[0], *sides)


@pytest.mark.parametrize("press", [Side.press_by_threads, Side.press])
def test_an_answer_that_is_an_error_ends_the_run(
    run_server: Callable[..., Any], press: Callable[..., float]
) -> None:
    wrong = Request("UserService", "<nonsense/>")
    with run_server() as server, pytest.raises(Wrong):
        press(Side(0, "{}:{}".format(*server.address), ""), wrong, 1, 1, 0)
