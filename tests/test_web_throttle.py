"""Many failed logins (wire.md §7), with a clock that stands until it is told to go on."""

from __future__ import annotations

import pytest

from sipxconfig_soap.web.throttle import Throttle


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def throttle(clock: Clock) -> Throttle:
    return Throttle(clock, capacity=500)


def attempt(
    throttle: Throttle, name: str = "boss", address: str = "192.0.2.1", *, right: bool = False
) -> int:
    """One attempt to log in; the seconds to wait when it was not examined, else 0."""
    seconds = throttle.admit(name, address)
    if not seconds:
        (throttle.succeeded if right else throttle.failed)(name, address)
    return seconds


def fail(throttle: Throttle, times: int, name: str = "boss", address: str = "192.0.2.1") -> None:
    for _ in range(times):
        assert attempt(throttle, name, address) == 0


def test_five_failures_in_a_row_are_examined_and_the_sixth_attempt_waits(
    throttle: Throttle,
) -> None:
    fail(throttle, 5)
    assert attempt(throttle) == 1


def test_pauses_double_up_to_thirty_seconds(throttle: Throttle, clock: Clock) -> None:
    fail(throttle, 5)
    pauses = []
    for _ in range(8):
        pauses.append(attempt(throttle))
        clock.now += pauses[-1]
        fail(throttle, 1)
    assert pauses == [1, 2, 4, 8, 16, 30, 30, 30]


def test_attempts_during_a_pause_do_not_count(throttle: Throttle, clock: Clock) -> None:
    fail(throttle, 5)
    clock.now += 1
    fail(throttle, 1)
    assert [attempt(throttle) for _ in range(50)] == [2] * 50
    clock.now += 2
    fail(throttle, 1)
    assert attempt(throttle) == 4


def test_the_rest_of_a_pause_is_told_in_whole_seconds_rounded_up(
    throttle: Throttle, clock: Clock
) -> None:
    fail(throttle, 5)
    clock.now += 1
    fail(throttle, 1)
    clock.now += 0.9
    assert attempt(throttle) == 2
    clock.now += 0.9
    assert attempt(throttle) == 1


def test_even_the_right_password_waits(throttle: Throttle) -> None:
    fail(throttle, 5)
    assert attempt(throttle, right=True) == 1


def test_a_success_ends_it(throttle: Throttle, clock: Clock) -> None:
    fail(throttle, 5)
    clock.now += 1
    assert attempt(throttle, right=True) == 0
    fail(throttle, 5)
    assert attempt(throttle) == 1


def test_failures_before_a_success_are_not_in_the_same_row(throttle: Throttle) -> None:
    fail(throttle, 4)
    assert attempt(throttle, right=True) == 0
    fail(throttle, 5)


def test_ten_quiet_minutes_end_it(throttle: Throttle, clock: Clock) -> None:
    fail(throttle, 5)
    clock.now += 1
    fail(throttle, 1)
    clock.now += 600
    fail(throttle, 5)
    assert attempt(throttle) == 1


def test_less_than_ten_quiet_minutes_do_not_end_it(throttle: Throttle, clock: Clock) -> None:
    fail(throttle, 5)
    clock.now += 599
    fail(throttle, 1)
    assert attempt(throttle) == 2


@pytest.mark.parametrize(
    ("name", "address"), [("boss", "192.0.2.2"), ("201", "192.0.2.1"), ("BOSS", "192.0.2.1")]
)
def test_other_names_and_addresses_are_not_held_up(
    throttle: Throttle, name: str, address: str
) -> None:
    fail(throttle, 5)
    assert attempt(throttle, name, address) == 0


def fail_with_many_names(throttle: Throttle, times: int) -> None:
    for number in range(times):
        assert attempt(throttle, f"user{number}") == 0


def test_a_hundred_failures_of_one_address_hold_nobody_up(throttle: Throttle) -> None:
    fail_with_many_names(throttle, 100)
    assert attempt(throttle, "somebody") == 0


def test_more_than_a_hundred_failures_of_one_address_hold_all_its_names_up(
    throttle: Throttle,
) -> None:
    fail_with_many_names(throttle, 101)
    assert attempt(throttle, "somebody", right=True) == 1
    assert attempt(throttle, "somebody", "192.0.2.2", right=True) == 0


def test_the_pauses_of_an_address_double_too(throttle: Throttle, clock: Clock) -> None:
    fail_with_many_names(throttle, 101)
    pauses = []
    for number in range(7):
        pauses.append(attempt(throttle, f"other{number}"))
        clock.now += pauses[-1]
        fail(throttle, 1, f"other{number}")
    assert pauses == [1, 2, 4, 8, 16, 30, 30]


def test_after_a_pause_of_an_address_one_attempt_is_examined_at_a_time(
    throttle: Throttle, clock: Clock
) -> None:
    fail_with_many_names(throttle, 101)
    clock.now += 1
    assert throttle.admit("a", "192.0.2.1") == 0
    assert throttle.admit("b", "192.0.2.1") > 0
    throttle.succeeded("a", "192.0.2.1")
    assert throttle.admit("b", "192.0.2.1") == 0


def test_a_success_lets_an_address_go_on_until_it_fails_again(
    throttle: Throttle, clock: Clock
) -> None:
    fail_with_many_names(throttle, 101)
    clock.now += 1
    assert attempt(throttle, "boss", right=True) == 0
    assert throttle.admit("a", "192.0.2.1") == 0
    assert throttle.admit("b", "192.0.2.1") == 0
    throttle.failed("a", "192.0.2.1")
    assert attempt(throttle, "boss", right=True) == 1


def test_failures_of_an_address_count_for_ten_minutes(throttle: Throttle, clock: Clock) -> None:
    fail_with_many_names(throttle, 50)
    clock.now += 600
    fail_with_many_names(throttle, 100)
    assert attempt(throttle, "somebody") == 0
    assert attempt(throttle, "somebody") == 1


def test_thirty_wrong_passwords_for_one_name_are_examined_a_minute(
    throttle: Throttle, clock: Clock
) -> None:
    for number in range(30):
        assert attempt(throttle, "boss", f"198.51.100.{number}") == 0
    clock.now += 20
    assert attempt(throttle, "boss", "203.0.113.1") == 40
    clock.now += 40
    for number in range(30):
        assert attempt(throttle, "boss", f"203.0.113.{number}") == 0
    assert attempt(throttle, "boss", "203.0.113.99") == 60


def attack(throttle: Throttle, name: str = "boss") -> None:
    for number in range(30):
        assert attempt(throttle, name, f"198.51.100.{number}") == 0


def test_an_address_from_which_the_user_logged_in_today_is_not_held_up_by_others(
    throttle: Throttle, clock: Clock
) -> None:
    assert attempt(throttle, "boss", "192.0.2.1", right=True) == 0
    clock.now += 86_399
    attack(throttle)
    assert attempt(throttle, "boss", "192.0.2.2", right=True) > 0
    assert attempt(throttle, "boss", "192.0.2.1", right=True) == 0


def test_a_login_of_yesterday_or_of_another_user_is_no_help(
    throttle: Throttle, clock: Clock
) -> None:
    assert attempt(throttle, "boss", "192.0.2.1", right=True) == 0
    clock.now += 86_400
    assert attempt(throttle, "201", "192.0.2.1", right=True) == 0
    attack(throttle)
    assert attempt(throttle, "boss", "192.0.2.1", right=True) > 0


def test_a_known_address_has_pauses_of_its_own_all_the_same(throttle: Throttle) -> None:
    assert attempt(throttle, "boss", "192.0.2.1", right=True) == 0
    attack(throttle)
    fail(throttle, 5)
    assert attempt(throttle) == 1


def test_asking_for_the_pause_claims_nothing(throttle: Throttle, clock: Clock) -> None:
    fail_with_many_names(throttle, 101)
    clock.now += 1
    assert [throttle.pause("boss", "192.0.2.1") for _ in range(3)] == [0, 0, 0]
    assert attempt(throttle) == 0


def test_memory_is_bounded(throttle: Throttle) -> None:
    for number in range(2000):
        name, address = f"user{number}", f"2001:db8::{number:x}"
        throttle.failed(name, address)
        throttle.succeeded(name, address)
        throttle.failed(name, address)
    tables = (throttle._rows, throttle._places, throttle._names, throttle._logins)
    assert [len(table) for table in tables] == [500] * 4


def test_the_name_under_attack_is_not_forgotten_for_others(throttle: Throttle) -> None:
    for number in range(400):
        throttle.failed(f"user{number}", "198.51.100.1")
        if number % 10 == 0:
            throttle.failed("boss", f"192.0.2.{number // 10}")
    assert attempt(throttle, "boss", "203.0.113.1") > 0
