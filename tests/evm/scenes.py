"""Networks and readers over local nodes, and an endpoint whose answers a test may change."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from tests.fakes.bad_endpoint import BadEndpoint, Exchange, Fault
from tests.fakes.readers import network, token
from tests.nodes.chains import with_foreign_block_number
from tests.nodes.token_zoo import Member, Zoo

from balance_tracker.core.assets import Asset
from balance_tracker.core.ids import Address
from balance_tracker.core.networks import ContractRef, Network
from balance_tracker.core.portfolio import Reading
from balance_tracker.demo.arbsys import ARBSYS_ADDRESS
from balance_tracker.demo.contracts import MULTICALL3_ADDRESS, Transaction, call_data, transact
from balance_tracker.demo.ens import ENS_REGISTRY
from balance_tracker.demo.node_client import NodeClient
from balance_tracker.evm.balance_reader import Matrix
from balance_tracker.evm.ens import EnsNames
from balance_tracker.evm.reader import EvmReader
from balance_tracker.evm.scanner_code import PROGRAM
from balance_tracker.transport.pool import open_pool

MULTICALL3 = ContractRef(Address(MULTICALL3_ADDRESS))
CONTRACTS = {"multicall3": MULTICALL3, "ens_registry": ContractRef(Address(ENS_REGISTRY))}
LOCAL = network("ethereum", chain_id=1, contracts=CONTRACTS)
PLAIN_MULTICALL = replace(LOCAL, runs_evm_code=False)
"""As LOCAL, but a call can't bring code of its own: Multicall3 is the best rung."""
BARE = network("fantom", chain_id=250)
BARE_BUT_HOPEFUL = network("fantom", chain_id=250, contracts={"multicall3": MULTICALL3})
BARE_AND_PLAIN = replace(BARE, runs_evm_code=False)
HOPEFUL_AND_PLAIN = replace(BARE_BUT_HOPEFUL, runs_evm_code=False)
ARBITRUM = network(
    "arbitrum",
    chain_id=42161,
    contracts={"multicall3": MULTICALL3, "arbsys": ContractRef(Address(ARBSYS_ADDRESS))},
)

type Change = Callable[[dict[str, Any], dict[str, Any]], dict[str, Any]]


def soon(seconds: float = 10.0) -> float:
    return asyncio.get_running_loop().time() + seconds


@asynccontextmanager
async def reading(net: Network, *urls: str, ens: bool = False) -> AsyncIterator[EvmReader]:
    async with open_pool(net.slug, urls) as pool:
        yield EvmReader(net, pool, [EnsNames(net, pool)] if ens else [])


@asynccontextmanager
async def naming(net: Network, *urls: str) -> AsyncIterator[EnsNames]:
    async with open_pool(net.slug, urls) as pool:
        yield EnsNames(net, pool)


@asynccontextmanager
async def changed(node_url: str, change: Change) -> AsyncIterator[BadEndpoint]:
    """The node, with each reply changed by ``change(call, reply)`` on its way out."""

    async def act(exchange: Exchange) -> None:
        await exchange.reply_edited(change)

    async with BadEndpoint(Fault("changed", act, frozenset()), node_url) as endpoint:
        yield endpoint


def _unchanged(call: dict[str, Any], reply: dict[str, Any]) -> dict[str, Any]:
    return reply


@asynccontextmanager
async def arbitrum_like(node_url: str, change: Change = _unchanged) -> AsyncIterator[BadEndpoint]:
    """The node, but to code that a call brings the block's number is the chain's id.

    On Arbitrum it is the parent chain's; see :func:`with_foreign_block_number`.
    """
    foreign = with_foreign_block_number(bytes.fromhex(PROGRAM)).hex()

    async def act(exchange: Exchange) -> None:
        document = json.loads(json.dumps(exchange.document).replace(PROGRAM, foreign))
        await exchange.reply_edited(change, document)

    async with BadEndpoint(Fault("arbitrum", act, frozenset()), node_url) as endpoint:
        yield endpoint


@asynccontextmanager
async def singles_only(node_url: str) -> AsyncIterator[BadEndpoint]:
    """The node, but batches are refused."""

    async def act(exchange: Exchange) -> None:
        if exchange.is_batch:
            error = {"code": -32600, "message": "batch requests are not supported"}
            await exchange.reply_json({"jsonrpc": "2.0", "id": None, "error": error})
        else:
            await exchange.reply(await exchange.good())

    async with BadEndpoint(Fault("singles_only", act, frozenset()), node_url) as endpoint:
        yield endpoint


def assets_of(net: Network, members: Iterable[Member], *, decimals: bool = True) -> list[Asset]:
    """The members as listed tokens, or as tokens that nobody listed."""
    return [
        token(net, member.address, member.name.upper(), 18)
        if decimals
        else token(net, member.address, None, None, name=None, trust="unknown")  # type: ignore[arg-type]
        for member in members
    ]


def outcomes_of(answer: Reading) -> dict[str | None, Any]:
    """Raw amounts and failure codes by contract; ``None`` is the native coin."""
    known: dict[str | None, Any] = {b.asset.contract_address: b.raw_amount for b in answer.balances}
    return known | {failure.asset.contract_address: failure.code for failure in answer.failures}


def assert_zoo_is_right(zoo: Zoo, answer: Reading) -> None:
    """Every member has one of its right outcomes, the native coin too."""
    outcomes = outcomes_of(answer)
    wrong = {
        member.name: outcomes[member.address]
        for member in zoo.members.values()
        if outcomes[member.address] not in member.accepts
    }
    assert not wrong
    assert outcomes[None] == 0
    assert answer.asked == len(answer.balances) + len(answer.failures) == 1 + len(zoo.members)


def assert_matrix_is_right(zoo: Zoo, matrix: Matrix) -> None:
    """As :func:`assert_zoo_is_right`, for the zoo's owner in the first row."""
    reasons = {column: reason for row, column, reason in matrix.failures if row == 0}
    for column, member in enumerate(zoo.members.values()):
        value = matrix.rows[0][1 + column]
        outcome: Any = reasons[column].partition(":")[0] if value is None else value
        assert outcome in member.accepts, (member.name, value, reasons.get(column))


def block_of(client: NodeClient, number: int | str) -> dict[str, Any]:
    tag = number if isinstance(number, str) else hex(number)
    header: dict[str, Any] = client.call("eth_getBlockByNumber", tag, False)
    return header


def head_of(client: NodeClient) -> int:
    return int(client.call("eth_blockNumber"), 16)


def mint(client: NodeClient, member: Member, owner: str, amount: int) -> None:
    transact(client, [Transaction(member.address, call_data("mint(address,uint256)", owner, amount))])


def is_call(call: dict[str, Any], selector: str) -> bool:
    """Whether it is an ``eth_call`` of that function."""
    return call["method"] == "eth_call" and json.dumps(call["params"][0]).find(f'"0x{selector}') > 0
