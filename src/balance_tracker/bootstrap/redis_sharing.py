"""What several processes of one service share, through Redis."""

import hashlib
from contextlib import AsyncExitStack
from dataclasses import dataclass

from balance_tracker import __version__
from balance_tracker.bootstrap.sharing import RedisStatus, Sharing
from balance_tracker.cache.board import Board as RedisBoard
from balance_tracker.cache.memory import MemoryCache
from balance_tracker.cache.redis_client import RedisClient
from balance_tracker.cache.redis_limiter import RedisLimiter
from balance_tracker.cache.redis_messages import RedisMessages
from balance_tracker.cache.shared import SharedCache
from balance_tracker.ports import Board


@dataclass(frozen=True)
class RedisSharing(Sharing):
    """The cache, messages and limits of all processes; of this one alone while Redis is away."""

    client: RedisClient

    def cache(self, name: str, *told_apart_by: object) -> MemoryCache:
        """A cache, to be entered; see :meth:`balance_tracker.bootstrap.sharing.Sharing.cache`."""
        return SharedCache(name, self.client, _digest(name, told_apart_by))

    def board(self, name: str, *told_apart_by: object) -> Board | None:
        """Where processes show each other values."""
        return RedisBoard(name, self.client, _digest(name, told_apart_by))

    @property
    def redis(self) -> RedisStatus:
        """Whether Redis answers, ``degraded`` while it is done without."""
        return "ok" if self.client.up else "degraded"


async def open_redis_sharing(stack: AsyncExitStack, url: str) -> RedisSharing:
    """Share through the Redis of a URL.

    Raises:
        ConfigurationError: The URL is wrong.
    """
    client = await stack.enter_async_context(RedisClient(url))
    messages = await stack.enter_async_context(RedisMessages(client))
    limiter = RedisLimiter(client)
    return RedisSharing(messages, limiter, limiter.bump_epoch, client)


def _digest(*parts: object) -> str:
    """What tells values apart; those of another version may have been read by other rules."""
    return hashlib.sha256(repr((__version__, parts)).encode()).hexdigest()[:16]
