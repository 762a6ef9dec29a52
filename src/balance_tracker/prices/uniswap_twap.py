"""Prices by the pools of Uniswap V3, for what no other source knows: a mean of half an hour.

Of every token the pools with a few quote tokens are looked for through the factory. A pool
tells its mean tick over the window; the token's price is that mean, times the quote token's
own price by another source. A pool counts only if enough value stands behind it, so the mean
can't be moved for little, and one block moves it by that block's share of the window.

Sources: https://docs.uniswap.org/concepts/protocol/oracle; ``OracleLibrary.consult`` and
``TickMath`` of Uniswap's v3-periphery and v3-core (mean tick rounded down, price = 1.0001 ** tick).
Proof: tests/prices/test_twap.py, on Uniswap's own contracts.

Known gaps: pools that keep fewer observations than half an hour give nothing, and neither do
tokens whose decimals are not known. There is no series.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Context, Decimal

from balance_tracker.core.assets import Asset
from balance_tracker.core.errors import UpstreamError
from balance_tracker.core.feeds import OnChainPrices, PoolFactory, PoolQuote
from balance_tracker.core.ids import Address, AssetId, Slug
from balance_tracker.core.networks import Network
from balance_tracker.core.prices import Interval, PricePoint, Quote, SourceFamily
from balance_tracker.evm.abi import BALANCE_OF, WORD, address_word, read_address, read_uint
from balance_tracker.evm.block_times import BlockTimes
from balance_tracker.evm.calls import CallReader
from balance_tracker.evm.multicall import Call
from balance_tracker.evm.outcomes import Outcome, is_unanswered
from balance_tracker.evm.question import Question
from balance_tracker.evm.reader import chain_facts
from balance_tracker.ports import PriceSource
from balance_tracker.transport.pool import Pool

NAME = "uniswap_twap"
WINDOW_SECONDS = 1_800
FEES = (100, 500, 3_000, 10_000)
"""Fee tiers in hundredths of a basis point, each a pool of its own."""
LIQUIDITY_FLOOR = Decimal(100_000)
"""US dollars of the quote token that a pool must have behind it."""
CONFIDENCE = (
    (Decimal(10_000_000), Decimal("0.9")),
    (Decimal(2_000_000), Decimal("0.85")),
    (Decimal(500_000), Decimal("0.75")),
    (Decimal(0), Decimal("0.6")),
)
"""From how many US dollars on, how sure a mean is: the most that it costs to move it."""
MOST_ASSETS = 100
"""Assets of one network that are looked for at once."""
POOLS_SECONDS = 6 * 3_600.0
"""How long it is remembered which pools a token has."""
MOST_KEPT = 10_000

GET_POOL = "1698ee82"
OBSERVE = "883bdbfd"
_OBSERVED_WORDS = 8
_WIDE = Context(prec=60)
_SHOWN = Context(prec=18)
"""Digits of a price: a tick is a hundredth of a percent, so these are more than it knows."""
_TICK_BASE = Decimal("1.0001")


@dataclass(frozen=True, slots=True)
class PoolOf:
    """One pool of a token with a quote token."""

    address: Address
    quote: PoolQuote


@dataclass(frozen=True, slots=True)
class Observed:
    """A pool over the window: its mean tick (rounded down), and its mean liquidity (harmonic)."""

    mean_tick: int
    liquidity: int


class UniswapTwap:
    """Quotes from pools; implements :class:`balance_tracker.ports.PriceSource`.

    Args:
        networks: The tracked networks.
        pools: Their endpoints.
        offered: Where the factories are; networks without one are left out.
        rates: Who knows the prices of the quote tokens.
        liquidity_floor: US dollars that a pool must have behind it.
        clock: A monotonic clock, in seconds.
    """

    name = NAME
    family: SourceFamily = "pool"

    def __init__(
        self,
        networks: Mapping[Slug, Network],
        pools: Mapping[Slug, Pool],
        offered: Mapping[Slug, OnChainPrices],
        rates: PriceSource,
        *,
        liquidity_floor: Decimal = LIQUIDITY_FLOOR,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._rates = rates
        self._floor = liquidity_floor
        self._networks: dict[Slug, _NetworkPools] = {}
        for slug, network in networks.items():
            factory = offered[slug].uniswap_v3 if slug in offered else None
            if factory is not None and slug in pools:
                self._networks[slug] = _NetworkPools(network, pools[slug], factory, clock)

    async def quotes(self, assets: Sequence[Asset], deadline: float) -> Sequence[Quote]:
        """See :meth:`balance_tracker.ports.PriceSource.quotes`.

        It takes one request per network; one more where pools have to be found first.
        """
        return await self._quotes(assets, None, lambda quoted: self._rates.quotes(quoted, deadline), deadline)

    async def quotes_at(self, assets: Sequence[Asset], at: datetime, deadline: float) -> Sequence[Quote]:
        """See :meth:`balance_tracker.ports.PriceSource.quotes_at`; it takes an endpoint with old state."""
        return await self._quotes(
            assets, at, lambda quoted: self._rates.quotes_at(quoted, at, deadline), deadline
        )

    async def series(
        self, asset: Asset, start: datetime, end: datetime, interval: Interval, deadline: float
    ) -> Sequence[PricePoint]:
        """None: a pool remembers its last observations only."""
        del asset, start, end, interval, deadline
        return ()

    async def _quotes(
        self,
        assets: Sequence[Asset],
        at: datetime | None,
        ask_rates: Callable[[Sequence[Asset]], Awaitable[Sequence[Quote]]],
        deadline: float,
    ) -> list[Quote]:
        asked: dict[Slug, list[Asset]] = {}
        for asset in assets:
            own = asset.priced_as in (None, asset.asset_id) and asset.contract_address is not None
            if own and asset.decimals is not None and asset.network in self._networks:
                asked.setdefault(asset.network, []).append(asset)
        work = [self._networks[slug].means(some[:MOST_ASSETS], at, deadline) for slug, some in asked.items()]
        results = await asyncio.gather(*(_or_error(part) for part in work))
        means = [mean for result in results if not isinstance(result, UpstreamError) for mean in result]
        errors = [result for result in results if isinstance(result, UpstreamError)]
        if errors and not means:
            raise errors[0]
        needed = {mean.pool.quote.priced_as: mean.quote_asset for mean in means}
        rates = {quote.asset_id: quote for quote in await ask_rates(list(needed.values()))} if needed else {}
        return self._deepest(means, rates)

    def _deepest(self, means: "Sequence[Mean]", rates: Mapping[AssetId, Quote]) -> list[Quote]:
        """Of every asset the pool with most behind it, if that is enough."""
        best: dict[AssetId, Quote] = {}
        for mean in means:
            rate = rates.get(mean.pool.quote.priced_as)
            if rate is None:
                continue
            quote = quote_of(mean, rate)
            known = best.get(quote.asset_id)
            if depth_of(quote) >= self._floor and (known is None or depth_of(quote) > depth_of(known)):
                best[quote.asset_id] = quote
        return list(best.values())


@dataclass(frozen=True, slots=True)
class Mean:
    """What one pool says of one asset at a block; ``balance`` is its own of the quote token, raw."""

    asset: Asset
    pool: PoolOf
    observed: Observed
    balance: int
    block_number: int
    as_of: datetime

    @property
    def tick(self) -> int:
        """The mean tick seen from the asset: the quote token's raw amount for one of the asset's."""
        token, quote = str(self.asset.contract_address).lower(), self.pool.quote.address.lower()
        return self.observed.mean_tick if token < quote else -self.observed.mean_tick

    @property
    def quote_asset(self) -> Asset:
        """What the pool counts in, as an asset to ask the price of."""
        priced_as = self.pool.quote.priced_as
        return Asset(priced_as, self.asset.network, None, None, None, self.pool.quote.decimals)


class _NetworkPools:
    """Finds and reads the pools of one network."""

    def __init__(
        self, network: Network, pool: Pool, factory: PoolFactory, clock: Callable[[], float]
    ) -> None:
        self._factory = factory
        self._clock = clock
        self._calls = CallReader(pool, chain_facts(network))
        self._times = BlockTimes(network, pool)
        self._known: dict[Address, tuple[float, tuple[PoolOf, ...]]] = {}

    async def means(self, assets: Sequence[Asset], at: datetime | None, deadline: float) -> list[Mean]:
        """What all pools of the assets say.

        Raises:
            UpstreamError: No endpoint answered.
        """
        block = await self._times.block_of(at, deadline)
        pools = await self._pools(assets, deadline)
        asked = [(asset, pool) for asset in assets for pool in pools[_contract(asset)]]
        if not asked:
            return []
        calls = [call for _, pool in asked for call in _pool_calls(pool)]
        answer = await self._calls.read(Question(calls=calls), block, deadline)
        found: list[Mean] = []
        outcomes = iter(answer.outcomes)
        for (asset, pool), observation, balance in zip(asked, outcomes, outcomes, strict=True):
            observed = read_observation(observation)
            held = read_uint(balance) if isinstance(balance, bytes) else None
            if observed is not None and held is not None:
                found.append(Mean(asset, pool, observed, held, answer.block.number, answer.block.as_of))
        return found

    async def _pools(self, assets: Sequence[Asset], deadline: float) -> dict[Address, tuple[PoolOf, ...]]:
        now = self._clock()
        contracts = list(dict.fromkeys(_contract(asset) for asset in assets))
        unknown = [one for one in contracts if self._known.get(one, (0.0, ()))[0] <= now]
        if unknown:
            await self._find(unknown, now, deadline)
        return {contract: self._known.get(contract, (0.0, ()))[1] for contract in contracts}

    async def _find(self, contracts: Sequence[Address], now: float, deadline: float) -> None:
        wanted = [
            (contract, quote, fee)
            for contract in contracts
            for quote in self._factory.quotes
            if quote.address != contract
            for fee in FEES
        ]
        calls = [_get_pool(self._factory.factory, *one) for one in wanted]
        outcomes = (await self._calls.read(Question(calls=calls), None, deadline)).outcomes
        found: dict[Address, list[PoolOf]] = {contract: [] for contract in contracts}
        for (contract, quote, _), outcome in zip(wanted, outcomes, strict=True):
            if is_unanswered(outcome):
                found.pop(contract, None)  # not the whole truth: look again next time
            address = read_address(outcome) if isinstance(outcome, bytes) else None
            if address is not None and contract in found:
                found[contract].append(PoolOf(Address(address), quote))
        for contract, pools in found.items():
            self._known[contract] = (now + POOLS_SECONDS, tuple(pools))
        while len(self._known) > MOST_KEPT:
            del self._known[next(iter(self._known))]


def quote_of(mean: Mean, rate: Quote) -> Quote:
    """A pool's mean as a quote in US dollars, by the price of what it counts in.

    Its liquidity is the value of the pool's own balance of the quote token, or of what its mean
    liquidity comes to at the mean price where that is less: a balance out of range moves nothing.
    """
    quote = mean.pool.quote
    digits = (mean.asset.decimals or 0) - quote.decimals
    raw_price = _WIDE.power(_TICK_BASE, mean.tick)
    price = _WIDE.multiply(_WIDE.scaleb(raw_price, digits), rate.amount)
    virtual = _WIDE.multiply(Decimal(mean.observed.liquidity), _WIDE.sqrt(raw_price))
    behind = _WIDE.scaleb(min(virtual, Decimal(mean.balance)), -quote.decimals)
    depth = _WIDE.multiply(behind, rate.amount)
    return Quote(
        asset_id=mean.asset.price_key,
        source=NAME,
        family="pool",
        amount=_SHOWN.plus(price),
        as_of=mean.as_of,
        confidence=min(rate.confidence, next(sure for least, sure in CONFIDENCE if depth >= least)),
        liquidity=_SHOWN.plus(depth),
        block_number=mean.block_number,
    )


def depth_of(quote: Quote) -> Decimal:
    """US dollars behind a quote."""
    return quote.liquidity or Decimal(0)


def read_observation(outcome: Outcome) -> Observed | None:
    """What ``observe([WINDOW_SECONDS, 0])`` gave: two cumulative ticks, two of seconds per liquidity.

    Both may have gone round (56 and 160 bits), so only their differences count.
    """
    if not isinstance(outcome, bytes) or len(outcome) != _OBSERVED_WORDS * WORD:
        return None
    words = [int.from_bytes(outcome[at : at + WORD]) for at in range(0, len(outcome), WORD)]
    if (words[0], words[1], words[2], words[5]) != (2 * WORD, 5 * WORD, 2, 2):
        return None
    ticks = (words[4] - words[3]) % (1 << 56)
    ticks -= (ticks >> 55) << 56
    seconds_per_liquidity = (words[7] - words[6]) % (1 << 160)
    if seconds_per_liquidity == 0:
        return None
    liquidity = WINDOW_SECONDS * ((1 << 160) - 1) // (seconds_per_liquidity << 32)
    return Observed(ticks // WINDOW_SECONDS, liquidity)


def _pool_calls(pool: PoolOf) -> tuple[Call, Call]:
    windows = f"{WORD:064x}{2:064x}{WINDOW_SECONDS:064x}{0:064x}"
    holds = BALANCE_OF + address_word(pool.address)
    return Call(pool.address.lower(), OBSERVE + windows), Call(pool.quote.address.lower(), holds)


def _get_pool(factory: Address, contract: Address, quote: PoolQuote, fee: int) -> Call:
    words = address_word(contract) + address_word(quote.address) + f"{fee:064x}"
    return Call(factory.lower(), GET_POOL + words)


def _contract(asset: Asset) -> Address:
    return asset.contract_address or Address("")


async def _or_error[T](part: Awaitable[T]) -> T | UpstreamError:
    try:
        return await part
    except UpstreamError as error:
        return error
