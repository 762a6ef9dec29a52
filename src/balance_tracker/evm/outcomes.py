"""What became of one call: the data it returned, or why there is none."""

from dataclasses import dataclass

from balance_tracker.core.blocks import BlockRef
from balance_tracker.core.portfolio import FailureCode
from balance_tracker.evm.abi import revert_reason
from balance_tracker.transport.jsonrpc import Meaning, RpcError, meaning


@dataclass(frozen=True, slots=True)
class CallFailure:
    """Why one call has no answer."""

    code: FailureCode
    reason: str


type Outcome = bytes | CallFailure


@dataclass(slots=True)
class Answer:
    """Outcomes in the order of their calls, all at ``block``."""

    outcomes: list[Outcome]
    block: BlockRef
    endpoint: str
    requests: int = 0


NOT_ASKED = CallFailure(FailureCode.TIMED_OUT, "not answered in time")


def is_unanswered(outcome: Outcome) -> bool:
    """Whether the endpoint, not the contract, is why there is no answer."""
    return isinstance(outcome, CallFailure) and outcome.code in (
        FailureCode.ENDPOINT_FAILED,
        FailureCode.TIMED_OUT,
    )


def failure_of(error: RpcError) -> CallFailure:
    """What the error of one call says of its contract, or of its endpoint."""
    data = error.data if isinstance(error.data, str) and error.data.startswith("0x") else "0x"
    match meaning(error):
        case Meaning.REVERTED:
            try:
                raw = bytes.fromhex(data[2:])
            except ValueError:
                raw = b""
            reason = (
                revert_reason(raw) if raw or "invalid" not in error.message.lower() else error.message[:200]
            )
            return CallFailure(FailureCode.REVERTED, reason)
        case Meaning.OUT_OF_GAS:
            return CallFailure(FailureCode.OUT_OF_GAS, "the call ran out of gas")
        case Meaning.HISTORY_UNAVAILABLE:
            return CallFailure(FailureCode.HISTORY_UNAVAILABLE, "the endpoint has no state of that block")
        case _:
            return CallFailure(FailureCode.ENDPOINT_FAILED, error.message[:200])


def is_without_history(outcome: Outcome) -> bool:
    """Whether the endpoint has pruned the state that the call needed."""
    return isinstance(outcome, CallFailure) and outcome.code is FailureCode.HISTORY_UNAVAILABLE


def took_all_gas(outcome: Outcome) -> bool:
    """Whether a call, asked alone, used up all gas: it ran out, or met an instruction that takes it all."""
    if not isinstance(outcome, CallFailure):
        return False
    return outcome.code is FailureCode.OUT_OF_GAS or "invalid" in outcome.reason.lower()
