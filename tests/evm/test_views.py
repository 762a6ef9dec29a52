"""What views gave, read without trusting them."""

from collections.abc import Callable

import pytest

from balance_tracker.core.portfolio import FailureCode
from balance_tracker.evm.abi import WORD
from balance_tracker.evm.outcomes import NO_CONTRACT, CallFailure, Outcome
from balance_tracker.evm.tours import TourError
from balance_tracker.evm.views import (
    address_of,
    addresses_of,
    amount_of,
    is_absent,
    list_of,
    uint_word,
    uints_of,
    word_of,
    words_of,
)

type Read = Callable[[Outcome], object]

ONE = uint_word(1)
MOST = "f" * 64


def answer(*digits: str) -> bytes:
    return bytes.fromhex("".join(digits))


def test_words_are_read_as_many_as_were_asked_for() -> None:
    assert words_of(answer(ONE, MOST), 2, "a pair") == (1, 2**256 - 1)
    assert word_of(answer(MOST), "a word") == 2**256 - 1
    assert amount_of(answer(uint_word(2**128 - 1)), "an amount") == 2**128 - 1


def test_lists_are_read_item_by_item() -> None:
    three = answer(uint_word(32), uint_word(3), ONE, uint_word(2), uint_word(3))
    assert uints_of(three, 3, "numbers") == [1, 2, 3]
    assert addresses_of(three, 3, "addresses") == [f"0x{number:040x}" for number in (1, 2, 3)]
    assert list_of(answer(uint_word(32), uint_word(0)), 0, "nothing", width=6) == []
    two = answer(uint_word(32), uint_word(2), ONE, ONE, uint_word(7), uint_word(8))
    assert list_of(two, 2, "pairs", width=2) == [(1, 1), (7, 8)]


@pytest.mark.parametrize(
    ("read", "outcome"),
    [
        (lambda outcome: words_of(outcome, 2, "x"), answer(ONE)),
        (lambda outcome: words_of(outcome, 1, "x"), answer(ONE, "00")),
        (lambda outcome: word_of(outcome, "x"), b""),
        (lambda outcome: amount_of(outcome, "x"), answer(uint_word(2**128))),
        (lambda outcome: address_of(outcome, "x"), answer(uint_word(0))),
        (lambda outcome: address_of(outcome, "x"), answer(uint_word(2**160))),
        (lambda outcome: uints_of(outcome, 9, "x"), answer(ONE)),
        (lambda outcome: uints_of(outcome, 9, "x"), answer(uint_word(64), uint_word(1), ONE)),
        (lambda outcome: uints_of(outcome, 9, "x"), answer(uint_word(32), uint_word(2), ONE)),
        (lambda outcome: uints_of(outcome, 9, "x"), answer(uint_word(32), uint_word(1), ONE, ONE)),
        (lambda outcome: uints_of(outcome, 9, "x"), answer(uint_word(32), MOST)),
        (lambda outcome: addresses_of(outcome, 9, "x"), answer(uint_word(32), uint_word(1), MOST)),
        (lambda outcome: list_of(outcome, 9, "x", width=2), answer(uint_word(32), uint_word(1), ONE)),
    ],
)
def test_what_has_another_shape_is_a_failure_of_the_tour(read: Read, outcome: Outcome) -> None:
    with pytest.raises(TourError) as caught:
        read(outcome)
    assert caught.value.code in {"malformed", "too_many"}


def test_a_list_that_is_too_long_is_not_cut() -> None:
    with pytest.raises(TourError) as caught:
        uints_of(answer(uint_word(32), uint_word(2), ONE, ONE), 1, "numbers")
    assert (caught.value.code, caught.value.reason) == (
        "too_many",
        "numbers: 2 items, and 1 at most are read",
    )


def test_a_call_that_failed_fails_the_tour_with_its_own_code() -> None:
    with pytest.raises(TourError) as caught:
        word_of(CallFailure(FailureCode.OUT_OF_GAS, "it ran out"), "the rate")
    assert (caught.value.code, caught.value.reason) == ("out_of_gas", "the rate: it ran out")


def test_only_a_contract_that_is_not_there_is_absent() -> None:
    assert is_absent(NO_CONTRACT)
    assert not is_absent(CallFailure(FailureCode.REVERTED, "no"))
    assert not is_absent(bytes(WORD))
