"""What tokens say of themselves."""

import pytest
from eth_abi import encode

from balance_tracker.core.portfolio import FailureCode
from balance_tracker.evm.metadata import metadata_calls, read_metadata
from balance_tracker.evm.outcomes import CallFailure, failure_of
from balance_tracker.ports import MetadataFailure, TokenMetadata
from balance_tracker.transport.jsonrpc import RpcError

REVERTED = CallFailure(FailureCode.REVERTED, "without a reason")


def test_three_questions_are_asked() -> None:
    assert [call.data for call in metadata_calls("0x1")] == ["95d89b41", "06fdde03", "313ce567"]


def test_texts_and_decimals_are_read() -> None:
    outcomes = [encode(["string"], ["DAI"]), b"Dai Stablecoin".ljust(32, b"\0"), encode(["uint8"], [18])]
    assert read_metadata(outcomes) == TokenMetadata("DAI", "Dai Stablecoin", 18)


def test_a_question_that_is_not_answered_leaves_nothing() -> None:
    assert read_metadata([REVERTED, b"", encode(["uint256"], [300])]) == TokenMetadata(None, None, None)


@pytest.mark.parametrize(
    "code", [FailureCode.NO_CONTRACT, FailureCode.ENDPOINT_FAILED, FailureCode.TIMED_OUT]
)
def test_no_contract_and_no_endpoint_are_failures(code: FailureCode) -> None:
    assert read_metadata([b"", CallFailure(code, "why"), b""]) == MetadataFailure(code, "why")


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        (RpcError(3, "execution reverted", "0x"), REVERTED),
        (RpcError(3, "execution reverted", "0xzz"), REVERTED),
        (RpcError(3, "execution reverted", {"odd": 1}), REVERTED),
        (
            RpcError(-32603, "EVM error InvalidFEOpcode"),
            CallFailure(FailureCode.REVERTED, "EVM error InvalidFEOpcode"),
        ),
        (RpcError(-32000, "out of gas"), CallFailure(FailureCode.OUT_OF_GAS, "the call ran out of gas")),
        (
            RpcError(-32000, "missing trie node"),
            CallFailure(FailureCode.HISTORY_UNAVAILABLE, "the endpoint has no state of that block"),
        ),
        (RpcError(-32603, "Internal error"), CallFailure(FailureCode.ENDPOINT_FAILED, "Internal error")),
    ],
)
def test_an_error_of_one_call_is_its_failure(error: RpcError, failure: CallFailure) -> None:
    assert failure_of(error) == failure


def test_a_revert_with_data_tells_its_reason() -> None:
    data = "0x08c379a0" + encode(["string"], ["nope"]).hex()
    assert failure_of(RpcError(3, "execution reverted: invalid", data)).reason == "the contract says: nope"
