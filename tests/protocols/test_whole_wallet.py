"""A wallet with a bit of everything: Aave, Uniswap, 100 tokens and 20 collections, in three requests."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from tests.conftest import OpenGateway
from tests.evm.scenes import soon
from tests.fakes.readers import STRANGE
from tests.protocols.stage import ETHEREUM
from tests.protocols.whole_scene import BANK, HELD, NOBODY, OWNER, Whole, whole_wallet

from balance_tracker.core.nfts import Collection
from balance_tracker.demo.contracts import ContractLibrary
from balance_tracker.evm.reader import EvmReader
from balance_tracker.transport.pool import open_pool

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def whole(library: ContractLibrary) -> Iterator[Whole]:
    with whole_wallet(library) as scene:
        yield scene


async def test_a_wallet_with_aave_uniswap_a_hundred_tokens_and_twenty_collections_costs_three_requests(
    whole: Whole, open_gateway: OpenGateway
) -> None:
    gateway = await open_gateway(whole.node.url)
    async with open_pool("ethereum", [gateway.url]) as pool:
        reader = EvmReader(ETHEREUM, pool, leaders=whole.leaders)
        reading = await reader.read(OWNER, whole.tokens, None, soon(), whole.include)
    assert (reading.protocol_failures, reading.collection_failures, reading.failures) == ((), (), ())
    assert sorted(one.protocol for one in reading.positions) == ["aave_v3", "uniswap_v3"]
    found = {one.collection.name: (one.balance, len(one.token_ids)) for one in reading.collections}
    assert found == {"Positions": (1, 1)} | {f"Collection {n}": (count, count) for n, count in HELD.items()}
    assert reading.asked > 100
    assert len(whole.collections) == 20
    assert gateway.counts.requests == reading.requests <= 3
    assert reading.block.number == int(whole.node.client.call("eth_blockNumber"), 16)


async def test_beside_it_a_wallet_with_nothing_costs_one(whole: Whole, open_gateway: OpenGateway) -> None:
    gateway = await open_gateway(whole.node.url)
    async with open_pool("ethereum", [gateway.url]) as pool:
        reader = EvmReader(ETHEREUM, pool, leaders=whole.leaders)
        reading = await reader.read(NOBODY, whole.tokens, None, soon(), whole.include)
    assert (reading.positions, reading.collections, reading.protocol_failures) == ((), (), ())
    assert gateway.counts.requests == 1


async def test_several_wallets_share_the_requests(whole: Whole, open_gateway: OpenGateway) -> None:
    gateway = await open_gateway(whole.node.url)
    async with open_pool("ethereum", [gateway.url]) as pool:
        reader = EvmReader(ETHEREUM, pool, leaders=whole.leaders)
        readings = await reader.read_many([OWNER, BANK, NOBODY], whole.tokens, None, soon(), whole.include)
    found = [len(one.positions) for one in readings if not isinstance(one, Exception)]
    assert found == [2, 1, 0]
    assert gateway.counts.requests <= 3


async def test_collections_of_which_only_events_tell_are_named_and_cost_no_request(
    whole: Whole, open_gateway: OpenGateway
) -> None:
    cards = Collection(ETHEREUM.slug, STRANGE, "erc1155", "Cards")
    include = replace(whole.include, collections=(*whole.include.collections, cards))
    gateway = await open_gateway(whole.node.url)
    async with open_pool("ethereum", [gateway.url]) as pool:
        reader = EvmReader(ETHEREUM, pool, leaders=whole.leaders)
        reading = await reader.read(OWNER, whole.tokens, None, soon(), include)
        assert gateway.counts.requests <= 3
        gateway.reset()
        nothing = await reader.read(NOBODY, whole.tokens, None, soon(), include)
    assert gateway.counts.requests == 1
    assert reading.unsearched == nothing.unsearched == (cards,)
    assert cards not in [one.collection for one in reading.collections]
