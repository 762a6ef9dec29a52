"""What another process decided stands for as long as this one would let it stand."""

from dataclasses import replace
from decimal import Decimal

import pytest
from tests.fakes.readers import ETHEREUM
from tests.fakes.service import NOW, Clock

from balance_tracker.core.assets import native_asset
from balance_tracker.core.prices import Price, PriceStatus
from balance_tracker.services.price_shelf import UNKNOWN_FOR_TTLS, PriceShelf, Told

KEY = native_asset(ETHEREUM).price_key
PRICE = Price(KEY, "usd", Decimal(3000), NOW, ("one",), Decimal(0), Decimal(1), PriceStatus.AGREED)


@pytest.mark.parametrize(
    ("price", "theirs", "fresh_for"),
    [(PRICE, 3600, 10), (PRICE, 5, 5), (None, 3600, 10 * UNKNOWN_FOR_TTLS)],
)
def test_a_process_that_wants_newer_prices_asks_when_it_would(
    price: Price | None, theirs: float, fresh_for: float
) -> None:
    shelf = PriceShelf(10, Clock())

    assert shelf.adopt(KEY, Told(price, 0, 0, theirs, None, 0, 0), age_seconds=0)

    assert shelf.fresh_for(KEY) == fresh_for


@pytest.mark.parametrize("price", [None, replace(PRICE, amount=Decimal(2000), stale=True)])
def test_a_process_that_got_no_price_takes_none_from_the_others(price: Price | None) -> None:
    clock = Clock()
    shelf = PriceShelf(300, clock)
    shelf.decided(KEY, PRICE)
    clock.now += 301

    shelf.adopt(KEY, Told(price, 1000, 0, 3600, None, 0, 0), age_seconds=0)

    assert shelf.price(KEY) == replace(PRICE, stale=True, age_seconds=301)
    clock.now += 31
    assert shelf.state(KEY) == "due"


def test_a_newer_price_of_another_process_is_taken_though_it_is_stale() -> None:
    clock = Clock()
    shelf = PriceShelf(300, clock)
    shelf.decided(KEY, PRICE)
    clock.now += 500
    newer = replace(PRICE, amount=Decimal(2000), stale=True)

    shelf.adopt(KEY, Told(newer, 400, 0, 30, None, 0, 0), age_seconds=0)

    assert shelf.price(KEY) == replace(newer, age_seconds=400)
