"""What is past its time is deleted, and nothing else."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Table, func, insert, select

from balance_tracker.services import cleaning as service
from balance_tracker.services.cleaning import Cleaning, Keep
from balance_tracker.storage.cleaning import SqlKeptStore
from balance_tracker.storage.database import Database
from balance_tracker.storage.tables import API_KEYS, BATCH_RESULTS, BATCHES, JOBS, KEY_USAGE, SNAPSHOTS
from balance_tracker.telemetry.metrics import METRICS

NOW = datetime(2026, 11, 22, 15, 30, tzinfo=UTC)
DAY = timedelta(days=1)

type Clean = Callable[..., Cleaning]


@pytest.fixture
def cleaning(database: Database) -> Clean:
    """Keeps a week of jobs, a month of usage, and as many days of snapshots as is said."""

    def made(snapshots_days: int | None = None) -> Cleaning:
        return Cleaning(SqlKeptStore(database), Keep(7, 30, snapshots_days), now=lambda: NOW)

    return made


async def put(database: Database, table: Table, *rows: dict[str, object]) -> None:
    async with database.writing() as connection:
        await connection.execute(insert(table), list(rows))


async def ids(database: Database, table: Table = SNAPSHOTS) -> set[str]:
    async with database.reading() as connection:
        return set(await connection.scalars(select(table.c.id)))


async def count(database: Database, table: Table) -> int:
    async with database.reading() as connection:
        return int(await connection.scalar(select(func.count()).select_from(table)) or 0)


def job(name: str, ended_at: datetime | None) -> dict[str, object]:
    start = NOW - 100 * DAY
    state = "queued" if ended_at is None else "done"
    return {
        "id": name,
        "kind": "x",
        "state": state,
        "payload": {},
        "run_at": start,
        "attempt": 0,
        "most_attempts": 8,
        "created_at": start,
        "ended_at": ended_at,
    }


def batch(name: str, ended_at: datetime | None) -> dict[str, object]:
    numbers = dict.fromkeys(("total", "done", "failed", "incomplete"), 1)
    row = {"id": name, "owner": "", "job_id": name, "state": "done", "question": {}, **numbers}
    return {**row, "created_at": NOW - 100 * DAY, "ended_at": ended_at}


def snapshot(name: str, taken_at: datetime, subject: str = "0xa", owner: str = "") -> dict[str, object]:
    row = {"id": name, "owner": owner, "subject": subject, "currency": "usd", "state": "complete"}
    return {**row, "taken_at": taken_at, "unpriced": 0, "document": {}}


async def test_jobs_and_batches_that_ended_long_ago_are_deleted(database: Database, cleaning: Clean) -> None:
    week = NOW - 7 * DAY
    ends = {"old": week - timedelta(seconds=1), "edge": week, "new": NOW, "waiting": None}
    await put(database, JOBS, *(job(name, end) for name, end in ends.items()))
    await put(database, BATCHES, *(batch(name, end) for name, end in ends.items()))
    result = {"position": 0, "status": "done", "document": {}}
    await put(database, BATCH_RESULTS, *({"batch_id": name, **result} for name in ends))

    deleted = await cleaning().clean()

    assert deleted == {"batches": 1, "jobs": 1, "usage": 0, "snapshots": 0}
    assert await ids(database, JOBS) == await ids(database, BATCHES) == {"edge", "new", "waiting"}
    assert await count(database, BATCH_RESULTS) == 3
    assert await cleaning().clean() == {"batches": 0, "jobs": 0, "usage": 0, "snapshots": 0}


async def test_usage_of_whole_days_is_deleted(database: Database, cleaning: Clean) -> None:
    await put(database, API_KEYS, {"id": "key_1", "name": "x", "scopes": "read", "created_at": NOW})
    numbers = dict.fromkeys(("requests", "units", "refused", "errors"), 1)
    for days in (29, 30, 31, 400):
        day = (NOW - days * DAY).date()
        await put(database, KEY_USAGE, {"key_id": "key_1", "day": day, "route": "/balances", **numbers})

    assert (await cleaning().clean())["usage"] == 2
    assert await count(database, KEY_USAGE) == 2


async def test_snapshots_are_kept_for_ever_unless_it_is_said(database: Database, cleaning: Clean) -> None:
    await put(database, SNAPSHOTS, snapshot("ancient", NOW - 5000 * DAY))

    assert (await cleaning().clean())["snapshots"] == 0


async def test_of_each_old_day_and_subject_the_last_snapshot_stays(
    database: Database, cleaning: Clean
) -> None:
    day = datetime(2026, 11, 1, tzinfo=UTC)
    await put(
        database,
        SNAPSHOTS,
        snapshot("first", day),
        snapshot("noon", day + timedelta(hours=12)),
        snapshot("last", day + DAY - timedelta(microseconds=1)),
        snapshot("next day", day + DAY),
        snapshot("other subject", day, subject="wallet:1"),
        snapshot("other owner", day, owner="key_1"),
        snapshot("same time a", day + 2 * DAY),
        snapshot("same time b", day + 2 * DAY),
    )

    assert (await cleaning(10).clean())["snapshots"] == 3
    assert await ids(database) == {"last", "next day", "other subject", "other owner", "same time b"}


async def test_the_last_of_a_day_that_is_known_stays_in_each_currency(
    database: Database, cleaning: Clean
) -> None:
    day = datetime(2026, 11, 1, tzinfo=UTC)
    rows = [snapshot(name, day + hour * timedelta(hours=1)) for hour, name in enumerate("abcdef")]
    rows[2] |= {"state": "estimated"}
    rows[3] |= {"state": "incomplete"}
    rows[4] |= {"currency": "eur"}
    rows[5] |= {"currency": "chf", "state": "incomplete"}
    await put(database, SNAPSHOTS, *rows)

    assert (await cleaning(10).clean())["snapshots"] == 3
    assert await ids(database) == {"c", "e", "f"}


async def test_the_day_that_is_at_its_limit_is_whole(database: Database, cleaning: Clean) -> None:
    limit = datetime(2026, 11, 12, tzinfo=UTC)  # ten days before today
    await put(database, SNAPSHOTS, *(snapshot(f"{n}", limit + n * timedelta(hours=6)) for n in range(-4, 4)))

    assert (await cleaning(10).clean())["snapshots"] == 3
    assert await ids(database) == {"-1", "0", "1", "2", "3"}


async def test_the_last_of_a_day_is_kept_ten_times_as_long(database: Database, cleaning: Clean) -> None:
    limit = datetime(2026, 8, 14, tzinfo=UTC)  # a hundred days before today
    await put(
        database, SNAPSHOTS, snapshot("gone", limit - timedelta(microseconds=1)), snapshot("kept", limit)
    )

    assert (await cleaning(10).clean())["snapshots"] == 1
    assert await ids(database) == {"kept"}


async def test_much_is_deleted_in_small_parts(
    database: Database, cleaning: Clean, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "PART", 20)
    monkeypatch.setattr("balance_tracker.storage.cleaning._PART", 8)
    before = METRICS.registry.get_sample_value("tracker_cleaning_deleted_total", {"kind": "jobs"}) or 0
    await put(database, JOBS, *(job(f"job {n}", NOW - 30 * DAY) for n in range(50)))

    assert (await cleaning().clean())["jobs"] == 50
    assert await ids(database, JOBS) == set()
    after = METRICS.registry.get_sample_value("tracker_cleaning_deleted_total", {"kind": "jobs"})
    assert after == before + 50
