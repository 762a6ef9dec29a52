"""Celery: tells workers on other machines that jobs are due. What is due stands in the database.

A message only names a job. Losing one, or getting it twice, changes nothing: whoever gets it asks
the database for the job, and beat has what is due named again every few seconds.
"""

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from celery import Celery

from balance_tracker.telemetry.job_metrics import JOB_METRICS
from balance_tracker.telemetry.logging import get_logger
from balance_tracker.telemetry.redact import redact_text

if TYPE_CHECKING:
    from kombu.connection import Connection

TASK = "balance_tracker.do_job"
SWEEP = "balance_tracker.sweep"
QUEUE = "balance-tracker"
SWEEP_SECONDS = 5.0
CONNECT_SECONDS = 2.0
QUIET_SECONDS = 10.0
"""After the broker did not answer, it is not asked for so long."""

MOST_WAITING = 1000
"""Messages that wait for a worker: where there are so many, naming more jobs would bring none forward."""

_log = get_logger(__name__)


def celery_app(broker_url: str) -> Celery:
    """A Celery app that sends and takes small JSON messages, and keeps no results.

    A message is acknowledged when the job it names has ended: a worker that is killed leaves it to
    another one.
    """
    app = Celery("balance_tracker", broker=broker_url, set_as_current=False)
    app.conf.update(
        task_serializer="json",
        accept_content=["json"],
        task_ignore_result=True,
        task_store_errors_even_if_ignored=False,
        task_default_queue=QUEUE,
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        task_publish_retry=False,
        worker_prefetch_multiplier=1,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        worker_send_task_events=False,
        worker_enable_remote_control=False,
        broker_connection_timeout=CONNECT_SECONDS,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,  # however long it is away, they wait for it
        broker_transport_options={
            "visibility_timeout": 3600,
            "socket_timeout": CONNECT_SECONDS,
            "socket_connect_timeout": CONNECT_SECONDS,
        },
        beat_schedule={
            # A sweep that nobody took before the next one is due is of no use any more.
            "sweep": {"task": SWEEP, "schedule": SWEEP_SECONDS, "options": {"expires": SWEEP_SECONDS}}
        },
        timezone="UTC",
    )
    return app


class CeleryQueue:
    """Implements :class:`balance_tracker.ports.keeping.JobQueue`; nobody waits for the broker."""

    def __init__(self, app: Celery) -> None:
        self._app = app
        self._quiet_until = 0.0
        self._reachable = True
        self._unsent: dict[str, None] = {}
        self._sending: asyncio.Task[None] | None = None

    @property
    def reachable(self) -> bool:
        """Whether the broker took the last messages; true before the first ones."""
        return self._reachable

    async def wake(self, job_ids: Sequence[str]) -> None:
        """Have jobs named to the workers soon; where the broker is away, a sweep names them again."""
        if not job_ids or time.monotonic() < self._quiet_until:
            return
        self._unsent.update(dict.fromkeys(job_ids[: MOST_WAITING - len(self._unsent)]))
        if self._sending is None or self._sending.done():
            self._sending = asyncio.create_task(self._send_all(), name="jobs to workers")

    async def close(self) -> None:
        """Wait for what is being sent, but not long."""
        if self._sending is not None:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._sending, CONNECT_SECONDS)

    async def _send_all(self) -> None:
        while self._unsent:
            job_ids, self._unsent = list(self._unsent), {}
            try:
                await asyncio.to_thread(self._send, job_ids)
                self._reachable = True
            except Exception as error:  # noqa: BLE001 - the edge to the broker, whose client raises many kinds
                self._unsent.clear()
                self._reachable = False
                self._quiet_until = time.monotonic() + QUIET_SECONDS
                JOB_METRICS.observe_lost_message(len(job_ids))
                _log.warning("jobs_not_sent", jobs=len(job_ids), reason=redact_text(type(error).__name__))

    def _send(self, job_ids: Sequence[str]) -> None:
        with self._app.connection_for_write() as connection:
            connection.ensure_connection(max_retries=1, interval_start=0, timeout=CONNECT_SECONDS)
            for job_id in job_ids[: max(0, MOST_WAITING - _waiting(connection))]:
                self._app.send_task(TASK, args=[job_id], connection=connection, retry=False)


def _waiting(connection: "Connection") -> int:
    """Messages that no worker has taken yet."""
    untyped: Any = connection
    with untyped.channel() as channel:
        try:
            count: int = channel.queue_declare(queue=QUEUE, passive=True).message_count
        except connection.channel_errors:  # there is no queue before the first message
            return 0
    return count
