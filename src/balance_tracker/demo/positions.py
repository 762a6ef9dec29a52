"""Protocols on the demo's nodes, and what the sample wallets have in them. Every amount is invented.

Ethereum has Aave V3, Uniswap V3 and V2; Arbitrum has Uniswap V3. All of it is the protocols' own code at
the addresses that the tracker is shipped with.
"""

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path

from balance_tracker.catalog.protocols import Deployments
from balance_tracker.core.errors import ConfigurationError
from balance_tracker.core.ids import Slug
from balance_tracker.demo.aave import Listing, place_aave
from balance_tracker.demo.aave_code import aave_codes
from balance_tracker.demo.contracts import DEPLOYER, Transaction, transact
from balance_tracker.demo.feeds import PRICES
from balance_tracker.demo.networks import LocalNetwork, to_raw_amount
from balance_tracker.demo.protocol_tables import Row, shipped_row
from balance_tracker.demo.stories import TRADER, TREASURY
from balance_tracker.demo.uniswap import (
    V2_ROUTER,
    V3_ROUTER,
    PoolPlan,
    allowed,
    around,
    created_pool,
    liquidity_added,
    minted,
    place_v2,
    place_v3,
    swapped,
    tick_now,
)

ETHEREUM, ARBITRUM = Slug("ethereum"), Slug("arbitrum")
AAVE_MARKET, V3_MARKET, V2_MARKET = "AaveV3Ethereum", "Uniswap V3", "Uniswap V2"

_LISTED = (
    ("WETH", "ETH/USD", 8050, 8300),
    ("WBTC", "BTC/USD", 7300, 7800),
    ("USDC", "USDC/USD", 7500, 7800),
    ("LINK", "LINK/USD", 6600, 7100),
)
"""Reserves of Aave: symbol, the feed that prices it, how much may be borrowed on it, and until when."""

_SUPPLIED = (
    (DEPLOYER, "WETH", "5000"),
    (TREASURY, "WBTC", "12"),
    (TREASURY, "USDC", "1500000"),
    (TRADER, "WETH", "6.5"),
    (TRADER, "LINK", "400"),
)
_BORROWED = ((TREASURY, "WETH", "100"), (TRADER, "USDC", "12500"))

_FEE, _SPACING, _REACH = 500, 10, 2_000
"""Of a pool of 0.05%, and how many ticks a position reaches to both sides: about a fifth of the price."""

_POOLED = {
    ETHEREUM: ((DEPLOYER, "900"), (TRADER, "2.25")),
    ARBITRUM: ((DEPLOYER, "400"), (TREASURY, "60")),
}
"""Who puts so much wrapped ether, and as much dollars, into the pool of each network."""

_SOLD = ("40", "120000")
"""Wrapped ether, then dollars, that are sold into each pool: what its fees are of."""

_PAIRED = ("50", "156027.5")
"""Wrapped ether and dollars of the treasury in a pair of V2."""


def place_protocols(
    networks: Mapping[Slug, LocalNetwork], tables: Mapping[str, Deployments], packages: Path
) -> list[tuple[str, Row]]:
    """Put protocols on the nodes, and let the sample wallets use them.

    Args:
        networks: The demo's networks, with tokens and feeds; the wallets hold what they need for it.
        tables: What the tracker is shipped with.
        packages: The npm packages that were fetched.

    Returns:
        What is there now: protocols and the rows of their tables.

    Raises:
        UpstreamError: A constructor or a transaction failed.
        ConfigurationError: The tables lack what the demo puts there.
    """
    lending = shipped_row(tables, "aave_v3", ETHEREUM, AAVE_MARKET)
    _lend(networks[ETHEREUM], lending, packages)
    placed = [("aave_v3", lending)]
    for slug, owners in _POOLED.items():
        row = shipped_row(tables, "uniswap_v3", slug, V3_MARKET)
        _pool(networks[slug], row, packages, owners)
        placed.append(("uniswap_v3", row))
    exchange = shipped_row(tables, "uniswap_v2", ETHEREUM, V2_MARKET)
    placed.append(("uniswap_v2", _pair(networks[ETHEREUM], exchange, packages)))
    return placed


def _lend(network: LocalNetwork, row: Row, packages: Path) -> None:
    client = network.client
    feeds = {one.feed.pair: str(one.feed.proxy) for one in network.feeds}
    listings = [
        Listing(symbol, _token(network, symbol), network.decimals[symbol], feeds[pair], ltv, threshold)
        for symbol, pair, ltv, threshold in _LISTED
    ]
    market = place_aave(client, aave_codes(packages), row, listings)
    steps = [network.transfer(DEPLOYER, who, symbol, amount) for who, symbol, amount in _SUPPLIED]
    for who, symbol, amount in _SUPPLIED:
        steps += market.supplied(who, _token(network, symbol), _raw(network, symbol, amount))
    transact(client, steps)
    transact(
        client,
        [
            market.borrowed(who, _token(network, symbol), _raw(network, symbol, amount))
            for who, symbol, amount in _BORROWED
        ],
    )


def _pool(network: LocalNetwork, row: Row, packages: Path, owners: tuple[tuple[str, str], ...]) -> None:
    client, manager = network.client, str(row["manager"])
    weth, usdc = _token(network, "WETH"), _token(network, "USDC")
    place_v3(client, packages, row, _wrapped_native(network))
    worth = _raw(network, "USDC", _in_dollars("1"))
    plan = PoolPlan.priced((weth, 10**18), (usdc, worth), _FEE, _SPACING)
    transact(client, [created_pool(manager, plan)])
    ticks = around(tick_now(client, str(row["factory"]), plan), _SPACING, _REACH)
    steps: list[Transaction] = allowed(DEPLOYER, V3_ROUTER, plan.tokens)
    for who, ether in owners:
        dollars = _in_dollars(ether)
        amounts = {weth: _raw(network, "WETH", ether), usdc: _raw(network, "USDC", dollars)}
        if who != DEPLOYER:
            steps += [
                network.transfer(DEPLOYER, who, "WETH", ether),
                network.transfer(DEPLOYER, who, "USDC", dollars),
            ]
        steps += allowed(who, manager, plan.tokens)
        steps.append(minted(manager, plan, who, ticks, plan.sides(amounts)))
    transact(client, steps)
    sold = {weth: _raw(network, "WETH", _SOLD[0]), usdc: _raw(network, "USDC", _SOLD[1])}
    first, second = plan.sides(sold)
    transact(client, [swapped(plan, first, first=True), swapped(plan, second, first=False)])


def _pair(network: LocalNetwork, row: Row, packages: Path) -> Row:
    """The treasury's pair; of the exchange's table that pair is left, as the others are not there."""
    weth, usdc = _token(network, "WETH"), _token(network, "USDC")
    place_v2(network.client, packages, row, _wrapped_native(network))
    ether, dollars = _PAIRED
    amounts = _raw(network, "WETH", ether), _raw(network, "USDC", dollars)
    transact(
        network.client,
        [
            network.transfer(DEPLOYER, TREASURY, "WETH", ether),
            network.transfer(DEPLOYER, TREASURY, "USDC", dollars),
            *allowed(TREASURY, V2_ROUTER, (weth, usdc)),
            liquidity_added(TREASURY, (weth, usdc), amounts),
        ],
    )
    pairs = [one for one in row["pairs"] if {*one["tokens"]} == {weth, usdc}]
    return {**row, "pairs": pairs}


def _token(network: LocalNetwork, symbol: str) -> str:
    return str(network.tokens[symbol].address)


def _raw(network: LocalNetwork, symbol: str, amount: str) -> int:
    return to_raw_amount(amount, network.decimals[symbol])


def _in_dollars(ether: str) -> str:
    """What so much ether is worth, in dollars and cents."""
    return str((Decimal(ether) * Decimal(PRICES["ETH/USD"])).quantize(Decimal("0.01")))


def _wrapped_native(network: LocalNetwork) -> str:
    if network.network.wrapped_native is None:
        raise ConfigurationError(f"The demo's {network.network.slug} has no wrapped coin.")
    return str(network.network.wrapped_native)
