from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest

from bench import load
from bench.load import Load
from bench.measure import Measuring, canonical, compared
from bench.stage import Application
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


def loads(*rates: int) -> list[Load]:
    return [Load(rate, 1) for rate in rates]


@pytest.mark.parametrize(
    ("target", "floor", "shown"),
    [
        (Target(0.7, at_least=True), (100, 100, 100), "0.70 (0.50 - 2.00)"),
        (Target(0.7, at_least=True), (100, 101, 100), "0.69 (0.50 - 2.00)"),
        (Target(2), (100, 140, 100), "2.00 (0.50 - 2.00)"),
        (Target(2), (150, 150, 100), "2.14 (0.50 - 3.00)"),
    ],
)
def test_a_target_is_met_by_the_median_of_the_rounds(
    target: Target, floor: tuple[int, ...], shown: str
) -> None:
    line = str(compared("call", 8, {"server": loads(50, 70, 200), "floor": loads(*floor)}, target))
    assert shown in line
    verdict = [word for word in ("met", "MISSED") if word in line]
    expected = "met" if shown.startswith(("0.70", "2.00")) else "MISSED"
    assert verdict == [expected]


def test_answers_are_compared_by_what_they_mean() -> None:
    one = b'<a:E xmlns:a="u"><users xmlns=""><pintoken>x</pintoken><b/></users></a:E>'
    other = b'<e:E xmlns:e="u"><users><pintoken>y</pintoken><b></b></users></e:E>'
    assert canonical(one) == canonical(other)
    assert canonical(one) != canonical(other.replace(b"<b></b>", b"<b>1</b>"))
    assert canonical(one) != canonical(one.replace(b"<pintoken>x</pintoken>", b"<pintoken/>"))


def test_the_floor_knows_each_request_and_no_other_one_by_it() -> None:
    for each in WORKLOADS:
        content = each.request.content(0)
        known = [other for other in WORKLOADS if re.search(other.known_by, content)]
        assert known == [each]


def test_sides_that_do_not_answer_alike_end_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = {"users": 1000, "longest": 1000, "rounds": 1, "seconds": 1}
    run = Measuring(cast("Any", None), connections=[1], **numbers)
    answers = {"one": b"<a>12</a>", "other": b"<a>13</a>"}
    monkeypatch.setattr(load, "answer", lambda host, *_: answers[host])
    running = {"server": Application(1, "one", ""), "floor": Application(2, "other", "")}
    with pytest.raises(load.Wrong, match="findUser by name"):
        run._check(WORKLOADS[0], running)
    run._check(WORKLOADS[0], running | {"floor": running["server"]})


@pytest.mark.parametrize("press", [load.by_threads, load.press])
def test_an_answer_that_is_an_error_ends_the_run(
    run_server: Callable[..., Any], press: Callable[..., Load]
) -> None:
    wrong = Request("UserService", "<nonsense/>")
    with run_server() as server, pytest.raises(load.Wrong):
        press("{}:{}".format(*server.address), wrong, 1, 1, 0)
