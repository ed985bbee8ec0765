"""Starting the embedded server again when it was killed, for as long as somebody serves from it."""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sipxconfig_soap.embedded.server import EmbeddedPostgres

_logger = structlog.stdlib.get_logger(__name__)

LOOK_SECONDS = 1.0
"""Pause between two looks at a server that runs."""

LONGEST_PAUSE_SECONDS = 60.0
"""Pause after many failures; the first is short, and each is twice as long as the one before."""


@contextmanager
def keep_running(server: EmbeddedPostgres) -> Iterator[None]:
    """Start a server that has died again, until the end of the block.

    Processes may be forked meanwhile; not while a server is being started, since they would keep
    its locks and pipes open. In a forked process nothing is kept running.

    Args:
        server: one that was started by this process, which stops it after the block.
    """
    keeper, owner = _Keeper(server), os.getpid()
    os.register_at_fork(
        before=keeper.starting.acquire,
        after_in_parent=keeper.starting.release,
        after_in_child=keeper.starting.release,
    )
    keeper.start()
    try:
        yield
    finally:
        if os.getpid() == owner:
            keeper.stopping.set()
            keeper.join()


class _Keeper(threading.Thread):
    def __init__(self, server: EmbeddedPostgres) -> None:
        super().__init__(name="keeper of PostgreSQL", daemon=True)
        self._server = server
        self.starting = threading.Lock()
        self.stopping = threading.Event()

    def run(self) -> None:
        """Look after the server."""
        pause = LOOK_SECONDS
        while not self.stopping.wait(pause):
            if self._server.is_running:
                pause = LOOK_SECONDS
                continue
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS)
            try:
                with self.starting:
                    self._server.start_again()
            except Exception as error:  # noqa: BLE001 - whatever it is, a later try may succeed
                reason = str(error)
                # Where it was noticed helps nobody.
                _logger.error("PostgreSQL does not start", reason=reason)  # noqa: TRY400
            else:
                _logger.warning("PostgreSQL had ended and was started again")
