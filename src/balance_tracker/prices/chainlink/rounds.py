"""Rounds of a feed, and what makes one unusable: everything that needs no network."""

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Context, Decimal
from enum import StrEnum

from balance_tracker.core.amounts import to_amount
from balance_tracker.core.feeds import Feed
from balance_tracker.core.portfolio import FailureCode
from balance_tracker.evm.abi import WORD
from balance_tracker.evm.outcomes import CallFailure, Outcome

LATEST_ROUND_DATA = "feaf968c"
GET_ROUND_DATA = "9a6fc8f5"

LATE_SECONDS = 600
"""How much later than its heartbeat a round may be: a transaction needs time to be mined."""
AHEAD_SECONDS = 300
"""How far a round may be ahead of its block's time, where clocks of two layers meet."""
GRACE_SECONDS = 3_600
"""For so long after a sequencer came back its feeds may still be of the time before: Chainlink's advice."""

_ROUND_WORDS = 5
_SIGN = 1 << 255
_EXACT = Context(prec=200)
"""Wide enough for two answers of 256 bits, so that a product of both is not rounded."""


class Fault(StrEnum):
    """Why a feed gives no price."""

    NO_CONTRACT = "no_contract"
    REVERTED = "reverted"
    UNANSWERED = "unanswered"
    """The endpoint's doing, not the feed's."""
    MALFORMED = "malformed"
    NOT_POSITIVE = "not_positive"
    INCOMPLETE = "incomplete"
    """The round has no answer yet, or repeats one of an earlier round."""
    STALE = "stale"
    FROM_FUTURE = "from_future"
    WRONG_DECIMALS = "wrong_decimals"
    SEQUENCER_DOWN = "sequencer_down"
    """Or just back, or nothing is known of it."""
    NO_RATE = "no_rate"
    """It counts in ether or bitcoin, and their feed gives no price."""


LASTING = frozenset({Fault.NO_CONTRACT, Fault.REVERTED, Fault.MALFORMED, Fault.WRONG_DECIMALS})
"""Faults that are not over by the next block, so that asking again soon is in vain."""


@dataclass(frozen=True, slots=True)
class Round:
    """One answer of a feed; times are Unix seconds, ``round_id`` is the proxy's (phase and round)."""

    round_id: int
    answer: int
    started_at: int
    updated_at: int
    answered_in: int


@dataclass(frozen=True, slots=True)
class Worth:
    """A price in US dollars per whole unit, exactly as the rounds say it, and how old they are."""

    amount: Decimal
    updated_at: int
    crossed: bool = False

    @property
    def as_of(self) -> datetime:
        """When the older of its rounds was written, UTC."""
        return datetime.fromtimestamp(self.updated_at, UTC)


def read_round(outcome: Outcome) -> Round | Fault:
    """What ``latestRoundData()`` or ``getRoundData(uint80)`` gave."""
    if isinstance(outcome, CallFailure):
        return fault_of(outcome)
    if len(outcome) != _ROUND_WORDS * WORD:
        return Fault.MALFORMED
    words = [int.from_bytes(outcome[at : at + WORD]) for at in range(0, len(outcome), WORD)]
    round_id, answer, started_at, updated_at, answered_in = words
    if max(round_id, answered_in) >> 80 or max(started_at, updated_at) >> 40:
        return Fault.MALFORMED
    return Round(round_id, answer - ((answer & _SIGN) << 1), started_at, updated_at, answered_in)


def fault_of(failure: CallFailure) -> Fault:
    """Whether the contract is to blame for having no answer, and how."""
    match failure.code:
        case FailureCode.NO_CONTRACT | FailureCode.NO_DATA:
            return Fault.NO_CONTRACT
        case FailureCode.REVERTED | FailureCode.OUT_OF_GAS:
            return Fault.REVERTED
        case FailureCode.MALFORMED:
            return Fault.MALFORMED
    return Fault.UNANSWERED


def check_round(found: Round, feed: Feed, now: int) -> Fault | None:
    """What is wrong with a round at a block of time ``now`` (Unix seconds), if anything is."""
    if found.updated_at == 0 or found.answered_in < found.round_id:
        return Fault.INCOMPLETE
    if found.answer <= 0:
        return Fault.NOT_POSITIVE
    if found.updated_at > now + AHEAD_SECONDS:
        return Fault.FROM_FUTURE
    if now - found.updated_at > feed.heartbeat_seconds + LATE_SECONDS:
        return Fault.STALE
    return None


def sequencer_is_up(found: Round | Fault, now: int) -> bool:
    """Whether a sequencer was up at ``now``, and long enough for its feeds to have caught up.

    The feed answers 0 for up and 1 for down; ``started_at`` is when that began, and zero where
    it was never told.
    """
    if isinstance(found, Fault):
        return False
    return found.answer == 0 and found.started_at > 0 and now - found.started_at > GRACE_SECONDS


def worth_of(found: Round, decimals: int, rate: Worth | None = None) -> Worth:
    """The round's answer in dollars: by the rate of what it counts in, where that is not dollars."""
    worth = Worth(to_amount(found.answer, decimals), found.updated_at)
    return worth if rate is None else crossed(worth, rate)


def crossed(worth: Worth, rate: Worth) -> Worth:
    """A worth in something that has a rate itself, in dollars; as old as the older of both."""
    product = _EXACT.multiply(worth.amount, rate.amount)
    return Worth(product, min(worth.updated_at, rate.updated_at), crossed=True)
