"""Sources of positions on Solana: asked beside the balances in one request, each failing alone."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest
from tests.fakes.readers import SOLANA_ALICE
from tests.fakes.solana_endpoint import EditedEndpoint
from tests.solana.conftest import SOLANA

from balance_tracker.core.blocks import BlockRef
from balance_tracker.core.errors import UpstreamError
from balance_tracker.core.ids import Address
from balance_tracker.core.portfolio import Reading
from balance_tracker.core.positions import Position, PositionKind, ProtocolFailure
from balance_tracker.demo.solana_bank import SolanaBank
from balance_tracker.solana.programs import SYSTEM_PROGRAM
from balance_tracker.solana.sources import Found, Told, with_positions
from balance_tracker.transport.jsonrpc import RpcCall, RpcError
from balance_tracker.transport.pool import open_pool

ALICE = Address(SOLANA_ALICE)
BOB = Address("4Nd1mBQtrMJVYVfKf2PJy9NZUZdTAsp7D4xWLs4gDB4T")
READING = Reading(BlockRef(7, None, 1_790_000_000), (), (), "node.example", 2, asked=1)


@dataclass
class Source:
    """Has one position for everybody, or fails; implements ``PositionSource``."""

    slug: str
    error: Exception | None = None
    failures: Sequence[ProtocolFailure] = ()
    accounts: Sequence[str] = (SYSTEM_PROGRAM,)

    def calls(self, owner: Address, options: Mapping[str, Any]) -> Sequence[RpcCall]:
        return [RpcCall("getBalance", [owner, dict(options)])]

    def positions(self, told: Told) -> Found:
        if self.error is not None:
            raise self.error
        [balance] = told.replies
        if isinstance(balance, RpcError):
            raise UpstreamError("it did not say", code="method_unsupported", retryable=False)
        assert set(told.accounts) == {SYSTEM_PROGRAM}
        one = Position(self.slug, SOLANA.slug, "m", str(balance["value"]), PositionKind.STAKING, told.owner)
        return Found([one], self.failures)


@pytest.fixture
async def bank() -> AsyncIterator[SolanaBank]:
    async with SolanaBank() as bank:
        yield bank


async def asked(*sources: Source, urls: Sequence[str], seconds: float = 2.0) -> list[Reading]:
    async with open_pool("solana", urls) as pool:
        deadline = asyncio.get_running_loop().time() + seconds
        return await with_positions(SOLANA, [(ALICE, READING), (BOB, READING)], sources, pool, deadline)


async def test_every_owner_is_told_their_own_positions_in_one_request(bank: SolanaBank) -> None:
    first, second = await asked(Source("native_stake"), Source("marinade"), urls=[bank.url])
    assert [(one.protocol, one.owner) for one in first.positions] == [
        ("native_stake", ALICE),
        ("marinade", ALICE),
    ]
    assert {one.owner for one in second.positions} == {BOB}
    assert first.protocols_asked == ("marinade", "native_stake")
    assert (first.requests, replace(first, requests=2).block) == (3, READING.block)
    assert bank.requests == 2


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UpstreamError("refused"), "endpoint_failed"),
        (UpstreamError("late", code="timed_out"), "timed_out"),
        (UpstreamError("odd", code="bad_response"), "endpoint_failed"),
        (KeyError("stake"), "internal_error"),
    ],
)
async def test_a_source_that_fails_is_declared_and_spares_the_others(
    bank: SolanaBank, error: Exception, code: str
) -> None:
    first, _ = await asked(Source("native_stake", error=error), Source("marinade"), urls=[bank.url])
    assert [(one.protocol, one.code) for one in first.protocol_failures] == [("native_stake", code)]
    assert [one.protocol for one in first.positions] == ["marinade"]


async def test_what_a_source_could_not_tell_in_full_is_told_beside_what_it_could(bank: SolanaBank) -> None:
    failed = ProtocolFailure("marinade", "one ticket", "malformed", "it makes no sense")
    first, _ = await asked(Source("marinade", failures=[failed]), urls=[bank.url])
    assert ([one.protocol for one in first.positions], first.protocol_failures) == (["marinade"], (failed,))


async def test_what_one_endpoint_does_not_tell_another_is_asked_and_only_that(bank: SolanaBank) -> None:
    def edit(request: dict[str, Any], reply: dict[str, Any]) -> dict[str, Any]:
        if request["method"] != "getBalance" or request["params"][0] != ALICE:
            return reply
        return {"jsonrpc": "2.0", "id": reply["id"], "error": {"code": -32601, "message": "not here"}}

    async with EditedEndpoint(bank, edit) as refusing:
        first, second = await asked(Source("native_stake"), urls=[refusing.url, bank.url])
        alone, _ = await asked(Source("native_stake"), urls=[refusing.url])
    assert (len(first.positions), len(second.positions)) == (1, 1)
    assert [one.code for one in alone.protocol_failures] == ["endpoint_failed"]


async def test_no_endpoint_leaves_every_source_failed() -> None:
    first, _ = await asked(Source("native_stake"), Source("marinade"), urls=["http://127.0.0.1:9"])
    assert [one.protocol for one in first.protocol_failures] == ["native_stake", "marinade"]
    assert first.positions == ()


async def test_a_deadline_that_is_over_is_declared(bank: SolanaBank) -> None:
    first, _ = await asked(Source("native_stake"), urls=[bank.url], seconds=-1)
    assert [one.code for one in first.protocol_failures] == ["timed_out"]


async def test_an_endpoint_that_tells_too_few_accounts_is_not_believed(bank: SolanaBank) -> None:
    def edit(request: dict[str, Any], reply: dict[str, Any]) -> dict[str, Any]:
        if request["method"] == "getMultipleAccounts":
            reply["result"]["value"].pop()
        return reply

    async with EditedEndpoint(bank, edit) as liar:
        first, _ = await asked(Source("native_stake"), urls=[liar.url])
    assert [one.reason for one in first.protocol_failures] == ["The endpoint answered 1 accounts."]
