"""Prices by Chainlink's feeds on every network that has them."""

import asyncio
import time
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from balance_tracker.core.assets import Asset
from balance_tracker.core.errors import UpstreamError
from balance_tracker.core.feeds import Feed, OnChainPrices
from balance_tracker.core.ids import Address, AssetId, Slug
from balance_tracker.core.networks import Network
from balance_tracker.core.prices import Interval, PricePoint, Quote, SourceFamily
from balance_tracker.evm.riders import Rider
from balance_tracker.prices.chainlink.history import in_step, round_at, rounds_between
from balance_tracker.prices.chainlink.readings import Clock, NetworkFeeds, Reading
from balance_tracker.prices.chainlink.rounds import Fault, Round, Worth, check_round, crossed, worth_of
from balance_tracker.telemetry.logging import get_logger
from balance_tracker.transport.pool import Pool

NAME = "chainlink"
CONFIDENCE = Decimal("0.99")
CROSS_CONFIDENCE = Decimal("0.98")
"""Of a price that took two feeds."""
MOST_NETWORKS = 2
"""Networks that are asked for one asset, one after the other, before it is given up."""
MOST_WALKED = 40
"""Feeds whose rounds are walked at once where no endpoint has old state."""
INTERVAL_SECONDS: Mapping[Interval, int] = {"5m": 300, "1h": 3_600, "1d": 86_400}

_log = get_logger(__name__)

type Candidate = tuple[NetworkFeeds, Feed]
type Key = tuple[NetworkFeeds, Address]
"""One feed among those of all networks."""


class ChainlinkFeeds:
    """Quotes from feeds; implements :class:`balance_tracker.ports.PriceSource`.

    What rode along with balances (:meth:`rider`) answers without a request while it is current.
    An asset that several networks have a feed for is asked on its own network first.

    Args:
        networks: The tracked networks.
        pools: Their endpoints, the same that balances are read through.
        offered: Their feeds; networks without are left out.
        ttl_seconds: How long a round is taken for current, and not asked again.
        clock: A monotonic clock, in seconds.
    """

    name = NAME
    family: SourceFamily = "oracle"

    def __init__(
        self,
        networks: Mapping[Slug, Network],
        pools: Mapping[Slug, Pool],
        offered: Mapping[Slug, OnChainPrices],
        *,
        ttl_seconds: float = 60.0,
        clock: Clock = time.monotonic,
    ) -> None:
        self._networks = {
            slug: NetworkFeeds(network, pools[slug], offered[slug], ttl_seconds, clock)
            for slug, network in networks.items()
            if slug in pools and slug in offered and offered[slug].feeds
        }

    def rider(self, slug: Slug) -> Rider | None:
        """Who rides with the readings of a network, if it has feeds."""
        return self._networks.get(slug)

    async def quotes(self, assets: Sequence[Asset], deadline: float) -> Sequence[Quote]:
        """See :meth:`balance_tracker.ports.PriceSource.quotes`: one request per network at most, twice."""
        wanted = self._candidates(assets)
        fresh: dict[Key, Reading] = {}
        errors: list[UpstreamError] = []
        for _ in range(MOST_NETWORKS):
            asks = _next_asks(wanted, fresh)
            if not asks:
                break
            outcomes = await _all_of(reader.read(feeds, deadline) for reader, feeds in asks)
            for (reader, _), outcome in zip(asks, outcomes, strict=True):
                if isinstance(outcome, UpstreamError):
                    errors.append(outcome)
                else:
                    fresh |= {(reader, proxy): reading for proxy, reading in outcome.items()}
            wanted = _without_failed(wanted, asks, fresh)
        found = [
            _quote(asset_id, reading)
            for asset_id, candidates in wanted.items()
            if (reading := _first_good(candidates, fresh)) is not None
        ]
        if errors and not found:
            raise errors[0]
        return found

    async def quotes_at(self, assets: Sequence[Asset], at: datetime, deadline: float) -> Sequence[Quote]:
        """See :meth:`balance_tracker.ports.PriceSource.quotes_at`.

        The feeds are read at the block of that time; where no endpoint has its state any more,
        their own past rounds are searched, for :data:`MOST_WALKED` feeds at most.
        """
        by_reader: dict[NetworkFeeds, dict[AssetId, Feed]] = {}
        for asset_id, candidates in self._candidates(assets).items():
            reader, feed = candidates[0]
            by_reader.setdefault(reader, {})[asset_id] = feed
        results = await _all_of(
            self._past(reader, feeds, at, deadline) for reader, feeds in by_reader.items()
        )
        found = [quote for result in results if not isinstance(result, UpstreamError) for quote in result]
        errors = [result for result in results if isinstance(result, UpstreamError)]
        if errors and not found:
            raise errors[0]
        return found

    async def series(
        self, asset: Asset, start: datetime, end: datetime, interval: Interval, deadline: float
    ) -> Sequence[PricePoint]:
        """See :meth:`balance_tracker.ports.PriceSource.series`: rounds, one per interval at most.

        A point's time is when its round was written; there is none where the feed did not move.
        """
        candidates = self._candidates([asset]).get(asset.price_key)
        if not candidates:
            return ()
        reader, feed = candidates[0]
        rate_feed = reader.rate_feed(feed)
        feeds = [feed] if rate_feed is None else [feed, rate_feed]
        decimals = await reader.decimals(feeds, deadline)
        if len(decimals) < len(feeds):
            return ()
        first, last = int(start.timestamp()), int(end.timestamp())
        found = await in_step(
            [rounds_between(one.proxy, first, last) for one in feeds],
            lambda calls: reader.outcomes(calls, deadline),
        )
        worths = [_worths(rounds, decimals[one.proxy]) for one, rounds in zip(feeds, found, strict=True)]
        points = worths[0] if rate_feed is None else _crossed(worths[0], worths[1])
        return _thinned([one for one in points if one.updated_at >= first], INTERVAL_SECONDS[interval])

    def _candidates(self, assets: Sequence[Asset]) -> dict[AssetId, list[Candidate]]:
        """Feeds of every asset that has any: the one of its own network first."""
        found: dict[AssetId, list[Candidate]] = {}
        for asset_id in dict.fromkeys(asset.price_key for asset in assets):
            candidates = [
                (reader, feed)
                for reader in self._networks.values()
                if (feed := reader.feed_of(asset_id)) is not None
            ]
            home = asset_id.partition("/")[0]
            candidates.sort(key=lambda candidate: candidate[0].network.id != home)
            if candidates:
                found[asset_id] = candidates
        return found

    async def _past(
        self, reader: NetworkFeeds, feeds: Mapping[AssetId, Feed], at: datetime, deadline: float
    ) -> list[Quote]:
        try:
            readings = await reader.read_at(feeds.values(), at, deadline)
        except UpstreamError as error:
            if error.code != "history_unavailable":
                raise
            _log.info("feed_rounds_walked", network=reader.network.slug, feeds=len(feeds))
            return await self._walked(reader, feeds, at, deadline)
        found = {asset_id: readings[feed.proxy] for asset_id, feed in feeds.items()}
        return [_quote(asset_id, one) for asset_id, one in found.items() if isinstance(one.found, Worth)]

    async def _walked(
        self, reader: NetworkFeeds, feeds: Mapping[AssetId, Feed], at: datetime, deadline: float
    ) -> list[Quote]:
        moment = int(at.timestamp())
        chosen = {feed.proxy: feed for feed in list(feeds.values())[:MOST_WALKED]}
        rates = [reader.rate_feed(feed) for feed in chosen.values()]
        chosen |= {rate.proxy: rate for rate in rates if rate is not None}
        decimals = await reader.decimals(chosen.values(), deadline)
        rounds = await in_step(
            [round_at(proxy, moment) for proxy in chosen], lambda calls: reader.outcomes(calls, deadline)
        )
        past = {
            proxy: found
            for proxy, found in zip(chosen, rounds, strict=True)
            if found is not None and proxy in decimals and check_round(found, chosen[proxy], moment) is None
        }
        quotes = []
        for asset_id, feed in feeds.items():
            worth = _worth_then(feed, reader.rate_feed(feed), past, decimals)
            if worth is not None:
                quotes.append(_quoted(asset_id, worth, None))
        return quotes


def _next_asks(
    wanted: Mapping[AssetId, Sequence[Candidate]], fresh: Mapping[Key, Reading]
) -> list[tuple[NetworkFeeds, list[Feed]]]:
    """What to ask which network: of every asset without a price the first feed not read yet."""
    asks: dict[NetworkFeeds, dict[Address, Feed]] = {}
    for candidates in wanted.values():
        if _first_good(candidates, fresh) is not None:
            continue
        for reader, feed in candidates[:MOST_NETWORKS]:
            if _reading(reader, feed, fresh) is None:
                asks.setdefault(reader, {})[feed.proxy] = feed
                break
    return [(reader, list(feeds.values())) for reader, feeds in asks.items()]


def _without_failed(
    wanted: Mapping[AssetId, list[Candidate]],
    asks: Iterable[tuple[NetworkFeeds, Sequence[Feed]]],
    fresh: Mapping[Key, Reading],
) -> dict[AssetId, list[Candidate]]:
    """The candidates without feeds that were asked in vain, so that the next one has its turn."""
    lost = {
        (reader, feed.proxy)
        for reader, feeds in asks
        for feed in feeds
        if _reading(reader, feed, fresh) is None
    }
    return {
        asset_id: [(reader, feed) for reader, feed in candidates if (reader, feed.proxy) not in lost]
        for asset_id, candidates in wanted.items()
    }


def _first_good(candidates: Iterable[Candidate], fresh: Mapping[Key, Reading]) -> Reading | None:
    readings = (_reading(reader, feed, fresh) for reader, feed in candidates)
    return next((one for one in readings if one is not None and isinstance(one.found, Worth)), None)


def _reading(reader: NetworkFeeds, feed: Feed, fresh: Mapping[Key, Reading]) -> Reading | None:
    return fresh.get((reader, feed.proxy)) or reader.kept(feed)


def _quote(asset_id: AssetId, reading: Reading) -> Quote:
    if isinstance(reading.found, Fault):
        raise TypeError(f"a feed without a price is no quote: {reading.found}")
    return _quoted(asset_id, reading.found, reading.block.number)


def _quoted(asset_id: AssetId, worth: Worth, block_number: int | None) -> Quote:
    return Quote(
        asset_id=asset_id,
        source=NAME,
        family="oracle",
        amount=worth.amount,
        as_of=worth.as_of,
        confidence=CROSS_CONFIDENCE if worth.crossed else CONFIDENCE,
        block_number=block_number,
    )


def _worth_then(
    feed: Feed, rate_feed: Feed | None, past: Mapping[Address, Round], decimals: Mapping[Address, int]
) -> Worth | None:
    if feed.proxy not in past or (rate_feed is not None and rate_feed.proxy not in past):
        return None
    rate = worth_of(past[rate_feed.proxy], decimals[rate_feed.proxy]) if rate_feed is not None else None
    return worth_of(past[feed.proxy], decimals[feed.proxy], rate)


def _worths(rounds: Iterable[Round], decimals: int) -> list[Worth]:
    good = (one for one in rounds if one.answer > 0 and one.answered_in >= one.round_id)
    return [worth_of(one, decimals) for one in good]


def _crossed(worths: Sequence[Worth], rates: Sequence[Worth]) -> list[Worth]:
    """Each by the last rate before it; both are in order of time."""
    found: list[Worth] = []
    place = 0
    for worth in worths:
        while place < len(rates) and rates[place].updated_at <= worth.updated_at:
            place += 1
        if place:
            found.append(replace(crossed(worth, rates[place - 1]), updated_at=worth.updated_at))
    return found


def _thinned(worths: Sequence[Worth], interval_seconds: int) -> list[PricePoint]:
    """The last of every interval."""
    last = {worth.updated_at // interval_seconds: worth for worth in worths}
    return [
        PricePoint(datetime.fromtimestamp(worth.updated_at, UTC), worth.amount, NAME)
        for worth in last.values()
    ]


async def _all_of[T](work: Iterable[Coroutine[Any, Any, T]]) -> list[T | UpstreamError]:
    """What each gave, or why it gave nothing: one network does not fail another."""

    async def one(part: Coroutine[Any, Any, T]) -> T | UpstreamError:
        try:
            return await part
        except UpstreamError as error:
            return error

    return await asyncio.gather(*map(one, work))
