"""Fixtures of real local nodes. Each node starts once a session, when a test first asks for it.

====================  ========  ==============================================================
fixture               scope     what it is
====================  ========  ==============================================================
``packages``          session   the ``node_modules`` with anvil and the artifacts
``library``           session   the artifacts (:class:`ContractLibrary`)
``shared_node``       session   chain 1 with the canonical Multicall3; do not change it
``zoo``               session   the token zoo on ``shared_node``
``ens``               session   ENS and a few names on ``shared_node``
``node``              function  ``shared_node`` to change at will: rolled back after the test
``bare_node``         session   chain 250 without Multicall3; ``bare_zoo`` is on it
``arbitrum_node``     session   chain 42161: ArbSys, and a Multicall3 with a foreign block number
``open_gateway``      function  ``await open_gateway(url)``: a counting proxy before an endpoint
====================  ========  ==============================================================
"""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from tests.fakes.gateway import CountingGateway
from tests.nodes.chains import EnsNamesOnNode, add_ens, rolled_back, started, with_foreign_block_number
from tests.nodes.token_zoo import Zoo, build_zoo

from balance_tracker.demo.anvil import AnvilNode
from balance_tracker.demo.arbsys import ARBSYS_ADDRESS, arbsys_runtime
from balance_tracker.demo.artifacts import fetch_packages
from balance_tracker.demo.contracts import MULTICALL3_ADDRESS, ContractLibrary, set_code

OpenGateway = Callable[..., Awaitable[CountingGateway]]


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    """A command that a test runs sets up logging for the whole process; the next test begins without."""
    loggers = [logging.getLogger(name) for name in ("balance_tracker", "uvicorn", "uvicorn.error", "asyncio")]
    kept = [(logger, logger.handlers[:], logger.level, logger.propagate) for logger in loggers]
    yield
    for logger, handlers, level, propagate in kept:
        logger.handlers[:] = handlers
        logger.setLevel(level)
        logger.propagate = propagate


@pytest.fixture(autouse=True)
def _data_dir_of_its_own(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test leaves files in the working directory, learns what another one learnt, or asks for prices."""
    monkeypatch.setenv("TRACKER_DATA_DIR", str(tmp_path_factory.mktemp("data")))
    monkeypatch.setenv("TRACKER_PRICE_SOURCES", "none")


@pytest.fixture(scope="session")
def packages() -> Path:
    return fetch_packages()


@pytest.fixture(scope="session")
def library(packages: Path) -> ContractLibrary:
    return ContractLibrary(packages)


@pytest.fixture(scope="session")
def canonical_multicall3() -> bytes:
    """The mainnet runtime, from a package that is not ours."""
    from multicall.constants import MULTICALL3_BYTECODE  # noqa: PLC0415 - it imports web3, a second

    return bytes.fromhex(MULTICALL3_BYTECODE.removeprefix("0x"))


@pytest.fixture(scope="session")
def shared_node(canonical_multicall3: bytes) -> Iterator[AnvilNode]:
    with started(1) as node:
        set_code(node.client, {MULTICALL3_ADDRESS: canonical_multicall3})
        yield node


@pytest.fixture(scope="session")
def zoo(shared_node: AnvilNode, library: ContractLibrary) -> Zoo:
    return build_zoo(shared_node.client, library)


@pytest.fixture(scope="session")
def ens(shared_node: AnvilNode, library: ContractLibrary) -> EnsNamesOnNode:
    return add_ens(shared_node.client, library)


@pytest.fixture
def node(shared_node: AnvilNode, zoo: Zoo, ens: EnsNamesOnNode) -> Iterator[AnvilNode]:
    with rolled_back(shared_node.client):
        yield shared_node


@pytest.fixture(scope="session")
def bare_node() -> Iterator[AnvilNode]:
    with started(250) as node:
        yield node


@pytest.fixture(scope="session")
def bare_zoo(bare_node: AnvilNode, library: ContractLibrary) -> Zoo:
    return build_zoo(bare_node.client, library)


@pytest.fixture(scope="session")
def arbitrum_node(canonical_multicall3: bytes) -> Iterator[AnvilNode]:
    with started(42161) as node:
        multicall3 = with_foreign_block_number(canonical_multicall3)
        set_code(node.client, {MULTICALL3_ADDRESS: multicall3, ARBSYS_ADDRESS: arbsys_runtime()})
        node.client.call("anvil_mine", "0x5")
        yield node


@pytest.fixture
async def open_gateway() -> AsyncIterator[OpenGateway]:
    async with AsyncExitStack() as stack:

        async def opened(upstream: str, *, delay_seconds: float = 0.0) -> CountingGateway:
            gateway = CountingGateway(upstream, delay_seconds=delay_seconds)
            return await stack.enter_async_context(gateway)

        yield opened
