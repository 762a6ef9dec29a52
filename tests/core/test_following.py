"""What has the price of something else, and by which rule."""

import pytest
from tests.core.quotes import ASSET, NOW, quote

from balance_tracker.catalog.networks import load_networks
from balance_tracker.core.decision import decide
from balance_tracker.core.following import Following, FollowingRule, Followings, wrapped_native
from balance_tracker.core.ids import AssetId

WETH = AssetId("eip155:1/erc20:0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2")
RECEIPT = AssetId("eip155:1/erc20:0x030bA81f1c18d280636F32af80b9AAd02Cf0854e")


def entry(asset_id: AssetId, underlying: AssetId) -> Following:
    return Following(asset_id, underlying, FollowingRule.REDEEMS_ONE_FOR_ONE)


def test_wrapped_ether_follows_ether_on_every_network_that_has_it() -> None:
    networks = load_networks()
    follows = {slug: wrapped_native(network) for slug, network in networks.items()}
    ethereum, base = follows["ethereum"], follows["base"]
    assert ethereum is not None
    assert base is not None
    assert (ethereum.asset_id, ethereum.underlying, ethereum.rule) == (WETH, ASSET, "wraps_native")
    assert base.underlying == ASSET
    table = Followings(one for one in follows.values() if one)
    assert table.underlying_of(WETH) == ASSET
    assert table.why(WETH) == ethereum


def test_a_chain_is_followed_to_its_end() -> None:
    table = Followings([entry(RECEIPT, WETH), entry(WETH, ASSET)])
    assert table.underlying_of(RECEIPT) == ASSET
    price = decide([quote("2000")], NOW)
    assert price is not None
    followed = table.follow(RECEIPT, price)
    assert (followed.asset_id, followed.amount, followed.quotes) == (RECEIPT, price.amount, price.quotes)


def test_what_follows_nothing_has_its_own_price_only() -> None:
    table = Followings()
    assert table.underlying_of(WETH) == WETH
    assert table.why(WETH) is None
    price = decide([quote("2000")], NOW)
    assert price is not None
    with pytest.raises(ValueError, match="does not follow"):
        table.follow(WETH, price)


def test_a_table_that_goes_in_circles_or_two_ways_is_refused() -> None:
    with pytest.raises(ValueError, match="follows itself"):
        Followings([entry(WETH, RECEIPT), entry(RECEIPT, WETH)])
    with pytest.raises(ValueError, match="follows itself"):
        Followings([entry(WETH, WETH)])
    with pytest.raises(ValueError, match="follows two"):
        Followings([entry(RECEIPT, WETH), entry(RECEIPT, ASSET)])
