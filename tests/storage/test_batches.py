"""Batches, on every database: kept once, worked on by one, and counts that are what is there."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select

from balance_tracker.core.batches import Batch, BatchQuestion, BatchState, ResultStatus
from balance_tracker.core.errors import ConflictError
from balance_tracker.core.jobs import Job, JobState
from balance_tracker.core.kept import Owner
from balance_tracker.ports.batches import BatchResult, IdempotencyKey
from balance_tracker.storage.batches import SqlBatchStore
from balance_tracker.storage.database import Database
from balance_tracker.storage.jobs import SqlJobStore
from balance_tracker.storage.tables import BATCHES, JOBS

NOW = datetime(2026, 11, 22, 5, 0, tzinfo=UTC)
MINE, YOURS = Owner("key_mine"), Owner("key_yours")
MANY = 100


class Clock:
    now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(database: Database, clock: Clock) -> SqlBatchStore:
    return SqlBatchStore(database, clock)


@pytest.fixture
def jobs(database: Database, clock: Clock) -> SqlJobStore:
    return SqlJobStore(database, clock)


def question(count: int = 3) -> BatchQuestion:
    return BatchQuestion(tuple(f"0x{number}" for number in range(count)), ("base",), ("balances",), "eur")


def new(number: int = 1, count: int = 3, owner: Owner = MINE) -> Batch:
    return Batch(f"bat_{number:04}", owner, "", BatchState.QUEUED, count, 0, 0, 0, NOW)


def key(text: str = "a", fingerprint: bytes = b"f" * 32) -> IdempotencyKey:
    return IdempotencyKey(text, fingerprint)


def result(position: int, status: ResultStatus = ResultStatus.OK, says: str = "first") -> BatchResult:
    return BatchResult(position, status, {"address": f"0x{position}", "says": says})


async def claimed(jobs: SqlJobStore) -> Job:
    job = await jobs.claim(30, ["batch"])
    assert job is not None
    return job


async def stood(store: SqlBatchStore, batch_id: str = "bat_0001") -> Batch:
    found = await store.get(batch_id, None)
    assert found is not None
    return found


async def test_a_batch_is_kept_along_with_its_job(store: SqlBatchStore, jobs: SqlJobStore) -> None:
    kept = await store.add(new(), question(), None, MANY)

    job = await claimed(jobs)
    assert (job.job_id, job.payload) == (kept.job_id, {"batch_id": "bat_0001"})
    assert await store.get("bat_0001", [MINE]) == kept
    assert await store.begin("bat_0001", job) == (question(), frozenset())
    assert (await stood(store)).state is BatchState.RUNNING


async def test_the_same_key_gives_the_same_batch_and_another_question_a_conflict(
    store: SqlBatchStore, jobs: SqlJobStore
) -> None:
    first = await store.add(new(1), question(), key(), MANY)
    again = await store.add(new(2), question(), key(), MANY)
    assert again == first

    with pytest.raises(ConflictError) as raised:
        await store.add(new(3), question(2), key(fingerprint=b"g" * 32), MANY)
    assert raised.value.code == "idempotency_conflict"
    other = await store.add(new(4, owner=YOURS), question(), key(), MANY)
    assert other.batch_id == "bat_0004"
    assert await jobs.counts() == {("batch", "queued"): 2}


async def test_one_key_asked_with_at_the_same_time_is_one_batch(
    store: SqlBatchStore, database: Database
) -> None:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(store.add(new(number), question(), key(), MANY)) for number in range(20)]

    assert len({task.result().batch_id for task in tasks}) == 1
    async with database.reading() as connection:
        assert await connection.scalar(select(func.count()).select_from(JOBS)) == 1
        assert await connection.scalar(select(func.count()).select_from(BATCHES)) == 1


async def test_the_limit_is_exact_when_many_ask_at_the_same_time(store: SqlBatchStore) -> None:
    tasks = [asyncio.create_task(store.add(new(number), question(), None, 5)) for number in range(20)]
    ended = await asyncio.gather(*tasks, return_exceptions=True)

    refused = [one for one in ended if isinstance(one, ConflictError)]
    assert len(refused) == 15
    assert {one.code for one in refused} == {"too_many_batches"}
    await store.add(new(100, owner=YOURS), question(), None, 5)


async def test_a_batch_that_has_ended_makes_room(store: SqlBatchStore) -> None:
    await store.add(new(1), question(), None, 1)
    with pytest.raises(ConflictError):
        await store.add(new(2), question(), None, 1)
    await store.cancel("bat_0001", [MINE])
    await store.add(new(2), question(), None, 1)


async def test_results_are_kept_once_and_counted(store: SqlBatchStore, jobs: SqlJobStore) -> None:
    await store.add(new(count=4), question(4), None, MANY)
    job = await claimed(jobs)
    await store.begin("bat_0001", job)

    assert await store.keep("bat_0001", job, [result(1), result(0, ResultStatus.FAILED)])
    assert await store.keep(
        "bat_0001", job, [result(1, ResultStatus.FAILED, "second"), result(3, ResultStatus.PARTIAL)]
    )

    found = await stood(store)
    assert (found.done, found.failed, found.incomplete) == (3, 1, 1)
    begun = await store.begin("bat_0001", job)
    assert begun is not None
    assert begun[1] == {0, 1, 3}
    assert [one.document["says"] for one in await store.results("bat_0001", -1, 10)] == ["first"] * 3


async def test_results_come_in_pages_in_the_order_of_their_places(
    store: SqlBatchStore, jobs: SqlJobStore
) -> None:
    count = 450
    await store.add(new(count=count), question(count), None, MANY)
    job = await claimed(jobs)
    await store.keep("bat_0001", job, [result(position) for position in reversed(range(count))])

    first = await store.results("bat_0001", -1, 100)
    second = await store.results("bat_0001", first[-1].position, 100)
    assert [one.position for one in (*first, *second)] == list(range(200))
    assert [one.position async for one in store.all_results("bat_0001")] == list(range(count))
    assert await store.results("bat_0001", count - 1, 100) == []


@pytest.mark.parametrize(
    ("statuses", "state"),
    [
        (["ok", "ok"], BatchState.DONE),
        (["ok", "partial"], BatchState.PARTIAL),
        (["ok", "failed"], BatchState.PARTIAL),
        (["failed", "failed"], BatchState.FAILED),
    ],
)
async def test_a_batch_ends_in_the_state_of_its_results(
    store: SqlBatchStore, jobs: SqlJobStore, statuses: list[str], state: BatchState
) -> None:
    await store.add(new(count=2), question(2), None, MANY)
    job = await claimed(jobs)
    await store.begin("bat_0001", job)
    await store.keep("bat_0001", job, [result(at, ResultStatus(text)) for at, text in enumerate(statuses)])

    assert await store.end("bat_0001", job)
    assert await store.end("bat_0001", job)  # a worker that was cut off before its job ended

    found = await stood(store)
    assert (found.state, found.ended_at, found.left(NOW)) == (state, NOW, None)
    assert await store.begin("bat_0001", job) is None


async def test_what_another_worker_has_is_written_by_that_one_only(
    store: SqlBatchStore, jobs: SqlJobStore, clock: Clock
) -> None:
    await store.add(new(), question(), None, MANY)
    old = await claimed(jobs)
    await store.begin("bat_0001", old)
    clock.now += timedelta(seconds=31)
    heir = await claimed(jobs)

    assert await store.begin("bat_0001", old) is None
    assert not await store.keep("bat_0001", old, [result(0)])
    assert not await store.end("bat_0001", old)
    assert await store.keep("bat_0001", heir, [result(1)])
    assert (await stood(store)).done == 1


async def test_a_cancelled_batch_keeps_what_is_there_and_takes_no_more(
    store: SqlBatchStore, jobs: SqlJobStore
) -> None:
    await store.add(new(), question(), None, MANY)
    job = await claimed(jobs)
    await store.begin("bat_0001", job)
    await store.keep("bat_0001", job, [result(0)])

    assert await store.cancel("bat_0001", [YOURS]) is None
    cancelled = await store.cancel("bat_0001", [MINE])

    assert cancelled is not None
    assert (cancelled.state, cancelled.done) == (BatchState.CANCELLED, 1)
    assert not await store.keep("bat_0001", job, [result(1)])
    assert not await store.end("bat_0001", job)
    assert not await jobs.extend(job, 30)
    assert await store.cancel("bat_0001", None) == cancelled
    assert await stood(store) == cancelled


async def test_counts_stay_right_however_keeping_ending_and_cancelling_meet(
    store: SqlBatchStore, jobs: SqlJobStore
) -> None:
    for number in range(8):
        batch_id = f"bat_{number:04}"
        await store.add(new(number, count=20), question(20), None, MANY)
        job = await claimed(jobs)
        await store.begin(batch_id, job)

        async def kept(batch_id: str = batch_id, job: Job = job) -> None:
            for position in range(10):
                await store.keep(batch_id, job, [result(position), result(position + 10)])
            await store.end(batch_id, job)

        async def cancelled(batch_id: str = batch_id, after: float = number * 0.004) -> None:
            await asyncio.sleep(after)
            await store.cancel(batch_id, None)

        async with asyncio.timeout(30), asyncio.TaskGroup() as group:
            group.create_task(kept())
            group.create_task(kept())
            group.create_task(cancelled())

        found = await stood(store, batch_id)
        there = await store.results(batch_id, -1, 100)
        assert (found.done, found.failed, found.incomplete) == (len(there), 0, 0)
        assert found.state in {BatchState.CANCELLED, BatchState.DONE}
        assert found.state is BatchState.CANCELLED or found.done == 20


async def test_a_batch_whose_job_failed_for_good_is_ended(
    store: SqlBatchStore, jobs: SqlJobStore, clock: Clock
) -> None:
    for number in (1, 2):
        await store.add(new(number), question(), None, MANY)
    job = await claimed(jobs)
    await store.begin(str(job.payload["batch_id"]), job)
    assert await store.end_abandoned() == 0
    for _ in range(job.most_attempts - 1):
        clock.now += timedelta(seconds=31)
        await jobs.claim(30, ["batch"], job.job_id)
    clock.now += timedelta(seconds=31)
    assert await jobs.claim(30, ["batch"], job.job_id) is None
    assert await jobs.state(job.job_id) == (JobState.FAILED, "worker_lost")

    assert await store.end_abandoned() == 1

    found = await stood(store, str(job.payload["batch_id"]))
    assert (found.state, found.error, found.ended_at) == (BatchState.FAILED, "worker_lost", clock.now)
    assert await store.end_abandoned() == 0


async def test_a_batch_that_gets_further_each_time_outlives_any_number_of_workers(
    store: SqlBatchStore, jobs: SqlJobStore, clock: Clock
) -> None:
    count = 30
    await store.add(new(count=count), question(count), None, MANY)
    for position in range(count):
        job = await claimed(jobs)
        assert await store.keep("bat_0001", job, [result(position)])
        clock.now += timedelta(seconds=31)
    assert (await stood(store)).done == count


async def test_batches_are_listed_for_their_owner_the_newest_first(store: SqlBatchStore) -> None:
    for number in range(5):
        await store.add(new(number, owner=YOURS if number == 2 else MINE), question(), None, MANY)

    assert [one.batch_id for one in await store.batches([MINE], 2, None)] == ["bat_0004", "bat_0003"]
    assert [one.batch_id for one in await store.batches([MINE], 9, "bat_0003")] == ["bat_0001", "bat_0000"]
    assert len(await store.batches(None, 9, None)) == 5
    assert await store.get("bat_0002", [MINE]) is None
