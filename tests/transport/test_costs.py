"""Of two endpoints that are well, the one that answers in fewer requests is asked."""

import pytest
from tests.transport.clock import Clock

from balance_tracker.transport.costs import REMEMBERED_SECONDS, REQUEST_IS_WORTH_SECONDS, Costs
from balance_tracker.transport.endpoint import Endpoint
from balance_tracker.transport.http import HttpClient
from balance_tracker.transport.memory import DAY_SECONDS, FIRST_LIMIT_SECONDS, Memory
from balance_tracker.transport.pool import Pool


def pool_of(clock: Clock, count: int) -> Pool:
    http = HttpClient()
    endpoints = [
        Endpoint("base", f"https://{number}.example", http, 1.0, clock=clock) for number in range(count)
    ]
    for endpoint in endpoints:
        endpoint.latency.took(0.05, 100)
    return Pool("base", endpoints, clock=clock)


def test_what_reads_of_one_size_took_says_nothing_of_others() -> None:
    costs = Costs(Clock())
    costs.took(40, 120_000)
    assert costs.extra_seconds(60) == 0.0
    assert costs.extra_seconds(100_000) == pytest.approx(39 * REQUEST_IS_WORTH_SECONDS)


def test_one_request_costs_nothing_extra_and_the_last_read_counts() -> None:
    costs = Costs(Clock())
    costs.took(6, 60)
    costs.took(1, 61)
    assert costs.extra_seconds(60) == 0.0


def test_an_endpoint_that_needs_more_requests_stands_behind_for_ten_minutes() -> None:
    clock = Clock()
    pool = pool_of(clock, 2)
    first, second = pool.ordered(60)
    first.costs.took(3, 60)
    assert pool.ordered(60) == [second, first]
    assert pool.ordered(120_000) == pool.ordered() == [first, second]
    clock.move(REMEMBERED_SECONDS + 1)
    assert pool.ordered(60) == [first, second]


def test_where_all_need_as_many_requests_the_quickest_is_first() -> None:
    clock = Clock()
    pool = pool_of(clock, 2)
    first, second = pool.ordered(60)
    first.costs.took(3, 60)
    second.costs.took(3, 60)
    second.latency.took(0.9, 100)
    assert pool.ordered(60) == [first, second]


def test_a_limit_is_kept_four_times_as_long_whenever_it_is_met_anew() -> None:
    clock = Clock()
    memory = Memory(clock)
    kept = []
    for _ in range(8):
        memory.put_limit("batch_limit", 10, DAY_SECONDS)
        memory.put_limit("batch_limit", 3, DAY_SECONDS)  # found lower in the same spell
        (entry,) = [ends for name, (_, ends) in memory.kept().items() if name == "batch_limit"]
        kept.append(entry - clock())
        clock.move(entry - clock())
        assert memory.get("batch_limit") is None
    assert kept[:3] == [FIRST_LIMIT_SECONDS, 4 * FIRST_LIMIT_SECONDS, 16 * FIRST_LIMIT_SECONDS]
    assert kept[-1] == DAY_SECONDS


def test_people_are_shown_the_limit_and_not_how_often_it_was_met() -> None:
    memory = Memory(Clock())
    memory.put_limit("batch_limit", 3, DAY_SECONDS)
    assert memory.shown() == {"batch_limit": "3"}
