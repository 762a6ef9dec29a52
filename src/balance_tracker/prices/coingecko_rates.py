"""What a fiat currency costs, by CoinGecko: bitcoin in dollars for bitcoin in that currency.

CoinGecko gives every coin in many currencies, so the two figures are of one coin and one time.
"""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from balance_tracker.core.amounts import quotient, relative_change
from balance_tracker.core.assets import Asset
from balance_tracker.core.money import fiat_code
from balance_tracker.core.prices import PricePoint, Quote
from balance_tracker.prices.answers import moment, part_of_percent, price

COIN = "bitcoin"
"""The coin that rates are told by."""

_SAME_TIME = timedelta(minutes=5)


def currency_of(asset: Asset) -> str | None:
    """What CoinGecko calls a fiat currency; ``None`` for what is none."""
    code = fiat_code(asset.price_key)
    return code.lower() if code and len(code) == 3 and code.isascii() and code.isalpha() else None


def rate_of(asset: Asset, entry: Any, source: str) -> Quote | None:
    """What one unit of a currency costs in dollars, of the coin's entry; ``None`` where it does not say."""
    currency = currency_of(asset)
    if currency is None or not isinstance(entry, Mapping):
        return None
    dollars, others = price(entry.get("usd")), price(entry.get(currency))
    as_of = moment(entry.get("last_updated_at"))
    if dollars is None or others is None or as_of is None:
        return None
    changes = (part_of_percent(entry.get(f"{money}_24h_change")) for money in ("usd", currency))
    return Quote(
        asset_id=asset.price_key,
        source=source,
        family="aggregator",
        amount=quotient(dollars, others),
        as_of=as_of,
        change_24h=relative_change(*changes),
    )


def rates_of(dollars: Sequence[PricePoint], others: Sequence[PricePoint]) -> list[PricePoint]:
    """The same for two charts of the coin, at the times that both have."""
    ordered = sorted(others, key=lambda point: point.at)
    times = [point.at for point in ordered]
    rates = []
    for point in dollars:
        place = bisect_left(times, point.at)
        near = ordered[max(0, place - 1) : place + 1]
        other = min(near, key=lambda one: abs(one.at - point.at), default=None)
        if other is not None and abs(other.at - point.at) <= _SAME_TIME:
            rates.append(PricePoint(point.at, quotient(point.amount, other.amount), point.source))
    return rates
