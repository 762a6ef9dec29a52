"""Uniswap V3's own contracts on a local node: pools with real liquidity, and real swaps."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from math import isqrt
from pathlib import Path
from typing import Any

from eth_abi import decode, encode
from eth_utils.crypto import keccak
from tests.evm.scenes import LOCAL
from tests.fakes.readers import token

from balance_tracker.catalog.feeds import load_feeds
from balance_tracker.core.assets import Asset, native_asset
from balance_tracker.core.errors import UpstreamError
from balance_tracker.core.ids import Address, AssetId, Slug
from balance_tracker.core.prices import Interval, PricePoint, Quote, SourceFamily
from balance_tracker.demo.artifacts import fetch_packages
from balance_tracker.demo.contracts import (
    DEPLOYER,
    Artifact,
    ContractLibrary,
    Placement,
    Transaction,
    call_data,
    place,
    transact,
)
from balance_tracker.demo.node_client import NodeClient
from balance_tracker.demo.tokens import place_tokens

MANIFEST = Path(__file__).parent / "npm"
ETHEREUM = Slug("ethereum")
WETH = Address("0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2")
USDC = Address("0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48")
LOW = Address("0x1111111111111111111111111111111111111111")
HIGH = Address("0xF1111111111111111111111111111111111111F1")
"""Tokens before and after every quote token in the order of addresses."""
NETWORK = replace(LOCAL, wrapped_native=WETH)
OFFERED = load_feeds({ETHEREUM: NETWORK})[ETHEREUM]
FACTORY = OFFERED.uniswap_v3.factory if OFFERED.uniswap_v3 else Address("")
POSITIONS = Address("0xC36442b4a4522E871399CD717aBDD847Ab11FE88")
ROUTER = Address("0xE592427A0AEce92De3Edee1F18E0157C05861564")
NOBODY = f"0x{0:040x}"
FEE, SPACING = 3_000, 60
WIDEST = 887_220
NEVER = 1 << 60
RICH = 10**30


@dataclass
class Rates:
    """A source that knows the prices it was given; implements ``PriceSource``."""

    amounts: dict[AssetId, Decimal]
    name: str = "rates"
    family: SourceFamily = "oracle"
    confidence: Decimal = Decimal("0.99")
    error: UpstreamError | None = None
    asked: list[AssetId] = field(default_factory=list)

    async def quotes(self, assets: Sequence[Asset], deadline: float) -> Sequence[Quote]:
        if self.error is not None:
            raise self.error
        self.asked += [asset.price_key for asset in assets]
        now = datetime.now().astimezone()
        return [
            Quote(
                asset.price_key, self.name, self.family, self.amounts[asset.price_key], now, self.confidence
            )
            for asset in assets
            if asset.price_key in self.amounts
        ]

    async def quotes_at(self, assets: Sequence[Asset], at: datetime, deadline: float) -> Sequence[Quote]:
        return await self.quotes(assets, deadline)

    async def series(
        self, asset: Asset, start: datetime, end: datetime, interval: Interval, deadline: float
    ) -> Sequence[PricePoint]:
        return ()


@dataclass(frozen=True)
class PoolsOnNode:
    """Uniswap V3 and some tokens on a node; the deployer holds all of them."""

    client: NodeClient
    library: ContractLibrary

    def create(
        self, token: Address, quote: Address, price: Decimal, *, observations: int = 200
    ) -> "PoolOnNode":
        """A pool at a price (raw amounts of the quote token for one of the token), without liquidity."""
        first, second = sorted((token, quote), key=str.lower)
        ratio = price if first == token else 1 / price
        root = isqrt(int(ratio.scaleb(60)) << 192) // 10**30
        create = "createAndInitializePoolIfNecessary(address,address,uint24,uint160)"
        self.send(POSITIONS, call_data(create, first, second, FEE, root))
        pool = PoolOnNode(self, self.pool_of(token, quote), token, quote)
        if observations > 1:
            self.send(pool.address, call_data("increaseObservationCardinalityNext(uint16)", observations))
        return pool

    def pool_of(self, token: Address, quote: Address) -> Address:
        (found,) = self.view(
            FACTORY, call_data("getPool(address,address,uint24)", token, quote, FEE), ["address"]
        )
        return Address(found)

    def send(self, to: str, data: bytes, **more: Any) -> None:
        transact(self.client, [Transaction(to, data, **more)])

    def view(self, to: str, data: bytes, types: list[str]) -> tuple[Any, ...]:
        answer = self.client.call("eth_call", {"to": to, "data": "0x" + data.hex()}, "latest")
        return decode(types, bytes.fromhex(answer[2:]))

    @property
    def now(self) -> int:
        return int(self.client.call("eth_getBlockByNumber", "latest", False)["timestamp"], 16)

    def pass_time(self, seconds: int) -> None:
        self.client.call("evm_increaseTime", seconds)
        self.client.call("evm_mine")


@dataclass(frozen=True)
class PoolOnNode:
    """One pool."""

    pools: PoolsOnNode
    address: Address
    token: Address
    quote: Address

    @property
    def tick(self) -> int:
        """Where it is now."""
        types = ["uint160", "int24", "uint16", "uint16", "uint16", "uint8", "bool"]
        return int(self.pools.view(self.address, call_data("slot0()"), types)[1])

    def add_liquidity(self, tokens: int, quotes: int, ticks: tuple[int, int] = (-WIDEST, WIDEST)) -> None:
        """Up to so much of both, between two ticks."""
        first, second = sorted((self.token, self.quote), key=str.lower)
        amounts = (tokens, quotes) if first == self.token else (quotes, tokens)
        words = (first, second, FEE, *ticks, *amounts, 0, 0, DEPLOYER, NEVER)
        types = "(address,address,uint24,int24,int24,uint256,uint256,uint256,uint256,address,uint256)"
        self.pools.send(POSITIONS, keccak(text=f"mint({types[:]})")[:4] + encode([types], [words]))

    def swap(self, *, sell_token: int = 0, sell_quote: int = 0) -> None:
        """Sell so much of one of them."""
        amount = sell_token or sell_quote
        pair = (self.token, self.quote) if sell_token else (self.quote, self.token)
        words = (*pair, FEE, DEPLOYER, NEVER, amount, 0, 0)
        types = "(address,address,uint24,address,uint256,uint256,uint256,uint160)"
        self.pools.send(ROUTER, keccak(text=f"exactInputSingle({types})")[:4] + encode([types], [words]))


def place_pools(client: NodeClient, library: ContractLibrary) -> PoolsOnNode:
    """Put the factory, the position manager and the router at their mainnet addresses, and tokens."""
    packages = fetch_packages(MANIFEST, lambda line: None)
    listed = [token(NETWORK, WETH, "WETH", 18), token(NETWORK, USDC, "USDC", 6)]
    tokens = place_tokens(client, library, NETWORK, [*listed, *unlisted()])
    client.call("anvil_setBalance", DEPLOYER, hex(10 * RICH))
    transact(client, [step for one in tokens.values() for step in one.given_to(DEPLOYER, RICH)])
    place(client, [Placement(FACTORY, _artifact(packages, "v3-core", "UniswapV3Factory"))])
    three = ("address", "address", "address")
    positions = _artifact(packages, "v3-periphery", "NonfungiblePositionManager", three)
    router = _artifact(packages, "v3-periphery", "SwapRouter", three[:2])
    place(client, [Placement(POSITIONS, positions, (FACTORY, WETH, NOBODY))])
    place(client, [Placement(ROUTER, router, (FACTORY, WETH))])
    approve = "approve(address,uint256)"
    spenders = (POSITIONS, ROUTER)
    transact(client, [Transaction(one, call_data(approve, to, RICH)) for one in tokens for to in spenders])
    return PoolsOnNode(client, library)


def unlisted() -> list[Asset]:
    return [token(NETWORK, LOW, "LOW", 18), token(NETWORK, HIGH, "HIGH", 8)]


def ether_id() -> AssetId:
    return native_asset(NETWORK).price_key


def _artifact(packages: Path, package: str, name: str, constructor: tuple[str, ...] = ()) -> Artifact:
    path = packages / "@uniswap" / package / "artifacts" / "contracts" / f"{name}.sol" / f"{name}.json"
    return Artifact(name, bytes.fromhex(json.loads(path.read_text())["bytecode"][2:]), constructor)
