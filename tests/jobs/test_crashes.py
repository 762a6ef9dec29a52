"""Workers killed at random moments: nothing is lost, nothing is done twice in effect.

``CRASHES=200`` kills more often than an ordinary run does.
"""

import asyncio
import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import text
from tests.jobs.crashing_worker import KIND, STEPS

from balance_tracker.core.jobs import NewJob
from balance_tracker.storage.database import Database
from balance_tracker.storage.jobs import SqlJobStore

pytestmark = pytest.mark.integration

CRASHES = int(os.environ.get("CRASHES", "8"))
JOBS_PER_CRASH = 4
WORKER = Path(__file__).parent / "crashing_worker.py"


@contextmanager
def worker(url: str) -> Iterator["subprocess.Popen[str]"]:
    process = subprocess.Popen(
        [sys.executable, str(WORKER), url], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def ready(process: "subprocess.Popen[str]") -> None:
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"


async def all_ended(store: SqlJobStore, seconds: float) -> None:
    until = time.monotonic() + seconds
    while await store.counts():
        assert time.monotonic() < until, await store.counts()
        await asyncio.sleep(0.1)


async def test_workers_killed_at_random_moments_lose_nothing_and_double_nothing(
    database: Database, database_url: str
) -> None:
    chance = random.Random(6)
    store = SqlJobStore(database)
    async with database.writing() as connection:
        await connection.execute(text("CREATE TABLE effects (job_id text, step integer)"))
    jobs: list[str] = []
    for _ in range(max(2, CRASHES // 2)):
        # Two workers at a time, killed one after the other, while new jobs come in.
        with worker(database_url) as first, worker(database_url) as second:
            for process in (first, second):
                await asyncio.to_thread(ready, process)
                jobs += await store.add([NewJob(KIND, most_attempts=1000) for _ in range(JOBS_PER_CRASH)])
                await asyncio.sleep(chance.uniform(0, 0.3))
                process.kill()
    with worker(database_url):
        await all_ended(store, 60)

    async with database.reading() as connection:
        written = Counter(
            (row.job_id, row.step) for row in await connection.execute(text("SELECT * FROM effects"))
        )
    assert set(written) == {(job_id, step) for job_id in jobs for step in range(STEPS)}
    assert set(written.values()) == {1}
