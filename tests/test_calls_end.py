"""Kamailio ends when it is told to, whatever one of its processes does (deploy/kamailio)."""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

from tests.support.kamailio import SERVER, end, free_port, kamailio, needs_kamailio
from tests.support.worker import wait_for

pytestmark = needs_kamailio


NOWHERE = f"postgres://nobody@{SERVER}:1/nothing"
"""No PostgreSQL is needed to end."""


def children(pid: int) -> list[int]:
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def lives(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


def test_a_process_that_is_stuck_is_not_waited_for(tmp_path: Path) -> None:
    with kamailio(tmp_path, NOWHERE, free_port()) as process:
        stuck = children(process.pid)[0]
        os.kill(stuck, signal.SIGSTOP)
        # It loses a signal that comes before it has looked at another one, here at SIGCHLD.
        # Without a word of ours it takes a minute.
        for _ in range(45):
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(1)
                break
        assert process.returncode is not None
        wait_for(lambda: not lives(stuck))


def test_a_test_leaves_no_process_behind(tmp_path: Path) -> None:
    with kamailio(tmp_path, NOWHERE, free_port()) as process:
        parts = [process.pid, *children(process.pid)]
        os.kill(process.pid, signal.SIGSTOP)
        end(process, patience=0.1)
        assert process.returncode == -signal.SIGKILL
        wait_for(lambda: not any(map(lives, parts)))
