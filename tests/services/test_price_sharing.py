"""What another process decided stands for as long as this one would let it stand."""

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
