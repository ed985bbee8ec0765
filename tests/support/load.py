"""Clients that add users and look for them, without haste, while the server has a bad time."""

from __future__ import annotations

import select
import threading
from collections import Counter
from functools import partial
from http.client import HTTPConnection
from itertools import count
from typing import TYPE_CHECKING

from tests.support.hostile import FIND, USERS
from tests.support.raw import AUTHORIZATION, PATIENCE
from tests.support.soap import envelope

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

    from tests.support.server import RunningServer


def _connection(server: RunningServer) -> HTTPConnection:
    return HTTPConnection(*server.address, timeout=PATIENCE)


REFUSED = "connection refused"
CLOSED = "closed without an answer"


class Load:
    """Clients, each of which adds a user and looks for another, again and again.

    Args:
        server: whom they ask; or what opens a connection to whom they ask.
        kept: how many of them keep their connection.
        new: how many open a new one for each request.
        first: the name of the first user; the others count up from it.

    Attributes:
        added: the names of users whose addition the server has acknowledged.
        outcomes: how often each has come: a status, or what became of the connection instead.
    """

    def __init__(
        self,
        server: RunningServer | Callable[[], HTTPConnection],
        *,
        kept: int,
        new: int,
        first: int = 1000,
    ) -> None:
        self._connect = server if callable(server) else partial(_connection, server)
        self._ended = threading.Event()
        self._numbers = count(first)
        self.added: list[str] = []
        self.outcomes: Counter[int | str] = Counter()
        self._threads = [
            threading.Thread(target=self._work, args=(keeps,))
            for keeps in [True] * kept + [False] * new
        ]

    def _work(self, keeps: bool) -> None:  # noqa: FBT001 - handed over by the thread
        connection = self._connect()
        while not self._ended.wait(0.05):
            name = str(next(self._numbers))
            user = f"<addUser><user><userName>{name}</userName></user></addUser>"
            if self._ask(connection, envelope(user), keeps=keeps) == 200:
                self.added.append(name)
            self._ask(connection, FIND, keeps=keeps)
        connection.close()

    def _ask(self, connection: HTTPConnection, body: bytes, *, keeps: bool) -> int | str:
        outcome = self._outcome(connection, body, keeps=keeps)
        self.outcomes[outcome] += 1
        return outcome

    def _outcome(self, connection: HTTPConnection, body: bytes, *, keeps: bool) -> int | str:
        headers = {"Authorization": AUTHORIZATION, "Content-Type": "text/xml"}
        if not keeps:
            headers["Connection"] = "close"
        if connection.sock is not None and select.select([connection.sock], [], [], 0)[0]:
            connection.close()  # the server has closed it between two requests
        try:
            connection.request("POST", f"/sipxconfig/services/{USERS}", body, headers)
            answer = connection.getresponse()
            answer.read()
        except ConnectionError as error:
            connection.close()
            return REFUSED if isinstance(error, ConnectionRefusedError) else CLOSED
        return answer.status

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()
