"""Calls in a child process with limits: nothing that is called can hold up or harm the caller."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING

import pytest

from sipxconfig_soap.provisioning.bounded import Bounded, Ended, TooLong
from tests.support.templates import HURRY_SECONDS, hurried

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def child() -> Iterator[Bounded]:
    with Bounded() as child:
        yield child


def test_a_call_returns_what_the_function_does(child: Bounded) -> None:
    assert child.call(int, "ff", base=16) == 255
    assert child.call(os.getpid) != os.getpid()


def test_one_child_serves_all_calls(child: Bounded) -> None:
    assert len({child.call(os.getpid) for _ in range(3)}) == 1


def test_what_a_function_raises_comes_back_and_harms_nothing(child: Bounded) -> None:
    before = child.call(os.getpid)
    with pytest.raises(ZeroDivisionError):
        child.call(divmod, 1, 0)
    assert child.call(os.getpid) == before


def test_what_is_printed_is_no_answer(child: Bounded) -> None:
    assert child.call(print, "hello") is None
    assert child.call(len, "abc") == 3


def test_a_loop_of_python_is_interrupted(child: Bounded) -> None:
    with pytest.raises(TooLong, match=r"^takes more than 2 seconds$"):
        child.call(eval, "any(0 for _ in iter(int, 1))")
    assert child.call(len, "abc") == 3


def test_what_does_not_come_back_to_python_is_killed() -> None:
    with hurried() as child:
        before = child.call(os.getpid)
        with pytest.raises(Ended, match=rf"^takes more than {HURRY_SECONDS} seconds$"):
            child.call(eval, "sum(map(len, iter(str, 1)))")
        assert child.call(os.getpid) != before


def test_memory_is_bounded(child: Bounded) -> None:
    with pytest.raises(MemoryError):
        child.call(bytes, 10**9)
    assert child.call(len, "abc") == 3


def test_a_child_that_dies_says_so(child: Bounded) -> None:
    with pytest.raises(Ended, match=r"^killed its process, which ended with 7$"):
        child.call(os._exit, 7)
    with pytest.raises(Ended, match=r"^killed its process, which ended with -9$"):
        child.call(eval, "__import__('os').kill(__import__('os').getpid(), 9)")


def test_one_that_is_killed_between_two_calls_is_not_missed(child: Bounded) -> None:
    killed = child.call(os.getpid)
    os.kill(killed, signal.SIGKILL)
    os.waitid(os.P_PID, killed, os.WEXITED | os.WNOWAIT)
    assert child.call(os.getpid) != killed


def test_control_c_is_meant_for_others(child: Bounded) -> None:
    before = child.call(os.getpid)
    os.kill(before, signal.SIGINT)
    assert child.call(os.getpid) == before


def test_nothing_is_left(child: Bounded) -> None:
    pid = child.call(os.getpid)
    child.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    child.close()


def test_an_interrupted_call_gives_no_answer_to_the_next(child: Bounded) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.5)
        with pytest.raises(KeyboardInterrupt):
            child.call(time.sleep, 1.5)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert child.call(len, "abc") == 3
