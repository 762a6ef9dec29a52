"""Gauges of endpoints: asked of the pools when metrics are read, so that reading balances pays nothing."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector


@dataclass(frozen=True, slots=True)
class EndpointSample:
    """One endpoint at this moment; what is not known is ``None``."""

    network: str
    endpoint: str
    state: str
    head: int | None
    median_seconds: float | None
    p95_seconds: float | None
    requests_per_second: float | None


type Source = Callable[[], Iterable[EndpointSample]]


class EndpointGauges(Collector):
    """Collects the gauges of all pools that are open."""

    def __init__(self) -> None:
        self._sources: list[Source] = []

    @contextmanager
    def watching(self, source: Source) -> Iterator[None]:
        """Ask this source too, for the length of a block."""
        self._sources.append(source)
        try:
            yield
        finally:
            self._sources.remove(source)

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """Every gauge, also while no pool is open."""
        state = GaugeMetricFamily(
            "tracker_rpc_endpoint_state",
            "1 for the state that an endpoint is in: unknown, healthy, resting, stale or wrong_chain.",
            labels=("network", "endpoint", "state"),
        )
        head = GaugeMetricFamily(
            "tracker_rpc_endpoint_head", "The last block that an endpoint showed.", labels=_LABELS
        )
        latency = GaugeMetricFamily(
            "tracker_rpc_endpoint_latency_seconds",
            "An endpoint's recent times to answer: the median (0.5) and what 95 of 100 stay under (0.95).",
            labels=(*_LABELS, "quantile"),
        )
        rate = GaugeMetricFamily(
            "tracker_rpc_endpoint_rate_limit",
            "Requests a second that an endpoint is asked at most, where it has shown a limit.",
            labels=_LABELS,
        )
        for sample in self._samples():
            labels = (sample.network, sample.endpoint)
            state.add_metric((*labels, sample.state), 1)
            _add(head, labels, sample.head)
            _add(latency, (*labels, "0.5"), sample.median_seconds)
            _add(latency, (*labels, "0.95"), sample.p95_seconds)
            _add(rate, labels, sample.requests_per_second)
        return (state, head, latency, rate)

    def _samples(self) -> Iterator[EndpointSample]:
        """The samples of all sources; of two pools of one network that are open, the last counts."""
        latest = {
            (sample.network, sample.endpoint): sample for source in self._sources for sample in source()
        }
        yield from latest.values()


_LABELS = ("network", "endpoint")


def _add(gauge: GaugeMetricFamily, labels: tuple[str, ...], value: float | None) -> None:
    if value is not None:
        gauge.add_metric(labels, value)
