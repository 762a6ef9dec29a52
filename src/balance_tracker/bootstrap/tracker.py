"""The tracker: everything opened in order, closed in reverse."""

from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from types import TracebackType
from typing import Literal, Self

from balance_tracker.bootstrap.configuration import listed_tokens, load_settings, tracked_networks
from balance_tracker.bootstrap.pricing import (
    PriceSources,
    Pricing,
    Transports,
    open_pricing,
    price_sources,
    with_followings,
)
from balance_tracker.bootstrap.refreshing import refreshed
from balance_tracker.cache.memory import MemoryCache
from balance_tracker.core.assets import Asset
from balance_tracker.core.blocks import At
from balance_tracker.core.ids import Slug
from balance_tracker.core.networks import Network
from balance_tracker.core.portfolio import Portfolio
from balance_tracker.evm.address import EvmAddresses
from balance_tracker.evm.ens import EnsNames
from balance_tracker.evm.reader import EvmReader
from balance_tracker.ports import ChainReader, NameService
from balance_tracker.services.addresses import AddressBook
from balance_tracker.services.asset_ids import AssetIds
from balance_tracker.services.catalog import DEFAULT_LIMIT, CatalogService, NetworkView, TokenPage
from balance_tracker.services.many import AddressAnswer, ManyPortfolios, Report
from balance_tracker.services.portfolio import PortfolioService
from balance_tracker.services.price_history import History
from balance_tracker.services.price_questions import PriceList, PriceQuestions
from balance_tracker.services.reading import NetworkReading
from balance_tracker.services.token_refresh import TokenListDiff
from balance_tracker.services.valuation import Valuation
from balance_tracker.settings import Settings
from balance_tracker.solana.address import SolanaAddresses
from balance_tracker.solana.reader import STALE_BEHIND_SLOTS, SolanaReader
from balance_tracker.telemetry.redact import protect
from balance_tracker.transport.http import HttpClient
from balance_tracker.transport.memory import MemoryFile
from balance_tracker.transport.pool import STALE_BEHIND_BLOCKS, Pool, attempt_seconds, open_pool

ENDPOINTS_FILE = "endpoints.json"
"""What endpoints have shown, in the data directory."""

ComponentStatus = Literal["ok", "unknown", "failed"]


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether questions can be answered, and the state of each component by name."""

    ready: bool
    components: dict[str, ComponentStatus]


class Tracker:
    """The library: what an address holds, from the networks that the settings name.

    Args:
        settings: Taken from the environment and ``.env`` if not given.

    Example:
        ::

            async with Tracker() as tracker:
                portfolio = await tracker.portfolio("vitalik.eth")

    Raises:
        ConfigurationError: On construction or entry, if a setting or a data file is wrong.
    """

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings if settings is not None else load_settings()
        self._stack = AsyncExitStack()
        self._catalog: CatalogService | None = None
        self._readers: Mapping[Slug, ChainReader] = {}
        self._portfolios: PortfolioService | None = None
        self._many: ManyPortfolios | None = None
        self._prices: PriceQuestions | None = None
        self._pricing: Pricing | None = None

    async def __aenter__(self) -> Self:
        protect(url for urls in self.settings.rpc.values() for url in urls)
        protect(entry for entry in self.settings.token_lists if "://" in entry)
        networks = tracked_networks(self.settings)
        tokens = await listed_tokens(self.settings, networks)
        async with AsyncExitStack() as stack:
            through = await _open_transports(stack, networks, self.settings)
            sources = price_sources(self.settings, networks, through)
            listed = await with_followings(tokens, networks, sources.asked)
            cache = await stack.enter_async_context(MemoryCache("balances"))
            names = _names(networks.values(), through.pools)
            readers = {
                slug: _reader(network, through.pools[slug], names, sources)
                for slug, network in networks.items()
            }
            pricing = await open_pricing(stack, self.settings, networks, sources)
            self._wire(listed, readers, names, cache, pricing)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._catalog = self._portfolios = self._many = self._prices = self._pricing = None
        self._readers = {}
        await self._stack.aclose()

    async def portfolio(
        self,
        address: str,
        networks: Sequence[str] | None = None,
        *,
        tokens: Sequence[str] = (),
        currency: str = "usd",
        at: At | str = None,
        spam: bool = False,
        min_value: Decimal | str | int | None = None,
    ) -> Portfolio:
        """What an address holds, and what could not be learnt.

        Arguments and errors are those of
        :meth:`balance_tracker.services.portfolio.PortfolioService.portfolio`.
        """
        return await _opened(self._portfolios).portfolio(
            address,
            networks,
            tokens=tokens,
            currency=currency,
            at=at,
            spam=spam,
            min_value=min_value,
        )

    def portfolios(
        self,
        addresses: Sequence[str],
        networks: Sequence[str] | None = None,
        *,
        tokens: Sequence[str] = (),
        currency: str = "usd",
        at: At | str = None,
        spam: bool = False,
        min_value: Decimal | str | int | None = None,
        progress: Report | None = None,
    ) -> AsyncGenerator[AddressAnswer, None]:
        """What many addresses hold: one matrix per network and chunk, in bounded memory.

        Arguments and errors are those of
        :meth:`balance_tracker.services.many.ManyPortfolios.portfolios`.

        Example:
            ::

                async for answer in tracker.portfolios(addresses, progress=print):
                    print(answer.text, answer.result)
        """
        return _opened(self._many).portfolios(
            addresses,
            networks,
            tokens=tokens,
            currency=currency,
            at=at,
            spam=spam,
            min_value=min_value,
            progress=progress,
        )

    async def prices(self, assets: Sequence[str], currency: str = "usd") -> PriceList:
        """What assets are worth now; every one asked for is in the answer.

        Arguments and errors are those of
        :meth:`balance_tracker.services.price_questions.PriceQuestions.prices`.

        Example:
            ::

                answer = await tracker.prices(["eip155:1/slip44:60"], currency="eur")
        """
        return await _opened(self._prices).prices(assets, currency)

    async def price_history(
        self,
        asset: str,
        start: datetime | str | None = None,
        end: datetime | str | None = None,
        interval: str = "1h",
        *,
        currency: str = "usd",
    ) -> History:
        """What an asset was worth over a time.

        Arguments and errors are those of
        :meth:`balance_tracker.services.price_questions.PriceQuestions.history`.
        """
        return await _opened(self._prices).history(asset, start, end, interval, currency=currency)

    def networks(self) -> tuple[NetworkView, ...]:
        """Every tracked network, with what is known of its endpoints."""
        return _opened(self._catalog).networks()

    def network(self, slug: str) -> NetworkView:
        """One tracked network.

        Raises:
            InputError: ``unknown_network``, with the nearest slug.
        """
        return _opened(self._catalog).network(slug)

    def tokens(
        self,
        networks: Sequence[str] | None = None,
        query: str | None = None,
        limit: int = DEFAULT_LIMIT,
        cursor: str | None = None,
    ) -> TokenPage:
        """Listed tokens, page by page.

        Raises:
            InputError: ``unknown_network``, ``invalid_limit`` or ``invalid_cursor``.
        """
        return _opened(self._catalog).tokens(networks, query, limit, cursor)

    async def probe(self, networks: Sequence[str] | None = None) -> tuple[NetworkView, ...]:
        """Ask every endpoint for its chain and head, and return the networks with their health."""
        catalog = _opened(self._catalog)
        await catalog.probe(networks, deadline_seconds=self.settings.deadline_seconds)
        return catalog.networks()

    async def refresh_tokens(self, sources: Sequence[str] = (), *, keep: bool = False) -> TokenListDiff:
        """Read token lists again, check every token on chain, and say what would change.

        Args:
            sources: URLs or files; those of the settings without any.
            keep: Whether the difference is kept, for the next start.

        Raises:
            InputError: There is no list to read.
            ConfigurationError: A list can't be had or is wrong, or the data directory can't be written.
        """
        _opened(self._catalog)
        lists = tuple(sources) or self.settings.token_lists
        return await refreshed(
            lists,
            self._readers,
            self.settings.data_dir,
            shipped=self.settings.shipped_tokens,
            others=[entry for entry in self.settings.token_lists if entry not in lists],
            keep=keep,
        )

    def readiness(self) -> Readiness:
        """Whether questions can be answered: it is open, and not every network is known to be down."""
        if self._catalog is None:
            return Readiness(ready=False, components={"catalog": "failed", "cache": "failed"})
        states: dict[str, ComponentStatus] = {
            view.network.slug: _state(view) for view in self._catalog.networks()
        }
        components: dict[str, ComponentStatus] = {"catalog": "ok", "cache": "ok"}
        if self._pricing is not None and self._pricing.sources:
            components["prices"] = self._pricing.current.state
        components |= states
        return Readiness(any(state != "failed" for state in states.values()), components)

    def _wire(
        self,
        tokens: Mapping[Slug, Sequence[Asset]],
        readers: Mapping[Slug, ChainReader],
        names: NameService | None,
        cache: MemoryCache,
        pricing: Pricing,
    ) -> None:
        """Build the use cases over open parts."""
        self._readers = readers
        networks = {slug: reader.network for slug, reader in readers.items()}
        readings = {
            slug: NetworkReading(reader, tokens.get(slug, ()), cache, self.settings.balance_ttl_seconds)
            for slug, reader in readers.items()
        }
        self._catalog = CatalogService(networks, tokens, readers)
        book = AddressBook((EvmAddresses(), SolanaAddresses()), names)
        parts = (networks, readings, book, names, cache)
        seconds = self.settings.deadline_seconds
        valuation = Valuation(pricing.current, pricing.past) if pricing.sources else None
        self._portfolios = PortfolioService(*parts, deadline_seconds=seconds, valuation=valuation)
        self._many = ManyPortfolios(*parts, deadline_seconds=seconds, valuation=valuation)
        ids = AssetIds(networks, tokens.values(), book)
        self._prices = PriceQuestions(ids, pricing.current, pricing.history, deadline_seconds=seconds)
        self._pricing = pricing


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[Tracker]:
    """A tracker with everything open, for an entry point."""
    async with Tracker(settings) as tracker:
        yield tracker


async def _open_transports(
    stack: AsyncExitStack, networks: Mapping[Slug, Network], settings: Settings
) -> Transports:
    """One pool per network, over one HTTP client; what endpoints show is kept over a restart."""
    http = await stack.enter_async_context(HttpClient())
    memories = await stack.enter_async_context(MemoryFile(settings.data_dir / ENDPOINTS_FILE))
    pools = {
        slug: await stack.enter_async_context(
            open_pool(
                slug,
                network.endpoints,
                http=http,
                attempt_seconds=attempt_seconds(network.endpoints, settings.deadline_seconds),
                memories=memories,
                stale_behind=STALE_BEHIND_SLOTS if network.family == "solana" else STALE_BEHIND_BLOCKS,
            )
        )
        for slug, network in networks.items()
    }
    return Transports(http, pools, memories)


def _reader(network: Network, pool: Pool, names: EnsNames | None, sources: PriceSources) -> ChainReader:
    if network.family == "solana":
        return SolanaReader(network, pool)
    naming = names if "ens_registry" in network.contracts else None
    feeds = sources.chainlink.rider(network.slug) if sources.chainlink is not None else None
    return EvmReader(network, pool, [rider for rider in (naming, feeds) if rider is not None])


def _names(networks: Iterable[Network], pools: Mapping[Slug, Pool]) -> EnsNames | None:
    """Names are looked up where their registry is, if that network is tracked."""
    for network in networks:
        if "ens_registry" in network.contracts:
            return EnsNames(network, pools[network.slug])
    return None


def _state(view: NetworkView) -> ComponentStatus:
    states = {endpoint.state for endpoint in view.endpoints}
    if "healthy" in states:
        return "ok"
    return "unknown" if "unknown" in states or not states else "failed"


def _opened[T](service: T | None) -> T:
    if service is None:
        raise RuntimeError("Tracker is used outside its 'async with'")
    return service
