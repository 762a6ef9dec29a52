"""The portfolio use cases over scripted networks."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

from tests.fakes.readers import ScriptedReader, formats

from balance_tracker.cache.memory import MemoryCache
from balance_tracker.core.assets import Asset
from balance_tracker.core.ids import Slug
from balance_tracker.core.nfts import Collection
from balance_tracker.ports import NameService, NftReader, PriceSource
from balance_tracker.services.addresses import AddressBook
from balance_tracker.services.many import OWNERS_PER_CHUNK, ManyPortfolios
from balance_tracker.services.nft_completing import NftCompletion
from balance_tracker.services.past_prices import PastPrices
from balance_tracker.services.portfolio import PortfolioService
from balance_tracker.services.pricing import PriceService
from balance_tracker.services.reading import NetworkReading
from balance_tracker.services.valuation import Valuation
from balance_tracker.services.whole import WholeService
from balance_tracker.services.whole_reading import WholeReading

NOW = datetime(2026, 11, 22, 5, 0, tzinfo=UTC)


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Scene:
    """Readers, a cache on a standing clock and the use case over them."""

    def __init__(
        self,
        readers: Sequence[ScriptedReader],
        listed: Sequence[Asset] = (),
        *,
        names: NameService | None = None,
        ttl_seconds: float = 60,
        deadline_seconds: float = 2,
        owners_per_chunk: int = OWNERS_PER_CHUNK,
        prices: Sequence[PriceSource] = (),
        price_ttl_seconds: float = 300,
        source_seconds: float = 1,
        collections: Mapping[Slug, Sequence[Collection]] | None = None,
        searches: Mapping[Slug, NftReader] | None = None,
    ) -> None:
        self.clock = Clock()
        self.cache = MemoryCache("balances", clock=self.clock)
        self.readers = {reader.network.slug: reader for reader in readers}
        self.networks = {reader.network.slug: reader.network for reader in readers}
        self.tokens = {
            slug: tuple(asset for asset in listed if asset.network == slug) for slug in self.networks
        }
        readings = {
            slug: NetworkReading(reader, self.tokens[slug], self.cache, ttl_seconds)
            for slug, reader in self.readers.items()
        }
        book = AddressBook(formats(), names)
        self.prices = PriceService(
            prices,
            ttl_seconds=price_ttl_seconds,
            source_seconds=source_seconds,
            clock=self.clock,
            now=lambda: NOW,
        )
        self.past = PastPrices(prices, source_seconds=source_seconds, clock=self.clock)
        valuation = Valuation(self.prices, self.past) if prices else None
        self.service = PortfolioService(
            self.networks,
            readings,
            book,
            names,
            self.cache,
            deadline_seconds=deadline_seconds,
            valuation=valuation,
            now=lambda: NOW,
        )
        self.whole = WholeService(
            self.networks,
            {
                slug: WholeReading(reader, self.tokens[slug], self.cache, ttl_seconds)
                for slug, reader in self.readers.items()
            },
            book,
            names,
            self.cache,
            deadline_seconds=deadline_seconds,
            valuation=valuation,
            collections=collections,
            completion=NftCompletion(searches or {}, self.cache, ttl_seconds),
            now=lambda: NOW,
        )
        self.many = ManyPortfolios(
            self.networks,
            readings,
            book,
            names,
            self.cache,
            deadline_seconds=deadline_seconds,
            owners_per_chunk=owners_per_chunk,
            valuation=valuation,
            now=lambda: NOW,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.past.close()
        await self.prices.close()
        await self.cache.close()
