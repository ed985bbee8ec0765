"""One restart from the first request to its outcome, with at most one answered challenge.

Like the transaction below it, it has neither sockets nor clocks (phones.md §4).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from sipxconfig_soap.provisioning.notify import digest
from sipxconfig_soap.provisioning.notify.message import (
    METHOD,
    Identity,
    Request,
    Response,
    parse_response,
)
from sipxconfig_soap.provisioning.notify.transaction import ClientTransaction, Step, Timers

if TYPE_CHECKING:
    from sipxconfig_soap.provisioning.notify.plan import Notification

# The header that answers, by the code that asks and the header that asks.
_ANSWERS = {
    401: ("www-authenticate", "Authorization"),
    407: ("proxy-authenticate", "Proxy-Authorization"),
}


class Result(Enum):
    """How a restart ended; a passing failure may be tried again."""

    DONE = "done"
    FAILED = "failed"
    PASSING = "passing"


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a restart.

    Attributes:
        result: how it ended.
        reason: a clause for the job, such as ``answered 404 Not Found``.
    """

    result: Result
    reason: str


class Exchange:
    """The talk with one phone.

    Attributes:
        request: the bytes to be sent, now and whenever `on_time` or `on_datagram` says so.
        outcome: None until it is over.
    """

    def __init__(
        self,
        notification: Notification,
        *,
        local: tuple[str, int],
        now: float,
        timers: Timers,
    ) -> None:
        self._notification = notification
        self._timers = timers
        self.outcome: Outcome | None = None
        self._begin(Request(notification=notification, identity=Identity(), local=local), now)

    def _begin(self, request: Request, now: float) -> None:
        self._request = request
        self._transaction = ClientTransaction(self._timers, now)
        self.request = request.encode()

    @property
    def due(self) -> float:
        """When `on_time` has something to do."""
        return self._transaction.due

    def on_time(self, now: float) -> bool:
        """Time has passed; true: send `request`."""
        step = self._transaction.on_time(now)
        if step is Step.GIVE_UP:
            self.outcome = Outcome(
                Result.PASSING, f"no answer within {self._timers.total:g} seconds"
            )
        return step is Step.SEND

    def on_datagram(self, data: bytes, now: float) -> bool:
        """Something has come; true: send `request`, which is another one now.

        What is no answer to the request is passed over.
        """
        response = parse_response(data)
        if self.outcome is not None or response is None or not response.answers(self._request):
            return False
        self._transaction.on_response(response.code, now)
        if response.code < 200:
            return False
        if response.code < 300:
            self.outcome = Outcome(Result.DONE, _answered(response))
            return False
        authorization = self._authorization(response)
        if authorization is None:
            self.outcome = Outcome(Result.FAILED, _answered(response))
            return False
        # The same request again, but for its number and the transaction.
        again = Request(
            notification=self._notification,
            identity=self._request.identity,
            local=self._request.local,
            cseq=self._request.cseq + 1,
            authorization=authorization,
        )
        self._begin(again, now)
        return True

    def on_error(self, error: Exception) -> None:
        """The network refused, for instance by an ICMP message."""
        if self.outcome is None:
            self.outcome = unreachable(self._notification, error)

    def _authorization(self, response: Response) -> tuple[str, str] | None:
        """The header that answers a challenge, if it is the first, ours to answer, and known."""
        credentials = self._notification.credentials
        headers = _ANSWERS.get(response.code)
        if headers is None or credentials is None or self._request.authorization:
            return None
        asking, answering = headers
        challenge = digest.first_supported(response.all(asking))
        if challenge is None:
            return None
        uri = self._notification.target
        return answering, challenge.answer(credentials, method=METHOD, uri=uri)


def unreachable(notification: Notification, error: Exception) -> Outcome:
    """The outcome when the next hop cannot be resolved or reached."""
    host, port = notification.destination
    what = error.strerror if isinstance(error, OSError) else None
    return Outcome(Result.PASSING, f"{host} port {port}: {what or error}")


def _answered(response: Response) -> str:
    return f"answered {response.code} {response.phrase}".rstrip()
