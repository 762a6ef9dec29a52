"""Uniswap's own contracts on a local node, V2 and V3, where the tracker is shipped to look for them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from math import isqrt
from pathlib import Path
from typing import Any

from eth_abi.abi import decode, encode
from eth_utils.crypto import keccak

from balance_tracker.core.ids import Address
from balance_tracker.demo.contracts import (
    DEPLOYER,
    Artifact,
    Placement,
    Transaction,
    call_data,
    place,
)
from balance_tracker.demo.node_client import NodeClient

NEVER = 1 << 60
"""A deadline, in Unix seconds."""

MINT = "(address,address,uint24,int24,int24,uint256,uint256,uint256,uint256,address,uint256)"
EXACT_INPUT_SINGLE = "(address,address,uint24,address,uint256,uint256,uint256,uint160)"
ADD_LIQUIDITY = "addLiquidity(address,address,uint256,uint256,uint256,uint256,address,uint256)"
V3_ROUTER = Address("0xE592427A0AEce92De3Edee1F18E0157C05861564")
V2_ROUTER = Address("0x7a250d5630B4cF539739dF2C5dAcb4c659F2488D")
_NOBODY = f"0x{0:040x}"


@dataclass(frozen=True, slots=True)
class PoolPlan:
    """A pool to be: its two tokens in the order of their addresses, its fee, and the root of its price."""

    tokens: tuple[str, str]
    fee: int
    spacing: int
    root: int

    @classmethod
    def priced(cls, one: tuple[str, int], other: tuple[str, int], fee: int, spacing: int) -> "PoolPlan":
        """A pool in which so much of one token is worth so much of the other, in smallest units."""
        first, second = sorted((one, other), key=lambda token: token[0].lower())
        return cls((first[0], second[0]), fee, spacing, isqrt((second[1] << 192) // first[1]))

    def sides(self, amounts: Mapping[str, int]) -> tuple[int, int]:
        """Amounts by token in the pool's order."""
        return amounts[self.tokens[0]], amounts[self.tokens[1]]


def place_v3(client: NodeClient, packages: Path, row: Mapping[str, Any], wrapped_native: str) -> None:
    """Put the factory and the position manager of a shipped table on a node, and a router beside them.

    Raises:
        UpstreamError: A constructor failed.
    """
    factory = str(row["factory"])
    three = ("address", "address", "address")
    manager = v3_artifact(packages, "v3-periphery", "NonfungiblePositionManager", three)
    router = v3_artifact(packages, "v3-periphery", "SwapRouter", three[:2])
    place(
        client,
        [
            Placement(factory, v3_artifact(packages, "v3-core", "UniswapV3Factory")),
            Placement(str(row["manager"]), manager, (factory, wrapped_native, _NOBODY)),
            Placement(V3_ROUTER, router, (factory, wrapped_native)),
        ],
    )


def place_v2(client: NodeClient, packages: Path, row: Mapping[str, Any], wrapped_native: str) -> None:
    """Put the factory of a shipped table on a node, and a router beside it.

    Raises:
        UpstreamError: A constructor failed.
    """
    factory = str(row["factory"])
    router = v2_artifact(packages, "v2-periphery", "UniswapV2Router02", ("address",) * 2)
    place(
        client,
        [
            Placement(
                factory, v2_artifact(packages, "v2-core", "UniswapV2Factory", ("address",)), (DEPLOYER,)
            ),
            Placement(V2_ROUTER, router, (factory, wrapped_native)),
        ],
    )


def created_pool(manager: str, plan: PoolPlan) -> Transaction:
    """What makes a pool without liquidity."""
    create = "createAndInitializePoolIfNecessary(address,address,uint24,uint160)"
    return Transaction(manager, call_data(create, *plan.tokens, plan.fee, plan.root))


def minted(
    manager: str, plan: PoolPlan, owner: str, ticks: tuple[int, int], amounts: tuple[int, int]
) -> Transaction:
    """What opens a position in a pool."""
    words = (*plan.tokens, plan.fee, *ticks, *amounts, 0, 0, owner, NEVER)
    return Transaction(manager, struct_call("mint", MINT, words), owner)


def swapped(plan: PoolPlan, amount: int, *, first: bool) -> Transaction:
    """What sells so much of the pool's first or second token, by the deployer."""
    pair = plan.tokens if first else plan.tokens[::-1]
    words = (*pair, plan.fee, DEPLOYER, NEVER, amount, 0, 0)
    return Transaction(V3_ROUTER, struct_call("exactInputSingle", EXACT_INPUT_SINGLE, words))


def liquidity_added(owner: str, tokens: tuple[str, str], amounts: tuple[int, int]) -> Transaction:
    """What puts liquidity into a pair of V2, which is made if it is not there."""
    return Transaction(V2_ROUTER, call_data(ADD_LIQUIDITY, *tokens, *amounts, 0, 0, owner, NEVER), owner)


def allowed(owner: str, spender: str, tokens: tuple[str, str]) -> list[Transaction]:
    """What lets a contract take all of an owner's tokens."""
    data = call_data("approve(address,uint256)", spender, (1 << 256) - 1)
    return [Transaction(token, data, owner) for token in tokens]


def tick_now(client: NodeClient, factory: str, plan: PoolPlan) -> int:
    """The tick of a pool.

    Raises:
        UpstreamError: There is none.
    """
    asked = call_data("getPool(address,address,uint24)", *plan.tokens, plan.fee)
    (pool,) = _view(client, factory, asked, ["address"])
    types = ["uint160", "int24", "uint16", "uint16", "uint16", "uint8", "bool"]
    return int(_view(client, str(pool), call_data("slot0()"), types)[1])


def around(tick: int, spacing: int, reach: int) -> tuple[int, int]:
    """Ticks so far below and above one, where a pool may have them."""
    return (tick - reach) // spacing * spacing, (tick + reach) // spacing * spacing


def struct_call(name: str, types: str, words: tuple[Any, ...]) -> bytes:
    """The data of a call of a function that takes one structure."""
    return keccak(text=f"{name}({types})")[:4] + encode([types], [words])


def v3_artifact(packages: Path, package: str, name: str, constructor: tuple[str, ...] = ()) -> Artifact:
    """A contract of V3 as its authors compiled it."""
    path = packages / "@uniswap" / package / "artifacts" / "contracts" / f"{name}.sol" / f"{name}.json"
    return Artifact(name, _bytecode(path), constructor)


def v2_artifact(packages: Path, package: str, name: str, constructor: tuple[str, ...]) -> Artifact:
    """A contract of V2 as its authors compiled it."""
    return Artifact(name, _bytecode(packages / "@uniswap" / package / "build" / f"{name}.json"), constructor)


def _bytecode(path: Path) -> bytes:
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return bytes.fromhex(str(document["bytecode"]).removeprefix("0x"))


def _view(client: NodeClient, to: str, data: bytes, types: list[str]) -> tuple[Any, ...]:
    raw = client.call("eth_call", {"to": to, "data": "0x" + data.hex()}, "latest")
    return decode(types, bytes.fromhex(raw[2:]))
