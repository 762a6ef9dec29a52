"""The shipped files themselves: that each loads, and that what they say can be true."""

import time
from importlib.resources import files

import pytest
from eth_utils import is_checksum_address
from solders.pubkey import Pubkey

from balance_tracker.catalog.networks import load_networks
from balance_tracker.catalog.token_list import list_chain_id, read_token_list
from balance_tracker.catalog.tokens import load_tokens
from balance_tracker.core.assets import native_asset

NETWORKS = load_networks()
TOKENS = load_tokens(NETWORKS, shipped=True)
DATA = files("balance_tracker") / "data"

CHAIN_IDS = {
    "ethereum": 1,
    "arbitrum": 42161,
    "optimism": 10,
    "base": 8453,
    "bsc": 56,
    "polygon": 137,
    "avalanche": 43114,
    "fantom": 250,
    "sonic": 146,
    "cronos": 25,
    "gnosis": 100,
    "zksync": 324,
    "linea": 59144,
    "scroll": 534352,
    "solana": None,
}
"""From the chains' own documentation (EIP-155 ids)."""

SLIP44 = {"bsc": 714, "polygon": 966, "avalanche": 9000, "fantom": 1007, "sonic": 10007, "cronos": 394}
SLIP44 |= {"gnosis": 700, "solana": 501}
"""Coin types registered in SLIP-44; every other network pays in ether, which is 60."""

EVM = [slug for slug, chain_id in CHAIN_IDS.items() if chain_id is not None]


def test_the_fourteen_networks_and_sonic_are_shipped():
    assert {slug: network.chain_id for slug, network in NETWORKS.items()} == CHAIN_IDS


def test_only_fantom_is_sunset_and_it_says_why():
    sunset = {
        slug: network.lifecycle_note for slug, network in NETWORKS.items() if network.lifecycle == "sunset"
    }
    assert list(sunset) == ["fantom"]
    assert "Sonic" in sunset["fantom"]


@pytest.mark.parametrize("slug", CHAIN_IDS)
def test_the_native_coin_has_its_own_caip_19_id(slug):
    network = NETWORKS[slug]
    asset = native_asset(network)
    assert asset.asset_id == f"{network.id}/slip44:{SLIP44.get(slug, 60)}"
    assert asset.decimals == (9 if slug == "solana" else 18)
    unlisted = {"coinmarketcap"} if slug == "gnosis" else set()
    assert asset.price_ids.keys() == {"coingecko", "coinmarketcap", "coinpaprika"} - unlisted


@pytest.mark.parametrize("slug", CHAIN_IDS)
def test_every_price_service_has_a_name_for_the_network(slug):
    platforms = NETWORKS[slug].price_platforms
    assert platforms.keys() == {"coingecko", "coinmarketcap", "defillama"}
    assert all(platforms.values())


def test_ether_has_one_price_wherever_it_is_the_native_coin():
    priced_as = {slug: network.native.priced_as for slug, network in NETWORKS.items() if slug not in SLIP44}
    assert set(priced_as.values()) == {"eip155:1/slip44:60"}
    assert len(priced_as) == 7


@pytest.mark.parametrize("slug", EVM)
def test_every_evm_network_has_multicall3_and_canonical_but_for_zksync(slug):
    multicall3 = NETWORKS[slug].contracts["multicall3"]
    own = "0xF9cda624FBC7e059355ce98a31693d299FACd963"
    assert multicall3.address == (own if slug == "zksync" else "0xcA11bde05977b3631167028862bE2a173976CA11")
    assert multicall3.since_block > 0


def test_ens_and_arbsys_are_where_they_are_deployed():
    registry = NETWORKS["ethereum"].contracts["ens_registry"]
    assert (registry.address, registry.since_block) == ("0x00000000000C2E074eC69A0dFb2997BA6C7d2e1e", 9380380)
    assert NETWORKS["arbitrum"].contracts["arbsys"].address == "0x0000000000000000000000000000000000000064"


@pytest.mark.parametrize("slug", CHAIN_IDS)
def test_a_network_has_several_endpoints_and_none_wants_a_key(slug):
    endpoints = NETWORKS[slug].endpoints
    assert len(endpoints) >= 2
    assert all(url.startswith(("https://", "wss://")) for url in endpoints)
    sockets = [url.startswith("wss://") for url in endpoints]
    assert sockets == sorted(sockets), "http first, then ws"


@pytest.mark.parametrize("slug", CHAIN_IDS)
def test_a_network_lists_at_least_fifty_tokens_and_sonic_twenty(slug):
    assert len(TOKENS[slug]) >= (20 if slug == "sonic" else 50)


def test_ethereum_lists_178_tokens():
    assert len(TOKENS["ethereum"]) == 178


@pytest.mark.parametrize("slug", EVM)
def test_every_evm_token_address_is_in_eip_55_form_as_a_second_library_says(slug):
    raw = (DATA / "tokens" / f"{slug}.json").read_text()
    for token in TOKENS[slug]:
        assert is_checksum_address(token.contract_address)
        assert token.contract_address in raw, "the file itself has the checksummed form"


def test_every_solana_mint_is_32_bytes_as_a_second_library_says():
    for token in TOKENS["solana"]:
        assert str(Pubkey.from_string(token.contract_address)) == token.contract_address


@pytest.mark.parametrize("slug", CHAIN_IDS)
def test_a_shipped_list_is_of_its_network_only_and_has_no_mirror_in_it(slug):
    document = (DATA / "tokens" / f"{slug}.json").read_bytes()
    parsed = read_token_list(document, slug, NETWORKS)
    assert (parsed.untracked, parsed.mirrors) == (0, 0)
    assert {token.network for token in parsed.tokens} == {slug}
    assert list_chain_id(NETWORKS[slug]) == (CHAIN_IDS[slug] or 101)


@pytest.mark.parametrize("slug", CHAIN_IDS)
def test_the_wrapped_native_coin_is_listed_with_the_coins_decimals(slug):
    network = NETWORKS[slug]
    wrapped = [token for token in TOKENS[slug] if token.contract_address == network.wrapped_native]
    assert [token.decimals for token in wrapped] == [network.native.decimals]


def test_what_is_shipped_is_verified_and_says_how_sure_it_is():
    for tokens in TOKENS.values():
        assert {token.trust for token in tokens} == {"verified"}
        assert {token.confidence for token in tokens} <= {"high", "medium", "low"}


def test_a_token_that_nothing_backs_has_no_price_id():
    unbacked = [token for token in TOKENS["fantom"] if "unbacked" in (token.note or "")]
    assert len(unbacked) == 18
    assert not any(token.price_ids for token in unbacked)


def test_decimals_are_those_of_the_network_and_not_of_the_original():
    usdt = {slug: {token.decimals for token in TOKENS[slug] if token.symbol == "USDT"} for slug in TOKENS}
    assert usdt["ethereum"] == {6}
    assert usdt["bsc"] == {18}


def test_every_mirror_of_a_native_coin_is_known():
    mirrors = {slug: network.mirrors for slug, network in NETWORKS.items() if network.mirrors}
    assert mirrors == {
        "polygon": ("0x0000000000000000000000000000000000001010",),
        "zksync": ("0x000000000000000000000000000000000000800A",),
        "optimism": ("0xDeadDeAddeAddEAddeadDEaDDEAdDeaDDeAD0000",),
        "base": ("0xDeadDeAddeAddEAddeadDEaDDEAdDeaDDeAD0000",),
    }


def test_everything_loads_in_a_moment():
    """Well under 0.15 s on its own; the bound leaves room for a busy machine."""
    started = time.process_time()
    load_tokens(load_networks(), shipped=True)
    assert time.process_time() - started < 0.5
