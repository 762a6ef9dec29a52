"""Shipped lists and the operator's over them."""

import dataclasses

import pytest
from tests.catalog.examples import DAI, NETWORK, USDC, token, token_list

from balance_tracker.catalog.networks import load_networks
from balance_tracker.catalog.tokens import load_tokens, read_local_list
from balance_tracker.core.errors import ConfigurationError

NETWORKS = load_networks()
UNLISTED = "0x00000000000000000000000000000000DeaDBeef"


def _by_address(tokens):
    return {asset.contract_address: asset for asset in tokens}


def test_the_operators_facts_win_and_a_shipped_token_stays_verified():
    ours = token(symbol="USDC-ours", name="Our name", decimals=7, extensions={"coingeckoId": "ours"})
    ethereum = load_tokens(NETWORKS, shipped=True, extra_lists=[("mine.json", token_list(ours))])["ethereum"]
    usdc = _by_address(ethereum)[USDC]
    assert (usdc.symbol, usdc.name, usdc.decimals, usdc.trust) == ("USDC-ours", "Our name", 7, "verified")
    assert usdc.price_ids == {"coingecko_hint": "ours", "coinpaprika": "usdc-usd-coin"}
    assert usdc.logo_uri is not None, "what the operator does not say stays"
    assert len(ethereum) == 178


def test_a_token_of_the_operator_only_is_listed():
    document = token_list(token(address=UNLISTED, symbol="OWN"))
    tokens = load_tokens(NETWORKS, shipped=True, extra_lists=[("mine.json", document)])
    assert _by_address(tokens["ethereum"])[UNLISTED].trust == "listed"
    assert tokens["ethereum"][-1].symbol == "OWN", "shipped ones come first"


def test_without_the_shipped_lists_only_the_operators_tokens_are_tracked():
    tokens = load_tokens(NETWORKS, shipped=False, extra_lists=[("mine.json", token_list(token()))])
    assert [asset.trust for asset in tokens["ethereum"]] == ["listed"]
    assert tokens["base"] == ()
    assert tokens.keys() == NETWORKS.keys()


def test_a_later_list_wins_over_an_earlier_one():
    lists = [("a", token_list(token(symbol="ONE"))), ("b", token_list(token(symbol="TWO")))]
    assert load_tokens(NETWORKS, shipped=False, extra_lists=lists)["ethereum"][0].symbol == "TWO"


def test_a_hint_of_the_operator_takes_the_place_of_a_confirmed_id():
    ours = token(extensions={"coingeckoId": "maybe", "coingeckoIdFrom": "list"})
    tokens = load_tokens(NETWORKS, shipped=True, extra_lists=[("mine.json", token_list(ours))])
    assert _by_address(tokens["ethereum"])[USDC].price_ids == {
        "coinpaprika": "usdc-usd-coin",
        "coingecko_hint": "maybe",
    }


def test_a_list_may_be_a_file_of_this_machine(tmp_path):
    path = tmp_path / "mine.json"
    path.write_bytes(token_list(token(address=DAI)))
    for source in (path, str(path), read_local_list(path)):
        tokens = load_tokens(NETWORKS, shipped=False, extra_lists=[source])
        assert [asset.contract_address for asset in tokens["ethereum"]] == [DAI]


def test_a_file_that_is_not_there_or_no_file_is_refused(tmp_path):
    with pytest.raises(ConfigurationError, match=r"nowhere\.json: does not exist"):
        read_local_list(tmp_path / "nowhere.json")
    with pytest.raises(ConfigurationError, match="is not a file"):
        read_local_list(tmp_path)


def test_only_tracked_networks_have_tokens():
    some = {slug: NETWORKS[slug] for slug in ("base", "solana")}
    assert load_tokens(some, shipped=True).keys() == {"base", "solana"}


def test_a_network_of_the_operator_has_no_shipped_tokens_even_under_a_shipped_slug(tmp_path):
    (tmp_path / "mirrornet.toml").write_text(NETWORK)
    (tmp_path / "base.toml").write_text(NETWORK.replace("mirrornet", "base").replace("4242", "4243"))
    tokens = load_tokens(load_networks(tmp_path), shipped=True)
    assert tokens["mirrornet"] == tokens["base"] == ()


def test_a_mirror_that_the_operator_names_leaves_the_shipped_list_too():
    polygon = NETWORKS["polygon"]
    without = dataclasses.replace(polygon, mirrors=(*polygon.mirrors, polygon.wrapped_native))
    tokens = load_tokens({polygon.slug: without}, shipped=True)["polygon"]
    assert polygon.wrapped_native not in _by_address(tokens)


def test_a_hint_that_says_what_is_confirmed_changes_nothing():
    ours = token(extensions={"coingeckoId": "usd-coin"})
    tokens = load_tokens(NETWORKS, shipped=True, extra_lists=[("mine.json", token_list(ours))])
    assert _by_address(tokens["ethereum"])[USDC].price_ids["coingecko"] == "usd-coin"


def test_an_id_that_two_tokens_of_a_network_have_is_a_hint_for_both():
    of_both = {"coingeckoId": "usd-coin", "coingeckoIdFrom": "platform"}
    pair = token_list(token(extensions=of_both), token(address=DAI, extensions=of_both))
    tokens = load_tokens(NETWORKS, shipped=False, extra_lists=[("mine.json", pair)])["ethereum"]
    assert [asset.price_ids for asset in tokens] == [{"coingecko_hint": "usd-coin"}] * 2
    for asset in load_tokens(NETWORKS, shipped=True)["polygon"]:
        assert asset.price_ids.get("coingecko") != "usd-coin"
