"""A whole portfolio: a wallet's tokens, NFTs, loans and liquidity on one network, against web3.py.

Both read the same: what every token and collection says of the wallet and the ids of what it has, its account
and reserves of a market of Aave V3 to the wei, and what its position of Uniswap V3 would pay. The answers
are compared fact by fact, and who says something else than web3.py is wrong.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from types import TracebackType
from typing import Any, Self

from tests.protocols.whole_scene import NOBODY, OWNER, whole_wallet

from balance_tracker.demo.artifacts import fetch_packages
from balance_tracker.demo.contracts import ContractLibrary
from benchmarks.arena import LIMIT, OURS, WEB3, WEB3_BATCHES, Reading, Score, Worker
from benchmarks.contenders.whole import Answer, Description, differences
from benchmarks.simulator import Conditions, SimulatedEndpoint, Simulator

CONTENDERS = (WEB3_BATCHES, OURS, LIMIT, WEB3)
"""The first one's answer is what the others are compared with."""

_ORDER = (OURS, LIMIT, WEB3, WEB3_BATCHES)

FEWEST = {"portfolio": 3, "portfolio slow": 3, "portfolio nothing": 1}
"""Requests, if contracts are only asked what they can be asked: a position's id, then its pool and range,
then the pool's price and fees; each is needed to ask the next. Everything else fits in beside these."""


@dataclass(frozen=True, slots=True)
class PortfolioCase:
    """One case.

    Attributes:
        key: Its short name, for ``--only``.
        owner: Whose portfolio is read.
        conditions: The endpoint's; ``None`` is the node itself.
        rounds: Turns of each contender.
        burst: Reads in a row in one turn; of web3.py a few less.
    """

    key: str
    title: str
    owner: str
    conditions: Conditions | None = None
    rounds: int = 5
    burst: int = 10


PORTFOLIO_CASES = (
    PortfolioCase("portfolio", "a whole wallet: tokens, collections, Aave V3 and Uniswap V3", OWNER),
    PortfolioCase(
        "portfolio slow",
        "the same at 50 ms round trip",
        OWNER,
        Conditions(round_trip_seconds=0.05),
        rounds=3,
        burst=2,
    ),
    PortfolioCase("portfolio nothing", "a wallet with nothing of all that", NOBODY, rounds=3),
)
KEYS = tuple(case.key for case in PORTFOLIO_CASES)


@dataclass(frozen=True, slots=True)
class PortfolioScene:
    """The node, and what contenders are told of it."""

    url: str
    description: Description

    @property
    def asked(self) -> int:
        """The native coin, tokens and collections: the balances of one read."""
        return 1 + len(self.description["tokens"]) + len(self.description["collections"])


@contextmanager
def portfolio_node() -> Iterator[PortfolioScene]:
    """Start a node with everything on it."""
    with whole_wallet(ContractLibrary(fetch_packages())) as whole:
        description = {
            "tokens": [[str(one.contract_address), one.symbol, one.decimals] for one in whole.tokens],
            "collections": [[str(one.contract_address), one.name] for one in whole.collections],
            "aave": dict(whole.aave),
            "uniswap": dict(whole.uniswap),
        }
        yield PortfolioScene(whole.node.url, description)


@dataclass(slots=True)
class Turns:
    """A case under way: scores, and the answer that all are compared with."""

    case: PortfolioCase
    scores: dict[str, Score] = field(default_factory=dict)
    truth: Answer = field(default_factory=dict)

    def judged(self, name: str, reading: Reading, answer: Answer) -> Reading:
        """The reading, with the number of facts that are not as web3.py has them.

        The limit decodes nothing; it compares the bytes itself.
        """
        if name == CONTENDERS[0] and not self.truth:
            self.truth = answer
        if reading.error or name == LIMIT:
            return reading
        wrong = differences(answer, self.truth)
        return Reading(reading.seconds, reading.cpu_seconds, wrong, reading.growth_mib)


class PortfolioMeasurement:
    """Measures the cases on one node; ``quick`` reads less often. Use it as a context manager."""

    def __init__(self, scene: PortfolioScene, simulator: Simulator, *, quick: bool) -> None:
        self._scene = scene
        self._simulator = simulator
        self._quick = quick
        self._stack = ExitStack()
        self._workers: dict[str, Worker] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def measure(self, case: PortfolioCase, contenders: Sequence[str] = CONTENDERS) -> dict[str, Any]:
        """Times in turns, then what one more read costs on the wire; for JSON."""
        turns = Turns(case, {name: Score(name) for name in contenders})
        with ExitStack() as stack:
            for name in contenders:
                self._connect(name, case, stack)
                self._read(turns, name, 1)
            for _ in range(1 if self._quick else case.rounds):
                for score in turns.scores.values():
                    score.readings.append(self._read(turns, score.name, self._burst(score.name, case)))
        for score in turns.scores.values():
            self._count(turns, score)
        return {
            "key": case.key,
            "title": case.title,
            "balances": self._scene.asked,
            "conditions": None if case.conditions is None else asdict(case.conditions),
            "limit": LIMIT,
            "fewest": FEWEST[case.key],
            "rows": [turns.scores[name].as_row() for name in sorted(contenders, key=_ORDER.index)],
        }

    def _burst(self, name: str, case: PortfolioCase) -> int:
        return max(1, case.burst // 5) if name in (WEB3, WEB3_BATCHES) or self._quick else case.burst

    def _connect(self, name: str, case: PortfolioCase, stack: ExitStack) -> None:
        url = self._scene.url
        if case.conditions is not None:
            endpoint = self._simulator.open(url, case.conditions)
            stack.callback(endpoint.close)
            url = endpoint.url
        self._open(name, case, url)

    def _open(self, name: str, case: PortfolioCase, url: str) -> None:
        options: dict[str, Any] = {"description": self._scene.description, "multicall": name == WEB3}
        if name == LIMIT:
            options = {"bodies": self._recorded(case)}
        if name not in self._workers:
            self._workers[name] = self._stack.enter_context(Worker(name, whole=True))
        self._workers[name].open([url], **options)

    def _read(self, turns: Turns, name: str, times: int) -> Reading:
        return turns.judged(name, *self._workers[name].read_whole(turns.case.owner, times=times))

    def _recorded(self, case: PortfolioCase) -> list[str]:
        """The bodies that a warm read of ours sends, by a reader of its own."""
        endpoint = self._simulator.open(self._scene.url, Conditions(record=True))
        with Worker(OURS, whole=True) as worker:
            worker.open([endpoint.url], description=self._scene.description)
            worker.read_whole(case.owner)
            endpoint.reset()
            worker.read_whole(case.owner)
            bodies = endpoint.bodies()
        endpoint.close()
        return bodies

    def _count(self, turns: Turns, score: Score) -> None:
        """What one read costs on the wire, of a client that has read before."""
        endpoint: SimulatedEndpoint = self._simulator.open(self._scene.url)
        self._open(score.name, turns.case, endpoint.url)
        self._read(turns, score.name, 1)
        endpoint.reset()
        reading = self._read(turns, score.name, 1)
        if not reading.is_right:
            score.readings.append(reading)
        score.traffic = asdict(endpoint.traffic())
        endpoint.close()
