"""One local node with 60 real ERC-20s and thousands of wallets, whose holdings are known."""

import json
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from eth_utils.crypto import keccak

from balance_tracker.demo.anvil import AnvilNode, start_anvil
from balance_tracker.demo.artifacts import fetch_packages
from balance_tracker.demo.contracts import (
    MULTICALL3_ADDRESS,
    ContractLibrary,
    Placement,
    Transaction,
    call_data,
    multicall3_runtime,
    place,
    transact,
)
from benchmarks.truth import (
    CHAIN_ID,
    NATIVE,
    TOKEN_COUNT,
    WALLET_COUNT,
    raw_amount,
    token_addresses,
    wallet_addresses,
)

NODE_GAS = 50_000_000
"""What geth gives a call unless told otherwise."""

_HEX_WORD = 64
_SLOTS_TRIED = 16


@dataclass(frozen=True, slots=True)
class Scene:
    """The node and how many wallets it has."""

    url: str
    wallets: int


@contextmanager
def bench_node(wallets: int = WALLET_COUNT, gas: int = NODE_GAS) -> Iterator[Scene]:
    """Start a node that has everything from its first block.

    Args:
        wallets: How many of them hold something.
        gas: What a call gets that names none.
    """
    packages = fetch_packages()
    code, slot = _token_sample(packages)
    with tempfile.TemporaryDirectory(prefix="balance-tracker-bench-") as folder:
        genesis = Path(folder) / "genesis.json"
        genesis.write_text(json.dumps(_genesis(code, slot, wallets, gas)), encoding="ascii")
        words = ["--init", str(genesis), "--gas-limit", str(gas), "--no-request-size-limit"]
        node = start_anvil(CHAIN_ID, extra_arguments=words, packages=packages)
        try:
            node.client.call("evm_mine")
            yield Scene(node.url, wallets)
        finally:
            node.stop()


def _token_sample(packages: Path) -> tuple[str, int]:
    """The runtime of an OpenZeppelin token, and the slot of its ``_balances``: both from a real one."""
    token, holder = token_addresses(1)[0], wallet_addresses(1)[0]
    node = start_anvil(CHAIN_ID, packages=packages)
    try:
        place(node.client, [Placement(token, ContractLibrary(packages).erc20, ("Token", "TKN"))])
        transact(node.client, [Transaction(token, call_data("mint(address,uint256)", holder, 12_345))])
        code = str(node.client.call("eth_getCode", token, "latest"))
        return code, _balances_slot(node, token, holder)
    finally:
        node.stop()


def _balances_slot(node: AnvilNode, token: str, holder: str) -> int:
    for slot in range(_SLOTS_TRIED):
        word = node.client.call("eth_getStorageAt", token, _balance_key(holder, slot), "latest")
        if int(word, 16) == 12_345:
            return slot
    raise RuntimeError("the token keeps its balances somewhere else")


def _balance_key(holder: str, slot: int) -> str:
    """Where Solidity keeps the entry of a mapping: keccak-256 of key and slot."""
    return "0x" + keccak(bytes.fromhex(holder[2:].rjust(_HEX_WORD, "0")) + slot.to_bytes(32)).hex()


def _genesis(code: str, slot: int, wallets: int, gas: int) -> dict[str, object]:
    owners = wallet_addresses(wallets)
    keys = [_balance_key(owner, slot) for owner in owners]
    alloc: dict[str, object] = {
        owner: {"balance": hex(raw_amount(number, NATIVE))} for number, owner in enumerate(owners)
    }
    alloc[MULTICALL3_ADDRESS] = {"balance": "0x0", "code": "0x" + multicall3_runtime().hex()}
    for number, token in enumerate(token_addresses(TOKEN_COUNT)):
        alloc[token] = {"balance": "0x0", "code": code, "storage": _storage(keys, 1 + number)}
    return {
        "config": {"chainId": CHAIN_ID},
        "difficulty": "0x0",
        "gasLimit": hex(gas),
        "timestamp": "0x65000000",
        "alloc": alloc,
    }


def _storage(keys: Sequence[str], column: int) -> dict[str, str]:
    amounts = ((key, raw_amount(wallet, column)) for wallet, key in enumerate(keys))
    return {key: f"0x{amount:064x}" for key, amount in amounts if amount}
