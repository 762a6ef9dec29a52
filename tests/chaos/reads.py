"""Reads every two seconds, each noted with what it cost, and what must be true of all of them."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from tests.chaos.chains import OWNER, Balances
from tests.chaos.virtual_time import virtual_loop
from tests.chaos.world import HEALTHY, Site
from tests.fakes.bad_endpoint import Fault

from balance_tracker.core.blocks import BlockRef
from balance_tracker.core.errors import UpstreamError
from balance_tracker.evm.reader import EvmReader
from balance_tracker.transport.pool import STALE_BEHIND_BLOCKS, attempt_seconds, open_pool

DEADLINE_SECONDS = 15.0
"""As ``TRACKER_DEADLINE_SECONDS`` is unless set."""
GRACE_SECONDS = 0.1
"""What an error at the deadline may be late by, on a loaded machine."""
EVERY_SECONDS = 2.0
MOST_REQUESTS_PER_ANSWER = 1.3
MOST_REQUESTS_FOR_NOTHING = 2
"""To an endpoint that did not give the answer."""
MOST_REQUESTS_FOR_THE_ANSWER = 8
"""To one that did, and has limits: batches of three and little gas for a call are the narrowest here."""


@dataclass(frozen=True, slots=True)
class Told:
    """What one read said: ``balances`` by contract (``None``: the native coin), and who told."""

    block: BlockRef
    balances: Balances
    requests: int
    endpoint: str


type Ask = Callable[[], Awaitable[Told | UpstreamError]]


@dataclass(frozen=True, slots=True)
class Read:
    """One read as it was seen from outside.

    Attributes:
        at: The loop's time when it began.
        seconds: How long it took.
        head: The chain's head when it began.
        asked: The requests that came in at each endpoint, by its fault at that time.
    """

    at: float
    seconds: float
    head: int
    told: Told | UpstreamError
    asked: Sequence[Counter[str]]

    @property
    def requests(self) -> int:
        """How many came in at all endpoints together."""
        return sum(counts.total() for counts in self.asked)


@asynccontextmanager
async def reader_of(site: Site) -> AsyncIterator[EvmReader]:
    """The real reader over the real pool, in the loop's time."""
    loop = virtual_loop()
    attempt = attempt_seconds(site.urls, DEADLINE_SECONDS)
    async with open_pool(
        site.chain.network.slug, site.urls, attempt_seconds=attempt, clock=loop.time, now=loop.wall_time
    ) as pool:
        yield EvmReader(site.chain.network, pool)


def asking(reader: EvmReader, site: Site) -> Ask:
    """One read of all tokens at the latest block."""

    async def ask() -> Told | UpstreamError:
        deadline = virtual_loop().time() + DEADLINE_SECONDS
        try:
            answer = await reader.read(OWNER, site.chain.assets, None, deadline)
        except UpstreamError as error:
            return error
        amounts: Balances = {held.asset.contract_address: held.raw_amount for held in answer.balances}
        return Told(answer.block, amounts, answer.requests, answer.endpoint)

    return ask


async def read_once(site: Site, ask: Ask) -> Read:
    """Ask, and note what it took."""
    loop = virtual_loop()
    head, before, started = site.chain.head(), site.asked(), loop.time()
    told = await ask()
    seconds = loop.time() - started
    asked = [after - earlier for after, earlier in zip(site.asked(), before, strict=True)]
    return Read(started, seconds, head, told, asked)


async def read_for(seconds: float, site: Site, ask: Ask) -> list[Read]:
    """A read every two seconds for so long."""
    loop = virtual_loop()
    until = loop.time() + seconds
    reads = []
    while (begun := loop.time()) < until:
        reads.append(await read_once(site, ask))
        await asyncio.sleep(max(0.0, begun + EVERY_SECONDS - loop.time()))
    return reads


def befall(site: Site, last: Read, fault: Fault) -> None:
    """The endpoint that gave the last answer has this fault now, and it alone."""
    assert isinstance(last.told, Told), last
    for endpoint in site.endpoints:
        endpoint.trouble = fault if endpoint.name == last.told.endpoint else None


def assert_right(site: Site, read: Read) -> None:
    """Complete, true at the block that it names, and fresh."""
    assert isinstance(read.told, Told), (site.chain.network.slug, read)
    block = read.told.block
    assert block.number >= read.head - STALE_BEHIND_BLOCKS, read
    assert read.told.balances == site.chain.truth(block.number), read
    assert block.hash == site.chain.hash_of(block.number), read


def assert_bounded(site: Site, read: Read) -> None:
    """In time, and few requests to each endpoint."""
    answered = isinstance(read.told, Told)
    assert read.seconds <= DEADLINE_SECONDS + (0 if answered else GRACE_SECONDS), read
    for endpoint, counts in zip(site.endpoints, read.asked, strict=True):
        told = isinstance(read.told, Told) and read.told.endpoint == endpoint.name
        most = MOST_REQUESTS_FOR_THE_ANSWER if told else MOST_REQUESTS_FOR_NOTHING
        assert counts.total() <= most, (counts, read)


def requests_per_answer(reads: Sequence[Read]) -> float:
    """The mean over reads that were answered and those that were not."""
    return sum(read.requests for read in reads) / sum(isinstance(read.told, Told) for read in reads)


def costs(reads: Sequence[Read]) -> Counter[str]:
    """Requests beyond the one that each read needs, by the fault that they met."""
    met: Counter[str] = Counter()
    for read in reads:
        for counts in read.asked:
            met.update(counts)
    met[HEALTHY] -= len(reads)
    return +met
