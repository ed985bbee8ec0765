from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from bench import __main__ as command
from bench import report
from bench.measure import Result, SideResult, Spread
from bench.targets import GOALS, growth_of, targets_of
from bench.workloads import WORKLOADS

ROOT = Path(__file__).parents[1]


def bench(tmp_path: Path, *options: str) -> subprocess.CompletedProcess[str]:
    # Without wrk the load comes from our own client, on every machine.
    without_wrk = [
        directory
        for directory in os.environ["PATH"].split(os.pathsep)
        if shutil.which("wrk", path=directory) is None
    ]
    environment = {
        **os.environ,
        "PATH": os.pathsep.join(without_wrk),
        "TMPDIR": str(tmp_path),
    }
    return subprocess.run(
        [sys.executable, "-m", "bench", *options],
        capture_output=True,
        check=False,
        cwd=ROOT,
        env=environment,
        text=True,
        timeout=240,
    )


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    names = ("findUser by name", "findUser all 1,000", "addPhone")
    chosen = [part for name in names for part in ("--only", name)]
    numbers = ("--users", "1000", "--seconds", "0.2", "--rounds", "1", "--connections", "2")
    done = bench(tmp_path_factory.mktemp("bench"), *numbers, *chosen, "--json")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_every_workload_that_was_asked_for_is_measured(measured: dict[str, Any]) -> None:
    rows = {row["workload"]: row for row in measured["results"]}
    assert set(rows) == {"findUser by name", "findUser all 1,000", "addPhone"}
    assert [row["connections"] for row in rows.values()] == [2, 2, 1]
    assert rows["findUser all 1,000"]["answer_bytes"] > 1000 * 500


def test_both_sides_are_measured_alike(measured: dict[str, Any]) -> None:
    for row in measured["results"]:
        assert row["ratio"]["low"] <= row["ratio"]["median"] <= row["ratio"]["high"]
        assert row["server"].keys() == row["floor"].keys()
        for side in (row["server"], row["floor"]):
            assert side["rate"]["median"] > 0
            assert side["errors"] == 0
            assert side["resident_before"] > 0
            assert 0 < side["first_byte"]["median"] <= side["p99"]


def test_targets_are_reported_with_what_was_measured(measured: dict[str, Any]) -> None:
    rows = {row["workload"]: row["ratio"] for row in measured["results"]}
    targets = {each["workload"]: each for each in measured["targets"]}
    assert set(targets) == {"findUser by name", "addPhone"}
    assert targets["findUser by name"]["measured"] == rows["findUser by name"]
    assert targets["findUser by name"]["limit"] == 0.8
    assert measured["growth"] == []


def test_an_unknown_workload_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    done = bench(tmp_path, "--only", "findNothing")
    assert done.returncode == 1
    assert "findUser by name" in done.stderr


def result(workload: str, ratio: float, users: int = 1000, **figures: Any) -> Result:
    def side(rate: float, **own: Any) -> SideResult:
        usual: dict[str, Any] = dict.fromkeys(SideResult.__dataclass_fields__, 0) | {
            "rate": Spread(rate, rate * 0.8, rate * 1.25),
            "first_byte": None,
        }
        return SideResult(**usual | own)

    server, floor = side(100 * ratio, **figures), side(100)
    return Result(workload, 1, users, 10, Spread(ratio, ratio / 2, ratio * 2), server, floor)


@pytest.mark.parametrize(
    ("workload", "ratio", "measured", "met"),
    [
        ("findUser by name", 0.8, Spread(0.8, 0.4, 1.6), True),
        ("findUser by name", 0.79, Spread(0.79, 0.395, 1.58), False),
        ("addPhone", 0.61, Spread(0.61, 0.305, 1.22), True),
        ("manageUser of 1,000", 0.25, Spread(4, 2, 8), True),
        ("manageUser of 1,000", 0.125, Spread(8, 4, 16), False),
        ("findUser all 10,000", 0.8, Spread(1.25, 0.625, 2.5), True),
        ("findUser all 10,000", 0.5, Spread(2, 1, 4), False),
    ],
)
def test_a_target_is_met_by_the_median(
    workload: str, ratio: float, measured: Spread, *, met: bool
) -> None:
    (target,) = targets_of([result(workload, ratio)])
    assert (target.measured, target.met) == (measured, met)


def test_long_lists_begin_early_and_take_little_memory() -> None:
    figures = {"first_byte": Spread(400, 300, 600), "peak_growth": 40 * 1024 * 1024}
    beginning, memory = targets_of([result("findUser all 100,000", 1, **figures)])
    assert (beginning.measured, beginning.met) == (Spread(0.4, 0.3, 0.6), True)
    assert (memory.measured, memory.met) == (Spread(40, 40, 40), False)


def test_growth_is_the_time_with_many_users_beside_that_with_few() -> None:
    name = "growth: findUser by name of"
    few, more, many = (
        result(f"{name} {users:,}", ratio, users, application_cpu=1, postgres_cpu=postgres)
        for users, ratio, postgres in ((1000, 0.5, 1), (100_000, 0.45, 1), (1_000_000, 0.4, 2))
    )
    (growth,) = growth_of([many, few, more])
    assert growth.call == "findUser by name"
    times = [round(time, 1) for time in growth.milliseconds.values()]
    assert list(growth.milliseconds) == [1000, 100_000, 1_000_000]
    assert times == [20.0, 22.2, 25.0]
    assert growth.server == Spread(1.25, 1.0, 1.5625)
    assert growth.floor == Spread(1, 0.8, 1.25)
    assert growth.processor == 1.5
    (target,) = targets_of([few, more, many])
    assert (target.workload, target.met) == ("growth: findUser by name", False)
    assert growth_of([few]) == []
    text = report.summary([few, more, many])
    assert "findUser by name                      20.00      22.22      25.00  1.25" in text
    assert "<= 1.2  1.25 (1.00 - 1.56)         not met" in text


def test_every_target_is_that_of_a_workload() -> None:
    assert set(GOALS) <= {each.name for each in WORKLOADS if not each.growth_of}


def test_every_small_call_is_repeated_with_three_numbers_of_users() -> None:
    growing = [each for each in WORKLOADS if each.growth_of]
    assert [each.users for each in growing] == [1000] * 8 + [100_000] * 8 + [1_000_000] * 8
    assert len({each.growth_of for each in growing}) == 8


def test_the_short_form_leaves_out_only_what_needs_many_users() -> None:
    chosen = command._chosen((), growth=True, short=True)
    left_out = [each for each in WORKLOADS if each not in chosen]
    assert all(each.growth_of or each.name == "findUser all 100,000" for each in left_out)
    # wrk counts whole seconds, so that it makes no difference whether it is there.
    assert command.SHORT.seconds % 1


@pytest.mark.parametrize(("errors", "code"), [(0, 0), (2, 1)])
def test_answers_that_are_errors_fail_the_run_but_no_figure_does(
    monkeypatch: pytest.MonkeyPatch, errors: int, code: int
) -> None:
    found = result("findUser by name", 0.1, errors=errors)
    monkeypatch.setattr(command.signal, "signal", lambda *_: None)
    monkeypatch.setattr(command, "opened", nullcontext)
    monkeypatch.setattr(command, "measure", lambda *_: iter([found]))
    done = CliRunner().invoke(command.main, ["--only", "findUser by name"])
    assert ">= 0.8  0.10 (0.05 - 0.20)         not met" in done.output
    assert done.exit_code == code
    assert ("2 answers were errors" in done.output) is (errors > 0)
