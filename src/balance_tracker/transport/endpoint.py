"""One endpoint: how it is asked, what it has shown it can do, and how it fares."""

import asyncio
import math
import random
import time
from collections.abc import Callable, Sequence

from balance_tracker.core.errors import UpstreamError
from balance_tracker.ports import EndpointHealth, EndpointState
from balance_tracker.telemetry.metrics import METRICS
from balance_tracker.telemetry.redact import redact_url
from balance_tracker.transport import jsonrpc
from balance_tracker.transport.breaker import Breaker
from balance_tracker.transport.bucket import Bucket
from balance_tracker.transport.costs import Costs
from balance_tracker.transport.http import HttpClient, HttpReply
from balance_tracker.transport.jsonrpc import BatchRefusedError, Meaning, RpcCall, RpcError, RpcReply
from balance_tracker.transport.latency import Latency
from balance_tracker.transport.memory import (
    BATCH_LIMIT,
    BODY_BYTES,
    DAY_SECONDS,
    EVERY_NODE_KEEPS_BLOCKS,
    HISTORY_REFUSED,
    MOST_CALLS,
    LearnedView,
    Memory,
)
from balance_tracker.transport.standing import Progress, Standing
from balance_tracker.transport.websocket import WsChannel

USUAL_LATENCY_SECONDS = 0.5
"""What is expected of an endpoint that was not asked yet."""
DEFAULT_BATCH_LIMIT = 100

HISTORY = "history_blocks"
LACKS = "lacks."

_HOUR_SECONDS = 3_600.0
_REFUSED_SECONDS = 600.0
_SMALLEST_BODY = 1_024
"""An endpoint that finds this too large is broken rather than narrow."""
_HEAD_IS_NOW_SECONDS = 3.0


class BusyError(UpstreamError):
    """The endpoint's turn for us comes too late; it was not asked, and that is no fault of it."""

    code = "rate_limited"


class Endpoint:
    """One URL of a network.

    Args:
        network: The slug of its network.
        url: Where it is; never shown.
        http: The client that it is asked through.
        attempt_seconds: How long one request may take.
        name: What it is called; the URL's host and port if not given.
        memory: What is known of it; an empty one in this process if not given.
        clock: A time in seconds that never goes back.
        chance: A number from 0 to 1, for the spread of rests.

    Attributes:
        chain_verified: Whether it has shown that it serves the right chain.
        memory: What it has shown (``batch_limit``, ``body_bytes``), each with an expiry.
        requests: How many were sent to it.
    """

    def __init__(
        self,
        network: str,
        url: str,
        http: HttpClient,
        attempt_seconds: float,
        *,
        name: str = "",
        memory: Memory | None = None,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.network = network
        self.url = url
        self.http = http
        self.attempt_seconds = attempt_seconds
        self.name = name or redact_url(url)
        self.clock = clock
        self.memory = Memory(clock) if memory is None else memory
        self.standing = Standing()
        self.latency = Latency(clock)
        self.costs = Costs(clock)
        self.breaker = Breaker(clock, chance)
        self.bucket = Bucket(self.memory, clock)
        self.chain_verified = False
        self.requests = 0
        self._socket = WsChannel(url, http) if url.startswith(("ws://", "wss://")) else None

    async def close(self) -> None:
        """Close what is its own (a WebSocket)."""
        if self._socket is not None:
            await self._socket.close()

    # What it has shown.

    @property
    def learned(self) -> LearnedView:
        """What it has shown, as texts by name."""
        return LearnedView(self.memory)

    @property
    def batch_limit(self) -> int:
        """Calls it takes in one batch; 1 where it refuses batches."""
        return min(max(1, self.memory.number(BATCH_LIMIT) or DEFAULT_BATCH_LIMIT), MOST_CALLS)

    @batch_limit.setter
    def batch_limit(self, limit: int) -> None:
        """Learn how many calls it takes in one batch."""
        self.memory.put_limit(BATCH_LIMIT, limit, DAY_SECONDS)

    @property
    def body_bytes(self) -> int | None:
        """The largest body that is worth sending; ``None`` when none was refused."""
        return self.memory.number(BODY_BYTES)

    def served_state(self, depth: int) -> None:
        """It gave state from so many blocks before the best head."""
        if depth > max(EVERY_NODE_KEEPS_BLOCKS, self.memory.number(HISTORY) or 0):
            self.memory.put(HISTORY, depth, DAY_SECONDS)
        refused = self.memory.number(HISTORY_REFUSED)
        if refused is not None and refused <= depth:
            self.memory.forget(HISTORY_REFUSED)

    def refused_state(self, depth: int) -> None:
        """It no longer has state from so many blocks before the best head.

        What any full node keeps is learnt from no refusal: that was a bad minute.
        """
        if depth < EVERY_NODE_KEEPS_BLOCKS:
            return
        known = self.memory.number(HISTORY_REFUSED)
        self.memory.put(HISTORY_REFUSED, min(depth, depth if known is None else known), _REFUSED_SECONDS)
        served = self.memory.number(HISTORY)
        if served is not None and served >= depth:
            self.memory.forget(HISTORY)

    def lacks_history(self, depth: int) -> bool:
        """Whether it is known to have no state from so many blocks back."""
        refused = self.memory.number(HISTORY_REFUSED)
        return refused is not None and depth >= refused

    def is_before(self, block: int) -> bool:
        """Whether its head was just seen before a block."""
        seen = self.standing.head_seen
        return (
            seen is not None and seen.number < block and self.clock() - seen.seen_at <= _HEAD_IS_NOW_SECONDS
        )

    # How it is asked.

    async def send(
        self,
        calls: Sequence[RpcCall],
        longest_wait: float = math.inf,
        progress: Progress | None = None,
        sending: Callable[[], None] | None = None,
    ) -> list[RpcReply]:
        """Ask ``calls`` in one request; see :meth:`Session.ask` for what it raises.

        Args:
            calls: What to ask.
            longest_wait: Seconds that it may wait for its turn, where the endpoint limits us.
            progress: Told of the request and of its answer.
            sending: Called when the request goes out.
        """
        first_id = jsonrpc.new_ids()
        body = jsonrpc.encode(calls, first_id)
        progress = progress or Progress()
        progress.body_bytes = len(body)
        await self._turn(longest_wait, progress)
        if sending is not None:
            sending()
        started = self.clock()
        try:
            reply = await self._exchange(body, first_id)
            replies = self._read(reply, len(calls), first_id)
        except UpstreamError as error:
            self._observe(error.code, started, len(calls))
            self._learn_from(error, started, len(body))
            raise
        except asyncio.CancelledError:
            self._observe("abandoned", started, len(calls))
            raise
        progress.moved_at = asyncio.get_running_loop().time()
        progress.answers += 1
        self._observe("ok", started, len(calls))
        self.latency.took(self.clock() - started, len(body))
        self._learn_from_replies(calls, replies, started)
        return replies

    async def _turn(self, longest_wait: float, progress: Progress) -> None:
        wait = self.bucket.take(longest_wait)
        if wait is None:
            raise BusyError(
                "The endpoint limits our requests, and our turn comes too late.",
                retry_after_seconds=self.bucket.wait_seconds,
            )
        progress.moved_at = asyncio.get_running_loop().time() + wait
        if wait > 0:
            METRICS.observe_rate_wait(self.network, self.name, wait)
            await asyncio.sleep(wait)

    async def _exchange(self, body: bytes, first_id: int) -> HttpReply:
        self.requests += 1
        if self._socket is not None:
            return await self._socket.exchange(body, first_id, self.attempt_seconds)
        return await self.http.post(self.url, body, timeout_seconds=self.attempt_seconds)

    def _read(self, reply: HttpReply, count: int, first_id: int) -> list[RpcReply]:
        """A reply by its status first: some send a good JSON-RPC body with HTTP 400 or 500."""
        if reply.status == 200:
            return jsonrpc.decode(reply.body, count, first_id)
        if reply.status == 429:
            raise jsonrpc.rate_limited("HTTP status 429", reply.retry_after_seconds)
        if reply.status == 413:
            raise UpstreamError("The endpoint takes no body of this size.", code="too_large")
        if reply.status in (401, 403):
            raise UpstreamError(
                f"The endpoint refused us with HTTP status {reply.status}.",
                code="unauthorized",
                retryable=False,
                retry_after_seconds=reply.retry_after_seconds,
            )
        if reply.status in (400, 500) and reply.body[:1] in (b"{", b"["):
            return jsonrpc.decode(reply.body, count, first_id)
        if count > 1 and reply.status in (400, 405, 415, 422, 501):
            raise BatchRefusedError(f"The endpoint refused a batch with HTTP status {reply.status}.")
        raise UpstreamError(
            f"The endpoint answered with HTTP status {reply.status}.",
            code="bad_response",
            retry_after_seconds=reply.retry_after_seconds,
        )

    def _observe(self, outcome: str, started: float, calls: int) -> None:
        METRICS.observe_rpc(self.network, self.name, outcome, self.clock() - started, calls)

    def _learn_from(self, error: UpstreamError, started: float, body_bytes: int) -> None:
        if error.code == "rate_limited":
            self.bucket.refused(started)
        if error.code == "too_large" and body_bytes > _SMALLEST_BODY:
            known = self.body_bytes
            half = max(body_bytes // 2, _SMALLEST_BODY)
            self.memory.put_limit(BODY_BYTES, half if known is None else min(half, known), _HOUR_SECONDS)

    def _learn_from_replies(
        self, calls: Sequence[RpcCall], replies: Sequence[RpcReply], started: float
    ) -> None:
        limited = False
        for call, reply in zip(calls, replies, strict=True):
            if isinstance(reply, RpcError):
                if reply.code == -32601:
                    self.memory.put(LACKS + call.method, "yes", _HOUR_SECONDS)
                limited = limited or jsonrpc.meaning(reply) is Meaning.RATE_LIMITED
        if limited:
            self.bucket.refused(started)
        else:
            self.bucket.went_well()

    # How it fares.

    def succeeded(self) -> None:
        """A read got what it wanted."""
        self.standing.succeeded()
        self.breaker.succeed()

    def failed(self, error: UpstreamError, started_at: float | None = None) -> None:
        """A read did not; the endpoint rests, and is left alone as long as it asks itself.

        Args:
            error: Why.
            started_at: When that read came to this endpoint, by its clock; see :meth:`Breaker.fail`.
        """
        self.standing.failed(error)
        if error.retry_after_seconds is None:
            self.breaker.fail(error.code, started_at)
            return
        # It says itself when it wants to be asked again, whatever is wrong with it.
        self.breaker.fail("rate_limited", started_at)
        self.bucket.pause(error.retry_after_seconds)

    def overtaken(self, started_at: float) -> None:
        """Another endpoint, asked later, answered first: it rests as if it had failed."""
        self.failed(UpstreamError("Another endpoint answered first.", code="overtaken"), started_at)

    def forgive(self, code: str) -> None:
        """Take back a failure that turned out to be another endpoint's fault."""
        if self.standing.last_error_code == code:
            self.standing.last_error = self.standing.last_error_code = None
            self.breaker.succeed()

    @property
    def resting_seconds(self) -> float:
        """How long it still rests, or has asked to be left alone; 0.0 if it does not."""
        return max(self.breaker.rest_seconds, self.bucket.paused_seconds)

    @property
    def expected_seconds(self) -> float:
        """What a read here is expected to take: its time, the wait for a turn, and its latest failures."""
        median = self.latency.median
        usual = USUAL_LATENCY_SECONDS if median is None else median
        return usual * (1 + 4 * self.standing.trouble) + self.bucket.wait_seconds

    def health(self) -> EndpointHealth:
        """What is known of it, for people."""
        standing = self.standing
        resting = self.resting_seconds
        seen = standing.head_seen
        return EndpointHealth(
            name=self.name,
            state=self.state,
            latency_ms=_milliseconds(self.latency.median),
            head=standing.head,
            successes=standing.successes,
            failures=standing.failures,
            last_error=standing.last_error,
            retry_in_seconds=round(resting) if resting else None,
            learned=self.memory.shown(),
            p95_latency_ms=_milliseconds(self.latency.p95),
            requests=self.requests,
            errors=dict(sorted(standing.errors.items())),
            head_age_seconds=None if seen is None else round(self.clock() - seen.seen_at),
            blocks_behind=None if seen is None else standing.behind,
        )

    @property
    def state(self) -> EndpointState:
        """In one word, how it is."""
        if self.breaker.failures_in_a_row:
            if self.standing.last_error_code == "wrong_chain":
                return "wrong_chain"
            return "stale" if self.standing.last_error_code == "stale_head" else "resting"
        return "healthy" if self.standing.successes else "unknown"


def _milliseconds(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * 1000)
