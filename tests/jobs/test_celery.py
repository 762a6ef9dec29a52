"""Celery really running: workers and beat as processes, a Redis as their broker, both databases."""

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from benchmarks.truth import wallet_addresses
from sqlalchemy import func, select
from tests.cache.redis_server import SERVERS, RedisServer
from tests.jobs.island import island
from tests.jobs.site import Site

from balance_tracker.storage.database import Database
from balance_tracker.storage.tables import BATCH_RESULTS, JOBS, SNAPSHOTS

pytestmark = pytest.mark.integration

LONGEST_SECONDS = 40.0
QUICK_SECONDS = 0.5


@contextmanager
def celery(
    folder: Path, endpoint: str, database_url: str, redis: RedisServer, workers: Sequence[str]
) -> Iterator[Site]:
    """An API, workers, and two of beat, of which one would do."""
    environment = {**island(folder, endpoint), "DATABASE_URL": database_url, "CELERY_BROKER_URL": redis.url}
    with Site(folder, environment) as site:
        site.serve("api")
        for name in workers:
            site.run(name, "worker", "--concurrency", "2")
        for name in ("beat-1", "beat-2"):
            site.run(name, "beat")
        for name in ("api", *workers):
            site.until_ready(name)
        yield site


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    with RedisServer(SERVERS["valkey"], tmp_path) as server:
        yield server


def batch_of(site: Site, count: int) -> str:
    answer = site.ask("POST", "/batch", body={"addresses": wallet_addresses(count)})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def wait_until(true: Callable[[], bool], site: Site) -> None:
    until = time.monotonic() + LONGEST_SECONDS
    while not true():
        told = {name: program.told[-1500:] for name, program in site.programs.items()}
        assert time.monotonic() < until, told
        time.sleep(0.05)


def is_done(site: Site, batch_id: str) -> bool:
    body = site.ask("GET", f"/batch/{batch_id}").json()
    assert body["status"] in {"queued", "running", "done"}, body
    return bool(body["status"] == "done")


async def counted(url: str, table: object, **values: str) -> int:
    columns = table.c  # type: ignore[attr-defined]
    question = select(func.count()).select_from(table)  # type: ignore[arg-type]
    for name, value in values.items():
        question = question.where(columns[name] == value)
    async with Database(url) as database, database.reading() as connection:
        return await connection.scalar(question) or 0


def test_what_is_sent_is_done_also_what_could_not_be_sent(
    tmp_path: Path, endpoint: str, database_url: str, redis: RedisServer
) -> None:
    with celery(tmp_path, endpoint, database_url, redis, ["worker-1"]) as site:
        first = batch_of(site, 20)
        wait_until(lambda: is_done(site, first), site)

        redis.kill()
        started = time.monotonic()
        second = batch_of(site, 20)
        assert time.monotonic() - started < QUICK_SECONDS
        redis.start()
        wait_until(lambda: is_done(site, second), site)

        body = {"name": "followed", "addresses": wallet_addresses(2), "snapshot_every": "1h"}
        wallet = site.ask("POST", "/wallets", body=body).json()["id"]
        path = f"/snapshots?wallet={wallet}"
        wait_until(lambda: len(site.ask("GET", path).json()["snapshots"]) == 1, site)

        for number in (1, 2):
            assert site.programs[f"beat-{number}"].alive
            assert site.programs[f"beat-{number}"].stop() == 0
        assert site.programs["worker-1"].stop() == 0
    assert asyncio.run(counted(database_url, JOBS, kind="snapshot")) == 1
    assert asyncio.run(counted(database_url, JOBS, state="done")) == 3
    assert asyncio.run(counted(database_url, SNAPSHOTS)) == 1


def test_a_worker_that_is_told_to_end_or_killed_leaves_its_job_to_another(
    tmp_path: Path, slow_endpoint: str, postgres_url: str, redis: RedisServer
) -> None:
    count = 2500
    with celery(tmp_path, slow_endpoint, postgres_url, redis, ["worker-1", "worker-2"]) as site:
        site.programs["worker-2"].pause()
        batch_id = batch_of(site, count)
        wait_until(lambda: site.ask("GET", f"/batch/{batch_id}").json()["status"] == "running", site)
        site.programs["worker-2"].resume()
        # It has a grace to end what it does; then it says in the database that another may.
        assert site.programs["worker-1"].stop() == 0
        assert asyncio.run(counted(postgres_url, JOBS, state="done")) == 0
        wait_until(lambda: asyncio.run(counted(postgres_url, JOBS, state="running")) == 1, site)
        site.programs["worker-2"].kill()
        site.programs["worker-2"].start()
        wait_until(lambda: is_done(site, batch_id), site)
        last = site.ask("GET", f"/batch/{batch_id}").json()
    assert last["counts"] == {"total": count, "done": count, "ok": count, "partial": 0, "failed": 0}
    assert asyncio.run(counted(postgres_url, BATCH_RESULTS)) == count
