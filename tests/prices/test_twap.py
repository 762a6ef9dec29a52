"""Prices by pools, on Uniswap's own contracts: the mean, who can move it, and when it is none."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.conftest import OpenGateway
from tests.evm.scenes import soon
from tests.nodes.chains import rolled_back, started
from tests.prices.pool_scenes import (
    ETHEREUM,
    FACTORY,
    LOW,
    NETWORK,
    OFFERED,
    SPACING,
    USDC,
    WETH,
    PoolOnNode,
    PoolsOnNode,
    Rates,
    ether_id,
    place_pools,
    unlisted,
)

from balance_tracker.core.assets import Asset
from balance_tracker.core.errors import UpstreamError
from balance_tracker.core.ids import AssetId
from balance_tracker.core.prices import Quote
from balance_tracker.demo.anvil import AnvilNode
from balance_tracker.demo.contracts import MULTICALL3_ADDRESS, ContractLibrary, multicall3_runtime, set_code
from balance_tracker.evm.outcomes import NO_CONTRACT
from balance_tracker.prices.uniswap_twap import WINDOW_SECONDS, UniswapTwap, read_observation
from balance_tracker.transport.pool import open_pool

integration = pytest.mark.integration

ETHER_USD = Decimal("3120.5")
USDC_ID = AssetId(f"eip155:1/erc20:{USDC}")
LOW_ASSET, HIGH_ASSET = unlisted()
E18 = 10**18


@pytest.fixture(scope="module")
def pool_node() -> Iterator[AnvilNode]:
    with started(1) as node:
        set_code(node.client, {MULTICALL3_ADDRESS: multicall3_runtime()})
        yield node


@pytest.fixture(scope="module")
def placed(pool_node: AnvilNode, library: ContractLibrary) -> PoolsOnNode:
    return place_pools(pool_node.client, library)


@pytest.fixture
def pools(placed: PoolsOnNode) -> Iterator[PoolsOnNode]:
    with rolled_back(placed.client):
        yield placed


@asynccontextmanager
async def twap(url: str, rates: Rates | None = None, **options: Any) -> AsyncIterator[UniswapTwap]:
    rates = rates or Rates({ether_id(): ETHER_USD, USDC_ID: Decimal("0.9998")})
    async with open_pool(ETHEREUM, [url]) as pool:
        yield UniswapTwap({ETHEREUM: NETWORK}, {ETHEREUM: pool}, {ETHEREUM: OFFERED}, rates, **options)


async def quotes_of(url: str, *assets: Asset, rates: Rates | None = None, **options: Any) -> list[Quote]:
    async with twap(url, rates, **options) as source:
        return list(await source.quotes(assets, soon()))


def settled(pools: PoolsOnNode, asset: Asset = LOW_ASSET, quotes: int = 400 * E18) -> PoolOnNode:
    """A pool with ether, deep enough, half an hour old; one whole token is 0.002 ether."""
    assert asset.contract_address is not None
    price = Decimal("0.002").scaleb(18 - (asset.decimals or 0))
    pool = pools.create(asset.contract_address, WETH, price)
    pool.add_liquidity(10**26, quotes)
    pools.pass_time(WINDOW_SECONDS + 60)
    return pool


def is_near(amount: Decimal, expected: Fraction, part: Fraction = Fraction(1, 10**16)) -> bool:
    return abs(Fraction(amount) - expected) <= expected * part


def price_at(tick: int, asset: Asset, rate: Decimal) -> Fraction:
    """The price of a token that comes first in its pool, by fractions alone."""
    digits = (asset.decimals or 0) - 18
    return Fraction(10001, 10000) ** tick * Fraction(10) ** digits * Fraction(rate)


# The mean.


@integration
@pytest.mark.parametrize("asset", [LOW_ASSET, HIGH_ASSET], ids=["first", "second"])
async def test_a_quiet_pool_has_the_price_of_its_tick(
    pools: PoolsOnNode, pool_node: AnvilNode, asset: Asset
) -> None:
    pool = settled(pools, asset)
    (quote,) = await quotes_of(pool_node.url, asset)
    tick = pool.tick if asset is LOW_ASSET else -pool.tick
    assert is_near(quote.amount, price_at(tick, asset, ETHER_USD))
    assert is_near(quote.amount, Fraction(2, 1000) * Fraction(ETHER_USD), Fraction(2, 10_000))
    assert (quote.asset_id, quote.source, quote.family) == (asset.asset_id, "uniswap_twap", "pool")
    assert quote.as_of == datetime.fromtimestamp(pools.now, UTC)
    assert quote.liquidity is not None
    assert is_near(quote.liquidity, Fraction(400) * Fraction(ETHER_USD), Fraction(1, 1_000))
    assert quote.confidence == Decimal("0.75")


@integration
async def test_the_mean_equals_one_computed_from_every_swap(pools: PoolsOnNode, pool_node: AnvilNode) -> None:
    pool = settled(pools)
    since = [(pools.now - WINDOW_SECONDS - 60, pool.tick)]
    for minutes, sold in ((4, 5_000), (9, 20_000), (3, 700), (6, 45_000)):
        pools.pass_time(minutes * 60)
        pool.swap(sell_token=sold * E18)
        since.append((pools.now, pool.tick))
    pools.pass_time(123)
    end = pools.now
    begin = end - WINDOW_SECONDS
    spans = zip(since, [*since[1:], (end, 0)], strict=True)
    total = sum(tick * max(0, until - max(at, begin)) for (at, tick), (until, _) in spans)
    (quote,) = await quotes_of(pool_node.url, LOW_ASSET)
    assert len({tick for _, tick in since}) == 5
    assert is_near(quote.amount, price_at(total // WINDOW_SECONDS, LOW_ASSET, ETHER_USD))


@integration
async def test_one_block_moves_the_mean_by_its_share_only(pools: PoolsOnNode, pool_node: AnvilNode) -> None:
    pool = settled(pools)
    (before,) = await quotes_of(pool_node.url, LOW_ASSET)
    calm = pool.tick
    pool.swap(sell_quote=4_000 * E18)
    pools.pass_time(12)
    moved = pool.tick - calm
    assert Fraction(10001, 10000) ** moved > 100  # the spot price is a hundred times what it was
    (after,) = await quotes_of(pool_node.url, LOW_ASSET)
    share = Fraction(10001, 10000) ** (moved * 15 // WINDOW_SECONDS + 1)
    assert Fraction(after.amount) / Fraction(before.amount) <= share < Fraction(105, 100)


@integration
async def test_the_mean_of_a_past_time_is_what_it_was_then(pools: PoolsOnNode, pool_node: AnvilNode) -> None:
    pool = settled(pools)
    then = pools.now
    (before,) = await quotes_of(pool_node.url, LOW_ASSET)
    pools.pass_time(60)
    pool.swap(sell_token=50_000 * E18)
    pools.pass_time(WINDOW_SECONDS)
    async with twap(pool_node.url) as source:
        (past,) = await source.quotes_at([LOW_ASSET], datetime.fromtimestamp(then, UTC), soon())
        (now,) = await source.quotes([LOW_ASSET], soon())
        assert await source.series(LOW_ASSET, past.as_of, now.as_of, "1h", soon()) == ()
    assert (past.amount, past.as_of) == (before.amount, before.as_of)
    assert now.amount < past.amount


# When there is none.


@integration
async def test_a_pool_with_little_behind_it_is_no_price(pools: PoolsOnNode, pool_node: AnvilNode) -> None:
    settled(pools, quotes=31 * E18)
    assert await quotes_of(pool_node.url, LOW_ASSET) == []
    (quote,) = await quotes_of(pool_node.url, LOW_ASSET, liquidity_floor=Decimal(90_000))
    assert quote.confidence == Decimal("0.6")


@integration
async def test_a_balance_that_is_out_of_range_counts_for_nothing(
    pools: PoolsOnNode, pool_node: AnvilNode
) -> None:
    pool = settled(pools, quotes=10 * E18)
    below = (pool.tick // SPACING - 500) * SPACING
    pool.add_liquidity(0, 5_000 * E18, (below - 10 * SPACING, below))
    pools.pass_time(WINDOW_SECONDS + 60)
    assert await quotes_of(pool_node.url, LOW_ASSET) == []


@integration
async def test_liquidity_of_the_last_minute_counts_for_nothing(
    pools: PoolsOnNode, pool_node: AnvilNode
) -> None:
    pool = settled(pools, quotes=10 * E18)
    pool.add_liquidity(10**26, 5_000 * E18)
    pools.pass_time(30)
    assert await quotes_of(pool_node.url, LOW_ASSET) == []
    pools.pass_time(WINDOW_SECONDS)
    assert len(await quotes_of(pool_node.url, LOW_ASSET)) == 1


@integration
async def test_a_pool_that_remembers_less_than_the_window_is_no_price(
    pools: PoolsOnNode, pool_node: AnvilNode
) -> None:
    pool = pools.create(LOW, WETH, Decimal("0.002"), observations=1)
    pool.add_liquidity(10**26, 400 * E18)
    pools.pass_time(WINDOW_SECONDS)
    pool.swap(sell_token=20_000 * E18)
    pools.pass_time(60)
    assert await quotes_of(pool_node.url, LOW_ASSET) == []


@integration
async def test_without_a_price_of_the_quote_token_there_is_none(
    pools: PoolsOnNode, pool_node: AnvilNode
) -> None:
    settled(pools)
    rates = Rates({USDC_ID: Decimal(1)})
    assert await quotes_of(pool_node.url, LOW_ASSET, rates=rates) == []
    assert rates.asked == [ether_id()]


@integration
async def test_what_has_no_pool_or_no_decimals_has_no_price(
    pools: PoolsOnNode, pool_node: AnvilNode, open_gateway: OpenGateway
) -> None:
    settled(pools)
    gateway = await open_gateway(pool_node.url)
    native = replace(LOW_ASSET, contract_address=None)
    elsewhere = replace(LOW_ASSET, network="solana")
    follower = replace(LOW_ASSET, priced_as=ether_id())
    unknown = replace(LOW_ASSET, decimals=None)
    rates = Rates({})
    assert await quotes_of(gateway.url, native, elsewhere, follower, unknown, rates=rates) == []
    assert gateway.counts.requests == 0
    assert await quotes_of(gateway.url, HIGH_ASSET, rates=rates) == []
    assert rates.asked == []


# Which pool, and at what cost.


@integration
async def test_the_deepest_pool_speaks(pools: PoolsOnNode, pool_node: AnvilNode) -> None:
    settled(pools)
    deep = pools.create(LOW, USDC, Decimal("6.1").scaleb(6 - 18))
    deep.add_liquidity(10**27, 2_000_000 * 10**6)
    pools.pass_time(WINDOW_SECONDS + 60)
    (quote,) = await quotes_of(pool_node.url, LOW_ASSET)
    assert is_near(quote.amount, Fraction("6.1") * Fraction("0.9998"), Fraction(2, 10_000))
    assert quote.liquidity is not None
    assert is_near(quote.liquidity, Fraction(2_000_000) * Fraction("0.9998"), Fraction(1, 1_000))


@integration
async def test_pools_are_looked_for_once_and_read_in_one_request(
    pools: PoolsOnNode, pool_node: AnvilNode, open_gateway: OpenGateway
) -> None:
    settled(pools)
    settled(pools, HIGH_ASSET)
    gateway = await open_gateway(pool_node.url)
    async with twap(gateway.url) as source:
        assert len(await source.quotes([LOW_ASSET, HIGH_ASSET], soon())) == 2
        assert gateway.counts.requests == 2
        assert len(await source.quotes([LOW_ASSET, HIGH_ASSET], soon())) == 2
        assert gateway.counts.requests == 3


@integration
async def test_a_factory_that_is_not_there_knows_no_pools(pools: PoolsOnNode, pool_node: AnvilNode) -> None:
    settled(pools)
    set_code(pools.client, {FACTORY: b""})
    assert await quotes_of(pool_node.url, LOW_ASSET) == []


async def test_an_endpoint_that_is_down_raises_and_is_no_empty_answer() -> None:
    with pytest.raises(UpstreamError):
        await quotes_of("http://127.0.0.1:1/", LOW_ASSET)


@integration
async def test_where_the_rates_fail_it_fails_and_does_not_guess(
    pools: PoolsOnNode, pool_node: AnvilNode
) -> None:
    settled(pools)
    with pytest.raises(UpstreamError, match="no rates"):
        await quotes_of(pool_node.url, LOW_ASSET, rates=Rates({}, error=UpstreamError("no rates")))


# What a pool says.


def observation(*words: int) -> bytes:
    return b"".join((word % 2**256).to_bytes(32) for word in words)


GOOD = (64, 160, 2, 0, 1_800 * 7, 2, 0, 1_800 << 64)


def test_cumulative_ticks_may_go_round_and_a_mean_is_rounded_down() -> None:
    def mean(first: int, second: int) -> int | None:
        found = read_observation(observation(*GOOD[:3], first, second, *GOOD[5:]))
        return found.mean_tick if found else None

    assert mean(0, 1_800 * 7 + 1) == 7
    assert mean(0, -1_800 * 7 - 1) == -8
    assert mean(2**55 - 900, -(2**55) + 900) == 1
    assert mean(-(2**55) + 900, 2**55 - 900) == -1


@pytest.mark.parametrize(
    "outcome",
    [
        b"",
        observation(*GOOD[:7]),
        observation(*GOOD, 0),
        observation(32, *GOOD[1:]),
        observation(*GOOD[:2], 3, *GOOD[3:]),
        observation(*GOOD[:6], 5, 5),
        NO_CONTRACT,
    ],
)
def test_what_is_no_observation_is_none(outcome: Any) -> None:
    assert read_observation(outcome) is None


@given(st.binary(max_size=300))
def test_no_answer_makes_a_pool_raise(data: bytes) -> None:
    read_observation(data)
