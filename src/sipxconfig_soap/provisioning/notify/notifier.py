"""Sending restarts over UDP, many side by side, in a thread of its own (phones.md §4)."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import TYPE_CHECKING, Self, cast

from sipxconfig_soap.provisioning.notify.exchange import Exchange, Outcome, unreachable
from sipxconfig_soap.provisioning.notify.transaction import Timers

if TYPE_CHECKING:
    from concurrent.futures import Future

    from sipxconfig_soap.provisioning.notify.plan import Notification

RFC_3261 = Timers()


class Notifier:
    """Sends restarts; a silent phone holds nobody up.

    Nothing runs while there is nothing to send. To be made in the process that uses it, since a
    thread does not survive a fork.
    """

    def __init__(self, *, spacing: float, timers: Timers = RFC_3261) -> None:
        """Start the thread.

        Args:
            spacing: seconds between the starts of two restarts, at least.
            timers: of the transactions.
        """
        self._spacing = spacing
        self._timers = timers
        self._lock = threading.Lock()
        self._next_start = time.monotonic()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="notifier", daemon=True)
        self._thread.start()

    @property
    def wait(self) -> float:
        """Seconds until the next restart would start at once."""
        return max(0.0, self._next_start - time.monotonic())

    def send(self, notification: Notification) -> Future[Outcome]:
        """Send a restart when its turn has come.

        The future's callbacks run in the notifier's thread. It is cancelled by `close`.
        """
        with self._lock:
            wait = self.wait
            self._next_start = time.monotonic() + wait + self._spacing
        return asyncio.run_coroutine_threadsafe(_send(notification, self._timers, wait), self._loop)

    def close(self) -> None:
        """Give up what is under way, and end the thread."""
        asyncio.run_coroutine_threadsafe(_cancel_all(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


async def _cancel_all() -> None:
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _send(notification: Notification, timers: Timers, wait: float) -> Outcome:
    await asyncio.sleep(wait)
    loop = asyncio.get_running_loop()
    try:
        transport, talk = await loop.create_datagram_endpoint(
            lambda: _Talk(notification, timers), remote_addr=notification.destination
        )
    except (OSError, UnicodeError) as error:
        # A name that cannot even be asked for is a UnicodeError.
        return unreachable(notification, error)
    try:
        return await talk.outcome
    finally:
        transport.close()


class _Talk(asyncio.DatagramProtocol):
    """Joins an exchange to a socket and a clock.

    The socket is connected: it has an address of its own for Via and Contact, hears nobody else,
    and is told of ICMP errors.
    """

    def __init__(self, notification: Notification, timers: Timers) -> None:
        self._notification = notification
        self._timers = timers
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self.outcome: asyncio.Future[Outcome] = self._loop.create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)
        host, port, *_ = transport.get_extra_info("sockname")
        self._exchange = Exchange(
            self._notification,
            local=(host, port),
            now=self._loop.time(),
            timers=self._timers,
        )
        self._go_on(send=True)

    def datagram_received(self, data: bytes, addr: object) -> None:  # noqa: ARG002 - connected
        self._go_on(send=self._exchange.on_datagram(data, self._loop.time()))

    def error_received(self, exc: Exception) -> None:
        self._exchange.on_error(exc)
        self._go_on(send=False)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - closed by us
        if self._timer is not None:
            self._timer.cancel()

    def _on_time(self) -> None:
        self._go_on(send=self._exchange.on_time(self._loop.time()))

    def _go_on(self, *, send: bool) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if send:
            self._transport.sendto(self._exchange.request)
        if self._exchange.outcome is None:
            self._timer = self._loop.call_at(self._exchange.due, self._on_time)
        elif not self.outcome.done():
            self.outcome.set_result(self._exchange.outcome)
