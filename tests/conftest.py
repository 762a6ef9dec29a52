"""Fixtures of real local nodes and databases. Each starts once a session, when a test first asks for it.

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
``postgres``          session   a PostgreSQL cluster (:class:`PostgresServer`)
``postgres_url``      function  an empty database on it with the newest schema
``sqlite_url``        function  the same as a SQLite file
``database_url``      function  one after the other: ``sqlite``, and ``postgresql`` (integration)
``database``          function  the same, opened (:class:`Database`)
``redis_url``         function  an empty Redis (Valkey, where no other is named)
====================  ========  ==============================================================
"""

import asyncio
import logging
import shutil
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.fakes.gateway import CountingGateway
from tests.nodes.chains import EnsNamesOnNode, add_ens, rolled_back, started, with_foreign_block_number
from tests.nodes.servers import PostgresServer, empty_redis, postgres_binaries, redis_served
from tests.nodes.token_zoo import Zoo, build_zoo

from balance_tracker.demo.anvil import AnvilNode
from balance_tracker.demo.arbsys import ARBSYS_ADDRESS, arbsys_runtime
from balance_tracker.demo.artifacts import fetch_packages
from balance_tracker.demo.contracts import MULTICALL3_ADDRESS, ContractLibrary, set_code

if TYPE_CHECKING:
    from balance_tracker.storage.database import Database

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
def _data_dir_of_its_own(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No test leaves files in the working directory, or learns what another one learnt.

    None asks for prices or is limited, unless it says so. Where tests are of what opens the database, it is
    there with the newest schema: to make it takes 60 ms.
    """
    folder = tmp_path_factory.mktemp("data")
    monkeypatch.setenv("TRACKER_DATA_DIR", str(folder))
    monkeypatch.setenv("TRACKER_PRICE_SOURCES", "none")
    monkeypatch.setenv("TRACKER_RATE_LIMIT_ANONYMOUS", "none")
    if "balance_tracker.bootstrap.service" in sys.modules:
        shutil.copyfile(request.getfixturevalue("sqlite_template"), folder / "tracker.db")


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


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    with PostgresServer(postgres_binaries()["postgresql"], tmp_path_factory.mktemp("postgres")) as server:
        yield server


@pytest.fixture(scope="session")
def postgres_template(postgres: PostgresServer) -> str:
    """A database with the newest schema, to be copied."""
    return migrated_template(postgres)


@pytest.fixture
def postgres_url(postgres: PostgresServer, postgres_template: str) -> Iterator[str]:
    name = postgres.fresh(postgres_template)
    yield postgres.url(name)
    postgres.drop(name)


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with the newest schema, to be copied."""
    path = tmp_path_factory.mktemp("sqlite") / "template.db"
    migrate(f"sqlite:///{path}")
    return path


@pytest.fixture
def sqlite_url(sqlite_template: Path, tmp_path: Path) -> str:
    path = tmp_path / "tracker.db"
    shutil.copyfile(sqlite_template, path)
    return f"sqlite:///{path}"


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.integration)])
def database_url(request: pytest.FixtureRequest) -> str:
    url: str = request.getfixturevalue({"sqlite": "sqlite_url", "postgresql": "postgres_url"}[request.param])
    return url


@pytest.fixture
async def database(database_url: str) -> "AsyncIterator[Database]":
    from balance_tracker.storage.database import Database  # noqa: PLC0415 - a second, for these tests only

    async with Database(database_url, connections=5) as opened:
        yield opened


@pytest.fixture(scope="session")
def redis_server_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with redis_served(tmp_path_factory.mktemp("redis")) as url:
        yield url


@pytest.fixture
def redis_url(redis_server_url: str) -> str:
    empty_redis(redis_server_url)
    return redis_server_url


def migrated_template(server: PostgresServer) -> str:
    name = server.fresh()
    migrate(server.url(name))
    return name


def migrate(url: str) -> None:
    """Bring a database to the newest schema, from a fixture that is no coroutine."""
    from balance_tracker.storage.database import Database  # noqa: PLC0415 - a second, for these tests only
    from balance_tracker.storage.migrating import upgrade  # noqa: PLC0415

    async def migrated() -> None:
        async with Database(url) as database:
            await upgrade(database)

    # A thread of its own: the loop of the tests stays what it was.
    with ThreadPoolExecutor(1) as threads:
        threads.submit(asyncio.run, migrated()).result()
