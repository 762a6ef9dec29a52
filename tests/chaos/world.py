"""The endpoints of the networks, some of them bad at any time, and a chain that moves on."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

from tests.chaos.chains import Chain
from tests.chaos.virtual_time import virtual_loop
from tests.fakes.bad_endpoint import HOST, BadEndpoint, Exchange, Fault
from tests.fakes.faults import FAULTS

BLOCK_SECONDS = 12.0
ROTATION_SECONDS = 20.0
HEALTHY = "healthy"

HEAVY = {"endless_headers", "endless_body", "gzip_bomb"}
"""They send until they are stopped, which takes real seconds; ``tests/faults`` has them."""
NOBODY_THERE = {"refused"}
CHAOS = [fault for name, fault in FAULTS.items() if name not in HEAVY | NOBODY_THERE]
"""What befalls endpoints here: limits that come and go as well as plain faults."""


class ChaosEndpoint(BadEndpoint):
    """A good endpoint some way off, until it is given a fault.

    Attributes:
        trouble: What it does wrong now.
        asked_while: How many requests came in, by the name of the fault at that moment.
    """

    def __init__(self, node_url: str, other_node_url: str, latency_seconds: float, dice: random.Random):
        super().__init__(Fault("chaos", self._act, frozenset()), node_url, other_node_url)
        self.trouble: Fault | None = None
        self.asked_while: Counter[str] = Counter()
        self._latency_seconds = latency_seconds
        self._dice = dice

    @property
    def name(self) -> str:
        """What the pool calls it."""
        return f"{HOST}:{self.port}"

    async def ask_behind(self, body: bytes, *, other: bool = False) -> bytes:
        with virtual_loop().real_work():
            return await super().ask_behind(body, other=other)

    async def _act(self, exchange: Exchange) -> None:
        trouble = self.trouble
        self.asked_while[trouble.name if trouble else HEALTHY] += 1
        await asyncio.sleep(self._latency_seconds * self._dice.uniform(0.8, 1.5))
        if trouble is None:
            await exchange.reply(await exchange.good())
        else:
            await trouble.act(exchange)


@dataclass(slots=True)
class Site:
    """One network and its endpoints."""

    chain: Chain
    endpoints: Sequence[ChaosEndpoint]
    dice: random.Random
    _deck: list[Fault] = field(default_factory=list)

    @property
    def urls(self) -> list[str]:
        """Where its endpoints are."""
        return [endpoint.url for endpoint in self.endpoints]

    def asked(self) -> list[Counter[str]]:
        """What each endpoint was asked so far, by its fault at that time."""
        return [Counter(endpoint.asked_while) for endpoint in self.endpoints]

    def trouble(self, fault: Fault | None) -> None:
        """Give every endpoint the same fault, or none."""
        for endpoint in self.endpoints:
            endpoint.trouble = fault

    def rotate(self, faults: Sequence[Fault], share: float) -> None:
        """Other endpoints are bad now, each in the next way of a shuffled deck of all faults."""
        self.trouble(None)
        for endpoint in self.dice.sample(self.endpoints, round(share * len(self.endpoints))):
            if not self._deck:
                self._deck = self.dice.sample(faults, len(faults))
            endpoint.trouble = self._deck.pop()

    async def keep_rotating(self, faults: Sequence[Fault], share: float) -> None:
        """Rotate every so often, until cancelled."""
        while True:
            self.rotate(faults, share)
            await asyncio.sleep(ROTATION_SECONDS * self.dice.uniform(0.7, 1.3))

    async def keep_moving(self) -> None:
        """The chain goes on, until cancelled."""
        while True:
            await asyncio.sleep(BLOCK_SECONDS * self.dice.uniform(0.5, 1.5))
            self.chain.move()


@asynccontextmanager
async def sites(chains: Sequence[Chain], counts: Sequence[int], seed: int) -> AsyncIterator[list[Site]]:
    """So many endpoints before each chain, 30 to 200 ms away."""
    dice = random.Random(seed)
    async with AsyncExitStack() as stack:
        opened = []
        for place, (chain, count) in enumerate(zip(chains, counts, strict=True)):
            chain.move()
            other = chains[(place + 1) % len(chains)].node.url
            endpoints = []
            for _ in range(count):
                endpoint = ChaosEndpoint(chain.node.url, other, dice.uniform(0.03, 0.2), dice)
                endpoints.append(await stack.enter_async_context(endpoint))
            opened.append(Site(chain, endpoints, random.Random(seed + place)))
        yield opened


@asynccontextmanager
async def going_on(*works: "asyncio.Task[None]") -> AsyncIterator[None]:
    """Tasks that go on for the length of a block; one that broke breaks the test."""
    try:
        yield
    finally:
        for work in works:
            work.cancel()
        ended = await asyncio.gather(*works, return_exceptions=True)
        broken = [error for error in ended if isinstance(error, Exception)]
        assert not broken, broken
