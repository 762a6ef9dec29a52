"""Metrics of jobs: what became of them, how long they took, how many wait."""

import math
from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from balance_tracker.telemetry.metrics import METRICS

_SECONDS = (0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0)


class JobMetrics:
    """Counters of this process, and gauges of all jobs in the database."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._tries = Counter(
            "tracker_jobs_total",
            "Tries of jobs by how they ended: done, retried, failed, lost (another has it), given_back.",
            ("kind", "outcome"),
            registry=registry,
        )
        self._seconds = Histogram(
            "tracker_job_seconds", "Time of a try of a job.", ("kind",), registry=registry, buckets=_SECONDS
        )
        self._lost = Counter(
            "tracker_job_messages_lost_total",
            "Messages that the broker did not take; what they name is found again by the sweep.",
            registry=registry,
        )
        self._waiting = Gauge(
            "tracker_jobs_waiting",
            "Jobs that have not ended, of all processes; none are told while the database does not answer.",
            ("kind", "state"),
            registry=registry,
        )
        self._oldest = Gauge(
            "tracker_jobs_oldest_due_seconds",
            "How long the job that is due the longest has waited; NaN while the database does not answer.",
            registry=registry,
        )

    def observe_job(self, kind: str, outcome: str, seconds: float) -> None:
        """One try that ended."""
        self._tries.labels(kind, outcome).inc()
        self._seconds.labels(kind).observe(seconds)

    def observe_lost_message(self, count: int) -> None:
        """Messages that could not be sent."""
        self._lost.inc(count)

    def show_waiting(self, counts: Mapping[tuple[str, str], int], oldest_due_seconds: float) -> None:
        """All jobs that have not ended, by kind and state."""
        self._waiting.clear()
        for (kind, state), count in counts.items():
            self._waiting.labels(kind, state).set(count)
        self._oldest.set(oldest_due_seconds)

    def show_unknown(self) -> None:
        """How many wait is not known now: nothing old is shown for it."""
        self.show_waiting({}, math.nan)


JOB_METRICS = JobMetrics(METRICS.registry)
