"""Feeds and pools from their files: every key is checked, and the shipped ones hold together."""

from pathlib import Path

import pytest
from tests.fakes.readers import network
from tools.feeds import ISSUED_THERE

from balance_tracker.catalog.feeds import MAX_FEED_BYTES, load_feeds, read_feeds
from balance_tracker.catalog.networks import load_networks
from balance_tracker.catalog.tokens import load_tokens
from balance_tracker.core.errors import ConfigurationError
from balance_tracker.core.feeds import UNIT_ASSETS
from balance_tracker.core.ids import Slug
from balance_tracker.core.money import CURRENCY_ASSETS

ETHEREUM = network("ethereum", chain_id=1)
PROXY = "0x5f4eC3Df9cbd43714FE2740f5E3616155c5b8419"
OTHER = "0xF4030086522a5bEEa4988F8cA5B36dbC97BeE88c"
ETHER = "eip155:1/slip44:60"
GOOD = (
    f'{{ pair = "ETH/USD", proxy = "{PROXY}", unit = "usd", heartbeat_seconds = 3600, assets = ["{ETHER}"] }}'
)


def document(*feeds: str, more: str = "", slug: str = "ethereum") -> bytes:
    return f'slug = "{slug}"\n{more}\nfeeds = [{", ".join(feeds)}]\n'.encode()


def changed(old: str, new: str) -> str:
    assert old in GOOD
    return GOOD.replace(old, new)


def test_a_file_says_what_a_network_offers() -> None:
    quotes = f'quotes = [{{ address = "{PROXY}", decimals = 6, priced_as = "{ETHER}" }}]'
    pools = f'[uniswap_v3]\nfactory = "{OTHER}"\n{quotes}'
    text = document(GOOD, more=f'sequencer = "{OTHER}"').decode() + pools
    offered = read_feeds(text.encode(), "x.toml", ETHEREUM)
    assert (offered.feeds[0].assets, offered.feeds[0].decimals) == ((ETHER,), None)
    assert offered.sequencer == OTHER
    assert offered.uniswap_v3 is not None
    assert offered.uniswap_v3.quotes[0].priced_as == ETHER
    assert read_feeds(b'slug = "ethereum"', "x.toml", ETHEREUM).feeds == ()


@pytest.mark.parametrize(
    ("feeds", "reason"),
    [
        ([changed('"usd"', '"eur"')], "unit must be one of usd, eth, btc"),
        ([changed("3600", "0")], "heartbeat_seconds must be 1 to"),
        ([changed(f'"{ETHER}"', "")], "assets is empty"),
        ([changed(ETHER, "ETH")], r"assets\[0\] is not a CAIP-19 id"),
        (
            [changed(f'"{ETHER}"', f'"{ETHER}", "{ETHER}"')],
            f"assets names {ETHER}, which has the feed ETH/USD",
        ),
        (
            [GOOD, changed("ETH/USD", "X/USD").replace(PROXY, OTHER)],
            f"names {ETHER}, which has the feed ETH/USD",
        ),
        ([GOOD, changed(ETHER, "eip155:1/slip44:1").replace("ETH/USD", "X/USD")], "proxy stands twice"),
        ([changed(PROXY, PROXY.lower().replace("5f4ec3", "5F4ec3"))], "proxy is wrong"),
        ([changed("unit", "units")], "is not a known key"),
        ([changed('"usd"', '"eth"')], f"has ETH/USD, but no feed of {ETHER} in usd"),
        ([changed('unit = "usd", ', "")], "unit is missing"),
    ],
)
def test_a_wrong_feed_is_refused_with_its_reason(feeds: list[str], reason: str) -> None:
    with pytest.raises(ConfigurationError, match=reason):
        read_feeds(document(*feeds), "x.toml", ETHEREUM)


def test_the_file_of_another_network_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="slug must be 'ethereum'"):
        read_feeds(document(GOOD, slug="base"), "x.toml", ETHEREUM)


def test_an_operators_file_stands_for_the_shipped_one(tmp_path: Path) -> None:
    folder = tmp_path / "feeds"
    folder.mkdir()
    (folder / "ethereum.toml").write_bytes(document(GOOD))
    networks = {Slug("ethereum"): ETHEREUM, Slug("solana"): network("solana", "solana", None)}
    assert len(load_feeds(networks, tmp_path)[Slug("ethereum")].feeds) == 1
    assert len(load_feeds(networks)[Slug("ethereum")].feeds) > 50
    assert set(load_feeds(networks)) == {"ethereum"}
    (folder / "ethereum.toml").write_bytes(b"#" * (MAX_FEED_BYTES + 1))
    with pytest.raises(ConfigurationError, match="is larger than"):
        load_feeds(networks, tmp_path)


def test_shipped_feeds_speak_for_listed_tokens_coins_and_currencies_only() -> None:
    networks = load_networks()
    tokens = load_tokens(networks, shipped=True)
    coins = {net.native.priced_as for net in networks.values()}
    wrapped = {f"{net.id}/erc20:{net.wrapped_native}" for net in networks.values()}
    currencies = {asset.asset_id for asset in CURRENCY_ASSETS.values()}
    for slug, offered in load_feeds(networks).items():
        listed = {asset.asset_id for asset in tokens[slug]}
        known = listed | coins | wrapped | currencies | set(UNIT_ASSETS.values())
        assert {one for feed in offered.feeds for one in feed.assets} <= known, slug


def test_every_currency_has_a_shipped_feed() -> None:
    ethereum = load_feeds(load_networks())[Slug("ethereum")]
    spoken_for = {one for feed in ethereum.feeds for one in feed.assets}
    assert {asset.asset_id for asset in CURRENCY_ASSETS.values()} <= spoken_for


def test_shipped_rollups_name_their_sequencer_where_it_is_known() -> None:
    offered = load_feeds(load_networks())
    named = {slug for slug, one in offered.items() if one.sequencer is not None}
    assert named == {"arbitrum", "base", "optimism", "scroll", "zksync"}


def test_nothing_on_fantom_is_priced_but_its_coin_and_the_great_ones() -> None:
    """Its bridged tokens lost what backed them, and feeds still tell of the originals."""
    networks = load_networks()
    fantom = load_feeds(networks)[Slug("fantom")]
    assert {feed.pair for feed in fantom.feeds} == {"ETH/USD", "BTC/USD", "WFTM/USD"}


@pytest.mark.parametrize("slug", ISSUED_THERE)
def test_no_feed_of_the_original_speaks_for_a_copy_on_a_network_that_is_no_rollup(slug: str) -> None:
    networks = load_networks()
    net = networks[Slug(slug)]
    coins = {one.native.priced_as for one in networks.values()} | {f"{net.id}/erc20:{net.wrapped_native}"}
    for feed in load_feeds(networks)[Slug(slug)].feeds:
        copies = [one for one in feed.assets if "/erc20:" in one and one not in coins]
        assert not copies or feed.pair.partition("/")[0].upper() in ISSUED_THERE[slug]


def test_wrapped_ether_of_avalanche_gnosis_polygon_and_bsc_has_no_feed() -> None:
    offered = load_feeds(load_networks())
    spoken_for = {one.lower() for net in offered.values() for feed in net.feeds for one in feed.assets}
    for copy in (
        "eip155:43114/erc20:0x49d5c2bdffac6ce2bfdb6640f4f80f226bc10bab",
        "eip155:100/erc20:0x6a023ccd1ff6f2045c3309768ead9e68f978f6e1",
        "eip155:137/erc20:0x7ceb23fd6bc0add59e62ac25578270cff1b9f619",
        "eip155:56/erc20:0x2170ed0880ac9a755fd29b2688956bd959f933f8",
    ):
        assert copy not in spoken_for
