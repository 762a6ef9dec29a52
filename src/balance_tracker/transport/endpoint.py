"""One endpoint: how it is asked, what it has shown it can do, and how it fares."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from balance_tracker.core.errors import UpstreamError
from balance_tracker.ports import EndpointHealth, EndpointState
from balance_tracker.telemetry.metrics import METRICS
from balance_tracker.telemetry.redact import redact_text, redact_url
from balance_tracker.transport import jsonrpc
from balance_tracker.transport.http import HttpClient, HttpReply
from balance_tracker.transport.jsonrpc import BatchRefusedError, RpcCall, RpcReply
from balance_tracker.transport.websocket import WsChannel

FIRST_REST_SECONDS = 1.0
LONGEST_REST_SECONDS = 60.0
USUAL_LATENCY_SECONDS = 0.5
"""What is expected of an endpoint that was not asked yet."""
DEFAULT_BATCH_LIMIT = 100
_SMALLEST_SPLIT = 3
"""A batch this small is too large because of one of its calls, not of their number."""
SINGLES_AT_ONCE = 8
"""How many single requests are under way where batches are refused."""


@dataclass
class Standing:
    """How an endpoint fares; times are seconds of the monotonic clock."""

    successes: int = 0
    failures: int = 0
    failures_in_a_row: int = 0
    latency_seconds: float | None = None
    rests_until: float = 0.0
    must_rest: bool = False
    last_error: str | None = None
    last_error_code: str | None = None
    head: int | None = None


@dataclass
class Endpoint:
    """One URL of a network.

    Attributes:
        name: Host and port, all that is ever shown of the URL.
        chain_verified: Whether it has shown that it serves the right chain.
        batch_limit: Calls it takes in one batch; 1 where it refuses batches.
        learned: What it has shown, for people (``batch_limit``, ``multicall3``).
    """

    network: str
    url: str
    http: HttpClient
    attempt_seconds: float
    name: str = ""
    chain_verified: bool = False
    batch_limit: int = DEFAULT_BATCH_LIMIT
    learned: dict[str, str] = field(default_factory=dict)
    standing: Standing = field(default_factory=Standing)
    requests: int = 0
    _socket: WsChannel | None = None

    def __post_init__(self) -> None:
        self.name = redact_url(self.url)
        if self.url.startswith(("ws://", "wss://")):
            self._socket = WsChannel(self.url, self.http)

    async def close(self) -> None:
        """Close what is its own (a WebSocket)."""
        if self._socket is not None:
            await self._socket.close()

    async def send(self, calls: Sequence[RpcCall]) -> list[RpcReply]:
        """Ask ``calls`` in one request; see :meth:`Session.ask` for what it raises."""
        started = time.monotonic()
        try:
            reply = await self._exchange(jsonrpc.encode(calls))
            replies = self._read(reply, len(calls))
        except UpstreamError as error:
            self._observe(error.code, started, len(calls))
            raise
        except asyncio.CancelledError:
            self._took_at_least(time.monotonic() - started)
            raise
        self._observe("ok", started, len(calls))
        self._answered(time.monotonic() - started)
        return replies

    async def _exchange(self, body: bytes) -> HttpReply:
        self.requests += 1
        if self._socket is not None:
            return await self._socket.exchange(body, self.attempt_seconds)
        return await self.http.post(self.url, body, timeout_seconds=self.attempt_seconds)

    def _read(self, reply: HttpReply, count: int) -> list[RpcReply]:
        """A reply by its status first: some send a good JSON-RPC body with HTTP 400 or 500."""
        if reply.status == 200:
            return jsonrpc.decode(reply.body, count)
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
            return jsonrpc.decode(reply.body, count)
        if count > 1 and reply.status in (400, 405, 415, 422, 501):
            raise BatchRefusedError(f"The endpoint refused a batch with HTTP status {reply.status}.")
        raise UpstreamError(
            f"The endpoint answered with HTTP status {reply.status}.",
            code="bad_response",
            retry_after_seconds=reply.retry_after_seconds,
        )

    def _observe(self, outcome: str, started: float, calls: int) -> None:
        METRICS.observe_rpc(self.network, self.name, outcome, time.monotonic() - started, calls)

    def _answered(self, seconds: float) -> None:
        known = self.standing.latency_seconds
        self.standing.latency_seconds = seconds if known is None else 0.7 * known + 0.3 * seconds

    def _took_at_least(self, seconds: float) -> None:
        """Nobody waits for its answer any longer; if it was slow until then, it is slow."""
        known = self.standing.latency_seconds
        if seconds > (USUAL_LATENCY_SECONDS if known is None else known):
            self.standing.latency_seconds = seconds

    def succeeded(self) -> None:
        """A read got what it wanted."""
        standing = self.standing
        standing.successes += 1
        standing.failures_in_a_row = 0
        standing.rests_until = 0.0
        standing.must_rest = False

    def failed(self, error: UpstreamError) -> None:
        """A read did not; the endpoint rests, twice as long each time, as long as it asks itself."""
        standing = self.standing
        standing.failures += 1
        standing.failures_in_a_row += 1
        standing.last_error = redact_text(error.message)
        standing.last_error_code = error.code
        rest = min(FIRST_REST_SECONDS * 2 ** (standing.failures_in_a_row - 1), LONGEST_REST_SECONDS)
        standing.must_rest = error.retry_after_seconds is not None
        if error.retry_after_seconds is not None:
            rest = max(rest, error.retry_after_seconds)
        standing.rests_until = time.monotonic() + rest

    @property
    def resting_seconds(self) -> float:
        """How long it still rests; 0.0 if it does not."""
        return max(0.0, self.standing.rests_until - time.monotonic())

    def health(self) -> EndpointHealth:
        """What is known of it, for people."""
        standing = self.standing
        latency = standing.latency_seconds
        resting = self.resting_seconds
        return EndpointHealth(
            name=self.name,
            state=self._state(),
            latency_ms=None if latency is None else round(latency * 1000),
            head=standing.head,
            successes=standing.successes,
            failures=standing.failures,
            last_error=standing.last_error,
            retry_in_seconds=round(resting) if resting else None,
            learned=dict(self.learned),
        )

    def _state(self) -> EndpointState:
        standing = self.standing
        if standing.failures_in_a_row:
            if standing.last_error_code == "wrong_chain":
                return "wrong_chain"
            return "stale" if standing.last_error_code == "stale_head" else "resting"
        return "healthy" if standing.successes else "unknown"


async def ask_in_parts(endpoint: Endpoint, calls: Sequence[RpcCall], spend: "Spending") -> list[RpcReply]:
    """Ask ``calls`` in as few requests as the endpoint takes, learning its limit on the way.

    A refused batch is asked again by halves of ten, then singly: geth allows 1,000
    items, public gateways 100, 10 or 3, some none.
    """
    replies: list[RpcReply] = []
    position = 0
    while position < len(calls):
        if endpoint.batch_limit == 1 and len(calls) > 1:
            return replies + await _ask_singly(endpoint, calls[position:], spend)
        part = calls[position : position + endpoint.batch_limit]
        spend.one()
        try:
            replies += await endpoint.send(part)
            position += len(part)
        except UpstreamError as error:
            too_large = error.code == "too_large" and len(part) > _SMALLEST_SPLIT
            if not too_large and (len(part) == 1 or not isinstance(error, BatchRefusedError)):
                raise
            _learn_batch_limit(endpoint, len(part))
    return replies


def _learn_batch_limit(endpoint: Endpoint, refused: int) -> None:
    endpoint.batch_limit = next((limit for limit in (30, 10, 3) if limit < refused), 1)
    endpoint.learned["batch_limit"] = str(endpoint.batch_limit)


async def _ask_singly(endpoint: Endpoint, calls: Sequence[RpcCall], spend: "Spending") -> list[RpcReply]:
    gate = asyncio.Semaphore(SINGLES_AT_ONCE)
    broken: list[UpstreamError] = []

    async def one(call: RpcCall) -> RpcReply:
        async with gate:
            if broken:
                return jsonrpc.RpcError(None, broken[0].message)
            spend.one()
            try:
                return (await endpoint.send([call]))[0]
            except UpstreamError as error:
                # The first fault ends the rest: an endpoint that limits us is not asked on.
                broken.append(error)
                return jsonrpc.RpcError(None, error.message)

    replies = await asyncio.gather(*(one(call) for call in calls))
    if broken and all(isinstance(reply, jsonrpc.RpcError) for reply in replies):
        raise broken[0]
    return list(replies)


@dataclass
class Spending:
    """Counts the requests of one read, over all endpoints that it asked."""

    requests: int = 0

    def one(self) -> None:
        """Count one request."""
        self.requests += 1
