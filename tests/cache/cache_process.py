"""One process that asks a shared cache for one value: ``python cache_process.py URL FILE SECONDS``.

A load takes so many seconds and is noted in the file.
"""

import asyncio
import sys
from pathlib import Path

from balance_tracker.cache.redis_client import RedisClient
from balance_tracker.cache.shared import SharedCache


async def main(url: str, noted: Path, seconds: float) -> None:
    async def load() -> str | None:
        with noted.open("a") as file:
            file.write("load\n")
        await asyncio.sleep(seconds)
        return "READING"

    async with (
        RedisClient(url, command_seconds=3) as client,
        SharedCache("test", client, "processes") as cache,
    ):
        value, _ = await cache.get_or_load("a", 60, load, lambda _value: True, str | None)
        print(value)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), float(sys.argv[3])))
