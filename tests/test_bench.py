from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

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


def test_an_unknown_workload_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    done = bench(tmp_path, "--only", "findNothing")
    assert done.returncode == 1
    assert "findUser by name" in done.stderr
