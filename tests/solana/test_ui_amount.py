"""UI amounts against the Token-2022 program itself, which runs in this process."""

import math
import random
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from solders.pubkey import Pubkey
from solders.token.state import Mint

from balance_tracker.demo.solana_bank import SolanaBank
from balance_tracker.demo.solana_programs import TOKEN_2022, update_multiplier, update_rate
from balance_tracker.demo.solana_tokens import BankTokens, Extras
from balance_tracker.solana.layouts import decode_mint
from balance_tracker.solana.ui_amount import ui_amount

NOW = 1_795_000_000
MINT = Pubkey.from_bytes(bytes(31) + b"\x07")
RAW = st.one_of(st.integers(0, 2**64 - 1), st.integers(0, 10**12), st.sampled_from([0, 1, 2**53, 2**53 + 1]))
DECIMALS = st.one_of(st.integers(0, 12), st.sampled_from([18, 19, 22, 23, 24, 40]))
RATES = st.one_of(st.integers(-1_000, 3_000), st.integers(-32_768, 32_767))


@pytest.fixture(scope="module")
def bank() -> SolanaBank:
    return SolanaBank()


def _set_mint(bank: SolanaBank, decimals: int, extension: int, value: bytes) -> None:
    entry = struct.pack("<HH", extension, len(value)) + value
    data = bytes(Mint(None, 1, decimals, True, None)) + bytes(83) + b"\x01" + entry
    bank.set_bytes(MINT, data, TOKEN_2022)


def _agrees(bank: SolanaBank, mint: Pubkey, raw_amount: int) -> bool:
    account = bank.svm.get_account(mint)
    assert account is not None
    shown = ui_amount(decode_mint(bytes(account.data)), raw_amount, bank.unix_timestamp)
    # Past 150 digits the program runs out of compute and shows nothing to compare with.
    return (shown is not None and len(shown) > 150) or shown == bank.ui_amount(mint, raw_amount)


@settings(max_examples=400, deadline=None)
@given(RAW, DECIMALS, RATES, RATES, st.integers(0, 400_000_000), st.integers(0, 400_000_000))
def test_interest_is_shown_to_the_last_digit_as_the_program_shows_it(
    bank, raw_amount, decimals, average, current, before, since
) -> None:
    bank.set_time(bank.slot, NOW)
    times = (NOW - before - since, average, NOW - since, current)
    _set_mint(bank, decimals, 10, bytes(32) + struct.pack("<qhqh", *times))
    assert _agrees(bank, MINT, raw_amount)


@settings(max_examples=400, deadline=None)
@given(
    RAW,
    DECIMALS,
    st.floats(1e-12, 1e12),
    st.floats(1e-3, 1e3),
    st.sampled_from([-1_000, -1, 0, 1, 1_000]),
)
def test_a_factor_is_shown_to_the_last_digit_as_the_program_shows_it(
    bank, raw_amount, decimals, multiplier, new_multiplier, effective_in
) -> None:
    bank.set_time(bank.slot, NOW)
    config = struct.pack("<dqd", multiplier, NOW + effective_in, new_multiplier)
    _set_mint(bank, decimals, 25, bytes(32) + config)
    assert _agrees(bank, MINT, raw_amount)


def test_mints_that_the_program_made_and_changed_show_what_the_program_shows(bank) -> None:
    tokens, chance = BankTokens(bank), random.Random(20)
    bank.set_time(bank.slot, NOW)
    note = tokens.create_mint(6, extras=Extras(interest_bps=500))
    share = tokens.create_mint(8, extras=Extras(multiplier=1.0026642075893797))
    bank.advance(1, 20_000_000)
    bank.send(update_rate(note, bank.authority, -250))
    bank.send(update_multiplier(share, bank.authority, 1.0032690125398187, bank.unix_timestamp + 100))
    for seconds in (0, 99, 1, 40_000_000):
        bank.advance(1, seconds)
        for raw_amount in (0, 1, 2**64 - 1, *(chance.randrange(2**40) for _ in range(20))):
            assert _agrees(bank, note, raw_amount)
            assert _agrees(bank, share, raw_amount)


def test_a_years_interest_of_five_percent_compounds_continuously(bank) -> None:
    bank.set_time(bank.slot, NOW)
    config = struct.pack("<qhqh", NOW - 31_556_736, 500, NOW - 31_556_736, 500)
    _set_mint(bank, 6, 10, bytes(32) + config)
    account = bank.svm.get_account(MINT)
    assert account is not None
    shown = ui_amount(decode_mint(bytes(account.data)), 1_000_000_000_000, NOW)
    assert shown == f"{1_000_000 * math.exp(0.05):.6f}"


def test_a_plain_mint_has_no_other_amount() -> None:
    assert ui_amount(decode_mint(bytes(Mint(None, 1, 6, True, None))), 5, NOW) is None


def test_an_amount_that_doubles_can_not_hold_is_not_made_up(bank) -> None:
    _set_mint(bank, 0, 25, bytes(32) + struct.pack("<dqd", 1.7e308, 0, 1.7e308))
    account = bank.svm.get_account(MINT)
    assert account is not None
    assert ui_amount(decode_mint(bytes(account.data)), 2**64 - 1, NOW) is None
