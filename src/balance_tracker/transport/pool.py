"""All endpoints of one network: which is asked first, and who is asked when it fails.

An operation runs on one endpoint at a time, best health first. When that fails or
takes long, the next one starts; the first to answer ends the others. Each endpoint
is tried once in a read, so a bad minute costs no storm of requests.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

from balance_tracker.core.errors import InputError, UpstreamError
from balance_tracker.ports import EndpointHealth
from balance_tracker.telemetry.logging import get_logger
from balance_tracker.telemetry.redact import protect, redact_text
from balance_tracker.transport.endpoint import USUAL_LATENCY_SECONDS, Endpoint, Spending, ask_in_parts
from balance_tracker.transport.http import HttpClient
from balance_tracker.transport.jsonrpc import RpcCall, RpcReply

STALE_BEHIND_BLOCKS = 5
FIRST_HEDGE_SECONDS = 1.5
SHORTEST_HEDGE_SECONDS = 0.25

_LONGEST_ATTEMPT_SECONDS = 6.0
_ABOUT_THE_QUESTION = frozenset({"block_missing", "history_unavailable"})
"""What a healthy endpoint says to a question about a block that it does not have."""

_log = get_logger(__name__)


class Session:
    """One endpoint during one read."""

    def __init__(self, endpoint: Endpoint, spending: Spending) -> None:
        self.endpoint = endpoint
        self._spending = spending

    @property
    def name(self) -> str:
        """The endpoint's host, without any key."""
        return self.endpoint.name

    @property
    def requests(self) -> int:
        """Requests that this read has cost so far, over all endpoints."""
        return self._spending.requests

    async def ask(self, calls: Sequence[RpcCall]) -> list[RpcReply]:
        """Ask in one request (a batch), or in as few as the endpoint takes.

        Returns:
            A result or an :class:`RpcError` for each call, in order.

        Raises:
            UpstreamError: The endpoint failed as a whole; ``code`` says how.
        """
        return await ask_in_parts(self.endpoint, calls, self._spending)


class Pool:
    """The endpoints of one network, ordered by health."""

    def __init__(
        self, network: str, endpoints: Sequence[Endpoint], stale_behind: int = STALE_BEHIND_BLOCKS
    ) -> None:
        self.network = network
        self.stale_behind = stale_behind
        self._endpoints = tuple(endpoints)
        self.best_head = 0
        self.floor = 0

    async def run[T](
        self, operation: Callable[[Session], Awaitable[T]], deadline: float, *, without: str | None = None
    ) -> T:
        """Run an operation on the best endpoint that completes it.

        Args:
            operation: Reads through one session; an :class:`UpstreamError` moves on to the next endpoint.
            deadline: The loop's time (seconds) after which no answer is waited for.
            without: The name of an endpoint that is not to be asked.

        Raises:
            UpstreamError: Every endpoint failed; the most telling error, or ``timed_out``.
            InputError: Raised by the operation: no endpoint could do better.
        """
        race = _Race(self, operation, deadline)
        try:
            return await race.result(without)
        except UpstreamError as error:
            error.requests = race.requests
            raise

    async def probe(self, operation: Callable[[Session], Awaitable[object]], deadline: float) -> None:
        """Run an operation on every endpoint at once, to learn how each fares."""

        async def one(endpoint: Endpoint) -> None:
            try:
                async with asyncio.timeout_at(deadline):
                    await operation(Session(endpoint, Spending()))
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

    def ordered(self) -> list[Endpoint]:
        """Endpoints by health: healthy ones by latency, unknown ones by their place, resting ones last."""
        places = {id(endpoint): place for place, endpoint in enumerate(self._endpoints)}

        def rank(endpoint: Endpoint) -> tuple[float, bool, float, int]:
            standing = endpoint.standing
            behind = standing.head is not None and standing.head < self.best_head - self.stale_behind
            latency = USUAL_LATENCY_SECONDS if standing.latency_seconds is None else standing.latency_seconds
            return (
                endpoint.resting_seconds,
                behind or standing.failures_in_a_row > 0,
                latency,
                places[id(endpoint)],
            )

        return sorted(self._endpoints, key=rank)

    def candidates(self) -> list[Endpoint]:
        """Those to ask now: all that do not rest, then those that do, the most rested first.

        An endpoint that asked for a pause itself (``Retry-After``) is never tried before its time.
        """
        ordered = self.ordered()
        awake = [endpoint for endpoint in ordered if not endpoint.resting_seconds]
        resting = [e for e in ordered if e.resting_seconds and not e.standing.must_rest]
        # Resting ones stay behind the healthy as a last resort: each read tries an endpoint once at most.
        return awake + resting

    def saw_head(self, endpoint: Endpoint, number: int) -> None:
        """Note the head that an endpoint showed.

        Raises:
            UpstreamError: ``stale_head``: it is too far behind the best head seen.
        """
        endpoint.standing.head = number
        self.best_head = max(self.best_head, number)
        if number < self.best_head - self.stale_behind:
            behind = self.best_head - number
            raise UpstreamError(
                f"The endpoint is {behind} blocks behind the best head seen.", code="stale_head"
            )


class _Race[T]:
    """One operation over the endpoints of a pool."""

    def __init__(self, pool: Pool, operation: Callable[[Session], Awaitable[T]], deadline: float) -> None:
        self._pool = pool
        self._operation = operation
        self._deadline = deadline
        self._spending = Spending()
        self._errors: list[UpstreamError] = []
        self._running: dict[asyncio.Task[T], tuple[Endpoint, int]] = {}

    @property
    def requests(self) -> int:
        """Requests spent so far, over all endpoints."""
        return self._spending.requests

    async def result(self, without: str | None) -> T:
        """The first answer, or the error that tells most."""
        waiting = [endpoint for endpoint in self._pool.candidates() if endpoint.name != without]
        if not waiting:
            raise self._all_resting()
        try:
            while waiting or self._running:
                if waiting:
                    self._start(waiting.pop(0))
                done = await self._wait(hedge=bool(waiting))
                for task in done:
                    endpoint, failures = self._running.pop(task)
                    answer = self._judge(task, endpoint, failures)
                    if answer is not None:
                        return answer[0]
        finally:
            await self._cancel()
        raise self._worst()

    def _start(self, endpoint: Endpoint) -> None:
        session = Session(endpoint, self._spending)

        async def run() -> T:
            return await self._operation(session)

        self._running[asyncio.create_task(run())] = (endpoint, endpoint.standing.failures)

    async def _wait(self, hedge: bool) -> set[asyncio.Task[T]]:
        left = self._deadline - asyncio.get_running_loop().time()
        if left <= 0:
            raise self._out_of_time()
        timeout = min(left, self._hedge_seconds()) if hedge else left
        done, _ = await asyncio.wait(self._running, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        if not done and not hedge:
            raise self._out_of_time()
        return done

    def _hedge_seconds(self) -> float:
        """How long to wait before the next endpoint starts: four times what this one usually takes."""
        left = self._deadline - asyncio.get_running_loop().time()
        usual = [
            e.standing.latency_seconds
            for e, _ in self._running.values()
            if e.standing.latency_seconds is not None
        ]
        wait = max(4 * max(usual), SHORTEST_HEDGE_SECONDS) if usual else FIRST_HEDGE_SECONDS
        return min(wait, FIRST_HEDGE_SECONDS, max(left / 6, 0.05))

    def _judge(self, task: asyncio.Task[T], endpoint: Endpoint, failures: int) -> tuple[T] | None:
        error = task.exception()
        if error is None:
            # An operation may have counted a failure of its own and gone on with what it had.
            if endpoint.standing.failures == failures:
                endpoint.succeeded()
            return (task.result(),)
        if isinstance(error, InputError):
            raise error
        if not isinstance(error, UpstreamError):
            raise error
        self._errors.append(error)
        if error.code in _ABOUT_THE_QUESTION:
            return None
        endpoint.failed(error)
        _log.warning(
            "endpoint_failed",
            network=self._pool.network,
            endpoint=endpoint.name,
            code=error.code,
            detail=redact_text(error.message),
        )
        return None

    async def _cancel(self) -> None:
        """End the losers; one that was slow to answer is known as slow from now on."""
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    def _out_of_time(self) -> UpstreamError:
        error = UpstreamError("No endpoint answered in time.", code="timed_out")
        for endpoint, _ in self._running.values():
            endpoint.failed(error)
        return self._errors[-1] if self._errors and not self._running else error

    def _worst(self) -> UpstreamError:
        """The most telling error: what lasts before what passes."""
        lasting = [error for error in self._errors if not error.retryable]
        return (lasting or self._errors)[-1]

    def _all_resting(self) -> UpstreamError:
        wait = min((e.resting_seconds for e in self._pool.ordered()), default=0.0)
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


@asynccontextmanager
async def open_pool(
    network: str, urls: Sequence[str], *, http: HttpClient | None = None, attempt_seconds: float = 6.0
) -> AsyncIterator[Pool]:
    """Endpoints of one network, closed again at the end; ``http`` may be shared by many pools."""
    if http is None:
        async with (
            HttpClient() as own,
            open_pool(network, urls, http=own, attempt_seconds=attempt_seconds) as pool,
        ):
            yield pool
        return
    protect(urls)
    endpoints = [Endpoint(network, url, http, attempt_seconds) for url in dict.fromkeys(urls)]
    try:
        yield Pool(network, endpoints)
    finally:
        await asyncio.gather(*(endpoint.close() for endpoint in endpoints), return_exceptions=True)
