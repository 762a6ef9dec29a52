"""Prices in other moneys."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from tests.core.quotes import NOW, quote

from balance_tracker.core.currencies import convert
from balance_tracker.core.decision import decide
from balance_tracker.core.ids import AssetId
from balance_tracker.core.prices import Price, PriceStatus, Quote

EUR = AssetId("iso4217:eur")


def decided(*quotes: Quote) -> Price:
    price = decide(quotes, NOW)
    assert price is not None
    return price


ETHER = decided(
    quote("2202.2", change_24h=Decimal("0.10")), quote("2200", "oracle", change_24h=Decimal("0.10"))
)
EURO = decided(
    quote("1.10", source="rates", asset_id=EUR, age=timedelta(hours=3), change_24h=Decimal("0.10"))
)


def test_dollars_become_euros_by_the_price_of_a_euro() -> None:
    price = convert(ETHER, EURO, "eur")
    assert (price.asset_id, price.currency, price.amount) == (ETHER.asset_id, "eur", Decimal(2000))


def test_a_converted_price_is_as_old_and_as_unsure_as_both_together() -> None:
    price = convert(ETHER, EURO, "eur")
    assert price.as_of == EURO.as_of < ETHER.as_of
    assert price.sources == ("aggregator", "oracle", "rates")
    assert price.spread == ETHER.spread + EURO.spread == Decimal("0.001")
    assert price.status is PriceStatus.SINGLE
    assert price.confidence == round(ETHER.confidence * EURO.confidence, 4)
    assert {one.asset_id for one in price.quotes} == {ETHER.asset_id, EUR}


def test_the_change_of_a_day_is_that_of_the_other_money() -> None:
    assert convert(ETHER, EURO, "eur").change_24h == 0
    unknown = decided(quote("1.10", asset_id=EUR))
    assert convert(ETHER, unknown, "eur").change_24h is None


def test_what_never_ends_has_eighteen_digits() -> None:
    third = convert(decided(quote("1")), decided(quote("3", asset_id=EUR)), "eur")
    assert third.amount == Decimal("0.333333333333333333")


def test_a_coin_is_one_of_itself() -> None:
    price = convert(ETHER, ETHER, "eth")
    assert (price.amount, price.spread, price.change_24h, price.currency) == (1, 0, 0, "eth")


def test_moneys_are_not_mixed_up() -> None:
    with pytest.raises(ValueError, match="eur"):
        convert(ETHER, convert(ETHER, EURO, "eur"), "eth")


@pytest.mark.parametrize("change", ["-0." + "9" * 34, "1E+99", "-1", "NaN", "0." + "0" * 60 + "1"])
def test_no_day_s_change_however_absurd_stops_a_conversion(change: str) -> None:
    odd = decided(quote("2200", change_24h=Decimal(change)))
    odd = replace(odd, change_24h=Decimal(change))
    for price, by in ((odd, EURO), (ETHER, replace(odd, asset_id=EUR))):
        converted = convert(price, by, "eur").change_24h
        assert converted is None or abs(converted) < 10
