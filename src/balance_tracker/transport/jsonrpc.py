"""JSON-RPC 2.0: calls to bytes, bytes to replies, and what an error text means.

Source: https://www.jsonrpc.org/specification. Endpoints bend it: errors that are
strings, ids that come back as text, HTTP 500 with a good body, a batch answered
by one object. What can be understood is; all else is an :class:`UpstreamError`.

Each request has ids of its own, so that a reply to another question (late, replayed, or out of
somebody's cache) is never taken for the answer to this one, however alike the two look.
"""

import itertools
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import orjson

from balance_tracker.core.errors import UpstreamError
from balance_tracker.telemetry.redact import redact_text


@dataclass(frozen=True, slots=True)
class RpcCall:
    """One method and its parameters."""

    method: str
    params: Sequence[Any] | Mapping[str, Any] = ()


@dataclass(frozen=True, slots=True)
class RpcError:
    """The error of one call, as a value: neighbours in its batch may have answered."""

    code: int | None
    message: str
    data: Any = None


type RpcReply = Any
"""A result as parsed JSON, or an :class:`RpcError` in its place."""


class Meaning(StrEnum):
    """What an error says, whatever its wording."""

    REVERTED = "reverted"
    OUT_OF_GAS = "out_of_gas"
    HISTORY_UNAVAILABLE = "history_unavailable"
    BLOCK_MISSING = "block_missing"
    RATE_LIMITED = "rate_limited"
    TOO_LARGE = "too_large"
    METHOD_UNSUPPORTED = "method_unsupported"
    OTHER = "other"


# Ordered: the first wording that fits decides. Texts seen at geth, erigon, nethermind,
# besu, reth, anvil, zksync-era and at public gateways.
_WORDINGS: tuple[tuple[Meaning, tuple[str, ...]], ...] = (
    (
        Meaning.HISTORY_UNAVAILABLE,
        (
            "missing trie node",
            "no state available",
            "no historical rpc",
            "pre-bedrock",
            "state not available",
            "state is not available",
            "historical state",
            "state histories",
            "pruned",
            "old data not available",
            "archive",
            "state already discarded",
            "distance to target block exceeds",
        ),
    ),
    (
        # A range of blocks, not a number of requests: the same words stand in both.
        Meaning.TOO_LARGE,
        (
            "block range limit",
            "query returned more than",
            "response size exceeded",
        ),
    ),
    (
        Meaning.RATE_LIMITED,
        (
            "rate limit",
            "ratelimit",
            "too many request",
            "limit exceeded",
            "request limit",
            "throttl",
            "exceeded the quota",
            "quota exceeded",
            "credits",
            "over rate",
            "call rate",
            "capacity exceeded",
            "compute units",
        ),
    ),
    (
        Meaning.OUT_OF_GAS,
        (
            "out of gas",
            "oog",
            "outofgas",
            "gas limit",
            "gas required exceeds",
            "exceeds block gas",
            "gas uint64",
            "gas exhausted",
            "gas too low",
            "gas too high",
            "intrinsic gas",
            "execution timeout",
            "execution aborted (timeout",
        ),
    ),
    (
        Meaning.TOO_LARGE,
        ("too large", "too big", "payload", "exceeds the limit", "maximum size", "oversized", "max size"),
    ),
    (
        Meaning.REVERTED,
        (
            "revert",
            "evm error",
            "invalid opcode",
            "invalidfeopcode",
            "stack underflow",
            "stack overflow",
            "stackoverflow",
            "stackunderflow",
            "invalid jump",
            "invalidjump",
            "opcodenotfound",
            "opcode not found",
            "undefined instruction",
            "bad instruction",
            "bad jump",
            "write protection",
            "statechangeduringstaticcall",
            "vm execution error",
            "return data out of bounds",
        ),
    ),
    (
        Meaning.BLOCK_MISSING,
        (
            "header not found",
            "block not found",
            "unknown block",
            "blockoutofrange",
            "block out of range",
            "cannot query unfinalized",
            "resource not found",
            "header for hash not found",
            "block is out of range",
            "unfinalized",
            "ahead of",
        ),
    ),
    (
        Meaning.METHOD_UNSUPPORTED,
        (
            "method not found",
            "not supported",
            "unsupported",
            "not available",
            "does not exist",
            "not allowed",
        ),
    ),
)
_CODES = {
    3: Meaning.REVERTED,
    429: Meaning.RATE_LIMITED,
    -32601: Meaning.METHOD_UNSUPPORTED,
    -32005: Meaning.RATE_LIMITED,
    -32016: Meaning.RATE_LIMITED,
    -32801: Meaning.HISTORY_UNAVAILABLE,
}


def meaning(error: RpcError) -> Meaning:
    """What an EVM endpoint's error says, by its wording first and its code second.

    >>> meaning(RpcError(-32000, "missing trie node 00 (path ) <nil>"))
    <Meaning.HISTORY_UNAVAILABLE: 'history_unavailable'>
    >>> meaning(RpcError(3, "execution reverted: nope"))
    <Meaning.REVERTED: 'reverted'>
    """
    if error.code == 3:
        return Meaning.REVERTED
    text = error.message.lower()
    if text.startswith("execution reverted"):
        return Meaning.REVERTED
    for meaning_, wordings in _WORDINGS:
        if any(wording in text for wording in wordings):
            return meaning_
    return _CODES.get(error.code, Meaning.OTHER) if error.code is not None else Meaning.OTHER


IDS_A_REQUEST = 1_024
"""Ids that a request may use; the first is a multiple of it."""
LAST_ID = 2**31 - 1
"""What a server that keeps ids in 32 bits still gives back."""
_REQUESTS = (LAST_ID + 1) // IDS_A_REQUEST
# Begun anywhere, or the first requests of two processes would look alike to a cache between.
_requests = itertools.count(random.randrange(_REQUESTS))


def new_ids() -> int:
    """The first id of a request; none of the two million requests before had it."""
    return next(_requests) % _REQUESTS * IDS_A_REQUEST


def encode(calls: Sequence[RpcCall], first_id: int = 0) -> bytes:
    """The body that asks ``calls``: one object, or a batch; ids count from ``first_id``."""
    items = [
        {"jsonrpc": "2.0", "id": number, "method": call.method, "params": _plain_params(call.params)}
        for number, call in enumerate(calls, first_id)
    ]
    return orjson.dumps(items[0] if len(items) == 1 else items)


def _plain_params(params: Sequence[Any] | Mapping[str, Any]) -> Any:
    return dict(params) if isinstance(params, Mapping) else list(params)


_LONG_DATA = 4_096
_PLACEHOLDER = b"0x:cut"


class BatchRefusedError(UpstreamError):
    """The endpoint answered a batch by a single object: it takes no batches, or none of this size."""

    code = "batch_unsupported"


def decode(body: bytes, count: int, first_id: int = 0) -> list[RpcReply]:
    """The replies to ``count`` calls, in their order.

    Args:
        body: What was answered.
        count: How many calls were asked.
        first_id: The id of the first of them, as in :func:`encode`.

    Raises:
        BatchRefusedError: A batch was answered by one error object.
        UpstreamError: The body is not JSON-RPC, or a reply is missing, foreign or doubled.
    """
    document = parse(body)
    if count == 1 and isinstance(document, list) and len(document) == 1:
        document = document[0]
    if count == 1:
        if not isinstance(document, dict):
            raise UpstreamError("The endpoint's answer is not a JSON-RPC object.", code="bad_response")
        return [_reply(document, expected_id=first_id)]
    if isinstance(document, dict):
        error = _error_of(document)
        if error is None:
            raise UpstreamError("The endpoint answered a batch by one result.", code="bad_response")
        if meaning(error) is Meaning.RATE_LIMITED and error.code != -32005:
            raise rate_limited(error.message)
        raise BatchRefusedError(f"The endpoint refused a batch of {count}: {error.message}")
    return _in_order(document, count, first_id)


def parse(body: bytes) -> Any:
    """A body as JSON.

    Raises:
        UpstreamError: It is empty or not JSON.
    """
    if not body.strip():
        raise UpstreamError("The endpoint's answer is empty.", code="bad_response")
    try:
        return _parse_around_data(body)
    except orjson.JSONDecodeError as error:
        raise UpstreamError("The endpoint's answer is not JSON.", code="bad_response") from error


def _parse_around_data(body: bytes) -> Any:
    """A body as JSON; a long piece of data in it is cut out and put back, not read digit by digit."""
    start = body.find(b'"0x') + 1
    end = body.find(b'"', start)
    if not 0 < start < end - _LONG_DATA:
        return orjson.loads(body)
    data = body[start:end]
    if b"\\" in data or not data.isascii():
        return orjson.loads(body)
    document = orjson.loads(b"".join((body[:start], _PLACEHOLDER, body[end:])))
    for item in document if isinstance(document, list) else (document,):
        if isinstance(item, dict) and item.get("result") == _PLACEHOLDER.decode():
            item["result"] = data.decode()
            return document
    # The data stands elsewhere than in a result.
    return orjson.loads(body)


def rate_limited(message: str, retry_after_seconds: float | None = None) -> UpstreamError:
    """The error of an endpoint that wants fewer requests."""
    return UpstreamError(
        f"The endpoint limits our requests: {message[:200]}",
        code="rate_limited",
        retry_after_seconds=retry_after_seconds,
    )


def _in_order(document: Any, count: int, first_id: int) -> list[RpcReply]:
    if not isinstance(document, list):
        raise UpstreamError("The endpoint's answer is not a JSON-RPC batch.", code="bad_response")
    replies: dict[int, RpcReply] = {}
    for item in document:
        if not isinstance(item, dict):
            raise UpstreamError("An item of the endpoint's batch is not an object.", code="bad_response")
        number = id_of(item)
        if number is None or not first_id <= number < first_id + count or number in replies:
            raise UpstreamError("A reply of the endpoint's batch has a foreign id.", code="bad_response")
        replies[number] = _reply(item, expected_id=number)
    if len(replies) != count:
        missing = count - len(replies)
        raise UpstreamError(f"The endpoint left {missing} of {count} calls unanswered.", code="bad_response")
    return [replies[number] for number in range(first_id, first_id + count)]


def _reply(item: dict[str, Any], expected_id: int) -> RpcReply:
    error = _error_of(item)
    if error is not None and item.get("id") is None:
        return error
    if id_of(item) != expected_id:
        if error is not None and meaning(error) is Meaning.RATE_LIMITED:
            # Gateways that turn us away before they read the body give an id of their own.
            raise rate_limited(error.message)
        raise UpstreamError("The endpoint answered with a foreign id.", code="bad_response")
    if error is not None:
        return error
    if "result" not in item:
        raise UpstreamError("The endpoint's answer has neither result nor error.", code="bad_response")
    return item["result"]


def _error_of(item: dict[str, Any]) -> RpcError | None:
    error = item.get("error")
    if error is None:
        return None
    if isinstance(error, dict):
        code = error.get("code")
        message = error.get("message")
        data = error.get("data")
        text = message if isinstance(message, str) else str(error)
        return RpcError(code if isinstance(code, int) else None, redact_text(text[:2000]), data)
    return RpcError(None, redact_text(str(error)[:2000]))


def id_of(item: dict[str, Any]) -> int | None:
    """The id of a reply as the number that it was asked with; ``None`` where it is no such number."""
    value = item.get("id")
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= len(str(LAST_ID)):
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    return None
