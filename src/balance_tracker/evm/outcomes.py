"""What became of what was asked: the data or amount it gave, or why there is none."""

from dataclasses import dataclass, field

from balance_tracker.core.blocks import BlockRef
from balance_tracker.core.portfolio import FailureCode
from balance_tracker.evm.abi import revert_reason
from balance_tracker.transport.jsonrpc import Meaning, RpcError, meaning


@dataclass(frozen=True, slots=True)
class CallFailure:
    """Why one call has no answer; whether it used up all gas is known of one that was asked alone."""

    code: FailureCode
    reason: str
    took_all_gas: bool = field(default=False, compare=False)


type Outcome = bytes | CallFailure

NOT_ASKED = CallFailure(FailureCode.TIMED_OUT, "not answered in time")
NO_CONTRACT = CallFailure(FailureCode.NO_CONTRACT, "there is no contract at this address")
NOT_YET = CallFailure(FailureCode.NO_CONTRACT, "there was no contract yet")
"""At a past block, of a contract that was created later."""
NO_DATA = CallFailure(FailureCode.NO_DATA, "the contract returned no data")
TOO_LONG = CallFailure(FailureCode.MALFORMED, "the contract returned more than an endpoint's answer may hold")
EMPTY = CallFailure(FailureCode.NO_DATA, "nothing came back")
"""Not the last word: whether there is a contract at all must still be seen."""
ASK_ALONE = CallFailure(FailureCode.OUT_OF_GAS, "the call failed beside others")
"""Not the last word: it may have been the others' doing, so it is asked by itself."""


@dataclass(slots=True)
class Answer:
    """What became of a question, all at ``block``.

    Attributes:
        cells: Raw amounts by place, ``None`` where ``failures`` says why there is none.
        calls: Data that the other calls returned, ``None`` likewise.
        failures: Why, by place; the places of calls follow those of the cells.
        endpoint: The name of the endpoint that answered.
        requests: How many requests the answer took, over all endpoints.
    """

    cells: list[int | None]
    calls: list[bytes | None]
    failures: dict[int, CallFailure]
    block: BlockRef
    endpoint: str
    requests: int = 0

    def outcome(self, number: int) -> Outcome:
        """What the call of that number gave."""
        data = self.calls[number]
        return self.failures[len(self.cells) + number] if data is None else data

    @property
    def outcomes(self) -> list[Outcome]:
        """What every call gave."""
        return [self.outcome(number) for number in range(len(self.calls))]

    def take(self, place: int, other: "Answer", at: int) -> None:
        """Take from another answer what stands there ``at`` a place."""
        cells = len(other.cells)
        if at in other.failures:
            self.failures[place] = other.failures[at]
            return
        del self.failures[place]
        if place < len(self.cells):
            self.cells[place] = other.cells[at]
        else:
            self.calls[place - len(self.cells)] = other.calls[at - cells]


def is_unanswered(outcome: Outcome) -> bool:
    """Whether the endpoint, not the contract, is why there is no answer."""
    return isinstance(outcome, CallFailure) and outcome.code in (
        FailureCode.ENDPOINT_FAILED,
        FailureCode.TIMED_OUT,
    )


def wrong_length(size: int) -> CallFailure:
    """A balance is exactly one word; anything else is no balance."""
    return CallFailure(FailureCode.MALFORMED, f"the contract returned {size} bytes, not 32")


def failure_of(error: RpcError) -> CallFailure:
    """What the error of one call says of its contract, or of its endpoint."""
    data = error.data if isinstance(error.data, str) and error.data.startswith("0x") else "0x"
    match meaning(error):
        case Meaning.REVERTED:
            try:
                raw = bytes.fromhex(data[2:])
            except ValueError:
                raw = b""
            text = error.message.lower()
            reason = revert_reason(raw) if raw or "invalid" not in text else error.message[:200]
            # An instruction that is none ends a call as running out of gas does: with all of it.
            broke = not raw and "revert" not in text
            return CallFailure(FailureCode.REVERTED, reason, took_all_gas=broke)
        case Meaning.OUT_OF_GAS:
            return CallFailure(FailureCode.OUT_OF_GAS, "the call ran out of gas", took_all_gas=True)
        case Meaning.HISTORY_UNAVAILABLE:
            return CallFailure(FailureCode.HISTORY_UNAVAILABLE, "the endpoint has no state of that block")
        case _:
            return CallFailure(FailureCode.ENDPOINT_FAILED, error.message[:200])
