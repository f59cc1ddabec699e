"""When an endpoint is left alone, when it is tried again, and how many retries and tokens it may be asked for."""

from __future__ import annotations

import threading

import pytest

from app.circuit_breaker import MAX_FAILURES, PAUSE_SECONDS, RETRIES_AT_ONCE, CircuitBreaker
from app.token_cap import DAY_SECONDS, TokenCap


class Clock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def opened(clock: Clock) -> CircuitBreaker:
    breaker = CircuitBreaker(clock)
    for _ in range(MAX_FAILURES):
        assert breaker.admit() == 0
        breaker.failed()
    return breaker


def test_it_opens_after_ten_failures_at_most_and_says_how_long() -> None:
    clock = Clock()
    breaker = opened(clock)
    assert MAX_FAILURES <= 10
    assert breaker.admit() == PAUSE_SECONDS
    clock.now += PAUSE_SECONDS - 1
    assert breaker.admit() == pytest.approx(1)


def test_a_success_between_failures_keeps_it_closed() -> None:
    breaker = CircuitBreaker(Clock())
    for _ in range(3):
        for _ in range(MAX_FAILURES - 1):
            breaker.failed()
        breaker.succeeded()
    assert breaker.admit() == 0


def test_after_the_pause_one_of_many_threads_tries() -> None:
    clock = Clock()
    breaker = opened(clock)
    clock.now += PAUSE_SECONDS
    waits: list[float] = []
    threads = [threading.Thread(target=lambda: waits.append(breaker.admit())) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert waits.count(0) == 1
    breaker.failed()
    assert breaker.admit() == PAUSE_SECONDS
    clock.now += PAUSE_SECONDS
    assert breaker.admit() == 0
    breaker.succeeded()
    assert [breaker.admit() for _ in range(5)] == [0] * 5


def test_a_trial_whose_listener_left_does_not_block_the_next_one() -> None:
    clock = Clock()
    breaker = opened(clock)
    clock.now += PAUSE_SECONDS
    assert breaker.admit() == 0
    assert breaker.admit() > 0
    clock.now += PAUSE_SECONDS
    assert breaker.admit() == 0


def test_retries_add_a_tenth_in_the_long_run_and_none_while_it_is_open() -> None:
    breaker = CircuitBreaker(Clock())
    calls, retries = 2000, 0
    for _ in range(calls):
        breaker.admit()
        retries += breaker.admit_retry()
    assert retries <= RETRIES_AT_ONCE + 0.1 * calls
    assert retries > 0.09 * calls
    assert not opened(Clock()).admit_retry()


def test_a_day_has_so_many_tokens_and_not_more() -> None:
    clock = Clock()
    cap = TokenCap(1000, clock)
    assert cap.reserve(600)
    assert not cap.reserve(600)
    cap.settle(600, 100)
    assert cap.reserve(900)
    assert not cap.reserve(1)
    clock.now += DAY_SECONDS
    assert cap.reserve(1000)
    with pytest.raises(ValueError, match="at least one token, got 0"):
        TokenCap(0)
