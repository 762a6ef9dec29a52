"""What tokens say of themselves: ``symbol()``, ``name()`` and ``decimals()``."""

from collections.abc import Sequence

from balance_tracker.core.portfolio import FailureCode
from balance_tracker.evm.abi import (
    DECIMALS,
    NAME,
    NAME_LIMIT,
    SYMBOL,
    SYMBOL_LIMIT,
    read_decimals,
    read_text,
)
from balance_tracker.evm.multicall import Call
from balance_tracker.evm.outcomes import CallFailure, Outcome, is_unanswered
from balance_tracker.ports import MetadataFailure, TokenMetadata

CALLS_PER_TOKEN = 3


def metadata_calls(contract: str) -> list[Call]:
    """The three questions; what they return is read by :func:`read_metadata`."""
    return [Call(contract, SYMBOL), Call(contract, NAME), Call(contract, DECIMALS)]


def read_metadata(outcomes: Sequence[Outcome]) -> TokenMetadata | MetadataFailure:
    """What a token says; a question that it does not answer leaves ``None``.

    Old tokens give a bytes32 for a text, many give no name, some no decimals: that is
    theirs to decide. Only a missing contract or an endpoint that did not answer is a failure.
    """
    symbol, name, decimals = outcomes
    for outcome in outcomes:
        if isinstance(outcome, CallFailure) and (
            is_unanswered(outcome) or outcome.code is FailureCode.NO_CONTRACT
        ):
            return MetadataFailure(outcome.code, outcome.reason)
    return TokenMetadata(
        symbol=read_text(_data(symbol), SYMBOL_LIMIT),
        name=read_text(_data(name), NAME_LIMIT),
        decimals=read_decimals(_data(decimals)),
    )


def _data(outcome: Outcome) -> bytes:
    return outcome if isinstance(outcome, bytes) else b""
