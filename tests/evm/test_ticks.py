"""The arithmetic of ticks, against roots computed another way with many digits, and known values."""

from decimal import Context, Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balance_tracker.evm.ticks import (
    MAX_TICK,
    PoolPrice,
    amounts_of,
    fees_since,
    growth_inside,
    root_at,
)

WIDE = Context(prec=120)
WORD = 1 << 256
ticks = st.integers(-MAX_TICK, MAX_TICK)
liquidities = st.integers(0, (1 << 128) - 1)
growths = st.integers(0, WORD - 1)


def exact_root(tick: int) -> Decimal:
    """The root of 1.0001 to a tick, times 2 ** 96, to some hundred digits."""
    price = WIDE.power(Decimal("1.0001"), abs(tick))
    root = WIDE.sqrt(WIDE.divide(Decimal(1), price) if tick < 0 else price)
    return WIDE.multiply(root, Decimal(1 << 96))


@pytest.mark.parametrize(
    ("tick", "root"),
    [
        (-887_272, 4295128739),
        (-887_271, 4295343490),
        (0, 79228162514264337593543950336),
        (887_271, 1461373636630004318706518188784493106690254656249),
        (887_272, 1461446703485210103287273052203988822378723970342),
    ],
)
def test_roots_are_those_that_uniswap_publishes(tick: int, root: int) -> None:
    """Source: the unit tests of TickMath in @uniswap/v3-core and of @uniswap/v3-sdk."""
    assert root_at(tick) == root


@given(ticks)
def test_a_root_is_the_exact_one_but_for_its_last_digits(tick: int) -> None:
    """Up to twenty factors are multiplied, and each product is cut to 128 digits after the point."""
    exact = Fraction(exact_root(tick))
    cut = Fraction(32) / Fraction(WIDE.multiply(exact_root(-abs(tick)), Decimal(1 << 32)))
    assert abs(root_at(tick) - exact) <= 1 + exact * cut


@given(st.integers(-MAX_TICK, MAX_TICK - 1))
def test_roots_rise_with_their_ticks(tick: int) -> None:
    assert root_at(tick) < root_at(tick + 1)


def test_every_factor_is_the_nearest_to_its_root() -> None:
    for bit in range(19):
        nearest = WIDE.divide(Decimal(1 << 224), exact_root(1 << bit)).to_integral_value()
        # One factor alone, below zero: what is left of 128 digits after the point is 96, rounded up.
        assert root_at(-(1 << bit)) == -(-int(nearest) >> 32)


@pytest.mark.parametrize("tick", [MAX_TICK + 1, -MAX_TICK - 1, 1 << 255])
def test_what_is_no_tick_is_refused(tick: int) -> None:
    with pytest.raises(ValueError, match="is no tick"):
        root_at(tick)


@given(liquidities, ticks, ticks, ticks, st.integers(0, 10**6))
def test_amounts_are_the_exact_ones_rounded_down(
    liquidity: int, one: int, other: int, at: int, above: int
) -> None:
    lower, upper = sorted((one, other if other != one else (one + 1 if one < MAX_TICK else one - 1)))
    at = min(at, MAX_TICK - 1)
    root = root_at(at) + (root_at(at + 1) - root_at(at)) * above // 10**6
    low, high = Fraction(root_at(lower)), Fraction(root_at(upper))
    place = min(max(Fraction(root), low), high)
    first = liquidity * (1 / place - 1 / high) * (1 << 96)
    second = liquidity * (place - low) / (1 << 96)
    given_out = amounts_of(liquidity, lower, upper, PoolPrice(root, at))
    assert given_out == (first.__floor__(), second.__floor__())


@given(growths, growths, growths)
def test_growth_inside_and_outside_is_all_of_it(total: int, lower: int, upper: int) -> None:
    """What a range has is what is left of the pool's without both sides, wherever the price is."""
    for place, below, above in (
        (-1, total - lower, upper),
        (0, lower, upper),
        (1, lower, total - upper),
    ):
        inside = growth_inside(total, lower, upper, place)
        assert 0 <= inside < WORD
        assert (inside + below + above - total) % WORD == 0


@given(growths, st.integers(0, 1 << 140), liquidities)
def test_fees_count_what_grew_also_where_growth_went_round(last: int, grew: int, liquidity: int) -> None:
    assert fees_since((last + grew) % WORD, last, liquidity) == grew * liquidity // (1 << 128)
