"""A web API that answers GET with JSON: asked within its rate, bounded, and left alone while it is down.

The bucket and the breaker are those of endpoints. A limit a minute is stated by the API's papers or
shown by it: when it refuses a request, as many a minute are sent as it answered in the last one.
Keys go in headers and stand in no message.
"""

import asyncio
import json
import math
import random
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

from balance_tracker.core.errors import UpstreamError
from balance_tracker.ports import EndpointHealth
from balance_tracker.telemetry.logging import get_logger
from balance_tracker.telemetry.redact import HIDDEN, protect, protect_keys, redact_text, redact_url
from balance_tracker.transport.breaker import Breaker
from balance_tracker.transport.bucket import Bucket
from balance_tracker.transport.http import HttpClient, HttpReply
from balance_tracker.transport.latency import Latency
from balance_tracker.transport.memory import Memory
from balance_tracker.transport.standing import Standing

ATTEMPT_SECONDS = 8.0
MAX_DOCUMENT_BYTES = 4 * 2**20
PER_MINUTE = "requests_per_minute"
PER_MINUTE_SECONDS = 600.0
"""How long a limit that it has shown is believed."""

_MINUTE_SECONDS = 60.0
_LEAST_SECONDS = 0.25
"""With less time than this no answer comes back, so none is asked for."""
_ITS_OWN_FAULT_SECONDS = 2.0
"""An answer that took longer is late, whatever little time we had for it."""
_SHOWN_CHARACTERS = 200
_MOST_DIGITS = 1_000
"""No whole number in an answer is longer."""

_log = get_logger(__name__)

type Explain = Callable[[int, Any], UpstreamError | None]
"""What an API's own error document means: of its HTTP status and the document; ``None``: it is no error."""


class RequestRefusedError(UpstreamError):
    """The API finds the question itself wrong; it is not down.

    Attributes:
        status: The HTTP status.
        document: What it said, as JSON; ``None`` if it said nothing that can be read.
    """

    code = "request_refused"

    def __init__(self, message: str, status: int, document: Any) -> None:
        super().__init__(message, retryable=False)
        self.status = status
        self.document = document


class ApiHost:
    """One web API.

    Args:
        name: What it is called in logs and messages.
        base_url: Its root, the operator's own or the public one; paths are put behind it.
        http: The client that it is asked through; redirects are not followed.
        headers: Sent with every request; their values are keys and never shown.
        per_minute: Requests a minute that it is known to allow; ``None``: it will show.
        memory: What it has shown; an empty one in this process if not given.
        explain: Reads its own error documents.
        attempt_seconds: How long one request may take.
        clock: A time in seconds that never goes back.
        chance: A number from 0 to 1, for the spread of rests.

    Attributes:
        memory: What it has shown.
        requests: How many were sent.
    """

    def __init__(
        self,
        name: str,
        base_url: str,
        http: HttpClient,
        *,
        headers: Mapping[str, str] | None = None,
        per_minute: int | None = None,
        memory: Memory | None = None,
        explain: Explain | None = None,
        attempt_seconds: float = ATTEMPT_SECONDS,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.name = name
        self._base_url = base_url.rstrip("/")
        self._http = http
        self._headers = dict(headers or {})
        self._per_minute = per_minute
        self._explain = explain
        self._attempt_seconds = attempt_seconds
        self._clock = clock
        self.memory = Memory(clock) if memory is None else memory
        self.breaker = Breaker(clock, chance)
        self.bucket = Bucket(self.memory, clock)
        self.latency = Latency(clock)
        self.standing = Standing()
        self._answered: deque[float] = deque(maxlen=1_024)
        self._settled = asyncio.Event()
        self.requests = 0
        protect([base_url])
        protect_keys(self._headers.values())

    def __repr__(self) -> str:
        return f"ApiHost({self.name!r}, {redact_url(self._base_url)!r})"

    async def get[T](
        self,
        path: str,
        query: Mapping[str, str] | None = None,
        *,
        read: Callable[[Any], T],
        deadline: float,
        max_bytes: int = MAX_DOCUMENT_BYTES,
    ) -> T:
        """What is read of one document, whose numbers are ``int`` and ``Decimal``, digit by digit.

        Args:
            path: Behind the base URL, beginning with ``/`` and quoted where need be.
            query: Parameters by name.
            read: Reads the document; an ``UpstreamError`` of it counts against the API like any other.
            deadline: The loop's time (``asyncio`` clock, seconds) by which it must be here.
            max_bytes: How long it may be.

        Raises:
            RequestRefusedError: The question is wrong (HTTP 400, 404 and the like).
            UpstreamError: ``rate_limited`` (also when its turn for us comes too late: then it was not
                asked), ``source_resting``, ``timed_out``, ``unauthorized``, ``bad_response``, or what
                :meth:`HttpClient.get` raises.
        """
        try:
            await self._turn(deadline)
            return await self._asked(path, query, read, deadline, max_bytes)
        finally:
            self._settled.set()

    async def _asked[T](
        self,
        path: str,
        query: Mapping[str, str] | None,
        read: Callable[[Any], T],
        deadline: float,
        max_bytes: int,
    ) -> T:
        started = self._clock()
        left = max(_LEAST_SECONDS, deadline - asyncio.get_running_loop().time())
        self.requests += 1
        try:
            reply = await self._http.get(
                self._url(path, query),
                timeout_seconds=min(self._attempt_seconds, left),
                max_bytes=max_bytes,
                headers=self._headers,
            )
            answer = read(self._document(reply))
        except UpstreamError as error:
            self._failed(error, started)
            raise
        except asyncio.CancelledError:
            self.breaker.abandon()
            raise
        self._succeeded(started)
        return answer

    def health(self) -> EndpointHealth:
        """What is known of it, for people."""
        resting = max(self.breaker.rest_seconds, self.bucket.paused_seconds)
        median, p95 = self.latency.median, self.latency.p95
        return EndpointHealth(
            name=redact_url(self._base_url),
            state="resting" if resting else "healthy" if self.standing.successes else "unknown",
            latency_ms=None if median is None else round(median * 1000),
            head=None,
            successes=self.standing.successes,
            failures=self.standing.failures,
            last_error=self.standing.last_error,
            retry_in_seconds=round(resting) if resting else None,
            learned=self.memory.shown(),
            p95_latency_ms=None if p95 is None else round(p95 * 1000),
            requests=self.requests,
            errors=dict(sorted(self.standing.errors.items())),
        )

    async def _turn(self, deadline: float) -> None:
        """Wait until it may be asked.

        Raises:
            UpstreamError: That is not before the deadline, or it rests.
        """
        left = deadline - asyncio.get_running_loop().time()
        if left < _LEAST_SECONDS:
            raise UpstreamError(f"No time is left to ask {self.name}.", code="timed_out")
        await self._closed(left)
        left = deadline - asyncio.get_running_loop().time()
        shown = self.memory.number(PER_MINUTE)
        self.bucket.per_minute = self._per_minute if shown is None else max(1, shown)
        wait = self.bucket.take(max(0.0, left - _LEAST_SECONDS))
        if wait is None:
            self.breaker.abandon()
            raise UpstreamError(
                f"{self.name} limits our requests, and our turn comes too late.",
                code="rate_limited",
                retry_after_seconds=math.ceil(self.bucket.wait_seconds),
            )
        if wait > 0:
            try:
                await asyncio.sleep(wait)
            except asyncio.CancelledError:
                self.breaker.abandon()
                raise

    async def _closed(self, left: float) -> None:
        """Wait for the outcome while another request tries the API out after a rest, or be that one.

        Raises:
            UpstreamError: It rests, or it is not known in time whether it is well again.
        """
        if self.breaker.state == "half_open" and self.breaker.trial:
            with suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await self._settled.wait()
        if self.breaker.state == "closed":
            return
        if not self.breaker.try_out():
            raise UpstreamError(
                f"{self.name} failed lately and is left alone for now.",
                code="source_resting",
                retry_after_seconds=self.breaker.rest_seconds,
            )
        self._settled.clear()

    def _url(self, path: str, query: Mapping[str, str] | None) -> str:
        return f"{self._base_url}{path}" + (f"?{urlencode(query, safe=',:')}" if query else "")

    def _document(self, reply: HttpReply) -> Any:
        document = _parsed(reply.body)
        error = None if self._explain is None else self._explain(reply.status, document)
        if error is None and reply.status != 200:
            error = self._meaning(reply, document)
        if error is not None:
            if error.retry_after_seconds is None:
                error.retry_after_seconds = reply.retry_after_seconds
            raise self._cleaned(error)
        if document is None:
            raise UpstreamError(f"{self.name} answered what is not JSON.", code="bad_response")
        return document

    def _meaning(self, reply: HttpReply, document: Any) -> UpstreamError:
        """Of an HTTP status, where the API's own document does not say more."""
        status = reply.status
        said = f"{self.name} answered with HTTP status {status}{_excerpt(document)}."
        if status == 429:
            return UpstreamError(said, code="rate_limited")
        if status in (401, 402, 403):
            return UpstreamError(said, code="unauthorized", retryable=False)
        if 400 <= status < 500 and status != 408:
            return RequestRefusedError(said, status, document)
        return UpstreamError(said, code="bad_response")

    def _cleaned(self, error: UpstreamError) -> UpstreamError:
        """The same without keys: some hosts say the key that they refuse."""
        text = redact_text(error.message)
        for key in self._headers.values():
            text = text.replace(key, HIDDEN)
        error.message = text
        error.args = (text,)
        return error

    def _succeeded(self, started: float) -> None:
        now = self._clock()
        self._answered.append(now)
        self.latency.took(now - started, 0)
        self.standing.succeeded()
        self.breaker.succeed()
        self.bucket.went_well()

    def _failed(self, error: UpstreamError, started: float) -> None:
        took = self._clock() - started
        self.standing.failed(error)
        _log.info("source_request_failed", source=self.name, code=error.code, elapsed_seconds=round(took, 3))
        if error.retry_after_seconds is not None:
            self.bucket.pause(error.retry_after_seconds)
        if error.code == "rate_limited":
            self._limited(error, started)
            self.breaker.succeed()
        elif isinstance(error, RequestRefusedError):
            self.breaker.succeed()
        elif error.code == "timed_out" and took < _ITS_OWN_FAULT_SECONDS:
            self.breaker.abandon()
        else:
            self.breaker.fail(error.code, started)

    def _limited(self, error: UpstreamError, started: float) -> None:
        """It refused one more: it allows as many a minute as it answered in the last one."""
        since = self._clock() - _MINUTE_SECONDS
        answered = sum(1 for at in self._answered if at > since)
        self.bucket.refused(started)
        if answered:
            self.memory.put(PER_MINUTE, answered, PER_MINUTE_SECONDS)
        elif error.retry_after_seconds is None:
            self.bucket.pause(_MINUTE_SECONDS)


def _parsed(body: bytes) -> Any:
    """A body as JSON without a float; ``None`` if it is none. ``NaN`` and infinities become ``None``."""
    try:
        return json.loads(body, parse_float=_number, parse_int=_whole, parse_constant=lambda _: None)
    except (ValueError, RecursionError, ArithmeticError):
        return None


def _number(text: str) -> Decimal | None:
    """A number digit by digit; one beyond what a decimal can be costs itself, and not the document."""
    try:
        return Decimal(text)
    except ArithmeticError:
        return None


def _whole(text: str) -> int | None:
    """The same of a whole number."""
    return int(text) if len(text) <= _MOST_DIGITS else None


def _excerpt(document: Any) -> str:
    """The words of an error document, behind a colon."""
    if isinstance(document, Mapping):
        document = document.get("error", document.get("message", document.get("status", "")))
    if isinstance(document, Mapping):
        document = document.get("error_message", document.get("message", ""))
    if not isinstance(document, str) or not document.strip():
        return ""
    return f": {' '.join(document.split())[:_SHOWN_CHARACTERS].rstrip('.')}"
