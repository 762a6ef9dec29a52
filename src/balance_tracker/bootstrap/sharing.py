"""What several processes of one service share, or one process has for itself."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

from balance_tracker.cache.memory import MemoryCache
from balance_tracker.ports import Board
from balance_tracker.ports.keeping import Messages, RateLimiter

RedisStatus = Literal["ok", "degraded"]


@dataclass(frozen=True)
class Sharing:
    """The cache, messages and limits of one process.

    Attributes:
        messages: Between the processes.
        limiter: Counts work, for all processes.
        keys_changed: Awaited after each change of API keys, so that every process notices at once.
    """

    messages: Messages
    limiter: RateLimiter
    keys_changed: Callable[[], Awaitable[None]]

    def cache(self, name: str, *told_apart_by: object) -> MemoryCache:
        """A cache, to be entered.

        Args:
            name: Its label in the metrics.
            told_apart_by: What values depend on, by its text: processes share a value only if all of it
                is the same (the networks with their endpoints, the listed tokens).
        """
        del told_apart_by
        return MemoryCache(name)

    def board(self, name: str, *told_apart_by: object) -> Board | None:
        """Where processes show each other values; ``None`` if there is only this one.

        Args:
            name: Its label in the metrics.
            told_apart_by: As for :meth:`cache`.
        """
        del name, told_apart_by
        return None

    @property
    def redis(self) -> RedisStatus | None:
        """Whether Redis answers, ``degraded`` while it is done without; ``None`` where none is used."""
        return None
