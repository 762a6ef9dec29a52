"""One read on one endpoint and the next: parts, blocks that move, and what is left open."""

import asyncio
import json
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.evm.scenes import (
    ARBITRUM,
    LOCAL,
    PLAIN_MULTICALL,
    arbitrum_like,
    assets_of,
    block_of,
    changed,
    head_of,
    is_call,
    mint,
    outcomes_of,
    reading,
    soon,
)
from tests.fakes.bad_endpoint import BadEndpoint, Exchange, Fault
from tests.fakes.readers import network
from tests.nodes.token_zoo import Zoo, zoo_address

from balance_tracker import BalanceReader
from balance_tracker.core.errors import UpstreamError
from balance_tracker.core.ids import Address
from balance_tracker.core.networks import Network
from balance_tracker.core.portfolio import FailureCode
from balance_tracker.demo.anvil import AnvilNode
from balance_tracker.demo.arbsys import ARBSYS_ADDRESS
from balance_tracker.demo.contracts import MULTICALL3_ADDRESS, call_data
from balance_tracker.evm import ladder as ladder_module
from balance_tracker.evm.abi import BALANCE_OF
from balance_tracker.evm.multicall import AGGREGATE3
from balance_tracker.transport.pool import open_pool

pytestmark = pytest.mark.integration

OWNER = Address("0x00000000000000000000000000000000000A11cE")


def error_for(fits: Any, error: Any) -> Any:
    """Answers calls that fit by an error, the rest as the node does."""

    def change(call: dict[str, Any], reply: dict[str, Any]) -> dict[str, Any]:
        return {"jsonrpc": "2.0", "id": reply["id"], "error": error} if fits(call) else reply

    return change


# Many wallets and tokens.


def plainly(node: AnvilNode, wallets: Sequence[str], tokens: Sequence[str], block: int) -> list[list[int]]:
    """Every balance asked by itself."""
    tag = hex(block)
    rows = []
    for wallet in wallets:
        data = "0x" + call_data("balanceOf(address)", wallet).hex()
        calls = [("eth_call", [{"to": token, "data": data}, tag]) for token in tokens]
        native, *rest = node.client.batch([("eth_getBalance", [wallet, tag]), *calls])
        rows.append([int(native, 16), *(int(text, 16) for text in rest)])
    return rows


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 25), st.integers(0, 9), st.integers(10, 60))
def test_chunks_of_any_size_give_what_plain_calls_give(
    shared_node: AnvilNode, zoo: Zoo, wallets: int, tokens: int, most: int
) -> None:
    owners = [zoo.owner, *(zoo_address(f"wallet {number}") for number in range(wallets))][:wallets]
    contracts = [member.address for member in zoo.readable if member.accepts == (member.value,)][:tokens]

    async def read() -> None:
        async with BalanceReader([shared_node.url], chain_id=1) as reader:
            matrix = await reader.read(owners, contracts)
        assert matrix.rows == plainly(shared_node, owners, contracts, matrix.block.number)
        assert not matrix.failures
        # A part is whole wallets, or a piece of one that does not fit.
        width = 1 + len(contracts)
        wallets_each = max(most // width, 1)
        assert matrix.requests <= 2 + -(-len(owners) // wallets_each) * -(-width // most)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ladder_module, "MOST_CELLS", most)
        asyncio.run(read())


@pytest.mark.parametrize("offset", [-1, 0, 1])
async def test_just_around_the_border_of_a_chunk(
    shared_node: AnvilNode, zoo: Zoo, monkeypatch: pytest.MonkeyPatch, offset: int
) -> None:
    tokens = [zoo["plain"].address]
    for chunks in (1, 2):
        monkeypatch.setattr(ladder_module, "MOST_CELLS", 40)
        wallets = [zoo.owner, *(zoo_address(str(number)) for number in range(20 * chunks + offset - 1))]
        async with BalanceReader([shared_node.url]) as reader:
            matrix = await reader.read(wallets, tokens)
        assert matrix.rows == plainly(shared_node, wallets, tokens, matrix.block.number)


@pytest.mark.parametrize(("limit", "runs_evm_code"), [(12_000, False), (24_000, False), (14_000, True)])
async def test_a_part_that_is_too_large_is_halved_and_the_size_is_learnt(
    shared_node: AnvilNode, zoo: Zoo, limit: int, runs_evm_code: bool
) -> None:
    async def act(exchange: Exchange) -> None:
        if len(exchange.request.body) > limit:
            await exchange.reply(b"", 413)
        else:
            await exchange.reply(await exchange.good())

    wallets = [zoo_address(str(number)) for number in range(400 if runs_evm_code else 100)]
    tokens = [zoo["plain"].address]
    async with (
        BadEndpoint(Fault("small", act, frozenset()), shared_node.url) as endpoint,
        BalanceReader([endpoint.url], runs_evm_code=runs_evm_code) as reader,
    ):
        first = await reader.read(wallets, tokens)
        second = await reader.read(wallets, tokens)
    assert first.rows == second.rows == plainly(shared_node, wallets, tokens, first.block.number)
    assert second.requests < first.requests <= 16


@pytest.mark.parametrize("limit", [4, 20, 50])
async def test_a_cap_on_gas_is_found_and_kept(shared_node: AnvilNode, zoo: Zoo, limit: int) -> None:
    def too_much(call: dict[str, Any]) -> bool:
        return is_call(call, AGGREGATE3) and json.dumps(call).count(BALANCE_OF) > limit

    change = error_for(too_much, {"code": -32000, "message": "out of gas"})
    wallets = [zoo.owner, *(zoo_address(str(number)) for number in range(99))]
    tokens = [zoo["plain"].address]
    async with (
        changed(shared_node.url, change) as endpoint,
        BalanceReader([endpoint.url], runs_evm_code=False) as reader,
    ):
        reads = [await reader.read(wallets, tokens) for _ in range(4)]
    expected = plainly(shared_node, wallets, tokens, reads[0].block.number)
    assert all(matrix.rows == expected for matrix in reads)
    assert max(matrix.requests for matrix in reads) <= 20
    assert reads[3].requests <= reads[2].requests < 10


async def test_no_wallets_are_no_rows(shared_node: AnvilNode) -> None:
    async with BalanceReader([shared_node.url]) as reader:
        matrix = await reader.read([], [])
    assert (matrix.rows, matrix.failures, matrix.requests) == ([], [], 1)


# What an endpoint leaves open is asked of the next.


# What is doubted beside others, so that a read takes a second request, on two rungs.
DOUBTED = pytest.mark.parametrize(
    ("net", "doubted"),
    [(PLAIN_MULTICALL, "reverts"), (LOCAL, "invalid_opcode")],
    ids=["multicall3", "override"],
)


@DOUBTED
async def test_what_one_endpoint_can_not_answer_is_asked_of_the_next(
    shared_node: AnvilNode, zoo: Zoo, net: Network, doubted: str
) -> None:
    """Every call alone has an internal error."""
    members = [zoo["plain"], zoo[doubted]]
    change = error_for(lambda call: is_call(call, BALANCE_OF), {"code": -32603, "message": "Internal error"})
    async with changed(shared_node.url, change) as endpoint:
        async with reading(net, endpoint.url) as reader:
            alone = await reader.read(zoo.owner, assets_of(net, members), None, soon())
        asked = endpoint.counts.requests
        async with reading(net, endpoint.url, shared_node.url) as reader:
            beside = await reader.read(zoo.owner, assets_of(net, members), None, soon())
        assert endpoint.counts.requests == 2 * asked
    assert outcomes_of(alone)[zoo[doubted].address] is FailureCode.ENDPOINT_FAILED
    assert outcomes_of(alone)[zoo["plain"].address] == zoo["plain"].value
    assert outcomes_of(beside)[zoo[doubted].address] in zoo[doubted].accepts
    assert beside.requests == asked + 2


@DOUBTED
async def test_another_branch_of_the_chain_does_not_fill_the_gaps(
    node: AnvilNode, zoo: Zoo, net: Network, doubted: str
) -> None:
    change = error_for(lambda call: is_call(call, BALANCE_OF), {"code": -32603, "message": "Internal error"})

    def other_hash(call: dict[str, Any], reply: dict[str, Any]) -> dict[str, Any]:
        if call["method"] == "eth_getBlockByNumber":
            reply["result"]["hash"] = "0x" + "ee" * 32
        return reply

    async with (
        changed(node.url, change) as one,
        changed(node.url, other_hash) as two,
        reading(net, one.url, two.url) as reader,
    ):
        answer = await reader.read(zoo.owner, assets_of(net, [zoo[doubted]]), None, soon())
    assert outcomes_of(answer)[zoo[doubted].address] is FailureCode.ENDPOINT_FAILED


@DOUBTED
async def test_what_is_not_answered_in_time_is_marked_so(
    shared_node: AnvilNode, zoo: Zoo, net: Network, doubted: str
) -> None:
    async def act(exchange: Exchange) -> None:
        if any(is_call(call, BALANCE_OF) for call in exchange.calls):
            await asyncio.sleep(30)
        await exchange.reply(await exchange.good())

    members = [zoo["plain"], zoo[doubted]]
    async with (
        BadEndpoint(Fault("slow", act, frozenset()), shared_node.url) as endpoint,
        reading(net, endpoint.url) as reader,
    ):
        started = time.monotonic()
        answer = await reader.read(zoo.owner, assets_of(net, members), None, soon(0.8))
        assert time.monotonic() - started < 1.0
    assert outcomes_of(answer) == {
        None: 0,
        zoo["plain"].address: zoo["plain"].value,
        zoo[doubted].address: FailureCode.TIMED_OUT,
    }


@DOUBTED
async def test_a_fault_after_the_first_answer_leaves_the_rest_unknown(
    shared_node: AnvilNode, zoo: Zoo, net: Network, doubted: str
) -> None:
    async def act(exchange: Exchange) -> None:
        if any(is_call(call, BALANCE_OF) for call in exchange.calls):
            await exchange.reply(b"oops", 502)
        else:
            await exchange.reply(await exchange.good())

    members = [zoo["plain"], zoo[doubted], zoo["returns_nothing"]]
    async with (
        BadEndpoint(Fault("broken", act, frozenset()), shared_node.url) as endpoint,
        reading(net, endpoint.url) as reader,
    ):
        answer = await reader.read(zoo.owner, assets_of(net, members), None, soon())
        assert reader.health()[0].state == "resting"
    outcomes = outcomes_of(answer)
    assert outcomes[zoo["plain"].address] == zoo["plain"].value
    assert outcomes[zoo[doubted].address] is FailureCode.ENDPOINT_FAILED
    # The scanner looked for a contract there itself; Multicall3 can't.
    known = FailureCode.NO_DATA if net.runs_evm_code else FailureCode.ENDPOINT_FAILED
    assert outcomes[zoo["returns_nothing"].address] is known


async def test_a_fault_in_one_part_leaves_no_task_behind(
    shared_node: AnvilNode, zoo: Zoo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ladder_module, "MOST_CELLS", 20)
    parts = 0

    async def act(exchange: Exchange) -> None:
        nonlocal parts
        if not exchange.is_batch:
            parts += 1
            if parts == 1:
                await exchange.reply(b"oops", 502)
                return
            await asyncio.sleep(0.3)
        await exchange.reply(await exchange.good())

    wallets = [zoo_address(str(number)) for number in range(80)]
    async with (
        BadEndpoint(Fault("part", act, frozenset()), shared_node.url) as endpoint,
        BalanceReader([endpoint.url]) as reader,
    ):
        matrix = await reader.read(wallets, [])
        left = [task for task in asyncio.all_tasks() if "_in_parts" in repr(task)]
    assert not left
    assert {reason.partition(":")[0] for _, _, reason in matrix.failures} == {"endpoint_failed"}
    assert sum(row[0] is not None for row in matrix.rows) == 20


@DOUBTED
@pytest.mark.parametrize("result", ["0xzz", None, 7])
async def test_a_result_that_is_no_data_is_the_endpoints_fault(
    shared_node: AnvilNode, zoo: Zoo, result: Any, net: Network, doubted: str
) -> None:
    def change(call: dict[str, Any], reply: dict[str, Any]) -> dict[str, Any]:
        if is_call(call, BALANCE_OF):
            return {"jsonrpc": "2.0", "id": reply["id"], "result": result}
        return reply

    async with changed(shared_node.url, change) as endpoint, reading(net, endpoint.url) as reader:
        answer = await reader.read(zoo.owner, assets_of(net, [zoo[doubted]]), None, soon())
    assert outcomes_of(answer)[zoo[doubted].address] is FailureCode.ENDPOINT_FAILED


async def test_code_that_can_not_be_read_explains_nothing(shared_node: AnvilNode, zoo: Zoo) -> None:
    change = error_for(lambda call: call["method"] == "eth_getCode", {"code": -32603, "message": "no"})
    async with changed(shared_node.url, change) as endpoint, reading(PLAIN_MULTICALL, endpoint.url) as reader:
        answer = await reader.read(
            zoo.owner, assets_of(PLAIN_MULTICALL, [zoo["returns_nothing"]]), None, soon()
        )
    assert outcomes_of(answer)[zoo["returns_nothing"].address] is FailureCode.ENDPOINT_FAILED


@pytest.mark.parametrize(
    ("result", "code"),
    [("0x1234", "bad_response"), ("0x" + "00" * 64, "bad_response"), ("zz", "bad_response")],
)
async def test_an_answer_that_is_not_multicalls_is_a_fault(
    shared_node: AnvilNode, result: str, code: str
) -> None:
    def change(call: dict[str, Any], reply: dict[str, Any]) -> dict[str, Any]:
        if call["method"] == "eth_call":
            reply["result"] = result
        return reply

    async with changed(shared_node.url, change) as endpoint, reading(LOCAL, endpoint.url) as reader:
        with pytest.raises(UpstreamError) as caught:
            await reader.read(OWNER, (), None, soon())
    assert caught.value.code == code


async def test_another_contract_at_multicalls_address_is_a_fault(node: AnvilNode, zoo: Zoo) -> None:
    """It answers as many results as were asked, all of them empty."""
    count = 6
    words = [32, count, *(count * 32 + place * 96 for place in range(count)), *([1, 64, 0] * count)]
    data = "0x" + b"".join(word.to_bytes(32) for word in words).hex()

    def change(call: dict[str, Any], reply: dict[str, Any]) -> dict[str, Any]:
        return {**reply, "result": data} if call["method"] == "eth_call" else reply

    async with changed(node.url, change) as endpoint, reading(PLAIN_MULTICALL, endpoint.url) as reader:
        with pytest.raises(UpstreamError, match="does not tell its block"):
            await reader.read(OWNER, (), None, soon())


async def test_a_multicall_without_a_chain_id_still_has_its_chain_checked(
    shared_node: AnvilNode, bare_node: AnvilNode
) -> None:
    change = error_for(lambda call: call["method"] == "eth_chainId", {"code": -32601, "message": "no"})
    wrong = network("fantom", chain_id=250, contracts=LOCAL.contracts)
    async with changed(shared_node.url, change) as endpoint, reading(wrong, endpoint.url) as reader:
        with pytest.raises(UpstreamError) as caught:
            await reader.read(OWNER, (), None, soon())
    assert caught.value.code == "wrong_chain"


async def test_a_chain_id_that_is_none_is_a_fault(bare_node: AnvilNode) -> None:
    def change(call: dict[str, Any], reply: dict[str, Any]) -> dict[str, Any]:
        return {**reply, "result": "one"} if call["method"] == "eth_chainId" else reply

    net = network("fantom", chain_id=250, runs_evm_code=False)
    async with changed(bare_node.url, change) as endpoint, reading(net, endpoint.url) as reader:
        with pytest.raises(UpstreamError) as caught:
            await reader.read(OWNER, (), None, soon())
    assert caught.value.code == "bad_response"


async def test_an_endpoint_that_answers_calls_by_nothing_is_not_a_chain_without_multicall(
    shared_node: AnvilNode,
) -> None:
    def change(call: dict[str, Any], reply: dict[str, Any]) -> dict[str, Any]:
        return {**reply, "result": "0x"} if call["method"] == "eth_call" else reply

    async with changed(shared_node.url, change) as endpoint, reading(LOCAL, endpoint.url) as reader:
        with pytest.raises(UpstreamError, match="with nothing"):
            await reader.read(OWNER, (), None, soon())
        assert "multicall3" not in reader.health()[0].learned


@pytest.mark.parametrize("net", [LOCAL, network("ethereum", chain_id=1)], ids=["multicall", "plain"])
async def test_state_that_is_gone_is_an_error_and_not_zeros(
    shared_node: AnvilNode, zoo: Zoo, net: Network
) -> None:
    pruned = {"code": -32000, "message": "missing trie node 7a8d16 (path ) <nil>"}
    change = error_for(lambda call: call["method"] == "eth_call", pruned)
    async with changed(shared_node.url, change) as endpoint, reading(net, endpoint.url) as reader:
        with pytest.raises(UpstreamError) as caught:
            await reader.read(zoo.owner, assets_of(net, [zoo["plain"]]), 3, soon())
    assert (caught.value.code, caught.value.retryable) == ("history_unavailable", False)


async def test_an_endpoint_that_takes_only_small_bodies_is_asked_call_by_call(
    shared_node: AnvilNode, zoo: Zoo
) -> None:
    async def act(exchange: Exchange) -> None:
        if len(exchange.request.body) > 1_500:
            await exchange.reply(b"", 413)
        else:
            await exchange.reply(await exchange.good())

    members = [zoo["plain"], zoo["proxy"]]
    async with (
        BadEndpoint(Fault("tiny", act, frozenset()), shared_node.url) as endpoint,
        reading(LOCAL, endpoint.url) as reader,
    ):
        for most in (4, 2):
            answer = await reader.read(zoo.owner, assets_of(LOCAL, members), None, soon())
            assert outcomes_of(answer) == {None: 0, **{m.address: m.value for m in members}}
            assert answer.requests <= most


# Blocks that move.


async def test_a_head_that_moves_within_the_request_is_followed(node: AnvilNode, zoo: Zoo) -> None:
    """The header comes from one block later than the call."""
    node.client.call("anvil_mine", "0x2")
    head = head_of(node.client)

    async def act(exchange: Exchange) -> None:
        calls = [
            {**call, "params": [call["params"][0], hex(head - 1), *call["params"][2:]]}
            if call["method"] == "eth_call" and call["params"][1] == "latest"
            else call
            for call in exchange.calls
        ]
        await exchange.reply(await exchange.good(calls if exchange.is_batch else calls[0]))

    async with (
        BadEndpoint(Fault("moves", act, frozenset()), node.url) as endpoint,
        reading(LOCAL, endpoint.url) as reader,
    ):
        answer = await reader.read(zoo.owner, assets_of(LOCAL, [zoo["plain"]]), None, soon())
    assert answer.block.number == head - 1
    assert answer.block.hash == block_of(node.client, head - 1)["hash"]
    assert answer.requests == 2


async def test_a_call_at_another_block_than_was_asked_is_refused(node: AnvilNode, zoo: Zoo) -> None:
    node.client.call("anvil_mine", "0x2")
    head = head_of(node.client)

    async def act(exchange: Exchange) -> None:
        calls = [
            {**call, "params": [call["params"][0], "latest", *call["params"][2:]]}
            if call["method"] == "eth_call"
            else call
            for call in exchange.calls
        ]
        await exchange.reply(await exchange.good(calls))

    async with (
        BadEndpoint(Fault("ignores", act, frozenset()), node.url) as endpoint,
        reading(LOCAL, endpoint.url) as reader,
    ):
        with pytest.raises(UpstreamError) as caught:
            await reader.read(zoo.owner, assets_of(LOCAL, [zoo["plain"]]), head - 1, soon())
    assert caught.value.code == "bad_response"


async def test_a_block_never_goes_backwards(node: AnvilNode, zoo: Zoo) -> None:
    node.client.call("anvil_mine", "0x3")
    head = head_of(node.client)

    async def act(exchange: Exchange) -> None:
        calls = json.loads(json.dumps(exchange.calls).replace('"latest"', f'"{head - 2:#x}"'))
        await exchange.reply(await exchange.good(calls if exchange.is_batch else calls[0]))

    async with (
        BadEndpoint(Fault("behind", act, frozenset()), node.url) as behind,
        open_pool("ethereum", [node.url, behind.url]) as pool,
    ):
        pool.floor = head
        pool.ordered()[0].breaker.rests_until = time.monotonic() + 60
        async with reading(LOCAL, node.url) as reader:
            reader._calls._pool = pool
            answer = await reader.read(zoo.owner, assets_of(LOCAL, [zoo["plain"]]), None, soon())
    assert answer.endpoint in behind.url
    assert answer.block.number == head
    assert answer.requests == 2


@DOUBTED
@pytest.mark.parametrize("times", [1, 9])
async def test_a_reorganisation_within_a_read_is_seen(
    node: AnvilNode, zoo: Zoo, times: int, net: Network, doubted: str
) -> None:
    """Between the two requests of a read the last block becomes another one."""
    left = times

    async def act(exchange: Exchange) -> None:
        nonlocal left
        if left and any(is_call(call, BALANCE_OF) for call in exchange.calls):
            left -= 1
            node.client.call("anvil_rollback", 1)
            mint(node.client, zoo["plain"], zoo.stranger, 1 + left)
        await exchange.reply(await exchange.good())

    mint(node.client, zoo["plain"], zoo.stranger, 1_000)
    members = [zoo["plain"], zoo[doubted]]
    async with (
        BadEndpoint(Fault("reorg", act, frozenset()), node.url) as endpoint,
        reading(net, endpoint.url) as reader,
    ):
        if times > 1:
            with pytest.raises(UpstreamError) as caught:
                await reader.read(zoo.stranger, assets_of(net, members), None, soon())
            assert caught.value.code == "reorganised"
            return
        answer = await reader.read(zoo.stranger, assets_of(net, members), None, soon())
    assert answer.block.hash == block_of(node.client, answer.block.number)["hash"]
    ((_, now),) = plainly(node, [zoo.stranger], [zoo["plain"].address], answer.block.number)
    assert outcomes_of(answer)[zoo["plain"].address] == now


async def test_a_reorganisation_between_parts_is_seen(
    node: AnvilNode, zoo: Zoo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ladder_module, "MOST_CELLS", 20)
    left = 1

    async def act(exchange: Exchange) -> None:
        nonlocal left
        if left and not exchange.is_batch:
            left -= 1
            node.client.call("anvil_rollback", 2)
            node.client.call("anvil_mine", "0x2", "0x7")
        await exchange.reply(await exchange.good())

    node.client.call("anvil_mine", "0x2")
    wallets = [zoo_address(str(number)) for number in range(40)]
    async with (
        BadEndpoint(Fault("reorg", act, frozenset()), node.url) as endpoint,
        BalanceReader([endpoint.url]) as reader,
    ):
        matrix = await reader.read(wallets, [])
    assert not matrix.failures
    assert matrix.block.hash == block_of(node.client, matrix.block.number)["hash"]
    assert matrix.requests == 4


async def test_where_calls_see_another_time_than_headers_tell_no_hash_is_claimed(
    node: AnvilNode, zoo: Zoo
) -> None:
    def change(call: dict[str, Any], reply: dict[str, Any]) -> dict[str, Any]:
        if call["method"] == "eth_getBlockByNumber":
            reply["result"]["timestamp"] = "0x1"
        return reply

    async with changed(node.url, change) as endpoint, reading(LOCAL, endpoint.url) as reader:
        answer = await reader.read(zoo.owner, assets_of(LOCAL, [zoo["plain"]]), None, soon())
    assert answer.block.hash is None
    assert outcomes_of(answer)[zoo["plain"].address] == zoo["plain"].value


# Arbitrum, where the EVM's block number is the parent chain's.


@pytest.mark.parametrize("runs_evm_code", [True, False], ids=["scanner", "multicall3"])
async def test_arbitrums_own_block_number_is_told(arbitrum_node: AnvilNode, runs_evm_code: bool) -> None:
    net = replace(ARBITRUM, runs_evm_code=runs_evm_code)
    async with arbitrum_like(arbitrum_node.url) as endpoint, reading(net, endpoint.url) as reader:
        answer = await reader.read(OWNER, (), None, soon())
        past = await reader.read(OWNER, (), 2, soon())
        assert endpoint.counts.requests == 2
    assert answer.block.number == head_of(arbitrum_node.client)
    assert answer.block.hash == block_of(arbitrum_node.client, "latest")["hash"]
    assert (past.block.number, past.block.hash) == (2, block_of(arbitrum_node.client, 2)["hash"])


def with_parent_number(call: dict[str, Any], reply: dict[str, Any]) -> dict[str, Any]:
    """Headers that tell the parent chain's block, as Arbitrum's do; it is 42161 on this node."""
    if call["method"] == "eth_getBlockByNumber" and reply["result"]:
        reply["result"]["l1BlockNumber"] = hex(42161)
    return reply


async def test_the_hot_path_knows_arbitrum_by_its_chain_id(arbitrum_node: AnvilNode) -> None:
    async with (
        arbitrum_like(arbitrum_node.url) as endpoint,
        BalanceReader([endpoint.url], chain_id=42161) as reader,
    ):
        matrix = await reader.read([OWNER], [])
    assert matrix.block.number == head_of(arbitrum_node.client)
    assert matrix.block.hash == block_of(arbitrum_node.client, "latest")["hash"]
    assert matrix.requests == 1


@pytest.mark.parametrize("runs_evm_code", [True, False], ids=["scanner", "multicall3"])
async def test_without_arbsys_the_header_ties_the_call_to_its_block(
    arbitrum_node: AnvilNode, runs_evm_code: bool
) -> None:
    async with (
        arbitrum_like(arbitrum_node.url, with_parent_number) as endpoint,
        BalanceReader([endpoint.url], runs_evm_code=runs_evm_code) as reader,
    ):
        latest = await reader.read([OWNER], [])
        past = await reader.read([OWNER], [], block=3)
    assert latest.block.number == head_of(arbitrum_node.client)
    assert latest.block.hash == block_of(arbitrum_node.client, "latest")["hash"]
    # Several blocks share a second: which one "latest" was is only sure when it is asked by number.
    assert (past.block.number, past.requests, latest.requests) == (3, 1, 2)


async def test_without_arbsys_a_head_that_moves_is_asked_again_by_number(arbitrum_node: AnvilNode) -> None:
    head = head_of(arbitrum_node.client)

    async def act(exchange: Exchange) -> None:
        calls = json.loads(json.dumps(exchange.calls))
        for call in calls:
            if call["method"] == "eth_call" and call["params"][1] == "latest":
                call["params"][1] = hex(head - 1)
        await exchange.reply_edited(with_parent_number, calls)

    async with (
        BadEndpoint(Fault("moves", act, frozenset()), arbitrum_node.url) as endpoint,
        BalanceReader([endpoint.url]) as reader,
    ):
        matrix = await reader.read([OWNER], [])
    assert (matrix.block.number, matrix.requests) == (head, 2)


@pytest.mark.parametrize("runs_evm_code", [True, False], ids=["scanner", "multicall3"])
async def test_a_number_that_is_nobodys_is_refused_and_not_reported(
    arbitrum_node: AnvilNode, runs_evm_code: bool
) -> None:
    """Neither ArbSys nor the header says which block it was."""
    net = replace(ARBITRUM, runs_evm_code=runs_evm_code)
    code = arbitrum_node.client.call("eth_getCode", ARBSYS_ADDRESS, "latest")
    arbitrum_node.client.call("anvil_setCode", ARBSYS_ADDRESS, "0x")
    try:
        async with arbitrum_like(arbitrum_node.url) as endpoint, reading(net, endpoint.url) as reader:
            with pytest.raises(UpstreamError) as caught:
                await reader.read(OWNER, (), None, soon())
    finally:
        arbitrum_node.client.call("anvil_setCode", ARBSYS_ADDRESS, code)
    assert caught.value.code == "bad_response"


async def test_an_ordinary_chain_needs_no_arbsys_even_if_its_file_names_one(
    shared_node: AnvilNode, zoo: Zoo
) -> None:
    net = network("ethereum", chain_id=1, contracts={**ARBITRUM.contracts})
    async with reading(net, shared_node.url) as reader:
        answer = await reader.read(zoo.owner, assets_of(net, [zoo["plain"]]), None, soon())
    assert answer.block.hash == block_of(shared_node.client, answer.block.number)["hash"]
    assert answer.requests == 1


def test_multicall_is_where_it_is_everywhere() -> None:
    assert LOCAL.contracts["multicall3"].address == MULTICALL3_ADDRESS
