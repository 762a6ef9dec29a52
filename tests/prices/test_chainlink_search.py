"""The search for past rounds, against a feed made up of any phases; and what is not kept."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.evm.scenes import LOCAL
from tests.prices.feed_scenes import ETHER, ETHEREUM, FEEDS, OFFERED, asset, chainlink

from balance_tracker.core.assets import native_asset
from balance_tracker.core.blocks import BlockRef
from balance_tracker.core.ids import Address
from balance_tracker.core.portfolio import FailureCode
from balance_tracker.evm.multicall import Call
from balance_tracker.evm.outcomes import NOT_ASKED, CallFailure, Outcome
from balance_tracker.evm.riders import Trip
from balance_tracker.prices.chainlink.history import (
    FAN,
    MOST_PHASES,
    MOST_ROUNDS,
    Search,
    round_at,
    rounds_between,
)
from balance_tracker.prices.chainlink.rounds import Fault, Round, fault_of, read_round

PROXY = FEEDS["ETH/USD"].proxy
NO_DATA = CallFailure(FailureCode.REVERTED, "the contract says: No data present")
PHASE = 1 << 64

type Phases = list[list[int]]
"""The times of all rounds, phase by phase."""


class ModelFeed:
    """Answers as a proxy over these phases would; ``gaps`` are round ids that it has lost."""

    def __init__(self, phases: Phases, gaps: frozenset[int] = frozenset()) -> None:
        self.rounds = {
            (phase << 64) + number: when
            for phase, times in enumerate(phases, 1)
            for number, when in enumerate(times, 1)
        }
        self.lost = gaps
        self.steps: list[int] = []

    def answer(self, call: Call) -> Outcome:
        round_id = int(call.data[8:], 16) if len(call.data) > 8 else max(self.rounds, default=0)
        if round_id not in self.rounds or round_id in self.lost:
            return NO_DATA
        words = (round_id, round_id & 0xFFFF, self.rounds[round_id], self.rounds[round_id], round_id)
        return b"".join(word.to_bytes(32) for word in words)

    def run[T](self, search: Search[T]) -> T:
        outcomes: Sequence[Outcome] | None = None
        while True:
            try:
                calls = next(search) if outcomes is None else search.send(outcomes)
            except StopIteration as done:
                return done.value  # type: ignore[no-any-return]
            self.steps.append(len(calls))
            outcomes = [self.answer(call) for call in calls]

    def last_by(self, moment: int) -> int | None:
        ordered = sorted(self.rounds)
        place = bisect_right([self.rounds[one] for one in ordered], moment)
        return ordered[place - 1] if place else None


def rising(lengths: Sequence[int], steps: Sequence[int]) -> Phases:
    now, phases, place = 1_000, [], 0
    for length in lengths:
        times = []
        for _ in range(length):
            now += steps[place % len(steps)]
            place += 1
            times.append(now)
        phases.append(times)
    return phases


phases_of = st.builds(
    rising,
    st.lists(st.integers(1, 300), min_size=1, max_size=MOST_PHASES),
    st.lists(st.integers(0, 100), min_size=1, max_size=20),
)


@settings(max_examples=200, deadline=None)
@given(phases_of, st.data())
def test_the_round_of_a_time_is_the_last_one_by_then(phases: Phases, data: st.DataObject) -> None:
    feed = ModelFeed(phases)
    moment = data.draw(st.integers(0, max(feed.rounds.values()) + 50))
    found = feed.run(round_at(PROXY, moment))
    assert (found.round_id if found else None) == feed.last_by(moment)
    assert len(feed.steps) <= 1 + 3 + 7 * (MOST_PHASES - 1)
    assert max(feed.steps) <= FAN


@settings(max_examples=100, deadline=None)
@given(phases_of, st.data())
def test_a_series_has_every_round_where_it_is_short(phases: Phases, data: st.DataObject) -> None:
    feed = ModelFeed(phases)
    latest = max(feed.rounds.values())
    start = data.draw(st.integers(0, latest))
    end = data.draw(st.integers(start, latest + 50))
    told = [one.updated_at for one in feed.run(rounds_between(PROXY, start, end))]
    first = feed.last_by(start)
    expected = sorted(when for one, when in feed.rounds.items() if one >= (first or 0) and when <= end)
    if first is not None and len(expected) <= MOST_ROUNDS:
        assert told == expected
    assert told == sorted(told)
    assert set(told) <= set(expected)
    assert len(told) <= MOST_ROUNDS


def test_a_search_bridges_a_gap_and_ends_at_a_phase_that_is_all_gap() -> None:
    times = list(range(2_000, 12_000, 100))
    gaps = frozenset(PHASE + number for number in range(40, 60))
    feed = ModelFeed([times], gaps)
    found = feed.run(round_at(PROXY, 5_050))
    assert found is not None
    assert found.updated_at == 5_000
    lost = ModelFeed([times], frozenset(PHASE + number for number in range(1, 100)))
    assert lost.run(round_at(PROXY, 5_050)) is None


def test_a_search_is_bounded_in_phases() -> None:
    feed = ModelFeed([[1_000 + 10 * phase] for phase in range(MOST_PHASES + 3)])
    assert feed.run(round_at(PROXY, 1_000)) is None
    assert feed.run(round_at(PROXY, max(feed.rounds.values()) - 10)) is not None


@given(st.binary(max_size=400))
def test_no_answer_makes_a_round_raise(data: bytes) -> None:
    assert isinstance(read_round(data), Round | Fault)


@pytest.mark.parametrize(
    ("code", "fault"),
    [
        (FailureCode.NO_CONTRACT, Fault.NO_CONTRACT),
        (FailureCode.NO_DATA, Fault.NO_CONTRACT),
        (FailureCode.REVERTED, Fault.REVERTED),
        (FailureCode.OUT_OF_GAS, Fault.REVERTED),
        (FailureCode.MALFORMED, Fault.MALFORMED),
        (FailureCode.TIMED_OUT, Fault.UNANSWERED),
        (FailureCode.ENDPOINT_FAILED, Fault.UNANSWERED),
    ],
)
def test_a_failed_call_is_the_feeds_fault_or_the_endpoints(code: FailureCode, fault: Fault) -> None:
    assert fault_of(CallFailure(code, "why")) is fault


@pytest.mark.parametrize("sequencer", [None, Address("0xFdB631F5EE196F0ed6FAa767959853A9F217697D")])
async def test_what_was_not_answered_is_not_kept(sequencer: Address | None) -> None:
    offered: Any = {ETHEREUM: replace(OFFERED, sequencer=sequencer)}
    async with chainlink({ETHEREUM: "http://127.0.0.1:1/"}, offered) as (source, _):
        rider: Any = source.rider(ETHEREUM)
        trip = Trip([Address(PROXY)], [native_asset(LOCAL)], None)
        ride = rider.board(trip)
        assert ride is not None
        assert len(ride.calls) == (2 if sequencer is None else 3)
        ride.learn([NOT_ASKED] * len(ride.calls), BlockRef(1, None, 1))
        assert rider.kept(FEEDS["ETH/USD"]) is None
        assert rider.board(trip) is not None
        assert rider.board(Trip([Address(PROXY)], [asset(ETHER)], 7)) is None


async def test_an_older_block_does_not_replace_a_newer_one() -> None:
    async with chainlink({ETHEREUM: "http://127.0.0.1:1/"}) as (source, _):
        rider: Any = source.rider(ETHEREUM)
        trip = Trip([Address(PROXY)], [native_asset(LOCAL)], None)
        rides = [rider.board(trip), rider.board(trip)]
        for ride, block, answer in zip(rides, (9, 8), (90, 80), strict=True):
            words = (1, answer * 10**8, 5_000, 5_000, 1)
            outcome = b"".join(word.to_bytes(32) for word in words)
            ride.learn([outcome, (8).to_bytes(32)], BlockRef(block, None, 5_000))
        assert rider.kept(FEEDS["ETH/USD"]).found.amount == 90
