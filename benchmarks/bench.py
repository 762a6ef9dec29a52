"""All benchmarks in one table: ``python -m benchmarks.bench [--json] [--only W1,W2] [--quick]``.

Times of two runs differ with the machine; ratios within a run are what counts. Every number of every
read is checked, so nothing is fast by being wrong.
"""

import argparse
import json
import logging
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, is_dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

from balance_tracker import __version__
from benchmarks.batch import measure_batch
from benchmarks.guarded import measure_guarded
from benchmarks.history import measure_history
from benchmarks.portfolio import KEYS as PORTFOLIO_KEYS
from benchmarks.portfolio import PORTFOLIO_CASES, PortfolioMeasurement, portfolio_node
from benchmarks.scene import bench_node
from benchmarks.served import measure_served
from benchmarks.service import measure_service
from benchmarks.simulator import Simulator
from benchmarks.table import as_table
from benchmarks.truth import MANY_WALLETS
from benchmarks.workloads import WORKLOADS, Measurement, grow

GROWTH, SERVICE, SERVED = "growth", "service", "served"
BATCH, GUARDED, HISTORY = "batch", "guarded", "history"
MATRIX_KEYS = (*(workload.key for workload in WORKLOADS), GROWTH)
"""What is measured on the node of thousands of wallets."""

KEYS = (*MATRIX_KEYS, *PORTFOLIO_KEYS, SERVICE, SERVED, BATCH, GUARDED, HISTORY)

_PARTS: dict[str, Callable[[], Any]] = {
    SERVICE: measure_service,
    SERVED: measure_served,
    BATCH: measure_batch,
    GUARDED: measure_guarded,
    HISTORY: measure_history,
}


def main() -> None:
    """Measure, and print one table or one JSON document."""
    parser = argparse.ArgumentParser(description="Benchmarks on local nodes.")
    parser.add_argument("--json", action="store_true", help="one document instead of a table")
    parser.add_argument("--only", default="", help=f"some of: {', '.join(KEYS)}".replace("10,000", "10000"))
    parser.add_argument("--quick", action="store_true", help="fewer turns, for a first look")
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)
    document = measure(chosen(arguments.only), quick=arguments.quick)
    print(json.dumps(document, indent=2, ensure_ascii=False) if arguments.json else as_table(document))


def chosen(text: str) -> frozenset[str]:
    """Which parts are wanted; all if none is named.

    Raises:
        SystemExit: One of them does not exist.
    """
    names = {name.strip().replace("10000", "10,000") for name in text.split(",") if name.strip()}
    if unknown := names - set(KEYS):
        raise SystemExit(f"There is no benchmark {', '.join(sorted(unknown))}; there are {', '.join(KEYS)}.")
    return frozenset(names or KEYS)


def measure(parts: frozenset[str], *, quick: bool) -> dict[str, Any]:
    """The document of all that was measured."""
    started = time.monotonic()
    say = partial(_say, started)
    document: dict[str, Any] = {"meta": _meta(), "cases": []}
    with Simulator() as simulator:
        if parts.intersection(MATRIX_KEYS):
            _matrices(document, parts, Measuring(simulator, say, quick))
        if parts.intersection(PORTFOLIO_KEYS):
            document["cases"] += _portfolios(parts, Measuring(simulator, say, quick))
    for name, work in _PARTS.items():
        if name in parts:
            say(name)
            _part(document, name, work)
    document["meta"]["seconds"] = round(time.monotonic() - started)
    return document


@dataclass(frozen=True, slots=True)
class Measuring:
    """What all measuring on nodes shares."""

    simulator: Simulator
    say: Callable[[str], None]
    quick: bool


def _matrices(document: dict[str, Any], parts: frozenset[str], shared: Measuring) -> None:
    with (
        bench_node(MANY_WALLETS) as scene,
        Measurement(scene, shared.simulator, quick=shared.quick) as measurement,
    ):
        for workload in WORKLOADS:
            if workload.key in parts:
                shared.say(f"{workload.key}: {workload.title}")
                document["cases"].append(measurement.measure(workload).as_document())
        if GROWTH in parts:
            document["growth"] = grow(measurement, shared.say)


def _portfolios(parts: frozenset[str], shared: Measuring) -> Iterator[dict[str, Any]]:
    with (
        portfolio_node() as scene,
        PortfolioMeasurement(scene, shared.simulator, quick=shared.quick) as measurement,
    ):
        for case in PORTFOLIO_CASES:
            if case.key in parts:
                shared.say(f"{case.key}: {case.title}")
                yield measurement.measure(case)


def _part(document: dict[str, Any], name: str, work: Callable[[], Any]) -> None:
    """One of the services; if it does not run, the document says so and keeps what was measured."""
    try:
        found = work()
        document[name] = asdict(found) if is_dataclass(found) else found
    except Exception as error:
        document["meta"].setdefault("failed", {})[name] = f"{type(error).__name__}: {error}"


def _meta() -> dict[str, Any]:
    return {
        "program": f"balance-tracker {__version__}",
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count(),
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    }


def _say(started: float, line: str) -> None:
    """Progress and the seconds so far, where it does not mix with data."""
    sys.stderr.write(f"{time.monotonic() - started:4.0f} s  {line} …\n")
    sys.stderr.flush()


if __name__ == "__main__":
    main()
