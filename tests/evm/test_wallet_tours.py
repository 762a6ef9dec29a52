"""Tours beside balances on a real node: how many requests, and all of one block."""

import asyncio
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from tests.conftest import OpenGateway
from tests.evm.scenes import CONTRACTS, LOCAL, changed, soon
from tests.fakes.bad_endpoint import BadEndpoint, Exchange, Fault
from tests.nodes.chains import started

from balance_tracker.core.ids import Address
from balance_tracker.core.including import Include
from balance_tracker.core.positions import Position, PositionKind
from balance_tracker.demo.anvil import AnvilNode
from balance_tracker.demo.contracts import MULTICALL3_ADDRESS, set_code
from balance_tracker.demo.node_client import NodeClient
from balance_tracker.evm.multicall import GET_BLOCK_NUMBER, GET_CHAIN_ID, Call
from balance_tracker.evm.reader import EvmReader
from balance_tracker.evm.tours import Guide, Tour, TourError
from balance_tracker.evm.wallet_tours import Leaders
from balance_tracker.transport.pool import open_pool


@pytest.fixture
def own_node(canonical_multicall3: bytes) -> Iterator[AnvilNode]:
    """A node whose chain a test may bend."""
    with started(1) as node:
        set_code(node.client, {MULTICALL3_ADDRESS: canonical_multicall3})
        yield node


OWNER = Address("0x00000000000000000000000000000000000A11cE")
OTHER = Address("0x0000000000000000000000000000000000000b0b")
MULTICALL3 = CONTRACTS["multicall3"].address.lower()
ASKED = Include(protocols=frozenset({"rounds", "broken"}))
SOME = Include(protocols=frozenset({"broken", "elsewhere"}))
NUMBER = Call(MULTICALL3, GET_BLOCK_NUMBER)


def touring_for(rounds: int, name: str = "rounds", market: str = "main") -> Guide[Sequence[Position]]:
    """A tour of so many rounds, whose position names the blocks in which they were answered."""

    def tour(owner: Address) -> Tour[Sequence[Position]]:
        blocks = []
        for number in range(rounds):
            [block, _] = yield [NUMBER, Call(MULTICALL3, GET_CHAIN_ID + f"{number:064x}")]
            assert isinstance(block, bytes)
            blocks.append(int.from_bytes(block))
        if rounds < 2:
            return ()
        text = ",".join(map(str, blocks))
        return [Position(name, LOCAL.slug, market, text, PositionKind.VAULT, owner)]

    return Guide(name, market, tour)


def failing() -> Guide[Sequence[Position]]:
    def tour(owner: Address) -> Tour[Sequence[Position]]:
        yield [NUMBER]
        raise TourError("malformed", "it is not what it says")

    return Guide("broken", "fork", tour)


@pytest.mark.integration
@pytest.mark.parametrize(("rounds", "requests"), [(1, 1), (2, 2), (3, 3)])
async def test_a_wallet_costs_a_request_for_each_round_and_the_first_is_that_of_its_balances(
    shared_node: AnvilNode, open_gateway: OpenGateway, rounds: int, requests: int
) -> None:
    gateway = await open_gateway(shared_node.url)
    leaders = Leaders([touring_for(rounds), touring_for(1, market="other"), failing()])
    async with open_pool("ethereum", [gateway.url]) as pool:
        reader = EvmReader(LOCAL, pool, leaders=leaders)
        reading = await reader.read(OWNER, [], None, soon(), ASKED)
    assert gateway.counts.requests == reading.requests == requests
    assert reading.protocols_asked == ("broken", "rounds")
    assert [(one.protocol, one.market, one.code) for one in reading.protocol_failures] == [
        ("broken", "fork", "malformed")
    ]
    number = str(reading.block.number)
    assert [one.position_id for one in reading.positions] == (
        [",".join([number] * rounds)] if rounds > 1 else []
    )


@pytest.mark.integration
async def test_what_is_not_included_is_not_asked(shared_node: AnvilNode, open_gateway: OpenGateway) -> None:
    gateway = await open_gateway(shared_node.url)
    async with open_pool("ethereum", [gateway.url]) as pool:
        reader = EvmReader(LOCAL, pool, leaders=Leaders([touring_for(3), failing()]))
        plain = await reader.read(OWNER, [], None, soon())
        some = await reader.read(
            OWNER, [], None, soon(), Include(protocols=frozenset({"broken", "elsewhere"}))
        )
    assert gateway.counts.requests == 2
    assert (plain.protocols_asked, plain.positions, plain.protocol_failures) == ((), (), ())
    assert some.protocols_asked == ("broken",)


@pytest.mark.integration
async def test_wallets_are_read_together_at_one_block(
    shared_node: AnvilNode, open_gateway: OpenGateway
) -> None:
    gateway = await open_gateway(shared_node.url)
    async with open_pool("ethereum", [gateway.url]) as pool:
        reader = EvmReader(LOCAL, pool, leaders=Leaders([touring_for(3)]))
        readings = await reader.read_many([OWNER, OTHER], [], None, soon(), ASKED)
    assert gateway.counts.requests == 3
    owners = [one.positions[0].owner for one in readings if not isinstance(one, Exception)]
    assert owners == [OWNER, OTHER]


@pytest.mark.integration
async def test_the_block_stays_though_the_chain_goes_on(own_node: AnvilNode) -> None:
    def mine_first(call: dict[str, Any], reply: dict[str, Any]) -> dict[str, Any]:
        own_node.client.call("evm_mine")
        return reply

    async with changed(own_node.url, mine_first) as endpoint, open_pool("ethereum", [endpoint.url]) as pool:
        reader = EvmReader(LOCAL, pool, leaders=Leaders([touring_for(3)]))
        reading = await reader.read(OWNER, [], None, soon(), ASKED)
    assert reading.positions[0].position_id == ",".join([str(reading.block.number)] * 3)
    assert head(own_node.client) > reading.block.number


@pytest.mark.integration
async def test_a_block_that_is_gone_between_two_rounds_is_read_anew(own_node: AnvilNode) -> None:
    client = own_node.client
    client.call("anvil_mine", "0x3")
    snapshot = client.call("evm_snapshot")
    client.call("anvil_mine", "0x2")
    old = client.call("eth_getBlockByNumber", "latest", False)
    turned = False

    def replaced(owner: Address) -> Tour[Sequence[Position]]:
        nonlocal turned
        yield [NUMBER]
        if not turned:
            turned = True
            client.call("evm_revert", snapshot)
            client.call("evm_setNextBlockTimestamp", int(old["timestamp"], 16) + 50)
            client.call("anvil_mine", "0x4")
        outcomes = yield [NUMBER]
        assert isinstance(outcomes[0], bytes)
        return [Position("rounds", LOCAL.slug, "m", outcomes[0].hex(), PositionKind.VAULT, owner)]

    async with open_pool("ethereum", [own_node.url]) as pool:
        reader = EvmReader(LOCAL, pool, leaders=Leaders([Guide("rounds", "m", replaced)]))
        reading = await reader.read(OWNER, [], None, soon(), ASKED)
    assert reading.block.hash != old["hash"]
    assert int(reading.positions[0].position_id, 16) == reading.block.number
    assert reading.requests == 4


@pytest.mark.integration
async def test_at_a_block_before_a_protocol_was_there_nobody_has_anything_in_it(own_node: AnvilNode) -> None:
    client, later = own_node.client, "0x" + "51" * 20
    client.call("anvil_mine", "0x5")
    before = head(client)
    set_code(client, {later: bytes.fromhex("60206000f3")})
    client.call("anvil_mine", "0x1")

    def tour(owner: Address) -> Tour[Sequence[Position]]:
        [told] = yield [Call(later, "12345678")]
        if not isinstance(told, bytes):
            raise TourError(told.code, told.reason)
        return [Position("rounds", LOCAL.slug, "m", told.hex()[-1:], PositionKind.VAULT, owner)]

    async with open_pool("ethereum", [own_node.url]) as pool:
        reader = EvmReader(LOCAL, pool, leaders=Leaders([Guide("rounds", "m", tour)]))
        past = await reader.read(OWNER, [], before - 1, soon(), ASKED)
        now = await reader.read(OWNER, [], None, soon(), ASKED)
        nowhere = Leaders([Guide("rounds", "m", unheard_of)])
        wrong = await EvmReader(LOCAL, pool, leaders=nowhere).read(OWNER, [], before, soon(), ASKED)
    assert (past.positions, past.protocol_failures, past.protocols_asked) == ((), (), ("rounds",))
    assert [one.position_id for one in now.positions] == ["0"]
    assert [one.code for one in wrong.protocol_failures] == ["no_contract"]


def unheard_of(owner: Address) -> Tour[Sequence[Position]]:
    [told] = yield [Call("0x" + "52" * 20, "12345678")]
    if not isinstance(told, bytes):
        raise TourError(told.code, told.reason)
    return ()


@pytest.mark.integration
async def test_a_later_round_that_nobody_answers_in_time_costs_its_tours_and_not_the_balances(
    shared_node: AnvilNode,
) -> None:
    asked = 0

    async def act(exchange: Exchange) -> None:
        nonlocal asked
        asked += 1
        if asked > 1:
            await asyncio.sleep(5)
        await exchange.reply(await exchange.good())

    async with (
        BadEndpoint(Fault("slow_later", act, frozenset()), shared_node.url) as endpoint,
        open_pool("ethereum", [endpoint.url]) as pool,
    ):
        reader = EvmReader(LOCAL, pool, leaders=Leaders([touring_for(1), touring_for(3, market="deep")]))
        started_at = asyncio.get_running_loop().time()
        reading = await reader.read(OWNER, [], None, soon(0.6), ASKED)
        assert asyncio.get_running_loop().time() - started_at < 1
    assert [one.raw_amount for one in reading.balances] == [0]
    assert [(one.market, one.code) for one in reading.protocol_failures] == [("deep", "timed_out")]


def head(client: NodeClient) -> int:
    return int(client.call("eth_blockNumber"), 16)
