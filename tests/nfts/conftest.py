"""A node for collections, and readers of what wallets hold of them."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.evm.scenes import LOCAL
from tests.nfts.collections import Chain
from tests.nodes.chains import rolled_back, started
from tests.nodes.token_zoo import zoo_address

from balance_tracker.core.ids import Address
from balance_tracker.core.including import Include
from balance_tracker.core.networks import Network
from balance_tracker.core.nfts import Collection, NftHolding
from balance_tracker.core.portfolio import Reading
from balance_tracker.demo.anvil import AnvilNode
from balance_tracker.demo.contracts import MULTICALL3_ADDRESS, set_code
from balance_tracker.evm.nft_search import NftSearch
from balance_tracker.evm.nfts import NftGuides
from balance_tracker.evm.reader import EvmReader
from balance_tracker.evm.wallet_tours import Leaders
from balance_tracker.ports import NftsFound
from balance_tracker.transport.pool import Pool

OWNER = zoo_address("nft owner")
OTHER = zoo_address("nft other")


@dataclass
class Nfts:
    """One network's readers: what a reading finds, and what the search makes of it."""

    pool: Pool
    network: Network = LOCAL

    def __post_init__(self) -> None:
        self.guides = NftGuides()
        self.reader = EvmReader(self.network, self.pool, leaders=Leaders(collections=self.guides))
        self.searching = NftSearch(self.network, self.pool, self.guides.standards)

    async def read(
        self,
        collections: Sequence[Collection],
        owner: Address = OWNER,
        at: int | None = None,
        most_ids: int = 10_000,
    ) -> Reading:
        include = Include(collections=tuple(collections), most_ids=most_ids)
        return await self.reader.read(owner, [], at, soon(), include)

    async def find(
        self, collections: Sequence[Collection], owner: Address = OWNER, at: int | None = None
    ) -> NftsFound:
        reading = await self.read(collections, owner, at)
        return await self.searching.search(owner, collections, reading.collections, reading.block, soon())


def soon(seconds: float = 20.0) -> float:
    return asyncio.get_running_loop().time() + seconds


def ids_of(holdings: Sequence[NftHolding]) -> dict[str | None, list[int]]:
    """The ids of every collection by its name."""
    return {one.collection.name: [int(found.token_id) for found in one.token_ids] for one in holdings}


@pytest.fixture(scope="session")
def nft_node(canonical_multicall3: bytes) -> Iterator[AnvilNode]:
    with started(1) as node:
        set_code(node.client, {MULTICALL3_ADDRESS: canonical_multicall3})
        yield node


@pytest.fixture
def chain(nft_node: AnvilNode, packages: Path) -> Iterator[Chain]:
    with rolled_back(nft_node.client):
        yield Chain(nft_node.client, packages)


@pytest.fixture
def node_url(nft_node: AnvilNode) -> str:
    return nft_node.url
