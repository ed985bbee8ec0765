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
        pause = LOOK_SECONDS
        while not self.stopping.wait(pause):
            try:
                if self._server.is_running:
                    pause = LOOK_SECONDS
                    continue
                self._server.start_again()
            except Exception as error:  # noqa: BLE001 - whatever it is, a later try may succeed
                if not self.stopping.is_set():
                    reason = str(error)
                    # Where it was noticed helps nobody.
                    _logger.error("PostgreSQL does not start", reason=reason)  # noqa: TRY400
            else:
                _logger.warning("PostgreSQL had ended and was started again")
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS)
