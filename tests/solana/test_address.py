"""Solana addresses: what they are and what people paste instead."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from solders.pubkey import Pubkey

from balance_tracker.core.errors import InputError
from balance_tracker.demo.solana_rpc_encoding import base58
from balance_tracker.solana.address import SolanaAddresses

USDC = "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v"
EVM = "0xd8dA6BF26964aF9D7eEd9e03E53415D37aA96045"
SOLANA = SolanaAddresses()


@given(st.binary(min_size=32, max_size=32))
def test_every_32_bytes_are_an_address_and_come_back_unchanged(data: bytes) -> None:
    address = base58(data)
    assert SOLANA.looks_like(address)
    assert SOLANA.parse(f" {address}\n") == address
    assert bytes(Pubkey.from_string(address)) == data


@pytest.mark.parametrize(
    "text", ["vitalik.eth", EVM, "short", "", "solana", USDC + "x" * 10, "sol.address" * 4]
)
def test_other_texts_do_not_look_like_an_address(text: str) -> None:
    assert not SOLANA.looks_like(text)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (EVM, "EVM"),
        (EVM[2:], "EVM"),
        (USDC[:-1] + "0", "'0'"),
        ("O" + USDC[1:], "'O'"),
        ("I" + USDC[1:], "'I'"),
        (USDC[:-1] + "l", "'l'"),
        (USDC[:20], "32 to 44 characters, not 20"),
        (USDC + "1", "32 to 44 characters, not 45"),
        ("z" * 44, "32 bytes"),
        ("2" * 32, "32 bytes"),
        ("", "empty"),
        ("vitalik.eth", "'.'"),
        ("Ж" * 40, "'Ж'"),
    ],
)
def test_a_wrong_address_is_refused_with_what_is_wrong_and_a_hint(text: str, told: str) -> None:
    with pytest.raises(InputError) as caught:
        SOLANA.parse(text)
    assert caught.value.code == "invalid_address"
    assert told in caught.value.message
    assert caught.value.hint
