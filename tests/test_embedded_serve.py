"""``serve`` whose embedded PostgreSQL is killed: a few seconds of 503, and nothing is lost."""

from __future__ import annotations

import os
import re
import signal
import threading
import time
from collections import Counter
from itertools import count
from typing import TYPE_CHECKING

from tests.support.hostile import FIND, USERS, XML
from tests.support.raw import Wire, post
from tests.support.server import serve
from tests.support.soap import envelope
from tests.support.worker import wait_for

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Self

CLIENTS = 4


class Load:
    """Clients that add users and look for them, without haste.

    Attributes:
        added: the names of users whose addition the server has acknowledged.
        statuses: how often each has come.
    """

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._ended = threading.Event()
        self._numbers = count(1000)
        self.added: list[str] = []
        self.statuses: Counter[int | None] = Counter()
        self._threads = [threading.Thread(target=self._work) for _ in range(CLIENTS)]

    def _work(self) -> None:
        while not self._ended.wait(0.05):
            name = str(next(self._numbers))
            user = f"<addUser><user><userName>{name}</userName></user></addUser>"
            if self._ask(envelope(user)) == 200:
                self.added.append(name)
            self._ask(FIND)

    def _ask(self, body: bytes) -> int | None:
        answer = self._wire.send(post(USERS, body, XML, "Connection: close"))
        status = None if answer is None else answer.status
        self.statuses[status] += 1
        return status

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()


def postmaster(directory: Path) -> int:
    return int((directory / "data" / "postgresql" / "postmaster.pid").read_text().split()[0])


def test_a_killed_postgresql_comes_back_and_has_all_that_was_acknowledged(tmp_path: Path) -> None:
    tmp_path.chmod(0o711)
    with serve(tmp_path, {}) as server:
        wire = Wire(server.address)
        with Load(wire) as load:
            for _ in range(2):
                before = len(load.added)
                wait_for(lambda: len(load.added) > before + 20)  # noqa: B023 - used at once
                os.kill(postmaster(tmp_path), signal.SIGKILL)
                away = load.statuses[503]
                wait_for(lambda: load.statuses[503] > away)  # noqa: B023 - used at once
            before = len(load.added)
            wait_for(lambda: len(load.added) > before + 20)
        assert set(load.statuses) == {200, 503}
        found = wire.send(post(USERS, envelope("<con:FindUser/>"), XML, "Connection: close"))
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
