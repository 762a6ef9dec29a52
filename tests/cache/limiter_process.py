"""One process of a service under load: many clients that ask a shared limiter as fast as they can.

Started by a test: ``python limiter_process.py URL LIMIT CLIENTS SECONDS BEGIN``; prints how many were let
through, how many refused, and the clock's time of the first and the last decision, as JSON.
"""

import asyncio
import json
import sys
import time

from balance_tracker.cache.redis_client import RedisClient
from balance_tracker.cache.redis_limiter import RedisLimiter
from balance_tracker.core.access import Limit


async def main(url: str, limit: Limit, clients: int, seconds: float, begin: float) -> None:
    counts = {True: 0, False: 0}
    # It is about counting: a machine that stalls for a moment must not have it count in process.
    async with RedisClient(url, command_seconds=5) as client:
        limiter = RedisLimiter(client)
        await limiter.take("somebody else", limit)
        await asyncio.sleep(max(0.0, begin - time.time()))
        first = time.monotonic()

        async def ask() -> None:
            while time.monotonic() - first < seconds:
                verdict = await limiter.take("one client", limit)
                assert verdict.epoch is not None, "it was not counted in Redis"
                counts[verdict.allowed] += 1

        await asyncio.gather(*(ask() for _ in range(clients)))
        last = time.monotonic()
    print(json.dumps({"allowed": counts[True], "refused": counts[False], "first": first, "last": last}))


if __name__ == "__main__":
    address, limit_text, how_many, how_long, when = sys.argv[1:]
    asyncio.run(main(address, Limit.parse(limit_text), int(how_many), float(how_long), float(when)))
