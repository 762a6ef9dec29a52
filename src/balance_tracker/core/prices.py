"""What sources say of an asset's price, and what we make of it: plain values.

A quote is one source's word; a price is what was decided from quotes, in one currency,
with everything needed to judge it. The rule of the decision is in ``core/decision.py``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from types import MappingProxyType
from typing import Literal

from balance_tracker.core.ids import AssetId

SourceFamily = Literal["aggregator", "oracle", "pool", "fixed"]
"""Who a source gets its numbers from; sources of one family are no second opinion of each other."""

Currency = Literal["usd", "eur", "gbp", "jpy", "chf", "btc", "eth"]
CURRENCIES: tuple[Currency, ...] = ("usd", "eur", "gbp", "jpy", "chf", "btc", "eth")

Interval = Literal["5m", "1h", "1d"]


class PriceStatus(StrEnum):
    """How sure a price is."""

    AGREED = "agreed"
    """Sources of at least two families agree."""
    SINGLE = "single"
    """One family only."""
    DISPUTED = "disputed"
    """Sources differ by more than the threshold; all are shown."""
    SUSPECT = "suspect"
    """It jumped, and no second family confirms it: the last price before is given."""


@dataclass(frozen=True, slots=True)
class Quote:
    """What one source said of one asset, in US dollars per whole unit.

    Attributes:
        source: Its name, for example ``coingecko``.
        as_of: When it was true by the source's own word, UTC.
        confidence: 0 to 1, as the source tells it, or what we give the source where it does not.
        liquidity: US dollars behind it (a pool's depth, a day's volume); ``None`` where not told.
        change_24h: Part by which the price rose within a day (``0.01``: one percent); ``None`` if not told.
        block_number: The block it was read at, for what is read on chain.
    """

    asset_id: AssetId
    source: str
    family: SourceFamily
    amount: Decimal
    as_of: datetime
    confidence: Decimal = Decimal(1)
    liquidity: Decimal | None = None
    change_24h: Decimal | None = None
    block_number: int | None = None


@dataclass(frozen=True, slots=True)
class DroppedQuote:
    """A quote that was not used, and why (``too_old``, ``low_confidence``, ``no_liquidity``, …)."""

    quote: Quote
    reason: str


@dataclass(frozen=True, slots=True)
class Price:
    """What was decided for one asset.

    Attributes:
        amount: Per whole unit, in ``currency``.
        as_of: The oldest quote used.
        sources: Those whose quotes were used.
        spread: (highest - lowest quote used) / price.
        confidence: 0 to 1.
        quotes: The quotes used, in US dollars.
        dropped: The others.
        stale: Whether it is the last one before all sources failed.
        age_seconds: How long ago it was decided.
    """

    asset_id: AssetId
    currency: str
    amount: Decimal
    as_of: datetime
    sources: tuple[str, ...]
    spread: Decimal
    confidence: Decimal
    status: PriceStatus
    quotes: tuple[Quote, ...] = ()
    dropped: tuple[DroppedQuote, ...] = field(default=(), compare=False)
    change_24h: Decimal | None = None
    stale: bool = False
    age_seconds: float = 0


@dataclass(frozen=True, slots=True)
class PricePoint:
    """One point of a series: what the price was at a time, by which source."""

    at: datetime
    amount: Decimal
    source: str


INTERVAL_SECONDS: Mapping[Interval, int] = MappingProxyType({"5m": 300, "1h": 3600, "1d": 86_400})
"""How far apart the points of a series are."""


@dataclass(frozen=True, slots=True)
class Span:
    """A part of time, from ``start`` up to and without ``end``, in seconds of the Unix epoch."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class PriceSeries:
    """What is known of one asset's past at one interval, in US dollars.

    Attributes:
        points: In the order of time, at most one within each interval.
        fetched: What sources were asked for and answered, in order and apart from each other;
            where it holds no points, nobody had any.
        fetched_at: When they were last asked, in seconds of the Unix epoch.
    """

    points: tuple[PricePoint, ...] = ()
    fetched: tuple[Span, ...] = ()
    fetched_at: int = 0
