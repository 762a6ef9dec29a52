"""The tracker: everything opened in order, closed in reverse."""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime
from decimal import Decimal
from types import TracebackType
from typing import Self

from balance_tracker.bootstrap.collecting import Collecting, open_collecting
from balance_tracker.bootstrap.configuration import listed_tokens, load_settings, tracked_networks
from balance_tracker.bootstrap.leading import position_sources, protocol_guides
from balance_tracker.bootstrap.opening import names_of, open_sharing, open_transports, readers_of
from balance_tracker.bootstrap.pricing import (
    Pricing,
    decided_by,
    open_pricing,
    price_sources,
    with_followings,
)
from balance_tracker.bootstrap.readiness import Readiness, readiness_of
from balance_tracker.bootstrap.refreshing import refreshed
from balance_tracker.bootstrap.sharing import Sharing
from balance_tracker.core.assets import Asset
from balance_tracker.core.blocks import At
from balance_tracker.core.ids import Slug
from balance_tracker.core.portfolio import Portfolio
from balance_tracker.core.whole import Positions, StakeTokens, WholePortfolio
from balance_tracker.evm.address import EvmAddresses
from balance_tracker.evm.wallet_tours import Leaders
from balance_tracker.ports import Cache, ChainReader, NameService
from balance_tracker.services.addresses import AddressBook
from balance_tracker.services.asset_ids import AssetIds
from balance_tracker.services.catalog import DEFAULT_LIMIT, CatalogService, NetworkView, TokenPage
from balance_tracker.services.many import AddressAnswer, ManyPortfolios, Report
from balance_tracker.services.nft_completing import NftCompletion
from balance_tracker.services.nft_pages import NftPage
from balance_tracker.services.nfts import NftService
from balance_tracker.services.portfolio import PortfolioService
from balance_tracker.services.price_history import History
from balance_tracker.services.price_questions import PriceList, PriceQuestions
from balance_tracker.services.reading import NetworkReading
from balance_tracker.services.token_refresh import TokenListDiff
from balance_tracker.services.valuation import Valuation
from balance_tracker.services.whole import WholeService
from balance_tracker.services.whole_reading import WholeReading
from balance_tracker.settings import Settings
from balance_tracker.solana.address import SolanaAddresses
from balance_tracker.telemetry.redact import protect


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
        self.sharing: Sharing | None = None
        self._stack = AsyncExitStack()
        self._catalog: CatalogService | None = None
        self._readers: Mapping[Slug, ChainReader] = {}
        self._portfolios: PortfolioService | None = None
        self._many: ManyPortfolios | None = None
        self._whole: WholeService | None = None
        self._nfts: NftService | None = None
        self._prices: PriceQuestions | None = None
        self._pricing: Pricing | None = None
        self._book: AddressBook | None = None

    @property
    def book(self) -> AddressBook:
        """Tells addresses apart."""
        return _opened(self._book)

    async def __aenter__(self) -> Self:
        protect(url for urls in self.settings.rpc.values() for url in urls)
        lists = (*self.settings.token_lists, *self.settings.collection_lists)
        protect(entry for entry in lists if "://" in entry)
        networks = tracked_networks(self.settings)
        tokens = await listed_tokens(self.settings, networks)
        async with AsyncExitStack() as stack:
            through = await open_transports(stack, networks, self.settings)
            sources = price_sources(self.settings, networks, through)
            listed = await with_followings(tokens, networks, sources.asked)
            sharing = await open_sharing(stack, self.settings)
            cache = await stack.enter_async_context(sharing.cache("balances", networks, listed))
            names = names_of(networks.values(), through.pools)
            guides = protocol_guides(networks, listed, self.settings.networks_dir)
            collecting = await open_collecting(self.settings, networks, through.pools)
            leaders = {slug: Leaders(own, collecting.guides[slug]) for slug, own in guides.items()}
            positions = position_sources(networks, listed)
            readers = readers_of(
                networks, through.pools, names, sources, leaders=leaders, positions=positions
            )
            board = sharing.board("prices", networks, *decided_by(self.settings))
            pricing = await open_pricing(stack, self.settings, networks, sources, board=board)
            self._wire(listed, readers, names, cache, pricing, collecting)
            self.sharing = sharing
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._catalog = self._portfolios = self._many = self._prices = self._pricing = None
        self._whole = self._nfts = self.sharing = None
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

    async def whole(
        self,
        addresses: Sequence[str],
        networks: Sequence[str] | None = None,
        *,
        currency: str = "usd",
        at: At | str = None,
        search_nfts: bool = False,
        stake_tokens: StakeTokens = "position",
    ) -> WholePortfolio:
        """Everything that addresses have: balances, positions and collections, nothing counted twice.

        Arguments and errors are those of :meth:`balance_tracker.services.whole.WholeService.portfolio`.
        """
        return await _opened(self._whole).portfolio(
            addresses,
            networks,
            currency=currency,
            at=at,
            search_nfts=search_nfts,
            stake_tokens=stake_tokens,
        )

    async def positions(
        self,
        address: str,
        networks: Sequence[str] | None = None,
        *,
        protocols: Sequence[str] = (),
        currency: str = "usd",
        at: At | str = None,
    ) -> Positions:
        """What protocols hold for an address.

        Arguments and errors are those of :meth:`balance_tracker.services.whole.WholeService.positions`.
        """
        return await _opened(self._whole).positions(
            address, networks, protocols=protocols, currency=currency, at=at
        )

    async def nfts(
        self,
        address: str,
        networks: Sequence[str] | None = None,
        *,
        collections: Sequence[str] = (),
        at: At | str = None,
        limit: int = DEFAULT_LIMIT,
        cursor: str | None = None,
        metadata: bool = False,
    ) -> NftPage:
        """What an address holds of collections, page by page.

        Arguments and errors are those of :meth:`balance_tracker.services.nfts.NftService.nfts`.
        """
        return await _opened(self._nfts).nfts(
            address,
            networks,
            collections=collections,
            at=at,
            limit=limit,
            cursor=cursor,
            metadata=metadata,
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
        views = None if self._catalog is None else self._catalog.networks()
        pricing = self._pricing
        prices = pricing.current.state if pricing and pricing.sources else None
        return readiness_of(views, prices, self.sharing.redis if self.sharing else None)

    def _wire(  # noqa: PLR0917 - one of each that was opened
        self,
        tokens: Mapping[Slug, Sequence[Asset]],
        readers: Mapping[Slug, ChainReader],
        names: NameService | None,
        cache: Cache,
        pricing: Pricing,
        collecting: Collecting | None = None,
    ) -> None:
        """Build the use cases over open parts."""
        collecting = Collecting.nothing() if collecting is None else collecting
        self._readers = readers
        networks = {slug: reader.network for slug, reader in readers.items()}
        readings = {
            slug: NetworkReading(reader, tokens.get(slug, ()), cache, self.settings.balance_ttl_seconds)
            for slug, reader in readers.items()
        }
        self._catalog = CatalogService(networks, tokens, readers)
        self._book = book = AddressBook((EvmAddresses(), SolanaAddresses()), names)
        parts = (networks, readings, book, names, cache)
        seconds = self.settings.deadline_seconds
        valuation = Valuation(pricing.current, pricing.past) if pricing.sources else None
        self._portfolios = PortfolioService(*parts, deadline_seconds=seconds, valuation=valuation)
        self._many = ManyPortfolios(*parts, deadline_seconds=seconds, valuation=valuation)
        wholes = {
            slug: WholeReading(reader, tokens.get(slug, ()), cache, self.settings.balance_ttl_seconds)
            for slug, reader in readers.items()
        }
        self._whole = WholeService(
            networks,
            wholes,
            book,
            names,
            cache,
            deadline_seconds=seconds,
            valuation=valuation,
            collections=collecting.listed,
            completion=NftCompletion(collecting.searches, cache, self.settings.balance_ttl_seconds),
        )
        self._nfts = collecting.service(wholes, book, names, cache, self.settings)
        ids = AssetIds(networks, tokens.values(), book)
        self._prices = PriceQuestions(ids, pricing.current, pricing.history, deadline_seconds=seconds)
        self._pricing = pricing


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[Tracker]:
    """A tracker with everything open, for an entry point."""
    async with Tracker(settings) as tracker:
        yield tracker


def _opened[T](service: T | None) -> T:
    if service is None:
        raise RuntimeError("Tracker is used outside its 'async with'")
    return service
