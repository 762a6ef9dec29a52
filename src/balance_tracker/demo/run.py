"""The demo: starts real local nodes, fills them, shows what the wallets hold, and serves the API.

It uses the product like any operator does: by settings. What prints and what serves is
handed to it by the command line.
"""

import asyncio
import os
import signal
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType

from balance_tracker.bootstrap import Tracker, listed_tokens, load_settings, running, tracked_networks
from balance_tracker.catalog.collections import load_collections
from balance_tracker.catalog.feeds import load_feeds
from balance_tracker.core.assets import Asset
from balance_tracker.core.errors import ConfigurationError
from balance_tracker.core.feeds import OnChainPrices
from balance_tracker.core.ids import Slug
from balance_tracker.core.networks import Network
from balance_tracker.core.portfolio import Portfolio
from balance_tracker.core.whole import WholePortfolio
from balance_tracker.demo.anvil import AnvilNode, anvil
from balance_tracker.demo.artifacts import Say, fetch_packages, say_on_stderr
from balance_tracker.demo.collections import give_collections, place_collections
from balance_tracker.demo.contracts import ContractLibrary
from balance_tracker.demo.networks import EVM_NETWORKS, NODE_ARGUMENTS, LocalNetwork, prepare_network
from balance_tracker.demo.positions import place_protocols
from balance_tracker.demo.protocol_tables import Row, shipped_tables, write_tables
from balance_tracker.demo.solana_story import running_demo_bank
from balance_tracker.demo.stories import WALLETS, Wallet, tell_stories
from balance_tracker.settings import RPC_PREFIX, rpc_key

SOLANA = Slug("solana")
FEEDS_SECONDS = 1_200.0
"""How often the demo's price feeds answer: well within the shortest heartbeat."""
_TERMINATED = 128 + signal.SIGTERM

type Shown = Portfolio | WholePortfolio
"""A portfolio of all that a wallet has, or of its balances where it is asked with tokens of no list."""

type Show = Callable[[Wallet, Shown], None]
"""Prints one wallet and what it has."""

type Serve = Callable[[str, int], Awaitable[None]]
"""Serves the API at a host and a port until it is told to stop; settings are in the environment."""


def run_demo(*, once: bool, host: str, port: int, show: Show, serve: Serve, say: Say = say_on_stderr) -> None:
    """Run the demo until it is stopped by Ctrl-C or SIGTERM; with ``once`` it ends by itself.

    Args:
        once: Show the portfolios and end, without serving.
        host: Where the API listens.
        port: Its port; 0 takes a free one.
        show: Prints a wallet and its portfolio.
        serve: Serves the API.
        say: Takes one line of progress at a time.

    Raises:
        ConfigurationError: The nodes can't be had, or the port is taken.
        UpstreamError: A local node failed.
        KeyboardInterrupt: It was stopped before it was ready.
    """
    if not once:
        port = _free_port(host, port)
    try:
        asyncio.run(_run(once=once, host=host, port=port, show=show, serve=serve, say=say))
    except asyncio.CancelledError:
        raise SystemExit(_TERMINATED) from None


@asynccontextmanager
async def running_demo(say: Say = say_on_stderr) -> AsyncIterator[tuple[Slug, ...]]:
    """The demo's networks with their wallets, for a block, in which the environment's settings name them.

    Yields:
        The slugs of the networks.

    Raises:
        ConfigurationError: The nodes can't be had.
        UpstreamError: A local node failed.
    """
    library = ContractLibrary(await asyncio.to_thread(fetch_packages, say=say))
    slugs = (*EVM_NETWORKS, SOLANA)
    async with AsyncExitStack() as stack:
        directory = Path(stack.enter_context(TemporaryDirectory(prefix="balance-tracker-demo-")))
        stack.enter_context(
            _environment(
                {
                    "TRACKER_NETWORKS_DIR": str(directory),
                    "TRACKER_NETWORKS": ",".join(slugs),
                    "TRACKER_SHIPPED_TOKENS": "true",
                    "TRACKER_PRICE_SOURCES": "chainlink",
                }
            )
        )
        settings = load_settings()
        networks = tracked_networks(settings)
        assets = await listed_tokens(settings, networks)
        nodes = {slug: await stack.enter_async_context(_node(networks[slug])) for slug in EVM_NETWORKS}
        offered = load_feeds(networks, settings.networks_dir)
        filled, placed = await _fill(
            {slug: (nodes[slug], networks[slug], assets[slug], offered.get(slug)) for slug in EVM_NETWORKS},
            library,
        )
        write_tables(directory, placed)
        bank = await stack.enter_async_context(running_demo_bank())
        urls = {slug: node.url for slug, node in nodes.items()} | {SOLANA: bank.url}
        stack.enter_context(_environment({rpc_variable(slug): url for slug, url in urls.items()}))
        await stack.enter_async_context(_fresh_prices(filled))
        yield slugs


def rpc_variable(slug: Slug) -> str:
    """The environment variable that holds a network's endpoints.

    >>> rpc_variable(Slug("base"))
    'TRACKER_RPC_BASE'
    """
    return f"{RPC_PREFIX}{rpc_key(slug).upper()}"


async def _run(*, once: bool, host: str, port: int, show: Show, serve: Serve, say: Say) -> None:
    started = time.monotonic()
    with _stopped_by_sigterm():
        async with running_demo(say) as slugs:
            say(f"{len(slugs)} local networks are up after {time.monotonic() - started:.1f} s.")
            await _show_wallets(show)
            if once:
                return
            say(f"Serving at http://{host}:{port}/ until Ctrl-C. Try:")
            for wallet in WALLETS:
                say(f"  curl 'http://{host}:{port}/portfolio?address={wallet.asks}'")
            await _serve_until_stopped(serve, host, port)


async def _show_wallets(show: Show) -> None:
    async with running(load_settings()) as tracker:
        for wallet in WALLETS:
            show(wallet, await _asked(tracker, wallet))


async def _asked(tracker: Tracker, wallet: Wallet) -> Shown:
    networks = wallet.networks or None
    if wallet.tokens:
        return await tracker.portfolio(wallet.asks, networks, tokens=wallet.tokens)
    return await tracker.whole([wallet.asks], networks)


async def _serve_until_stopped(serve: Serve, host: str, port: int) -> None:
    """Being stopped is how serving ends, and no failure."""
    try:
        await serve(host, port)
        # A server that handled the signal hands it on as it ends: it cancels us here, not in the clean-up.
        await asyncio.sleep(0)
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is not None:
            task.uncancel()


@asynccontextmanager
async def _node(network: Network) -> AsyncIterator[AnvilNode]:
    if network.chain_id is None:
        raise ConfigurationError(f"The demo can't start '{network.slug}': it has no chain id.")
    async with anvil(network.chain_id, extra_arguments=NODE_ARGUMENTS) as node:
        yield node


async def _fill(
    parts: Mapping[Slug, tuple[AnvilNode, Network, Sequence[Asset], OnChainPrices | None]],
    library: ContractLibrary,
) -> tuple[list[LocalNetwork], list[tuple[str, Row]]]:
    """Put contracts and stories on the nodes, contracts of all networks side by side.

    Returns:
        The networks, and which protocols are there now: the rows of their tables.
    """
    async with asyncio.TaskGroup() as group:
        tasks = {
            slug: group.create_task(
                asyncio.to_thread(prepare_network, node.client, library, network, assets, offered)
            )
            for slug, (node, network, assets, offered) in parts.items()
        }
    filled: dict[Slug, LocalNetwork] = {slug: task.result() for slug, task in tasks.items()}
    await asyncio.to_thread(tell_stories, filled, library)
    await _fill_collections(filled, library)
    tables = shipped_tables({slug: one.network for slug, one in filled.items()})
    placed = await asyncio.to_thread(place_protocols, filled, tables, library.packages)
    for network in filled.values():
        network.let_time_pass()
    return list(filled.values()), placed


async def _fill_collections(networks: Mapping[Slug, LocalNetwork], library: ContractLibrary) -> None:
    """Put the listed collections on the nodes, and tokens of them into the wallets."""
    listed = load_collections({slug: one.network for slug, one in networks.items()})

    def fill(slug: Slug, one: LocalNetwork) -> None:
        place_collections(one.client, library, listed[slug])
        give_collections(one.client, slug, listed[slug])

    async with asyncio.TaskGroup() as group:
        for slug, one in networks.items():
            group.create_task(asyncio.to_thread(fill, slug, one))


@asynccontextmanager
async def _fresh_prices(networks: Sequence[LocalNetwork]) -> AsyncIterator[None]:
    """Price feeds that answer again and again, for a block."""

    async def keep_fresh() -> None:
        while True:
            await asyncio.sleep(FEEDS_SECONDS)
            for network in networks:
                await asyncio.to_thread(network.keep_prices_fresh)

    task = asyncio.create_task(keep_fresh())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    """Environment variables for a block; what was there before comes back."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def _stopped_by_sigterm() -> Iterator[None]:
    """Let SIGTERM end the running task like Ctrl-C does, so that everything is cleaned up."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()

    def stop(_number: int, _frame: FrameType | None) -> None:
        if task is not None:
            loop.call_soon_threadsafe(task.cancel)

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _free_port(host: str, port: int) -> int:
    """The port, or a free one for 0; a taken one is told at once, not after everything was started."""
    try:
        with socket.create_server((host, port)) as probe:
            return int(probe.getsockname()[1])
    except OSError as error:
        raise ConfigurationError(
            f"The demo can't listen on {host} port {port}: {error.strerror}.", hint="Choose another --port."
        ) from None
