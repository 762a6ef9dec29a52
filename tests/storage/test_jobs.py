"""Jobs, on every database: nothing is lost, nothing is done by two at once."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from balance_tracker.core.jobs import Job, JobState, NewJob
from balance_tracker.storage.database import Database
from balance_tracker.storage.jobs import WORKER_LOST, SqlJobStore, end_job, holds

KINDS = ("batch", "snapshot")
START = datetime(2026, 11, 22, 5, 0, tzinfo=UTC)


class Clock:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now

    def pass_seconds(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(database: Database, clock: Clock) -> SqlJobStore:
    return SqlJobStore(database, clock)


async def claimed(store: SqlJobStore, job_id: str | None = None) -> Job:
    job = await store.claim(30, KINDS, job_id)
    assert job is not None
    return job


async def test_a_job_is_taken_by_one_worker_and_ended_by_it(store: SqlJobStore) -> None:
    (job_id,) = await store.add([NewJob("batch", {"batch_id": "bat_1", "n": 3})])
    assert await store.due(10) == [job_id]

    job = await claimed(store)

    assert (job.job_id, job.kind, job.payload, job.attempt) == (
        job_id,
        "batch",
        {"batch_id": "bat_1", "n": 3},
        1,
    )
    assert await store.claim(30, KINDS) is None
    assert await store.due(10) == []
    assert await store.finish(job)
    assert await store.state(job_id) == (JobState.DONE, None)
    assert not await store.finish(job)


async def test_jobs_are_taken_in_the_order_they_are_due(store: SqlJobStore, clock: Clock) -> None:
    later = NewJob("batch", {"n": 2}, run_at=START + timedelta(seconds=10))
    sooner = NewJob("batch", {"n": 1}, run_at=START + timedelta(seconds=5))
    await store.add([later, sooner])
    assert await store.claim(30, KINDS) is None

    clock.pass_seconds(11)

    assert await store.oldest_due_seconds() == 6
    assert [(await claimed(store)).payload["n"] for _ in range(2)] == [1, 2]
    assert await store.oldest_due_seconds() == 0


async def test_only_the_kinds_that_a_worker_knows_are_taken(store: SqlJobStore) -> None:
    await store.add([NewJob("unheard_of")])

    assert await store.claim(30, KINDS) is None
    assert await store.counts() == {("unheard_of", "queued"): 1}


async def test_a_job_with_a_unique_key_is_kept_once(store: SqlJobStore) -> None:
    first = await store.add([NewJob("snapshot", {"n": 1}, unique_key="a"), NewJob("snapshot")])
    second = await store.add([NewJob("snapshot", {"n": 2}, unique_key="a"), NewJob("snapshot")])

    assert first[0] == second[0]
    assert len({*first, *second}) == 3
    assert (await claimed(store, first[0])).payload == {"n": 1}


async def test_the_job_of_a_worker_that_died_is_due_when_its_lease_has_run_out(
    store: SqlJobStore, clock: Clock
) -> None:
    await store.add([NewJob("batch")])
    dead = await claimed(store)
    clock.pass_seconds(29)
    assert await store.claim(30, KINDS) is None

    clock.pass_seconds(2)
    heir = await claimed(store)

    assert (heir.job_id, heir.attempt) == (dead.job_id, 2)
    assert not await store.finish(dead)
    assert not await store.extend(dead, 30)
    assert not await store.fail(dead, "late", None)
    assert await store.finish(heir)


async def test_a_lease_that_is_extended_holds(store: SqlJobStore, clock: Clock) -> None:
    await store.add([NewJob("batch")])
    job = await claimed(store)
    clock.pass_seconds(20)
    assert await store.extend(job, 30)
    clock.pass_seconds(20)

    assert await store.claim(30, KINDS) is None


async def test_a_lease_that_ran_out_still_counts_while_nobody_took_the_job(
    store: SqlJobStore, clock: Clock
) -> None:
    """A worker that was slow to say so loses nothing."""
    await store.add([NewJob("batch")])
    job = await claimed(store)
    clock.pass_seconds(100)

    assert await store.extend(job, 30)
    assert await store.finish(job)


async def test_a_job_that_ends_every_worker_fails_in_the_end(store: SqlJobStore, clock: Clock) -> None:
    (job_id,) = await store.add([NewJob("batch", most_attempts=2)])
    for _ in range(2):
        await claimed(store)
        clock.pass_seconds(31)

    assert await store.claim(30, KINDS) is None
    assert await store.state(job_id) == (JobState.FAILED, WORKER_LOST)


async def test_a_failed_try_waits_for_its_time(store: SqlJobStore, clock: Clock) -> None:
    (job_id,) = await store.add([NewJob("batch")])
    job = await claimed(store)
    assert await store.fail(job, "x" * 1000, START + timedelta(seconds=10))
    assert await store.claim(30, KINDS) is None
    found = await store.state(job_id)
    assert found is not None
    assert (found[0], len(found[1] or "")) == (JobState.QUEUED, 500)

    clock.pass_seconds(10)
    again = await claimed(store)
    assert again.attempt == 2
    assert await store.fail(again, "for good", None)
    assert await store.state(job_id) == (JobState.FAILED, "for good")


async def test_a_job_given_back_is_due_at_once_and_the_try_does_not_count(store: SqlJobStore) -> None:
    await store.add([NewJob("batch", most_attempts=1)])
    for _ in range(3):
        job = await claimed(store)
        assert job.attempt == 1
        assert await store.give_back(job)


async def test_a_cancelled_job_is_nobodys(store: SqlJobStore) -> None:
    running, waiting = await store.add([NewJob("batch"), NewJob("batch")])
    job = await claimed(store, running)

    assert await store.cancel(running)
    assert await store.cancel(waiting)
    assert not await store.cancel(waiting)
    assert not await store.extend(job, 30)
    assert not await store.finish(job)
    assert await store.claim(30, KINDS) is None


async def test_an_effect_is_written_only_while_the_lease_holds(
    database: Database, store: SqlJobStore, clock: Clock
) -> None:
    await store.add([NewJob("batch")])
    old = await claimed(store)
    clock.pass_seconds(31)
    new = await claimed(store)

    async with database.writing() as connection:
        assert not await holds(connection, old)
        assert await holds(connection, new)
        assert not await holds(connection, replace(new, lease="guessed"))
        assert not await end_job(connection, old, JobState.DONE, clock.now)
        assert await end_job(connection, new, JobState.DONE, clock.now)


async def test_many_workers_take_each_job_once(database: Database, store: SqlJobStore) -> None:
    ids = await store.add([NewJob("batch") for _ in range(40)])

    async def work() -> list[str]:
        done: list[str] = []
        while (job := await store.claim(30, KINDS)) is not None:
            done.append(job.job_id)
            assert await store.finish(job)
        return done

    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        workers = [group.create_task(work()) for _ in range(5)]

    assert sorted(job_id for worker in workers for job_id in worker.result()) == sorted(ids)
    assert await store.counts() == {}
