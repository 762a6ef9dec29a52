"""Account bytes: recorded ones, those of a second library, and nonsense."""

import struct
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from solders.pubkey import Pubkey
from solders.token.state import Mint, TokenAccount, TokenAccountState
from tests.solana import recorded

from balance_tracker.solana.binary import LayoutError
from balance_tracker.solana.extensions import (
    AccountKind,
    decode_extensions,
    interest_bearing,
    metadata_address,
    permanent_delegate,
    scaled_ui_amount,
    withheld_raw_amount,
)
from balance_tracker.solana.layouts import decode_clock, decode_mint, decode_token_account
from balance_tracker.solana.metadata import decode_metaplex, decode_token_metadata
from balance_tracker.solana.programs import metaplex_metadata_address

U64 = st.integers(0, 2**64 - 1)
PUBKEYS = st.binary(min_size=32, max_size=32).map(Pubkey.from_bytes)
STATES = {"initialized": TokenAccountState.Initialized, "frozen": TokenAccountState.Frozen}


def test_the_recorded_jitosol_mint_is_read() -> None:
    data = recorded.data_of(recorded.account(recorded.JITOSOL))
    mint, second = decode_mint(data), Mint.from_bytes(data)
    assert (mint.decimals, mint.supply) == (9, second.supply)
    assert mint.mint_authority == "6iQKfEyhr3bZMotVkW6beNZz5CPAkiwvgV2CTje9pVSS"
    assert mint.freeze_authority is None
    assert not mint.looks_like_nft


def test_the_recorded_pyusd_mint_is_read_with_its_extensions() -> None:
    mint = decode_mint(recorded.data_of(recorded.account(recorded.PYUSD)))
    assert mint.decimals == 6
    assert mint.metadata is not None
    assert (mint.metadata.symbol, mint.metadata.name) == ("PYUSD", "PayPal USD")
    assert mint.metadata.mint == mint.metadata_address == recorded.PYUSD
    assert mint.permanent_delegate == "2apBGMsS6ti9RyF5TwQTDswXBWskiJP2LD4cUEDqYJjk"
    assert mint.interest_bearing is None
    assert mint.scaled_ui_amount is None


@pytest.mark.parametrize(
    ("mint", "address", "symbol", "name"),
    [
        (recorded.JITOSOL, recorded.JITOSOL_METADATA, "JitoSOL", "Jito Staked SOL"),
        (
            recorded.JUPITER_LEND_USDC,
            recorded.JUPITER_LEND_USDC_METADATA,
            "jlUSDC",
            "jupiter lend USDC",
        ),
    ],
)
def test_recorded_metaplex_accounts_of_both_sizes_are_read(
    mint: str, address: str, symbol: str, name: str
) -> None:
    metadata = decode_metaplex(recorded.data_of(recorded.account(address)))
    assert (metadata.mint, metadata.symbol, metadata.name) == (mint, symbol, name)
    assert metadata.uri.startswith("https://")
    assert metaplex_metadata_address(mint) == address


def test_every_recorded_token_account_is_read_and_is_its_owners() -> None:
    rows = recorded.token_accounts(recorded.WALLET)
    assert len(rows) == 4
    for row in rows:
        data = recorded.data_of(row["account"])
        account = decode_token_account(data)
        second = TokenAccount.from_bytes(data[:165])
        assert account.owner == recorded.WALLET
        assert (account.mint, account.raw_amount) == (str(second.mint), second.amount)
        assert account.state == "initialized"
        assert account.withheld_raw_amount == 0


@given(PUBKEYS, PUBKEYS, U64, st.none() | PUBKEYS, st.sampled_from(sorted(STATES)), st.none() | U64, U64)
def test_a_token_account_that_another_library_wrote_is_read_the_same(
    mint, owner, amount, delegate, state, native, delegated
) -> None:
    data = bytes(TokenAccount(mint, owner, amount, delegate, STATES[state], native, delegated, owner))
    account = decode_token_account(data)
    assert (account.mint, account.owner) == (str(mint), str(owner))
    assert (account.raw_amount, account.delegated_raw_amount) == (amount, delegated)
    assert account.delegate == (None if delegate is None else str(delegate))
    assert (account.state, account.native_reserve) == (state, native)
    assert account.close_authority == str(owner)


@given(st.none() | PUBKEYS, U64, st.integers(0, 255), st.none() | PUBKEYS)
def test_a_mint_that_another_library_wrote_is_read_the_same(authority, supply, decimals, freezer) -> None:
    mint = decode_mint(bytes(Mint(authority, supply, decimals, True, freezer)))
    assert (mint.supply, mint.decimals) == (supply, decimals)
    assert mint.mint_authority == (None if authority is None else str(authority))
    assert mint.freeze_authority == (None if freezer is None else str(freezer))
    assert mint.looks_like_nft == (supply == 1 and decimals == 0)


@settings(max_examples=300)
@given(st.binary(max_size=400), st.sampled_from([82, 165, 166, 170, 234, 355]))
def test_nonsense_is_refused_by_a_typed_error_or_read_but_never_crashes(data: bytes, size: int) -> None:
    for decode in (decode_token_account, decode_mint, decode_metaplex, decode_token_metadata, decode_clock):
        for candidate in (data, data[:size].ljust(size, b"\0"), data.rjust(size, b"\x01")):
            with suppress(LayoutError):
                decode(candidate)


def _mint_bytes(entries: bytes = b"", kind: int = 1, padding: bytes = bytes(83)) -> bytes:
    return bytes(Mint(None, 5, 6, True, None)) + padding + bytes([kind]) + entries


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "0 bytes"),
        (bytes(81), "81 bytes"),
        (bytes(82), "not initialised"),
        (bytes(45) + b"\x02" + bytes(36), "neither 0 nor 1"),
        (b"\x07" + bytes(81), "tag 7"),
        (_mint_bytes(kind=2), "kind is 2"),
        (_mint_bytes(padding=b"\x01" + bytes(82)), "not zero"),
        (_mint_bytes(b"\x0a\x00\x34\x00" + bytes(20)), "too early"),
        (_mint_bytes(2 * (b"\x07\x00\x00\x00")), "comes twice"),
        (_mint_bytes(b"\x0a\x00\x02\x00" + bytes(2)), "2 bytes, not 52"),
        (bytes(355), "355 bytes"),
    ],
)
def test_a_mint_that_is_none_is_refused_and_says_why(data: bytes, told: str) -> None:
    with pytest.raises(LayoutError, match=told) as caught:
        decode_mint(data)
    assert (caught.value.code, caught.value.retryable) == ("malformed", False)


def test_extensions_nobody_needs_are_skipped_and_zeros_end_them() -> None:
    entries = b"\x63\x00\x03\x00abc" + bytes(10)
    assert decode_extensions(_mint_bytes(entries), AccountKind.MINT) == {0x63: b"abc"}
    assert decode_mint(_mint_bytes(entries)).decimals == 6
    assert decode_mint(_mint_bytes(b"\x07")).decimals == 6


def test_a_mint_with_an_unreadable_name_keeps_its_numbers() -> None:
    mint = decode_mint(_mint_bytes(b"\x13\x00\x04\x00\xff\xff\xff\xff"))
    assert (mint.decimals, mint.metadata) == (6, None)


@pytest.mark.parametrize("state", [0, 3, 255])
def test_an_account_that_is_not_in_use_is_refused(state: int) -> None:
    data = bytearray(165)
    data[108] = state
    with pytest.raises(LayoutError, match="state"):
        decode_token_account(bytes(data))


@pytest.mark.parametrize(
    "decode", [interest_bearing, scaled_ui_amount, permanent_delegate, metadata_address, withheld_raw_amount]
)
def test_an_extension_of_another_length_is_refused(decode) -> None:
    with pytest.raises(LayoutError, match="bytes, not"):
        decode(bytes(7))


def test_texts_that_claim_too_much_or_are_no_text_are_refused() -> None:
    head = bytes([4]) + bytes(64)
    with pytest.raises(LayoutError, match="claims"):
        decode_metaplex(head + b"\xff\xff\xff\x7f" + bytes(600))
    with pytest.raises(LayoutError, match="not UTF-8"):
        decode_metaplex(head + b"\x02\x00\x00\x00\xff\xfe" + bytes(600))
    with pytest.raises(LayoutError, match="first byte"):
        decode_metaplex(bytes(679))


def test_the_clock_is_40_bytes() -> None:
    data = struct.pack("<QqQQq", 410, 1_794_900_000, 700, 701, 1_795_000_000)
    clock = decode_clock(data)
    assert (clock.slot, clock.unix_timestamp) == (410, 1_795_000_000)
    assert (clock.epoch, clock.epoch_start_timestamp) == (700, 1_794_900_000)
    with pytest.raises(LayoutError, match="39 bytes"):
        decode_clock(data[1:])
