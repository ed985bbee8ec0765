"""Calls to call groups: who rings, in which order, with which pauses (deploy/kamailio)."""

from __future__ import annotations

import socket
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from tests.support.kamailio import PHONES, Exchange, exchange, needs_kamailio
from tests.support.sipp import ANSWERS, BUSY, RINGS, Phone, call, give_up, phone, register
from tests.support.worker import LIMIT, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = needs_kamailio

SECRET = "s3cret"
DECLINES = BUSY.replace("486 Busy Here", "603 Decline")
MISSES = 0.5
"""Seconds by which a pause may be shorter than it should, since timers tick."""


@pytest.fixture(scope="module")
def calls() -> Iterator[Exchange]:
    with exchange() as running:
        running.system.add_users("caller", "a", "b", "c", "d", sipPassword=SECRET)
        yield running


@pytest.fixture
def group(calls: Exchange) -> Iterator[Group]:
    with ExitStack() as stack:
        yield Group(calls, stack)
    calls.system.do("resetServices", callGroup=True)


class Group:
    """A call group with the extension 300 and its phones."""

    def __init__(self, calls: Exchange, stack: ExitStack) -> None:
        self._calls = calls
        self._stack = stack

    def add(self, *rings: tuple[str, str, int], enabled: bool = True) -> None:
        fields = [
            {"userName": user, "type": kind, "expiration": for_} for user, kind, for_ in rings
        ]
        group = {"name": "sales", "extension": "300", "enabled": enabled, "rings": fields}
        self._calls.system.do("addCallGroup", callGroup=group)

    def phones(self, *, forgotten: bool = True, **scenarios: str) -> list[Phone]:
        return [
            self._stack.enter_context(
                phone(self._calls.port, user, SECRET, scenario, forgotten=forgotten)
            )
            for user, scenario in scenarios.items()
        ]

    def call(self, status: int = 200, number: str = "300") -> None:
        done = call(self._calls.port, "caller", SECRET, number, status)
        assert done.code == 0, done.messages


def seconds(first: Phone, second: Phone) -> float:
    """Between the calls of two phones."""
    return (second.heard()[0].time - first.heard()[0].time).total_seconds()


def test_one_after_the_other(group: Group) -> None:
    group.add(("a", "delayed", 2), ("b", "delayed", 1), ("c", "delayed", 5))
    a, b, c = group.phones(a=RINGS, b=RINGS, c=ANSWERS)
    group.call()
    assert seconds(a, b) >= 2 - MISSES
    assert seconds(b, c) >= 1 - MISSES
    assert a.methods() == b.methods() == ["INVITE", "CANCEL"]
    assert c.methods() == ["INVITE", "ACK", "BYE"]


def test_together(group: Group) -> None:
    group.add(("a", "delayed", 9), ("b", "immediate", 1), ("c", "delayed", 5))
    a, b, c = group.phones(a=RINGS, b=RINGS, c=ANSWERS)
    group.call(number="sales")
    assert abs(seconds(a, b)) < 1
    assert seconds(b, c) >= 1 - MISSES


@pytest.mark.parametrize("refuses", [BUSY, DECLINES])
def test_whoever_refuses_is_not_waited_for(group: Group, refuses: str) -> None:
    group.add(("a", "delayed", 20), ("b", "delayed", 20))
    a, b = group.phones(a=refuses, b=ANSWERS)
    group.call()
    assert a.methods()[0] == "INVITE"
    assert seconds(a, b) < 10


def test_whoever_declines_declines_for_himself(group: Group) -> None:
    group.add(("a", "delayed", 20), ("b", "immediate", 20))
    late = ANSWERS.replace("<send retrans", '<pause milliseconds="700"/><send retrans', 1)
    group.phones(a=DECLINES, b=late)
    group.call()


def test_whoever_is_not_registered_is_passed_over(group: Group) -> None:
    group.add(("d", "delayed", 20), ("a", "immediate", 20), ("d", "delayed", 20))
    (a,) = group.phones(a=ANSWERS)
    group.call()
    assert a.methods()[0] == "INVITE"


def test_a_deleted_user_is_passed_over(calls: Exchange, group: Group) -> None:
    calls.system.add_users("gone", sipPassword=SECRET)
    group.add(("gone", "delayed", 20), ("a", "delayed", 20))
    gone = group.phones(forgotten=False, gone=RINGS)[0]
    (a,) = group.phones(a=ANSWERS)
    calls.system.do("manageUser", search={"byUserName": "gone"}, deleteUser=True)
    group.call()
    assert gone.heard() == []
    assert a.methods()[0] == "INVITE"


def test_when_nobody_answers_the_call_ends(group: Group) -> None:
    group.add(("a", "delayed", 1), ("b", "delayed", 1))
    a, b = group.phones(a=RINGS, b=RINGS)
    group.call(480)
    assert a.methods() == b.methods() == ["INVITE", "CANCEL"]


def test_a_caller_who_gives_up_ends_it(calls: Exchange, group: Group) -> None:
    group.add(("a", "delayed", 2), ("b", "delayed", 2))
    a, b = group.phones(a=RINGS, b=RINGS)
    assert give_up(calls.port, "caller", SECRET, "300").code == 0
    wait_for(lambda: a.methods() == ["INVITE", "CANCEL"])
    time.sleep(2.5)
    assert b.heard() == []


def test_more_phones_than_kamailio_calls_by_itself(calls: Exchange, group: Group) -> None:
    group.add(("a", "delayed", 1), ("b", "delayed", 1))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as phones:
        phones.bind((PHONES, 0))
        phones.settimeout(LIMIT)
        place = f"{PHONES}:{phones.getsockname()[1]}"
        for user in ("a", "b"):
            contacts = ">, <".join(f"sip:{user}{number}@{place}" for number in range(8))
            # Between the brackets of the one that sipp writes.
            contact = f"{place}>, <{contacts}"
            assert register(calls.port, user, SECRET, contact=contact).code == 0
        group.call(480)
        rung = set()
        while len(rung) < 18:
            method, uri, *_ = phones.recv(65536).decode().split()
            if method == "INVITE":
                rung.add(uri)
    for user in ("a", "b"):
        assert register(calls.port, user, SECRET, contact="*", expires=0).code == 0


def test_a_group_in_which_nobody_is(group: Group) -> None:
    group.add(("d", "delayed", 5))
    group.call(480)


def test_a_group_without_rings(group: Group) -> None:
    group.add()
    group.call(480)


def test_a_group_that_is_switched_off(group: Group) -> None:
    group.add(("a", "delayed", 5), enabled=False)
    (a,) = group.phones(a=RINGS)
    group.call(480)
    assert a.heard() == []
