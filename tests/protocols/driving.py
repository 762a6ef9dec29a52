"""Runs one tour by itself, round by round on a node: what the driver does for all tours at once."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from balance_tracker.core.ids import Address
from balance_tracker.core.networks import Network
from balance_tracker.evm.calls import CallReader
from balance_tracker.evm.outcomes import Outcome
from balance_tracker.evm.question import Question
from balance_tracker.evm.reader import chain_facts
from balance_tracker.evm.tours import MOST_ROUNDS, Guide
from balance_tracker.transport.pool import open_pool


@dataclass(frozen=True, slots=True)
class Driven[T]:
    """What a tour found, at which block, in how many rounds and requests; the calls of each round."""

    found: T
    block: int
    rounds: int
    requests: int
    calls: tuple[int, ...]


class Driver:
    """Drives tours on one network; its rounds are all of one block."""

    def __init__(self, calls: CallReader, *, seconds: float = 20.0) -> None:
        self._calls = calls
        self._seconds = seconds

    async def drive[T](self, guide: Guide[T], owner: Address, block: int | None = None) -> Driven[T]:
        """Lead one tour to its end; what it raises is raised."""
        tour = guide.start(owner)
        asked: list[int] = []
        requests = 0
        outcomes: Sequence[Outcome] | None = None
        while True:
            try:
                calls = list(next(tour) if outcomes is None else tour.send(outcomes))
            except StopIteration as end:
                return Driven(end.value, block or 0, len(asked), requests, tuple(asked))
            asked.append(len(calls))
            assert len(asked) <= MOST_ROUNDS, "the tour has too many rounds"
            deadline = asyncio.get_running_loop().time() + self._seconds
            answer = await self._calls.read(Question(calls=calls), block, deadline)
            block = answer.block.number
            requests += answer.requests
            outcomes = answer.outcomes


@asynccontextmanager
async def driver(network: Network, url: str) -> AsyncIterator[Driver]:
    """A driver on the node at a URL."""
    async with open_pool(network.slug, [url]) as pool:
        yield Driver(CallReader(pool, chain_facts(network)))
