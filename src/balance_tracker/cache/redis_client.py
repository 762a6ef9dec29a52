"""Redis as this process uses it: briefly, never as the truth, and not at all while it is away.

A command that fails or takes too long raises :class:`RedisAwayError` and the caller goes on in
process. A connection that breaks or hangs ends the use of Redis at once, for everybody; it is tried
again behind the scenes, and used again once it answers.
"""

import asyncio
import math
import random
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, suppress
from types import TracebackType
from typing import Any, Self, cast

from redis import exceptions
from redis.asyncio import ConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.commands.core import AsyncScript

from balance_tracker.core.errors import ConfigurationError
from balance_tracker.telemetry.logging import get_logger
from balance_tracker.telemetry.metrics import METRICS
from balance_tracker.telemetry.redact import redact_text

COMMAND_SECONDS = 0.2
"""What a command may take; nothing that a request waits for takes longer."""

CONNECTIONS = 8
"""A process gets thousands of commands a second through these; more cost more than they bring."""

MOST_LATE = 5
"""So many commands in a row may run out of time because this process was busy, before Redis is blamed."""

_LATE_SECONDS = 0.05
_FIRST_REST_SECONDS = 0.1
_LONGEST_REST_SECONDS = 5.0
_STEADY_SECONDS = 30.0
"""Who goes away again sooner than this after coming back rests longer and longer."""

_PROBE_SECONDS = 0.5
_REFUSED_LOGGED_EVERY_SECONDS = 60.0

_BROKEN = (
    OSError,
    exceptions.ConnectionError,
    exceptions.TimeoutError,
    exceptions.ReadOnlyError,
    exceptions.MasterDownError,
)
"""What says that this server can't be used now. What else it says is about one command only."""

_log = get_logger(__name__)


class RedisAwayError(Exception):
    """Redis did not do it; the caller goes on without."""


type Argument = str | bytes | int


class Script:
    """What Redis does at one go; see :meth:`RedisClient.script`."""

    def __init__(self, client: "RedisClient", registered: AsyncScript) -> None:
        self._client = client
        self._registered = registered

    async def __call__(self, keys: Sequence[str], args: Sequence[Argument]) -> Any:
        """What it gives.

        Raises:
            RedisAwayError: It was not done, or it is not known whether it was.
        """
        return await self._client.run(lambda redis: self._registered(keys, args, redis))


class RedisClient:
    """One pool of connections, a time limit on every command, and a breaker.

    Args:
        url: ``redis://``, ``rediss://`` or ``unix://``.
        command_seconds: What a command may take, with the wait for a connection.
        connections: How many there are at most.

    Raises:
        ConfigurationError: The URL is wrong.
    """

    def __init__(
        self, url: str, *, command_seconds: float = COMMAND_SECONDS, connections: int = CONNECTIONS
    ) -> None:
        self._url = url
        self._seconds = command_seconds
        longest = max(_PROBE_SECONDS, command_seconds)
        self._redis = open_redis(url, socket_timeout=longest, max_connections=connections * 2)
        self._turns = asyncio.Semaphore(connections)
        self._up = True
        self._closed = False
        self._late = 0
        self._failures = 0
        self._refused_logged_at = -math.inf
        self._rest = _FIRST_REST_SECONDS
        self._back_at = -math.inf
        self._probing: asyncio.Task[None] | None = None
        self._listeners: list[Callable[[], None]] = []
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        self._stack.enter_context(METRICS.sharing.watching(lambda: self._up))
        try:
            await self._ping()
        except _BROKEN as error:
            self._went_away("connection", error)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._up, self._closed = False, True
        await self._stack.aclose()
        if self._probing is not None:
            self._probing.cancel()
            await asyncio.gather(self._probing, return_exceptions=True)
        self._listeners.clear()
        await self._redis.aclose()

    @property
    def url(self) -> str:
        """Where it is."""
        return self._url

    @property
    def up(self) -> bool:
        """Whether it answered when it was last asked."""
        return self._up

    @property
    def failures(self) -> int:
        """How often a connection broke or hung; the server may have lost what it had each time."""
        return self._failures

    def when_back(self, listener: Callable[[], None]) -> None:
        """Call this each time that Redis answers again."""
        self._listeners.append(listener)

    async def run[T](self, work: Callable[[Redis], Awaitable[T]]) -> T:
        """Have Redis do something.

        Args:
            work: One command or script, done again on a new connection if the old one was broken.

        Raises:
            RedisAwayError: It was not done, or it is not known whether it was.
        """
        if not self._up:
            raise RedisAwayError
        due = asyncio.get_running_loop().time() + self._seconds
        begun = False
        try:
            async with asyncio.timeout_at(due), self._turns:
                if not self._up:
                    raise RedisAwayError
                begun = True
                result = await self._twice(work)
        except TimeoutError as error:
            self._timed_out(due, error, begun=begun)
            raise RedisAwayError from error
        except _BROKEN as error:
            self._went_away("connection", error)
            raise RedisAwayError from error
        except exceptions.RedisError as error:
            self._refused(error)
            raise RedisAwayError from error
        self._late = 0
        return result

    def script(self, text: str) -> "Script":
        """A script by its text, sent when Redis does not know it."""
        return Script(self, self._redis.register_script(text))

    async def _twice[T](self, work: Callable[[Redis], Awaitable[T]]) -> T:
        try:
            return await work(self._redis)
        except exceptions.TimeoutError:
            raise
        except (OSError, exceptions.ConnectionError):
            self._failures += 1
            await self._redis.connection_pool.disconnect(inuse_connections=False)
            return await work(self._redis)

    def _timed_out(self, due: float, error: Exception, *, begun: bool) -> None:
        """A hanging server is away; a queue here, or a loop that was busy elsewhere, is not its fault."""
        if not begun:
            METRICS.sharing.observe_error("busy")
            return
        self._late += 1
        is_late = asyncio.get_running_loop().time() - due > _LATE_SECONDS
        if is_late and self._late < MOST_LATE:
            METRICS.sharing.observe_error("late")
            return
        self._went_away("timeout", error)

    def _refused(self, error: Exception) -> None:
        """It answers, but with an error; told once in a while."""
        METRICS.sharing.observe_error("refused")
        now = asyncio.get_running_loop().time()
        if now - self._refused_logged_at >= _REFUSED_LOGGED_EVERY_SECONDS:
            self._refused_logged_at = now
            _log.warning("redis_refused", reason=redact_text(str(error))[:200])

    def _went_away(self, reason: str, error: Exception) -> None:
        METRICS.sharing.observe_error(reason)
        self._failures += 1
        self._late = 0
        if not self._up or self._closed:
            return
        self._up = False
        _log.warning("redis_away", reason=reason, detail=redact_text(str(error))[:200] or None)
        self._probing = asyncio.create_task(self._probe(), name="redis probe")

    async def _probe(self) -> None:
        """Try again until it answers, ever more rarely."""
        loop = asyncio.get_running_loop()
        away_since = loop.time()
        if away_since - self._back_at > _STEADY_SECONDS:
            self._rest = _FIRST_REST_SECONDS
        while True:
            await asyncio.sleep(self._rest * random.uniform(0.8, 1.2))
            self._rest = min(2 * self._rest, _LONGEST_REST_SECONDS)
            try:
                await self._ping()
            except _BROKEN:
                continue
            break
        self._up, self._back_at = True, loop.time()
        _log.info("redis_back", away_seconds=round(loop.time() - away_since, 3))
        for listener in self._listeners:
            listener()

    async def _ping(self) -> None:
        """Ask on a connection that is new after a failure.

        Raises:
            TimeoutError: It did not answer.
        """
        if not self._up:
            await self._redis.connection_pool.disconnect(inuse_connections=True)
        async with asyncio.timeout(_PROBE_SECONDS):
            with suppress(exceptions.ResponseError):
                await cast("Awaitable[Any]", self._redis.ping())


def open_redis(url: str, **options: Any) -> Redis:
    """A client that never tries anything by itself; connected when it is first used.

    Raises:
        ConfigurationError: The URL is wrong.
    """
    try:
        pool = ConnectionPool.from_url(
            url,
            protocol=2,
            socket_connect_timeout=_PROBE_SECONDS,
            retry=Retry(NoBackoff(), 0),
            **options,
        )
        cast("Callable[[], object]", pool.make_connection)()
    except (TypeError, ValueError) as error:
        raise ConfigurationError(
            "REDIS_URL is wrong: it can't be read as the URL of a Redis server.",
            hint="Write it like redis://host:6379/0.",
        ) from error
    return Redis.from_pool(pool)
