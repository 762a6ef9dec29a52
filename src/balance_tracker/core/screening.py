"""Which quotes may take part in a decision, and why the others may not.

The limits are the fields of ``Rules``; the decision itself is in ``core/decision.py``.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from types import MappingProxyType

from balance_tracker.core.prices import DroppedQuote, Quote, SourceFamily

LONGEST_AGE = timedelta(hours=24)
"""A quote that is older is not current, whatever the rules."""

_MAX_AGE: Mapping[SourceFamily, timedelta] = MappingProxyType(
    {"aggregator": LONGEST_AGE, "oracle": LONGEST_AGE, "pool": timedelta(hours=1)}
)
_FRESH_FOR: Mapping[SourceFamily, timedelta] = MappingProxyType(
    {"aggregator": timedelta(minutes=30), "oracle": LONGEST_AGE, "pool": timedelta(minutes=30)}
)


@dataclass(frozen=True, slots=True)
class Rules:
    """Every threshold of the decision.

    Attributes:
        max_age: By family, how old a quote may be; never over 24 hours.
        fresh_for: By family, for how long a quote counts in full; its weight falls from then to
            ``max_age``. A feed that writes only when its price moves is fresh as long as it is current.
        future_tolerance: How far ahead of ours a source's clock may be.
        confidence_floor: A source's own confidence below which its quote is not used.
        liquidity_floor: US dollars a pool needs; a pool that does not tell its depth has none.
        lowest: US dollars per whole unit below which nothing is a price.
        highest: The same for above.
        dispute_threshold: Part by which two quotes may differ and still agree (``0.03``: 3 %).
        jump_limit: Part by which a price may rise against the last one (``0.5``: to one and a half
            times, or down to two thirds) on the word of one family.
        hold_for: For how long the last price stands in for a jump that nobody confirms.
    """

    max_age: Mapping[SourceFamily, timedelta] = field(default_factory=lambda: _MAX_AGE)
    fresh_for: Mapping[SourceFamily, timedelta] = field(default_factory=lambda: _FRESH_FOR)
    future_tolerance: timedelta = timedelta(minutes=5)
    confidence_floor: Decimal = Decimal("0.5")
    liquidity_floor: Decimal = Decimal(100_000)
    lowest: Decimal = Decimal("1E-30")
    highest: Decimal = Decimal("1E+12")
    dispute_threshold: Decimal = Decimal("0.03")
    jump_limit: Decimal = Decimal("0.5")
    hold_for: timedelta = timedelta(hours=2)


RULES = Rules()


class DropReason(StrEnum):
    """Why a quote was not used."""

    NOT_FINITE = "not_finite"
    NOT_POSITIVE = "not_positive"
    ABSURD = "absurd"
    """Outside of what anything costs: a scale gone wrong."""
    TOO_OLD = "too_old"
    FROM_FUTURE = "from_future"
    LOW_CONFIDENCE = "low_confidence"
    NO_LIQUIDITY = "no_liquidity"
    REPEATED = "repeated"
    """The same source said something else too; it has one voice."""
    OVERRULED = "overruled"
    """The operator set the price."""
    OUTLIER = "outlier"
    """The others agree without it. It had its vote, and lost."""
    UNCONFIRMED_JUMP = "unconfirmed_jump"
    """Far from the last price, and one family says so: see ``suspect``."""


def screen(
    quotes: Iterable[Quote], now: datetime, rules: Rules = RULES
) -> tuple[list[Quote], list[DroppedQuote]]:
    """Part quotes of one asset into the usable, one per source by name, and the others.

    Where the operator's own price (family ``fixed``) is among the usable, it is the only one.
    """
    kept: dict[str, Quote] = {}
    dropped: list[DroppedQuote] = []
    for quote in sorted(quotes, key=lambda quote: _first(quote, now)):
        reason = _reason(quote, now, rules)
        if reason is None and quote.source in kept:
            reason = DropReason.REPEATED
        if reason is None:
            kept[quote.source] = quote
        else:
            dropped.append(DroppedQuote(quote, reason))
    usable = [quote for _, quote in sorted(kept.items())]
    fixed = [quote for quote in usable if quote.family == "fixed"]
    if not fixed:
        return usable, dropped
    overruled = [DroppedQuote(quote, DropReason.OVERRULED) for quote in usable if quote.family != "fixed"]
    return fixed, dropped + overruled


def _first(quote: Quote, now: datetime) -> tuple[str, bool, Decimal, timedelta, Decimal, Decimal]:
    """Of several quotes of a source the first is used: deepest, newest, surest, lowest."""
    return (
        quote.source,
        quote.family != "fixed",
        _finite(quote.liquidity).copy_negate(),
        now - quote.as_of,
        _finite(quote.confidence).copy_negate(),
        _finite(quote.amount),
    )


def _finite(number: Decimal | None) -> Decimal:
    return number if number is not None and number.is_finite() else Decimal(0)


def _reason(quote: Quote, now: datetime, rules: Rules) -> DropReason | None:
    """The first reason against a quote; the operator's word is held to be a price, and no more."""
    reason = _reason_of_amount(quote.amount, rules)
    if reason is None and quote.family != "fixed":
        reason = _reason_of_source(quote, now, rules)
    return reason


def _reason_of_amount(amount: Decimal, rules: Rules) -> DropReason | None:
    if not amount.is_finite():
        return DropReason.NOT_FINITE
    if amount <= 0:
        return DropReason.NOT_POSITIVE
    return None if rules.lowest <= amount <= rules.highest else DropReason.ABSURD


def _reason_of_source(quote: Quote, now: datetime, rules: Rules) -> DropReason | None:
    age = now - quote.as_of
    if age > min(rules.max_age[quote.family], LONGEST_AGE):
        return DropReason.TOO_OLD
    if age < -rules.future_tolerance:
        return DropReason.FROM_FUTURE
    if not quote.confidence.is_finite() or quote.confidence < rules.confidence_floor:
        return DropReason.LOW_CONFIDENCE
    if quote.family == "pool" and not _finite(quote.liquidity) >= rules.liquidity_floor:
        return DropReason.NO_LIQUIDITY
    return None
