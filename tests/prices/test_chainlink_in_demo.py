"""The demo's feeds: prices of what its wallets hold, read with the balances."""

from contextlib import AsyncExitStack
from decimal import Decimal

import pytest
from tests.evm.scenes import soon

from balance_tracker.bootstrap import listed_tokens, load_settings, tracked_networks
from balance_tracker.catalog.feeds import load_feeds
from balance_tracker.core.assets import native_asset
from balance_tracker.core.ids import Address, Slug
from balance_tracker.demo import run
from balance_tracker.demo.feeds import PRICES
from balance_tracker.demo.run import running_demo
from balance_tracker.demo.stories import TREASURY
from balance_tracker.evm.reader import EvmReader
from balance_tracker.prices.chainlink import ChainlinkFeeds
from balance_tracker.transport.pool import open_pool

HELD = {
    "ethereum": {"USDC", "USDT", "DAI", "WETH", "MKR", "WBTC"},
    "base": {"USDC"},
    "polygon": {"USDC"},
    "arbitrum": {"USDC", "ARB"},
}


@pytest.mark.integration
async def test_the_demo_has_prices_of_the_block_of_its_balances(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "FEEDS_SECONDS", 0.2)
    async with running_demo(lambda line: None), AsyncExitStack() as stack:
        settings = load_settings()
        networks = {slug: net for slug, net in tracked_networks(settings).items() if net.family == "evm"}
        tokens = await listed_tokens(settings, networks)
        pools = {
            slug: await stack.enter_async_context(open_pool(slug, net.endpoints))
            for slug, net in networks.items()
        }
        for slug, net in networks.items():
            feeds = ChainlinkFeeds({slug: net}, pools, load_feeds(networks))
            reader = EvmReader(net, pools[slug], [rider] if (rider := feeds.rider(slug)) else [])
            reading = await reader.read(Address(TREASURY), tokens[slug], None, soon())
            assert (reading.requests, reading.failures) == (1, ())
            assets = [native_asset(net), *tokens[slug]]
            quotes = {quote.asset_id: quote for quote in await feeds.quotes(assets, soon())}
            assert {quote.block_number for quote in quotes.values()} == {reading.block.number}
            held = [balance.asset for balance in reading.balances if balance.raw_amount]
            priced = {asset.symbol for asset in held if asset.price_key in quotes and not asset.native}
            assert priced >= HELD[slug]
            pair = "MATIC/USD" if slug == Slug("polygon") else "ETH/USD"
            assert quotes[native_asset(net).price_key].amount == Decimal(PRICES[pair])
