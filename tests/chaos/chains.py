"""Three networks of real nodes, on which the owner's balances change with every move.

Blocks carry the times of the loop's world. An answer is compared with what the node itself
says of the block that the answer names.
"""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from tests.chaos.virtual_time import virtual_loop
from tests.fakes.readers import network, token
from tests.nodes.chains import started

from balance_tracker.core.assets import Asset
from balance_tracker.core.ids import Address
from balance_tracker.core.networks import ContractRef, Network
from balance_tracker.demo.anvil import AnvilNode
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

OWNER = Address("0x00000000000000000000000000000000000A11cE")
TOKENS = tuple(Address(f"0x{0xC0000 + number:040x}") for number in range(12))
SLUGS = {1: "ethereum", 10: "optimism", 8453: "base"}
BLOCKS_BEFORE = 60
MULTICALL3 = ContractRef(Address(MULTICALL3_ADDRESS))
ETHER = 10**18

type Balances = dict[str | None, int]


@dataclass(slots=True)
class Chain:
    """One network: its node, and what the owner holds at which block."""

    network: Network
    node: AnvilNode
    moves: int = 0
    _truths: dict[int, Balances] = field(default_factory=dict)

    @property
    def assets(self) -> list[Asset]:
        """The tokens that are asked for."""
        return [token(self.network, address, f"T{place}", 18) for place, address in enumerate(TOKENS)]

    def move(self) -> None:
        """Two blocks: one in which the owner's coin and some tokens change, and an empty one."""
        self.moves += 1
        client = self.node.client
        head = client.call("eth_getBlockByNumber", "latest", False)
        at = max(int(virtual_loop().wall_time()) - 1, int(head["timestamp"], 16) + 1)
        client.call("evm_setNextBlockTimestamp", at)
        transact(client, [Transaction(OWNER, value=self.moves), *_mints(self.moves)])

    def head(self) -> int:
        """The number of the latest block."""
        return int(self.node.client.call("eth_blockNumber"), 16)

    def truth(self, block: int) -> Balances:
        """Every balance at a block, asked of the node itself one by one; ``None`` is the native coin."""
        if block not in self._truths:
            tag = hex(block)
            data = "0x" + call_data("balanceOf(address)", OWNER).hex()
            calls = [("eth_call", [{"to": address, "data": data}, tag]) for address in TOKENS]
            native, *rest = self.node.client.batch([("eth_getBalance", [OWNER, tag]), *calls])
            amounts = (int(text, 16) for text in rest)
            self._truths[block] = {None: int(native, 16), **dict(zip(TOKENS, amounts, strict=True))}
        return self._truths[block]

    def hash_of(self, block: int) -> str:
        """The hash of a block."""
        return str(self.node.client.call("eth_getBlockByNumber", hex(block), False)["hash"])


@contextmanager
def running_chains(*chain_ids: int) -> Iterator[tuple[Chain, ...]]:
    """Start the nodes and fill them."""
    # Blocks are mined ahead of time: begun an hour ago, none of them lies in the future.
    began = str(int(time.time()) - 3_600)
    library = ContractLibrary(fetch_packages())
    with ExitStack() as stack:
        chains = []
        for chain_id in chain_ids:
            node = stack.enter_context(started(chain_id, "--timestamp", began))
            _fill(node, library)
            facts = network(SLUGS[chain_id], chain_id=chain_id, contracts={"multicall3": MULTICALL3})
            chains.append(Chain(facts, node))
        yield tuple(chains)


def _fill(node: AnvilNode, library: ContractLibrary) -> None:
    client = node.client
    set_code(client, {MULTICALL3_ADDRESS: multicall3_runtime()})
    place(client, [Placement(address, library.erc20, ("Token", "TKN")) for address in TOKENS])
    mints = [Transaction(address, _mint(1_000 + place)) for place, address in enumerate(TOKENS)]
    transact(client, [Transaction(OWNER, value=5 * ETHER), *mints])
    client.call("anvil_mine", hex(BLOCKS_BEFORE))


def _mints(move: int) -> list[Transaction]:
    return [Transaction(TOKENS[(move + step) % len(TOKENS)], _mint(move)) for step in range(3)]


def _mint(amount: int) -> bytes:
    return call_data("mint(address,uint256)", OWNER, amount)
