"""Chainlink's feeds on a local node, and contracts that answer as no good feed would."""

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

from eth_abi import decode
from tests.evm.scenes import LOCAL
from tests.nodes.chains import rolled_back

from balance_tracker.catalog.feeds import load_feeds
from balance_tracker.core.assets import Asset
from balance_tracker.core.feeds import Feed, OnChainPrices
from balance_tracker.core.ids import AssetId, Slug
from balance_tracker.core.networks import Network
from balance_tracker.demo.anvil import AnvilNode
from balance_tracker.demo.contracts import ContractLibrary, call_data
from balance_tracker.demo.feeds import PlacedFeed, place_feeds
from balance_tracker.demo.node_client import NodeClient
from balance_tracker.prices.chainlink import ChainlinkFeeds
from balance_tracker.transport.pool import open_pool

ETHEREUM = Slug("ethereum")
ETHER = AssetId("eip155:1/slip44:60")
BITCOIN = AssetId("bip122:000000000019d6689c085ae165831e93/slip44:0")
EURO = AssetId("swift:0/iso4217:EUR")
USDC = AssetId("eip155:1/erc20:0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48")
SHIB = AssetId("eip155:1/erc20:0x95aD61b0a150d79219dCF64E1E6Cc01f0B64C4cE")
WBTC = AssetId("eip155:1/erc20:0x2260FAC5E5542a773Aa44fBCfeDf7C193bc2C599")

PRICES = {
    "ETH/USD": "3120.55418021",
    "BTC/USD": "94210.51320000",
    "USDC/USD": "0.99996",
    "EUR/USD": "1.08614",
    "SHIB/ETH": "0.000000004312345678",
    "WBTC/BTC": "0.99913",
}
SHIPPED = load_feeds({ETHEREUM: LOCAL})[ETHEREUM]
FEEDS = {feed.pair: feed for feed in SHIPPED.feeds}
OFFERED = replace(SHIPPED, feeds=tuple(feed for feed in SHIPPED.feeds if feed.pair in PRICES))

REVERTS = bytes.fromhex("60006000fd")
ENDLESS = bytes.fromhex("5b600056")
_DECIMALS = bytes.fromhex("313ce567")


class Clock:
    """A monotonic clock that stands still."""

    def __init__(self) -> None:
        self.seconds = 1_000.0

    def __call__(self) -> float:
        return self.seconds


@dataclass(frozen=True)
class FeedsOnNode:
    """Chainlink's contracts on a node, each feed at its shipped address, one round old."""

    node: AnvilNode
    library: ContractLibrary
    placed: Mapping[str, PlacedFeed]

    @property
    def client(self) -> NodeClient:
        return self.node.client

    @property
    def now(self) -> int:
        return int(self.client.call("eth_getBlockByNumber", "latest", False)["timestamp"], 16)

    def pass_time(self, seconds: int) -> None:
        self.client.call("evm_increaseTime", seconds)
        self.client.call("evm_mine")

    def latest_round(self, feed: Feed, block: int | str = "latest") -> tuple[int, int, int, int, int]:
        """What the proxy says, decoded by another library."""
        tag = hex(block) if isinstance(block, int) else block
        call = {"to": feed.proxy, "data": "0x" + call_data("latestRoundData()").hex()}
        data = bytes.fromhex(self.client.call("eth_call", call, tag)[2:])
        return decode(["uint80", "int256", "uint256", "uint256", "uint80"], data)  # type: ignore[return-value]


def feeds_on(node: AnvilNode, library: ContractLibrary) -> Iterator[FeedsOnNode]:
    """A fixture's body: the feeds, and everything undone at the end."""
    with rolled_back(node.client):
        placed = place_feeds(node.client, library, OFFERED, PRICES)
        yield FeedsOnNode(node, library, {feed.feed.pair: feed for feed in placed})


def asset(asset_id: AssetId) -> Asset:
    return Asset(asset_id, ETHEREUM, None, None, None, None)


def answering(*words: int, decimals: int = 8) -> bytes:
    """A contract that answers ``decimals()`` properly, and everything else with these words."""
    dispatch = bytes.fromhex("60003560e01c63") + _DECIMALS + bytes.fromhex("141560") + b"\x1a" + b"\x57"
    number = b"\x60" + bytes([decimals]) + bytes.fromhex("60005260206000f3")
    body = b"\x5b"
    for place, word in enumerate(words):
        body += b"\x7f" + word.to_bytes(32) + b"\x60" + bytes([32 * place]) + b"\x52"
    body += b"\x60" + bytes([32 * len(words)]) + bytes.fromhex("6000f3")
    code = dispatch + number
    assert len(code) == 0x1A, len(code)
    return code + body


@asynccontextmanager
async def chainlink(
    urls: Mapping[Slug, str],
    offered: Mapping[Slug, OnChainPrices] | None = None,
    networks: Mapping[Slug, Network] | None = None,
    **options: Any,
) -> AsyncIterator[tuple[ChainlinkFeeds, dict[Slug, Any]]]:
    """A source over these endpoints, and its pools."""
    async with AsyncExitStack() as stack:
        pools = {slug: await stack.enter_async_context(open_pool(slug, [url])) for slug, url in urls.items()}
        yield (
            ChainlinkFeeds(networks or {ETHEREUM: LOCAL}, pools, offered or {ETHEREUM: OFFERED}, **options),
            pools,
        )
