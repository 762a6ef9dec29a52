"""What several processes of one service share, or one process has for itself."""

import hashlib
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Literal

from balance_tracker.cache.board import Board as RedisBoard
from balance_tracker.cache.limiter import MemoryLimiter, RedisLimiter
from balance_tracker.cache.memory import MemoryCache
from balance_tracker.cache.messages import MemoryMessages, RedisMessages
from balance_tracker.cache.redis_client import RedisClient
from balance_tracker.cache.shared import SharedCache
from balance_tracker.ports import Board
from balance_tracker.ports.keeping import Messages, RateLimiter
from balance_tracker.settings import Settings
from balance_tracker.telemetry.redact import protect

RedisStatus = Literal["ok", "degraded"]


@dataclass(frozen=True, slots=True)
class Sharing:
    """The cache, messages and limits of one process; through Redis where the settings name one.

    Attributes:
        messages: Between the processes.
        limiter: Counts work, for all processes.
        keys_changed: Awaited after each change of API keys, so that every process notices at once.
    """

    messages: Messages
    limiter: RateLimiter
    keys_changed: Callable[[], Awaitable[None]]
    client: RedisClient | None = None

    def cache(self, name: str, *told_apart_by: object) -> MemoryCache:
        """A cache, to be entered.

        Args:
            name: Its label in the metrics.
            told_apart_by: What values depend on, by its text: processes share a value only if all of it
                is the same (the networks with their endpoints, the listed tokens).
        """
        if self.client is None:
            return MemoryCache(name)
        return SharedCache(name, self.client, _digest(name, told_apart_by))

    def board(self, name: str, *told_apart_by: object) -> Board | None:
        """Where processes show each other values; ``None`` if there is only this one.

        Args:
            name: Its label in the metrics.
            told_apart_by: As for :meth:`cache`.
        """
        if self.client is None:
            return None
        return RedisBoard(name, self.client, _digest(name, told_apart_by))

    @property
    def redis(self) -> RedisStatus | None:
        """Whether Redis answers, ``degraded`` while it is done without; ``None`` where none is used."""
        if self.client is None:
            return None
        return "ok" if self.client.up else "degraded"


async def open_sharing(stack: AsyncExitStack, settings: Settings) -> Sharing:
    """What the settings name; a Redis that does not answer stops no start.

    Args:
        stack: Closes it.
        settings: The operator's.

    Raises:
        ConfigurationError: ``REDIS_URL`` is wrong.
    """
    if settings.redis_url is None:
        return Sharing(MemoryMessages(), MemoryLimiter(), _nobody_to_tell)
    protect([settings.redis_url])
    client = await stack.enter_async_context(RedisClient(settings.redis_url))
    messages = await stack.enter_async_context(RedisMessages(client))
    limiter = RedisLimiter(client)
    return Sharing(messages, limiter, limiter.bump_epoch, client)


def _digest(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


async def _nobody_to_tell() -> None:
    """There is no other process."""
