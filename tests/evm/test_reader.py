"""The reader of one network: blocks, times, metadata, chains, and what an endpoint lacks."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import OpenGateway
from tests.evm.scenes import (
    BARE_BUT_HOPEFUL,
    CONTRACTS,
    LOCAL,
    assets_of,
    block_of,
    changed,
    head_of,
    mint,
    outcomes_of,
    reading,
    soon,
)
from tests.fakes.readers import network, token
from tests.nodes.token_zoo import Zoo, zoo_address

from balance_tracker import BalanceReader, catalog
from balance_tracker.core.assets import native_asset
from balance_tracker.core.errors import UpstreamError
from balance_tracker.core.ids import Address
from balance_tracker.core.portfolio import FailureCode
from balance_tracker.demo.anvil import AnvilNode
from balance_tracker.demo.contracts import MULTICALL3_ADDRESS, ContractLibrary, Placement, place, set_code
from balance_tracker.evm import reader as reader_module
from balance_tracker.ports import MetadataFailure, TokenMetadata

pytestmark = pytest.mark.integration

OWNER = Address("0x00000000000000000000000000000000000A11cE")


async def test_the_shipped_list_of_ethereum_costs_one_request(
    node: AnvilNode, library: ContractLibrary, open_gateway: OpenGateway
) -> None:
    path = Path(catalog.__file__).parents[1] / "data" / "tokens" / "ethereum.json"
    tokens = [item for item in json.loads(path.read_text())["tokens"] if item["chainId"] == 1]
    assert len(tokens) >= 178
    addresses = [Address(item["address"]) for item in tokens]
    place(node.client, [Placement(address, library.erc20, ("T", "T")) for address in addresses])
    assets = [token(LOCAL, address, "T", 18) for address in addresses]
    gateway = await open_gateway(node.url)
    async with reading(LOCAL, gateway.url) as reader:
        answer = await reader.read(OWNER, [native_asset(LOCAL), *assets], None, soon())
    assert not answer.failures
    assert answer.asked == 1 + len(tokens)
    assert gateway.counts.requests == answer.requests == 1
    assert gateway.counts.request_bytes < 200_000


# At a block.


async def test_a_past_block_is_read_as_it_was(node: AnvilNode, zoo: Zoo) -> None:
    before = head_of(node.client)
    mint(node.client, zoo["plain"], OWNER, 5)
    node.client.call("anvil_setBalance", OWNER, hex(9))
    node.client.call("anvil_mine", "0x1")
    assets = assets_of(LOCAL, [zoo["plain"]])
    async with reading(LOCAL, node.url) as reader:
        now = await reader.read(OWNER, assets, None, soon())
        then = await reader.read(OWNER, assets, before, soon())
    assert outcomes_of(now) == {None: 9, zoo["plain"].address: 5}
    assert outcomes_of(then) == {None: 0, zoo["plain"].address: 0}
    assert then.block.number == before
    assert then.block.hash == block_of(node.client, before)["hash"]
    assert then.requests == 1


async def test_before_its_creation_a_token_was_held_by_nobody(
    node: AnvilNode, library: ContractLibrary
) -> None:
    before = head_of(node.client)
    node.client.call("anvil_mine", "0x1")
    young, never = zoo_address("created later"), zoo_address("created never")
    place(node.client, [Placement(young, library.erc20, ("T", "T"))])
    assets = [token(LOCAL, young, "YOUNG", 18), token(LOCAL, never, "NEVER", 18)]
    async with reading(LOCAL, node.url) as reader:
        then = await reader.read(OWNER, assets, before, soon())
        now = await reader.read(OWNER, assets, None, soon())
    assert outcomes_of(then) == {None: 0, young: 0, never: FailureCode.NO_CONTRACT}
    assert outcomes_of(now) == {None: 0, young: 0, never: FailureCode.NO_CONTRACT}


async def test_before_its_creation_a_token_has_no_metadata_to_remember(
    node: AnvilNode, library: ContractLibrary
) -> None:
    before = head_of(node.client)
    node.client.call("anvil_mine", "0x1")
    young = zoo_address("created later")
    place(node.client, [Placement(young, library.erc20, ("Young", "YNG"))])
    assets = [token(LOCAL, young, None, None, name=None, trust="unknown")]  # type: ignore[arg-type]
    async with reading(LOCAL, node.url) as reader:
        then = await reader.read(OWNER, assets, before, soon())
        now = await reader.read(OWNER, assets, None, soon())
    assert [(b.raw_amount, b.asset.decimals) for b in then.balances[1:]] == [(0, None)]
    assert [(b.asset.symbol, b.asset.name, b.asset.decimals) for b in now.balances[1:]] == [
        ("YNG", "Young", 18)
    ]


async def test_a_block_before_multicall3_is_read_without_it(
    bare_node: AnvilNode, bare_zoo: Zoo, canonical_multicall3: bytes
) -> None:
    client = bare_node.client
    snapshot, before = client.call("evm_snapshot"), head_of(client)
    client.call("anvil_mine", "0x1")
    set_code(client, {MULTICALL3_ADDRESS: canonical_multicall3})
    client.call("anvil_mine", "0x1")
    members = bare_zoo.readable[:3]
    expected = {None: 0} | {member.address: member.value for member in members}
    try:
        async with reading(BARE_BUT_HOPEFUL, bare_node.url) as reader:
            then = await reader.read(bare_zoo.owner, assets_of(BARE_BUT_HOPEFUL, members), before, soon())
            now = await reader.read(bare_zoo.owner, assets_of(BARE_BUT_HOPEFUL, members), None, soon())
            learned = reader.health()[0].learned
    finally:
        client.call("evm_revert", snapshot)
    assert outcomes_of(then) == outcomes_of(now) == expected
    assert then.block.number == before
    assert now.requests == 1
    assert "multicall3" not in learned


async def test_a_network_file_may_say_since_when_multicall3_is_there(node: AnvilNode, zoo: Zoo) -> None:
    since = head_of(node.client) + 100
    contracts = {"multicall3": CONTRACTS["multicall3"].__class__(Address(MULTICALL3_ADDRESS), since)}
    net = network("ethereum", chain_id=1, contracts=contracts)
    async with reading(net, node.url) as reader:
        answer = await reader.read(zoo.owner, assets_of(net, [zoo["plain"]]), since - 101, soon())
    assert outcomes_of(answer)[zoo["plain"].address] in (0, zoo["plain"].value)
    assert answer.requests <= 3


async def test_a_block_of_the_future_is_missing(shared_node: AnvilNode, zoo: Zoo) -> None:
    async with reading(LOCAL, shared_node.url) as reader:
        with pytest.raises(UpstreamError) as caught:
            await reader.read(zoo.owner, assets_of(LOCAL, zoo.readable), 10_000_000, soon())
    assert caught.value.code == "block_missing"


async def test_the_first_block_can_be_read(shared_node: AnvilNode, zoo: Zoo) -> None:
    dev = Address("0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266")
    async with reading(LOCAL, shared_node.url) as reader:
        answer = await reader.read(dev, assets_of(LOCAL, [zoo["plain"]]), 0, soon())
    assert answer.block.number == 0
    assert outcomes_of(answer) == {None: 10_000 * 10**18, zoo["plain"].address: 0}


# At a time.


def moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


async def test_the_last_block_at_or_before_a_time_is_read(node: AnvilNode, zoo: Zoo) -> None:
    mint(node.client, zoo["plain"], OWNER, 1)
    number = head_of(node.client)
    time_of_it = int(block_of(node.client, number)["timestamp"], 16)
    node.client.call("anvil_mine", "0x14", hex(60))
    mint(node.client, zoo["plain"], OWNER, 1)
    assets = assets_of(LOCAL, [zoo["plain"]])
    async with reading(LOCAL, node.url) as reader:
        for seconds, expected in ((0, number), (59, number), (60, number + 1), (125, number + 2)):
            answer = await reader.read(OWNER, assets, moment(time_of_it + seconds), soon())
            assert (answer.block.number, outcomes_of(answer)[zoo["plain"].address]) == (expected, 1)
            assert answer.block.as_of <= moment(time_of_it + seconds)


async def test_the_block_of_a_past_time_is_remembered(node: AnvilNode, open_gateway: OpenGateway) -> None:
    node.client.call("anvil_mine", "0x5", hex(60))
    past = moment(int(block_of(node.client, "latest")["timestamp"], 16) - 90)
    gateway = await open_gateway(node.url)
    async with reading(LOCAL, gateway.url) as reader:
        first = await reader.read(OWNER, (), past, soon())
        gateway.reset()
        assert (await reader.read(OWNER, (), past, soon())).block == first.block
    assert gateway.counts.requests == 1


async def test_a_time_to_come_is_the_latest_block_and_is_looked_up_again(node: AnvilNode) -> None:
    later = moment(int(block_of(node.client, "latest")["timestamp"], 16) + 3600)
    async with reading(LOCAL, node.url) as reader:
        assert (await reader.read(OWNER, (), later, soon())).block.number == head_of(node.client)
        node.client.call("anvil_mine", "0x2")
        assert (await reader.read(OWNER, (), later, soon())).block.number == head_of(node.client)


async def test_a_time_before_the_first_block_is_an_error_and_not_zeros(shared_node: AnvilNode) -> None:
    async with reading(LOCAL, shared_node.url) as reader:
        with pytest.raises(UpstreamError) as caught:
            await reader.read(OWNER, (), moment(1_000_000), soon())
    assert (caught.value.code, caught.value.retryable) == ("history_unavailable", False)


# Metadata.


async def test_unlisted_tokens_are_asked_for_their_metadata_in_the_same_request(
    shared_node: AnvilNode, zoo: Zoo, open_gateway: OpenGateway
) -> None:
    members = [zoo[name] for name in ("plain", "no_return_value", "bytes32_texts", "proxy", "zero_decimals")]
    gateway = await open_gateway(shared_node.url)
    async with reading(LOCAL, gateway.url) as reader:
        assets = assets_of(LOCAL, members, decimals=False)
        answer = await reader.read(zoo.owner, assets, None, soon())
        assert gateway.counts.requests == 1
        await reader.read(zoo.owner, assets, None, soon())
    assert gateway.counts.passed[1].request_bytes < gateway.counts.passed[0].request_bytes
    told = [(b.asset.symbol, b.asset.name, b.asset.decimals) for b in answer.balances[1:]]
    assert told == [(m.symbol, m.token_name, m.decimals) for m in members]


async def test_odd_metadata_is_made_safe_and_decimals_that_are_unknown_leave_no_amount(
    shared_node: AnvilNode, zoo: Zoo
) -> None:
    names = ("control_characters", "long_symbol", "empty_texts", "blob_texts", "no_decimals", "odd_decimals")
    async with reading(LOCAL, shared_node.url) as reader:
        assets = assets_of(LOCAL, [zoo[name] for name in names], decimals=False)
        answer = await reader.read(zoo.owner, assets, None, soon())
    balances = {b.asset.contract_address: b for b in answer.balances}
    found = {name: balances[zoo[name].address] for name in names}
    assert found["control_characters"].asset.symbol == "EVIL[31m USD"
    assert found["control_characters"].asset.name == "Free Money"
    assert len(found["long_symbol"].asset.symbol or "") == 64
    assert len(found["long_symbol"].asset.name or "") == 128
    assert (found["empty_texts"].asset.symbol, found["empty_texts"].asset.name) == (None, None)
    assert (found["blob_texts"].asset.symbol, found["blob_texts"].raw_amount) == (None, 5)
    for name in ("no_decimals", "odd_decimals"):
        assert found[name].asset.decimals is None
        assert found[name].amount is None
        assert found[name].raw_amount == zoo[name].value


async def test_metadata_alone_is_asked_of_every_member(shared_node: AnvilNode, zoo: Zoo) -> None:
    assets = assets_of(LOCAL, zoo.members.values())
    async with reading(LOCAL, shared_node.url) as reader:
        told = await reader.metadata([native_asset(LOCAL), *assets], soon())
    assert told[zoo["bytes32_texts"].address] == TokenMetadata("BYT", "Bytes Thirty-Two", 18)
    assert told[zoo["erc1155"].address] == TokenMetadata(None, None, None)
    assert told[zoo["eoa"].address] == MetadataFailure(
        FailureCode.NO_CONTRACT, "there is no contract at this address"
    )
    assert len(told) == len(zoo.members)


async def test_what_is_remembered_is_bounded(
    shared_node: AnvilNode, zoo: Zoo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader_module, "MOST_KEPT", 2)
    async with reading(LOCAL, shared_node.url) as reader:
        await reader.read(zoo.owner, assets_of(LOCAL, zoo.readable[:4], decimals=False), None, soon())
        assert len(reader._metadata) == 2


# Endpoints.


async def test_an_endpoint_of_another_chain_is_refused(shared_node: AnvilNode, bare_node: AnvilNode) -> None:
    async with reading(LOCAL, bare_node.url) as reader:
        with pytest.raises(UpstreamError) as caught:
            await reader.read(OWNER, (), None, soon())
        assert reader.health()[0].state == "wrong_chain"
    assert (caught.value.code, caught.value.retryable) == ("wrong_chain", False)
    async with reading(LOCAL, bare_node.url, shared_node.url) as reader:
        assert (await reader.read(OWNER, (), None, soon())).endpoint in shared_node.url


async def test_a_probe_learns_chain_and_head(shared_node: AnvilNode, bare_node: AnvilNode) -> None:
    async with reading(LOCAL, shared_node.url, bare_node.url, "http://127.0.0.1:1/") as reader:
        await reader.probe()
        health = {item.name: item for item in reader.health()}
    good = health[shared_node.url.removeprefix("http://")]
    assert (good.state, good.head) == ("healthy", head_of(shared_node.client))
    assert health[bare_node.url.removeprefix("http://")].state == "wrong_chain"
    assert health["127.0.0.1:1"].state == "resting"


@pytest.mark.parametrize(
    "chain_id", [{"error": {"code": -32601, "message": "not here"}}, {"result": "one"}, {"result": None}]
)
async def test_a_probe_that_is_not_told_the_chain_fails(
    shared_node: AnvilNode, chain_id: dict[str, Any]
) -> None:
    def change(call: dict[str, Any], reply: dict[str, Any]) -> dict[str, Any]:
        if call["method"] != "eth_chainId":
            return reply
        return {"jsonrpc": "2.0", "id": reply["id"], **chain_id}

    async with changed(shared_node.url, change) as endpoint, reading(LOCAL, endpoint.url) as reader:
        await reader.probe()
        assert reader.health()[0].state == "resting"


async def test_a_reader_outside_its_block_says_so() -> None:
    with pytest.raises(RuntimeError, match="async with"):
        await BalanceReader(["http://127.0.0.1:1/"]).read([OWNER], [])
