"""CoinMarketCap: prices by its ids, 100 to a request. It needs a key: without one it is not asked.

Ids are those of network files, or are found by network and contract (``coinmarketcap_ids.py``), never
by a symbol. An answer with HTTP status 200 may be an error: ``status.error_code`` says so.

Source: https://coinmarketcap.com/api/documentation/v1 (Quotes Latest v2, errors)
Known gaps: no history, which its free plan does not have.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from balance_tracker.core.assets import Asset
from balance_tracker.core.errors import UpstreamError
from balance_tracker.core.ids import Slug
from balance_tracker.core.prices import Interval, PricePoint, Quote, SourceFamily
from balance_tracker.prices.answers import chunks, depth, gathered, part_of_percent, price, written_moment
from balance_tracker.prices.coinmarketcap_ids import CoinMarketCapIds
from balance_tracker.transport.api_host import ApiHost, RequestRefusedError
from balance_tracker.transport.http import HttpClient
from balance_tracker.transport.memory import Memories

NAME = "coinmarketcap"
PUBLIC_URL = "https://pro-api.coinmarketcap.com"
IDS_FILE = "coinmarketcap_ids.json"
"""The ids found, in the data directory."""
IDS_AT_ONCE = 100
"""What costs one credit of the plan."""

_PER_MINUTE = 30
_US_DOLLAR = "2781"
_KEY_REFUSED = range(1001, 1008)
_TOO_FAST = frozenset({1008, 1011, 429})
_ALLOWANCE_SPENT = frozenset({1009, 1010})
_ALLOWANCE_SECONDS = 3_600.0
"""A day's or a month's allowance is spent: asked for again after so long, not before."""


class CoinMarketCap:
    """Asks CoinMarketCap.

    Args:
        host: Where it is asked.
        ids: What it calls assets.
    """

    name = NAME
    family: SourceFamily = "aggregator"

    def __init__(self, host: ApiHost, ids: CoinMarketCapIds) -> None:
        self.host = host
        self._ids = ids

    async def quotes(self, assets: Sequence[Asset], deadline: float) -> Sequence[Quote]:
        """See :meth:`balance_tracker.ports.PriceSource.quotes`."""
        by_id = await self._ids.of(assets, deadline)
        return await gathered(
            [
                self._batch({number: by_id[number] for number in group}, deadline)
                for group in chunks(sorted(by_id), IDS_AT_ONCE)
            ]
        )

    async def quotes_at(self, assets: Sequence[Asset], at: datetime, deadline: float) -> Sequence[Quote]:
        """None: it is not asked for the past."""
        del assets, at, deadline
        return ()

    async def series(
        self, asset: Asset, start: datetime, end: datetime, interval: Interval, deadline: float
    ) -> Sequence[PricePoint]:
        """None: it is not asked for the past."""
        del asset, start, end, interval, deadline
        return ()

    async def _batch(self, by_id: Mapping[int, list[Asset]], deadline: float) -> list[Quote]:
        query = {"id": ",".join(str(number) for number in by_id), "convert": "USD", "skip_invalid": "true"}
        path = "/v2/cryptocurrency/quotes/latest"
        coins = await self.host.get(path, query, read=coins_of, deadline=deadline)
        return [
            quoted
            for number, assets in by_id.items()
            for asset in assets
            if (quoted := quote_of(asset, number, coins.get(str(number)))) is not None
        ]


def open_coinmarketcap(
    http: HttpClient,
    platforms: Mapping[Slug, str],
    data_dir: Path,
    *,
    api_key: str,
    base_url: str | None = None,
    memories: Memories | None = None,
) -> CoinMarketCap:
    """CoinMarketCap as the operator has it.

    Args:
        http: The client that it is asked through.
        platforms: What CoinMarketCap calls each network.
        data_dir: Where the ids found are kept.
        api_key: The operator's.
        base_url: Its root; the public one if not given.
        memories: Where it is kept what the host has shown.
    """
    url = base_url or PUBLIC_URL
    memory = None if memories is None else memories.of(NAME, url)
    headers = {"x-cmc_pro_api_key": api_key}
    host = ApiHost(NAME, url, http, headers=headers, per_minute=_PER_MINUTE, memory=memory, explain=explain)
    return CoinMarketCap(host, CoinMarketCapIds(host, platforms, data_dir / IDS_FILE))


def explain(status: int, document: Any) -> UpstreamError | None:
    """What ``status.error_code`` of an answer means, whatever its HTTP status."""
    said = document.get("status") if isinstance(document, Mapping) else None
    if not isinstance(said, Mapping):
        return None
    number = _code(said.get("error_code"))
    if number == 0 and status == 200:
        return None
    message = f"CoinMarketCap answered with error {number}: {str(said.get('error_message', ''))[:200]}"
    if number in _KEY_REFUSED or status in (401, 402, 403):
        return UpstreamError(message, code="unauthorized", retryable=False)
    if number in _TOO_FAST or number in _ALLOWANCE_SPENT or status == 429:
        wait = _ALLOWANCE_SECONDS if number in _ALLOWANCE_SPENT else None
        return UpstreamError(message, code="rate_limited", retry_after_seconds=wait)
    if status >= 500 or number == 500:
        return UpstreamError(message, code="bad_response")
    return RequestRefusedError(message, status, document)


def coins_of(document: Any) -> Mapping[str, Any]:
    """The coins of an answer, by id.

    Raises:
        UpstreamError: It is none.
    """
    data = document.get("data") if isinstance(document, Mapping) else None
    if not isinstance(data, Mapping):
        raise UpstreamError("CoinMarketCap answered what is no list of prices.", code="bad_response")
    return data


def quote_of(asset: Asset, number: int, coin: Any) -> Quote | None:
    """A quote of one coin's entry; ``None`` if it is another coin's, without a price or without its time."""
    if not isinstance(coin, Mapping) or coin.get("id", number) != number:
        return None
    quotes = coin.get("quote")
    entry = quotes.get("USD", quotes.get(_US_DOLLAR)) if isinstance(quotes, Mapping) else None
    if not isinstance(entry, Mapping):
        return None
    amount, as_of = price(entry.get("price")), written_moment(entry.get("last_updated"))
    if amount is None or as_of is None:
        return None
    return Quote(
        asset_id=asset.price_key,
        source=NAME,
        family="aggregator",
        amount=amount,
        as_of=as_of,
        liquidity=depth(entry.get("volume_24h")),
        change_24h=part_of_percent(entry.get("percent_change_24h")),
    )


def _code(value: object) -> int:
    """An error code, which is sometimes written as text; 400 if it is none."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    text = value if isinstance(value, str) else ""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 400
