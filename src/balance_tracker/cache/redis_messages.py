"""Messages between the processes of one service, through Redis.

Subscribers of one's own process get a message at once, with or without Redis. Those of other
processes get it through Redis; whatever may have been lost on the way (a connection that broke, a
message that could not be published, a reader that is too slow) is told to them by an empty message.
"""

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from contextlib import suppress
from types import TracebackType
from typing import Any, Self, cast

from redis import exceptions
from redis.asyncio.client import PubSub

from balance_tracker.cache.messages import LOST, MemoryMessages
from balance_tracker.cache.redis_client import RedisAwayError, RedisClient, open_redis
from balance_tracker.telemetry.logging import get_logger

MOST_UNTOLD = 1000
"""So many channels are remembered on which others have missed something."""

_PREFIX = "tracker:1:messages:"
_CONTROL = f"{_PREFIX}-"
"""A channel that nobody uses: with it, a connection is never without a subscription."""

_ORIGIN_BYTES = 8
_QUIET_SECONDS = 5.0
_PONG_SECONDS = 2.0
_CONNECT_SECONDS = 2.0
_SUBSCRIBED_WITHIN_SECONDS = 0.25
_FIRST_REST_SECONDS = 0.1
_LONGEST_REST_SECONDS = 5.0

_BROKEN = (OSError, exceptions.RedisError, asyncio.IncompleteReadError)

_log = get_logger(__name__)


class RedisMessages(MemoryMessages):
    """Messages between processes through Redis; within this one also while it is away.

    One connection listens for all subscribers; it is opened with the first one.

    Args:
        client: What messages are published through.
    """

    def __init__(self, client: RedisClient) -> None:
        super().__init__()
        self._client = client
        self._redis = open_redis(client.url, socket_timeout=_CONNECT_SECONDS)
        self._origin = secrets.token_bytes(_ORIGIN_BYTES)
        self._untold: set[str] = set()
        self._telling: asyncio.Task[None] | None = None
        self._listening: asyncio.Task[None] | None = None
        self._pubsub: PubSub | None = None
        self._confirmed: dict[str, asyncio.Event] = {}

    async def __aenter__(self) -> Self:
        self._client.when_back(self._tell_of_gaps)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        tasks = [task for task in (self._telling, self._listening) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._redis.aclose()

    async def publish(self, channel: str, message: bytes) -> None:
        """Tell every subscriber; see :meth:`balance_tracker.ports.keeping.Messages.publish`."""
        self._hand_out(channel, message)
        if not await self._send(channel, message):
            if len(self._untold) < MOST_UNTOLD:
                self._untold.add(channel)
            if self._client.up:
                self._tell_of_gaps()

    async def _send(self, channel: str, message: bytes) -> bool:
        framed = self._origin + message
        try:
            await self._client.run(lambda redis: _published(redis, f"{_PREFIX}{channel}", framed))
        except RedisAwayError:
            return False
        return True

    def _tell_of_gaps(self) -> None:
        """Tell the others of what they missed, now that it is possible."""
        if self._untold and (self._telling is None or self._telling.done()):
            self._telling = asyncio.create_task(self._tell(), name="redis gaps")

    async def _tell(self) -> None:
        rest = _FIRST_REST_SECONDS
        while self._untold and self._client.up:
            channel = next(iter(self._untold))
            if await self._send(channel, LOST):
                self._untold.discard(channel)
                continue
            await asyncio.sleep(rest)
            rest = min(2 * rest, _LONGEST_REST_SECONDS)

    async def _began(self, channel: str) -> None:
        """Listen to a channel before anybody waits for it; where that takes long, without."""
        confirmed = self._confirmed.setdefault(channel, asyncio.Event())
        if self._listening is None:
            self._listening = asyncio.create_task(self._listen(), name="redis messages")
        elif self._pubsub is not None:
            with suppress(*_BROKEN):
                await self._pubsub.subscribe(f"{_PREFIX}{channel}")
        with suppress(TimeoutError):
            async with asyncio.timeout(_SUBSCRIBED_WITHIN_SECONDS):
                await confirmed.wait()
        if not confirmed.is_set():
            self._hand_out(channel, LOST)

    async def _ended(self, channel: str) -> None:
        self._confirmed.pop(channel, None)
        if self._pubsub is not None:
            with suppress(*_BROKEN):
                await self._pubsub.unsubscribe(f"{_PREFIX}{channel}")

    async def _listen(self) -> None:
        """Hear messages for ever, on a new connection whenever one breaks."""
        rest, missed, told = _FIRST_REST_SECONDS, False, False
        while True:
            pubsub = self._redis.pubsub()
            try:
                await self._subscribe_all(pubsub)
                rest, told = _FIRST_REST_SECONDS, False
                await self._hear(pubsub, missed=missed)
            except _BROKEN as error:
                if not told:
                    _log.warning("messages_broke", reason=type(error).__name__)
                missed = told = True
            finally:
                self._pubsub = None
                with suppress(*_BROKEN):
                    await cast("Callable[[], Awaitable[None]]", pubsub.aclose)()
            for channel in self._subscribers:
                self._hand_out(channel, LOST)
            await asyncio.sleep(rest)
            rest = min(2 * rest, _LONGEST_REST_SECONDS)

    async def _subscribe_all(self, pubsub: PubSub) -> None:
        """Listen to every channel that somebody waits for, also to those that came meanwhile."""
        async with asyncio.timeout(_CONNECT_SECONDS):
            await pubsub.subscribe(_CONTROL)
            while more := [name for name in self._subscribers if _PREFIX + name not in _names(pubsub)]:
                await pubsub.subscribe(*(_PREFIX + name for name in more))
            self._pubsub = pubsub

    async def _hear(self, pubsub: PubSub, *, missed: bool) -> None:
        """Until the connection breaks, or is silent though it was asked.

        Raises:
            TimeoutError: It is silent.
        """
        asked = False
        while True:
            message = await pubsub.get_message(timeout=_PONG_SECONDS if asked else _QUIET_SECONDS)
            if message is not None:
                asked = False
                self._heard(message, missed=missed)
            elif asked:
                raise TimeoutError
            else:
                await pubsub.ping()
                asked = True

    def _heard(self, message: dict[str, Any], *, missed: bool) -> None:
        name: bytes | None = message["channel"]
        channel = (name or b"").decode().removeprefix(_PREFIX)
        if message["type"] == "subscribe":
            if channel in self._confirmed:
                self._confirmed[channel].set()
            if missed and channel in self._subscribers:
                self._hand_out(channel, LOST)
        elif message["type"] == "message" and message["data"][:_ORIGIN_BYTES] != self._origin:
            self._hand_out(channel, message["data"][_ORIGIN_BYTES:])


def _names(pubsub: PubSub) -> set[str]:
    """What a connection listens to."""
    return {name.decode() for name in pubsub.channels}


async def _published(redis: Any, name: str, framed: bytes) -> None:
    await redis.publish(name, framed)
