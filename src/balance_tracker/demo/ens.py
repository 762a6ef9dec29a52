"""ENS on a local node: registry, resolver and reverse registrar at their mainnet addresses."""

from collections.abc import Mapping

from eth_utils.crypto import keccak

from balance_tracker.demo.contracts import (
    DEPLOYER,
    ContractLibrary,
    Placement,
    Transaction,
    call_data,
    place,
    transact,
)
from balance_tracker.demo.node_client import NodeClient

ENS_REGISTRY = "0x00000000000C2E074eC69A0dFb2997BA6C7d2e1e"
ENS_RESOLVER = "0x231b0Ee14048e9dCcD1d247744d114a4EB5E8E63"
ENS_REVERSE_REGISTRAR = "0xa58E81fe9b61B5c3fE2AFD33CF304c454AbFc7Cb"

_SET_SUBNODE_OWNER = "setSubnodeOwner(bytes32,bytes32,address)"
_SET_RESOLVER = "setResolver(bytes32,address)"
_SET_ADDRESS = "setAddr(bytes32,address)"
_SET_NAME = "setName(string)"


def place_ens(client: NodeClient, library: ContractLibrary) -> None:
    """Put ENS there, with the roots ``eth`` (the deployer's) and ``addr.reverse`` (the registrar's)."""
    place(
        client,
        [
            Placement(ENS_REGISTRY, library.ens_registry),
            Placement(ENS_RESOLVER, library.ens_resolver, (ENS_REGISTRY,)),
        ],
    )
    transact(client, [_give_subnode("", "eth", DEPLOYER), _give_subnode("", "reverse", DEPLOYER)])
    # Its constructor claims from an earlier registrar, so ``addr.reverse`` must not be owned yet.
    reverse_registrar = Placement(
        ENS_REVERSE_REGISTRAR, library.ens_reverse_registrar, (ENS_REGISTRY, ENS_RESOLVER)
    )
    place(client, [reverse_registrar])
    transact(client, [_give_subnode("reverse", "addr", ENS_REVERSE_REGISTRAR)])


def register_names(client: NodeClient, names: Mapping[str, str]) -> None:
    """Point ``label.eth`` names at addresses, forward only.

    Args:
        client: A node with ENS on it.
        names: Addresses by name; names are normalised already.
    """
    transact(client, [step for name, address in names.items() for step in _forward(name, address)])


def claim_reverse_names(client: NodeClient, names: Mapping[str, str]) -> None:
    """Let addresses (of an auto-impersonating node) claim names as theirs, true or not.

    Args:
        client: A node with ENS on it.
        names: Names by address.
    """
    transact(
        client,
        [
            Transaction(ENS_REVERSE_REGISTRAR, call_data(_SET_NAME, name), sender=address)
            for address, name in names.items()
        ],
    )


def namehash(name: str) -> bytes:
    """The node of a normalised name (EIP-137).

    >>> namehash("eth").hex()
    '93cdeb708b7545dc668eb9280176169d1c33cfd8ed6f04690a0bcc88a93fc4ae'
    """
    node = bytes(32)
    for label in reversed(name.split(".") if name else []):
        node = keccak(node + keccak(text=label))
    return node


def _give_subnode(parent: str, label: str, owner: str) -> Transaction:
    return Transaction(
        ENS_REGISTRY, call_data(_SET_SUBNODE_OWNER, namehash(parent), keccak(text=label), owner)
    )


def _forward(name: str, address: str) -> tuple[Transaction, ...]:
    label, _, parent = name.partition(".")
    return (
        _give_subnode(parent, label, DEPLOYER),
        Transaction(ENS_REGISTRY, call_data(_SET_RESOLVER, namehash(name), ENS_RESOLVER)),
        Transaction(ENS_RESOLVER, call_data(_SET_ADDRESS, namehash(name), address)),
    )
