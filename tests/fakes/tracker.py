"""A tracker over scripted networks, for the entry points."""

import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Self

from tests.fakes.readers import BASE, DAI, ETHEREUM, MINT, SOLANA, USDC, ScriptedReader, token

from balance_tracker.bootstrap import Tracker
from balance_tracker.bootstrap.pricing import PriceSources, open_pricing
from balance_tracker.cache.memory import MemoryCache
from balance_tracker.core.assets import Asset
from balance_tracker.ports import NameService, PriceSource
from balance_tracker.settings import Settings

LISTED = (
    token(ETHEREUM, USDC, "USDC", name="USD Coin"),
    token(ETHEREUM, DAI, "DAI", 18, name="Dai Stablecoin"),
    token(SOLANA, MINT, "USDC", name="USD Coin"),
)


class ScriptedTracker(Tracker):
    """The real use cases over scripted readers; no socket is opened."""

    def __init__(
        self,
        readers: Sequence[ScriptedReader],
        listed: Sequence[Asset] = LISTED,
        names: NameService | None = None,
        settings: Settings | None = None,
        clock: Callable[[], float] = time.monotonic,
        prices: Sequence[PriceSource] = (),
    ) -> None:
        super().__init__(settings or Settings(deadline_seconds=2))
        self._scripted = {reader.network.slug: reader for reader in readers}
        self._listed = {slug: tuple(a for a in listed if a.network == slug) for slug in self._scripted}
        self._scripted_names = names
        self._clock = clock
        self._price_sources = tuple(prices)

    async def __aenter__(self) -> Self:
        cache = await self._stack.enter_async_context(MemoryCache("balances", clock=self._clock))
        networks = {slug: reader.network for slug, reader in self._scripted.items()}
        sources = PriceSources(self._price_sources)
        pricing = await open_pricing(self._stack, self.settings, networks, sources, clock=self._clock)
        self._wire(self._listed, self._scripted, self._scripted_names, cache, pricing)
        return self


def three_networks() -> tuple[ScriptedReader, ScriptedReader, ScriptedReader]:
    """Ethereum with ether and USDC, Base with ether, Solana with SOL and USDC."""
    return (
        ScriptedReader(ETHEREUM, {None: 3 * 10**18, USDC: 1_500_000}),
        ScriptedReader(BASE, {None: 10**17}),
        ScriptedReader(SOLANA, {None: 5, MINT: 2_000_000}, nfts=1),
    )


@asynccontextmanager
async def opened(tracker: Tracker) -> AsyncIterator[Tracker]:
    """Open a tracker, as ``running`` does."""
    async with tracker as open_one:
        yield open_one
