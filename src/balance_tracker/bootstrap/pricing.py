"""The price sources that the settings name, opened in their order, and the use cases over them."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace

from balance_tracker.cache.price_history import PriceHistoryFiles
from balance_tracker.catalog.feeds import load_feeds
from balance_tracker.core.assets import Asset, native_asset
from balance_tracker.core.feeds import OnChainPrices
from balance_tracker.core.following import Followings, wrapped_native
from balance_tracker.core.ids import AssetId, Slug
from balance_tracker.core.money import CURRENCY_ASSETS
from balance_tracker.core.networks import Network
from balance_tracker.ports import Board, PriceSource
from balance_tracker.prices.chainlink.source import ChainlinkFeeds
from balance_tracker.prices.coingecko import open_coingecko
from balance_tracker.prices.coinmarketcap import open_coinmarketcap
from balance_tracker.prices.defillama import open_defillama
from balance_tracker.prices.fixed import FixedPrices, read_fixed_prices
from balance_tracker.prices.uniswap_twap import UniswapTwap
from balance_tracker.services.past_prices import PastPrices
from balance_tracker.services.price_history import PriceHistory
from balance_tracker.services.pricing import PriceService
from balance_tracker.settings import Settings
from balance_tracker.transport.http import HttpClient
from balance_tracker.transport.memory import MemoryFile
from balance_tracker.transport.pool import Pool

HISTORY_FOLDER = "prices"
"""Past prices, in the data directory."""


@dataclass(frozen=True, slots=True)
class Transports:
    """What sources are asked through."""

    http: HttpClient
    pools: Mapping[Slug, Pool]
    memories: MemoryFile


@dataclass(frozen=True, slots=True)
class PriceSources:
    """The sources that are asked.

    Attributes:
        asked: All at once, in the order of the settings; the operator's own prices come first.
        last_resort: Asked only for what no other one knows.
        chainlink: Rides with the readings of balances, if it is asked.
    """

    asked: tuple[PriceSource, ...] = ()
    last_resort: tuple[PriceSource, ...] = ()
    chainlink: ChainlinkFeeds | None = None


@dataclass(frozen=True, slots=True)
class Pricing:
    """The use cases of prices, open; without sources nothing is ever known."""

    current: PriceService
    past: PastPrices
    history: PriceHistory
    sources: tuple[PriceSource, ...] = field(default=())


def price_sources(settings: Settings, networks: Mapping[Slug, Network], through: Transports) -> PriceSources:
    """The sources that the settings name; one that needs a key and has none is left out.

    Raises:
        ConfigurationError: A file of feeds or of the operator's prices is wrong.
    """
    named = settings.price_sources
    offered = load_feeds(networks, settings.networks_dir) if {"chainlink", "uniswap_twap"} & {*named} else {}
    feeds = ChainlinkFeeds(networks, through.pools, offered)
    open_each: dict[str, Callable[[], PriceSource | None]] = {
        "chainlink": lambda: feeds,
        "coingecko": lambda: open_coingecko(
            through.http,
            _platforms(networks, "coingecko"),
            api_key=settings.coingecko_api_key,
            base_url=settings.coingecko_base_url,
            memories=through.memories,
        ),
        "coinmarketcap": lambda: _coinmarketcap(settings, networks, through),
        "defillama": lambda: open_defillama(
            through.http,
            _platforms(networks, "defillama"),
            base_url=settings.defillama_base_url,
            memories=through.memories,
        ),
    }
    own = [_fixed(settings, networks)]
    opened = own + [open_each[name]() for name in named if name in open_each]
    return PriceSources(
        asked=tuple(source for source in opened if source is not None),
        last_resort=_last_resort(named, networks, through, offered, feeds),
        chainlink=feeds if "chainlink" in named else None,
    )


async def open_pricing(
    stack: AsyncExitStack,
    settings: Settings,
    networks: Mapping[Slug, Network],
    sources: PriceSources,
    *,
    board: Board | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Pricing:
    """The use cases over the sources; what they have under way ends when the stack is closed."""
    current = await stack.enter_async_context(
        PriceService(
            sources.asked,
            last_resort=sources.last_resort,
            ttl_seconds=settings.price_ttl_seconds,
            board=board,
            priced_as=coins(networks),
            clock=clock,
        )
    )
    every = (*sources.asked, *sources.last_resort)
    past = PastPrices(every, priced_as=coins(networks), clock=clock)
    stack.push_async_callback(past.close)
    history = PriceHistory(
        every,
        PriceHistoryFiles(settings.data_dir / HISTORY_FOLDER),
        under_way_seconds=settings.price_ttl_seconds,
    )
    return Pricing(current, past, history, every)


def decided_by(settings: Settings) -> tuple[object, ...]:
    """What prices depend on besides the networks; processes that differ in it share none."""
    own = settings.fixed_prices.read_bytes() if settings.fixed_prices is not None else b""
    roots = (settings.coingecko_base_url, settings.coinmarketcap_base_url, settings.defillama_base_url)
    return (settings.price_sources, *roots, own)


def coins(networks: Mapping[Slug, Network]) -> dict[AssetId, Asset]:
    """What sources are asked for by an id that several assets are priced by: the coin itself."""
    found = {asset.asset_id: asset for asset in CURRENCY_ASSETS.values()}
    natives = [native_asset(network) for network in networks.values()]
    for asset in natives:
        own = replace(asset, asset_id=asset.price_key, priced_as=None)
        if asset.price_key not in found or asset.asset_id == asset.price_key:
            found[asset.price_key] = own
    return found


async def with_followings(
    tokens: Mapping[Slug, Sequence[Asset]], networks: Mapping[Slug, Network], sources: Sequence[PriceSource]
) -> dict[Slug, tuple[Asset, ...]]:
    """The listed tokens, of which those that follow another asset by a rule have its price.

    A token that the operator set a price for follows nothing.
    """
    table = Followings(one for network in networks.values() if (one := wrapped_native(network)) is not None)
    own = next((source for source in sources if isinstance(source, FixedPrices)), None)
    followed: dict[Slug, tuple[Asset, ...]] = {}
    for slug, listed in tokens.items():
        following = [token for token in listed if table.why(token.asset_id) is not None]
        set_by_operator = {quote.asset_id for quote in await own.quotes(following, 0)} if own else set()
        followed[slug] = tuple(
            replace(token, priced_as=table.underlying_of(token.asset_id))
            if table.why(token.asset_id) is not None and token.asset_id not in set_by_operator
            else token
            for token in listed
        )
    return followed


def _fixed(settings: Settings, networks: Mapping[Slug, Network]) -> PriceSource | None:
    if settings.fixed_prices is None:
        return None
    return read_fixed_prices(settings.fixed_prices, networks.values())


def _coinmarketcap(
    settings: Settings, networks: Mapping[Slug, Network], through: Transports
) -> PriceSource | None:
    if settings.coinmarketcap_api_key is None:
        return None
    return open_coinmarketcap(
        through.http,
        _platforms(networks, "coinmarketcap"),
        settings.data_dir,
        api_key=settings.coinmarketcap_api_key,
        base_url=settings.coinmarketcap_base_url,
        memories=through.memories,
    )


def _last_resort(
    named: Sequence[str],
    networks: Mapping[Slug, Network],
    through: Transports,
    offered: Mapping[Slug, OnChainPrices],
    rates: PriceSource,
) -> tuple[PriceSource, ...]:
    if "uniswap_twap" not in named:
        return ()
    return (UniswapTwap(networks, through.pools, offered, rates),)


def _platforms(networks: Mapping[Slug, Network], service: str) -> dict[Slug, str]:
    return {
        slug: network.price_platforms[service]
        for slug, network in networks.items()
        if service in network.price_platforms
    }
