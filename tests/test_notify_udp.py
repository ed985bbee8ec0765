"""Restarts over real UDP sockets, against a small peer (docs/spec/phones.md §4)."""

from __future__ import annotations

import re
import socket
import threading
from concurrent.futures import CancelledError
from typing import TYPE_CHECKING

import pytest

from sipxconfig_soap.provisioning.notify import (
    Credentials,
    Notification,
    Notifier,
    Outcome,
    Result,
    Timers,
)
from tests.support.sip import answer, read_request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Behaviour = Callable[["Peer", bytes, tuple[str, int]], None]

# Nothing is sent twice while an answer is on its way, however busy the machine is.
PATIENT = Timers(t1=20.0, t2=20.0, total=60.0)
INSISTENT = Timers(t1=0.02, t2=0.08, total=60.0)
HASTY = Timers(t1=0.02, t2=0.08, total=0.5)
CHALLENGE = 'WWW-Authenticate: Digest realm="r", nonce="n", qop="auth"'
LIMIT = 60.0


class Peer:
    """Hears requests and does with them what a test wants."""

    def __init__(self, behaviour: Behaviour, address: str = "127.0.0.1") -> None:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_DGRAM)
        self.socket.bind((address, 0))
        self.heard: list[bytes] = []
        self.senders: list[tuple[str, int]] = []
        self._behaviour = behaviour
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()

    @property
    def proxy(self) -> str:
        host, port, *_ = self.socket.getsockname()
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def _listen(self) -> None:
        while True:
            data, sender = self.socket.recvfrom(65535)
            if data == b"end":
                return
            self.heard.append(data)
            self.senders.append(sender[:2])
            self._behaviour(self, data, sender)

    def close(self) -> None:
        with socket.socket(self.socket.family, socket.SOCK_DGRAM) as other:
            other.sendto(b"end", self.socket.getsockname())
        self._thread.join()
        self.socket.close()


@pytest.fixture
def peers() -> Iterator[Callable[..., Peer]]:
    made: list[Peer] = []

    def make(behaviour: Behaviour, address: str = "127.0.0.1") -> Peer:
        made.append(Peer(behaviour, address))
        return made[-1]

    yield make
    for peer in made:
        peer.close()


@pytest.fixture
def notifier() -> Iterator[Notifier]:
    with Notifier(spacing=0.0, timers=PATIENT) as made:
        yield made


def to(proxy: str, user: str = "200", credentials: Credentials | None = None) -> Notification:
    target = f"sip:{user}@example.org"
    return Notification(target=target, domain="example.org", proxy=proxy, credentials=credentials)


def answering(code: int, phrase: str = "Fine", *more: str) -> Behaviour:
    def behave(peer: Peer, data: bytes, sender: tuple[str, int]) -> None:
        peer.socket.sendto(answer(data, code, phrase, *more), sender)

    return behave


def silent(peer: Peer, data: bytes, sender: tuple[str, int]) -> None:
    pass


def by_authorization(code: int, *headers: str) -> Behaviour:
    def behave(peer: Peer, data: bytes, sender: tuple[str, int]) -> None:
        asks = b"\r\nAuthorization: " not in data and b"\r\nProxy-Authorization: " not in data
        reply = answer(data, code, "No", *headers) if asks else answer(data, 200, "OK")
        peer.socket.sendto(reply, sender)

    return behave


@pytest.mark.parametrize("code", [200, 202])
def test_success(peers: Callable[..., Peer], notifier: Notifier, code: int) -> None:
    peer = peers(answering(code))
    outcome = notifier.send(to(peer.proxy)).result(LIMIT)
    assert outcome == Outcome(Result.DONE, f"answered {code} Fine")
    assert len(peer.heard) == 1


def test_the_message_names_the_socket_it_came_from(
    peers: Callable[..., Peer], notifier: Notifier
) -> None:
    peer = peers(answering(200))
    notifier.send(to(peer.proxy)).result(LIMIT)
    request = read_request(peer.heard[0])
    host, port = peer.senders[0]
    assert host == "127.0.0.1"
    assert request["Via"].startswith(f"SIP/2.0/UDP 127.0.0.1:{port};branch=z9hG4bK")
    assert request["Contact"] == f"<sip:127.0.0.1:{port}>"
    assert request["Route"] == f"<sip:{peer.proxy};lr>"


def test_ipv6(peers: Callable[..., Peer], notifier: Notifier) -> None:
    peer = peers(answering(200), "::1")
    assert notifier.send(to(peer.proxy)).result(LIMIT).result is Result.DONE
    assert read_request(peer.heard[0])["Contact"] == f"<sip:[::1]:{peer.senders[0][1]}>"


def test_refusal(peers: Callable[..., Peer], notifier: Notifier) -> None:
    peer = peers(answering(404, "Not Found"))
    outcome = notifier.send(to(peer.proxy)).result(LIMIT)
    assert outcome == Outcome(Result.FAILED, "answered 404 Not Found")


@pytest.mark.parametrize(
    ("code", "asks", "answers"),
    [
        (401, "WWW-Authenticate", "Authorization"),
        (407, "Proxy-Authenticate", "Proxy-Authorization"),
    ],
)
def test_a_challenge(
    peers: Callable[..., Peer], notifier: Notifier, code: int, asks: str, answers: str
) -> None:
    peer = peers(by_authorization(code, f'{asks}: Digest realm="r", nonce="n"'))
    credentials = Credentials(user="200", password="s3cret")
    outcome = notifier.send(to(peer.proxy, credentials=credentials)).result(LIMIT)
    assert outcome == Outcome(Result.DONE, "answered 200 OK")
    first, second = map(read_request, peer.heard)
    assert (first["CSeq"], second["CSeq"]) == ("1 NOTIFY", "2 NOTIFY")
    assert peer.senders[0] == peer.senders[1]
    assert 'username="200"' in second[answers]
    assert b"s3cret" not in peer.heard[1]


def test_a_second_challenge(peers: Callable[..., Peer], notifier: Notifier) -> None:
    peer = peers(answering(401, "No", CHALLENGE))
    credentials = Credentials(user="200", password="s3cret")
    outcome = notifier.send(to(peer.proxy, credentials=credentials)).result(LIMIT)
    assert outcome == Outcome(Result.FAILED, "answered 401 No")
    assert len(peer.heard) == 2


def test_a_challenge_that_is_not_ours_to_answer(
    peers: Callable[..., Peer], notifier: Notifier
) -> None:
    peer = peers(answering(401, "No", CHALLENGE))
    assert notifier.send(to(peer.proxy)).result(LIMIT).result is Result.FAILED
    assert len(peer.heard) == 1


def test_garbage_and_provisional_answers_come_before_the_final_one(
    peers: Callable[..., Peer],
) -> None:
    def behave(peer: Peer, data: bytes, sender: tuple[str, int]) -> None:
        for reply in (b"", b"\xff\x00", b"SIP/2.0 200 OK\r\n\r\n", answer(data, 100, "Trying")):
            peer.socket.sendto(reply, sender)
        if len(peer.heard) == 3:
            peer.socket.sendto(answer(data, 202, "Accepted"), sender)

    peer = peers(behave)
    with Notifier(spacing=0.0, timers=INSISTENT) as notifier:
        outcome = notifier.send(to(peer.proxy)).result(LIMIT)
    assert outcome == Outcome(Result.DONE, "answered 202 Accepted")
    assert len(set(peer.heard)) == 1


def test_silence(peers: Callable[..., Peer]) -> None:
    peer = peers(silent)
    with Notifier(spacing=0.0, timers=HASTY) as notifier:
        outcome = notifier.send(to(peer.proxy)).result(LIMIT)
    assert outcome == Outcome(Result.PASSING, "no answer within 0.5 seconds")
    assert len(set(peer.heard)) == 1


def test_nobody_there(notifier: Notifier) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    outcome = notifier.send(to(f"127.0.0.1:{port}")).result(LIMIT)
    assert outcome == Outcome(Result.PASSING, f"127.0.0.1 port {port}: Connection refused")


@pytest.mark.parametrize("host", ["nowhere.invalid", "a" * 64 + ".invalid"])
def test_a_name_that_cannot_be_resolved(notifier: Notifier, host: str) -> None:
    outcome = notifier.send(to(host)).result(LIMIT)
    assert outcome.result is Result.PASSING
    assert re.match(rf"{host} port 5060: \S", outcome.reason)


def test_without_a_proxy_the_domain_itself_is_asked(notifier: Notifier) -> None:
    lonely = Notification(target="sip:200@nowhere.invalid", domain="nowhere.invalid")
    assert notifier.send(lonely).result(LIMIT).reason.startswith("nowhere.invalid port 5060: ")


def test_silent_phones_hold_nobody_up(peers: Callable[..., Peer]) -> None:
    def behave(peer: Peer, data: bytes, sender: tuple[str, int]) -> None:
        if b"sip:good" in data:
            peer.socket.sendto(answer(data, 200, "OK"), sender)

    peer = peers(behave)
    with Notifier(spacing=0.0, timers=PATIENT) as notifier:
        quiet = [notifier.send(to(peer.proxy, "quiet")) for _ in range(100)]
        good = [notifier.send(to(peer.proxy, "good")) for _ in range(100)]
        assert {future.result(LIMIT).result for future in good} == {Result.DONE}
        assert not any(future.done() for future in quiet)
    with pytest.raises(CancelledError):
        quiet[0].result(LIMIT)


def test_starts_are_spaced(peers: Callable[..., Peer]) -> None:
    peer = peers(answering(200))
    with Notifier(spacing=600.0, timers=PATIENT) as notifier:
        assert notifier.wait == 0.0
        assert notifier.send(to(peer.proxy)).result(LIMIT).result is Result.DONE
        assert 0.0 < notifier.wait <= 600.0
        later = notifier.send(to(peer.proxy))
        assert notifier.wait > 600.0
        assert not later.done()
    assert len(peer.heard) == 1
