"""No source decides alone, whatever it claims to be."""

from collections import defaultdict
from datetime import timedelta
from decimal import Decimal

from hypothesis import given
from tests.core.quotes import NOW, quote, usable_quotes

from balance_tracker.core.prices import Quote
from balance_tracker.core.screening import RULES
from balance_tracker.core.weighing import STEPS, freshness, weigh, weighted_median


@given(usable_quotes(at_least=3, at_most=9))
def test_of_three_sources_none_has_half_of_the_weight(quotes: list[Quote]) -> None:
    weights = weigh(quotes, NOW, RULES)
    assert all(2 * weight < sum(weights.values()) for weight in weights.values())
    assert all(weight > 0 for weight in weights.values())


@given(usable_quotes(at_least=3, at_most=9))
def test_of_three_families_none_has_half_of_the_weight(quotes: list[Quote]) -> None:
    weights = weigh(quotes, NOW, RULES)
    families: dict[str, int] = defaultdict(int)
    for one in quotes:
        families[one.family] += weights[one.source]
    if len(families) >= 3:
        assert all(2 * weight < sum(weights.values()) for weight in families.values())


def test_ten_sources_of_one_family_count_as_one() -> None:
    quotes = [quote("1", source=f"copy-{number}") for number in range(10)]
    quotes += [quote("2", "oracle"), quote("2", "pool")]
    weights = weigh(quotes, NOW, RULES)
    assert sum(weights[f"copy-{number}"] for number in range(10)) == weights["oracle"] == weights["pool"]


def test_two_aggregators_and_an_oracle_are_three_voices_of_which_any_two_win() -> None:
    quotes = [quote("1", source="a"), quote("2", source="b"), quote("3", "oracle")]
    weights = weigh(quotes, NOW, RULES)
    assert 10 * weights["oracle"] == 9 * (weights["a"] + weights["b"])
    assert weights["a"] == weights["b"] < weights["oracle"]
    assert weights["a"] + weights["b"] > weights["oracle"]


def test_a_fresh_and_sure_quote_weighs_more_and_less_than_twice() -> None:
    old_and_unsure = quote("1", source="old", age=timedelta(hours=24), confidence=Decimal("0.5"))
    quotes = [quote("1", source="new"), quote("1", source="also-new"), old_and_unsure]
    weights = weigh(quotes, NOW, RULES)
    assert weights["new"] * 10 == weights["old"] * 19


def test_of_two_the_fresh_one_decides_over_the_one_that_is_not() -> None:
    fresh, old = quote("3", source="new"), quote("1", source="old", age=timedelta(hours=2))
    assert weigh([fresh, old], NOW, RULES) == {"new": 1, "old": 0}
    both_old = [quote("3", source="new", age=timedelta(hours=3)), old]
    assert weigh(both_old, NOW, RULES) == {"new": 1, "old": 1}


def test_freshness_falls_evenly_after_its_time() -> None:
    half_way = timedelta(minutes=45)
    assert freshness(quote("1", "pool", age=timedelta(minutes=30)), NOW, RULES) == STEPS
    assert freshness(quote("1", "pool", age=half_way), NOW, RULES) == STEPS // 2
    assert freshness(quote("1", "oracle", age=timedelta(hours=23)), NOW, RULES) == STEPS


def test_where_two_halves_weigh_the_same_the_lower_counts() -> None:
    quotes = [quote("3", source="a"), quote("1", source="b"), quote("2", source="c"), quote("4", source="d")]
    equal = dict.fromkeys("abcd", 1)
    assert weighted_median(quotes, equal, lambda one: one.amount) == 2
