"""Every metric by name. Labels have few values: never an address, a key or a path as it was sent."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

from balance_tracker.telemetry.endpoint_gauges import EndpointGauges
from balance_tracker.telemetry.sharing_metrics import SharingMetrics
from balance_tracker.telemetry.storage_metrics import StorageMetrics

CacheOutcome = Literal["hit", "miss", "shared", "stale"]

_LATENCY_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0, 30.0)
_AGE_SECONDS = (1.0, 10.0, 60.0, 300.0, 600.0, 1800.0, 3600.0, 14_400.0, 86_400.0)
_SPREADS = (0.0001, 0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 1.0)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_MOST_VALUES = 200


class Metrics:
    """The counters and histograms of one process, in a registry of their own."""

    content_type = "text/plain; version=0.0.4; charset=utf-8"

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.endpoints = EndpointGauges()
        self.registry.register(self.endpoints)
        self.sharing = SharingMetrics(self.registry)
        self.storage = StorageMetrics(self.registry)
        self._seen: dict[str, set[str]] = {}
        # Looking a child up by its labels costs more than counting: once for each is enough.
        self._rpc_children: dict[tuple[str, str, str], tuple[Counter, Counter, Histogram]] = {}
        self._children: dict[tuple[str | int, ...], tuple[Counter, Histogram]] = {}
        self._lookups: dict[tuple[str, str], Counter] = {}
        self._define_upstream()
        self._define_prices()
        self._define_service()

    def _define_upstream(self) -> None:
        self._rpc_requests = self._counter(
            "tracker_rpc_requests_total",
            "Requests sent to endpoints, by how they ended.",
            "network",
            "endpoint",
            "outcome",
        )
        self._rpc_calls = self._counter(
            "tracker_rpc_calls_total",
            "JSON-RPC calls those requests carried.",
            "network",
            "endpoint",
            "outcome",
        )
        self._rpc_seconds = self._histogram(
            "tracker_rpc_request_seconds", "Time until an endpoint's answer was read.", "network"
        )
        self._rate_waits = self._counter(
            "tracker_rpc_rate_waits_total",
            "Requests that waited for their turn at an endpoint that limits us.",
            "network",
            "endpoint",
        )
        self._rate_wait_seconds = self._counter(
            "tracker_rpc_rate_wait_seconds_total", "How long they waited in all.", "network", "endpoint"
        )
        self._hedges = self._counter(
            "tracker_rpc_hedges_total",
            "Reads that started on another endpoint because this one was slow.",
            "network",
            "endpoint",
        )
        self._reads = self._counter(
            "tracker_reads_total",
            "Networks read for a portfolio, by the status answered.",
            "network",
            "status",
        )
        self._read_seconds = self._histogram("tracker_read_seconds", "Time to read one network.", "network")

    def _define_prices(self) -> None:
        self._source_asks = self._counter(
            "tracker_price_source_asks_total",
            "Times that a price source was asked, by how it ended: ok, or why it failed.",
            "source",
            "outcome",
        )
        self._source_seconds = self._histogram(
            "tracker_price_source_seconds", "Time until a price source answered or failed.", "source"
        )
        self._quotes = self._counter(
            "tracker_price_quotes_total",
            "Quotes of price sources: used, or why they were dropped.",
            "source",
            "outcome",
        )
        self._prices = self._counter(
            "tracker_prices_decided_total", "Prices decided, by how sure they are; none, stale.", "status"
        )
        self._price_age = self._histogram(
            "tracker_price_age_seconds", "Age of the prices answered.", buckets=_AGE_SECONDS
        )
        self._price_spread = self._histogram(
            "tracker_price_spread_ratio",
            "Disagreement: (highest - lowest quote used) / price, of prices with several.",
            buckets=_SPREADS,
        )

    def _define_service(self) -> None:
        self._requests = self._counter(
            "tracker_http_requests_total", "Requests answered by the API.", "route", "method", "status"
        )
        self._request_seconds = self._histogram(
            "tracker_http_request_seconds", "Time to answer a request of the API.", "route"
        )
        self._cache_lookups = self._counter(
            "tracker_cache_lookups_total",
            "Cache look-ups: hit, miss, shared (waited for another's load), stale (last good answer); "
            "a cache that ends in _redis is the level that processes share.",
            "cache",
            "outcome",
        )

    def observe_rpc(self, network: str, endpoint: str, outcome: str, seconds: float, calls: int) -> None:
        """One request to an endpoint (by redacted name) that carried ``calls`` calls."""
        labels = (network, self._bounded("endpoint", endpoint), self._bounded("outcome", outcome))
        children = self._rpc_children.get(labels)
        if children is None:
            children = self._rpc_children[labels] = (
                self._rpc_requests.labels(*labels),
                self._rpc_calls.labels(*labels),
                self._rpc_seconds.labels(network),
            )
        children[0].inc()
        children[1].inc(calls)
        children[2].observe(seconds)

    def observe_rate_wait(self, network: str, endpoint: str, seconds: float) -> None:
        """One request that waits so long for its turn at an endpoint that limits us."""
        labels = (network, self._bounded("endpoint", endpoint))
        self._rate_waits.labels(*labels).inc()
        self._rate_wait_seconds.labels(*labels).inc(seconds)

    def observe_hedge(self, network: str, endpoint: str) -> None:
        """One read that started elsewhere too because this endpoint was slow."""
        self._hedges.labels(network, self._bounded("endpoint", endpoint)).inc()

    def observe_read(self, network: str, status: str, seconds: float) -> None:
        """One network read for one owner, with the coverage status it ended in."""
        self._reads.labels(network, status).inc()
        self._read_seconds.labels(network).observe(seconds)

    def observe_price_source(self, source: str, outcome: str, seconds: float) -> None:
        """One ask of a price source that ended after ``seconds``: ``ok``, or the error's code."""
        source = self._bounded("source", source)
        self._source_asks.labels(source, self._bounded("outcome", outcome)).inc()
        self._source_seconds.labels(source).observe(seconds)

    def observe_quotes(self, source: str, outcome: str, count: int = 1) -> None:
        """Quotes of one source that were ``used``, or dropped for a reason."""
        self._quotes.labels(self._bounded("source", source), self._bounded("outcome", outcome)).inc(count)

    def observe_decision(self, status: str, spread: Decimal | None = None) -> None:
        """One price decided; ``spread`` where several quotes were used."""
        self._prices.labels(status).inc()
        if spread is not None:
            self._price_spread.observe(float(spread))

    def observe_price_age(self, seconds: float) -> None:
        """The age of one price that was answered."""
        self._price_age.observe(seconds)

    def observe_request(self, route: str, method: str, status: int, seconds: float) -> None:
        """One request of the API; ``route`` is the template, or ``unmatched``."""
        method = method if method in _METHODS else "other"
        key = (route, method, status)
        children = self._children.get(key)
        if children is None:
            counter = self._requests.labels(route, method, str(status))
            children = self._children[key] = (counter, self._request_seconds.labels(route))
        children[0].inc()
        children[1].observe(seconds)

    def observe_cache(self, cache: str, outcome: CacheOutcome) -> None:
        """One look-up in a named cache."""
        counter = self._lookups.get((cache, outcome))
        if counter is None:
            counter = self._lookups[cache, outcome] = self._cache_lookups.labels(cache, outcome)
        counter.inc()

    def exposition(self) -> bytes:
        """All of it in the Prometheus text format."""
        return generate_latest(self.registry)

    def _counter(self, name: str, documentation: str, *labels: str) -> Counter:
        return Counter(name, documentation, labels, registry=self.registry)

    def _histogram(
        self, name: str, documentation: str, *labels: str, buckets: Sequence[float] = _LATENCY_SECONDS
    ) -> Histogram:
        return Histogram(name, documentation, labels, registry=self.registry, buckets=buckets)

    def _bounded(self, label: str, value: str) -> str:
        """The value, or ``other`` once a label has had as many values as it may."""
        seen = self._seen.setdefault(label, set())
        if value not in seen:
            if len(seen) >= _MOST_VALUES:
                return "other"
            seen.add(value)
        return value


METRICS = Metrics()
"""The process's metrics; served at ``/metrics``."""
