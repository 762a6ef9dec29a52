"""Texts by strangers, made safe to show."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balance_tracker.core.text import clean_text


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("USDC", "USDC"),
        ("USD\0Coin\0\0", "USDCoin"),
        ("\u202eCDSU", "CDSU"),
        ("a\u200bb\ufeffc", "abc"),
        ("  two\n\n lines\t", "two lines"),
        ("no\u00a0break\u2028line", "no break line"),
        ("\x1b[31mred", "[31mred"),
        ("日本 ¥ é 🦦", "日本 ¥ é 🦦"),
        ("\0\n", ""),
        ("", ""),
    ],
)
def test_what_hides_or_turns_a_text_is_gone(written: str, shown: str) -> None:
    assert clean_text(written, 64) == shown


def test_a_long_text_is_cut_and_says_so() -> None:
    assert clean_text("x" * 4096, 64) == "x" * 63 + "…"
    assert clean_text("x" * 64, 64) == "x" * 64


@given(st.text(), st.integers(1, 80))
def test_a_cleaned_text_is_short_printable_and_stays_as_it_is(text: str, limit: int) -> None:
    cleaned = clean_text(text, limit)
    assert len(cleaned) <= limit
    assert not any(unicodedata.category(character) in {"Cc", "Cf", "Zl", "Zp"} for character in cleaned)
    assert clean_text(cleaned, limit) == cleaned
