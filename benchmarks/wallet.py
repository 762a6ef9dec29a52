"""W1: one wallet, 60 tokens and the native coin, warm, on one node; every balance is checked."""

import statistics
import time
from dataclasses import dataclass

from benchmarks.contenders import Read, contenders
from benchmarks.gateway import gateway
from benchmarks.scene import bench_node

WARM_UP_READS = 3
ROUNDS = 40


@dataclass(frozen=True, slots=True)
class Result:
    """One contender: median time of a read, and what one read sends and receives."""

    name: str
    milliseconds: float
    requests: float
    bytes_up: int
    bytes_down: int


class WrongBalanceError(AssertionError):
    """A contender's answer is not what the chain holds, so its time means nothing."""


def measure_wallet(rounds: int = ROUNDS) -> list[Result]:
    """Measure all contenders in turns, so that what slows the machine slows all of them."""
    with bench_node() as node:
        traffic = _traffic(node.url, node.truth)
        with contenders(node.url) as reads:
            times = _times(reads, node.truth, rounds)
    return [Result(name, statistics.median(times[name]), *traffic[name]) for name in reads]


def _times(reads: dict[str, Read], truth: tuple[int, ...], rounds: int) -> dict[str, list[float]]:
    times: dict[str, list[float]] = {name: [] for name in reads}
    for turn in range(WARM_UP_READS + rounds):
        for name, read in reads.items():
            started = time.perf_counter()
            found = read()
            elapsed = time.perf_counter() - started
            _check(name, found, truth)
            if turn >= WARM_UP_READS:
                times[name].append(1_000 * elapsed)
    return times


def _traffic(node_url: str, truth: tuple[int, ...]) -> dict[str, tuple[float, int, int]]:
    """What a warm read costs on the wire, through the gateway."""
    reads_counted = 4
    found: dict[str, tuple[float, int, int]] = {}
    with gateway(node_url) as (url, traffic), contenders(url) as reads:
        for name, read in reads.items():
            for _ in range(WARM_UP_READS):
                _check(name, read(), truth)
            requests, up, down = traffic.requests, traffic.bytes_up, traffic.bytes_down
            for _ in range(reads_counted):
                read()
            found[name] = (
                (traffic.requests - requests) / reads_counted,
                (traffic.bytes_up - up) // reads_counted,
                (traffic.bytes_down - down) // reads_counted,
            )
    return found


def _check(name: str, found: list[int], truth: tuple[int, ...]) -> None:
    if tuple(found) != truth:
        wrong = sum(mine != right for mine, right in zip(found, truth, strict=False))
        raise WrongBalanceError(f"{name}: {wrong} of {len(truth)} balances are wrong")
