"""What holdings are worth: their assets priced together, and each amount by its price.

Spam is never priced, so that nothing that was sent to be noticed adds to a total.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal

from balance_tracker.core.amounts import decimal_or_none, value_change, value_of
from balance_tracker.core.assets import Asset
from balance_tracker.core.ids import AssetId
from balance_tracker.core.portfolio import Balance, Holding
from balance_tracker.core.prices import Currency, Price
from balance_tracker.services.past_prices import PastPrices
from balance_tracker.services.pricing import PriceService
from balance_tracker.telemetry.logging import get_logger

SECONDS_FOR_PRICES = 4.0
"""What is kept of the deadline for prices: networks that take longer are waited for meanwhile."""

_PART_FOR_PRICES = 3

NO_VALUE_NOTE = (
    "The mint shows another amount than it holds, and no source says which of the two its price is for."
)

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Priced:
    """Prices by ``price_key`` and how long they stand; ``None`` where none were asked for."""

    prices: Mapping[AssetId, Price] = field(default_factory=dict)
    good_for_seconds: float | None = None


class Valuation:
    """Prices the assets of an answer.

    Args:
        current: Prices of now.
        past: Prices of a time.
    """

    def __init__(self, current: PriceService, past: PastPrices) -> None:
        self._current = current
        self._past = past

    async def priced(
        self, assets: Sequence[Asset], at: datetime | None, currency: Currency, deadline: float
    ) -> Priced:
        """Prices of assets, of a time or of now; whatever breaks here, balances are answered.

        Args:
            assets: Several may have one price.
            at: The time, UTC; ``None`` for now.
            currency: What prices are told in.
            deadline: The loop's time by which it answers with what it has.
        """
        try:
            if at is None:
                prices = await self._current.prices(assets, currency, deadline)
                return Priced(prices, self._current.fresh_for(assets, currency))
            prices = await self._past.prices(assets, at, currency, deadline)
            return Priced(prices, self._past.fresh_for(assets, at, currency))
        except Exception as error:  # noqa: BLE001 - the edge of prices, which harm no balance
            _log.exception("pricing_broke", exc_info=error)
            return Priced(good_for_seconds=0.0)


def lead_seconds(left: float) -> float:
    """How long before the end of what is left prices are begun without the networks still missing."""
    return min(SECONDS_FOR_PRICES, left / _PART_FOR_PRICES)


def valued(balance: Balance, priced: Priced) -> Holding:
    """A balance with its price and its value; what is not known of them is ``None``.

    Of a mint that shows another amount than it holds (a multiplier, interest) nobody says which of the two
    a price is for, so it has a price and no value, unless the operator set the price.
    """
    asset = balance.asset
    price = None if asset.trust == "spam" else priced.prices.get(asset.price_key)
    if price is None:
        return Holding(balance)
    if shows_another_amount(balance) and not any(quote.family == "fixed" for quote in price.quotes):
        return Holding(replace(balance, asset=replace(asset, note=_joined(asset.note))), None, price)
    value = value_of(balance.raw_amount, asset.decimals, price.amount)
    return Holding(balance, value, price, value_change(value, price.change_24h))


def shows_another_amount(balance: Balance) -> bool:
    """Whether a mint displays something else than the raw amount in whole units."""
    shown = None if balance.ui_amount is None else decimal_or_none(balance.ui_amount)
    return balance.ui_amount is not None and (shown is None or shown != balance.amount)


def _joined(note: str | None) -> str:
    return f"{note} {NO_VALUE_NOTE}" if note else NO_VALUE_NOTE


def by_value(holdings: Iterable[Holding]) -> list[Holding]:
    """The most valuable first, those without a known value last; otherwise as they were."""
    return sorted(holdings, key=_order)


def _order(holding: Holding) -> tuple[bool, Decimal]:
    return (holding.value is None, Decimal(0) if holding.value is None else -holding.value)
