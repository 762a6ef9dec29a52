"""The script that made the feed files: what a pair's name may mean, and what it may not."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.house.tree import SOURCE
from tools.feeds import document, read_facts, usual_ids

from balance_tracker.catalog.feeds import read_feeds
from balance_tracker.catalog.networks import load_networks
from balance_tracker.core.ids import Slug

NETWORKS = {slug: load_networks()[Slug(slug)] for slug in ("ethereum", "fantom", "arbitrum")}
ADDRESSES = [f"0x{number:040x}" for number in range(1, 30)]
SEQUENCER = "0xFdB631F5EE196F0ed6FAa767959853A9F217697D"


def feed(pair: str, proxy: str, decimals_from: str = "a list") -> dict[str, Any]:
    return {"pair": pair, "proxy": proxy, "decimals": 8, "decimals_from": decimals_from}


def token(symbol: str, address: str, coingecko: str, **more: Any) -> dict[str, Any]:
    facts = {"decimals": 18, "confidence": "high", "coingecko_id_from": "platform"}
    return {"symbol": symbol, "address": address, "coingecko_id": coingecko, **facts, **more}


@pytest.fixture
def written(tmp_path: Path) -> dict[str, str]:
    """What the script writes of each network, of a few made-up facts."""
    on_ethereum = [
        feed("ETH/USD", ADDRESSES[0], "convention"),
        *(feed(f"{base}/USD", ADDRESSES[place]) for place, base in enumerate(BASES, start=1)),
        feed("LDO/ETH", ADDRESSES[20]),
        feed("UNI/ETH", ADDRESSES[21]),
    ]
    feeds = {"ethereum": on_ethereum, "fantom": [feed("DAI/USD", ADDRESSES[22])]}
    arbitrum = [feed("ETH/USD", ADDRESSES[0]), feed("UNI/USD", ADDRESSES[23])]
    (tmp_path / "chainlink_feeds.json").write_text(json.dumps({"feeds": feeds | {"arbitrum": arbitrum}}))
    reserves = [
        {"oracle": ADDRESSES[BASES.index("GOLD") + 1], "underlying": ADDRESSES[24]},
        {"oracle": ADDRESSES[BASES.index("EUR") + 1], "underlying": ADDRESSES[25]},
    ]
    market = {"network": "ethereum", "status": "active", "reserves": reserves}
    shut = {
        "network": "fantom",
        "status": "active",
        "reserves": [{"oracle": ADDRESSES[22], "underlying": ADDRESSES[26]}],
    }
    (tmp_path / "aave_v3.json").write_text(json.dumps({"markets": [market, shut]}))
    (tmp_path / "defi.json").write_text(json.dumps({"uniswap": []}))
    (tmp_path / "tokens").mkdir()
    lists = {"ethereum": ON_ETHEREUM, "fantom": [], "arbitrum": [token("UNI", ADDRESSES[5], "other-uni")]}
    for slug, tokens in lists.items():
        (tmp_path / "tokens" / f"{slug}.json").write_text(json.dumps({"tokens": tokens}))
    book = f"library A {{\n  address constant L2_Sequencer_Uptime_Status_Feed =\n    {SEQUENCER};\n}}"
    (tmp_path / "ChainlinkArbitrum.sol").write_text(book)
    facts = read_facts(tmp_path, tmp_path, NETWORKS)
    return {slug: document(slug, net, facts, usual_ids(facts)) for slug, net in NETWORKS.items()}


BASES = ["UNI", "TWIN", "RARE", "HINT", "MUSD", "GOLD", "EUR", "AAPL"]
ON_ETHEREUM = [
    token("UNI", ADDRESSES[1], "uniswap"),
    token("LDO", ADDRESSES[2], "lido-dao"),
    token("TWIN", ADDRESSES[3], "twin"),
    token("TWIN", ADDRESSES[4], "other-twin"),
    token("RARE", ADDRESSES[5], "rare", confidence="medium"),
    token("HINT", ADDRESSES[6], "hint", coingecko_id_from="logo"),
    token("MUSD", ADDRESSES[7], "musd"),
]


def test_a_pair_means_an_asset_only_where_a_rule_says_so(written: dict[str, str]) -> None:
    offered = read_feeds(written["ethereum"].encode(), "ethereum.toml", NETWORKS["ethereum"])
    told = {feed.pair: feed for feed in offered.feeds}
    assert set(told) == {"ETH/USD", "UNI/USD", "LDO/ETH", "GOLD/USD", "EUR/USD"}
    assert told["ETH/USD"].assets[0] == "eip155:1/slip44:60"
    assert str(NETWORKS["ethereum"].wrapped_native) in told["ETH/USD"].assets[1]
    assert told["GOLD/USD"].assets == (f"eip155:1/erc20:{ADDRESSES[24]}",)
    assert told["EUR/USD"].assets == ("swift:0/iso4217:EUR",)
    assert (told["ETH/USD"].decimals, told["UNI/USD"].decimals) == (None, 8)
    assert (told["ETH/USD"].heartbeat_seconds, told["UNI/USD"].heartbeat_seconds) == (3_600, 86_400)


def test_a_symbol_of_another_asset_elsewhere_is_not_that_asset(written: dict[str, str]) -> None:
    offered = read_feeds(written["arbitrum"].encode(), "arbitrum.toml", NETWORKS["arbitrum"])
    assert [feed.pair for feed in offered.feeds] == ["ETH/USD"]
    assert offered.sequencer == SEQUENCER


def test_a_market_that_is_shut_down_says_nothing(written: dict[str, str]) -> None:
    assert written["fantom"] == ""


def test_the_shipped_files_say_that_they_are_of_their_network() -> None:
    for path in (SOURCE / "data" / "feeds").glob("*.toml"):
        assert path.read_text().startswith(f'slug = "{path.stem}"\n')
