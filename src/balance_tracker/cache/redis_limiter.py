"""Rate limits of all processes together, counted in Redis."""

import hashlib
import secrets

from redis.asyncio import Redis

from balance_tracker.cache.limiter import MICROSECONDS, MemoryLimiter, verdict_of
from balance_tracker.cache.redis_client import RedisAwayError, RedisClient
from balance_tracker.cache.scripts import TAKE
from balance_tracker.core.access import Limit
from balance_tracker.ports.keeping import Verdict
from balance_tracker.telemetry.metrics import METRICS

EPOCH = "tracker:1:keys:epoch"


class RedisLimiter:
    """Counts work for all processes in Redis, one script a request; in this process while it is away.

    What a subject owes in Redis is noted here each time, so that this process goes on from there.

    Args:
        client: Where the counters are.
    """

    def __init__(self, client: RedisClient) -> None:
        self._client = client
        self._take = client.script(TAKE)
        self._here = MemoryLimiter()
        self._nonce = secrets.token_hex(8)
        self._untold = False

    async def take(self, subject: str, limit: Limit, cost: int = 1, counted: int = 0) -> Verdict:
        """Let work through or say when; see :meth:`balance_tracker.ports.keeping.RateLimiter.take`."""
        if self._untold and self._client.up:
            await self.bump_epoch()
        digest = hashlib.sha256(subject.encode()).hexdigest()[:40]
        period = limit.period_seconds * MICROSECONDS
        keys = (f"tracker:1:limit:{digest}:{limit.units}:{limit.period_seconds}", EPOCH)
        try:
            allowed, owed, epoch = await self._take(keys, (limit.units, period, cost, _new_epoch(), counted))
        except RedisAwayError:
            return await self._here.take(subject, limit, cost, counted)
        self._here.adopt(subject, limit, int(owed))
        METRICS.sharing.observe_decision("redis", allowed=bool(allowed))
        # A server that came back may have an epoch of before: here it is another one then.
        here = f"{self._nonce}.{self._client.failures}.{epoch.decode()}"
        return verdict_of(limit, cost + counted, int(owed), allowed=bool(allowed), epoch=here)

    async def bump_epoch(self) -> None:
        """Tell every process that keys changed; where that is not possible now, with the next request."""
        try:
            await self._client.run(_bump)
        except RedisAwayError:
            self._untold = True
        else:
            self._untold = False


def _new_epoch() -> str:
    return secrets.token_hex(8)


async def _bump(redis: Redis) -> None:
    await redis.set(EPOCH, _new_epoch())
