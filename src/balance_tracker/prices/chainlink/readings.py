"""The feeds of one network: asked along with balances or by themselves, and kept for a while."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from balance_tracker.core.assets import Asset
from balance_tracker.core.blocks import At, BlockRef
from balance_tracker.core.feeds import UNIT_ASSETS, Feed, OnChainPrices
from balance_tracker.core.ids import Address, AssetId
from balance_tracker.core.networks import Network
from balance_tracker.evm.abi import DECIMALS, read_decimals
from balance_tracker.evm.block_times import BlockTimes
from balance_tracker.evm.calls import CallReader
from balance_tracker.evm.multicall import Call
from balance_tracker.evm.outcomes import CallFailure, Outcome
from balance_tracker.evm.question import Question
from balance_tracker.evm.reader import chain_facts
from balance_tracker.evm.riders import Ride, Trip
from balance_tracker.prices.chainlink.rounds import (
    LASTING,
    LATEST_ROUND_DATA,
    Fault,
    Round,
    Worth,
    check_round,
    fault_of,
    read_round,
    sequencer_is_up,
    worth_of,
)
from balance_tracker.telemetry.logging import get_logger
from balance_tracker.transport.pool import Pool

MOST_RIDING = 100
"""Feeds that ride with one reading; the others ride with the next, or are asked when needed."""
LASTING_SECONDS = 3_600.0
"""For so long a feed is not asked again that has no contract, or reverts."""

_log = get_logger(__name__)

type Clock = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Reading:
    """What a feed said at a block: a worth, or why there is none."""

    feed: Feed
    block: BlockRef
    found: Worth | Fault


@dataclass(frozen=True, slots=True)
class _Plan:
    """Calls about some feeds: a round each, then the sequencer's, then decimals not known yet."""

    feeds: Sequence[Feed]
    unknown: Sequence[Feed]
    calls: Sequence[Call]


class NetworkFeeds:
    """Reads the feeds of one network; a :class:`balance_tracker.evm.riders.Rider`.

    Args:
        network: What its file says.
        pool: Its endpoints, the same that balances are read through.
        offered: Its feeds.
        ttl_seconds: How long what was read is taken for current.
        clock: A monotonic clock, in seconds.
    """

    def __init__(
        self,
        network: Network,
        pool: Pool,
        offered: OnChainPrices,
        ttl_seconds: float,
        clock: Clock = time.monotonic,
    ) -> None:
        self.network = network
        self._sequencer = offered.sequencer
        self._by_asset = {asset_id: feed for feed in offered.feeds for asset_id in feed.assets}
        self._ttl_seconds = ttl_seconds
        self._clock = clock
        self._calls = CallReader(pool, chain_facts(network))
        self._times = BlockTimes(network, pool)
        self._decimals: dict[Address, int] = {}
        self._kept: dict[Address, tuple[float, Reading]] = {}
        self._asked_for: dict[Address, Feed] = {}

    def feed_of(self, asset_id: AssetId) -> Feed | None:
        """The feed that speaks for an asset here."""
        return self._by_asset.get(asset_id)

    def rate_feed(self, feed: Feed) -> Feed | None:
        """The feed that turns its answers into dollars; ``None`` where they are dollars."""
        return None if feed.unit == "usd" else self._by_asset[UNIT_ASSETS[feed.unit]]

    def kept(self, feed: Feed) -> Reading | None:
        """What was read of a feed, while it is current."""
        until, reading = self._kept.get(feed.proxy, (0.0, None))
        return reading if until > self._clock() else None

    def board(self, trip: Trip) -> Ride | None:
        """See :meth:`balance_tracker.evm.riders.Rider.board`: the feeds of what is listed or asked for."""
        if trip.at is not None:
            return None
        plan = self._plan(self._due(trip.assets))
        if not plan.feeds:
            return None
        return Ride(plan.calls, lambda outcomes, block: self._keep(self._interpret(plan, outcomes, block)))

    async def read(self, feeds: Iterable[Feed], deadline: float) -> Mapping[Address, Reading]:
        """What some feeds say at the latest block, in one request; from now on they ride along.

        Raises:
            UpstreamError: No endpoint answered.
        """
        wanted = list(feeds)
        self._asked_for.update({feed.proxy: feed for feed in wanted})
        readings = await self._ask(wanted, None, deadline)
        self._keep(readings)
        return readings

    async def read_at(self, feeds: Iterable[Feed], at: At, deadline: float) -> Mapping[Address, Reading]:
        """What they said at the last block of a time, where an endpoint still has its state.

        Raises:
            UpstreamError: ``history_unavailable``, or no endpoint answered.
        """
        return await self._ask(list(feeds), await self._times.block_of(at, deadline), deadline)

    async def outcomes(self, calls: Sequence[Call], deadline: float) -> list[Outcome]:
        """What calls give at the latest block."""
        return (await self._calls.read(Question(calls=calls), None, deadline)).outcomes

    async def decimals(self, feeds: Iterable[Feed], deadline: float) -> Mapping[Address, int]:
        """The decimals of feeds, asked where they are not known; none of a feed that has none."""
        wanted = list(feeds)
        unknown = [feed for feed in wanted if feed.proxy not in self._decimals]
        if unknown:
            outcomes = await self.outcomes([_decimals_call(feed) for feed in unknown], deadline)
            for feed, outcome in zip(unknown, outcomes, strict=True):
                self._learn_decimals(feed, outcome)
        return {feed.proxy: self._decimals[feed.proxy] for feed in wanted if feed.proxy in self._decimals}

    def _due(self, assets: Sequence[Asset]) -> list[Feed]:
        listed = (self._by_asset.get(asset.price_key) for asset in assets)
        wanted = {feed.proxy: feed for feed in listed if feed is not None} | self._asked_for
        due = [feed for feed in wanted.values() if self.kept(feed) is None]
        return due[:MOST_RIDING]

    async def _ask(self, feeds: Sequence[Feed], block: int | None, deadline: float) -> dict[Address, Reading]:
        plan = self._plan(feeds)
        answer = await self._calls.read(Question(calls=plan.calls), block, deadline)
        return self._interpret(plan, answer.outcomes, answer.block)

    def _plan(self, feeds: Iterable[Feed]) -> _Plan:
        """The feeds with those of their rates: only rounds of one block may be multiplied."""
        wanted = {feed.proxy: feed for feed in feeds}
        rates = [self.rate_feed(feed) for feed in wanted.values()]
        wanted |= {rate.proxy: rate for rate in rates if rate is not None}
        all_feeds = list(wanted.values())
        unknown = [feed for feed in all_feeds if feed.proxy not in self._decimals]
        calls = [_round_call(feed.proxy) for feed in all_feeds]
        if self._sequencer is not None:
            calls.append(_round_call(self._sequencer))
        return _Plan(all_feeds, unknown, calls + [_decimals_call(feed) for feed in unknown])

    def _interpret(self, plan: _Plan, outcomes: Sequence[Outcome], block: BlockRef) -> dict[Address, Reading]:
        rounds = {
            feed.proxy: read_round(outcome) for feed, outcome in zip(plan.feeds, outcomes, strict=False)
        }
        faults: dict[Address, Fault] = {}
        told = outcomes[len(outcomes) - len(plan.unknown) :]
        for feed, outcome in zip(plan.unknown, told, strict=True):
            fault = self._learn_decimals(feed, outcome)
            if fault is not None:
                faults[feed.proxy] = fault
        if self._sequencer is not None:
            fault = _sequencer_fault(read_round(outcomes[len(plan.feeds)]), block.timestamp)
            faults |= {feed.proxy: fault for feed in plan.feeds if fault is not None}
        found = _Interpreter(rounds, faults, self._decimals, self.rate_feed, block.timestamp)
        return {feed.proxy: Reading(feed, block, found.worth(feed)) for feed in plan.feeds}

    def _learn_decimals(self, feed: Feed, outcome: Outcome) -> Fault | None:
        if isinstance(outcome, CallFailure):
            return fault_of(outcome)
        decimals = read_decimals(outcome)
        if decimals is None:
            return Fault.MALFORMED
        if feed.decimals is not None and feed.decimals != decimals:
            _log.warning(
                "feed_refused", network=self.network.slug, feed=feed.pair, reason=Fault.WRONG_DECIMALS.value
            )
            return Fault.WRONG_DECIMALS
        self._decimals[feed.proxy] = decimals
        return None

    def _keep(self, readings: Mapping[Address, Reading]) -> None:
        now = self._clock()
        for proxy, reading in readings.items():
            if reading.found is Fault.UNANSWERED:
                continue
            lasting = isinstance(reading.found, Fault) and reading.found in LASTING
            seconds = max(LASTING_SECONDS, self._ttl_seconds) if lasting else self._ttl_seconds
            _, before = self._kept.get(proxy, (0.0, None))
            if before is None or before.block.number <= reading.block.number:
                self._kept[proxy] = (now + seconds, reading)


@dataclass(frozen=True, slots=True)
class _Interpreter:
    """Rounds of one block as worths."""

    rounds: Mapping[Address, Round | Fault]
    faults: Mapping[Address, Fault]
    decimals: Mapping[Address, int]
    rate_feed: Callable[[Feed], Feed | None]
    now: int

    def worth(self, feed: Feed) -> Worth | Fault:
        if feed.proxy in self.faults:
            return self.faults[feed.proxy]
        found = self.rounds[feed.proxy]
        if isinstance(found, Fault):
            return found
        fault = check_round(found, feed, self.now)
        if fault is not None:
            return fault
        rate_feed = self.rate_feed(feed)
        if rate_feed is None:
            return worth_of(found, self.decimals[feed.proxy])
        rate = self.worth(rate_feed)
        if isinstance(rate, Fault):
            return Fault.NO_RATE
        return worth_of(found, self.decimals[feed.proxy], rate)


def _sequencer_fault(found: Round | Fault, now: int) -> Fault | None:
    if found is Fault.UNANSWERED:
        return Fault.UNANSWERED
    return None if sequencer_is_up(found, now) else Fault.SEQUENCER_DOWN


def _round_call(proxy: Address) -> Call:
    return Call(proxy.lower(), LATEST_ROUND_DATA)


def _decimals_call(feed: Feed) -> Call:
    return Call(feed.proxy.lower(), DECIMALS)
