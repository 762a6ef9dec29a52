"""One network with all that a wallet may have: a real Aave market, Uniswap V3, tokens and collections.

Tests count the requests that its portfolio takes, and the benchmarks time them.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from tests.fakes.readers import token
from tests.nodes.chains import started
from tests.protocols.aave_market import AaveMarket, build_market
from tests.protocols.stage import ETHEREUM
from tests.protocols.uniswap_scenes import MANAGER, OWNERS, USDC, WETH, create_pool, place_uniswap, rows_of

from balance_tracker.core.assets import Asset
from balance_tracker.core.ids import Address
from balance_tracker.core.including import Include
from balance_tracker.core.nfts import Collection
from balance_tracker.demo.anvil import AnvilNode
from balance_tracker.demo.contracts import (
    MULTICALL3_ADDRESS,
    ContractLibrary,
    Placement,
    Transaction,
    call_data,
    multicall3_runtime,
    place,
    set_code,
    transact,
)
from balance_tracker.demo.node_client import NodeClient
from balance_tracker.evm.address import EvmAddresses
from balance_tracker.evm.nfts import NftGuides
from balance_tracker.evm.ticks import root_at
from balance_tracker.evm.wallet_tours import Leaders
from balance_tracker.protocols import aave_v3, uniswap_v3
from balance_tracker.protocols.spec import Row

OWNER = Address(OWNERS[0])
NOBODY = EvmAddresses().parse(f"0x{0xDEAD:040x}")
BANK = EvmAddresses().parse(f"0x{0xBA0C:040x}")
E18 = 10**18
PLAIN_TOKENS = 100
HELD = {0: 3, 4: 1, 9: 12, 17: 2}
"""How many tokens the owner has of which collection; of the others none."""

COLLECTIONS = 20
"""With Uniswap's position manager, which is the last."""


@dataclass
class Whole:
    """The node, and what is read there.

    Attributes:
        aave: The row of the market, as a data file would have it.
        uniswap: The row of the position manager.
    """

    node: AnvilNode
    tokens: list[Asset]
    collections: list[Collection]
    aave: Row
    uniswap: Row

    @property
    def leaders(self) -> Leaders:
        """Who leads tours there, new ones that have learnt nothing yet."""
        known = {str(asset.contract_address).lower(): asset for asset in self.tokens}

        def asset_of(address: Address) -> Asset | None:
            return known.get(address.lower())

        guides = [
            *aave_v3.guides(ETHEREUM, asset_of, [self.aave]),
            *uniswap_v3.guides(ETHEREUM, asset_of, [self.uniswap]),
        ]
        return Leaders(guides, NftGuides())

    @property
    def include(self) -> Include:
        """Everything there."""
        return Include(protocols=frozenset(self.leaders.slugs), collections=tuple(self.collections))


@contextmanager
def whole_wallet(library: ContractLibrary) -> Iterator[Whole]:
    """A node on which ``OWNER`` has a bit of everything and ``NOBODY`` nothing."""
    with started(1, "--timestamp", "1700000000") as node:
        set_code(node.client, {MULTICALL3_ADDRESS: multicall3_runtime()})
        market = build_market(node.client, "V3.6")
        _borrow(market)
        _provide(node.client, library)
        plain, collections = _tokens(node.client, library), _collections(node.client, library)
        tokens = [*plain, *_of_protocols(market)]
        yield Whole(node, tokens, collections, market.row(), rows_of("uniswap_v3", "ethereum")[0])


def _borrow(market: AaveMarket) -> None:
    for symbol, reserve in market.reserves.items():
        market.supply(BANK, symbol, 1_000_000 * reserve.one)
    market.supply(OWNER, "WETH", 10 * market.reserves["WETH"].one)
    market.borrow(OWNER, "USDC", 900 * market.reserves["USDC"].one)


def _provide(client: NodeClient, library: ContractLibrary) -> None:
    """A position in range, of a pool whose trades have paid it fees."""
    pool = create_pool(place_uniswap(client, library), (USDC, WETH), 3_000, 60, root_at(195_300))
    pool.mint(OWNER, (-887_220, 887_220), (3_000 * 10**6, E18))
    pool.swap(50 * 10**6, first=True)


def _tokens(client: NodeClient, library: ContractLibrary) -> list[Asset]:
    """Real ones, of which the owner holds every other one."""
    addresses = _addresses(0xA, PLAIN_TOKENS)
    place(client, [Placement(one, library.erc20, (f"Token {n}", f"T{n}")) for n, one in enumerate(addresses)])
    gifts = [(one, (1 + n) * E18 // 7) for n, one in enumerate(addresses) if n % 2]
    mint = "mint(address,uint256)"
    transact(client, [Transaction(one, call_data(mint, OWNER, amount)) for one, amount in gifts])
    return [token(ETHEREUM, one, f"T{n}", 18) for n, one in enumerate(addresses)]


def _of_protocols(market: AaveMarket) -> Iterator[Asset]:
    """What the protocols' positions are of, and Aave's receipts."""
    yield token(ETHEREUM, WETH, "WETH", 18)
    yield token(ETHEREUM, USDC, "USDC", 6)
    parse = EvmAddresses().parse
    for symbol, reserve in market.reserves.items():
        yield token(ETHEREUM, parse(reserve.underlying), f"{symbol}.t", reserve.listing.decimals)
        yield token(ETHEREUM, parse(reserve.a_token), f"a{symbol}.t", reserve.listing.decimals)


def _collections(client: NodeClient, library: ContractLibrary) -> list[Collection]:
    addresses = _addresses(0xB, COLLECTIONS - 1)
    words = ("Collection", "NFT", "ipfs://collection.example/")
    place(client, [Placement(one, library.erc721, words) for one in addresses])
    gifts = [addresses[number] for number, count in HELD.items() for _ in range(count)]
    transact(client, [Transaction(one, call_data("mint(address)", OWNER)) for one in gifts])
    names = {one: f"Collection {number}" for number, one in enumerate(addresses)}
    names[EvmAddresses().parse(MANAGER)] = "Positions"
    return [Collection(ETHEREUM.slug, one, "erc721", name) for one, name in names.items()]


def _addresses(prefix: int, count: int) -> Sequence[Address]:
    return [EvmAddresses().parse(f"0x{(prefix << 32) + number:040x}") for number in range(count)]
