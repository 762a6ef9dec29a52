"""Real contracts at chosen addresses: listed tokens, ENS and ArbSys, by web3.py as a second opinion."""

import time
from typing import Any

import pytest
from tests.nodes.chains import EnsNamesOnNode, started, with_foreign_block_number
from tests.nodes.test_zoo import ERC20, function
from web3 import Web3
from web3.exceptions import Web3Exception

from balance_tracker.catalog.networks import load_networks
from balance_tracker.catalog.tokens import load_tokens
from balance_tracker.core.ids import Slug
from balance_tracker.demo.anvil import AnvilNode
from balance_tracker.demo.arbsys import ARBSYS_ADDRESS
from balance_tracker.demo.contracts import MULTICALL3_ADDRESS, ContractLibrary, call_data, transact
from balance_tracker.demo.ens import ENS_REGISTRY, ENS_RESOLVER, namehash
from balance_tracker.demo.tokens import MKR, Kind, place_tokens

pytestmark = pytest.mark.integration

OWNER = "0x" + "a1" * 20
MOST_SECONDS = 10.0
"""Far above what it takes (0.2 s), for a machine that does something else too."""


def ask(node: AnvilNode, to: str, signature: str, *arguments: Any) -> str:
    data = "0x" + call_data(signature, *arguments).hex()
    reply: str = node.client.call("eth_call", {"to": to, "data": data}, "latest")
    return reply


@pytest.mark.parametrize("slug", ["ethereum", "polygon"])
def test_every_listed_token_is_a_real_one_with_its_listed_facts(slug: str, library: ContractLibrary) -> None:
    network = load_networks()[Slug(slug)]
    assets = load_tokens({network.slug: network}, shipped=True)[network.slug]
    assert network.chain_id is not None
    with started(network.chain_id) as node:
        begun = time.monotonic()
        tokens = place_tokens(node.client, library, network, assets)
        assert time.monotonic() - begun < MOST_SECONDS
        transact(node.client, [step for token in tokens.values() for step in token.given_to(OWNER, 12_345)])
        web3 = Web3(Web3.HTTPProvider(node.url))
        bytes32 = [function("symbol", [], "bytes32"), function("name", [], "bytes32")]
        for asset in assets:
            address = Web3.to_checksum_address(str(asset.contract_address))
            functions = web3.eth.contract(address=address, abi=ERC20).functions
            assert functions.balanceOf(Web3.to_checksum_address(OWNER)).call() == 12_345
            assert functions.decimals().call() == asset.decimals
            if address == MKR and slug == "ethereum":
                old = web3.eth.contract(address=address, abi=bytes32).functions
                texts = [text.call().rstrip(b"\0").decode() for text in (old.symbol(), old.name())]
                assert texts == [asset.symbol, asset.name]
            else:
                assert (functions.symbol().call(), functions.name().call()) == (asset.symbol, asset.name)


def test_tokens_stand_for_each_kind_of_contract(library: ContractLibrary) -> None:
    network = load_networks()[Slug("ethereum")]
    assets = load_tokens({network.slug: network}, shipped=True)[network.slug]
    with started(1) as node:
        tokens = place_tokens(node.client, library, network, assets)
    assert {token.kind for token in tokens.values()} == set(Kind)


def test_ens_names_resolve_forward_and_back(shared_node: AnvilNode, ens: EnsNamesOnNode) -> None:
    def resolver_of(name: str) -> int:
        return int(ask(shared_node, ENS_REGISTRY, "resolver(bytes32)", namehash(name)), 16)

    def address_of(name: str) -> int:
        return int(ask(shared_node, ENS_RESOLVER, "addr(bytes32)", namehash(name)), 16)

    def name_of(address: str) -> str:
        node = namehash(f"{address[2:].lower()}.addr.reverse")
        reply = bytes.fromhex(ask(shared_node, ENS_RESOLVER, "name(bytes32)", node)[2:])
        return reply[64 : 64 + int.from_bytes(reply[32:64])].decode()

    assert resolver_of(ens.named) == int(ENS_RESOLVER, 16)
    assert resolver_of(ens.unregistered) == 0
    assert address_of(ens.named) == int(ens.owner, 16)
    assert address_of(ens.one_way) == int(ens.silent, 16)
    assert address_of(ens.empty) == 0
    assert name_of(ens.owner) == name_of(ens.impostor) == ens.named
    assert not name_of(ens.silent)


def test_arbsys_knows_the_block_and_multicall3_does_not(arbitrum_node: AnvilNode) -> None:
    head = int(arbitrum_node.client.call("eth_blockNumber"), 16)
    assert int(ask(arbitrum_node, ARBSYS_ADDRESS, "arbBlockNumber()"), 16) == head
    assert int(ask(arbitrum_node, MULTICALL3_ADDRESS, "getBlockNumber()"), 16) == 42161
    parent = arbitrum_node.client.call("eth_getBlockByNumber", hex(head - 1), False)
    assert ask(arbitrum_node, ARBSYS_ADDRESS, "arbBlockHash(uint256)", head - 1) == parent["hash"]


def test_arbsys_refuses_the_hash_of_a_block_that_is_not_before_this_one(arbitrum_node: AnvilNode) -> None:
    web3 = Web3(Web3.HTTPProvider(arbitrum_node.url))
    abi = [function("arbBlockHash", ["uint256"], "bytes32")]
    arbsys = web3.eth.contract(address=Web3.to_checksum_address(ARBSYS_ADDRESS), abi=abi)
    with pytest.raises(Web3Exception):
        arbsys.functions.arbBlockHash(web3.eth.block_number + 1).call()


def test_only_instructions_are_replaced_and_no_data() -> None:
    push_number, number, push_two = "6043", "43", "614343"
    changed = with_foreign_block_number(bytes.fromhex(push_number + number + push_two))
    assert changed.hex() == push_number + "46" + push_two
