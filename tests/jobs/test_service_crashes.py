"""``kill -9`` of everything the service consists of, while it works: the API, workers, PostgreSQL, Redis.

Whatever was answered with 202 or 201 is there in the end, once, with the right amounts.
``CRASHES=200`` kills more often than an ordinary run does, half of them in each way of running it.
"""

import asyncio
import json
import os
import random
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from benchmarks.truth import NATIVE, raw_amount, wallet_address, wallet_addresses
from sqlalchemy import func, select, update
from tests.cache.redis_server import SERVERS, RedisServer
from tests.conftest import migrated_template
from tests.jobs.island import PRICE, WALLETS_THERE, island
from tests.jobs.site import Forever, Site
from tests.nodes.servers import PostgresServer, postgres_binaries

from balance_tracker.core.errors import StorageError
from balance_tracker.storage.database import Database
from balance_tracker.storage.tables import BATCH_RESULTS, BATCHES, JOBS, SNAPSHOTS, WALLETS

pytestmark = pytest.mark.integration

CRASHES = int(os.environ.get("CRASHES", "10")) // 2
MOST_STANDING = 4
LONGEST_SECONDS = 60.0


@dataclass
class Accepted:
    """What the service took on, and what was asked."""

    batches: dict[str, list[int]] = field(default_factory=dict)
    snapshots: dict[str, tuple[str, int]] = field(default_factory=dict)
    wallet: str = ""


@dataclass
class Running:
    """A service and who can be killed: each victim with what brings it back."""

    site: Site
    database_url: str
    victims: dict[str, tuple[Callable[[], None], Callable[[], None]]]


@contextmanager
def in_process(folder: Path, endpoint: str, sqlite_url: str) -> Iterator[Running]:
    """Two APIs that do jobs themselves, over one SQLite file."""
    with Site(folder, {**island(folder, endpoint), "DATABASE_URL": sqlite_url}) as site:
        for name in ("api-1", "api-2"):
            site.serve(name)
        for name in ("api-1", "api-2"):
            site.until_ready(name)
        yield Running(site, sqlite_url, {name: killing(site, name) for name in ("api-1", "api-2")})


@contextmanager
def on_several_machines(folder: Path, endpoint: str) -> Iterator[Running]:
    """An API, two workers and beat over PostgreSQL and Redis, the broker of which is the same Redis."""
    with ExitStack() as stack:
        postgres = stack.enter_context(PostgresServer(postgres_binaries()["postgresql"], folder))
        redis = stack.enter_context(RedisServer(SERVERS["valkey"], folder))
        url = postgres.url(migrated_template(postgres))
        environment = {
            **island(folder, endpoint),
            "DATABASE_URL": url,
            "REDIS_URL": redis.url,
            "CELERY_BROKER_URL": redis.url.removesuffix("/0") + "/1",
        }
        site = stack.enter_context(Site(folder, environment))
        site.serve("api")
        for name in ("worker-1", "worker-2"):
            site.run(name, "worker", "--concurrency", "4")
        site.run("beat", "beat")
        for name in ("api", "worker-1", "worker-2"):
            site.until_ready(name)
        victims = {name: killing(site, name) for name in ("api", "worker-1", "worker-2", "beat")}
        victims["postgresql"] = (postgres.kill, postgres.start)
        victims["redis"] = (redis.kill, redis.start)
        yield Running(site, url, victims)


def killing(site: Site, name: str) -> tuple[Callable[[], None], Callable[[], None]]:
    def again() -> None:
        site.programs[name].start()

    return site.programs[name].kill, again


def asking(site: Site, accepted: Accepted, chance: random.Random) -> Callable[[int], None]:
    """Asks for one batch and one snapshot after the other, each until it is answered for."""

    def ask(number: int) -> None:
        numbers = chance.sample(range(WALLETS_THERE), 400)
        asked = {"addresses": [wallet_address(one) for one in numbers]}
        answer = site.ask("POST", "/batch", body=asked, key=f"batch-{number}")
        assert answer.status_code == 202, answer.text
        accepted.batches[answer.json()["id"]] = numbers
        wallet = chance.randrange(WALLETS_THERE)
        asked = {"address": wallet_address(wallet)}
        answer = site.ask("POST", "/snapshots", body=asked, key=f"snapshot-{number}")
        assert answer.status_code == 201, answer.text
        accepted.snapshots[f"snapshot-{number}"] = (answer.json()["id"], wallet)
        while standing(site) >= MOST_STANDING:
            time.sleep(0.1)

    return ask


def standing(site: Site) -> int:
    found = site.ask("GET", "/batch?limit=50").json()["batches"]
    return sum(one["status"] in {"queued", "running"} for one in found)


def follow(site: Site, accepted: Accepted) -> None:
    asked = {"name": "followed", "addresses": wallet_addresses(5), "snapshot_every": "1h"}
    answer = site.ask("POST", "/wallets", body=asked)
    assert answer.status_code == 201, answer.text
    accepted.wallet = answer.json()["id"]


def crash(running: Running, accepted: Accepted, chance: random.Random, times: int) -> dict[str, int]:
    """Kill one after the other at random moments, each time while there is something to be lost."""
    killed = dict.fromkeys(running.victims, 0)
    for _ in range(times):
        at_work(running, accepted)
        time.sleep(chance.uniform(0, 0.8))
        name = chance.choice(sorted(running.victims))
        kill, again = running.victims[name]
        kill()
        killed[name] += 1
        time.sleep(chance.uniform(0, 0.6))
        again()
        asyncio.run(make_due(running.database_url))
    return killed


def at_work(running: Running, accepted: Accepted) -> None:
    """Wait until more was asked for, and somebody is there to do it."""
    until = time.monotonic() + LONGEST_SECONDS
    before, site = len(accepted.batches), running.site
    doers = [name for name in site.programs if name.startswith("worker")] or list(site.ports)
    while len(accepted.batches) == before or not any(site.is_ready(name) for name in doers):
        told = {name: program.told[-1500:] for name, program in site.programs.items()}
        assert time.monotonic() < until, told
        time.sleep(0.05)


async def make_due(url: str) -> None:
    """The wallet's next snapshot is due now, whatever its interval."""
    async with Database(url) as database:
        for _ in range(100):
            try:
                async with database.writing() as connection:
                    await connection.execute(update(WALLETS).values(next_snapshot_at=datetime.now(UTC)))
            except StorageError:
                await asyncio.sleep(0.05)
            else:
                return


def wait_for_the_end(running: Running) -> None:
    until = time.monotonic() + LONGEST_SECONDS
    while left := asyncio.run(unfinished(running.database_url)):
        logs = {name: program.told[-1500:] for name, program in running.site.programs.items()}
        assert time.monotonic() < until, (left, logs)
        time.sleep(0.2)


async def unfinished(url: str) -> int:
    """Jobs and batches that have not ended, and snapshots that nobody has taken up."""
    async with Database(url) as database, database.reading() as connection:
        counts = [
            select(func.count()).select_from(JOBS).where(JOBS.c.state.in_(("queued", "running"))),
            select(func.count()).select_from(BATCHES).where(BATCHES.c.state.in_(("queued", "running"))),
            select(func.count()).select_from(WALLETS).where(WALLETS.c.next_snapshot_at <= datetime.now(UTC)),
        ]
        return sum([await connection.scalar(count) or 0 for count in counts])


async def check(url: str, accepted: Accepted) -> dict[str, int]:
    """Everything is there once, and says what the chain says."""
    async with Database(url) as database, database.reading() as connection:
        batches = {row.id: row for row in await connection.execute(select(BATCHES))}
        assert set(batches) == set(accepted.batches)
        for batch_id, numbers in accepted.batches.items():
            batch = batches[batch_id]
            total = len(numbers)
            counts = (batch.state, batch.total, batch.done, batch.failed, batch.incomplete)
            assert counts == ("done", total, total, 0, 0), (batch_id, counts, batch.error)
            question = select(BATCH_RESULTS).where(BATCH_RESULTS.c.batch_id == batch_id)
            results = (await connection.execute(question)).all()
            assert sorted(row.position for row in results) == list(range(total))
            for row in results:
                assert row.document["address"] == wallet_address(numbers[row.position])
                assert held(row.document["portfolio"]) == raw_amount(numbers[row.position], NATIVE)
        taken = await check_snapshots(connection, accepted)
    return {"batches": len(batches), "snapshots": len(accepted.snapshots), "due snapshots": taken}


async def check_snapshots(connection: Any, accepted: Accepted) -> int:
    kept = {row.id: row for row in await connection.execute(select(SNAPSHOTS))}
    by_hand = {key: row for key, row in kept.items() if row.wallet_id is None}
    assert set(by_hand) == {snapshot_id for snapshot_id, _ in accepted.snapshots.values()}
    assert {row.state for row in kept.values()} <= {"complete"}
    jobs = (await connection.execute(select(JOBS).where(JOBS.c.kind == "snapshot"))).all()
    assert {row.state for row in jobs} <= {"done"}
    due = sorted(f"{row.payload['wallet_id']}@{row.payload['due']}" for row in jobs)
    assert sorted(row.unique_key for row in kept.values() if row.wallet_id is not None) == due
    return len(due)


def held(portfolio: Mapping[str, Any]) -> int:
    assert portfolio["complete"], portfolio
    return sum(int(one["raw_amount"]) for one in portfolio["holdings"])


def check_totals(site: Site, accepted: Accepted) -> None:
    """Snapshots, as they are told to people; those of the wallet are the sum of its addresses."""
    for snapshot_id, wallet in accepted.snapshots.values():
        assert total_of(site, snapshot_id) == PRICE * raw_amount(wallet, NATIVE)
    expected = PRICE * sum(raw_amount(number, NATIVE) for number in range(5))
    followed = site.ask("GET", f"/snapshots?wallet={accepted.wallet}&limit=100").json()["snapshots"]
    assert {total_of(site, one["id"]) for one in followed} == {expected}


def total_of(site: Site, snapshot_id: str) -> Decimal:
    """In the smallest unit of the coin, so that nothing is rounded."""
    snapshot = site.ask("GET", f"/snapshots/{snapshot_id}").json()
    return Decimal(snapshot["total_value"]) * 10**18


def survive(running: Running, seed: int) -> None:
    accepted, chance = Accepted(), random.Random(seed)
    follow(running.site, accepted)
    with Forever(asking(running.site, accepted, random.Random(seed + 1))):
        killed = crash(running, accepted, chance, CRASHES)
    wait_for_the_end(running)
    found = asyncio.run(check(running.database_url, accepted))
    check_totals(running.site, accepted)
    sys.stderr.write(json.dumps({"killed": killed, **found}) + "\n")
    assert found["batches"] >= CRASHES // 3
    assert found["due snapshots"] >= 1


def test_nothing_is_lost_or_doubled_when_processes_over_sqlite_are_killed(
    tmp_path: Path, endpoint: str, sqlite_url: str
) -> None:
    with in_process(tmp_path, endpoint, sqlite_url) as running:
        survive(running, 6)


def test_nothing_is_lost_or_doubled_when_anything_over_postgresql_and_celery_is_killed(
    tmp_path: Path, endpoint: str
) -> None:
    with on_several_machines(tmp_path, endpoint) as running:
        survive(running, 7)
