"""Latency: percentiles of recent times, by the size of what was sent."""

import pytest
from tests.transport.clock import Clock

from balance_tracker.transport.latency import REMEMBERED_SECONDS, WINDOW, Latency


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def latency(clock: Clock) -> Latency:
    return Latency(clock)


def test_nothing_is_known_at_first(latency: Latency) -> None:
    assert (latency.median, latency.p95, latency.expected_at_most(100)) == (None, None, None)


def test_percentiles_are_of_the_latest_times(latency: Latency) -> None:
    for _ in range(WINDOW):
        latency.took(9.0, 100)
    for number in range(1, WINDOW + 1):
        latency.took(number / 100, 100)
    assert latency.median == pytest.approx(0.17)
    assert latency.p95 == pytest.approx(0.31)
    assert latency.expected_at_most(100) == pytest.approx(0.31)


def test_of_a_few_times_twice_the_longest_is_expected(latency: Latency) -> None:
    for seconds in (0.1, 0.3, 0.2):
        latency.took(seconds, 100)
    assert latency.expected_at_most(100) == pytest.approx(0.6)


def test_a_large_request_is_not_measured_by_small_ones(latency: Latency) -> None:
    for _ in range(10):
        latency.took(0.1, 500)
        latency.took(2.0, 500_000)
    assert latency.median == pytest.approx(0.1)
    assert latency.expected_at_most(600) == pytest.approx(0.1)
    assert latency.expected_at_most(400_000) == pytest.approx(2.0)
    assert latency.expected_at_most(20_000) == pytest.approx(0.4)


def test_old_times_are_forgotten(latency: Latency, clock: Clock) -> None:
    latency.took(3.0, 100)
    clock.move(REMEMBERED_SECONDS / 2)
    latency.took(1.0, 100)
    assert latency.p95 == 3.0
    clock.move(REMEMBERED_SECONDS / 2 + 1)
    assert latency.p95 == 1.0
    clock.move(REMEMBERED_SECONDS)
    assert latency.median is None
