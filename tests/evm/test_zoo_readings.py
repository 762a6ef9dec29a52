"""The readers on real nodes: every token of the zoo, every way of asking, one block."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest
from tests.conftest import OpenGateway
from tests.nodes.token_zoo import Member, Zoo
from web3 import Web3

from balance_tracker import BalanceReader, read_balances
from balance_tracker.catalog.networks import load_networks
from balance_tracker.catalog.tokens import load_tokens
from balance_tracker.core.assets import Asset, unlisted_token
from balance_tracker.core.blocks import At
from balance_tracker.core.errors import UpstreamError
from balance_tracker.core.ids import Slug
from balance_tracker.core.networks import Network
from balance_tracker.core.portfolio import FailureCode, Reading
from balance_tracker.demo.anvil import AnvilNode
from balance_tracker.demo.contracts import MULTICALL3_ADDRESS
from balance_tracker.evm.balance_reader import Matrix
from balance_tracker.evm.reader import EvmReader
from balance_tracker.transport.pool import open_pool

pytestmark = pytest.mark.integration

ETHEREUM = load_networks()[Slug("ethereum")]
ARBITRUM = load_networks()[Slug("arbitrum")]
SECONDS = 10.0


def soon() -> float:
    return asyncio.get_running_loop().time() + SECONDS


def outcome_of(matrix: Matrix, place: int) -> int | FailureCode:
    value = matrix.rows[0][1 + place]
    if value is not None:
        return value
    reason = next(reason for _, token, reason in matrix.failures if token == place)
    return FailureCode(reason.partition(":")[0])


def assert_right(matrix: Matrix, members: Sequence[Member]) -> None:
    wrong = {
        member.name: (outcome_of(matrix, place), member.accepts)
        for place, member in enumerate(members)
        if outcome_of(matrix, place) not in member.accepts
    }
    assert not wrong


def assets_of(network: Network, members: Sequence[Member]) -> list[Asset]:
    return [unlisted_token(network, member.address) for member in members]


async def read(url: str, network: Network, zoo: Zoo, members: Sequence[Member], at: At = None) -> Reading:
    async with open_pool(network.slug, [url]) as pool:
        reader = EvmReader(network, pool)
        return await reader.read(zoo.owner, assets_of(network, members), at, soon())


async def test_all_readable_tokens_are_one_request(
    node: AnvilNode, zoo: Zoo, open_gateway: OpenGateway
) -> None:
    gateway = await open_gateway(node.url)
    members = [member for member in zoo.readable if member.name != "returns_64_bytes"]
    async with BalanceReader([gateway.url], chain_id=1) as reader:
        matrix = await reader.read([zoo.owner], [member.address for member in members])
    assert_right(matrix, members)
    assert (gateway.counts.requests, matrix.requests) == (1, 1)
    assert not matrix.failures


async def test_unreadable_tokens_are_told_apart_and_spoil_no_neighbour(
    node: AnvilNode, zoo: Zoo, open_gateway: OpenGateway
) -> None:
    gateway = await open_gateway(node.url)
    members = list(zoo.members.values())
    async with BalanceReader([gateway.url], chain_id=1) as reader:
        matrix = await reader.read([zoo.owner], zoo.addresses)
    assert_right(matrix, members)
    assert gateway.counts.requests <= 6


async def test_a_chain_without_multicall3_gives_the_same(bare_node: AnvilNode, bare_zoo: Zoo) -> None:
    async with BalanceReader([bare_node.url], runs_evm_code=False) as reader:
        first = await reader.read([bare_zoo.owner], bare_zoo.addresses)
        again = await reader.read([bare_zoo.owner], bare_zoo.addresses)
    assert_right(first, list(bare_zoo.members.values()))
    assert first.rows == again.rows
    assert again.requests < first.requests


async def test_web3_reads_the_same_numbers_at_the_same_block(node: AnvilNode, zoo: Zoo) -> None:
    matrix = await read_balances([node.url], [zoo.owner, zoo.stranger], [m.address for m in zoo.readable])
    web3 = Web3(Web3.HTTPProvider(node.url))
    block = web3.eth.get_block(matrix.block.number)
    assert matrix.block.hash == Web3.to_hex(block["hash"])
    assert matrix.block.timestamp == block["timestamp"]
    abi = [
        {
            "name": "balanceOf",
            "type": "function",
            "stateMutability": "view",
            "inputs": [{"name": "owner", "type": "address"}],
            "outputs": [{"name": "", "type": "uint256"}],
        }
    ]
    for row, owner in zip(matrix.rows, (zoo.owner, zoo.stranger), strict=True):
        assert row[0] == web3.eth.get_balance(owner, matrix.block.number)
        for value, member in zip(row[1:], zoo.readable, strict=True):
            if value is not None:
                token = web3.eth.contract(address=Web3.to_checksum_address(member.address), abi=abi)
                assert value == token.functions.balanceOf(owner).call(block_identifier=matrix.block.number)


async def test_metadata_of_tokens_on_no_list_comes_in_the_same_request(
    node: AnvilNode, zoo: Zoo, open_gateway: OpenGateway
) -> None:
    gateway = await open_gateway(node.url)
    names = (
        "bytes32_texts",
        "no_decimals",
        "odd_decimals",
        "long_symbol",
        "control_characters",
        "many_decimals",
    )
    reading = await read(gateway.url, ETHEREUM, zoo, [zoo[name] for name in names])
    said = dict(zip(names, (balance.asset for balance in reading.balances[1:]), strict=True))
    assert said["bytes32_texts"].symbol == "BYT"
    assert said["no_decimals"].decimals is None
    assert said["odd_decimals"].decimals is None
    assert reading.balances[2].amount is None
    assert reading.balances[2].raw_amount == 99
    assert len(said["long_symbol"].symbol or "") == 64
    assert said["control_characters"].symbol == "EVIL[31m USD"
    assert said["many_decimals"].decimals == 36
    assert gateway.counts.requests <= 2


async def test_the_whole_list_of_ethereum_is_one_request(
    node: AnvilNode, zoo: Zoo, open_gateway: OpenGateway
) -> None:
    """178 tokens: each listed address gets a real token's code first."""
    listed = load_tokens({ETHEREUM.slug: ETHEREUM}, shipped=True)[ETHEREUM.slug]
    code = node.client.call("eth_getCode", zoo["plain"].address, "latest")
    for asset in listed:
        node.client.call("anvil_setCode", asset.contract_address, code)
    gateway = await open_gateway(node.url)
    async with open_pool("ethereum", [gateway.url]) as pool:
        reading = await EvmReader(ETHEREUM, pool).read(zoo.owner, listed, None, soon())
    assert len(listed) >= 178
    assert gateway.counts.requests == 1
    assert (reading.asked, len(reading.balances), reading.failures) == (len(listed) + 1, len(listed) + 1, ())


async def test_a_past_block_shows_what_was_held_then(node: AnvilNode, zoo: Zoo) -> None:
    before = int(node.client.call("eth_blockNumber"), 16)
    held = node.client.call("eth_getBalance", zoo.owner, "latest")
    node.client.call("evm_mine")
    node.client.call("anvil_setBalance", zoo.owner, "0xde0b6b3a7640000")
    late = "0x00000000000000000000000000000000000000aa"
    node.client.call("anvil_setCode", late, node.client.call("eth_getCode", zoo["plain"].address, "latest"))
    node.client.call("anvil_mine", "0x2")
    async with BalanceReader([node.url]) as reader:
        then = await reader.read([zoo.owner], [late, zoo["eoa"].address], block=before)
        now = await reader.read([zoo.owner], [late])
    assert then.block.number == before
    assert then.rows[0][:2] == [int(held, 16), 0]
    assert then.failures == [(0, 1, "no_contract: there is no contract at this address")]
    assert now.rows[0] == [10**18, 0]


async def test_a_time_is_answered_by_the_last_block_before_it(node: AnvilNode, zoo: Zoo) -> None:
    head = node.client.call("eth_getBlockByNumber", "latest", False)
    start = int(head["timestamp"], 16)
    for step in (100, 250, 700, 701, 5_000):
        node.client.call("evm_setNextBlockTimestamp", start + step)
        node.client.call("evm_mine")
    moment = datetime.fromtimestamp(start + 700, UTC)
    reading = await read(node.url, ETHEREUM, zoo, [zoo["plain"]], moment)
    assert reading.block.number == int(head["number"], 16) + 3
    assert reading.block.timestamp == start + 700


async def test_a_time_before_the_first_block_is_an_error_and_no_zero(node: AnvilNode, zoo: Zoo) -> None:
    with pytest.raises(UpstreamError) as caught:
        await read(node.url, ETHEREUM, zoo, [zoo["plain"]], datetime(2009, 1, 3, tzinfo=UTC))
    assert caught.value.code == "history_unavailable"


async def test_a_block_of_the_future_is_an_error_and_no_zero(node: AnvilNode, zoo: Zoo) -> None:
    with pytest.raises(UpstreamError) as caught:
        await read(node.url, ETHEREUM, zoo, [zoo["plain"]], 10**9)
    assert caught.value.code == "block_missing"


async def test_an_endpoint_of_another_chain_is_refused(node: AnvilNode, zoo: Zoo) -> None:
    async with BalanceReader([node.url], chain_id=10) as reader:
        with pytest.raises(UpstreamError) as caught:
            await reader.read([zoo.owner], [zoo["plain"].address])
    assert caught.value.code == "wrong_chain"


async def test_a_websocket_gives_the_same(node: AnvilNode, zoo: Zoo) -> None:
    over_http = await read_balances([node.url], [zoo.owner], zoo.addresses)
    over_socket = await read_balances([node.url.replace("http", "ws", 1)], [zoo.owner], zoo.addresses)
    assert over_socket.rows == over_http.rows
    assert over_socket.failures == over_http.failures


async def test_arbitrum_names_its_own_block_and_not_the_parent_chains(
    arbitrum_node: AnvilNode, zoo: Zoo
) -> None:
    async with open_pool("arbitrum", [arbitrum_node.url]) as pool:
        reading = await EvmReader(ARBITRUM, pool).read(zoo.owner, (), None, soon())
    head = arbitrum_node.client.call("eth_getBlockByNumber", "latest", False)
    assert reading.block.number == int(head["number"], 16)
    assert reading.block.hash == head["hash"]
    assert reading.requests == 1


async def test_a_network_never_goes_back_before_a_block_that_was_answered(node: AnvilNode, zoo: Zoo) -> None:
    async with BalanceReader([node.url]) as reader:
        node.client.call("anvil_mine", "0x3")
        await reader.read([zoo.owner], [])
        node.client.call("anvil_rollback", 2)
        with pytest.raises(UpstreamError):
            await reader.read([zoo.owner], [])
        node.client.call("anvil_mine", "0x2")
        assert (await reader.read([zoo.owner], [])).rows


@pytest.mark.parametrize("wallets", [1, 2, 3, 7, 8, 9])
async def test_no_balance_is_lost_at_the_border_of_a_request(
    node: AnvilNode, zoo: Zoo, monkeypatch: pytest.MonkeyPatch, wallets: int
) -> None:
    monkeypatch.setattr("balance_tracker.evm.ladder.MOST_CELLS", 18)
    owners = [zoo.owner, *(f"0x{number:040x}" for number in range(1, wallets))]
    members = [zoo["plain"], zoo["heavy"], zoo["same_for_everyone"]]
    matrix = await read_balances([node.url], owners, [member.address for member in members])
    assert not matrix.failures
    expected = [[int(node.client.call("eth_getBalance", owner, "latest"), 16)] for owner in owners]
    for row, owner in zip(expected, owners, strict=True):
        for member in members:
            data = "0x70a08231" + "0" * 24 + owner[2:].lower()
            row.append(int(node.client.call("eth_call", {"to": member.address, "data": data}, "latest"), 16))
    assert matrix.rows == expected


async def test_nodes_that_only_take_single_calls_give_the_same(node: AnvilNode, zoo: Zoo) -> None:
    reading = await read(node.url, ETHEREUM, zoo, [zoo["plain"], zoo["reverts"]])
    async with open_pool("ethereum", [node.url]) as pool:
        for endpoint in pool.ordered():
            endpoint.batch_limit = 1
        singly = await EvmReader(ETHEREUM, pool).read(
            zoo.owner, assets_of(ETHEREUM, [zoo["plain"], zoo["reverts"]]), None, soon()
        )
    assert singly.balances == reading.balances
    assert [(f.asset, f.code) for f in singly.failures] == [(f.asset, f.code) for f in reading.failures]
    assert ETHEREUM.contracts["multicall3"].address == MULTICALL3_ADDRESS


async def test_a_gas_eater_is_learnt_and_asked_alone_from_then_on(
    node: AnvilNode, zoo: Zoo, open_gateway: OpenGateway
) -> None:
    gateway = await open_gateway(node.url)
    fillers = [f"0x{number:040x}" for number in range(0xF00000, 0xF00078)]
    code = node.client.call("eth_getCode", zoo["plain"].address, "latest")
    for filler in fillers:
        node.client.call("anvil_setCode", filler, code)
    tokens = [*fillers[:60], zoo["loops_forever"].address, *fillers[60:], zoo["plain"].address]
    requests = []
    async with BalanceReader([gateway.url], chain_id=1) as reader:
        for _ in range(5):
            before = gateway.counts.requests
            matrix = await reader.read([zoo.owner], tokens)
            requests.append(gateway.counts.requests - before)
            assert [token for _, token, _ in matrix.failures] == [60]
            assert matrix.failures[0][2].startswith("out_of_gas")
            assert matrix.rows[0][-1] == zoo["plain"].value
    assert requests[1:] == [2, 2, 2, 2]
    assert requests[0] <= 12
