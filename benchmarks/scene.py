"""One local node with 60 real ERC-20s, and a wallet that holds most of them."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from eth_utils.address import to_checksum_address

from balance_tracker.demo.anvil import start_anvil
from balance_tracker.demo.artifacts import fetch_packages
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

CHAIN_ID = 1
WALLET = to_checksum_address("0x00000000000000000000000000000000000b41a4")
TOKENS = tuple(to_checksum_address(f"0x{0x70000 + number:040x}") for number in range(60))
NATIVE_WEI = 3 * 10**18 + 1


@dataclass(frozen=True, slots=True)
class BenchNode:
    """The node's URL, and what the wallet holds: the native coin, then every token."""

    url: str
    truth: tuple[int, ...]


@contextmanager
def bench_node() -> Iterator[BenchNode]:
    """Start and fill the node."""
    packages = fetch_packages()
    node = start_anvil(CHAIN_ID, packages=packages)
    try:
        client = node.client
        set_code(client, {MULTICALL3_ADDRESS: multicall3_runtime()})
        erc20 = ContractLibrary(packages).erc20
        place(client, [Placement(token, erc20, ("Token", "TKN")) for token in TOKENS])
        amounts = [0 if number % 5 == 4 else 10**18 + number for number in range(len(TOKENS))]
        mints = [
            Transaction(token, call_data("mint(address,uint256)", WALLET, amount))
            for token, amount in zip(TOKENS, amounts, strict=True)
            if amount
        ]
        transact(client, mints)
        client.call("anvil_setBalance", WALLET, hex(NATIVE_WEI))
        client.call("evm_mine")
        yield BenchNode(node.url, (NATIVE_WEI, *amounts))
    finally:
        node.stop()
