"""The worker: Celery brings the names of jobs, and this process does them.

One process holds one open service on one event loop; Celery's threads only wait for what it does,
so that connections, caches and limits are shared by all jobs of the process.
"""

import asyncio
import sys
import threading
from collections.abc import Coroutine
from concurrent.futures import CancelledError
from contextlib import AsyncExitStack
from typing import Any

from celery import Celery
from celery.signals import worker_init, worker_ready, worker_shutdown, worker_shutting_down

from balance_tracker.bootstrap import load_settings, running
from balance_tracker.bootstrap.service import Service
from balance_tracker.core.errors import ConfigurationError, StorageError
from balance_tracker.jobs.celery_queue import SWEEP, TASK, celery_app
from balance_tracker.settings import Settings
from balance_tracker.telemetry.logging import configure, get_logger

GRACE_SECONDS = 5.0
"""How long a job may go on after the worker was told to stop; then it is given back."""

SWEEP_AT_ONCE = 500

_log = get_logger(__name__)


class Engine:
    """The service of this process on an event loop of its own."""

    def __init__(self, settings: Settings, most_slow: int) -> None:
        self._settings = settings
        self._most_slow = most_slow
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="service", daemon=True)
        self._stack = AsyncExitStack()
        self._service: Service | None = None
        self._jobs: set[asyncio.Task[Any]] = set()

    def start(self) -> None:
        """Open the service; raises what opening it raises."""
        self._thread.start()
        self._call(self._open())

    def stop(self) -> None:
        """Give back what is under way, and close the service."""
        self._call(self._give_back())
        self._call(self._stack.aclose())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(GRACE_SECONDS)

    def stop_soon(self) -> None:
        """Give back what is still under way after the grace."""
        timer = threading.Timer(GRACE_SECONDS, lambda: self._call(self._give_back()))
        timer.daemon = True
        timer.start()

    def do_job(self, job_id: str) -> None:
        """Do a job, unless it is done already or another worker has it."""
        try:
            doer = self._opened.working.doer
            # One that is not taken for that is named again by the next sweep.
            self._call(self._do(doer.do_next(job_id, quick_only=doer.slow >= self._most_slow)))
        except CancelledError:
            _log.info("job_given_back", job_id=job_id)
        except StorageError as error:
            _log.warning("jobs_not_read", reason=error.message)

    def sweep(self) -> None:
        """Name what is due to the workers."""
        try:
            self._call(self._sweep())
        except StorageError as error:
            _log.warning("jobs_not_read", reason=error.message)

    @property
    def _opened(self) -> Service:
        if self._service is None:
            raise RuntimeError("The engine is not started")
        return self._service

    async def _open(self) -> None:
        tracker = await self._stack.enter_async_context(running(self._settings))
        self._service = await self._stack.enter_async_context(Service(tracker, does_jobs=False))
        # On its own clock: messages wait for a thread, which hours of batches may have.
        await self._stack.enter_async_context(self._service.working.ticker)

    async def _sweep(self) -> None:
        working = self._opened.working
        await working.queue.wake(await working.store.due(SWEEP_AT_ONCE))

    async def _do(self, work: Coroutine[Any, Any, bool]) -> None:
        job = asyncio.create_task(work)
        self._jobs.add(job)
        job.add_done_callback(self._jobs.discard)
        await job

    async def _give_back(self) -> None:
        """End what is under way, and wait until the database says that another may do it."""
        jobs = list(self._jobs)
        for job in jobs:
            job.cancel()
        await asyncio.gather(*jobs, return_exceptions=True)

    def _call[T](self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()


def make_worker(settings: Settings, concurrency: int = 1) -> Celery:
    """The Celery app of a worker or of beat; one thread of several is kept for what is done in minutes.

    Raises:
        ConfigurationError: There is no broker.
    """
    if settings.celery_broker_url is None:
        raise ConfigurationError(
            "There is no broker: jobs run in the API process.",
            hint="Set CELERY_BROKER_URL, for example redis://localhost:6379/1, here and for the API.",
        )
    app = celery_app(settings.celery_broker_url)
    engine = Engine(settings, max(1, concurrency - 1))

    def do_job(job_id: str) -> None:
        engine.do_job(job_id)

    def sweep() -> None:
        engine.sweep()

    app.task(name=TASK)(do_job)
    app.task(name=SWEEP)(sweep)
    # Weak references would be gone with this function.
    worker_init.connect(lambda **_: engine.start(), weak=False)
    worker_ready.connect(lambda **_: _log.info("worker_ready"), weak=False)
    worker_shutting_down.connect(lambda **_: engine.stop_soon(), weak=False)
    worker_shutdown.connect(lambda **_: engine.stop(), weak=False)
    return app


def run_worker(concurrency: int) -> None:
    """Do jobs until told to stop."""
    settings = _ready()
    make_worker(settings, concurrency).worker_main(
        [
            "worker",
            "--pool=threads",
            f"--concurrency={concurrency}",
            "--loglevel=WARNING",
            "--without-gossip",
            "--without-mingle",
            "--without-heartbeat",
        ]
    )


def run_beat() -> None:
    """Name due jobs to the workers every few seconds, until told to stop."""
    settings = _ready()
    # It keeps nothing: what is due stands in the database, and several of it do no harm.
    app = make_worker(settings)
    app.start(["beat", "--scheduler=celery.beat:Scheduler", "--pidfile=", "--loglevel=WARNING"])


def _ready() -> Settings:
    settings = load_settings()
    configure(settings.log_format, settings.log_level)
    return settings


if __name__ == "__main__":
    if sys.argv[1] == "beat":
        run_beat()
    else:
        run_worker(int(sys.argv[2]))
