"""The ladder: every rung gives the same, and an endpoint is asked on the best one that it serves."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.conftest import OpenGateway
from tests.evm.rung_scenes import REFUSALS, RUNGS, Narrow, RungOrBelow, narrow
from tests.evm.scenes import LOCAL, soon
from tests.evm.test_calls import plainly
from tests.evm.test_scanner_on_node import ECHO, put
from tests.fakes.bad_endpoint import BadEndpoint
from tests.nodes.token_zoo import Zoo, zoo_address

from balance_tracker import BalanceReader
from balance_tracker.catalog.networks import load_networks
from balance_tracker.core.errors import UpstreamError
from balance_tracker.core.ids import Slug
from balance_tracker.core.portfolio import FailureCode
from balance_tracker.demo.anvil import AnvilNode
from balance_tracker.evm import ladder as ladder_module
from balance_tracker.evm.balance_reader import Matrix
from balance_tracker.evm.calls import CallReader
from balance_tracker.evm.findings import SAMPLES
from balance_tracker.evm.ladder import FIRST_RETRY_SECONDS, FIRST_UNSUPPORTED_SECONDS, Ladder
from balance_tracker.evm.outcomes import Answer
from balance_tracker.evm.question import Question
from balance_tracker.evm.reader import chain_facts
from balance_tracker.transport.memory import Memory
from balance_tracker.transport.pool import Pool, open_pool

pytestmark = pytest.mark.integration

every_rung = pytest.mark.parametrize("rung", RUNGS)
BELOW = [(rung, refusal) for rung in RUNGS[1:] for refusal in REFUSALS]


async def read_once(
    node: AnvilNode, takes: Narrow, wallets: list[str], tokens: list[str], block: int | None = None
) -> tuple[Matrix, BadEndpoint]:
    async with narrow(node.url, takes) as endpoint, BalanceReader([endpoint.url], chain_id=1) as reader:
        return await reader.read(wallets, tokens, block), endpoint


# The same on every rung.


@pytest.mark.parametrize(("rung", "refusal"), BELOW)
async def test_the_whole_zoo_is_the_same_on_every_rung(
    shared_node: AnvilNode, zoo: Zoo, rung: RungOrBelow, refusal: str
) -> None:
    wallets = [zoo.owner, zoo.stranger]
    best, _ = await read_once(shared_node, Narrow(), wallets, zoo.addresses)
    here, _ = await read_once(shared_node, Narrow(rung, refusal), wallets, zoo.addresses)
    assert here.rows == best.rows
    assert here.failures == best.failures
    assert here.block == best.block


@every_rung
async def test_the_whole_zoo_is_the_same_at_a_past_block(
    node: AnvilNode, zoo: Zoo, rung: RungOrBelow
) -> None:
    before = int(node.client.call("eth_blockNumber"), 16)
    late = zoo_address("late").lower()
    node.client.call("anvil_mine", "0x2")
    node.client.call("anvil_setCode", late, "0x" + ECHO)
    node.client.call("anvil_setBalance", zoo.owner, "0x7")
    node.client.call("anvil_mine", "0x1")
    tokens = [*zoo.addresses, late]
    best, _ = await read_once(node, Narrow(), [zoo.owner], zoo.addresses)
    here, _ = await read_once(node, Narrow(rung), [zoo.owner], tokens, before)
    assert here.block.number == before
    assert here.rows == [[0, *best.rows[0][1:], 0]]
    assert here.failures == best.failures


@every_rung
async def test_calls_other_than_balances_are_the_same_too(
    shared_node: AnvilNode, zoo: Zoo, rung: RungOrBelow
) -> None:
    async def metadata(takes: Narrow) -> object:
        async with narrow(shared_node.url, takes) as endpoint, calling(endpoint.url) as (reader, _):
            answer = await reader.read(question, None, soon())
            return answer.outcomes, answer.cells

    from balance_tracker.evm.metadata import metadata_calls  # noqa: PLC0415

    calls = [call for address in zoo.addresses for call in metadata_calls(address.lower())]
    question = Question([zoo.owner], [zoo["plain"].address.lower()], calls)
    assert await metadata(Narrow(rung)) == await metadata(Narrow())


@every_rung
@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    wallets=st.integers(0, 25),
    tokens=st.integers(0, 12),
    most=st.integers(10, 60),
    body_bytes=st.sampled_from([None, 3_000, 9_000, 20_000]),
    gas=st.sampled_from([None, 60_000, 200_000, 400_000, 1_000_000, 3_000_000]),
)
def test_reads_of_any_size_equal_plain_calls(
    shared_node: AnvilNode,
    zoo: Zoo,
    rung: RungOrBelow,
    wallets: int,
    tokens: int,
    most: int,
    body_bytes: int | None,
    gas: int | None,
) -> None:
    owners = [zoo.owner, *(zoo_address(f"wallet {number}") for number in range(wallets))][:wallets]
    members = [member for member in zoo.readable if member.accepts == (member.value,)][:tokens]
    contracts = [str(member.address) for member in members]

    async def read() -> None:
        takes = Narrow(rung, gas=gas, body_bytes=body_bytes)
        async with narrow(shared_node.url, takes) as endpoint, BalanceReader([endpoint.url]) as reader:
            for _ in range(2):
                matrix = await reader.read(owners, contracts)
                assert not matrix.failures
                assert matrix.rows == plainly(shared_node, owners, contracts, matrix.block.number)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ladder_module, "MOST_CELLS", most)
        asyncio.run(read())


# What is learnt.


@asynccontextmanager
async def calling(url: str, memory: Memory | None = None) -> AsyncIterator[tuple[CallReader, Pool]]:
    """A reader of questions through an endpoint with that memory."""

    class One:
        def of(self, network: str, url: str) -> Memory:
            return memory if memory is not None else Memory()

    async with open_pool("ethereum", [url], memories=One()) as pool:
        yield CallReader(pool, chain_facts(LOCAL)), pool


@pytest.mark.parametrize(
    ("rung", "first", "second"),
    [("override", 1, 1), ("deployless", 2, 1), ("multicall3", 3, 1), ("batch", 6, 2)],
)
async def test_the_second_read_begins_where_the_first_one_ended(
    shared_node: AnvilNode, zoo: Zoo, rung: RungOrBelow, first: int, second: int
) -> None:
    tokens = [str(zoo["plain"].address), str(zoo["proxy"].address)]
    async with (
        narrow(shared_node.url, Narrow(rung)) as endpoint,
        BalanceReader([endpoint.url], chain_id=1) as reader,
    ):
        reads = [await reader.read([zoo.owner], tokens) for _ in range(3)]
    assert reads[0].requests <= first
    assert [matrix.requests for matrix in reads[1:]] == [second, second]
    assert reads[0].rows == reads[1].rows == reads[2].rows


@pytest.mark.parametrize("refusal", REFUSALS)
async def test_what_was_learnt_survives_a_restart(
    shared_node: AnvilNode, zoo: Zoo, tmp_path: Path, refusal: str
) -> None:
    path = tmp_path / "endpoints.json"
    tokens = [str(zoo["plain"].address)]
    requests = []
    async with narrow(shared_node.url, Narrow("multicall3", refusal)) as endpoint:
        for _ in range(2):
            async with BalanceReader([endpoint.url], chain_id=1, memory_path=path) as reader:
                requests.append((await reader.read([zoo.owner], tokens)).requests)
        assert requests == [3, 1]
        assert endpoint.url not in path.read_text()
    assert json.loads(path.read_text())["version"] == 1


async def test_a_lost_state_override_is_noticed_in_that_very_read(
    shared_node: AnvilNode, zoo: Zoo, tmp_path: Path
) -> None:
    tokens = [str(zoo["plain"].address)]
    for refusal in REFUSALS:
        takes = Narrow(refusal=refusal)
        async with (
            narrow(shared_node.url, takes) as endpoint,
            BalanceReader([endpoint.url], chain_id=1) as reader,
        ):
            before = await reader.read([zoo.owner], tokens)
            takes.rung = "deployless"
            reads = [await reader.read([zoo.owner], tokens) for _ in range(2)]
        assert before.requests == 1
        assert [(matrix.rows, matrix.failures) for matrix in reads] == [(before.rows, [])] * 2
        assert [matrix.requests for matrix in reads] == [2, 1], refusal


@pytest.mark.parametrize("gas", [600_000, 2_000_000, 8_000_000])
async def test_less_gas_is_noticed_within_two_reads(node: AnvilNode, zoo: Zoo, gas: int) -> None:
    echo = put(node, "echo", ECHO)
    tokens = [echo, str(zoo["plain"].address), str(zoo["proxy"].address)]
    wallets = [f"0x{number:040x}" for number in range(1, 501)]
    takes = Narrow()
    async with narrow(node.url, takes) as endpoint, BalanceReader([endpoint.url], chain_id=1) as reader:
        before = await reader.read(wallets, tokens)
        takes.gas = gas
        reads = [await reader.read(wallets, tokens) for _ in range(3)]
    assert before.requests == 1
    assert [(matrix.rows, matrix.failures) for matrix in reads] == [(before.rows, [])] * 3
    assert [row[1] for row in before.rows] == list(range(1, 501))
    fewest = -(-500 * 4 * 2_900 // gas)
    assert reads[0].requests <= 2 * fewest + 3
    assert max(reads[1].requests, reads[2].requests) <= 3 * fewest // 2 + 1


async def test_a_rung_that_failed_is_tried_again_when_its_time_is_over(
    shared_node: AnvilNode, zoo: Zoo
) -> None:
    now = 1_000_000.0
    memory = Memory(lambda: now)
    question = Question([zoo.owner], [zoo["plain"].address.lower()])
    takes = Narrow("deployless")
    async with narrow(shared_node.url, takes) as endpoint, calling(endpoint.url, memory) as (reader, _):

        async def requests() -> int:
            answer: Answer = await reader.read(question, None, soon())
            assert answer.cells == [0, zoo["plain"].value]
            return answer.requests

        assert [await requests(), await requests()] == [2, 1]
        takes.rung = "override"
        now += FIRST_UNSUPPORTED_SECONDS - 10
        assert (await requests(), memory.get("works")) == (1, "deployless")
        now += 20
        assert (await requests(), memory.get("works")) == (1, "override")


def test_a_rung_that_fails_again_is_left_for_longer() -> None:
    now = 0.0
    memory = Memory(lambda: now)
    ladder = Ladder(chain_facts(LOCAL))
    for wait in (FIRST_RETRY_SECONDS, 4 * FIRST_RETRY_SECONDS, 16 * FIRST_RETRY_SECONDS):
        rung = ladder.rung(memory, None)
        assert rung is not None
        assert rung.name == "override"
        ladder.failed(memory, rung, supported=True)
        now += wait - 1
        below = ladder.rung(memory, None)
        assert below is not None
        assert below.name == "deployless"
        now += 2


@pytest.mark.parametrize("nonsense", ["0x", "0x00", "0x" + "11" * 90, "zz", "0x" + "00" * 640])
@pytest.mark.parametrize("rung", ["override", "deployless", "multicall3"])
async def test_an_endpoint_known_to_work_that_answers_nonsense_is_asked_twice_at_most(
    shared_node: AnvilNode, zoo: Zoo, rung: RungOrBelow, nonsense: str
) -> None:
    takes = Narrow(rung)
    tokens = [str(zoo["plain"].address)]
    async with (
        narrow(shared_node.url, takes) as endpoint,
        BalanceReader([endpoint.url], chain_id=1) as reader,
    ):
        before = await reader.read([zoo.owner], tokens)
        asked = endpoint.counts.requests
        takes.nonsense = nonsense
        with pytest.raises(UpstreamError) as caught:
            await reader.read([zoo.owner], tokens)
        assert endpoint.counts.requests - asked <= 2
        assert caught.value.code == "bad_response"
        takes.nonsense = None
        after = await reader.read([zoo.owner], tokens)
    assert after.rows == before.rows
    assert after.requests <= 2


async def test_a_fault_on_one_rung_is_a_step_and_on_two_it_is_trouble(
    shared_node: AnvilNode, zoo: Zoo
) -> None:
    tokens = [str(zoo["plain"].address)]
    async with (
        narrow(shared_node.url, Narrow("deployless", "fault")) as endpoint,
        BalanceReader([endpoint.url], chain_id=1) as reader,
    ):
        assert [(await reader.read([zoo.owner], tokens)).requests for _ in range(2)] == [2, 1]
    async with (
        narrow(shared_node.url, Narrow("multicall3", "fault")) as endpoint,
        BalanceReader([endpoint.url], chain_id=1) as reader,
    ):
        with pytest.raises(UpstreamError) as caught:
            await reader.read([zoo.owner], tokens)
        assert (caught.value.code, endpoint.counts.requests) == ("rpc_error", 2)
        # It may as well have been its nature: the next read begins below.
        after = await reader.read([zoo.owner], tokens)
        assert (after.rows, after.requests) == ([[0, zoo["plain"].value]], 1)


async def test_an_endpoint_that_loses_two_rungs_at_once_is_noticed_within_two_reads(
    shared_node: AnvilNode, zoo: Zoo
) -> None:
    tokens = [str(zoo["plain"].address)]
    for refusal in REFUSALS:
        takes = Narrow(refusal=refusal)
        async with (
            narrow(shared_node.url, takes) as endpoint,
            BalanceReader([endpoint.url], chain_id=1) as reader,
        ):
            before = await reader.read([zoo.owner], tokens)
            takes.rung = "multicall3"
            with pytest.raises(UpstreamError):
                await reader.read([zoo.owner], tokens)
            assert endpoint.counts.requests == 1 + 2
            after = await reader.read([zoo.owner], tokens)
        assert (after.rows, after.requests) == (before.rows, 1), refusal


# Endpoints as they are.


@pytest.mark.parametrize("rung", ["override", "deployless"])
async def test_small_limits_still_take_a_hundred_wallets_in_one_request(
    node: AnvilNode, zoo: Zoo, rung: RungOrBelow
) -> None:
    """30 million gas, bodies of 1 MB and batches of 3."""
    echo = put(node, "echo", ECHO)
    code = node.client.call("eth_getCode", zoo["plain"].address, "latest")
    tokens = [put(node, f"token {number}", code[2:]) for number in range(59)] + [echo]
    wallets = [f"0x{number:040x}" for number in range(1, 101)]
    takes = Narrow(rung, gas=30_000_000, body_bytes=1_000_000, batch=3)
    async with narrow(node.url, takes) as endpoint, BalanceReader([endpoint.url], chain_id=1) as reader:
        reads = [await reader.read(wallets, tokens) for _ in range(3)]
    for matrix in reads:
        assert not matrix.failures
        assert [row[1:] for row in matrix.rows] == [[0] * 59 + [number] for number in range(1, 101)]
    assert reads[-1].requests == 1
    if rung == "override":
        assert [matrix.requests for matrix in reads] == [1, 1, 1]


def test_zksync_begins_at_multicall3() -> None:
    """It is no EVM underneath: code that a call brings does not run there."""
    networks = load_networks()
    first = {
        slug: rung.name
        for slug, network in networks.items()
        if network.family == "evm" and (rung := Ladder(chain_facts(network)).rung(Memory(), None)) is not None
    }
    assert first[Slug("zksync")] == "multicall3"
    assert {slug for slug, name in first.items() if name != "override"} == {Slug("zksync")}


@pytest.mark.parametrize("rung", ["override", "deployless", "multicall3"])
async def test_a_gas_eater_among_many_wallets_costs_few_requests(
    node: AnvilNode, zoo: Zoo, open_gateway: OpenGateway, rung: RungOrBelow
) -> None:
    echo = put(node, "echo", ECHO)
    eater = put(node, "eater", "fe")
    tokens = [echo, eater, str(zoo["plain"].address)]
    wallets = [f"0x{number:040x}" for number in range(1, 101)]
    async with (
        narrow(node.url, Narrow(rung)) as endpoint,
        BalanceReader([endpoint.url], chain_id=1) as reader,
    ):
        reads = [await reader.read(wallets, tokens) for _ in range(3)]
    for matrix in reads:
        assert [row[1] for row in matrix.rows] == list(range(1, 101))
        assert [row[3] for row in matrix.rows] == [0] * 100
        assert [(row, token) for row, token, _ in matrix.failures] == [(row, 1) for row in range(100)]
        assert {reason.partition(":")[0] for _, _, reason in matrix.failures} <= {
            FailureCode.REVERTED,
            FailureCode.OUT_OF_GAS,
        }
    assert max(matrix.requests for matrix in reads) <= 12
    assert reads[2].requests <= 3
    if rung in ("override", "deployless"):
        asked_alone = sum(not reason.endswith("was not asked on") for _, _, reason in reads[2].failures)
        assert asked_alone == SAMPLES
