"""Kamailio ends when it is told to, whatever one of its processes does (deploy/kamailio)."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.kamailio import end, exchange, free_port, kamailio, needs_kamailio
from tests.support.worker import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.kamailio import Exchange

pytestmark = needs_kamailio


@pytest.fixture(scope="module")
def calls() -> Iterator[Exchange]:
    with exchange() as running:
        yield running


def children(pid: int) -> list[int]:
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def lives(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


def test_a_process_that_is_stuck_is_not_waited_for(calls: Exchange, tmp_path: Path) -> None:
    with kamailio(tmp_path, calls.reader_url, free_port()) as process:
        stuck = children(process.pid)[0]
        os.kill(stuck, signal.SIGSTOP)
        process.terminate()
        # Without a word of ours Kamailio takes a minute.
        process.wait(45)
        wait_for(lambda: not lives(stuck))


def test_a_test_leaves_no_process_behind(calls: Exchange, tmp_path: Path) -> None:
    with kamailio(tmp_path, calls.reader_url, free_port()) as process:
        parts = [process.pid, *children(process.pid)]
        os.kill(process.pid, signal.SIGSTOP)
        end(process, patience=0.1)
        assert process.returncode == -signal.SIGKILL
        wait_for(lambda: not any(map(lives, parts)))
