"""Quotes to try the decision on: one asset, one time, and strategies for the rest."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from balance_tracker.core.ids import AssetId
from balance_tracker.core.prices import Quote, SourceFamily

ASSET = AssetId("eip155:1/slip44:60")
NOW = datetime(2026, 11, 22, 5, tzinfo=UTC)
FAMILIES: tuple[SourceFamily, ...] = ("aggregator", "oracle", "pool")


def quote(
    amount: str | Decimal,
    family: SourceFamily = "aggregator",
    source: str | None = None,
    *,
    age: timedelta = timedelta(0),
    **other: Any,
) -> Quote:
    """A usable quote, unless told otherwise."""
    if family == "pool":
        other.setdefault("liquidity", Decimal(5_000_000))
    return Quote(
        asset_id=other.pop("asset_id", ASSET),
        source=source or family,
        family=family,
        amount=Decimal(amount),
        as_of=NOW - age,
        **other,
    )


amounts = st.one_of(
    st.integers(1, 300).map(Decimal),
    st.decimals(Decimal("1E-15"), Decimal("1E+10"), allow_nan=False, places=15).filter(lambda one: one > 0),
)
confidences = st.integers(5_000, 10_000).map(lambda one: Decimal(one).scaleb(-4))


@st.composite
def usable_quotes(draw: st.DrawFn, at_least: int = 1, at_most: int = 7) -> list[Quote]:
    """Quotes of different sources, each of which is usable."""
    count = draw(st.integers(at_least, at_most))
    return [draw(one_usable(f"source-{number}")) for number in range(count)]


@st.composite
def one_usable(draw: st.DrawFn, source: str) -> Quote:
    family = draw(st.sampled_from(FAMILIES))
    limit_seconds = 3600 if family == "pool" else 24 * 3600
    return quote(
        draw(amounts),
        family,
        source,
        age=timedelta(seconds=draw(st.integers(-300, limit_seconds))),
        confidence=draw(confidences),
        change_24h=draw(st.none() | st.integers(-99, 400).map(lambda percent: Decimal(percent).scaleb(-2))),
    )


@st.composite
def lies(draw: st.DrawFn, source: str) -> Quote:
    """Whatever a source may say, of whatever family: numbers of any kind, any time, any confidence."""
    family = draw(st.sampled_from(FAMILIES))
    return Quote(
        asset_id=ASSET,
        source=source,
        family=family,
        amount=draw(amounts | st.decimals() | st.integers(-40, 40).map(lambda k: Decimal(1).scaleb(k))),
        as_of=NOW - timedelta(seconds=draw(st.integers(-100_000, 100_000))),
        confidence=draw(confidences | st.decimals()),
        liquidity=draw(st.none() | st.decimals()),
        change_24h=draw(st.none() | st.decimals()),
    )
