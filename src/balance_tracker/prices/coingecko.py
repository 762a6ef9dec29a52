"""CoinGecko: prices of coins by its ids, and of tokens by their contract.

An asset whose id is known goes by it, 150 to a request; another goes by its contract, one network to
a request, as far as that leaves it at one request per 100 assets (or one more than the ids take): what
is left over comes first the next time. Without a key CoinGecko takes few contracts to a request and
says how many, which is learnt. Fiat currencies are told by bitcoin's price in them, in the same request.

A quote without ``last_updated_at`` is none: it is asked for, and a number of no known age may be a
year old.

Source: https://docs.coingecko.com/reference (Simple Price, Token Price, Market Chart Range)
Known gaps: history costs a request per asset, so a past time is asked for a few assets only.
"""

import asyncio
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Literal
from urllib.parse import quote, urlsplit

from balance_tracker.core.assets import Asset
from balance_tracker.core.errors import UpstreamError
from balance_tracker.core.ids import Slug
from balance_tracker.core.prices import Interval, PricePoint, Quote, SourceFamily
from balance_tracker.prices.answers import (
    at_interval,
    chunks,
    depth,
    gathered,
    moment,
    part_of_percent,
    price,
    seconds_of,
)
from balance_tracker.prices.coingecko_errors import (
    WrongHostError,
    contracts_allowed,
    explain,
    is_over_the_plan,
)
from balance_tracker.prices.coingecko_rates import COIN, currency_of, rate_of, rates_of
from balance_tracker.transport.api_host import ApiHost, RequestRefusedError
from balance_tracker.transport.http import HttpClient
from balance_tracker.transport.memory import DAY_SECONDS, Memories

NAME = "coingecko"
PUBLIC_URL = "https://api.coingecko.com/api/v3"
PRO_URL = "https://pro-api.coingecko.com/api/v3"
IDS_AT_ONCE = 150
CONTRACTS_AT_ONCE = 100
PAST_ASSETS = 5
"""How many assets a past time is asked for: each takes a request."""
NEAR = timedelta(hours=12)
"""How long before a past time a point may be; spans of a day are answered by the hour."""
NEAR_AFTER = timedelta(hours=4)
"""How long after it, where there is none before."""

_LONGEST_LIST = 5_000
_PER_MINUTE: Mapping[str, int] = {"keyless": 5, "demo": 30, "pro": 250}
_CONTRACTS = "contracts_at_once"
_ID = re.compile(r"[^\s,/?#&%]{1,100}")

Plan = Literal["keyless", "demo", "pro"]


class CoinGecko:
    """Asks CoinGecko.

    Args:
        hosts: Where it is asked; the second is taken when the first says that the key belongs there.
        platforms: What CoinGecko calls each network.
    """

    name = NAME
    family: SourceFamily = "aggregator"

    def __init__(self, hosts: Sequence[ApiHost], platforms: Mapping[Slug, str]) -> None:
        self._hosts = list(hosts)
        self._platforms = dict(platforms)
        self._rounds: dict[str, int] = {}

    @property
    def host(self) -> ApiHost:
        """The host in use."""
        return self._hosts[0]

    async def quotes(self, assets: Sequence[Asset], deadline: float) -> Sequence[Quote]:
        """See :meth:`balance_tracker.ports.PriceSource.quotes`."""
        by_id, by_contract = self._parted(assets)
        if any(currency_of(asset) for asset in assets):
            by_id.setdefault(COIN, [])
        ids = list(chunks(by_id, IDS_AT_ONCE, _LONGEST_LIST))
        places = max(1, -(-len(assets) // CONTRACTS_AT_ONCE) - len(ids))
        return await gathered(
            [
                *(self._of_ids({one: by_id[one] for one in group}, assets, deadline) for group in ids),
                *(
                    self._of_contracts(platform, group, deadline)
                    for platform, group in self._in_turn(by_contract, places)
                ),
            ]
        )

    async def quotes_at(self, assets: Sequence[Asset], at: datetime, deadline: float) -> Sequence[Quote]:
        """See :meth:`balance_tracker.ports.PriceSource.quotes_at`; for the first few assets only."""
        asked = [asset for asset in assets if self._history_path(asset)][:PAST_ASSETS]
        return await gathered([self._quote_at(asset, at, deadline) for asset in asked])

    async def series(
        self, asset: Asset, start: datetime, end: datetime, interval: Interval, deadline: float
    ) -> Sequence[PricePoint]:
        """See :meth:`balance_tracker.ports.PriceSource.series`.

        CoinGecko chooses the distance of points by the length of the span: 5 minutes for the last day,
        an hour up to 90 days, a day above.
        """
        points = await self._chart(asset, start, end, deadline)
        return at_interval(points, start, end, interval)

    def _parted(self, assets: Sequence[Asset]) -> tuple[dict[str, list[Asset]], dict[str, list[Asset]]]:
        """Assets by id, and the others by platform."""
        by_id: dict[str, list[Asset]] = {}
        by_contract: dict[str, list[Asset]] = {}
        for asset in assets:
            coin = _coin_id(asset)
            platform = self._platforms.get(asset.network)
            if coin:
                by_id.setdefault(coin, []).append(asset)
            elif platform and asset.contract_address:
                by_contract.setdefault(platform, []).append(asset)
        return by_id, by_contract

    def _in_turn(self, by_contract: Mapping[str, list[Asset]], places: int) -> list[tuple[str, list[Asset]]]:
        """The groups that are asked this time: those that were asked the fewest times, then the largest."""
        at_once = min(CONTRACTS_AT_ONCE, self.host.memory.number(_CONTRACTS) or CONTRACTS_AT_ONCE)
        order = sorted(by_contract, key=lambda one: (self._rounds.get(one, 0), -len(by_contract[one])))
        groups: list[tuple[str, list[Asset]]] = []
        for platform in order:
            held = by_contract[platform]
            start = self._rounds.get(platform, 0) * at_once % len(held)
            turned = held[start:] + held[:start]
            for group in chunks(turned, at_once):
                if len(groups) < places:
                    groups.append((platform, group))
                    self._rounds[platform] = self._rounds.get(platform, 0) + 1
        return groups

    async def _of_ids(
        self, by_id: Mapping[str, list[Asset]], assets: Sequence[Asset], deadline: float
    ) -> list[Quote]:
        """Quotes of coins, and of the currencies among ``assets`` where the coin that tells them is there."""
        told = [(asset, currency) for asset in assets if (currency := currency_of(asset)) and COIN in by_id]
        query = {"ids": ",".join(by_id), **_WANTED}
        query["vs_currencies"] = ",".join(["usd", *sorted({currency for _, currency in told})])
        coins = await self._get("/simple/price", query, coins_of, deadline)
        quotes = [quote_of(asset, coins.get(coin)) for coin, held in by_id.items() for asset in held]
        quotes += [rate_of(asset, coins.get(COIN), NAME) for asset, _ in told]
        return [quoted for quoted in quotes if quoted is not None]

    async def _of_contracts(self, platform: str, assets: list[Asset], deadline: float) -> list[Quote]:
        by_address = {str(asset.contract_address): asset for asset in assets}
        path = f"/simple/token_price/{quote(platform, safe='')}"
        try:
            query = {"contract_addresses": ",".join(by_address), **_WANTED}
            coins = await self._get(path, query, coins_of, deadline)
        except RequestRefusedError as error:
            allowed = contracts_allowed(error)
            if not allowed or allowed >= len(assets):
                raise
            self.host.memory.put(_CONTRACTS, allowed, DAY_SECONDS)
            return await self._of_contracts(platform, assets[:allowed], deadline)
        folded = {address.lower(): coin for address, coin in coins.items()}
        return [
            quoted
            for address, asset in by_address.items()
            if (quoted := quote_of(asset, coins.get(address, folded.get(address.lower())))) is not None
        ]

    async def _quote_at(self, asset: Asset, at: datetime, deadline: float) -> list[Quote]:
        points = await self._chart(asset, at - NEAR, at + NEAR_AFTER, deadline)
        near = [point for point in points if at - NEAR <= point.at <= at + NEAR_AFTER]
        if not near:
            return []
        point = min(near, key=lambda point: (point.at > at, abs(point.at - at)))
        return [Quote(asset.price_key, NAME, self.family, point.amount, point.at)]

    async def _chart(self, asset: Asset, start: datetime, end: datetime, deadline: float) -> list[PricePoint]:
        """Points of an asset in dollars, of a currency by two charts of the coin that tells it."""
        path = self._history_path(asset)
        currency = currency_of(asset)
        if path is None or end <= start:
            return []
        if currency is None:
            return await self._chart_in("usd", path, start, end, deadline)
        dollars, others = await asyncio.gather(
            *(self._chart_in(money, path, start, end, deadline) for money in ("usd", currency))
        )
        return rates_of(dollars, others)

    async def _chart_in(
        self, currency: str, path: str, start: datetime, end: datetime, deadline: float
    ) -> list[PricePoint]:
        query = {
            "vs_currency": currency,
            "from": str(seconds_of(start)),
            "to": str(seconds_of(end)),
            "precision": "full",
        }
        try:
            return await self._get(f"{path}/market_chart/range", query, points_of, deadline)
        except RequestRefusedError as error:
            if error.status == 404 or is_over_the_plan(error):  # it knows no such asset, or no such past
                return []
            raise

    def _history_path(self, asset: Asset) -> str | None:
        coin = COIN if currency_of(asset) else _coin_id(asset)
        platform = self._platforms.get(asset.network)
        if coin:
            return f"/coins/{quote(coin, safe='')}"
        if platform and asset.contract_address:
            return f"/coins/{quote(platform, safe='')}/contract/{asset.contract_address}"
        return None

    async def _get[T](
        self, path: str, query: Mapping[str, str], read: Callable[[Any], T], deadline: float
    ) -> T:
        host = self.host
        try:
            return await host.get(path, query, read=read, deadline=deadline)
        except WrongHostError:
            if host is self._hosts[-1]:
                raise
        if host is self.host:  # of several requests under way, the first to learn it
            del self._hosts[0]
        return await self.host.get(path, query, read=read, deadline=deadline)


_WANTED = {
    "vs_currencies": "usd",
    "include_last_updated_at": "true",
    "include_24hr_change": "true",
    "include_24hr_vol": "true",
    "precision": "full",
}


def open_coingecko(
    http: HttpClient,
    platforms: Mapping[Slug, str],
    *,
    api_key: str | None = None,
    base_url: str | None = None,
    memories: Memories | None = None,
) -> CoinGecko:
    """CoinGecko as the operator has it.

    Args:
        http: The client that it is asked through.
        platforms: What CoinGecko calls each network.
        api_key: The operator's; ``None`` asks without one.
        base_url: With the path, to ``/api/v3``; the public host of the key's plan if not given. Demo
            and pro keys look alike: the demo host says which it is.
        memories: Where it is kept what the hosts have shown.
    """

    def host(url: str, plan: Plan, headers: Mapping[str, str]) -> ApiHost:
        memory = None if memories is None else memories.of(NAME, url)
        return ApiHost(
            NAME,
            url,
            http,
            headers=headers,
            per_minute=_PER_MINUTE[plan],
            memory=memory,
            explain=explain,
        )

    demo, pro = ({f"x-cg-{plan}-api-key": api_key} if api_key else {} for plan in ("demo", "pro"))
    known = urlsplit(base_url).hostname if base_url else None
    if base_url and known == urlsplit(PRO_URL).hostname:
        return CoinGecko([host(base_url, "pro", pro)], platforms)
    if base_url and known != urlsplit(PUBLIC_URL).hostname:
        # The operator's own: which plan stands behind it is not known, and it shows its rate.
        return CoinGecko([host(base_url, "demo", {**demo, **pro})], platforms)
    if not api_key:
        return CoinGecko([host(base_url or PUBLIC_URL, "keyless", {})], platforms)
    hosts = [host(base_url or PUBLIC_URL, "demo", demo)]
    return CoinGecko(hosts if base_url else [*hosts, host(PRO_URL, "pro", pro)], platforms)


def quote_of(asset: Asset, entry: Any) -> Quote | None:
    """A quote of one coin's entry; ``None`` without a price above zero or without its time."""
    if not isinstance(entry, Mapping):
        return None
    amount = price(entry.get("usd"))
    as_of = moment(entry.get("last_updated_at"))
    if amount is None or as_of is None:
        return None
    return Quote(
        asset_id=asset.price_key,
        source=NAME,
        family="aggregator",
        amount=amount,
        as_of=as_of,
        confidence=Decimal(1),
        liquidity=depth(entry.get("usd_24h_vol")),
        change_24h=part_of_percent(entry.get("usd_24h_change")),
    )


def points_of(document: Any) -> list[PricePoint]:
    """The points of a market chart; times are in milliseconds."""
    rows = document.get("prices") if isinstance(document, Mapping) else None
    if not isinstance(rows, list):
        raise UpstreamError("CoinGecko answered what is no chart.", code="bad_response")
    points = []
    for row in rows:
        if isinstance(row, list) and len(row) == 2:
            at, amount = moment(row[0], units_per_second=1000), price(row[1])
            if at is not None and amount is not None:
                points.append(PricePoint(at, amount, NAME))
    return points


def coins_of(document: Any) -> Mapping[str, Any]:
    """The coins of an answer; one that is null is left out.

    Raises:
        UpstreamError: It is none: a coin has an object of numbers.
    """
    if isinstance(document, Mapping):
        coins = {name: coin for name, coin in document.items() if coin is not None}
        if all(isinstance(coin, Mapping) for coin in coins.values()):
            return coins
    raise UpstreamError("CoinGecko answered what is no list of prices.", code="bad_response")


def _coin_id(asset: Asset) -> str | None:
    coin = asset.price_ids.get("coingecko")
    return coin if coin and _ID.fullmatch(coin) else None
