"""A price in another money: money for money, by prices decided in the same way."""

from dataclasses import replace
from decimal import Context, Decimal

from balance_tracker.core.amounts import exact_sum, quotient, relative_change
from balance_tracker.core.prices import Currency, Price, PriceStatus

_WORST_LAST = (PriceStatus.AGREED, PriceStatus.SINGLE, PriceStatus.DISPUTED, PriceStatus.SUSPECT)
_EXACT = Context(prec=400)
_CONFIDENCE_UNIT = Decimal("0.0001")


def convert(price: Price, rate_price: Price, currency: Currency) -> Price:
    """Give a price in another currency, by what one unit of that currency costs in the same money.

    The answer is as old as the older of both, names the sources and quotes of both, has the less
    sure status, the product of the confidences and the sum of the spreads.

    Args:
        price: Of the asset, usually in US dollars.
        rate_price: Of one unit of ``currency``, in the same money as ``price``.
        currency: The one to give it in.

    Raises:
        ValueError: The two are in different moneys, or the rate is not above zero.
    """
    if price.currency != rate_price.currency:
        raise ValueError(f"{price.currency} can't be divided by a rate in {rate_price.currency}")
    if price.asset_id == rate_price.asset_id:
        return replace(price, currency=currency, amount=Decimal(1), spread=Decimal(0), change_24h=Decimal(0))
    return replace(
        price,
        currency=currency,
        amount=quotient(price.amount, rate_price.amount),
        as_of=min(price.as_of, rate_price.as_of),
        sources=tuple(dict.fromkeys((*price.sources, *rate_price.sources))),
        spread=exact_sum((price.spread, rate_price.spread)),
        confidence=_EXACT.multiply(price.confidence, rate_price.confidence).quantize(
            _CONFIDENCE_UNIT, context=_EXACT
        ),
        status=max(price.status, rate_price.status, key=_WORST_LAST.index),
        quotes=(*price.quotes, *rate_price.quotes),
        dropped=(*price.dropped, *rate_price.dropped),
        change_24h=relative_change(price.change_24h, rate_price.change_24h),
        stale=price.stale or rate_price.stale,
        age_seconds=max(price.age_seconds, rate_price.age_seconds),
    )
