"""PINs and their hashes, as far as they can be looked at without a server (services.md §3)."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from passlib.hash import argon2

from sipxconfig_soap.domain import pins
from tests.support.worker import wait_for

HASH = (
    "$argon2id$v=19$m=19456,t=2,p=1$3pvT2pvzvtdaK4Xw3rvXug"
    "$Id3l4F5N+RwBtBC0POo2aUaMbSBCh5yRVzXhUwc6Z6k"
)
"""Of the PIN 1234, with today's parameters."""
HEAD, SALT, DIGEST = HASH.rpartition("p=1")[0] + "p=1", *HASH.split("$")[-2:]


@pytest.mark.usefixtures("costly_pins")
def test_a_pin_is_known_again() -> None:
    assert pins.verify_pin("1234", HASH) == (True, False)
    assert pins.verify_pin("12345", HASH) == (False, False)
    assert pins.verify_pin("1234", None) == (False, False)


def test_a_hash_with_other_parameters_is_to_be_made_anew() -> None:
    cheap = argon2.using(type="ID", time_cost=1, memory_cost=8192, parallelism=1).hash("1234")
    assert pins.is_hash(cheap)
    assert pins.verify_pin("1234", cheap) == (True, True)


@pytest.mark.parametrize(
    "text",
    [
        f"{HEAD}$AAAAAAAA${DIGEST}",
        f"{HEAD}$$",
        f"{HEAD}${SALT}${DIGEST[:-3]}",
        f"{HEAD}${SALT}${DIGEST[:-1]}B",
        f"{HEAD}${SALT}${DIGEST}".replace("m=19456", "m=0000019456"),
        f"{HEAD}${SALT}${DIGEST}".replace("m=19456", "m=١٩٤٥٦"),
        f"{HEAD}${SALT}${DIGEST}".replace("argon2id", "argon2i"),
        f"{HEAD}${SALT}${DIGEST}".replace("m=19456", "m=4"),
        f"{HEAD}${SALT}${DIGEST}".replace("t=2", "t=0"),
        f"{HEAD}${SALT}${DIGEST}$md5=",
        f"{HEAD}${SALT}${DIGEST}$md5=MjAwOng",
        f"{HEAD}${SALT}${DIGEST}$md5=MjAwOng= ",
        f"{HEAD}${SALT}${DIGEST}$md5=MjAwOnh=",
        f"{HEAD}${SALT}${DIGEST}$md5=MjAwOng=$md5=MjAwOng=",
        f"{HEAD}${SALT}${DIGEST}$md5=" + "MjAwOng=" * 240,
        "$md5=MjAwOng=",
        "d41d8cd98f00b204e9800998ecf8427e",
        "",
    ],
)
def test_what_no_pin_can_be_checked_against_is_no_hash(text: str) -> None:
    assert not pins.is_hash(text)


def test_a_hash_of_a_token_has_its_marks_at_the_end() -> None:
    assert pins.is_hash(f"{HEAD}${SALT}${DIGEST}$md5=MjAwOng=")
    made = pins.hash_token("0" * 32, "u" * 255, "\U0001f511" * 255)
    assert pins.is_hash(made)
    assert pins.is_hash(made.replace("$md5=", "$md5=MjAw"))
    assert pins.is_costlier(made.replace("p=1$", "p=2$"))


def test_hashing_has_threads_of_its_own_as_many_as_there_are_cores(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hashed_by = set()
    verify = pins._context.verify

    def noting(*arguments: str) -> bool:
        hashed_by.add(threading.current_thread().name)
        return bool(verify(*arguments))

    monkeypatch.setattr(pins, "_context", SimpleNamespace(verify=noting, needs_update=bool))
    with ThreadPoolExecutor(16) as callers:
        verdicts = list(callers.map(lambda pin: pins.verify_pin(pin, HASH), ["1234", "no"] * 16))
    assert [verdict.ok for verdict in verdicts] == [True, False] * 16
    assert len(hashed_by) <= (os.cpu_count() or 1)
    assert all(name.startswith("hashing") for name in hashed_by)


def test_who_wants_no_more_hashes_ends_the_hashing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The executor is asked by a thread of ours: Ctrl-C would leave its locks held."""
    asked_by, hashed = set(), []
    submit = pins._hashers._threads.submit

    def noting(*arguments: Any) -> Any:
        asked_by.add(threading.current_thread().name)
        return submit(*arguments)

    def hashing(text: str) -> str:
        time.sleep(0.01)
        hashed.append(text)
        return text.upper()

    monkeypatch.setattr(pins._hashers._threads, "submit", noting)
    monkeypatch.setattr(pins, "_context", SimpleNamespace(hash=hashing))
    texts = [f"pin {number}" for number in range(500)]
    with closing(pins.hash_all(texts)) as made:
        assert [next(made), next(made)] == ["PIN 0", "PIN 1"]
    wait_for(lambda: "hashing for a command" not in {each.name for each in threading.enumerate()})
    assert len(hashed) < len(texts) / 2
    assert asked_by == {"hashing for a command"}


def test_what_fails_while_hashing_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_arguments: Any) -> Any:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(pins, "_context", SimpleNamespace(hash=fail))
    with pytest.raises(RuntimeError, match="start new thread"):
        next(pins.hash_all(["1234"]))
    monkeypatch.setattr(pins._hashers._threads, "submit", fail)
    with pytest.raises(RuntimeError, match="start new thread"):
        next(pins.hash_all(["1234"]))


FORKING = """
import os, threading
from sipxconfig_soap.domain import pins
hashed = pins.hash_pin("1234")
if not os.fork():
    assert pins.verify_pin("1234", hashed).ok
    raise SystemExit(7)
assert os.waitstatus_to_exitcode(os.wait()[1]) == 7
assert pins.verify_pin("1234", hashed).ok
"""


def test_hashing_goes_on_after_a_fork() -> None:
    subprocess.run([sys.executable, "-c", FORKING], check=True, timeout=60)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_whatever_counts_as_a_hash_can_be_checked_against(data: st.DataObject) -> None:
    place = data.draw(st.integers(len(HEAD), len(HASH) - 1))
    letter = data.draw(st.sampled_from("ABCDEFGHabcdefgh0123456789+/$="))
    changed = HASH[:place] + letter + HASH[place + data.draw(st.integers(0, 1)) :]
    if pins.is_hash(changed):
        assert pins.verify_pin("1234", changed).ok == (changed == HASH)
    else:
        assert changed != HASH


@pytest.mark.parametrize("costs", ["m=19457,t=2,p=1", "m=19456,t=3,p=1", "m=19456,t=2,p=2"])
def test_a_hash_with_greater_costs_is_told_from_ours(costs: str) -> None:
    assert not pins.is_costlier(HASH)
    assert pins.is_costlier(HASH.replace("m=19456,t=2,p=1", costs))
