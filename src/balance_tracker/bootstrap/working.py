"""Who does jobs: this process, or Celery's workers; and what is done again and again.

A new kind of job is one entry of :func:`works_of`, something periodic one of :func:`ticks_of`.
"""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack

from balance_tracker.bootstrap.readiness import ComponentStatus
from balance_tracker.core.errors import StorageError
from balance_tracker.jobs.celery_queue import CeleryQueue, celery_app
from balance_tracker.jobs.runner import JobDoer, JobRunner, Work
from balance_tracker.jobs.ticking import Everybody, Tick, Ticker
from balance_tracker.ports.keeping import JobQueue
from balance_tracker.services.batches import BatchService
from balance_tracker.services.cleaning import Cleaning, Keep
from balance_tracker.services.snapshots import SnapshotService
from balance_tracker.settings import Settings
from balance_tracker.storage.batches import BATCH_JOB
from balance_tracker.storage.cleaning import SqlKeptStore
from balance_tracker.storage.database import Database
from balance_tracker.storage.jobs import SqlJobStore
from balance_tracker.storage.leaders import SqlLeaders
from balance_tracker.storage.wallets import SNAPSHOT_JOB
from balance_tracker.telemetry.job_metrics import JOB_METRICS
from balance_tracker.telemetry.redact import protect

BATCH_LIMIT_SECONDS = 3600.0
SNAPSHOT_LIMIT_SECONDS = 120.0
SCHEDULE_SECONDS = 5.0
COUNT_SECONDS = 15.0
ABANDONED_SECONDS = 15.0
CLEAN_SECONDS = 3600.0
ASK_SECONDS = 2.0

LATE_SECONDS = 60.0
"""A job that has been due for longer tells that there are too few workers, or none."""


class Working:
    """Jobs and who does them.

    Args:
        settings: The operator's; with a broker, jobs go to Celery's workers.
        database: Where jobs are kept; its schema is current.

    Attributes:
        store: Keeps jobs.
        queue: Brings them to those who do them.
        doer: Does one, for whoever takes jobs in this process.
        ticker: Does what is done again and again.
        celery: The queue where there is a broker; ``None``: jobs are done in process.
    """

    def __init__(self, settings: Settings, database: Database) -> None:
        self.store = SqlJobStore(database)
        self._work: dict[str, Work] = {}
        self.doer = JobDoer(self.store, self._work, lease_seconds=settings.job_lease_seconds)
        self._runner = JobRunner(self.doer)
        self._leaders = SqlLeaders(database)
        keep = Keep(settings.keep_jobs_days, settings.keep_usage_days, settings.keep_snapshots_days)
        self._cleaning = Cleaning(SqlKeptStore(database), keep)
        self._oldest_due_seconds: float | None = None
        self.celery: CeleryQueue | None = None
        self.queue: JobQueue = self._runner
        self.ticker = Ticker(self._leaders, ())
        if settings.celery_broker_url is not None:
            protect([settings.celery_broker_url])
            self.celery = CeleryQueue(celery_app(settings.celery_broker_url))
            self.queue = self.celery

    @property
    def in_process(self) -> bool:
        """Whether jobs are done by this process and not by Celery's workers."""
        return self.queue is self._runner

    @property
    def last_known(self) -> ComponentStatus:
        """Whether jobs were done in time and the broker answered, when they were last asked."""
        if self._oldest_due_seconds is None:
            return "unknown"
        is_away = self.celery is not None and not self.celery.reachable
        return "degraded" if is_away or self._oldest_due_seconds > LATE_SECONDS else "ok"

    async def asked(self) -> ComponentStatus:
        """Whether jobs are done in time; the database is asked, for two seconds at most."""
        try:
            async with asyncio.timeout(ASK_SECONDS):
                self._oldest_due_seconds = await self.store.oldest_due_seconds()
        except (StorageError, TimeoutError):
            self._oldest_due_seconds = None
        return self.last_known

    def take_up(self, snapshots: SnapshotService, batches: BatchService) -> None:
        """Learn how jobs are done."""
        self._work.update(works_of(snapshots, batches))
        self.ticker = Ticker(self._leaders, ticks_of(snapshots, batches, self.queue, self._cleaning))

    async def start(self, stack: AsyncExitStack, *, does_jobs: bool) -> None:
        """Do jobs in this process, where no worker does, and show how many wait.

        Every process that shows metrics counts for itself: none shows what it knew when it was
        the one that ticks.

        Args:
            stack: Ends it.
            does_jobs: Whether this process serves; a worker of Celery is told what to do.
        """
        if self.celery is not None:
            stack.push_async_callback(self.celery.close)
        if not does_jobs:
            return
        await stack.enter_async_context(Ticker(Everybody(), [self._counting()]))
        if self.in_process:
            await stack.enter_async_context(self._runner)
            await stack.enter_async_context(self.ticker)

    def _counting(self) -> Tick:
        async def count() -> None:
            try:
                oldest = await self.store.oldest_due_seconds()
                JOB_METRICS.show_waiting(await self.store.counts(), oldest)
                self._oldest_due_seconds = oldest
            except StorageError:
                JOB_METRICS.show_unknown()
                self._oldest_due_seconds = None

        return Tick("count_jobs", COUNT_SECONDS, count)


def works_of(snapshots: SnapshotService, batches: BatchService) -> Mapping[str, Work]:
    """How each kind of job is done."""
    return {
        SNAPSHOT_JOB: Work(snapshots.take_due, SNAPSHOT_LIMIT_SECONDS),
        BATCH_JOB: Work(batches.work, BATCH_LIMIT_SECONDS),
    }


def ticks_of(
    snapshots: SnapshotService, batches: BatchService, queue: JobQueue, cleaning: Cleaning
) -> Sequence[Tick]:
    """What one process does again and again."""

    async def schedule() -> None:
        await snapshots.schedule(queue.wake)

    return (
        Tick("schedule_snapshots", SCHEDULE_SECONDS, schedule),
        Tick("end_abandoned_batches", ABANDONED_SECONDS, batches.end_abandoned),
        Tick("clean_up", CLEAN_SECONDS, cleaning.clean),
    )
