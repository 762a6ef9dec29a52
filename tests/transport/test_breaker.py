"""The breaker: rests grow, one trial at a time, and a crowd that fails together counts once."""

import pytest
from tests.transport.clock import Clock

from balance_tracker.transport.breaker import LASTING_REST_SECONDS, LONGEST_REST_SECONDS, Breaker


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> Breaker:
    return Breaker(clock, chance=lambda: 0.5)


def test_it_is_closed_until_something_fails(breaker: Breaker) -> None:
    assert breaker.state == "closed"
    assert not breaker.try_out()


def test_rests_double_up_to_a_minute(breaker: Breaker) -> None:
    rests = []
    for _ in range(9):
        breaker.fail("bad_response")
        rests.append(breaker.rest_seconds)
    assert rests == [1, 2, 4, 8, 16, 32, 60, 60, 60]


@pytest.mark.parametrize("chance", [0.0, 1.0])
def test_chance_spreads_rests_by_a_tenth(clock: Clock, chance: float) -> None:
    breaker = Breaker(clock, chance=lambda: chance)
    breaker.fail("bad_response")
    assert breaker.rest_seconds == pytest.approx(0.9 + 0.2 * chance)
    for _ in range(20):
        breaker.fail("bad_response")
    assert breaker.rest_seconds <= LONGEST_REST_SECONDS


@pytest.mark.parametrize("code", ["wrong_chain", "unauthorized", "redirected"])
def test_what_does_not_pass_by_itself_rests_longer_at_once(breaker: Breaker, code: str) -> None:
    breaker.fail(code)
    assert breaker.rest_seconds == LASTING_REST_SECONDS


def test_after_the_rest_there_is_one_trial(breaker: Breaker, clock: Clock) -> None:
    breaker.fail("bad_response")
    assert breaker.state == "open"
    assert not breaker.try_out()
    clock.move(1.0)
    assert breaker.state == "half_open"
    assert [breaker.try_out() for _ in range(5)] == [True, False, False, False, False]


def test_a_trial_that_fails_opens_it_for_longer(breaker: Breaker, clock: Clock) -> None:
    breaker.fail("bad_response")
    clock.move(1.0)
    breaker.try_out()
    breaker.fail("bad_response", started_at=clock())
    assert (breaker.state, breaker.rest_seconds, breaker.trial) == ("open", 2.0, False)


def test_a_trial_that_succeeds_closes_it_and_the_next_rest_is_short_again(
    breaker: Breaker, clock: Clock
) -> None:
    for _ in range(5):
        breaker.fail("bad_response")
    clock.move(16.0)
    breaker.try_out()
    breaker.succeed()
    assert breaker.state == "closed"
    breaker.fail("bad_response")
    assert breaker.rest_seconds == 1.0


def test_a_trial_that_found_nothing_may_be_made_again(breaker: Breaker, clock: Clock) -> None:
    breaker.fail("bad_response")
    clock.move(1.0)
    assert breaker.try_out()
    breaker.abandon()
    assert breaker.try_out()


def test_of_many_that_were_under_way_when_it_broke_the_first_counts(breaker: Breaker, clock: Clock) -> None:
    started = clock()
    clock.move(0.5)
    for _ in range(50):
        breaker.fail("timed_out", started)
    assert (breaker.failures_in_a_row, breaker.rest_seconds) == (1, 1.0)
