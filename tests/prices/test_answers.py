"""What sources share: numbers and times of any document are read or refused, never guessed, never a fault."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.prices.assets import coin

from balance_tracker.core.errors import UpstreamError
from balance_tracker.prices import coingecko, coingecko_errors, coinmarketcap, defillama
from balance_tracker.prices.answers import (
    chunks,
    depth,
    gathered,
    moment,
    part_of_percent,
    price,
    written_moment,
)

NUMBERS = st.one_of(
    st.integers(), st.decimals(allow_nan=True), st.integers(10**90, 10**210), st.just(Decimal("1e999999"))
)
ANYTHING = st.recursive(
    st.one_of(st.none(), st.booleans(), st.text(max_size=30), NUMBERS),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=9), inner, max_size=3)
    ),
    max_leaves=6,
)
FIELDS = {
    **dict.fromkeys(("usd", "last_updated_at", "usd_24h_vol", "usd_24h_change", "price", "timestamp")),
    **dict.fromkeys(("confidence", "last_updated", "volume_24h", "percent_change_24h")),
}


@given(ANYTHING)
def test_any_value_is_a_number_within_bounds_or_nothing(value: Any) -> None:
    for amount in (price(value), depth(value), part_of_percent(value)):
        assert amount is None or (amount.is_finite() and abs(amount.adjusted()) <= 102)
    amount = price(value)
    assert amount is None or (amount > 0 and amount == value)
    for when in (moment(value), moment(value, units_per_second=1000), written_moment(value)):
        assert when is None or 2009 <= when.year <= 2200


@given(st.fixed_dictionaries(dict.fromkeys(FIELDS, ANYTHING)))
def test_any_entry_is_a_whole_quote_or_none(entry: dict[str, Any]) -> None:
    asset = coin("bitcoin")
    quotes = [
        coingecko.quote_of(asset, entry),
        defillama.quote_of(asset, entry),
        coinmarketcap.quote_of(asset, 1, {"id": 1, "quote": {"USD": entry}}),
    ]
    for quote in quotes:
        assert quote is None or (
            quote.amount > 0 and 0 <= quote.confidence <= 1 and quote.as_of.tzinfo is UTC
        )


@given(ANYTHING)
def test_any_document_is_read_or_refused_by_type(document: Any) -> None:
    readers = (coingecko.coins_of, coingecko.points_of, defillama.coins_of, coinmarketcap.coins_of)
    for read in readers:
        try:
            read(document)
        except UpstreamError as error:
            assert error.code == "bad_response"  # noqa: PT017 - either is right
    assert coingecko_errors.explain(200, document) is None or isinstance(document, dict)
    assert coinmarketcap.explain(200, document) is None or isinstance(document, dict)
    assert defillama.points_of(document) is not None


@given(st.lists(st.text(max_size=20), max_size=30), st.integers(1, 7), st.integers(1, 60))
def test_groups_hold_everything_once_in_order_and_within_their_size(
    items: list[str], most: int, longest: int
) -> None:
    groups = list(chunks(items, most, longest))
    assert [item for group in groups for item in group] == items
    for group in groups:
        assert 1 <= len(group) <= most
        assert len(group) == 1 or sum(len(item) + 1 for item in group) <= longest


def test_times_are_read_in_their_units() -> None:
    assert moment(1_782_315_604) == datetime(2026, 6, 24, 15, 40, 4, tzinfo=UTC)
    assert moment(1_782_315_604_250, units_per_second=1000) == datetime(
        2026, 6, 24, 15, 40, 4, 250_000, tzinfo=UTC
    )
    assert moment(1_782_315_604_250) is None
    assert moment(Decimal("0.99")) is None
    assert written_moment("2022-01-13T17:42:00.000Z") == datetime(2022, 1, 13, 17, 42, tzinfo=UTC)
    assert written_moment("2022-01-13T17:42:00") is None


async def test_what_some_requests_answer_stands_though_others_fail() -> None:
    async def good() -> list[int]:
        return [1, 2]

    async def bad() -> list[int]:
        raise UpstreamError("no", code="timed_out")

    assert await gathered([bad(), good()]) == [1, 2]
    assert await gathered([]) == []
    with pytest.raises(UpstreamError, match="no"):
        await gathered([bad(), bad()])
