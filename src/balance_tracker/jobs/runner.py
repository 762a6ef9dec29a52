"""Does jobs in this process: takes them one by one from the database, a few at a time."""

import asyncio
import random
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Protocol, Self

from balance_tracker.core.errors import InputError, StorageError, TrackerError
from balance_tracker.core.jobs import Job
from balance_tracker.ports.keeping import JobHandler, JobStore
from balance_tracker.telemetry.job_metrics import JOB_METRICS
from balance_tracker.telemetry.logging import get_logger

LEASE_SECONDS = 30.0
"""A worker that dies is noticed after so long at most."""

IDLE_SECONDS = 2.0
"""How often the database is asked while nobody wakes us."""

QUICK_SECONDS = 300.0
"""A kind of job that may take longer never has every worker: others would wait for hours."""

AT_ONCE = 4
STOP_SECONDS = 5.0
FIRST_RETRY_SECONDS = 2.0
LONGEST_RETRY_SECONDS = 3600.0

_log = get_logger(__name__)


class TakesJobs(JobStore, Protocol):
    """A store whose jobs can be given back untried."""

    async def give_back(self, job: Job) -> bool:
        """Another worker may take it at once; the try does not count."""


@dataclass(frozen=True, slots=True)
class Work:
    """How one kind of job is done.

    Attributes:
        handler: Does it.
        limit_seconds: A try that takes longer has failed.
    """

    handler: JobHandler
    limit_seconds: float


class JobDoer:
    """Does one job at a time from begin to end; the in-process runner and Celery's workers share it.

    Args:
        store: Where jobs are kept.
        work: How each kind is done.
        lease_seconds: How long a job is taken for; it is extended while it is worked on.
        now: The time, in UTC.
    """

    def __init__(
        self,
        store: TakesJobs,
        work: Mapping[str, Work],
        *,
        lease_seconds: float = LEASE_SECONDS,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._store = store
        self._work = work
        self._lease_seconds = lease_seconds
        self._now = now
        self._slow = 0

    @property
    def slow(self) -> int:
        """How many jobs of a slow kind are under way."""
        return self._slow

    async def do_next(self, job_id: str | None = None, *, quick_only: bool = False) -> bool:
        """Take a job that is due, or this one, and do it; whether there was one.

        Cancelled, it gives the job back for another worker to take at once.

        Args:
            job_id: Only this one.
            quick_only: Only of a kind that is done in minutes.

        Raises:
            StorageError: The database does not answer; the job is due again when its lease has run out.
        """
        kinds = [kind for kind in self._work if not quick_only or not self._is_slow(kind)]
        job = await self._store.claim(self._lease_seconds, kinds, job_id) if kinds else None
        if job is None:
            return False
        is_slow = self._is_slow(job.kind)
        self._slow += is_slow
        try:
            await self.do(job)
        finally:
            self._slow -= is_slow
        return True

    def _is_slow(self, kind: str) -> bool:
        return self._work[kind].limit_seconds > QUICK_SECONDS

    async def do(self, job: Job) -> None:
        """Do a job that was taken."""
        started = time.perf_counter()
        work = self._work[job.kind]
        try:
            outcome = await self._tried(job, work)
        except asyncio.CancelledError:
            with suppress(StorageError):
                await asyncio.shield(self._store.give_back(job))
            JOB_METRICS.observe_job(job.kind, "given_back", time.perf_counter() - started)
            raise
        seconds = time.perf_counter() - started
        JOB_METRICS.observe_job(job.kind, outcome, seconds)
        _log.info(
            "job_ended",
            kind=job.kind,
            job_id=job.job_id,
            attempt=job.attempt,
            outcome=outcome,
            elapsed_seconds=round(seconds, 3),
        )

    async def _tried(self, job: Job, work: Work) -> str:
        task = asyncio.create_task(_begun(work.handler, job), name=f"job {job.kind}")
        keeper = asyncio.create_task(self._keep(job, task), name=f"lease {job.kind}")
        try:
            async with asyncio.timeout(work.limit_seconds):
                await asyncio.wait({task})
            return await self._ended(job, task)
        except TimeoutError:
            return await self._failed(job, f"It took longer than {work.limit_seconds:.0f} seconds.")
        finally:
            keeper.cancel()
            task.cancel()
            await asyncio.gather(keeper, task, return_exceptions=True)

    async def _ended(self, job: Job, task: "asyncio.Task[None]") -> str:
        if task.cancelled():
            return "lost"
        error = task.exception()
        if error is None:
            return "done" if await self._store.finish(job) else "lost"
        if isinstance(error, InputError):
            await self._store.fail(job, error.message, None)
            return "failed"
        if not isinstance(error, TrackerError):
            _log.error("job_broke", kind=job.kind, job_id=job.job_id, exc_info=error)
        message = error.message if isinstance(error, TrackerError) else f"It broke ({type(error).__name__})."
        return await self._failed(job, message)

    async def _failed(self, job: Job, message: str) -> str:
        if job.attempt >= job.most_attempts:
            await self._store.fail(job, message, None)
            return "failed"
        retry_at = self._now() + timedelta(seconds=retry_seconds(job.attempt, random.random()))
        await self._store.fail(job, message, retry_at)
        return "retried"

    async def _keep(self, job: Job, task: "asyncio.Task[None]") -> None:
        """Extend the lease while the job is worked on; what is another's now is worked on no more."""
        while not task.done():
            await asyncio.sleep(self._lease_seconds / 3)
            with suppress(StorageError):  # it may answer before the lease runs out
                if not await self._store.extend(job, self._lease_seconds):
                    task.cancel()


async def _begun(handler: JobHandler, job: Job) -> None:
    await handler(job)


class JobRunner:
    """Does jobs in this process; implements :class:`balance_tracker.ports.keeping.JobQueue`.

    Several processes may run one over the same database: a job is taken by one of them.

    Args:
        doer: Does one job.
        at_once: How many are done at a time.
        idle_seconds: How often the database is asked while nobody wakes us.
    """

    def __init__(self, doer: JobDoer, *, at_once: int = AT_ONCE, idle_seconds: float = IDLE_SECONDS) -> None:
        self._doer = doer
        self._at_once = at_once
        self._idle_seconds = idle_seconds
        self._awake = asyncio.Event()
        self._stopping = False
        self._workers: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self._workers = [
            asyncio.create_task(self._run(number), name=f"jobs {number}") for number in range(self._at_once)
        ]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let what is nearly done end, and give the rest back."""
        self._stopping = True
        self._awake.set()
        _, late = await asyncio.wait(self._workers, timeout=STOP_SECONDS)
        for worker in late:
            worker.cancel()
        await asyncio.gather(*self._workers, return_exceptions=True)

    async def wake(self, job_ids: Sequence[str]) -> None:
        """There is something to do."""
        del job_ids
        self._awake.set()

    async def _run(self, number: int) -> None:
        while not self._stopping:
            # Before it looks, so that a wake-up meanwhile (or the end) is not slept through.
            self._awake.clear()
            try:
                if await self._doer.do_next(quick_only=number == 0 and self._at_once > 1):
                    self._awake.set()  # where one was, others may be: let the next worker look
                    continue
            except StorageError as error:
                _log.warning("jobs_not_read", reason=error.message)
            except Exception as error:  # noqa: BLE001 - the edge of one job: the worker goes on with others
                _log.exception("job_broke", exc_info=error)
            # Each looks again by itself, since any of the others may be busy for an hour; not all at once.
            with suppress(TimeoutError):
                await asyncio.wait_for(self._awake.wait(), self._idle_seconds * (number + 1))


def retry_seconds(attempt: int, chance: float) -> float:
    """How long until the next try: twice as long each time, and a random part of it.

    >>> retry_seconds(1, 0.0), retry_seconds(1, 1.0), retry_seconds(4, 1.0)
    (1.0, 2.0, 16.0)
    """
    longest: float = min(FIRST_RETRY_SECONDS * 2.0 ** (attempt - 1), LONGEST_RETRY_SECONDS)
    return longest * (0.5 + chance / 2)
