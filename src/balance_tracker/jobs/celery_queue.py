"""Celery: tells workers on other machines that jobs are due. What is due stands in the database.

A message only names a job. Losing one, or getting it twice, changes nothing: whoever gets it asks
the database for the job, and beat names what is due again every few seconds.
"""

import asyncio
import time
from collections.abc import Sequence

from celery import Celery
from kombu.exceptions import KombuError

from balance_tracker.telemetry.job_metrics import JOB_METRICS
from balance_tracker.telemetry.logging import get_logger
from balance_tracker.telemetry.redact import redact_text

TASK = "balance_tracker.do_job"
SWEEP = "balance_tracker.sweep"
QUEUE = "balance-tracker"
SWEEP_SECONDS = 5.0
CONNECT_SECONDS = 2.0
QUIET_SECONDS = 10.0
"""After the broker did not answer, it is not asked for so long: requests don't wait for it."""

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
    """Implements :class:`balance_tracker.ports.keeping.JobQueue`."""

    def __init__(self, app: Celery) -> None:
        self._app = app
        self._quiet_until = 0.0

    async def wake(self, job_ids: Sequence[str]) -> None:
        """Name jobs to the workers; a broker that is away is told of by a line, and beat names them again."""
        if not job_ids or time.monotonic() < self._quiet_until:
            return
        try:
            await asyncio.to_thread(self._send, list(job_ids))
        except (OSError, KombuError) as error:
            self._quiet_until = time.monotonic() + QUIET_SECONDS
            JOB_METRICS.observe_lost_message(len(job_ids))
            _log.warning("jobs_not_sent", jobs=len(job_ids), reason=redact_text(type(error).__name__))

    def _send(self, job_ids: Sequence[str]) -> None:
        with self._app.connection_for_write() as connection:
            connection.ensure_connection(max_retries=1, timeout=CONNECT_SECONDS)
            for job_id in job_ids:
                self._app.send_task(TASK, args=[job_id], connection=connection, retry=False)
