"""All endpoints of one network: which is asked first, and who is asked when it fails.

Endpoints are ordered by health: those that answer, the quickest first; then those that have rested
and are due for a trial; then those that rest. One read in ten at most goes to a trial first, and two
reads in ten at most start a second endpoint beside a slow one, so a bad minute costs no storm.
"""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from balance_tracker.core.errors import UpstreamError
from balance_tracker.ports import EndpointHealth
from balance_tracker.telemetry.endpoint_gauges import EndpointSample
from balance_tracker.telemetry.metrics import METRICS
from balance_tracker.telemetry.redact import protect, redact_url
from balance_tracker.transport.batches import Spending
from balance_tracker.transport.breaker import BreakerState
from balance_tracker.transport.budget import Budget
from balance_tracker.transport.endpoint import Endpoint
from balance_tracker.transport.heads import Heads
from balance_tracker.transport.http import HttpClient
from balance_tracker.transport.memory import Memories
from balance_tracker.transport.race import SHARE_FOR_A_PAUSE, Race
from balance_tracker.transport.session import Session

__all__ = ["STALE_BEHIND_BLOCKS", "Pool", "Session", "attempt_seconds", "open_pool"]

STALE_BEHIND_BLOCKS = 5
TRIALS_PER_READ = 0.1
HEDGES_PER_READ = 0.2
MOST_HEDGES = 10.0

_LONGEST_ATTEMPT_SECONDS = 6.0


class Pool:
    """The endpoints of one network, ordered by health.

    Args:
        network: The network's slug.
        endpoints: In the order in which unknown ones are tried.
        stale_behind: An endpoint more blocks than this behind the best head is not "latest".
        clock: A time in seconds that never goes back, as the endpoints' own.
        now: The wall clock (seconds since 1970), which heads are compared with.
    """

    def __init__(
        self,
        network: str,
        endpoints: Sequence[Endpoint],
        stale_behind: int = STALE_BEHIND_BLOCKS,
        *,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.network = network
        self._endpoints = tuple(endpoints)
        self._heads = Heads(self._endpoints, stale_behind, clock, now)
        self._trials = Budget(TRIALS_PER_READ, most=1.0, at_first=1.0)
        self._hedges = Budget(HEDGES_PER_READ, MOST_HEDGES, MOST_HEDGES)

    @property
    def stale_behind(self) -> int:
        """Blocks that an endpoint may be behind the best head and still be asked for the latest."""
        return self._heads.stale_behind

    @property
    def best_head(self) -> int:
        """The highest head seen that is believed; 0 when none was."""
        return self._heads.best

    @property
    def floor(self) -> int:
        """The block answered last as the latest: none before it is answered as that again."""
        return self._heads.least

    @floor.setter
    def floor(self, number: int) -> None:
        """Raise it, unless the head of that block is in doubt."""
        self._heads.answered(number)

    async def run[T](
        self,
        operation: Callable[[Session], Awaitable[T]],
        deadline: float,
        *,
        without: Endpoint | str | None = None,
        block: int | None = None,
        size: int | None = None,
    ) -> T:
        """Run an operation on the best endpoint that completes it.

        Args:
            operation: Reads through one session; an :class:`UpstreamError` moves on to the next endpoint.
            deadline: The loop's time (seconds) after which no answer is waited for.
            without: An endpoint that is not to be asked, or its name.
            block: The block that is read, if it is a certain one: who is known to lack it is not asked.
            size: How many things are asked, where a read's requests depend on nothing else: then those
                that lately needed fewer of them come first.

        Raises:
            UpstreamError: Every endpoint failed; the most telling error, or ``timed_out``.
            InputError: Raised by the operation: no endpoint could do better.
        """
        self._trials.earn()
        self._hedges.earn()
        endpoints = self._askable(deadline, without, block, size)
        race = Race(self.network, operation, deadline, self._hedges, size)
        try:
            answer, endpoint = await race.result(endpoints)
        except UpstreamError as error:
            error.requests = race.requests
            if block is None and error.code == "stale_head":
                self._heads.missed()
            raise
        finally:
            depth = self._depth(block)
            if depth is not None:
                for refusing in race.without_history:
                    refusing.refused_state(depth)
        depth = self._depth(block)
        if depth is not None:
            endpoint.served_state(depth)
        return answer

    async def probe(self, operation: Callable[[Session], Awaitable[object]], deadline: float) -> None:
        """Run an operation on every endpoint at once, to learn how each fares."""

        async def one(endpoint: Endpoint) -> None:
            try:
                async with asyncio.timeout_at(deadline):
                    await operation(Session(endpoint, Spending(), deadline=deadline))
            except UpstreamError as error:
                endpoint.failed(error)
            except TimeoutError:
                endpoint.failed(UpstreamError("The endpoint did not answer in time.", code="timed_out"))
            else:
                endpoint.succeeded()

        await asyncio.gather(*(one(endpoint) for endpoint in self._endpoints))

    def health(self) -> Sequence[EndpointHealth]:
        """What is known of each endpoint, best first."""
        return [endpoint.health() for endpoint in self.ordered()]

    def samples(self) -> list[EndpointSample]:
        """Each endpoint at this moment, for metrics."""
        return [
            EndpointSample(
                self.network,
                endpoint.name,
                endpoint.state,
                endpoint.standing.head,
                endpoint.latency.median,
                endpoint.latency.p95,
                endpoint.bucket.rate,
            )
            for endpoint in self._endpoints
        ]

    def ordered(self, size: int | None = None) -> list[Endpoint]:
        """Endpoints by health: those that answer by their times, those due for a trial, resting ones."""
        if len(self._endpoints) == 1:
            return list(self._endpoints)
        places = {id(endpoint): place for place, endpoint in enumerate(self._endpoints)}

        def rank(endpoint: Endpoint) -> tuple[float, bool, bool, float, int]:
            return (
                endpoint.resting_seconds,
                endpoint.breaker.failures_in_a_row > 0,
                endpoint.standing.behind > self.stale_behind,
                endpoint.expected_seconds + (0.0 if size is None else endpoint.costs.extra_seconds(size)),
                places[id(endpoint)],
            )

        return sorted(self._endpoints, key=rank)

    def candidates(self, pause_seconds: float = 0.0, size: int | None = None) -> list[Endpoint]:
        """Those to ask now, the best first; resting ones stay behind the healthy as a last resort.

        An endpoint that asked for a pause itself (``Retry-After``) is never asked before its time:
        it is one of these only if the pause ends within ``pause_seconds``.
        """
        groups: dict[BreakerState, list[Endpoint]] = {"closed": [], "half_open": [], "open": []}
        for endpoint in self.ordered(size):
            pause = endpoint.bucket.paused_seconds
            if pause <= pause_seconds:
                groups["open" if pause else endpoint.breaker.state].append(endpoint)
        closed, due, resting = groups["closed"], groups["half_open"], groups["open"]
        free = [e for e in due if not e.breaker.trial]
        if free and closed and self._trials.spend():
            # This read tries it out; the healthy ones stand by, and all other reads go to them.
            return [free[0], *closed, *(e for e in due if e is not free[0]), *resting]
        return [*closed, *due, *resting]

    def saw_head(self, endpoint: Endpoint, number: int, timestamp: int | None = None) -> None:
        """Note the head that an endpoint showed, and whether it can be believed.

        Args:
            endpoint: Who showed it.
            number: The block's number (slot).
            timestamp: The block's time, Unix seconds.

        Raises:
            UpstreamError: ``stale_head``: it is too far behind the best head seen; ``bad_response``:
                it is too far ahead of what the other endpoints show, so it is not believed.
        """
        self._heads.saw(endpoint, number, timestamp)

    def _askable(
        self, deadline: float, without: Endpoint | str | None, block: int | None, size: int | None
    ) -> list[Endpoint]:
        """The candidates of one read.

        Raises:
            UpstreamError: There is none: all want a pause, or none has the block's state.
        """
        left = deadline - asyncio.get_running_loop().time()
        found = [
            endpoint
            for endpoint in self.candidates(max(0.0, left * SHARE_FOR_A_PAUSE), size)
            if endpoint is not without and endpoint.name != without
        ]
        if not found:
            raise self._all_resting()
        if block is None:
            return found
        depth = self._depth(block)
        able = [endpoint for endpoint in found if depth is None or not endpoint.lacks_history(depth)]
        if not able:
            raise UpstreamError(
                "No endpoint has the state of that block any more.",
                code="history_unavailable",
                retryable=False,
            )
        return [endpoint for endpoint in able if not endpoint.is_before(block)] or able

    def _depth(self, block: int | None) -> int | None:
        """How many blocks before the best head; ``None`` while no head is known, or for no certain block."""
        if block is None or not self.best_head:
            return None
        return max(0, self.best_head - block)

    def _all_resting(self) -> UpstreamError:
        wait = min((e.resting_seconds for e in self._endpoints), default=0.0)
        return UpstreamError(
            f"Every endpoint asked us to wait; the next one can be asked in {wait:.0f} s.",
            code="rate_limited",
            retry_after_seconds=wait,
        )


def attempt_seconds(urls: Sequence[str], deadline_seconds: float) -> float:
    """How long one request may take: all the time there is where there is nobody else to ask."""
    if len(urls) == 1:
        return deadline_seconds
    return min(_LONGEST_ATTEMPT_SECONDS, deadline_seconds * 0.4)


def endpoint_names(urls: Sequence[str]) -> list[str]:
    """What endpoints are called: their hosts, numbered where one host has several.

    >>> endpoint_names(["https://a.example/key1", "https://a.example/key2", "https://b.example"])
    ['a.example', 'a.example (2)', 'b.example']
    """
    seen: Counter[str] = Counter()
    names = []
    for url in urls:
        host = redact_url(url)
        seen[host] += 1
        names.append(host if seen[host] == 1 else f"{host} ({seen[host]})")
    return names


@asynccontextmanager
async def open_pool(
    network: str,
    urls: Sequence[str],
    *,
    http: HttpClient | None = None,
    attempt_seconds: float = 6.0,
    memories: Memories | None = None,
    stale_behind: int = STALE_BEHIND_BLOCKS,
    clock: Callable[[], float] = time.monotonic,
    now: Callable[[], float] = time.time,
) -> AsyncIterator[Pool]:
    """Endpoints of one network, closed again at the end.

    Args:
        network: The network's slug.
        urls: Where the endpoints are; the same one twice is one.
        http: The client, which may be shared by many pools; one of its own if not given.
        attempt_seconds: How long one request may take.
        memories: Where what they have shown is kept; in this process only if not given.
        stale_behind: See :class:`Pool`.
        clock: See :class:`Pool`.
        now: See :class:`Pool`.
    """
    async with AsyncExitStack() as stack:
        if http is None:
            http = await stack.enter_async_context(HttpClient())
        protect(urls)
        different = list(dict.fromkeys(urls))
        endpoints = [
            Endpoint(
                network,
                url,
                http,
                attempt_seconds,
                name=name,
                memory=None if memories is None else memories.of(network, url),
                clock=clock,
            )
            for url, name in zip(different, endpoint_names(different), strict=True)
        ]
        stack.push_async_callback(_close, endpoints)
        pool = Pool(network, endpoints, stale_behind, clock=clock, now=now)
        stack.enter_context(METRICS.endpoints.watching(pool.samples))
        yield pool


async def _close(endpoints: Sequence[Endpoint]) -> None:
    await asyncio.gather(*(endpoint.close() for endpoint in endpoints), return_exceptions=True)
