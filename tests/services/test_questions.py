"""What people write is checked and typed, and a mistake comes with a hint."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from tests.fakes.readers import ALICE, BASE, ETHEREUM, MINT, SOLANA, SOLANA_ALICE, STRANGE, formats
from tests.fakes.service import NOW

from balance_tracker.core.errors import InputError
from balance_tracker.core.ids import Address
from balance_tracker.services import questions
from balance_tracker.services.addresses import AddressBook, Owner

TRACKED = {net.slug: net for net in (ETHEREUM, BASE, SOLANA)}
EVM = Owner(Address(ALICE), "evm")
ON_SOLANA = Owner(Address(SOLANA_ALICE), "solana")
BOOK = AddressBook(formats(), None)


def mistake(call: object, *arguments: object) -> InputError:
    with pytest.raises(InputError) as caught:
        call(*arguments)  # type: ignore[operator]
    return caught.value


def test_an_unknown_network_suggests_the_nearest() -> None:
    error = mistake(questions.choose_networks, EVM, ["etherium"], TRACKED)
    assert (error.code, error.hint) == ("unknown_network", "Did you mean 'ethereum'?")


def test_a_network_like_none_lists_those_that_are_known() -> None:
    error = mistake(questions.find_network, "zzz", TRACKED)
    assert error.hint == "Known are: ethereum, base, solana."


def test_a_solana_address_asked_on_ethereum_is_told_so() -> None:
    error = mistake(questions.choose_networks, ON_SOLANA, ["ethereum"], TRACKED)
    assert error.code == "wrong_network_family"
    assert "is a Solana address" in error.message
    assert error.hint == "Ask it on solana."


def test_an_evm_address_asked_on_solana_only_is_told_so() -> None:
    error = mistake(questions.choose_networks, EVM, ["solana"], TRACKED)
    assert error.code == "wrong_network_family"
    assert error.hint == "Ask it on ethereum, base."


def test_an_address_of_a_family_that_is_not_tracked_is_told_so() -> None:
    error = mistake(questions.choose_networks, ON_SOLANA, None, {BASE.slug: BASE})
    assert error.hint == "No network for it is tracked here."


def test_networks_of_both_families_ask_those_that_fit() -> None:
    assert questions.choose_networks(EVM, ["solana,Base"], TRACKED) == (BASE,)


def test_a_token_of_the_other_family_is_refused() -> None:
    assert mistake(questions.choose_tokens, EVM, [MINT], BOOK).code == "wrong_network_family"


def test_a_bad_token_is_refused_and_too_many_are_too() -> None:
    assert mistake(questions.choose_tokens, EVM, ["usdc"], BOOK).code == "invalid_address"
    many = [f"0x{number:040x}" for number in range(101)]
    assert mistake(questions.choose_tokens, EVM, many, BOOK).code == "too_many_tokens"
    assert questions.choose_tokens(EVM, [STRANGE, STRANGE], BOOK) == (STRANGE,)


@pytest.mark.parametrize("text", ["usd", "EUR", " btc "])
def test_known_currencies_are_taken_in_any_case(text: str) -> None:
    assert questions.choose_currency(text) == text.strip().lower()


def test_an_unknown_currency_lists_those_that_are_known() -> None:
    error = mistake(questions.choose_currency, "doge")
    assert error.code == "invalid_currency"
    assert "usd" in str(error.hint)


@pytest.mark.parametrize(("value", "expected"), [(None, None), ("1.5", Decimal("1.5")), (0, Decimal(0))])
def test_a_least_value_is_a_number(value: str | int | None, expected: Decimal | None) -> None:
    assert questions.choose_min_value(value) == expected


@pytest.mark.parametrize("value", ["-1", "much", "nan", "inf"])
def test_a_least_value_that_is_none_is_refused(value: str) -> None:
    assert mistake(questions.choose_min_value, value).code == "invalid_parameter"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-01-31T12:00:00Z", datetime(2026, 1, 31, 12, tzinfo=UTC)),
        ("2026-01-31t12:00:00.1234567z", datetime(2026, 1, 31, 12, 0, 0, 123456, tzinfo=UTC)),
        ("2026-01-31 12:00:00+02:00", datetime(2026, 1, 31, 10, tzinfo=UTC)),
        ("2026-01-31T12:00:00 02:00", datetime(2026, 1, 31, 10, tzinfo=UTC)),
        ("latest", None),
        ("", None),
    ],
)
def test_a_time_is_read_as_rfc_3339(text: str, expected: datetime | None) -> None:
    assert questions.choose_at(text, [BASE, ETHEREUM], NOW) == expected


@pytest.mark.parametrize(
    "at",
    [
        "yesterday",
        "2026-01-31",
        "2026-02-30T00:00:00Z",
        "-5",
        "1e3",
        "٣",
        "9" * 30,
        "1969-12-31T00:00:00Z",
        -1,
        NOW + timedelta(seconds=1),
        datetime(2026, 1, 1),
    ],
)
def test_what_is_neither_a_block_nor_a_past_time_is_refused(at: str | int | datetime) -> None:
    error = mistake(questions.choose_at, at, [BASE], NOW)
    assert error.code == "invalid_at"
    assert error.hint


def test_a_time_of_another_zone_is_turned_into_utc() -> None:
    at = datetime(2026, 1, 31, 12, tzinfo=timezone(timedelta(hours=2)))
    assert questions.choose_at(at, [BASE], NOW) == datetime(2026, 1, 31, 10, tzinfo=UTC)


def test_a_block_number_needs_exactly_one_evm_network() -> None:
    assert questions.choose_at("12", [BASE], NOW) == 12
    assert mistake(questions.choose_at, 12, [BASE, ETHEREUM], NOW).code == "invalid_at"
    assert mistake(questions.choose_at, 12, [SOLANA], NOW).code == "invalid_at"
