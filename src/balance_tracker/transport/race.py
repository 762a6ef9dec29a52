"""One operation over the endpoints of a pool: the best first, the next when that fails or stalls.

What a read may cost is bounded. Each endpoint is tried once; one that asked for a short pause may be
tried a second time when nobody else is left and the pause ends in time. So a bad minute costs at
most two requests per read and endpoint.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from balance_tracker.core.errors import InputError, UpstreamError
from balance_tracker.telemetry.logging import get_logger
from balance_tracker.telemetry.metrics import METRICS
from balance_tracker.telemetry.redact import redact_text
from balance_tracker.transport.batches import Spending
from balance_tracker.transport.budget import Budget
from balance_tracker.transport.endpoint import BusyError, Endpoint
from balance_tracker.transport.session import Session

FIRST_HEDGE_SECONDS = 1.5
"""How long an endpoint that is not known yet is waited for before the next one starts too."""
SHORTEST_HEDGE_SECONDS = 0.25
FIRST_TRIAL_SECONDS = 0.5
LONGEST_TRIAL_SECONDS = 1.0
"""An endpoint on trial has to show that it is well again, while a healthy one stands by."""

_SHARE_FIRST = 1 / 6
_SHARE_KNOWN = 1 / 3
_PATIENCE_UNDER_WAY = 3
SHARE_FOR_A_PAUSE = 0.5
"""The share of the time left that a pause which an endpoint asked for may take."""
_ABOUT_THE_QUESTION = frozenset({"block_missing", "history_unavailable"})
"""What a healthy endpoint says to a question about a block that it does not have."""

_log = get_logger(__name__)


@dataclass(slots=True)
class _Runner:
    """One endpoint at work on the operation."""

    session: Session
    started_at: float
    failures: int
    trial: bool
    stalled: bool = False

    @property
    def endpoint(self) -> Endpoint:
        return self.session.endpoint


class Race[T]:
    """One operation and the endpoints that may run it.

    Args:
        network: For the log.
        operation: Reads through one session.
        deadline: The loop's time after which no answer is waited for.
        size: How much is asked, see :meth:`Pool.run`.
        hedges: What starting an endpoint beside a slow one is paid from.
    """

    def __init__(
        self,
        network: str,
        operation: Callable[[Session], Awaitable[T]],
        deadline: float,
        hedges: Budget,
        size: int | None = None,
    ) -> None:
        self._network = network
        self._operation = operation
        self._deadline = deadline
        self._hedges = hedges
        self._size = size
        self._spending = Spending()
        self._errors: list[tuple[Endpoint, UpstreamError]] = []
        self._running: dict[asyncio.Task[T], _Runner] = {}
        self._asked_again: list[Endpoint] = []

    @property
    def requests(self) -> int:
        """Requests spent so far, over all endpoints."""
        return self._spending.requests

    @property
    def without_history(self) -> list[Endpoint]:
        """Those that said that they no longer have the block's state."""
        return [endpoint for endpoint, error in self._errors if error.code == "history_unavailable"]

    async def result(self, endpoints: Sequence[Endpoint]) -> tuple[T, Endpoint]:
        """The first answer and who gave it, or the error that tells most."""
        waiting = list(endpoints)
        try:
            while waiting or self._running or self._may_ask_again(waiting):
                if waiting:
                    self._start(waiting.pop(0), alone=not waiting and not self._running)
                for task in await self._wait(hedge=bool(waiting)):
                    runner = self._running.pop(task)
                    answer = self._judge(task, runner)
                    if answer is not None:
                        self._note_the_overtaken()
                        return answer[0], runner.endpoint
        finally:
            await self._cancel()
        raise self._worst()

    def _start(self, endpoint: Endpoint, *, alone: bool) -> None:
        session = Session(endpoint, self._spending, deadline=self._deadline, alone=alone)

        async def run() -> T:
            return await self._operation(session)

        trial = endpoint.breaker.try_out()
        runner = _Runner(session, endpoint.clock(), endpoint.standing.failures, trial)
        self._running[asyncio.create_task(run())] = runner

    async def _wait(self, hedge: bool) -> set[asyncio.Task[T]]:
        """Those that ended; none, when the next endpoint is to start beside those that run."""
        while True:
            left = self._deadline - self._time()
            if left <= 0:
                raise self._out_of_time()
            timeout = min(left, max(self._stalls_in(left), 0.0)) if hedge else left
            done, _ = await asyncio.wait(self._running, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
            if done:
                return done
            if not hedge:
                raise self._out_of_time()
            if self._stalls_in(self._deadline - self._time()) <= 0:
                self._hedge()
                return done

    def _hedge(self) -> None:
        self._hedges.spend()
        for runner in self._running.values():
            runner.stalled = True
            METRICS.observe_hedge(self._network, runner.endpoint.name)

    def _stalls_in(self, left: float) -> float:
        """Seconds until none of those that run has got on for as long as it rarely needs."""
        runners = self._running.values()
        return (
            max(one.session.progress.moved_at + self._patience(one, left) for one in runners) - self._time()
        )

    def _patience(self, runner: _Runner, left: float) -> float:
        """How long one request is waited for: the endpoint's own 95th percentile, within bounds."""
        if not self._hedges.has_one():
            return max(left * _SHARE_KNOWN, SHORTEST_HEDGE_SECONDS)
        if runner.trial:
            usual = runner.endpoint.latency.median or FIRST_TRIAL_SECONDS
            return min(max(usual, SHORTEST_HEDGE_SECONDS), LONGEST_TRIAL_SECONDS)
        rarely = runner.endpoint.latency.expected_at_most(runner.session.progress.body_bytes)
        if rarely is None:
            return min(FIRST_HEDGE_SECONDS, max(left * _SHARE_FIRST, 0.05))
        if runner.session.progress.answers:
            # Of many requests some take longer, and the next endpoint would have to begin at the first.
            rarely *= _PATIENCE_UNDER_WAY
        return min(max(rarely, SHORTEST_HEDGE_SECONDS), max(left * _SHARE_KNOWN, 0.05))

    def _judge(self, task: asyncio.Task[T], runner: _Runner) -> tuple[T] | None:
        """The answer, if it is one; an error that another endpoint may do better is noted."""
        endpoint = runner.endpoint
        error = task.exception()
        if error is None:
            # An operation may have counted a failure of its own and gone on with what it had.
            if endpoint.standing.failures == runner.failures:
                endpoint.succeeded()
            if self._size is not None:
                endpoint.costs.took(runner.session.progress.answers, self._size)
            return (task.result(),)
        if isinstance(error, InputError) or not isinstance(error, UpstreamError):
            raise error
        self._errors.append((endpoint, error))
        if error.code in _ABOUT_THE_QUESTION or isinstance(error, BusyError):
            self._let_go(runner)
            return None
        endpoint.failed(error, runner.started_at)
        _log.warning(
            "endpoint_failed",
            network=self._network,
            endpoint=endpoint.name,
            code=error.code,
            detail=redact_text(error.message),
        )
        return None

    def _may_ask_again(self, waiting: list[Endpoint]) -> bool:
        """Whether one that limits us, and nobody else is left, takes us once more in time."""
        again = [
            endpoint
            for endpoint, error in self._errors
            if error.code == "rate_limited" and not isinstance(error, BusyError)
        ]
        left = self._deadline - self._time()
        for endpoint in sorted(again, key=lambda limited: limited.bucket.wait_seconds):
            if endpoint in self._asked_again:
                continue
            if endpoint.bucket.wait_seconds <= left * SHARE_FOR_A_PAUSE:
                self._asked_again.append(endpoint)
                waiting.append(endpoint)
                return True
        return False

    def _note_the_overtaken(self) -> None:
        """Who stalled and was answered for by a later one is left alone for a while."""
        for runner in self._running.values():
            if runner.stalled:
                runner.endpoint.overtaken(runner.started_at)

    def _let_go(self, runner: _Runner) -> None:
        if runner.trial:
            runner.endpoint.breaker.abandon()

    async def _cancel(self) -> None:
        """End the losers."""
        for task, runner in self._running.items():
            task.cancel()
            self._let_go(runner)
        await asyncio.gather(*self._running, return_exceptions=True)

    def _out_of_time(self) -> UpstreamError:
        error = UpstreamError("No endpoint answered in time.", code="timed_out")
        for runner in self._running.values():
            runner.endpoint.failed(error, runner.started_at)
        return self._errors[-1][1] if self._errors and not self._running else error

    def _worst(self) -> UpstreamError:
        """The most telling error: what lasts before what passes."""
        errors = [error for _, error in self._errors]
        lasting = [error for error in errors if not error.retryable]
        return (lasting or errors)[-1]

    @staticmethod
    def _time() -> float:
        return asyncio.get_running_loop().time()
