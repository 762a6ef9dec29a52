"""What changed between two snapshots: amount and price effects add up, and unknown is no zero."""

from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.fakes.history import DAY, T0, line, snapshot

from balance_tracker.core.amounts import exact_sum
from balance_tracker.core.comparing import compare, effects
from balance_tracker.core.snapshots import Line, Side, SnapshotState

AMOUNTS = st.decimals(0, 10**30, allow_nan=False, places=18)
PRICES = st.decimals("1E-18", 10**9, allow_nan=False, places=18)
KEYS = ("eth", "usdc", "dai", "sol")


@st.composite
def held(draw: st.DrawFn) -> list[Line]:
    """Lines of a few assets in several places, one price each, as a snapshot has them."""
    prices = {key: draw(PRICES) for key in KEYS}
    places = draw(
        st.lists(
            st.tuples(
                st.sampled_from(KEYS),
                st.sampled_from(["ethereum", "base"]),
                st.sampled_from([(None, Side.HELD), ("aave", Side.SUPPLIED), ("aave", Side.BORROWED)]),
            ),
            max_size=8,
            unique=True,
        )
    )
    return [
        line(key, str(draw(AMOUNTS)), str(prices[key]), network=network, protocol=protocol, side=side)
        for key, network, (protocol, side) in places
    ]


@given(held(), held())
@settings(max_examples=120, deadline=None)
def test_the_amount_effect_and_the_price_effect_are_the_change_of_value_to_the_last_digit(
    first: list[Line], second: list[Line]
) -> None:
    before, after = snapshot(T0, *first), snapshot(T0 + DAY, *second)
    compared = compare(before, after)
    assert not compared.unknown
    assert compared.effects.total == exact_sum(
        (after.total_value or Decimal(0), (before.total_value or Decimal(0)).copy_negate())
    )
    back = compare(after, before)
    assert compared.effects.amount == (back.effects.amount or Decimal(0)).copy_negate()
    assert compared.effects.price == (back.effects.price or Decimal(0)).copy_negate()


@given(held())
@settings(max_examples=50, deadline=None)
def test_what_moves_between_ones_own_places_is_no_change(lines: list[Line]) -> None:
    moved = [
        line(
            one.price_key,
            str(one.amount),
            str(one.price.amount) if one.price else None,
            network="base" if one.place.network == "ethereum" else "ethereum",
            protocol=one.place.protocol,
            side=one.place.side,
        )
        for one in lines
    ]
    compared = compare(snapshot(T0, *lines), snapshot(T0 + DAY, *moved))
    assert compared.effects.amount == compared.effects.price == 0


def test_new_coins_are_amount_and_risen_coins_are_price() -> None:
    compared = compare(
        snapshot(T0, line("eth", 2, 1000), line("usdc", 10)),
        snapshot(T0 + DAY, line("eth", 2, 1100), line("usdc", 60)),
    )
    by_asset = {change.asset: change.effects for change in compared.changes}
    assert (by_asset["eth"].amount, by_asset["eth"].price) == (0, 200)
    assert (by_asset["usdc"].amount, by_asset["usdc"].price) == (50, 0)


def test_a_debt_counts_against() -> None:
    owed = {"protocol": "aave", "side": Side.BORROWED}
    compared = compare(
        snapshot(T0, line("eth", 1, 1000, **owed)),
        snapshot(T0 + DAY, line("eth", 2, 1000, **owed)),
    )
    [change] = compared.changes
    assert (change.amount_before, change.amount_after, change.effects.amount) == (-1, -2, -1000)


def test_an_asset_without_a_price_is_unknown_and_not_zero() -> None:
    compared = compare(
        snapshot(T0, line("eth", 1, 1000), line("odd", 5, None), line("lost", 5, 3)),
        snapshot(T0 + DAY, line("eth", 1, 1100), line("odd", 7, None), line("lost", 5, None)),
    )
    assert compared.unknown == ("lost", "odd")
    assert compared.effects.total == 100


def test_an_asset_whose_decimals_are_not_known_is_unknown() -> None:
    compared = compare(snapshot(T0, line("odd", None, 3)), snapshot(T0 + DAY, line("odd", None, 3)))
    assert compared.unknown == ("odd",)


def test_a_network_that_failed_or_was_not_asked_is_left_out_at_both_ends_and_told() -> None:
    before = snapshot(T0, line("eth", 1, 1000), line("eth", 5, 1000, network="base"))
    failed = snapshot(T0 + DAY, line("eth", 1, 1100), state=SnapshotState.INCOMPLETE, unknown=["base"])
    unasked = snapshot(T0 + DAY, line("eth", 1, 1100), networks=["ethereum"])
    for after in (failed, unasked):
        compared = compare(before, after)
        assert compared.left_out == ("base",)
        assert (compared.effects.amount, compared.effects.price) == (0, 100)


def test_nothing_known_at_both_ends_is_no_zero() -> None:
    compared = compare(snapshot(T0, unknown=["base"]), snapshot(T0 + DAY, networks=["base"]))
    assert compared.effects.total is None


def test_the_price_at_the_end_where_nothing_was_held_does_not_matter() -> None:
    assert effects(Decimal(0), Decimal(2), None, Decimal(5)).total == 10
    assert effects(Decimal(2), Decimal(0), Decimal(5), None).total == -10
    assert effects(Decimal(0), Decimal(0), None, None).total == 0
    assert effects(Decimal(1), Decimal(1), None, Decimal(5)).total is None
