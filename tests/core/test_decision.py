"""The rule by which quotes become a price: by hand, and by trying to break it."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.core.quotes import ASSET, NOW, amounts, lies, one_usable, quote, usable_quotes

from balance_tracker.core.decision import decide
from balance_tracker.core.ids import AssetId
from balance_tracker.core.prices import Price, PriceStatus, Quote, SourceFamily
from balance_tracker.core.screening import Rules

HOUR = timedelta(hours=1)


def decided(*quotes: Quote, last: Price | None = None) -> Price:
    price = decide(quotes, NOW, last)
    assert price is not None
    return price


def reasons(price: Price) -> dict[str, str]:
    return {one.quote.source: one.reason for one in price.dropped}


def earlier(amount: str, *families: SourceFamily, age: timedelta = timedelta(minutes=10)) -> Price:
    """A price as it was decided some time ago."""
    quotes = [quote(amount, family, age=age) for family in families or ("aggregator",)]
    price = decide(quotes, NOW - age)
    assert price is not None
    return replace(price, age_seconds=age.total_seconds())


def test_without_a_usable_quote_the_price_is_not_known() -> None:
    assert decide([], NOW) is None
    assert decide([quote("0"), quote("NaN", "oracle")], NOW) is None
    assert decide([quote("1", age=25 * HOUR)], NOW, earlier("1")) is None


def test_one_source_is_taken_at_its_word_and_marked() -> None:
    price = decided(quote("1850.25", age=HOUR / 4, change_24h=Decimal("0.01")))
    assert (price.amount, price.status, price.spread) == (Decimal("1850.25"), PriceStatus.SINGLE, 0)
    assert price.confidence == Decimal("0.8")
    assert price.as_of == NOW - HOUR / 4
    assert (price.sources, price.currency, price.change_24h) == (("aggregator",), "usd", Decimal("0.01"))


def test_two_families_that_agree_give_the_lower_and_say_how_far_apart_they_are() -> None:
    price = decided(quote("1002"), quote("1000", "oracle", age=20 * HOUR))
    assert (price.amount, price.status) == (Decimal(1000), PriceStatus.AGREED)
    assert price.spread == Decimal("0.002")
    assert price.confidence == Decimal("0.998")
    assert price.as_of == NOW - 20 * HOUR
    assert price.sources == ("aggregator", "oracle")


def test_two_sources_of_one_family_are_no_second_opinion_of_each_other() -> None:
    price = decided(quote("1002", source="a"), quote("1000", source="b"))
    assert price.status is PriceStatus.SINGLE
    assert price.amount == 1000


def test_two_that_disagree_are_both_shown_and_the_lower_is_given() -> None:
    price = decided(quote("104"), quote("100", "oracle"))
    assert (price.amount, price.status) == (Decimal(100), PriceStatus.DISPUTED)
    assert price.spread == Decimal("0.04")
    assert {one.amount for one in price.quotes} == {Decimal(104), Decimal(100)}
    assert price.dropped == ()


def test_of_two_that_disagree_the_fresh_one_is_given() -> None:
    price = decided(quote("130", source="new"), quote("100", source="old", age=5 * HOUR))
    assert (price.amount, price.status) == (Decimal(130), PriceStatus.DISPUTED)


def test_the_threshold_itself_is_still_agreement() -> None:
    assert decided(quote("103"), quote("100", "oracle")).status is PriceStatus.AGREED
    assert decided(quote("103.0001"), quote("100", "oracle")).status is PriceStatus.DISPUTED


@pytest.mark.parametrize("lie", ["0.0000001", "50", "200", "1000000000"])
@pytest.mark.parametrize("liar", ["a", "b", "oracle"])
def test_among_two_aggregators_and_an_oracle_no_liar_moves_the_price(lie: str, liar: str) -> None:
    honest = [quote("100", source="a"), quote("101", source="b"), quote("100.5", "oracle")]
    quotes = [replace(one, amount=Decimal(lie)) if one.source == liar else one for one in honest]
    price = decided(*quotes)
    others = [one.amount for one in honest if one.source != liar]
    assert min(others) <= price.amount <= max(others)


@pytest.mark.parametrize("lie", ["0.0000001", "1000000000"])
def test_among_three_aggregators_a_liar_is_left_out(lie: str) -> None:
    price = decided(quote("100", source="a"), quote("101", source="b"), quote(lie, source="c"))
    assert Decimal(100) <= price.amount <= 101
    assert (price.status, price.sources) == (PriceStatus.SINGLE, ("a", "b"))
    assert reasons(price) == {"c": "outlier"}
    assert price.spread < Decimal("0.011")


def test_a_whole_family_of_liars_does_not_lift_the_price_above_what_two_others_say() -> None:
    copies = [quote("500", source=f"copy-{number}") for number in range(5)]
    price = decided(*copies, quote("100", "oracle"), quote("101", "pool"))
    assert (price.amount, price.status) == (Decimal(101), PriceStatus.DISPUTED)
    assert len(price.quotes) == 7


def test_two_families_of_liars_do_not_lift_the_price_above_what_most_sources_say() -> None:
    honest = [quote("100", source="a"), quote("101", source="b"), quote("102", source="c")]
    price = decided(*honest, quote("500", "oracle"), quote("500", "pool"))
    assert (price.amount, price.status) == (Decimal(102), PriceStatus.DISPUTED)


def test_a_family_that_stands_alone_against_another_is_heard() -> None:
    price = decided(quote("100", source="a"), quote("101", source="b"), quote("80", "oracle"))
    assert price.status is PriceStatus.DISPUTED
    assert price.sources == ("a", "b", "oracle")
    assert price.amount == 100


def test_the_word_of_the_operator_is_the_price() -> None:
    price = decided(quote("1", "fixed", "fixed", age=900 * HOUR), quote("3"), quote("3", "oracle"))
    assert (price.amount, price.confidence, price.status) == (Decimal(1), Decimal(1), PriceStatus.SINGLE)
    assert set(reasons(price).values()) == {"overruled"}
    assert decided(quote("1", "fixed"), last=earlier("3000")).amount == 1


def test_a_jump_that_one_family_tells_is_held() -> None:
    last = earlier("100", "aggregator", "oracle")
    price = decided(quote("13146300", source="a", confidence=Decimal("0.98")), last=last)
    assert (price.amount, price.status) == (Decimal(100), PriceStatus.SUSPECT)
    assert (price.as_of, price.quotes) == (last.as_of, last.quotes)
    assert price.confidence == last.confidence / 2
    assert reasons(price) == {"a": "unconfirmed_jump"}
    again = decided(quote("13146300", source="a"), last=price)
    assert again.confidence == price.confidence


def test_two_sources_of_one_family_do_not_confirm_a_jump_against_an_agreed_price() -> None:
    last = earlier("100", "aggregator", "oracle")
    price = decided(quote("160", source="a"), quote("160", source="b"), last=last)
    assert price.status is PriceStatus.SUSPECT


def test_a_source_that_changes_its_own_mind_confirms_nothing() -> None:
    assert decided(quote("160"), last=earlier("100")).status is PriceStatus.SUSPECT


def test_what_one_source_said_first_is_no_shield_against_others() -> None:
    liar = earlier("1000", "oracle")
    honest = [quote("100", source="a"), quote("101", source="b")]
    price = decided(*honest, quote("1000", "oracle"), last=liar)
    assert (price.amount, price.status) == (Decimal(101), PriceStatus.DISPUTED)
    assert decided(*honest, last=liar).amount == 100
    against_one = decided(quote("100", source="a"), quote("1000", "oracle"), last=liar)
    assert (against_one.amount, against_one.status) == (Decimal(100), PriceStatus.DISPUTED)


def test_a_price_of_two_sources_of_a_family_is_held_against_one_other() -> None:
    quotes = [quote("100", source=name, age=timedelta(minutes=10)) for name in ("a", "b")]
    last = decide(quotes, NOW)
    assert last is not None
    assert decided(quote("1000", source="c"), last=last).status is PriceStatus.SUSPECT
    others = [quote("1000", source=name) for name in ("c", "d")]
    assert decided(*others, last=last).amount == 1000


@pytest.mark.parametrize("amounts", [("160", "155"), ("60", "62"), ("1", "1.01"), ("151", "149")])
def test_a_second_family_confirms_a_jump(amounts: tuple[str, str]) -> None:
    price = decided(quote(amounts[0]), quote(amounts[1], "oracle"), last=earlier("100"))
    assert price.amount == min(map(Decimal, amounts))
    assert price.status in {PriceStatus.AGREED, PriceStatus.DISPUTED}


def test_a_second_family_that_sees_no_jump_does_not_confirm_it() -> None:
    price = decided(quote("0.0001"), quote("101", "oracle"), last=earlier("100"))
    assert (price.amount, price.status) == (Decimal(100), PriceStatus.SUSPECT)


@pytest.mark.parametrize(("amount", "status"), [("150", "single"), ("151", "suspect"), ("66.7", "single")])
def test_a_move_within_the_limit_is_no_jump(amount: str, status: str) -> None:
    assert decided(quote(amount), last=earlier("100")).status == status


def test_a_jump_is_held_only_as_long_as_the_last_price_is_recent() -> None:
    assert decided(quote("300"), last=earlier("100", age=2 * HOUR)).status is PriceStatus.SUSPECT
    price = decided(quote("300"), last=earlier("100", age=2 * HOUR + timedelta(seconds=1)))
    assert (price.amount, price.status) == (Decimal(300), PriceStatus.DISPUTED)


def anchored(amount: str, last: Price, anchor: Price) -> Price:
    price = decide([quote(amount)], NOW, last, anchor=anchor)
    assert price is not None
    return price


def test_a_jump_that_was_held_in_its_time_is_disputed_as_long_as_the_anchor_counts() -> None:
    anchor = earlier("100", "aggregator", "oracle", age=3 * HOUR)
    price = anchored("301", earlier("300"), anchor)
    assert (price.amount, price.status) == (Decimal(301), PriceStatus.DISPUTED)
    assert anchored("120", earlier("120"), anchor).status is PriceStatus.SINGLE
    confirmed = decide([quote("301"), quote("302", "oracle")], NOW, earlier("300"), anchor=anchor)
    assert confirmed is not None
    assert confirmed.status is PriceStatus.AGREED


def test_many_small_steps_are_a_jump_too() -> None:
    anchor = earlier("100", "aggregator", "oracle", age=HOUR)
    held = anchored("200", earlier("149"), anchor)
    assert (held.amount, held.status) == (Decimal(149), PriceStatus.SUSPECT)


def rate(*quotes: Quote) -> Price:
    price = decide(quotes, NOW, as_rate=True)
    assert price is not None
    return price


def test_of_two_rates_the_higher_counts_since_it_gives_the_lower_value() -> None:
    price = rate(quote("0.000001"), quote("1.10", "oracle"))
    assert (price.amount, price.status) == (Decimal("1.10"), PriceStatus.DISPUTED)
    assert rate(quote("1.10"), quote("1.11", "oracle")).amount == Decimal("1.11")
    old = quote("1.10", source="old", age=2 * HOUR)
    assert rate(quote("0.000001", source="new"), old).amount == Decimal("1.10")


@given(usable_quotes(at_least=3), st.data())
def test_whatever_one_of_three_says_a_rate_stays_within_what_the_others_say(
    quotes: list[Quote], data: st.DataObject
) -> None:
    liar = data.draw(st.sampled_from(quotes))
    honest = [one for one in quotes if one is not liar]
    price = rate(*honest, data.draw(lies(liar.source)))
    assert min(one.amount for one in honest) <= price.amount <= max(one.amount for one in honest)


@given(usable_quotes(at_least=3), st.data())
def test_no_minority_of_sources_lowers_a_rate_below_what_the_others_say(
    quotes: list[Quote], data: st.DataObject
) -> None:
    count = data.draw(st.integers(1, (len(quotes) - 1) // 2))
    liars = data.draw(st.permutations(quotes))[:count]
    honest = [one for one in quotes if one not in liars]
    told = [replace(one, amount=data.draw(amounts)) for one in liars]
    assert rate(*honest, *told).amount >= min(one.amount for one in honest)


def test_a_last_price_of_an_old_reading_is_held_too_but_none_of_yesterday() -> None:
    feed = decide([quote("100", "oracle", age=20 * HOUR)], NOW)
    assert feed is not None
    assert decided(quote("300", "oracle"), last=feed).status is PriceStatus.SUSPECT
    yesterday = replace(feed, quotes=(), as_of=NOW - 25 * HOUR)
    assert decided(quote("300", "oracle"), last=yesterday).amount == 300


def test_the_change_of_a_day_is_voted_on_like_the_price() -> None:
    changes = {"a": "0.02", "b": "0.021", "c": "9000"}
    quotes = [quote("100", source=name, change_24h=Decimal(change)) for name, change in changes.items()]
    assert decided(*quotes).change_24h == Decimal("0.021")
    assert decided(quotes[0], quotes[2]).change_24h == Decimal("0.02")
    assert decided(replace(quotes[0], change_24h=Decimal("NaN"))).change_24h is None
    assert decided(quote("100")).change_24h is None


def test_quotes_of_different_assets_or_a_last_price_in_euros_are_a_mistake() -> None:
    other = quote("1", asset_id=AssetId("eip155:1/slip44:61"))
    with pytest.raises(ValueError, match="one asset"):
        decide([quote("1"), other], NOW)
    with pytest.raises(ValueError, match="eur"):
        decide([quote("1")], NOW, replace(earlier("1"), currency="eur"))


def test_the_thresholds_can_be_set() -> None:
    strict = Rules(dispute_threshold=Decimal("0.001"), jump_limit=Decimal("0.01"))
    quotes = [quote("1002"), quote("1000", "oracle")]
    price = decide(quotes, NOW, None, strict)
    assert price is not None
    assert price.status is PriceStatus.DISPUTED
    held = decide([quote("102")], NOW, earlier("100"), strict)
    assert held is not None
    assert held.status is PriceStatus.SUSPECT


@given(usable_quotes(at_least=3), st.data())
def test_whatever_one_of_three_says_the_price_stays_within_what_the_others_say(
    quotes: list[Quote], data: st.DataObject
) -> None:
    liar = data.draw(st.sampled_from(quotes))
    honest = [one for one in quotes if one is not liar]
    price = decide([*honest, data.draw(lies(liar.source))], NOW)
    assert price is not None
    assert min(one.amount for one in honest) <= price.amount <= max(one.amount for one in honest)


@given(usable_quotes(at_least=3), st.data())
def test_no_minority_of_sources_lifts_the_price_above_what_the_others_say(
    quotes: list[Quote], data: st.DataObject
) -> None:
    count = data.draw(st.integers(1, (len(quotes) - 1) // 2))
    liars = data.draw(st.permutations(quotes))[:count]
    honest = [one for one in quotes if one not in liars]
    told = [replace(one, amount=data.draw(amounts)) for one in liars]
    price = decide([*honest, *told], NOW)
    assert price is not None
    assert price.amount <= max(one.amount for one in honest)


@given(usable_quotes(at_least=3), st.data())
def test_no_family_of_three_lifts_the_price_above_what_the_others_say(
    quotes: list[Quote], data: st.DataObject
) -> None:
    if len({one.family for one in quotes}) < 3:
        return
    lying = data.draw(st.sampled_from([one.family for one in quotes]))
    told = [replace(one, amount=data.draw(amounts)) if one.family == lying else one for one in quotes]
    price = decide(told, NOW)
    assert price is not None
    assert price.amount <= max(one.amount for one in quotes if one.family != lying)


@given(usable_quotes(at_least=3), amounts, st.data())
def test_with_a_last_price_a_liar_can_at_most_keep_it(
    quotes: list[Quote], before: Decimal, data: st.DataObject
) -> None:
    liar = data.draw(st.sampled_from(quotes))
    honest = [one for one in quotes if one is not liar]
    price = decide([*honest, data.draw(lies(liar.source))], NOW, earlier(str(before)))
    assert price is not None
    is_within = min(one.amount for one in honest) <= price.amount <= max(one.amount for one in honest)
    assert is_within or (price.amount == before and price.status is PriceStatus.SUSPECT)


@given(usable_quotes(at_least=3), st.data())
def test_whatever_one_of_three_says_the_change_stays_within_what_the_others_say(
    quotes: list[Quote], data: st.DataObject
) -> None:
    quotes = [replace(one, amount=Decimal(100), change_24h=one.change_24h or Decimal(0)) for one in quotes]
    liar = data.draw(st.sampled_from(quotes))
    changes = [one.change_24h for one in quotes if one is not liar and one.change_24h is not None]
    lie = replace(liar, change_24h=data.draw(st.decimals()))
    price = decide([*(one for one in quotes if one is not liar), lie], NOW)
    assert price is not None
    assert price.change_24h is not None
    assert min(*changes, Decimal(0)) <= price.change_24h <= max(*changes, Decimal(0))


@given(usable_quotes(), st.data())
def test_the_order_of_quotes_changes_nothing(quotes: list[Quote], data: st.DataObject) -> None:
    shuffled = data.draw(st.permutations(quotes))
    one, other = decide(quotes, NOW), decide(shuffled, NOW)
    assert one == other
    assert one is not None
    assert other is not None
    assert one.dropped == other.dropped


@given(usable_quotes(), st.integers(-6, 1))
def test_in_another_scale_the_price_is_the_same_but_for_the_scale(quotes: list[Quote], power: int) -> None:
    scaled = [replace(one, amount=one.amount.scaleb(power)) for one in quotes]
    one, other = decide(quotes, NOW), decide(scaled, NOW)
    assert one is not None
    assert other is not None
    assert other.amount == one.amount.scaleb(power)
    assert (one.status, one.spread, one.confidence) == (other.status, other.spread, other.confidence)


@given(usable_quotes(), amounts, st.data())
def test_no_source_lowers_the_price_by_saying_more(
    quotes: list[Quote], more: Decimal, data: st.DataObject
) -> None:
    raised = data.draw(st.sampled_from(quotes))
    higher = [replace(one, amount=one.amount + more) if one is raised else one for one in quotes]
    one, other = decide(quotes, NOW), decide(higher, NOW)
    assert one is not None
    assert other is not None
    assert other.amount >= one.amount


@given(usable_quotes(), st.data())
def test_a_price_keeps_its_own_promises(quotes: list[Quote], data: st.DataObject) -> None:
    asked = [*quotes, data.draw(lies("liar")), data.draw(one_usable("one-more"))]
    price = decided(*asked)
    said = [one.amount for one in price.quotes]
    assert any(price.amount is one.amount for one in asked)
    assert price.asset_id == ASSET
    assert 0 <= price.confidence <= 1
    assert price.as_of == min(one.as_of for one in price.quotes)
    assert price.sources == tuple(one.source for one in price.quotes)
    exact = (max(said) - min(said)) / price.amount
    assert abs(price.spread - exact) <= Decimal("1E-8") * max(1, exact)
    assert len(price.quotes) + len(price.dropped) == len(asked)
    if price.status is PriceStatus.AGREED:
        assert len({one.family for one in price.quotes}) >= 2
    if price.status is PriceStatus.SINGLE:
        assert len({one.family for one in price.quotes}) == 1
