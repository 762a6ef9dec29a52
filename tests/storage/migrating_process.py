"""Replicas that start at once: each a process that brings the database to its schema and says from where.

Run: ``python migrating_process.py URL HOW_MANY``.
"""

import asyncio
import os
import sys

import alembic.command  # noqa: F401 - loaded before the race begins

from balance_tracker.storage.database import Database
from balance_tracker.storage.migrating import check, upgrade


async def migrated(url: str) -> str:
    async with Database(url) as database:
        before, _ = await upgrade(database)
        await check(database)
    return f"{before}\n"


def replica(url: str, gate: int) -> None:
    os.read(gate, 1)  # until the gate is closed, for all at once
    os.write(1, asyncio.run(migrated(url)).encode())
    os._exit(0)


def main(url: str, how_many: int) -> int:
    gate, key = os.pipe()
    children = []
    for _ in range(how_many):
        child = os.fork()
        if not child:
            os.close(key)
            replica(url, gate)
        children.append(child)
    os.close(key)
    return max(os.waitpid(child, 0)[1] for child in children)


if __name__ == "__main__":
    sys.exit(bool(main(sys.argv[1], int(sys.argv[2]))))
