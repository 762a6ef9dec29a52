"""The runner in this process: tries, time limits, leases, and an end that loses nothing."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from balance_tracker.core.errors import InputError, UpstreamError
from balance_tracker.core.jobs import Job, JobState, NewJob
from balance_tracker.jobs import runner
from balance_tracker.jobs.runner import JobDoer, JobRunner, Work
from balance_tracker.storage import migrating
from balance_tracker.storage.database import Database
from balance_tracker.storage.jobs import SqlJobStore

type Handler = Callable[[Job], Awaitable[None]]


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqlJobStore]:
    async with Database(f"sqlite:///{tmp_path}/jobs.db") as database:
        await migrating.upgrade(database)
        yield SqlJobStore(database)


@asynccontextmanager
async def running(
    store: SqlJobStore, handlers: Mapping[str, Handler], *, limit_seconds: float = 5, lease_seconds: float = 5
) -> AsyncIterator[JobRunner]:
    work = {kind: Work(handler, limit_seconds) for kind, handler in handlers.items()}
    doer = JobDoer(store, work, lease_seconds=lease_seconds)
    async with asyncio.timeout(20), JobRunner(doer, at_once=2, idle_seconds=0.05) as opened:
        yield opened


async def ended(store: SqlJobStore, job_id: str) -> tuple[JobState, str | None]:
    while True:
        found = await store.state(job_id)
        assert found is not None
        if found[0] not in {JobState.QUEUED, JobState.RUNNING}:
            return found
        await asyncio.sleep(0.01)


async def test_a_job_is_done_as_soon_as_the_runner_is_woken(store: SqlJobStore) -> None:
    done: list[object] = []

    async def handler(job: Job) -> None:
        done.append(job.payload["n"])

    async with running(store, {"a": handler}) as queue:
        ids = await store.add([NewJob("a", {"n": n}) for n in range(5)])
        await queue.wake(ids)
        for job_id in ids:
            assert await ended(store, job_id) == (JobState.DONE, None)
    assert sorted(done) == [0, 1, 2, 3, 4]  # type: ignore[type-var]


async def test_what_nobody_woke_it_for_is_found_all_the_same(store: SqlJobStore) -> None:
    async def handler(_job: Job) -> None:
        return

    async with running(store, {"a": handler}):
        await asyncio.sleep(0.1)
        (job_id,) = await store.add([NewJob("a")])
        assert (await ended(store, job_id))[0] is JobState.DONE


async def test_a_failure_is_tried_again_until_there_are_no_tries_left(
    store: SqlJobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "FIRST_RETRY_SECONDS", 0.01)
    tries: list[int] = []

    async def handler(job: Job) -> None:
        tries.append(job.attempt)
        raise UpstreamError("Not now.")

    async with running(store, {"a": handler}):
        (job_id,) = await store.add([NewJob("a", most_attempts=3)])
        assert await ended(store, job_id) == (JobState.FAILED, "Not now.")
    assert tries == [1, 2, 3]


async def test_what_is_wrong_for_good_is_not_tried_again(store: SqlJobStore) -> None:
    async def handler(_job: Job) -> None:
        raise InputError("There is no network 'x'.")

    async with running(store, {"a": handler}):
        (job_id,) = await store.add([NewJob("a")])
        assert await ended(store, job_id) == (JobState.FAILED, "There is no network 'x'.")


async def test_a_mistake_of_ours_is_recorded_and_tells_no_secret(
    store: SqlJobStore, capsys: pytest.CaptureFixture[str]
) -> None:
    from balance_tracker.telemetry.logging import configure  # noqa: PLC0415 - it sets up the whole process

    configure("json", "info")

    async def handler(_job: Job) -> None:
        raise RuntimeError("https://user:secret@host/")

    async with running(store, {"a": handler}):
        (job_id,) = await store.add([NewJob("a", most_attempts=1)])
        assert await ended(store, job_id) == (JobState.FAILED, "It broke (RuntimeError).")
    assert '"job_broke"' in capsys.readouterr().err


async def test_a_try_that_takes_too_long_has_failed(store: SqlJobStore) -> None:
    stopped = asyncio.Event()

    async def handler(_job: Job) -> None:
        try:
            await asyncio.sleep(60)
        finally:
            stopped.set()

    async with running(store, {"a": handler}, limit_seconds=0.1):
        (job_id,) = await store.add([NewJob("a", most_attempts=1)])
        state, error = await ended(store, job_id)
    assert state is JobState.FAILED
    assert error is not None
    assert "longer than" in error
    assert stopped.is_set()


async def test_a_long_job_keeps_its_lease(store: SqlJobStore) -> None:
    begun = 0

    async def handler(_job: Job) -> None:
        nonlocal begun
        begun += 1
        await asyncio.sleep(1.0)

    async with running(store, {"a": handler}, lease_seconds=0.3):
        (job_id,) = await store.add([NewJob("a")])
        assert (await ended(store, job_id))[0] is JobState.DONE
    assert begun == 1


async def test_a_cancelled_job_is_stopped_at_work(store: SqlJobStore) -> None:
    begun, stopped = asyncio.Event(), asyncio.Event()

    async def handler(_job: Job) -> None:
        begun.set()
        try:
            await asyncio.sleep(60)
        finally:
            stopped.set()

    async with running(store, {"a": handler}, lease_seconds=0.3):
        (job_id,) = await store.add([NewJob("a")])
        await begun.wait()
        assert await store.cancel(job_id)
        await stopped.wait()
        assert (await ended(store, job_id))[0] is JobState.CANCELLED


async def test_at_the_end_what_is_under_way_is_given_back_for_another_to_take_at_once(
    store: SqlJobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "STOP_SECONDS", 0.1)
    begun = asyncio.Event()
    attempts: list[int] = []

    async def endless(job: Job) -> None:
        attempts.append(job.attempt)
        begun.set()
        await asyncio.sleep(60)

    async def quick(job: Job) -> None:
        attempts.append(job.attempt)

    async with running(store, {"a": endless}):
        (job_id,) = await store.add([NewJob("a")])
        await begun.wait()
    assert await store.state(job_id) == (JobState.QUEUED, None)
    async with running(store, {"a": quick}):
        assert (await ended(store, job_id))[0] is JobState.DONE
    assert attempts == [1, 1]


async def test_what_is_nearly_done_may_end(store: SqlJobStore) -> None:
    begun = asyncio.Event()

    async def handler(_job: Job) -> None:
        begun.set()
        await asyncio.sleep(0.2)

    async with running(store, {"a": handler}):
        (job_id,) = await store.add([NewJob("a")])
        await begun.wait()
    assert await store.state(job_id) == (JobState.DONE, None)


async def test_slow_jobs_leave_a_worker_to_the_quick_ones(store: SqlJobStore) -> None:
    async def endless(_job: Job) -> None:
        await asyncio.sleep(60)

    async def quick(_job: Job) -> None:
        return

    work = {"slow": Work(endless, 3600), "quick": Work(quick, 60)}
    await store.add([NewJob("slow")] * 5)
    async with asyncio.timeout(20):
        runner_ = JobRunner(JobDoer(store, work), at_once=2, idle_seconds=0.05)
        await runner_.__aenter__()
        await asyncio.sleep(0.3)
        (job_id,) = await store.add([NewJob("quick")])
        assert (await ended(store, job_id))[0] is JobState.DONE
        for task in runner_._workers:
            task.cancel()
