"""Golden conversations: what a tour asked real contracts, what they answered, and what came of it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from balance_tracker.core.ids import Address
from balance_tracker.core.positions import Leg, Position
from balance_tracker.evm.calls import CallReader
from balance_tracker.evm.outcomes import Outcome
from balance_tracker.evm.question import Question
from balance_tracker.protocols.spec import EvmGuide

FOLDER = Path(__file__).parent / "golden"


@dataclass(frozen=True)
class Conversation:
    """A tour of one owner.

    Attributes:
        rounds: Of each round its calls (address, data) and what each gave.
        positions: What it came to, as :func:`written` has it.
        paid: What the contracts themselves say of each position: raw amounts that they would pay.
    """

    owner: Address
    market: str
    rounds: list[list[tuple[str, str, str]]]
    positions: list[dict[str, Any]]
    paid: list[list[int]]

    def save(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(vars(self), indent=1) + "\n", encoding="utf-8")


def load(name: str) -> Conversation:
    """The conversation that was kept under a name."""
    document = json.loads((FOLDER / name).read_text(encoding="utf-8"))
    document["rounds"] = [[tuple(call) for call in one] for one in document["rounds"]]
    return Conversation(**document)


async def record(
    reader: CallReader, guide: EvmGuide, owner: Address, paid: list[list[int]], deadline: float
) -> Conversation:
    """Lead a tour on a node and write down everything."""
    tour, rounds = guide.start(owner), []
    calls, block = list(next(tour)), None
    while True:
        answer = await reader.read(Question(calls=calls), block, deadline)
        block = answer.block.number
        rounds.append(
            [(call.to, call.data, data_of(one)) for call, one in zip(calls, answer.outcomes, strict=True)]
        )
        try:
            calls = list(tour.send(answer.outcomes))
        except StopIteration as end:
            return Conversation(owner, str(guide.market), rounds, written(end.value), paid)


def data_of(outcome: Outcome) -> str:
    assert isinstance(outcome, bytes), "a golden conversation is one without failures"
    return outcome.hex()


def replay(guide: EvmGuide, conversation: Conversation) -> list[dict[str, Any]]:
    """Lead the tour again by what was written down; it must ask exactly what it asked then."""
    tour = guide.start(conversation.owner)
    calls = list(next(tour))
    for one in conversation.rounds:
        assert [(call.to, call.data) for call in calls] == [(to, data) for to, data, _ in one]
        try:
            calls = list(tour.send([bytes.fromhex(data) for _, _, data in one]))
        except StopIteration as end:
            return written(end.value)
    raise AssertionError("the tour asks more than it did")


def written(positions: Sequence[Position]) -> list[dict[str, Any]]:
    """Positions as a file has them."""
    return [
        {
            "position_id": one.position_id,
            "supplied": [_leg(leg) for leg in one.supplied],
            "claimable": [_leg(leg) for leg in one.claimable],
            "details": dict(one.details),
        }
        for one in positions
    ]


def _leg(leg: Leg) -> dict[str, Any]:
    return {
        "asset": leg.asset.asset_id,
        "symbol": leg.asset.symbol,
        "decimals": leg.asset.decimals,
        "raw_amount": str(leg.raw_amount),
        "label": leg.label,
    }
