"""Starting the embedded server again when it was killed, for as long as somebody serves from it."""

from __future__ import annotations

import os
import threading
import time
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
"""Pause before a start after many others; each is twice as long as the one before, the first none.

A server that has lived as long as this is no longer one that dies again and again.
"""

UNKNOWN = "it was killed, as its log does not say"
"""The reason why a server has ended that had no time to give one."""

JOIN_SECONDS = 5.0
"""How long the end of the block waits for a start; `EmbeddedPostgres.stop` breaks off what is left.

After a crash PostgreSQL may take minutes to recover, and no administrator waits that long for the
end of a program.
"""


@contextmanager
def keep_running(server: EmbeddedPostgres) -> Iterator[None]:
    """Start a server that has died again, until the end of the block.

    Processes may be forked meanwhile; in them nothing is kept running.

    Args:
        server: one that was started by this process, which stops it after the block.
    """
    keeper, owner = _Keeper(server), os.getpid()
    keeper.start()
    try:
        yield
    finally:
        if os.getpid() == owner:
            keeper.stopping.set()
            keeper.join(JOIN_SECONDS)


class _Keeper(threading.Thread):
    def __init__(self, server: EmbeddedPostgres) -> None:
        super().__init__(name="keeper of PostgreSQL", daemon=True)
        self._server = server
        self.stopping = threading.Event()

    def run(self) -> None:
        """Look after the server."""
        pause, steady = 0.0, 0.0
        while not self.stopping.wait(LOOK_SECONDS):
            try:
                if self._server.is_running:
                    if time.monotonic() > steady:
                        pause = 0.0
                    continue
                reason = self._server.last_words() or UNKNOWN
                if self.stopping.wait(pause):
                    return
                self._server.start_again()
            except Exception as error:  # noqa: BLE001 - whatever it is, a later try may succeed
                if not self.stopping.is_set():
                    # Where it was noticed helps nobody.
                    _logger.error("PostgreSQL does not start", reason=str(error))  # noqa: TRY400
            else:
                _logger.warning("PostgreSQL had ended and was started again", reason=reason)
            pause = min(max(pause * 2, LOOK_SECONDS), LONGEST_PAUSE_SECONDS)
            steady = time.monotonic() + LONGEST_PAUSE_SECONDS
