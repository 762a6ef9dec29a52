"""The database's pool and transactions: what is in use, what waited, how long it took, what failed."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

Access = Literal["read", "write", "restructure"]

_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0)


class StorageMetrics(Collector):
    """Counts transactions; how many connections are in use is asked when metrics are read."""

    def __init__(self, registry: CollectorRegistry) -> None:
        registry.register(self)
        self._sources: list[Callable[[], tuple[int, int]]] = []
        self._transactions = Histogram(
            "tracker_database_transaction_seconds",
            "Time of transactions of the database, from the connection to the commit.",
            ("access",),
            registry=registry,
            buckets=_SECONDS,
        )
        self._waits = Counter(
            "tracker_database_waits_total",
            "Transactions that found every connection in use and waited for one.",
            registry=registry,
        )
        self._wait_seconds = Counter(
            "tracker_database_wait_seconds_total", "How long they waited in all.", registry=registry
        )
        self._errors = Counter(
            "tracker_database_errors_total",
            "Transactions that failed: busy, full, lost, crowded, read_only, conflict, refused.",
            ("reason",),
            registry=registry,
        )
        self._deleted = Counter(
            "tracker_cleaning_deleted_total",
            "What was deleted because it had been kept as long as the settings say.",
            ("kind",),
            registry=registry,
        )

    @contextmanager
    def watching(self, connections: Callable[[], tuple[int, int]]) -> Iterator[None]:
        """Ask this pool too, for the length of a block: how many connections are in use, and the most."""
        self._sources.append(connections)
        try:
            yield
        finally:
            self._sources.remove(connections)

    def observe_transaction(self, access: Access, seconds: float) -> None:
        """One transaction, however it ended."""
        self._transactions.labels(access).observe(seconds)

    def observe_wait(self, seconds: float) -> None:
        """One transaction that waited for a connection."""
        self._waits.inc()
        self._wait_seconds.inc(seconds)

    def observe_error(self, reason: str) -> None:
        """One transaction that failed."""
        self._errors.labels(reason).inc()

    def observe_deleted(self, kind: str, count: int) -> None:
        """So many of a kind were deleted at the end of their time."""
        self._deleted.labels(kind).inc(count)

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """The gauges of all pools that are open in this process."""
        used = GaugeMetricFamily(
            "tracker_database_connections", "Connections to the database that are in use now."
        )
        most = GaugeMetricFamily(
            "tracker_database_connections_limit", "How many connections this process may use at once."
        )
        samples = [connections() for connections in self._sources]
        used.add_metric((), sum(in_use for in_use, _ in samples))
        most.add_metric((), sum(limit for _, limit in samples))
        return (used, most)
