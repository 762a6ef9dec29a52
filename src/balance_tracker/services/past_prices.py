"""Prices of a past time: decided from what sources say of it, by the rule of current prices.

What was true then does not change: a price is kept as long as there is room, and has no age.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from balance_tracker.core.assets import Asset
from balance_tracker.core.ids import AssetId
from balance_tracker.core.prices import Currency, Interval, Price, PricePoint, Quote
from balance_tracker.core.screening import Rules
from balance_tracker.ports import PriceSource
from balance_tracker.services.price_round import SOURCE_SECONDS
from balance_tracker.services.pricing import PriceService

MOST_MOMENTS = 32
MOST_ASSETS_OF_A_MOMENT = 2000

NEAR_AFTER = timedelta(hours=4)
"""How far after a time what a source says of it may lie: the nearest point it keeps may come later."""

_RULES = Rules(future_tolerance=NEAR_AFTER)
_KEPT_SECONDS = 3600.0


class AtTime:
    """A source as it would have answered at a past time; implements ``PriceSource``."""

    def __init__(self, source: PriceSource, at: datetime) -> None:
        self.name = source.name
        self.family = source.family
        self._source = source
        self._at = at

    async def quotes(self, assets: Sequence[Asset], deadline: float) -> Sequence[Quote]:
        """Quotes of that time; see :class:`balance_tracker.ports.PriceSource`."""
        return await self._source.quotes_at(assets, self._at, deadline)

    async def quotes_at(self, assets: Sequence[Asset], at: datetime, deadline: float) -> Sequence[Quote]:
        """Quotes of any time; see :class:`balance_tracker.ports.PriceSource`."""
        return await self._source.quotes_at(assets, at, deadline)

    async def series(
        self, asset: Asset, start: datetime, end: datetime, interval: Interval, deadline: float
    ) -> Sequence[PricePoint]:
        """Points of any time; see :class:`balance_tracker.ports.PriceSource`."""
        return await self._source.series(asset, start, end, interval, deadline)


class PastPrices:
    """Answers what assets were worth at a time.

    Args:
        sources: All asked at once; those that keep no history say nothing.
        source_seconds: What one source may take.
        most_moments: Of how many times the prices are kept.
        priced_as: Assets by id whose price others have; sources are asked for those.
        clock: Seconds that never go backwards.
    """

    def __init__(
        self,
        sources: Sequence[PriceSource],
        *,
        source_seconds: float = SOURCE_SECONDS,
        most_moments: int = MOST_MOMENTS,
        priced_as: Mapping[AssetId, Asset] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._sources = tuple(sources)
        self._source_seconds = source_seconds
        self._most_moments = most_moments
        self._priced_as = dict(priced_as or {})
        self._clock = clock
        self._moments: OrderedDict[datetime, PriceService] = OrderedDict()

    async def prices(
        self, assets: Sequence[Asset], at: datetime, currency: Currency, deadline: float
    ) -> dict[AssetId, Price]:
        """Prices of a time by ``price_key``; an asset without a known price is left out.

        Args:
            assets: What to price; several may have one price.
            at: The time, UTC.
            currency: What prices are told in, by the rate of that time.
            deadline: The loop's time (``asyncio`` clock, seconds) by which it answers with what it has.
        """
        found = await self._moment(at).prices(assets, currency, deadline)
        return {key: replace(price, age_seconds=0, stale=False) for key, price in found.items()}

    def fresh_for(self, assets: Sequence[Asset], at: datetime, currency: Currency) -> float | None:
        """Seconds for which these prices stand; see :meth:`PriceService.fresh_for`."""
        return self._moment(at).fresh_for(assets, currency)

    async def close(self) -> None:
        """End what is under way."""
        for moment in self._moments.values():
            await moment.close()

    def _moment(self, at: datetime) -> PriceService:
        at = at.replace(microsecond=0)
        if at not in self._moments:
            self._moments[at] = PriceService(
                [AtTime(source, at) for source in self._sources],
                ttl_seconds=_KEPT_SECONDS,
                source_seconds=self._source_seconds,
                most_assets=MOST_ASSETS_OF_A_MOMENT,
                priced_as=self._priced_as,
                rules=_RULES,
                clock=self._clock,
                now=lambda: at,
            )
        self._moments.move_to_end(at)
        self._make_room()
        return self._moments[at]

    def _make_room(self) -> None:
        """The times unused longest go, but for those with a question under way."""
        spare = len(self._moments) - self._most_moments
        for at in list(self._moments)[: max(0, spare)]:
            if self._moments[at].idle:
                del self._moments[at]
