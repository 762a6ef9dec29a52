"""DefiLlama coins: prices of tokens by network and address, now and in the past, without a key.

Tokens are asked as ``network:address``, coins as ``coingecko:id``. It leaves out what it does not
know, and echoes names as they were asked. It tells its own confidence for prices of now and mostly
not for those of the past. LP tokens and vault shares are in it too, and can be far off with a high
confidence: that is for the decision between sources.

Source: https://api-docs.defillama.com (coins)
"""

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any
from urllib.parse import quote

from balance_tracker.core.assets import Asset
from balance_tracker.core.errors import UpstreamError
from balance_tracker.core.ids import Slug
from balance_tracker.core.prices import INTERVAL_SECONDS, Interval, PricePoint, Quote, SourceFamily
from balance_tracker.prices.answers import at_interval, chunks, gathered, moment, number, price, seconds_of
from balance_tracker.transport.api_host import ApiHost
from balance_tracker.transport.http import HttpClient
from balance_tracker.transport.memory import Memories

NAME = "defillama"
PUBLIC_URL = "https://coins.llama.fi"
COINS_AT_ONCE = 125
SEARCH_WIDTH = "4h"
"""How far from the time asked a price may be."""
UNTOLD_CONFIDENCE = Decimal("0.9")
"""What a price has whose confidence it does not tell, which is usual in history."""
POINTS_AT_ONCE = 500
MOST_POINTS = 5_000

_LONGEST_LIST = 6_800
_PER_MINUTE = 250


class DefiLlama:
    """Asks DefiLlama.

    Args:
        host: Where it is asked.
        chains: What DefiLlama calls each network.
    """

    name = NAME
    family: SourceFamily = "aggregator"

    def __init__(self, host: ApiHost, chains: Mapping[Slug, str]) -> None:
        self.host = host
        self._chains = dict(chains)

    async def quotes(self, assets: Sequence[Asset], deadline: float) -> Sequence[Quote]:
        """See :meth:`balance_tracker.ports.PriceSource.quotes`."""
        return await self._quotes("/prices/current", assets, deadline)

    async def quotes_at(self, assets: Sequence[Asset], at: datetime, deadline: float) -> Sequence[Quote]:
        """See :meth:`balance_tracker.ports.PriceSource.quotes_at`."""
        return await self._quotes(f"/prices/historical/{seconds_of(at)}", assets, deadline)

    async def series(
        self, asset: Asset, start: datetime, end: datetime, interval: Interval, deadline: float
    ) -> Sequence[PricePoint]:
        """See :meth:`balance_tracker.ports.PriceSource.series`; the latest 5,000 points at most."""
        coin = self._coin(asset)
        if coin is None or end < start:
            return []
        step = INTERVAL_SECONDS[interval]
        first, last = seconds_of(start), seconds_of(end)
        first = max(first, last - step * (MOST_POINTS - 1))
        points = await gathered(
            [
                self._chart(coin, begin, min(POINTS_AT_ONCE, (last - begin) // step + 1), interval, deadline)
                for begin in range(first, last + 1, step * POINTS_AT_ONCE)
            ]
        )
        return at_interval(points, start, end, interval)

    async def _quotes(self, path: str, assets: Sequence[Asset], deadline: float) -> list[Quote]:
        by_coin: dict[str, list[Asset]] = {}
        for asset in assets:
            coin = self._coin(asset)
            if coin is not None:
                by_coin.setdefault(coin, []).append(asset)
        return await gathered(
            [
                self._batch(path, {coin: by_coin[coin] for coin in group}, deadline)
                for group in chunks(by_coin, COINS_AT_ONCE, _LONGEST_LIST)
            ]
        )

    async def _batch(self, path: str, by_coin: Mapping[str, list[Asset]], deadline: float) -> list[Quote]:
        wanted = quote(",".join(by_coin), safe=":,")
        query = {"searchWidth": SEARCH_WIDTH}
        coins = await self.host.get(f"{path}/{wanted}", query, read=coins_of, deadline=deadline)
        folded = {coin.lower(): entry for coin, entry in coins.items() if ":0x" in coin.lower()}
        return [
            quoted
            for coin, assets in by_coin.items()
            for asset in assets
            if (quoted := quote_of(asset, coins.get(coin, folded.get(coin.lower())))) is not None
        ]

    async def _chart(
        self, coin: str, start: int, span: int, interval: Interval, deadline: float
    ) -> list[PricePoint]:
        query = {"start": str(start), "span": str(span), "period": interval, "searchWidth": _width(interval)}
        path = f"/chart/{quote(coin, safe=':')}"
        coins = await self.host.get(path, query, read=coins_of, deadline=deadline)
        entry = coins.get(coin, next(iter(coins.values()), None) if len(coins) == 1 else None)
        return points_of(entry)

    def _coin(self, asset: Asset) -> str | None:
        """What it calls an asset; ``None`` if it can't know it."""
        chain = self._chains.get(asset.network)
        if chain and asset.contract_address:
            return f"{chain}:{asset.contract_address}"
        coin = asset.price_ids.get("coingecko")
        usable = coin and not any(sign in coin for sign in ",/?#% ")
        return f"coingecko:{coin}" if usable else None


def open_defillama(
    http: HttpClient,
    chains: Mapping[Slug, str],
    *,
    base_url: str | None = None,
    memories: Memories | None = None,
) -> DefiLlama:
    """DefiLlama as the operator has it.

    Args:
        http: The client that it is asked through.
        chains: What DefiLlama calls each network.
        base_url: Its root, in which a key may be part of the path; the public one if not given.
        memories: Where it is kept what the host has shown.
    """
    url = base_url or PUBLIC_URL
    memory = None if memories is None else memories.of(NAME, url)
    return DefiLlama(ApiHost(NAME, url, http, per_minute=_PER_MINUTE, memory=memory), chains)


def coins_of(document: Any) -> Mapping[str, Any]:
    """The coins of an answer.

    Raises:
        UpstreamError: It is none.
    """
    coins = document.get("coins") if isinstance(document, Mapping) else None
    if not isinstance(coins, Mapping):
        raise UpstreamError("DefiLlama answered what is no list of prices.", code="bad_response")
    return coins


def quote_of(asset: Asset, entry: Any) -> Quote | None:
    """A quote of one coin's entry; ``None`` without a price above zero, or without its time."""
    if not isinstance(entry, Mapping):
        return None
    amount, as_of = price(entry.get("price")), moment(entry.get("timestamp"))
    confidence = confidence_of(entry.get("confidence"))
    if amount is None or as_of is None or confidence is None:
        return None
    return Quote(asset.price_key, NAME, "aggregator", amount, as_of, confidence)


def confidence_of(value: object) -> Decimal | None:
    """Its confidence from 0 to 1; ``None`` for what is none, which is not the same as not told."""
    if value is None:
        return UNTOLD_CONFIDENCE
    told = number(value)
    return told if told is not None and 0 <= told <= 1 else None


def points_of(entry: Any) -> list[PricePoint]:
    """The points of one coin's chart; none where it is not known."""
    rows = entry.get("prices") if isinstance(entry, Mapping) else None
    points = []
    for row in rows if isinstance(rows, list) else ():
        if isinstance(row, Mapping):
            at, amount = moment(row.get("timestamp")), price(row.get("price"))
            if at is not None and amount is not None:
                points.append(PricePoint(at, amount, NAME))
    return points


def _width(interval: Interval) -> str:
    """Half of the distance of two points, so that none stands for its neighbour."""
    return str(math.ceil(INTERVAL_SECONDS[interval] / 2))
