"""What processes share through Redis: whether it answers, and what failed there."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector


class SharingMetrics(Collector):
    """Counts failures and decisions; whether Redis is up is asked when metrics are read."""

    def __init__(self, registry: CollectorRegistry) -> None:
        registry.register(self)
        self._sources: list[Callable[[], bool]] = []
        self._errors = Counter(
            "tracker_redis_errors_total",
            "Commands of Redis that failed, by reason: connection, timeout, refused, busy, late.",
            ("reason",),
            registry=registry,
        )
        self._limited = Counter(
            "tracker_rate_limit_decisions_total",
            "Requests that a rate limit let through or refused, by where they were counted.",
            ("where", "outcome"),
            registry=registry,
        )
        self._decisions: dict[tuple[str, bool], Counter] = {}

    @contextmanager
    def watching(self, is_up: Callable[[], bool]) -> Iterator[None]:
        """Ask this client too, for the length of a block."""
        self._sources.append(is_up)
        try:
            yield
        finally:
            self._sources.remove(is_up)

    def observe_error(self, reason: str) -> None:
        """One command that failed."""
        self._errors.labels(reason).inc()

    def observe_decision(self, where: str, *, allowed: bool) -> None:
        """One decision of a limiter, in ``process`` or in ``redis``."""
        counter = self._decisions.get((where, allowed))
        if counter is None:
            outcome = "allowed" if allowed else "refused"
            counter = self._decisions[where, allowed] = self._limited.labels(where, outcome)
        counter.inc()

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """The gauge, without a sample where no Redis is used."""
        up = GaugeMetricFamily(
            "tracker_redis_up", "1 while Redis answers, 0 while this process goes on without it."
        )
        if self._sources:
            up.add_metric((), int(all(is_up() for is_up in self._sources)))
        return (up,)
