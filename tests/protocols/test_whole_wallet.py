"""A wallet with a bit of everything: Aave, Uniswap, 100 tokens and 20 collections, in three requests."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from tests.conftest import OpenGateway
from tests.evm.scenes import soon
from tests.fakes.readers import token
from tests.nodes.chains import started
from tests.protocols.aave_market import AaveMarket, build_market
from tests.protocols.stage import ETHEREUM
from tests.protocols.test_nothing_there import contract_of_nothing
from tests.protocols.uniswap_scenes import MANAGER, OWNERS, USDC, WETH, create_pool, place_uniswap, rows_of

from balance_tracker.core.assets import Asset
from balance_tracker.core.ids import Address
from balance_tracker.core.including import Include
from balance_tracker.core.nfts import Collection
from balance_tracker.demo.anvil import AnvilNode
from balance_tracker.demo.contracts import MULTICALL3_ADDRESS, ContractLibrary, multicall3_runtime, set_code
from balance_tracker.evm.address import EvmAddresses
from balance_tracker.evm.nfts import NftGuides
from balance_tracker.evm.reader import EvmReader
from balance_tracker.evm.ticks import root_at
from balance_tracker.evm.wallet_tours import Leaders
from balance_tracker.protocols import aave_v3, uniswap_v3
from balance_tracker.transport.pool import open_pool

pytestmark = pytest.mark.integration

OWNER = Address(OWNERS[0])
NOBODY = EvmAddresses().parse(f"0x{0xDEAD:040x}")
BANK = EvmAddresses().parse(f"0x{0xBA0C:040x}")
E18 = 10**18


@dataclass
class Whole:
    """A node with all of it, and how it is read."""

    node: AnvilNode
    tokens: list[Asset]
    collections: list[Collection]
    leaders: Leaders

    @property
    def include(self) -> Include:
        return Include(protocols=frozenset(self.leaders.slugs), collections=tuple(self.collections))


def stand_ins(client: AnvilNode, prefix: int, count: int) -> list[Address]:
    """Contracts that say zero."""
    addresses = [EvmAddresses().parse(f"0x{(prefix << 32) + number:040x}") for number in range(count)]
    set_code(client.client, dict.fromkeys(addresses, contract_of_nothing()))
    return addresses


def borrow_and_provide(market: AaveMarket, node: AnvilNode, library: ContractLibrary) -> None:
    for symbol, reserve in market.reserves.items():
        market.supply(BANK, symbol, 1_000_000 * reserve.one)
    market.supply(OWNER, "WETH", 10 * market.reserves["WETH"].one)
    market.borrow(OWNER, "USDC", 900 * market.reserves["USDC"].one)
    uniswap = place_uniswap(node.client, library)
    pool = create_pool(uniswap, (USDC, WETH), 3_000, 60, root_at(195_300))
    pool.mint(OWNER, (-887_220, 887_220), (3_000 * 10**6, E18))


@pytest.fixture(scope="module")
def whole(library: ContractLibrary) -> Iterator[Whole]:
    with started(1, "--timestamp", "1700000000") as node:
        set_code(node.client, {MULTICALL3_ADDRESS: multicall3_runtime()})
        market = build_market(node.client, "V3.6")
        borrow_and_provide(market, node, library)
        tokens = [
            token(ETHEREUM, one, f"T{place}", 18) for place, one in enumerate(stand_ins(node, 0xA, 100))
        ]
        receipts = [EvmAddresses().parse(one.a_token) for one in market.reserves.values()]
        tokens += [token(ETHEREUM, one, f"a{place}", 18) for place, one in enumerate(receipts)]
        collections = [Collection(ETHEREUM.slug, one, "erc721", "Empty") for one in stand_ins(node, 0xB, 19)]
        collections.append(Collection(ETHEREUM.slug, EvmAddresses().parse(MANAGER), "erc721", "Positions"))
        known = {str(asset.contract_address).lower(): asset for asset in tokens}

        def asset_of(address: Address) -> Asset | None:
            return known.get(address.lower())

        guides = [
            *aave_v3.guides(ETHEREUM, asset_of, [market.row()]),
            *uniswap_v3.guides(ETHEREUM, asset_of, rows_of("uniswap_v3", "ethereum")[:1]),
        ]
        yield Whole(node, tokens, collections, Leaders(guides, NftGuides()))


async def test_a_wallet_with_aave_uniswap_a_hundred_tokens_and_twenty_collections_costs_three_requests(
    whole: Whole, open_gateway: OpenGateway
) -> None:
    gateway = await open_gateway(whole.node.url)
    async with open_pool("ethereum", [gateway.url]) as pool:
        reader = EvmReader(ETHEREUM, pool, leaders=whole.leaders)
        reading = await reader.read(OWNER, whole.tokens, None, soon(), whole.include)
    assert (reading.protocol_failures, reading.collection_failures, reading.failures) == ((), (), ())
    assert sorted(one.protocol for one in reading.positions) == ["aave_v3", "uniswap_v3"]
    assert [(one.collection.name, one.balance) for one in reading.collections] == [("Positions", 1)]
    assert reading.asked > 100
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
