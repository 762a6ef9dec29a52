"""Exact amounts, and numbers that strangers send."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balance_tracker.core.amounts import (
    decimal_or_none,
    exact_sum,
    quotient,
    relative_change,
    value_change,
    value_of,
)


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        ("0.9998", "0.9998"),
        ("1e-7", "0.0000001"),
        ("-3", "-3"),
        ("+.5", "0.5"),
        ("7.", "7"),
        (1850, "1850"),
        (Decimal("1.10"), "1.10"),
        ("0", "0"),
    ],
)
def test_a_number_is_read_digit_by_digit(sent: object, read: str) -> None:
    assert decimal_or_none(sent) == Decimal(read)


@pytest.mark.parametrize(
    "sent",
    [
        *(
            "NaN",
            "nan",
            "sNaN",
            "Infinity",
            "-inf",
            "",
            " ",
            " 1",
            "1 ",
            "1\n",
            "1,5",
            "1_000",
            "0x10",
            "abc",
        ),
        *("١٢", "1e", "--1", ".", "1e99999", "1e101", "1e-101", "9" * 101, "9" * 2_000),
        *(Decimal("NaN"), Decimal("Infinity"), Decimal("1E+999999"), 10**101, 10**4_000),
        *(1.5, 0.0, float("nan"), True, False, None, b"1", [], {}),
    ],
)
def test_what_is_not_surely_a_number_is_none(sent: object) -> None:
    assert decimal_or_none(sent) is None


@given(st.decimals(allow_nan=False, allow_infinity=False, places=20, min_value=-(10**50), max_value=10**50))
def test_text_of_a_decimal_comes_back_as_it_went(number: Decimal) -> None:
    assert decimal_or_none(format(number, "f")) == decimal_or_none(number) == number


@given(
    st.integers(0, 2**256 - 1),
    st.integers(0, 255),
    st.integers(1, 10**30).map(lambda digits: Decimal(digits).scaleb(-18)),
)
def test_a_value_is_exact_for_every_amount_of_a_chain(raw_amount: int, decimals: int, price: Decimal) -> None:
    value = value_of(raw_amount, decimals, price)
    assert value is not None
    assert Fraction(value) == Fraction(raw_amount, 10**decimals) * Fraction(price)


def test_a_value_is_not_known_without_decimals_or_price() -> None:
    assert value_of(5, None, Decimal(1)) is None
    assert value_of(5, 6, None) is None
    assert value_of(0, 6, Decimal(3)) == 0


def test_a_change_of_value_is_what_the_value_was_before_left_out() -> None:
    assert value_change(Decimal(90), Decimal("-0.1")) == Decimal(-10)
    assert value_change(Decimal(90), Decimal(-1)) is None
    assert value_change(None, Decimal(0)) is None


@given(st.lists(st.decimals(allow_nan=False, allow_infinity=False, places=30, min_value=0, max_value=10**30)))
def test_a_sum_has_all_its_digits(amounts: list[Decimal]) -> None:
    assert Fraction(exact_sum(amounts)) == sum(map(Fraction, amounts))


def test_nothing_is_divided_by_nothing() -> None:
    with pytest.raises(ValueError, match="above zero"):
        quotient(Decimal(1), Decimal(0))


@pytest.mark.parametrize("change", ["-0." + "9" * 34, "1E+99", "-1", "NaN", "Infinity"])
def test_a_change_that_nothing_makes_is_not_known(change: str) -> None:
    assert value_change(Decimal(100), Decimal(change)) is None
    assert relative_change(Decimal(change), Decimal("0.1")) is None
    assert relative_change(Decimal("0.1"), Decimal(change)) is None
