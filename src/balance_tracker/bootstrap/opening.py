"""What is opened first: connections, one pool per network, and the readers over them."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AsyncExitStack

from balance_tracker.bootstrap.pricing import PriceSources, Transports
from balance_tracker.bootstrap.sharing import Sharing
from balance_tracker.cache.limiter import MemoryLimiter
from balance_tracker.cache.messages import MemoryMessages
from balance_tracker.core.ids import Slug
from balance_tracker.core.networks import Network
from balance_tracker.evm.ens import EnsNames
from balance_tracker.evm.reader import EvmReader
from balance_tracker.evm.wallet_tours import Leaders
from balance_tracker.ports import ChainReader
from balance_tracker.settings import Settings
from balance_tracker.solana.reader import STALE_BEHIND_SLOTS, SolanaReader
from balance_tracker.solana.sources import PositionSource
from balance_tracker.telemetry.redact import protect
from balance_tracker.transport.http import HttpClient
from balance_tracker.transport.memory import MemoryFile
from balance_tracker.transport.pool import STALE_BEHIND_BLOCKS, Pool, attempt_seconds, open_pool

ENDPOINTS_FILE = "endpoints.json"
"""What endpoints have shown, in the data directory."""


async def open_transports(
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


def readers_of(
    networks: Mapping[Slug, Network],
    pools: Mapping[Slug, Pool],
    names: EnsNames | None,
    sources: PriceSources,
    *,
    leaders: Mapping[Slug, Leaders],
    positions: Mapping[Slug, Sequence[PositionSource]],
) -> dict[Slug, ChainReader]:
    """A reader for every network.

    Args:
        networks: The tracked networks.
        pools: Their endpoints.
        names: Look for a name on the way of a reading, where names are kept.
        sources: Of these, price feeds ride with readings.
        leaders: Who leads tours of protocols and collections.
        positions: Where positions on Solana come from.
    """
    readers: dict[Slug, ChainReader] = {}
    for slug, network in networks.items():
        if network.family == "solana":
            readers[slug] = SolanaReader(network, pools[slug], positions.get(slug, ()))
            continue
        naming = names if "ens_registry" in network.contracts else None
        feeds = sources.chainlink.rider(slug) if sources.chainlink is not None else None
        riders = [rider for rider in (naming, feeds) if rider is not None]
        readers[slug] = EvmReader(network, pools[slug], riders, leaders.get(slug))
    return readers


def names_of(networks: Iterable[Network], pools: Mapping[Slug, Pool]) -> EnsNames | None:
    """Names are looked up where their registry is, if that network is tracked."""
    for network in networks:
        if "ens_registry" in network.contracts:
            return EnsNames(network, pools[network.slug])
    return None


async def open_sharing(stack: AsyncExitStack, settings: Settings) -> Sharing:
    """What the settings name; a Redis that does not answer stops no start.

    Args:
        stack: Closes it.
        settings: The operator's.

    Raises:
        ConfigurationError: ``REDIS_URL`` is wrong.
    """
    if settings.redis_url is None:
        return Sharing(MemoryMessages(), MemoryLimiter(), _nobody_to_tell)
    # Its library takes a third of a second to import, which commands without it need not wait for.
    from balance_tracker.bootstrap.redis_sharing import open_redis_sharing  # noqa: PLC0415

    protect([settings.redis_url])
    return await open_redis_sharing(stack, settings.redis_url)


async def _nobody_to_tell() -> None:
    """There is no other process."""
