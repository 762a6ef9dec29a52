"""Where a wallet's positions on Solana come from, beside its token accounts."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from balance_tracker.core.errors import UpstreamError
from balance_tracker.core.ids import Address, shorten
from balance_tracker.core.portfolio import FailureCode, Reading
from balance_tracker.core.positions import Position, ProtocolFailure
from balance_tracker.telemetry.logging import get_logger
from balance_tracker.transport.pool import Pool

SOURCES_AT_ONCE = 4

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Sourced:
    """The positions that a source found, and how many requests that took."""

    positions: Sequence[Position]
    requests: int = 0


class PositionSource(Protocol):
    """One protocol on Solana; ``slug`` is its name in ``protocols=``."""

    slug: str

    async def positions(self, pool: Pool, owner: Address, reading: Reading, deadline: float) -> Sourced:
        """What the protocol holds for an owner.

        Args:
            pool: The endpoints; what one refuses (``getProgramAccounts``) another may give.
            owner: Whose positions.
            reading: Their balances; an answer from before its slot (``block.number``) is no answer.
            deadline: The loop's time by which it answers.

        Raises:
            UpstreamError: No endpoint told.
        """


async def with_positions(
    readings: Sequence[tuple[Address, Reading]],
    sources: Sequence[PositionSource],
    pool: Pool,
    deadline: float,
) -> list[Reading]:
    """The readings with what the sources found; a source that fails is told as failed, for that owner."""
    free = asyncio.Semaphore(SOURCES_AT_ONCE)

    async def ask(source: PositionSource, owner: Address, reading: Reading) -> Sourced | ProtocolFailure:
        async with free:
            return await _asked(source, pool, owner, reading, deadline)

    async with asyncio.TaskGroup() as group:
        tasks = [
            [group.create_task(ask(source, owner, reading)) for source in sources]
            for owner, reading in readings
        ]
    slugs = tuple(sorted(source.slug for source in sources))
    return [
        _joined(reading, slugs, [task.result() for task in own])
        for (_, reading), own in zip(readings, tasks, strict=True)
    ]


async def _asked(
    source: PositionSource, pool: Pool, owner: Address, reading: Reading, deadline: float
) -> Sourced | ProtocolFailure:
    try:
        async with asyncio.timeout_at(deadline):
            return await source.positions(pool, owner, reading, deadline)
    except UpstreamError as error:
        code = error.code if error.code in set(FailureCode) else FailureCode.ENDPOINT_FAILED
        return ProtocolFailure(source.slug, None, str(code), error.message)
    except TimeoutError:
        return ProtocolFailure(source.slug, None, FailureCode.TIMED_OUT, "not answered in time")
    except Exception as error:  # noqa: BLE001 - the edge of one source: the others go on
        _log.exception(
            "position_source_broke",
            protocol=source.slug,
            owner=shorten(owner),
            exc_info=error,
        )
        return ProtocolFailure(source.slug, None, "internal_error", "what was answered was not understood")


def _joined(
    reading: Reading, slugs: tuple[str, ...], results: Sequence[Sourced | ProtocolFailure]
) -> Reading:
    found = [result for result in results if isinstance(result, Sourced)]
    return replace(
        reading,
        requests=reading.requests + sum(one.requests for one in found),
        positions=tuple(position for one in found for position in one.positions),
        protocols_asked=slugs,
        protocol_failures=tuple(result for result in results if isinstance(result, ProtocolFailure)),
    )
