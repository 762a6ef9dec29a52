"""JSON-RPC: what can be understood is, all else is told."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balance_tracker.core.errors import UpstreamError
from balance_tracker.transport.jsonrpc import (
    IDS_A_REQUEST,
    LAST_ID,
    BatchRefusedError,
    Meaning,
    RpcCall,
    RpcError,
    decode,
    encode,
    meaning,
    new_ids,
    parse,
)


def body(document: Any) -> bytes:
    return json.dumps(document).encode()


def item(number: Any, **more: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": number, **more}


def test_one_call_is_an_object_and_many_are_a_batch_with_ids_from_zero() -> None:
    one = json.loads(encode([RpcCall("eth_chainId")]))
    assert one == {"jsonrpc": "2.0", "id": 0, "method": "eth_chainId", "params": []}
    many = json.loads(encode([RpcCall("a", (1, "x")), RpcCall("b", {"k": None})]))
    assert [(call["id"], call["params"]) for call in many] == [(0, [1, "x"]), (1, {"k": None})]


def test_every_request_has_ids_of_its_own() -> None:
    firsts = [new_ids() for _ in range(1_000)]
    assert len(set(firsts)) == len(firsts)
    assert all(first % IDS_A_REQUEST == 0 and 0 <= first < LAST_ID for first in firsts)
    calls = [RpcCall("a"), RpcCall("b")]
    assert [call["id"] for call in json.loads(encode(calls, 7 * IDS_A_REQUEST))] == [7_168, 7_169]


def test_a_reply_to_another_request_is_no_answer_however_alike_it_looks() -> None:
    assert decode(body(item(2_048, result="0x1")), 1, 2_048) == ["0x1"]
    assert decode(body([item("2049", result=2), item(2_048, result=1)]), 2, 2_048) == [1, 2]
    largest = LAST_ID + 1 - IDS_A_REQUEST
    assert decode(body(item(str(largest), result="0x1")), 1, largest) == ["0x1"]
    for document, count in [
        (item(0, result="0x1"), 1),
        (item(1_024, result="0x1"), 1),
        (item("1024", error={"code": 3, "message": "execution reverted"}), 1),
        ([item(0, result=1), item(1, result=2)], 2),
        ([item(2_048, result=1), item(1_025, result=2)], 2),
        ([item(2_049, result=1), item(2_050, result=2)], 2),
    ]:
        with pytest.raises(UpstreamError) as caught:
            decode(body(document), count, 2_048)
        assert caught.value.code == "bad_response"


def test_a_gateway_that_limits_us_may_give_any_id() -> None:
    with pytest.raises(UpstreamError) as caught:
        decode(body(item(0, error={"code": 429, "message": "Too Many Requests"})), 1, 2_048)
    assert caught.value.code == "rate_limited"


def test_replies_come_back_in_the_order_of_their_calls() -> None:
    replies = decode(body([item(2, result="c"), item(0, result="a"), item(1, result=None)]), 3)
    assert replies == ["a", None, "c"]


def test_ids_that_come_back_as_text_are_understood() -> None:
    assert decode(body([item("1", result=2), item("0", result=1)]), 2) == [1, 2]


def test_a_single_reply_in_a_list_is_understood() -> None:
    assert decode(body([item(0, result="0x1")]), 1) == ["0x1"]


def test_an_error_takes_its_place_beside_its_neighbours() -> None:
    error = {"code": 3, "message": "execution reverted", "data": "0x08"}
    replies = decode(body([item(0, result="0x1"), item(1, error=error)]), 2)
    assert replies == ["0x1", RpcError(3, "execution reverted", "0x08")]


@pytest.mark.parametrize(
    ("error", "read"),
    [
        ("Missed `to` address", RpcError(None, "Missed `to` address")),
        ({"code": "x", "message": "odd code"}, RpcError(None, "odd code")),
        ({"code": 5}, RpcError(5, "{'code': 5}")),
        (["what"], RpcError(None, "['what']")),
    ],
)
def test_errors_of_odd_shapes_are_errors(error: Any, read: RpcError) -> None:
    assert decode(body(item(0, error=error)), 1) == [read]


def test_an_error_without_an_id_belongs_to_the_only_call() -> None:
    assert decode(body(item(None, error={"code": 1, "message": "no"})), 1) == [RpcError(1, "no")]


def test_an_error_of_null_is_none() -> None:
    assert decode(body(item(0, error=None, result="0x")), 1) == ["0x"]


def test_an_url_in_an_error_text_loses_its_key() -> None:
    (reply,) = decode(body(item(0, error={"code": 1, "message": "see https://node.example/v3/key-1"})), 1)
    assert "key-1" not in reply.message


@pytest.mark.parametrize(
    ("raw", "count"),
    [
        (b"", 1),
        (b"  \n", 1),
        (b"<html>service unavailable</html>", 1),
        (b'{"jsonrpc":"2.0","id":0,"resu', 1),
        (b"\xff\xfe", 2),
        (b"null", 1),
        (b'"text"', 2),
        (b"7", 2),
        (body(item(7, result="0x1")), 1),
        (body(item(True, result="0x1")), 1),
        (body(item("x", result="0x1")), 1),
        (body(item(7, error={"code": 1, "message": "not yours"})), 1),
        (body(item(0)), 1),
        (body([item(0, result=1), item(1, result=2)]), 1),
        (body([item(0, result=1)]), 2),
        (body([item(0, result=1), item(0, result=1)]), 2),
        (body([item(0, result=1), item(2, result=1)]), 2),
        (body([item(0, result=1), item(-1, result=1)]), 2),
        (body([item(0, result=1), item(None, error={"code": 1, "message": "which one?"})]), 2),
        (body([item(0, result=1), "text"]), 2),
        (body([item(0, result=1), item(1)]), 2),
        (body(item(0, result=1)), 2),
        (body([]), 2),
    ],
)
def test_what_is_not_an_answer_is_a_fault_of_the_endpoint(raw: bytes, count: int) -> None:
    with pytest.raises(UpstreamError) as caught:
        decode(raw, count)
    assert caught.value.code == "bad_response"


@pytest.mark.parametrize(
    "error",
    [
        {"code": -32600, "message": "batch requests are not supported"},
        {"code": -32005, "message": "batch limit exceeded"},
        "one at a time",
    ],
)
def test_a_batch_answered_by_one_error_is_a_refused_batch(error: Any) -> None:
    with pytest.raises(BatchRefusedError):
        decode(body(item(None, error=error)), 3)


def test_a_batch_answered_by_a_rate_limit_is_not_a_refused_batch() -> None:
    with pytest.raises(UpstreamError) as caught:
        decode(body(item(None, error={"code": 429, "message": "Too Many Requests"})), 3)
    assert caught.value.code == "rate_limited"
    assert not isinstance(caught.value, BatchRefusedError)


@given(st.binary(max_size=80), st.integers(1, 3))
def test_no_bytes_raise_anything_but_an_upstream_error(raw: bytes, count: int) -> None:
    try:
        replies = decode(raw, count)
    except UpstreamError:
        return
    assert len(replies) == count


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 3) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["id", "error", "result", "code", "message"]), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(_JSON, st.integers(1, 3))
def test_no_document_raises_anything_but_an_upstream_error(document: Any, count: int) -> None:
    try:
        replies = decode(body(document), count)
    except UpstreamError:
        return
    assert len(replies) == count


@given(st.lists(_JSON, min_size=1, max_size=5), st.randoms())
def test_results_survive_any_order(results: list[Any], random: Any) -> None:
    items = [item(number, result=result) for number, result in enumerate(results)]
    random.shuffle(items)
    assert decode(body(items), len(results)) == results


def test_json_is_parsed_as_it_is() -> None:
    assert parse(b' {"a": [1, 2.5, null]} ') == {"a": [1, 2.5, None]}


# What real endpoints said, and what it means. The first ten were recorded at public gateways.
WORDINGS = [
    (-32000, "missing trie node " + "0" * 64 + " (path ) <nil>", Meaning.HISTORY_UNAVAILABLE),
    (
        -32000,
        "missing trie node 7a8d16 (path ) state 0x7a8d16 is not available, not found",
        Meaning.HISTORY_UNAVAILABLE,
    ),
    (-32002, "No state available for block 36600 (0x985a2c91d0)", Meaning.HISTORY_UNAVAILABLE),
    (
        -32801,
        "no historical RPC is available for this historical (pre-bedrock) execution request",
        Meaning.HISTORY_UNAVAILABLE,
    ),
    (3, "execution reverted: Invalid token ID", Meaning.REVERTED),
    (3, "execution reverted: revert: Invalid token ID", Meaning.REVERTED),
    (3, "execution reverted", Meaning.REVERTED),
    (3, "RPC Request failed.", Meaning.REVERTED),
    (-32000, "eth_getLogs is limited to a 1000 blocks range", Meaning.OTHER),
    (None, "Missed `to` address", Meaning.OTHER),
    (-32000, "execution reverted: rate limit exceeded", Meaning.REVERTED),
    (-32000, "execution reverted: out of gas credits", Meaning.REVERTED),
    (-32000, "out of gas", Meaning.OUT_OF_GAS),
    (-32003, "Out of gas: gas exhausted: 30000000", Meaning.OUT_OF_GAS),
    (-32000, "err: intrinsic gas too high (supplied gas 600000000)", Meaning.OUT_OF_GAS),
    (-32000, "execution aborted (timeout = 5s)", Meaning.OUT_OF_GAS),
    (-32603, "EVM error InvalidFEOpcode", Meaning.REVERTED),
    (-32603, "EVM error StackUnderflow", Meaning.REVERTED),
    (-32000, "invalid opcode: INVALID", Meaning.REVERTED),
    (-32015, "VM execution error.", Meaning.REVERTED),
    (429, "slow down", Meaning.RATE_LIMITED),
    (-32005, "daily request count", Meaning.RATE_LIMITED),
    (-32029, "Your app has exceeded its compute units per second capacity", Meaning.RATE_LIMITED),
    (-32602, "request entity too large", Meaning.TOO_LARGE),
    (-32000, "header not found", Meaning.BLOCK_MISSING),
    (-32602, "BlockOutOfRangeError: block height is 5 but requested was 900", Meaning.BLOCK_MISSING),
    (-32000, "cannot query unfinalized data", Meaning.BLOCK_MISSING),
    (-32601, "unknown", Meaning.METHOD_UNSUPPORTED),
    (-32601, "the method eth_call does not exist/is not available", Meaning.METHOD_UNSUPPORTED),
    (-32603, "Internal error", Meaning.OTHER),
]


@pytest.mark.parametrize(("code", "message", "expected"), WORDINGS)
def test_the_wording_of_an_error_is_understood(code: int | None, message: str, expected: Meaning) -> None:
    assert meaning(RpcError(code, message)) is expected
    if not message.startswith("execution reverted"):
        assert meaning(RpcError(code, message.upper())) is expected
