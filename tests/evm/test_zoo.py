"""Every member of the token zoo by every way of reading it: right, or failed in its own way."""

from typing import Any

import pytest
from tests.conftest import OpenGateway
from tests.evm.scenes import (
    BARE,
    BARE_AND_PLAIN,
    BARE_BUT_HOPEFUL,
    HOPEFUL_AND_PLAIN,
    LOCAL,
    assert_matrix_is_right,
    assert_zoo_is_right,
    assets_of,
    block_of,
    outcomes_of,
    reading,
    singles_only,
    soon,
)
from tests.nodes.token_zoo import Member, Zoo
from web3 import AsyncHTTPProvider, AsyncWeb3

from balance_tracker import BalanceReader, read_balances
from balance_tracker.core.networks import Network
from balance_tracker.core.portfolio import FailureCode
from balance_tracker.demo.anvil import AnvilNode

pytestmark = pytest.mark.integration


def clear(zoo: Zoo) -> list[Member]:
    """The members with a balance that every reader sees; some take 64 bytes for a number, some do not."""
    return [member for member in zoo.readable if member.accepts == (member.value,)]


BALANCE_OF: list[dict[str, Any]] = [
    {
        "type": "function",
        "name": "balanceOf",
        "stateMutability": "view",
        "inputs": [{"type": "address", "name": ""}],
        "outputs": [{"type": "uint256", "name": ""}],
    }
]


async def test_all_readable_members_cost_one_request(
    shared_node: AnvilNode, zoo: Zoo, open_gateway: OpenGateway
) -> None:
    gateway = await open_gateway(shared_node.url)
    async with reading(LOCAL, gateway.url) as reader:
        answer = await reader.read(zoo.owner, assets_of(LOCAL, clear(zoo)), None, soon())
    assert not answer.failures
    assert outcomes_of(answer) == {None: 0} | {member.address: member.value for member in clear(zoo)}
    assert gateway.counts.requests == answer.requests == 1
    header = block_of(shared_node.client, answer.block.number)
    assert answer.block.hash == header["hash"]
    assert answer.block.timestamp == int(header["timestamp"], 16)
    assert answer.endpoint == gateway.url.removeprefix("http://")


async def test_all_members_have_their_outcomes_in_few_requests(
    shared_node: AnvilNode, zoo: Zoo, open_gateway: OpenGateway
) -> None:
    gateway = await open_gateway(shared_node.url)
    async with reading(LOCAL, gateway.url) as reader:
        answer = await reader.read(zoo.owner, assets_of(LOCAL, zoo.members.values()), None, soon())
    assert_zoo_is_right(zoo, answer)
    assert gateway.counts.requests == answer.requests <= 6


async def test_without_the_gas_eater_three_requests_are_enough(
    shared_node: AnvilNode, zoo: Zoo, open_gateway: OpenGateway
) -> None:
    gateway = await open_gateway(shared_node.url)
    members = [
        member for name, member in zoo.members.items() if name not in ("loops_forever", "invalid_opcode")
    ]
    async with reading(LOCAL, gateway.url) as reader:
        answer = await reader.read(zoo.owner, assets_of(LOCAL, members), None, soon())
    outcomes = outcomes_of(answer)
    assert all(outcomes[member.address] in member.accepts for member in members)
    assert gateway.counts.requests == answer.requests <= 3


async def test_a_gas_eater_alone_is_out_of_gas(shared_node: AnvilNode, zoo: Zoo) -> None:
    async with reading(LOCAL, shared_node.url) as reader:
        answer = await reader.read(zoo.owner, assets_of(LOCAL, [zoo["loops_forever"]]), None, soon())
    assert outcomes_of(answer)[zoo["loops_forever"].address] is FailureCode.OUT_OF_GAS
    assert answer.requests <= 3


@pytest.mark.parametrize(
    ("net", "shown"),
    [
        (BARE_AND_PLAIN, {}),
        (HOPEFUL_AND_PLAIN, {"rung.multicall3": "unsupported", "fails.multicall3": "1"}),
        (BARE, {"works": "override", "gas": "29000000"}),
        (BARE_BUT_HOPEFUL, {"works": "override", "gas": "29000000"}),
    ],
    ids=["told", "found out", "with code of ours", "not even looked for"],
)
async def test_a_chain_without_multicall3_gives_the_same(
    net: Network, shown: dict[str, str], bare_node: AnvilNode, bare_zoo: Zoo, open_gateway: OpenGateway
) -> None:
    gateway = await open_gateway(bare_node.url)
    assets = assets_of(net, bare_zoo.members.values())
    async with reading(net, gateway.url) as reader:
        answer = await reader.read(bare_zoo.owner, assets, None, soon())
        learned = reader.health()[0].learned
        assert gateway.counts.requests == answer.requests <= 5
        gateway.reset()
        again = await reader.read(bare_zoo.owner, assets, None, soon())
        assert gateway.counts.requests == again.requests <= 3
    assert_zoo_is_right(bare_zoo, answer)
    assert_zoo_is_right(bare_zoo, again)
    assert learned == shown


async def test_an_endpoint_that_refuses_batches_gives_the_same(shared_node: AnvilNode, zoo: Zoo) -> None:
    async with singles_only(shared_node.url) as endpoint, reading(LOCAL, endpoint.url) as reader:
        answer = await reader.read(zoo.owner, assets_of(LOCAL, zoo.members.values()), None, soon())
        assert endpoint.counts.requests == answer.requests < 60
    assert_zoo_is_right(zoo, answer)


async def test_single_calls_without_multicall3_give_the_same(bare_node: AnvilNode, bare_zoo: Zoo) -> None:
    async with singles_only(bare_node.url) as endpoint, reading(BARE, endpoint.url) as reader:
        answer = await reader.read(bare_zoo.owner, assets_of(BARE, bare_zoo.members.values()), None, soon())
        assert endpoint.counts.requests == answer.requests < 60
    assert_zoo_is_right(bare_zoo, answer)


async def test_a_socket_gives_the_same(shared_node: AnvilNode, zoo: Zoo) -> None:
    url = shared_node.url.replace("http://", "ws://")
    async with reading(LOCAL, url) as reader:
        answer = await reader.read(zoo.owner, assets_of(LOCAL, zoo.members.values()), None, soon())
        readable = await reader.read(zoo.owner, assets_of(LOCAL, clear(zoo)), None, soon())
    assert_zoo_is_right(zoo, answer)
    assert not readable.failures


async def test_the_hot_path_gives_the_same(shared_node: AnvilNode, zoo: Zoo) -> None:
    async with BalanceReader([shared_node.url], chain_id=1) as reader:
        matrix = await reader.read([zoo.owner, zoo.stranger], zoo.addresses)
    assert_matrix_is_right(zoo, matrix)
    assert {(row, column) for row, column, _ in matrix.failures} == {
        (row, column - 1)
        for row, values in enumerate(matrix.rows)
        for column, value in enumerate(values)
        if value is None
    }
    readable = {zoo.addresses.index(member.address) for member in clear(zoo)}
    unknown_of_the_stranger = {column for row, column, _ in matrix.failures if row == 1}
    assert not unknown_of_the_stranger & readable


async def test_web3_reads_the_same_numbers_at_the_same_block(shared_node: AnvilNode, zoo: Zoo) -> None:
    wallets = [zoo.owner, zoo.stranger, "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"]
    members = clear(zoo)
    matrix = await read_balances([shared_node.url], wallets, [member.address for member in members])
    web3 = AsyncWeb3(AsyncHTTPProvider(shared_node.url))
    at = matrix.block.number
    for wallet, row in zip(wallets, matrix.rows, strict=True):
        assert row[0] == await web3.eth.get_balance(web3.to_checksum_address(wallet), at)
        for member, value in zip(members, row[1:], strict=True):
            contract = web3.eth.contract(web3.to_checksum_address(member.address), abi=BALANCE_OF)
            assert value == await contract.functions.balanceOf(wallet).call(block_identifier=at)
    await web3.provider.disconnect()
