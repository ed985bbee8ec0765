"""``serve`` whose embedded PostgreSQL is killed: a few seconds of 503, and nothing is lost."""

from __future__ import annotations

import os
import re
import signal
import time
from typing import TYPE_CHECKING

import psutil

from tests.support.hostile import FIND, USERS, XML
from tests.support.load import Load
from tests.support.raw import Wire, post
from tests.support.server import serve
from tests.support.soap import envelope
from tests.support.worker import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.server import RunningServer


def postmaster(directory: Path) -> int:
    return int((directory / "data" / "postgresql" / "postmaster.pid").read_text().split()[0])


def test_a_killed_postgresql_comes_back_and_has_all_that_was_acknowledged(
    tmp_path: Path, embedded_data: Callable[[Path], None]
) -> None:
    tmp_path.chmod(0o711)
    embedded_data(tmp_path / "data")
    with serve(tmp_path, {}, "--no-worker") as server:
        with Load(server, kept=0, new=4) as load:
            for _ in range(2):
                before = len(load.added)
                wait_for(lambda: len(load.added) > before + 20)  # noqa: B023 - used at once
                os.kill(postmaster(tmp_path), signal.SIGKILL)
                away = load.outcomes[503]
                wait_for(lambda: load.outcomes[503] > away)  # noqa: B023 - used at once
            before = len(load.added)
            wait_for(lambda: len(load.added) > before + 20)
        assert set(load.outcomes) == {200, 503}
        found = Wire(server.address).send(
            post(USERS, envelope("<con:FindUser/>"), XML, "Connection: close")
        )
        assert found is not None
        names = re.findall(r"<userName>(\d+)</userName>", found.text)
        assert set(load.added) <= set(names)
        assert server.stop() == 0
        output = "".join(server.output)
        assert "PostgreSQL had ended and was started again" in output
        assert "PostgreSQL does not start" not in output
        assert "Traceback" not in output
    # Stopped for good: nobody starts it again.
    time.sleep(2)
    assert not (tmp_path / "data" / "postgresql" / "postmaster.pid").exists()


def recovers_for_ever(directory: Path) -> None:
    """Let PostgreSQL take as long for its next start as if there were very much to replay."""
    data = directory / "data" / "postgresql"
    with (data / "postgresql.auto.conf").open("a") as settings:
        settings.write("restore_command = 'sleep 3600'\n")
    (data / "recovery.signal").touch()


def is_starting(directory: Path) -> bool:
    pid_file = directory / "data" / "postgresql" / "postmaster.pid"
    lines = pid_file.read_text().splitlines() if pid_file.exists() else []
    return len(lines) == 8 and lines[7].strip() == "starting"


def running_in(directory: Path) -> list[str]:
    """The names of the processes that work in a directory or below."""
    return [
        process.info["name"]
        for process in psutil.process_iter(["name", "cwd"])
        if (process.info["cwd"] or "").startswith(str(directory))
    ]


def test_it_ends_soon_and_whole_while_postgresql_recovers(
    tmp_path: Path, embedded_data: Callable[[Path], None]
) -> None:
    tmp_path.chmod(0o711)
    embedded_data(tmp_path / "data")
    with serve(tmp_path, {"SIPXCONFIG_WORKERS": "1"}) as server:
        # The worker for jobs has begun to work.
        wait_for(lambda: [each for each in server.children("worker") if each.num_threads() > 2])
        recovers_for_ever(tmp_path)
        os.kill(postmaster(tmp_path), signal.SIGKILL)
        wait_for(lambda: is_starting(tmp_path))
        # It does not hold up the arbiter, which replaces a web worker, and that answers.
        (web,) = server.children("serve")
        web.kill()
        assert status_of(server) == 503
        assert is_starting(tmp_path)
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(30) == 0
        assert running_in(tmp_path / "data") == []
        assert not (tmp_path / "data" / "postgresql" / "postmaster.pid").exists()
        output = "".join(server.output)
        assert "Traceback" not in output
        assert "PostgreSQL does not start" not in output


def status_of(server: RunningServer) -> int:
    """The status of an answer; a connection that is killed before it has come is tried again."""
    request = post(USERS, FIND, XML, "Connection: close")
    return int(wait_for(lambda: Wire(server.address).send(request)).status)
