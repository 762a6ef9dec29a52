"""The zoo is what it says, by a second opinion: web3.py asks every member directly."""

from collections.abc import Iterator
from typing import Any

import pytest
from tests.nodes.token_zoo import Member, Zoo
from web3 import Web3
from web3.exceptions import Web3Exception

from balance_tracker.core.portfolio import FailureCode
from balance_tracker.demo.anvil import AnvilNode
from balance_tracker.demo.contracts import MULTICALL3_ADDRESS, call_data, multicall3_runtime
from balance_tracker.demo.node_client import NodeClient

pytestmark = pytest.mark.integration

GAS_OF_A_USUAL_BALANCE_OF = 170_000


def function(name: str, inputs: list[str], output: str) -> dict[str, Any]:
    return {
        "type": "function",
        "name": name,
        "stateMutability": "view",
        "inputs": [{"type": kind, "name": ""} for kind in inputs],
        "outputs": [{"type": output, "name": ""}],
    }


ERC20 = [
    function("balanceOf", ["address"], "uint256"),
    function("symbol", [], "string"),
    function("name", [], "string"),
    function("decimals", [], "uint8"),
]


@pytest.fixture(scope="module")
def web3(shared_node: AnvilNode) -> Iterator[Web3]:
    provider = Web3.HTTPProvider(shared_node.url)
    yield Web3(provider)
    provider._request_session_manager.session_cache.clear()


def token(web3: Web3, member: Member) -> Any:
    return web3.eth.contract(address=Web3.to_checksum_address(member.address), abi=ERC20)


def answer(client: NodeClient, member: Member, owner: str) -> str:
    data = "0x" + call_data("balanceOf(address)", owner).hex()
    reply: str = client.call("eth_call", {"to": member.address, "data": data}, "latest")
    return reply


def test_every_readable_member_has_its_value_for_web3(web3: Web3, zoo: Zoo) -> None:
    read = {m.name: token(web3, m).functions.balanceOf(zoo.owner).call() for m in zoo.readable}
    assert read == {m.name: m.value for m in zoo.readable}


def test_members_that_can_not_be_read_fail_for_web3_too(web3: Web3, zoo: Zoo) -> None:
    # web3 accepts answers that are too long, which is why two kinds of member are not asked here.
    strict = [m for m in zoo.unreadable if m.name not in {"returns_blob", "returns_64_bytes"}]
    for member in strict:
        with pytest.raises((Web3Exception, ValueError)):
            token(web3, member).functions.balanceOf(zoo.owner).call()


def test_symbols_names_and_decimals_are_what_the_zoo_says(web3: Web3, zoo: Zoo) -> None:
    usual = [m for m in zoo.members.values() if m.symbol is not None and m.name != "bytes32_texts"]
    for member in usual:
        functions = token(web3, member).functions
        assert (functions.symbol().call(), functions.name().call()) == (member.symbol, member.token_name)
        if member.decimals is not None:
            assert functions.decimals().call() == member.decimals


def test_bytes32_texts_are_not_strings(web3: Web3, zoo: Zoo) -> None:
    member = zoo["bytes32_texts"]
    abi = [function("symbol", [], "bytes32"), function("name", [], "bytes32")]
    functions = web3.eth.contract(address=Web3.to_checksum_address(member.address), abi=abi).functions
    texts = [functions.symbol().call().rstrip(b"\0"), functions.name().call().rstrip(b"\0")]
    assert [text.decode() for text in texts] == [member.symbol, member.token_name]


@pytest.mark.parametrize("name", ["no_decimals", "odd_decimals", "erc1155", "eoa"])
def test_decimals_that_can_not_be_known_fail_for_web3(web3: Web3, zoo: Zoo, name: str) -> None:
    with pytest.raises((Web3Exception, ValueError, OverflowError)):
        token(web3, zoo[name]).functions.decimals().call()


def test_answers_of_odd_sizes_have_these_sizes(shared_node: AnvilNode, zoo: Zoo) -> None:
    names = ("returns_nothing", "returns_31_bytes", "returns_64_bytes", "returns_blob", "eoa")
    sizes = [len(answer(shared_node.client, zoo[name], zoo.owner)) // 2 - 1 for name in names]
    assert sizes == [0, 31, 64, 102_400, 0]


def test_a_heavy_balance_needs_more_gas_than_most_but_is_read(web3: Web3, zoo: Zoo) -> None:
    balance_of = token(web3, zoo["heavy"]).functions.balanceOf(zoo.owner)
    assert balance_of.estimate_gas() > GAS_OF_A_USUAL_BALANCE_OF
    assert balance_of.call() == zoo["heavy"].value


def test_a_stranger_has_nothing_but_what_everyone_has(web3: Web3, zoo: Zoo) -> None:
    balances = {m.name: token(web3, m).functions.balanceOf(zoo.stranger).call() for m in zoo.readable}
    everyone = {"same_for_everyone": zoo["same_for_everyone"].value}
    assert {name: value for name, value in balances.items() if value} == everyone


def test_the_announced_transfer_is_in_the_logs_and_not_in_the_balance(web3: Web3, zoo: Zoo) -> None:
    address = Web3.to_checksum_address(zoo["only_events"].address)
    logs = web3.eth.get_logs({"address": address, "fromBlock": 0})
    assert [int(log["data"].hex(), 16) for log in logs] == [10**18]
    assert token(web3, zoo["only_events"]).functions.balanceOf(zoo.owner).call() == 0


def test_an_erc1155_holding_is_not_seen_as_a_token_balance(web3: Web3, zoo: Zoo) -> None:
    abi = [function("balanceOf", ["address", "uint256"], "uint256")]
    contract = web3.eth.contract(address=Web3.to_checksum_address(zoo["erc1155"].address), abi=abi)
    assert contract.functions.balanceOf(zoo.owner, 1).call() == 500
    assert zoo["erc1155"].expected is FailureCode.REVERTED


def test_the_shipped_multicall3_is_the_canonical_one(
    web3: Web3, shared_node: AnvilNode, canonical_multicall3: bytes
) -> None:
    assert multicall3_runtime() == canonical_multicall3
    assert bytes(web3.eth.get_code(Web3.to_checksum_address(MULTICALL3_ADDRESS))) == canonical_multicall3


def test_a_chain_without_multicall3_has_the_same_zoo(bare_node: AnvilNode, bare_zoo: Zoo, zoo: Zoo) -> None:
    assert bare_node.client.call("eth_getCode", MULTICALL3_ADDRESS, "latest") == "0x"
    assert bare_zoo.members == zoo.members
    value = bare_zoo["proxy"].value
    assert int(answer(bare_node.client, bare_zoo["proxy"], bare_zoo.owner), 16) == value


def test_a_rolled_back_node_forgets_what_a_test_did(node: AnvilNode, zoo: Zoo) -> None:
    client = node.client
    before = client.call("eth_blockNumber")
    snapshot = client.call("evm_snapshot")
    client.call("anvil_setBalance", zoo.owner, "0x1")
    client.call("anvil_mine", "0x3")
    assert client.call("evm_revert", snapshot) is True
    assert client.call("eth_blockNumber") == before
    assert client.call("eth_getBalance", zoo.owner, "latest") == "0x0"
