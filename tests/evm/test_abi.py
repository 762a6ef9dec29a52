"""Answers of contracts, read without trusting them."""

import pytest
from eth_abi import encode
from hypothesis import given
from hypothesis import strategies as st

from balance_tracker.core.text import clean_text
from balance_tracker.evm.abi import (
    NAME_LIMIT,
    SYMBOL_LIMIT,
    address_word,
    read_address,
    read_decimals,
    read_text,
    read_uint,
    revert_reason,
)


def word(number: int) -> bytes:
    return number.to_bytes(32)


def test_a_number_is_exactly_one_word() -> None:
    assert read_uint(word(2**256 - 1)) == 2**256 - 1
    assert [read_uint(data) for data in (b"", word(1)[:31], word(1) * 2)] == [None] * 3


def test_decimals_are_zero_to_255() -> None:
    assert [read_decimals(word(n)) for n in (0, 6, 255, 256, 2**255)] == [0, 6, 255, None, None]
    assert read_decimals(b"") is None


def test_an_address_is_one_word_of_twenty_bytes_and_not_zero() -> None:
    assert read_address(word(0xABCDEF)) == "0x" + "0" * 34 + "abcdef"
    assert [read_address(d) for d in (word(0), word(1 << 160), b"", b"\1" * 20)] == [None] * 4


def test_an_argument_is_padded_to_a_word() -> None:
    address = "0xdAC17F958D2ee523a2206206994597C13D831ec7"
    assert bytes.fromhex(address_word(address)) == encode(["address"], [address])


@given(st.text(max_size=80))
def test_a_string_is_read_as_a_second_library_wrote_it(text: str) -> None:
    assert read_text(encode(["string"], [text]), SYMBOL_LIMIT) == (
        cleaned if (cleaned := clean_text(text, SYMBOL_LIMIT)).strip("\ufffd …") else None
    )


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=31))
def test_a_bytes32_is_read_as_a_text(text: str) -> None:
    assert read_text(text.encode().ljust(32, b"\0"), SYMBOL_LIMIT) == text


def test_a_text_without_control_characters_and_not_too_long_is_what_is_left() -> None:
    assert read_text(encode(["string"], ["EV\x00IL\x1b[31m\u202e\nUSD"]), SYMBOL_LIMIT) == "EVIL[31m USD"
    long = read_text(encode(["string"], ["LONG" * 1024]), NAME_LIMIT)
    assert long is not None
    assert len(long) == NAME_LIMIT


@pytest.mark.parametrize(
    "data",
    [
        b"",
        bytes(32),
        bytes(64),
        b"\1" * 31,
        word(0x20) + word(0),
        word(0x20) + word(1),
        word(0x20) + word(2**256 - 1) + b"abc",
        word(2**256 - 1) + word(3) + b"abc",
        word(2**256 - 32) + word(3) + b"abc",
        word(0x40) + word(3),
        encode(["string"], ["\x00\x01\x02"]),
        b"\xff\xfe".ljust(32, b"\xff"),
    ],
)
def test_a_text_that_points_outside_itself_or_says_nothing_is_none(data: bytes) -> None:
    assert read_text(data, SYMBOL_LIMIT) is None


def test_bytes_that_are_no_utf8_are_replaced() -> None:
    assert read_text(encode(["bytes"], [b"A\xffB"]), SYMBOL_LIMIT) == "A\ufffdB"


_WORDS = st.lists(
    st.one_of(st.integers(0, 200).map(word), st.binary(min_size=32, max_size=32), st.just(word(2**256 - 1))),
    max_size=6,
).map(b"".join)


@given(st.binary(max_size=200) | _WORDS)
def test_no_data_breaks_a_reader(data: bytes) -> None:
    text = read_text(data, SYMBOL_LIMIT)
    assert text is None or 0 < len(text) <= SYMBOL_LIMIT
    assert revert_reason(data)
    read_uint(data), read_decimals(data), read_address(data)


def test_a_revert_tells_its_reason() -> None:
    error = bytes.fromhex("08c379a0")
    assert revert_reason(error + encode(["string"], ["Invalid\ntoken"])) == "the contract says: Invalid token"
    assert revert_reason(error + b"cut") == "with error 0x08c379a0"
    assert revert_reason(bytes.fromhex("4e487b71") + word(0x11)) == "panic 0x11"
    assert revert_reason(bytes.fromhex("4e487b71") + b"\1") == "with error 0x4e487b71"
    assert revert_reason(bytes.fromhex("77209fe8") + bytes(64)) == "with error 0x77209fe8"
    assert revert_reason(b"\1") == "with error 0x01"
    assert revert_reason(b"") == "without a reason"
    assert len(revert_reason(error + encode(["string"], ["x" * 5000]))) < 250
