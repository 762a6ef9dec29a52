"""What the fixtures hand out: local networks prepared for tests."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.nodes.token_zoo import zoo_address

from balance_tracker.core.ids import Address
from balance_tracker.demo.anvil import AnvilNode, start_anvil
from balance_tracker.demo.contracts import ContractLibrary
from balance_tracker.demo.ens import claim_reverse_names, place_ens, register_names
from balance_tracker.demo.node_client import NodeClient

NUMBER, CHAIN_ID = 0x43, 0x46
PUSH1, PUSH32 = 0x60, 0x7F


ENS_OWNER = zoo_address("ens owner")
ENS_SILENT = zoo_address("ens silent")
ENS_IMPOSTOR = zoo_address("ens impostor")


@dataclass(frozen=True, slots=True)
class EnsNamesOnNode:
    """Names registered on a node.

    ``named`` resolves to ``owner`` and back; ``one_way`` resolves to ``silent``, which claims
    nothing; ``impostor`` claims ``named``, which is not its own; ``empty`` has no address.
    """

    named: str = "treasury.eth"
    owner: Address = ENS_OWNER
    one_way: str = "oneway.eth"
    silent: Address = ENS_SILENT
    impostor: Address = ENS_IMPOSTOR
    empty: str = "empty.eth"
    unregistered: str = "nobody-has-this.eth"


@contextmanager
def started(chain_id: int, *extra_arguments: str) -> Iterator[AnvilNode]:
    """A node for the length of a block, on which every account may act without a key."""
    node = start_anvil(chain_id, extra_arguments=("--auto-impersonate", *extra_arguments))
    try:
        yield node
    finally:
        node.stop()


@contextmanager
def rolled_back(client: NodeClient) -> Iterator[None]:
    """Everything that happens on the node inside is undone at the end."""
    snapshot = client.call("evm_snapshot")
    try:
        yield
    finally:
        assert client.call("evm_revert", snapshot) is True


def add_ens(client: NodeClient, library: ContractLibrary) -> EnsNamesOnNode:
    """Put ENS and a few names on a node."""
    names = EnsNamesOnNode()
    place_ens(client, library)
    register_names(
        client,
        {names.named: names.owner, names.one_way: names.silent, names.empty: f"0x{0:040x}"},
    )
    claim_reverse_names(client, {names.owner: names.named, names.impostor: names.named})
    return names


def with_foreign_block_number(runtime: bytes) -> bytes:
    """The same contract, but to it the block's number is the chain's id.

    On Arbitrum the EVM's ``NUMBER`` is a block of the parent chain. anvil can't do that, so the
    instruction is replaced by another that pushes one word, and whoever trusts it is found out.
    """
    changed = bytearray(runtime)
    at = 0
    while at < len(changed):
        if changed[at] == NUMBER:
            changed[at] = CHAIN_ID
        at += changed[at] - PUSH1 + 2 if PUSH1 <= changed[at] <= PUSH32 else 1
    return bytes(changed)
