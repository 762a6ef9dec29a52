"""Endpoints that change, have no state or a bad minute: nothing wrong is read, nothing wrong is kept."""

import asyncio
import json
import time
from typing import Any

import pytest
from tests.evm.rung_scenes import Narrow, narrow
from tests.evm.scenes import changed
from tests.fakes.bad_endpoint import BadEndpoint, Exchange, Fault
from tests.nodes.token_zoo import Zoo, zoo_address

from balance_tracker import BalanceReader
from balance_tracker.core.errors import InputError, UpstreamError
from balance_tracker.demo.anvil import AnvilNode
from balance_tracker.evm import endpoint_run
from balance_tracker.evm.abi import BALANCE_OF

pytestmark = pytest.mark.integration

ECHO = "60043560005260206000f3"
"""Returns its argument: everybody's balance is their own address."""
EVEN_ONLY = "6004358060011660105760005260206000f35bfe"
"""As ECHO, but it takes all gas of whom asks for an odd address."""


def put(node: AnvilNode, name: str, code: str) -> str:
    address = zoo_address(name).lower()
    node.client.call("anvil_setCode", address, "0x" + code)
    return address


@pytest.mark.parametrize("rung", ["multicall3", "batch"])
async def test_an_endpoint_that_changes_its_chain_is_refused_on_every_rung(
    rung: Any, shared_node: AnvilNode, bare_node: AnvilNode, zoo: Zoo
) -> None:
    token = str(zoo["plain"].address)
    takes = Narrow(rung)
    async with (
        narrow(shared_node.url, takes) as endpoint,
        BalanceReader([endpoint.url], chain_id=1, deadline_seconds=5) as reader,
    ):
        first = await reader.read([zoo.owner], [token])
        assert first.rows[0][1] == zoo["plain"].value
        endpoint.node_url = bare_node.url
        with pytest.raises(UpstreamError) as caught:
            await reader.read([zoo.owner], [token])
    assert caught.value.code in ("wrong_chain", "stale_head")


async def test_an_endpoint_without_any_state_is_not_an_empty_wallet(shared_node: AnvilNode, zoo: Zoo) -> None:
    def hollow(call: dict[str, Any], reply: dict[str, Any]) -> dict[str, Any]:
        nothing = {"eth_call": "0x", "eth_getCode": "0x", "eth_getBalance": "0x0"}.get(call["method"])
        return reply if nothing is None else {**reply, "result": nothing}

    tokens = [str(zoo["plain"].address), str(zoo["proxy"].address)]
    async with changed(shared_node.url, hollow) as endpoint:
        async with BalanceReader([endpoint.url], chain_id=1, deadline_seconds=5) as reader:
            with pytest.raises(UpstreamError) as caught:
                await reader.read([zoo.owner], tokens)
            assert caught.value.code == "no_state"
        async with BalanceReader([endpoint.url, shared_node.url], chain_id=1, deadline_seconds=5) as reader:
            matrix = await reader.read([zoo.owner], tokens)
    assert matrix.rows[0][1:] == [zoo["plain"].value, zoo["proxy"].value]


async def test_a_bad_minute_makes_no_token_a_gas_eater(node: AnvilNode) -> None:
    tokens = [put(node, f"echo {number}", ECHO) for number in range(5)]
    wallets = [f"0x{number:040x}" for number in range(1, 41)]
    takes = Narrow("batch")
    broken = True

    async def act(exchange: Exchange) -> None:
        def edit(call: dict[str, Any], reply: dict[str, Any]) -> dict[str, Any]:
            if call["method"] == "eth_call":
                return {
                    "jsonrpc": "2.0",
                    "id": call["id"],
                    "error": {"code": -32600, "message": "Invalid request"},
                }
            return reply

        if broken and any(BALANCE_OF in json.dumps(call["params"]) for call in exchange.calls):
            await exchange.reply_edited(edit)
        else:
            await takes.act(exchange)

    async with (
        BadEndpoint(Fault("bad minute", act, frozenset()), node.url) as endpoint,
        BalanceReader([endpoint.url, node.url], chain_id=1, deadline_seconds=8) as reader,
    ):
        await reader.read(wallets[:2], tokens)
        broken = False
        matrix = await reader.read(wallets, tokens)
    assert not matrix.failures
    assert [row[1] for row in matrix.rows] == list(range(1, 41))


@pytest.mark.parametrize("rung", ["override", "multicall3", "batch"])
async def test_a_token_that_takes_all_gas_for_some_is_still_read_for_the_others(
    rung: Any, node: AnvilNode
) -> None:
    token = put(node, "for some", EVEN_ONLY)
    wallets = [f"0x{number:040x}" for number in (1, 3, 5, 2, 4, 6, 7, 8, 10, 12)]
    async with (
        narrow(node.url, Narrow(rung)) as endpoint,
        BalanceReader([endpoint.url], chain_id=1) as reader,
    ):
        for _ in range(2):
            matrix = await reader.read(wallets, [token])
            known = [row[1] for row in matrix.rows]
            assert known == [None, None, None, 2, 4, 6, None, 8, 10, 12]


async def test_a_chain_that_does_not_tell_its_numbers_never_goes_back(arbitrum_node: AnvilNode) -> None:
    lag = 0
    arbitrum_node.client.call("anvil_mine", "0x30")

    async def act(exchange: Exchange) -> None:
        head = int(arbitrum_node.client.call("eth_blockNumber"), 16)
        text = json.dumps(exchange.calls)
        if lag:
            text = text.replace('"latest"', f'"{hex(head - lag)}"')

        def edit(call: dict[str, Any], reply: dict[str, Any]) -> dict[str, Any]:
            if call["method"] == "eth_getBlockByNumber" and reply.get("result"):
                reply["result"]["l1BlockNumber"] = hex(42161)
            return reply

        await exchange.reply_edited(edit, json.loads(text))

    async with (
        BadEndpoint(Fault("lags", act, frozenset()), arbitrum_node.url) as endpoint,
        BalanceReader([endpoint.url], deadline_seconds=4, runs_evm_code=False) as reader,
    ):
        await reader.read([zoo_address("a")], [])
        lag = 30
        with pytest.raises(UpstreamError) as caught:
            await reader.read([zoo_address("a")], [])
    assert caught.value.code == "stale_head"


async def test_plain_calls_go_on_until_the_deadline(
    shared_node: AnvilNode, zoo: Zoo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endpoint_run, "DIRECT_AT_ONCE", 25)
    wallets = [zoo_address(str(number)) for number in range(60)]
    async with (
        narrow(shared_node.url, Narrow("batch")) as endpoint,
        BalanceReader([endpoint.url], chain_id=1) as reader,
    ):
        matrix = await reader.read(wallets, [str(zoo["plain"].address)])
    assert not matrix.failures


async def test_a_deadline_holds_for_a_large_matrix(node: AnvilNode) -> None:
    token = put(node, "echo", ECHO)
    wallets = [f"0x{number:040x}" for number in range(1, 2_501)]
    asked = 0

    async def act(exchange: Exchange) -> None:
        nonlocal asked
        asked += 1
        if asked > 1:
            await asyncio.sleep(20)
        await exchange.reply(await exchange.good())

    async with (
        BadEndpoint(Fault("hangs", act, frozenset()), node.url) as endpoint,
        BalanceReader([endpoint.url], chain_id=1, deadline_seconds=2.0) as reader,
    ):
        started = time.monotonic()
        matrix = await reader.read(wallets, [token] * 30)
        assert time.monotonic() - started < 3.0
    assert any(value is not None for row in matrix.rows for value in row)
    assert matrix.failures


@pytest.mark.parametrize("rung", ["deployless", "multicall3", "batch"])
async def test_reads_of_the_past_learn_the_rung_too(rung: Any, shared_node: AnvilNode, zoo: Zoo) -> None:
    token = str(zoo["plain"].address)
    head = int(shared_node.client.call("eth_blockNumber"), 16)
    async with (
        narrow(shared_node.url, Narrow(rung)) as endpoint,
        BalanceReader([endpoint.url], chain_id=1) as reader,
    ):
        requests = [(await reader.read([zoo.owner], [token], block=head)).requests for _ in range(3)]
    assert requests[-1] <= {"deployless": 1, "multicall3": 1, "batch": 4}[rung]


@pytest.mark.parametrize("block", [-1, True, 1 << 64, "latest"])
async def test_a_block_that_is_none_is_the_callers_mistake(shared_node: AnvilNode, block: Any) -> None:
    async with BalanceReader([shared_node.url]) as reader:
        with pytest.raises(InputError) as caught:
            await reader.read([], [], block=block)
    assert caught.value.code == "invalid_at"


async def test_a_reader_that_was_closed_says_so(shared_node: AnvilNode) -> None:
    async with BalanceReader([shared_node.url]) as reader:
        pass
    with pytest.raises(RuntimeError, match="async with"):
        await reader.read([], [])
