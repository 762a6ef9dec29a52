"""Which quotes are not used, and the reason given."""

from datetime import timedelta
from decimal import Decimal

import pytest
from tests.core.quotes import NOW, quote

from balance_tracker.core.prices import Quote
from balance_tracker.core.screening import RULES, DropReason, Rules, screen

HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (quote("NaN"), DropReason.NOT_FINITE),
        (quote("sNaN"), DropReason.NOT_FINITE),
        (quote("Infinity"), DropReason.NOT_FINITE),
        (quote("0"), DropReason.NOT_POSITIVE),
        (quote("-0"), DropReason.NOT_POSITIVE),
        (quote("-1850"), DropReason.NOT_POSITIVE),
        (quote("1E+13"), DropReason.ABSURD),
        (quote("1E-31"), DropReason.ABSURD),
        (quote("1E-999999"), DropReason.ABSURD),
        (quote("1", age=24 * HOUR + timedelta(seconds=1)), DropReason.TOO_OLD),
        (quote("1", "oracle", age=24 * HOUR + timedelta(seconds=1)), DropReason.TOO_OLD),
        (quote("1", "pool", age=HOUR + timedelta(seconds=1)), DropReason.TOO_OLD),
        (quote("1", age=timedelta(minutes=-6)), DropReason.FROM_FUTURE),
        (quote("1", confidence=Decimal("0.49")), DropReason.LOW_CONFIDENCE),
        (quote("1", confidence=Decimal("NaN")), DropReason.LOW_CONFIDENCE),
        (quote("1", "pool", liquidity=None), DropReason.NO_LIQUIDITY),
        (quote("1", "pool", liquidity=Decimal(99_999)), DropReason.NO_LIQUIDITY),
        (quote("1", "pool", liquidity=Decimal("NaN")), DropReason.NO_LIQUIDITY),
        (quote("0", "fixed"), DropReason.NOT_POSITIVE),
    ],
)
def test_what_can_not_be_a_price_is_dropped_with_its_reason(bad: Quote, reason: DropReason) -> None:
    usable, dropped = screen([bad], NOW)
    assert usable == []
    assert [one.reason for one in dropped] == [reason]
    assert dropped[0].quote is bad


@pytest.mark.parametrize(
    "good",
    [
        quote("1850.25"),
        quote("1E-20"),
        quote("1", age=24 * HOUR),
        quote("1", "pool", age=HOUR),
        quote("1", age=timedelta(minutes=-5)),
        quote("1", confidence=Decimal("0.5")),
        quote("1", "pool", liquidity=Decimal(100_000)),
        quote("1", "fixed", age=1000 * HOUR, confidence=Decimal(0)),
    ],
)
def test_what_is_just_within_the_limits_is_used(good: Quote) -> None:
    assert screen([good], NOW) == ([good], [])


def test_no_setting_makes_a_quote_of_yesterday_current() -> None:
    rules = Rules(max_age={**RULES.max_age, "aggregator": 72 * HOUR})
    assert screen([quote("1", age=25 * HOUR)], NOW, rules)[1][0].reason == DropReason.TOO_OLD


def test_a_source_has_one_voice_however_often_it_speaks() -> None:
    deep = quote("1.01", "pool", "twap", liquidity=Decimal(9_000_000), age=HOUR / 2)
    newer = quote("1.02", "pool", "twap", liquidity=Decimal(200_000))
    usable, dropped = screen([newer, deep, newer], NOW)
    assert usable == [deep]
    assert [one.reason for one in dropped] == [DropReason.REPEATED] * 2


def test_the_word_of_the_operator_beats_all_others() -> None:
    word = quote("1", "fixed")
    usable, dropped = screen([quote("3", "oracle"), quote("2", "aggregator"), word], NOW)
    assert usable == [word]
    assert [one.reason for one in dropped] == [DropReason.OVERRULED] * 2
