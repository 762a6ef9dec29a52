"""What is measured: the readings W1 to W5, harder endpoints, and how cost grows."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import asdict, dataclass, field
from types import TracebackType
from typing import Any, Self

from benchmarks.arena import (
    LIMIT,
    LIMIT_MULTICALL,
    MULTICALL,
    OURS,
    VIEM,
    WEB3,
    Score,
    Worker,
)
from benchmarks.scene import Scene
from benchmarks.simulator import ONLY_MULTICALL, Conditions, SimulatedEndpoint, Simulator
from benchmarks.truth import MANY_WALLETS, TOKEN_COUNT, WALLET_COUNT

NETWORKS = 13
ALL = (OURS, LIMIT, LIMIT_MULTICALL, MULTICALL, VIEM, WEB3)
RECORDED = Conditions(record=True)
WARM_READS = 2


@dataclass(frozen=True, slots=True)
class Workload:
    """One case.

    Attributes:
        key: Its short name, for ``--only``.
        title: What is read, and on what.
        conditions: The endpoint's; ``None`` is the node itself, without anything before it.
        rounds: Turns of each contender; the median of all reads counts.
        burst: Reads in a row in one turn: what a process does again and again, caches warm.
        slow_rounds: The same for web3.py, whose reads take long and vary little.
        form: The form of the limit that goes with it.
    """

    key: str
    title: str
    wallets: int
    contenders: tuple[str, ...] = ALL
    conditions: Conditions | None = None
    networks: int = 1
    cold: bool = False
    rounds: int = 5
    burst: int = 1
    slow_rounds: int = 1
    form: str = LIMIT
    tokens: int = TOKEN_COUNT

    @property
    def is_large(self) -> bool:
        """Whether memory shows in it, so that it is measured."""
        return self.wallets > 1_000

    @property
    def balances(self) -> int:
        """How many numbers one read gives."""
        return self.networks * self.wallets * (1 + self.tokens)


_FAR = Conditions(round_trip_seconds=0.1)
_SLOW_LINK = Conditions(round_trip_seconds=0.05, bits_per_second=100e6)
_TEN_A_SECOND = Conditions(requests_per_second=10)
_SMALL = Conditions(gas=30_000_000, body_bytes=1_000_000, batch=3)
_SMALL_MULTICALL = Conditions(
    gas=30_000_000, body_bytes=1_000_000, batch=3, overrides="refused", deployless=False
)
_WITHOUT_WEB3 = (OURS, LIMIT, LIMIT_MULTICALL, MULTICALL, VIEM)
"""web3.py takes a minute and a half for W3."""
_WITHOUT_SCANNER = (OURS, LIMIT_MULTICALL, MULTICALL, VIEM, WEB3)

WORKLOADS = (
    Workload("W1", "1 wallet x 60 tokens and the native coin", 1, rounds=6, slow_rounds=2, burst=25),
    Workload("W2", "100 wallets x 60 tokens", 100, rounds=5, slow_rounds=2, burst=3),
    Workload("W3", "2,000 wallets x 60 tokens", WALLET_COUNT, _WITHOUT_WEB3, rounds=3),
    Workload(
        "W4",
        "W1 on 13 networks at once, 100 ms round trip, warm",
        1,
        ALL,
        _FAR,
        NETWORKS,
        rounds=9,
        slow_rounds=5,
    ),
    Workload(
        "W4 cold",
        "the same with new connections (TCP and TLS 1.3)",
        1,
        (OURS, MULTICALL, VIEM, WEB3),
        _FAR,
        NETWORKS,
        cold=True,
        rounds=3,
        slow_rounds=2,
    ),
    Workload(
        "W5",
        "W2 on an endpoint that allows 10 requests a second",
        100,
        (OURS, LIMIT, MULTICALL, VIEM, WEB3),
        _TEN_A_SECOND,
    ),
    Workload(
        "W2 multicall",
        "W2 where only Multicall3 works",
        100,
        _WITHOUT_SCANNER,
        ONLY_MULTICALL,
        form=LIMIT_MULTICALL,
        rounds=4,
        burst=3,
    ),
    Workload(
        "W3 multicall",
        "W3 where only Multicall3 works",
        WALLET_COUNT,
        (OURS, LIMIT_MULTICALL, MULTICALL, VIEM),
        ONLY_MULTICALL,
        form=LIMIT_MULTICALL,
        rounds=2,
    ),
    Workload("W2 slow", "W2 at 50 ms round trip and 100 Mbit/s", 100, ALL, _SLOW_LINK, rounds=3, burst=3),
    Workload("W2 small", "W2 with 30M gas, 1 MB bodies, batches of 3", 100, (OURS,), _SMALL, rounds=1),
    Workload("W3 small", "W3 with the same caps", WALLET_COUNT, (OURS,), _SMALL, rounds=1),
    Workload(
        "W2 small multicall",
        "W2 with the same caps where only Multicall3 works",
        100,
        (OURS,),
        _SMALL_MULTICALL,
        rounds=1,
        form=LIMIT_MULTICALL,
    ),
    Workload("10,000", "10,000 wallets x 60 tokens", MANY_WALLETS, (OURS,), rounds=1),
)


@dataclass(slots=True)
class Case:
    """A workload and how all did in it."""

    workload: Workload
    scores: dict[str, Score] = field(default_factory=dict)

    def as_document(self) -> dict[str, Any]:
        """For JSON."""
        known = self.workload.conditions
        return {
            "key": self.workload.key,
            "title": self.workload.title,
            "balances": self.workload.balances,
            "conditions": None if known is None else asdict(known),
            "limit": self.workload.form,
            "rows": [score.as_row() for score in self.scores.values()],
        }


class Measurement:
    """Measures workloads on one node; ``quick`` reads less often.

    Each contender is one process, kept from workload to workload; where memory is measured it is a
    fresh one. Use it as a context manager.
    """

    def __init__(self, scene: Scene, simulator: Simulator, *, quick: bool) -> None:
        self._scene = scene
        self._simulator = simulator
        self._quick = quick
        self._stack = ExitStack()
        self._workers: dict[str, Worker] = {}
        self._bodies: dict[tuple[int, int], list[str]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def measure(self, workload: Workload) -> Case:
        """Times and, where nothing was in between, a second pass that counts."""
        case = self.measure_times(workload)
        if workload.conditions is None:
            for score in case.scores.values():
                self._count(workload, score)
        return case

    def measure_times(self, workload: Workload) -> Case:
        """All its contenders in turns, so that what slows the machine slows all of them."""
        case = Case(workload, {name: Score(name) for name in workload.contenders})
        if LIMIT in workload.contenders:
            self.recorded(workload.wallets, workload.tokens)  # before our reader is connected elsewhere
        with ExitStack() as stack:
            endpoints = {name: self._connect(name, workload, stack) for name in workload.contenders}
            for name in workload.contenders:
                self._warm(name, workload, endpoints[name])
            for turn in range(self._rounds(workload.rounds)):
                for score in case.scores.values():
                    if score.name != WEB3 or turn < self._rounds(workload.slow_rounds):
                        self._turn(score, workload, endpoints[score.name])
        return case

    def _worker(self, name: str) -> Worker:
        if name not in self._workers:
            self._workers[name] = self._stack.enter_context(Worker(name))
        return self._workers[name]

    def _connect(self, name: str, workload: Workload, stack: ExitStack) -> list[SimulatedEndpoint]:
        endpoints: list[SimulatedEndpoint] = []
        urls = [self._scene.url]
        if workload.conditions is not None:
            endpoints = [
                self._simulator.open(self._scene.url, workload.conditions) for _ in range(workload.networks)
            ]
            urls = [endpoint.url for endpoint in endpoints]
            for endpoint in endpoints:
                stack.callback(endpoint.close)
        self._worker(name).open(urls, **self._options(name, workload))
        return endpoints

    def _warm(self, name: str, workload: Workload, endpoints: Sequence[SimulatedEndpoint]) -> None:
        """As a client that runs for a while is; none where the first read is what is measured."""
        if workload.cold:
            return
        for _ in range(WARM_READS if name in (OURS, LIMIT, LIMIT_MULTICALL) else 1):
            _fill(endpoints)
            wallets = 1 if name == WEB3 else workload.wallets  # it learns nothing but the network
            if self._worker(name).read(wallets, workload.tokens).error:
                return

    def _turn(self, score: Score, workload: Workload, endpoints: Sequence[SimulatedEndpoint]) -> None:
        if score.readings and not score.is_right:
            return
        _fill(endpoints)
        worker = self._worker(score.name)
        times = 1 if score.name == WEB3 and workload.wallets > 1 else workload.burst
        reading = worker.read(workload.wallets, workload.tokens, times=times, cold=workload.cold)
        score.readings.append(reading)
        if endpoints:
            score.traffic = {key: number // times for key, number in _traffic(endpoints).items()}

    def _count(self, workload: Workload, score: Score) -> None:
        """What one read costs on the wire and in memory, by a fresh process that has read a little."""
        with Worker(score.name) if workload.is_large else nullcontext(self._worker(score.name)) as worker:
            endpoint = self._simulator.open(self._scene.url)
            worker.open([endpoint.url], **self._options(score.name, workload))
            is_limit = score.name in (LIMIT, LIMIT_MULTICALL)  # which tries out its ways before
            worker.read(workload.wallets if is_limit else 1, workload.tokens)
            endpoint.reset()
            reading = worker.read(workload.wallets, workload.tokens)
            if not reading.is_right:
                score.readings.append(reading)
            score.traffic = _traffic([endpoint])
            score.growth_mib = reading.growth_mib if workload.is_large and not is_limit else None
            endpoint.close()

    def _options(self, name: str, workload: Workload) -> dict[str, Any]:
        if name == LIMIT:
            return {"bodies": self.recorded(workload.wallets, workload.tokens)}
        if name == MULTICALL and workload.conditions is not None:
            return {"overrides": workload.conditions.overrides == "work"}
        return {}

    def recorded(self, wallets: int, tokens: int) -> list[str]:
        """The bodies that a warm read of ours sends."""
        key = (wallets, tokens)
        if key not in self._bodies:
            endpoint = self._simulator.open(self._scene.url, RECORDED)
            worker = self._worker(OURS)
            worker.open([endpoint.url])
            worker.read(wallets, tokens)
            endpoint.reset()
            worker.read(wallets, tokens)
            self._bodies[key] = endpoint.bodies()
            endpoint.close()
        return self._bodies[key]

    def _rounds(self, rounds: int) -> int:
        return max(1, rounds // 4) if self._quick else rounds


def grow(measurement: Measurement, say: Callable[[str], None]) -> dict[str, list[dict[str, Any]]]:
    """How time grows: with the wallets (60 tokens), and with the tokens (100 wallets)."""
    names: tuple[str, ...] = (OURS, LIMIT, MULTICALL, VIEM)
    by_wallets = [(count, TOKEN_COUNT, names) for count in (1, 10, 100, 1_000)]
    by_wallets.append((MANY_WALLETS, TOKEN_COUNT, (OURS, LIMIT)))
    by_tokens = [(100, count, names) for count in (1, 6, 20, 60)]
    return {
        axis: [_point(measurement, wallets, tokens, chosen, say) for wallets, tokens, chosen in points]
        for axis, points in (("wallets", by_wallets), ("tokens", by_tokens))
    }


def _point(
    measurement: Measurement, wallets: int, tokens: int, names: Sequence[str], say: Callable[[str], None]
) -> dict[str, Any]:
    say(f"growth: {wallets:,} wallets x {tokens} tokens")
    rounds, burst = (2, 1) if wallets >= 1_000 else (3, 3)
    workload = Workload("growth", "", wallets, tuple(names), rounds=rounds, burst=burst, tokens=tokens)
    case = measurement.measure_times(workload)
    times = {name: score.milliseconds for name, score in case.scores.items() if score.is_right}
    return {"wallets": wallets, "tokens": tokens, "ms": times}


def _fill(endpoints: Sequence[SimulatedEndpoint]) -> None:
    """Count anew, with a full bucket: every read stands for itself."""
    for endpoint in endpoints:
        endpoint.reset()


def _traffic(endpoints: Sequence[SimulatedEndpoint]) -> dict[str, int]:
    """The sums over all networks."""
    each = [asdict(endpoint.traffic()) for endpoint in endpoints]
    return {key: sum(one[key] for one in each) for key in each[0]}
