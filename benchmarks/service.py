"""``GET /balances`` of one wallet on all networks of the demo: the first, cold and cached."""

import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from typing import Any

from balance_tracker.demo.stories import TRADER

HOST = "127.0.0.1"
WALLET = TRADER
"""Many tokens on every EVM network of the demo."""

READY_SECONDS = 60.0
STOP_SECONDS = 10.0
TTL_SECONDS = 0.25
COLD_READS = 20
CACHED_READS_EACH = 5


@dataclass(frozen=True, slots=True)
class ServiceResult:
    """Milliseconds of answers, and what they were about."""

    first_ms: float
    cold_p50_ms: float
    cached_p50_ms: float
    networks: int
    holdings: int
    requests: int
    answer_bytes: int


class IncompleteError(AssertionError):
    """The answer is not complete, or not of the kind that is measured."""


def measure_service() -> ServiceResult:
    """Start the demo as a process of its own, and ask its API over one connection.

    Answers are kept for a quarter of a second: after a pause the next one is cold, and those right
    behind it are cached. Each answer says which it was, and that is checked.
    """
    with _demo() as port:
        connection = HTTPConnection(HOST, port)
        first_ms, first, size = _get(connection)
        cold: list[float] = []
        cached: list[float] = []
        for _ in range(COLD_READS):
            time.sleep(TTL_SECONDS + 0.05)
            cold.append(_timed(connection, cached=False))
            cached += [_timed(connection, cached=True) for _ in range(CACHED_READS_EACH)]
        connection.close()
    coverage = first["coverage"]
    return ServiceResult(
        first_ms,
        statistics.median(cold),
        statistics.median(cached),
        len(coverage),
        len(first["holdings"]),
        sum(entry["requests"] for entry in coverage),
        size,
    )


def _timed(connection: HTTPConnection, *, cached: bool) -> float:
    elapsed_ms, answer, _ = _get(connection)
    if any(entry["cached"] is not cached for entry in answer["coverage"]):
        raise IncompleteError(f"an answer that should be {'cached' if cached else 'cold'} is not")
    return elapsed_ms


def _get(connection: HTTPConnection) -> tuple[float, Any, int]:
    started = time.perf_counter()
    connection.request("GET", f"/balances?address={WALLET}")
    body = connection.getresponse().read()
    elapsed_ms = 1_000 * (time.perf_counter() - started)
    answer = json.loads(body)
    if not answer.get("complete"):
        raise IncompleteError(f"the demo's answer is not complete: {body[:300]!r}")
    return elapsed_ms, answer, len(body)


@contextmanager
def _demo() -> Iterator[int]:
    port = _free_port()
    environment = {
        **os.environ,
        "TRACKER_BALANCE_TTL_SECONDS": str(TTL_SECONDS),
        "TRACKER_LOG_LEVEL": "error",
        "TRACKER_RATE_LIMIT_ANONYMOUS": "none",
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "balance_tracker", "demo", "--host", HOST, "--port", str(port)],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait_until_ready(process, port)
        yield port
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_until_ready(process: "subprocess.Popen[bytes]", port: int) -> None:
    end = time.monotonic() + READY_SECONDS
    while time.monotonic() < end:
        if process.poll() is not None:
            raise RuntimeError(f"the demo ended with exit code {process.returncode}")
        try:
            with urllib.request.urlopen(f"http://{HOST}:{port}/ready", timeout=2):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise RuntimeError(f"the demo was not ready within {READY_SECONDS:.0f} s")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
