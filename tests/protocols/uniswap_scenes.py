"""Uniswap's own contracts on a local node, V2 and V3, with owners who trade and provide liquidity."""

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from importlib.resources import files
from typing import Any

from eth_abi.abi import decode
from tests.evm.scenes import LOCAL
from tests.fakes.readers import token
from tests.nodes.token_zoo import zoo_address

from balance_tracker.core.assets import Asset
from balance_tracker.core.errors import UpstreamError
from balance_tracker.core.ids import Address
from balance_tracker.demo.contracts import (
    DEPLOYER,
    ContractLibrary,
    Transaction,
    call_data,
    transact,
)
from balance_tracker.demo.node_client import NodeClient
from balance_tracker.demo.tokens import place_tokens
from balance_tracker.demo.uniswap import (
    EXACT_INPUT_SINGLE,
    MINT,
    NEVER,
    V2_ROUTER,
    V3_ROUTER,
    liquidity_added,
    place_v2,
    place_v3,
    struct_call,
)
from balance_tracker.evm.address import EvmAddresses
from balance_tracker.protocols.spec import Row

WETH = Address("0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2")
USDC = Address("0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48")
LOW = Address("0x1111111111111111111111111111111111111111")
HIGH = Address("0xF1111111111111111111111111111111111111F1")
"""Two tokens that no list has, before and after the listed ones in the order of addresses."""
NETWORK = replace(LOCAL, wrapped_native=WETH)
LISTED = (token(NETWORK, WETH, "WETH", 18), token(NETWORK, USDC, "USDC", 6))
UNLISTED = (token(NETWORK, LOW, "LOW", 18), token(NETWORK, HIGH, "HIGH", 8))

V3_FACTORY = Address("0x1F98431c8aD98523631AE4a59f267346ea31F984")
MANAGER = Address("0xC36442b4a4522E871399CD717aBDD847Ab11FE88")
ROUTER = V3_ROUTER
V2_FACTORY = Address("0x5C69bEe701ef814a2B6a3EDD4B1652CB9cc5aA6f")

OWNERS = (zoo_address("first provider"), zoo_address("second provider"))
NOBODY = f"0x{0:040x}"
RICH = 10**30
MOST = (1 << 128) - 1


def rows_of(protocol: str, network: str) -> list[Row]:
    """What is shipped of a protocol on a network."""
    text = (files("balance_tracker") / "data" / "protocols" / f"{protocol}.toml").read_text(encoding="utf-8")
    return [row for row in tomllib.loads(text)["deployments"] if row["network"] == network]


def asset_of(address: Address) -> Asset | None:
    """What the lists know."""
    return next((one for one in LISTED if str(one.contract_address).lower() == address.lower()), None)


@dataclass(frozen=True)
class Uniswap:
    """Uniswap on a node; the deployer and the owners are rich in all tokens."""

    client: NodeClient

    def send(self, to: str, data: bytes, sender: str = DEPLOYER) -> None:
        transact(self.client, [Transaction(to, data, sender)])

    def tries(self, to: str, data: bytes, sender: str) -> bool:
        """The same where it may be refused."""
        try:
            self.send(to, data, sender)
        except UpstreamError:
            return False
        return True

    def view(self, to: str, data: bytes, types: list[str], sender: str = NOBODY) -> tuple[Any, ...]:
        call = {"from": sender, "to": to, "data": "0x" + data.hex(), "gasPrice": "0x0"}
        return decode(types, bytes.fromhex(self.client.call("eth_call", call, "latest")[2:]))

    def number(self, to: str, signature: str, *arguments: Any) -> int:
        return int(self.view(to, call_data(signature, *arguments), ["uint256"])[0])

    def pass_time(self, seconds: int) -> None:
        self.client.call("evm_increaseTime", seconds)
        self.client.call("evm_mine")


# V3.


@dataclass(frozen=True)
class PoolV3:
    """A pool of two tokens at a fee."""

    uniswap: Uniswap
    address: Address
    tokens: tuple[Address, Address]
    fee: int
    spacing: int

    @property
    def tick(self) -> int:
        types = ["uint160", "int24", "uint16", "uint16", "uint16", "uint8", "bool"]
        return int(self.uniswap.view(self.address, call_data("slot0()"), types)[1])

    def mint(self, owner: str, ticks: tuple[int, int], amounts: tuple[int, int]) -> None:
        words = (*self.tokens, self.fee, *ticks, *amounts, 0, 0, owner, NEVER)
        self.uniswap.send(MANAGER, struct_call("mint", MINT, words), owner)

    def swap(self, amount: int, *, first: bool) -> None:
        """Sell so much of the first or of the second token."""
        pair = self.tokens if first else self.tokens[::-1]
        words = (*pair, self.fee, DEPLOYER, NEVER, amount, 0, 0)
        self.uniswap.send(ROUTER, struct_call("exactInputSingle", EXACT_INPUT_SINGLE, words))


def create_pool(
    uniswap: Uniswap, tokens: tuple[Address, Address], fee: int, spacing: int, root: int
) -> PoolV3:
    """A pool without liquidity; ``root`` is the root of its price, with 96 binary digits."""
    first, second = sorted(tokens, key=str.lower)
    create = "createAndInitializePoolIfNecessary(address,address,uint24,uint160)"
    uniswap.send(MANAGER, call_data(create, first, second, fee, root))
    asked = call_data("getPool(address,address,uint24)", first, second, fee)
    (found,) = uniswap.view(V3_FACTORY, asked, ["address"])
    return PoolV3(uniswap, Address(found), (first, second), fee, spacing)


def ids_of(uniswap: Uniswap, owner: str) -> list[int]:
    """All position NFTs of an owner."""
    count = uniswap.number(MANAGER, "balanceOf(address)", owner)
    by_index = "tokenOfOwnerByIndex(address,uint256)"
    return [uniswap.number(MANAGER, by_index, owner, index) for index in range(count)]


def kept(uniswap: Uniswap, token_id: int) -> tuple[Any, ...]:
    """What the manager keeps of a position."""
    types = ["uint96", "address", "address", "address", "uint24", "int24", "int24", "uint128"]
    types += ["uint256", "uint256", "uint128", "uint128"]
    return uniswap.view(MANAGER, call_data("positions(uint256)", token_id), types)


def decrease_call(token_id: int, liquidity: int) -> bytes:
    types = "(uint256,uint128,uint256,uint256,uint256)"
    return struct_call("decreaseLiquidity", types, (token_id, liquidity, 0, 0, NEVER))


def increase_call(token_id: int, amounts: tuple[int, int]) -> bytes:
    types = "(uint256,uint256,uint256,uint256,uint256,uint256)"
    return struct_call("increaseLiquidity", types, (token_id, *amounts, 0, 0, NEVER))


def collect_call(token_id: int, owner: str, most: tuple[int, int] = (MOST, MOST)) -> bytes:
    return struct_call("collect", "(uint256,address,uint128,uint128)", (token_id, owner, *most))


# V2.


@dataclass(frozen=True)
class PairV2:
    """A pair of two tokens."""

    uniswap: Uniswap
    address: Address
    tokens: tuple[Address, Address]

    def add(self, owner: str, amounts: tuple[int, int]) -> None:
        transact(self.uniswap.client, [liquidity_added(owner, self.tokens, amounts)])

    def remove(self, owner: str, liquidity: int) -> bool:
        return self.uniswap.tries(V2_ROUTER, self._removal(owner, liquidity), owner)

    def removal(self, owner: str) -> tuple[int, int]:
        """What the router would pay for all that an owner has, by its own static call."""
        data = self._removal(owner, self.liquidity(owner))
        first, second = self.uniswap.view(V2_ROUTER, data, ["uint256", "uint256"], owner)
        return first, second

    def liquidity(self, owner: str) -> int:
        return self.uniswap.number(self.address, "balanceOf(address)", owner)

    def swap(self, amount: int, *, first: bool) -> None:
        pair = self.tokens if first else self.tokens[::-1]
        swap = "swapExactTokensForTokens(uint256,uint256,address[],address,uint256)"
        self.uniswap.send(V2_ROUTER, call_data(swap, amount, 0, list(pair), DEPLOYER, NEVER))

    def _removal(self, owner: str, liquidity: int) -> bytes:
        remove = "removeLiquidity(address,address,uint256,uint256,uint256,address,uint256)"
        return call_data(remove, *self.tokens, liquidity, 0, 0, owner, NEVER)


def create_pair(uniswap: Uniswap, tokens: tuple[Address, Address]) -> PairV2:
    """A pair without liquidity; the router may take its liquidity tokens of the owners."""
    first, second = sorted(tokens, key=str.lower)
    uniswap.send(V2_FACTORY, call_data("createPair(address,address)", first, second))
    asked = call_data("getPair(address,address)", first, second)
    (found,) = uniswap.view(V2_FACTORY, asked, ["address"])
    approve_all(uniswap.client, [found], (DEPLOYER, *OWNERS), [V2_ROUTER])
    return PairV2(uniswap, EvmAddresses().parse(found), (first, second))


# What is placed.


def place_uniswap(client: NodeClient, library: ContractLibrary) -> Uniswap:
    """Put everything at its mainnet address, and give tokens to the deployer and the owners."""
    uniswap = Uniswap(client)
    tokens = place_tokens(client, library, NETWORK, [*LISTED, *UNLISTED])
    people = (DEPLOYER, *OWNERS)
    client.call("anvil_setBalance", DEPLOYER, hex(10 * RICH))
    transact(client, [step for one in tokens.values() for who in people for step in one.given_to(who, RICH)])
    place_v3(client, library.packages, {"factory": V3_FACTORY, "manager": MANAGER}, WETH)
    place_v2(client, library.packages, {"factory": V2_FACTORY}, WETH)
    approve_all(client, tokens, people, (MANAGER, ROUTER, V2_ROUTER))
    return uniswap


def approve_all(
    client: NodeClient, tokens: Iterable[str], people: Iterable[str], spenders: Iterable[str]
) -> None:
    """Let the spenders take all tokens of the people."""
    steps = [
        Transaction(one, call_data("approve(address,uint256)", spender, (1 << 256) - 1), who)
        for who in people
        for spender in spenders
        for one in tokens
    ]
    transact(client, steps)
