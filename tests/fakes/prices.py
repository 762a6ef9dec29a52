"""Price sources that say what they are told to, and count how they are asked; implement ``PriceSource``."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from tests.fakes.service import NOW

from balance_tracker.core.assets import Asset
from balance_tracker.core.ids import AssetId
from balance_tracker.core.prices import INTERVAL_SECONDS, Interval, PricePoint, Quote, SourceFamily

type Amounts = dict[str, str]


@dataclass
class ScriptedSource:
    """Knows the amounts it is given, by asset id.

    Attributes:
        past: The same for any past time.
        points: By asset id, what a series has.
        per_request: How many assets one request of it takes.
        requests_allowed: How many requests it may still make; what is left over is not answered.
    """

    name: str = "coingecko"
    family: SourceFamily = "aggregator"
    amounts: Amounts = field(default_factory=dict)
    past: Amounts = field(default_factory=dict)
    points: Mapping[str, Sequence[PricePoint]] = field(default_factory=dict)
    changes: Amounts = field(default_factory=dict)
    as_of: datetime = NOW
    error: Exception | None = None
    delay_seconds: float = 0.0
    per_request: int = 1000
    requests_allowed: int = 1000
    asked: list[tuple[AssetId, ...]] = field(default_factory=list)
    spans: list[tuple[datetime, datetime]] = field(default_factory=list)
    requests: int = 0
    under_way: int = 0
    most_under_way: int = 0
    ended: int = 0

    async def quotes(self, assets: Sequence[Asset], deadline: float) -> Sequence[Quote]:
        self.asked.append(tuple(asset.price_key for asset in assets))
        await self._take_time()
        reached = self._requested(assets)
        return [self._quote(asset, self.amounts, self.as_of) for asset in reached if self._knows(asset)]

    async def quotes_at(self, assets: Sequence[Asset], at: datetime, deadline: float) -> Sequence[Quote]:
        self.asked.append(tuple(asset.price_key for asset in assets))
        await self._take_time()
        known = [asset for asset in assets if asset.price_key in self.past]
        return [self._quote(asset, self.past, at) for asset in known]

    async def series(
        self, asset: Asset, start: datetime, end: datetime, interval: Interval, deadline: float
    ) -> Sequence[PricePoint]:
        self.asked.append((asset.price_key,))
        self.spans.append((start, end))
        await self._take_time()
        return [point for point in self.points.get(asset.price_key, ()) if start <= point.at < end]

    def _knows(self, asset: Asset) -> bool:
        return asset.price_key in self.amounts

    def _requested(self, assets: Sequence[Asset]) -> Sequence[Asset]:
        """The assets of the requests that may be made."""
        wanted = -(-len(assets) // self.per_request)
        made = min(wanted, self.requests_allowed)
        self.requests += made
        self.requests_allowed -= made
        return assets[: made * self.per_request]

    async def _take_time(self) -> None:
        self.under_way += 1
        self.most_under_way = max(self.under_way, self.most_under_way)
        try:
            await asyncio.sleep(self.delay_seconds)
        finally:
            self.under_way -= 1
            self.ended += 1
        if self.error:
            raise self.error

    def _quote(self, asset: Asset, amounts: Amounts, as_of: datetime) -> Quote:
        key = asset.price_key
        change = self.changes.get(key)
        return Quote(
            key,
            self.name,
            self.family,
            Decimal(amounts[key]),
            as_of,
            change_24h=None if change is None else Decimal(change),
            liquidity=Decimal(10**7),
        )


def points(
    source: str, start: datetime, count: int, interval: Interval = "1h", first: int = 100
) -> list[PricePoint]:
    """So many points in a row, each one dollar above the one before."""
    step = timedelta(seconds=INTERVAL_SECONDS[interval])
    return [PricePoint(start + step * place, Decimal(first + place), source) for place in range(count)]
