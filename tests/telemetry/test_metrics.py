"""Names, labels and bounds of the metrics."""

import re

from balance_tracker.telemetry.metrics import Metrics


def test_every_metric_is_named_tracker_noun_unit() -> None:
    names = [family.name for family in Metrics().registry.collect()]
    assert len(names) == len(set(names)) >= 24
    assert all(re.fullmatch(r"tracker_[a-z_]+", name) for name in names)


def test_a_request_to_an_endpoint_counts_its_calls() -> None:
    metrics = Metrics()
    metrics.observe_rpc("base", "node.example", "ok", 0.02, 3)
    labels = {"network": "base", "endpoint": "node.example", "outcome": "ok"}
    assert metrics.registry.get_sample_value("tracker_rpc_requests_total", labels) == 1
    assert metrics.registry.get_sample_value("tracker_rpc_calls_total", labels) == 3
    assert metrics.registry.get_sample_value("tracker_rpc_request_seconds_count", {"network": "base"}) == 1


def test_reads_requests_and_cache_lookups_are_counted() -> None:
    metrics = Metrics()
    metrics.observe_read("base", "partial", 0.2)
    metrics.observe_request("/balances", "BREW", 405, 0.1)
    metrics.observe_cache("balances", "shared")
    text = metrics.exposition().decode()
    assert 'tracker_reads_total{network="base",status="partial"} 1.0' in text
    assert 'tracker_http_requests_total{method="other",route="/balances",status="405"} 1.0' in text
    assert 'tracker_cache_lookups_total{cache="balances",outcome="shared"} 1.0' in text


def test_a_label_never_grows_without_bound() -> None:
    metrics = Metrics()
    for number in range(500):
        metrics.observe_rpc("base", f"node{number}.example", "ok", 0.01, 1)
    samples = [
        line
        for line in metrics.exposition().decode().splitlines()
        if line.startswith("tracker_rpc_calls_total")
    ]
    assert len(samples) == 201
