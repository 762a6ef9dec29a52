"""Sources of positions on Solana: asked beside the balances, each failing alone."""

import asyncio
from dataclasses import dataclass, field, replace

import pytest
from tests.fakes.readers import SOLANA, SOLANA_ALICE

from balance_tracker.core.blocks import BlockRef
from balance_tracker.core.errors import UpstreamError
from balance_tracker.core.ids import Address
from balance_tracker.core.portfolio import Reading
from balance_tracker.core.positions import Position, PositionKind
from balance_tracker.solana.sources import Sourced, with_positions
from balance_tracker.transport.pool import Pool, open_pool

ALICE = Address(SOLANA_ALICE)
BOB = Address("4Nd1mBQtrMJVYVfKf2PJy9NZUZdTAsp7D4xWLs4gDB4T")
READING = Reading(BlockRef(7, None, 1_790_000_000), (), (), "node.example", 2, asked=1)


@dataclass
class Source:
    """Has one position for everybody, or fails; implements ``PositionSource``."""

    slug: str
    error: Exception | None = None
    delay_seconds: float = 0.0
    asked: list[Address] = field(default_factory=list)

    async def positions(self, pool: Pool, owner: Address, reading: Reading, deadline: float) -> Sourced:
        self.asked.append(owner)
        await asyncio.sleep(self.delay_seconds)
        if self.error is not None:
            raise self.error
        one = Position(self.slug, SOLANA.slug, "m", str(reading.block.number), PositionKind.STAKING, owner)
        return Sourced([one], requests=3)


async def asked(*sources: Source, seconds: float = 2.0) -> list[Reading]:
    async with open_pool("solana", ["http://127.0.0.1:9"]) as pool:
        deadline = asyncio.get_running_loop().time() + seconds
        return await with_positions([(ALICE, READING), (BOB, READING)], sources, pool, deadline)


async def test_every_owner_is_told_their_own_positions_and_what_they_cost() -> None:
    first, second = await asked(Source("native_stake"), Source("marinade"))
    assert [(one.protocol, one.owner) for one in first.positions] == [
        ("native_stake", ALICE),
        ("marinade", ALICE),
    ]
    assert {one.owner for one in second.positions} == {BOB}
    assert first.protocols_asked == ("marinade", "native_stake")
    assert (first.requests, replace(first, requests=2).block) == (8, READING.block)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UpstreamError("refused"), "endpoint_failed"),
        (UpstreamError("late", code="timed_out"), "timed_out"),
        (UpstreamError("odd", code="bad_response"), "endpoint_failed"),
        (KeyError("stake"), "internal_error"),
    ],
)
async def test_a_source_that_fails_is_declared_and_spares_the_others(error: Exception, code: str) -> None:
    first, _ = await asked(Source("native_stake", error=error), Source("marinade"))
    assert [(one.protocol, one.code) for one in first.protocol_failures] == [("native_stake", code)]
    assert [one.protocol for one in first.positions] == ["marinade"]


async def test_a_source_that_takes_too_long_is_declared() -> None:
    first, _ = await asked(Source("native_stake", delay_seconds=5), seconds=0.05)
    assert [one.code for one in first.protocol_failures] == ["timed_out"]
