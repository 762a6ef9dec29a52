"""What a simulated endpoint refuses, and in which words; those of geth where it has them."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson

from benchmarks.simulator import Conditions

_JSON, _TEXT = b"application/json", b"text/plain"
_TOO_MANY_ARGUMENTS = (-32602, "too many arguments, want at most 2")
_NO_TARGET = (-32602, 'missing value for required argument "to"')
_BATCH_TOO_LARGE = (-32600, "batch too large")


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer: of the node, or of the endpoint itself."""

    body: bytes
    status: int = 200
    kind: bytes = _JSON
    headers: bytes = b""
    refused: int = 0


@dataclass(frozen=True, slots=True)
class Forward:
    """What goes to the node, and what is to be done with its answer."""

    body: bytes
    merge: Callable[[bytes], bytes] | None = None
    refused: int = 0


class Bucket:
    """A token bucket that holds one second's worth."""

    def __init__(self, per_second: float | None) -> None:
        self._per_second = per_second
        self._tokens = per_second or 0.0
        self._seen: float | None = None

    def take(self, now: float) -> float:
        """Take one token; the seconds until there is one, if there is none."""
        if self._per_second is None:
            return 0.0
        if self._seen is not None:
            grown = self._tokens + (now - self._seen) * self._per_second
            self._tokens = min(self._per_second, grown)
        self._seen = now
        if self._tokens < 1:
            return (1 - self._tokens) / self._per_second
        self._tokens -= 1
        return 0.0


class Rules:
    """Caps and refusals of one endpoint."""

    def __init__(self, conditions: Conditions) -> None:
        self._conditions = conditions

    def too_many(self, wait_seconds: float) -> Answer:
        """HTTP 429; ``Retry-After`` counts whole seconds."""
        headers = b"retry-after: %d\r\n" % max(1, math.ceil(wait_seconds))
        return Answer(_error(None, -32005, "rate limit exceeded"), 429, headers=headers)

    def passed(self, body: bytes) -> Answer | Forward:
        """What becomes of a request."""
        limit = self._conditions.body_bytes
        if limit is not None and len(body) > limit:
            return Answer(b"request entity too large", 413, _TEXT, refused=1)
        if self._leaves_alone(body):
            return Forward(body)
        try:
            asked = orjson.loads(body)
        except orjson.JSONDecodeError:
            return Answer(_error(None, -32700, "parse error"), refused=1)
        items = asked if isinstance(asked, list) else [asked]
        batch = self._conditions.batch
        if batch is not None and len(items) > batch:
            return Answer(_error(None, *_BATCH_TOO_LARGE), refused=1)
        return self._forward(items, is_batch=isinstance(asked, list))

    def _leaves_alone(self, body: bytes) -> bool:
        """Cheaply, by its bytes: most requests need no parsing, which costs time of the machine."""
        known = self._conditions
        is_batch = body[:1] == b"["
        return (
            (known.batch is None or not is_batch)
            and known.gas is None
            and (known.overrides == "work" or b'"code"' not in body)
            and (known.deployless or body.count(b'"eth_call"') <= body.count(b'"to"'))
        )

    def _forward(self, items: list[Any], *, is_batch: bool) -> Answer | Forward:
        errors = {place: error for place, item in enumerate(items) if (error := self._refusal(item))}
        refusals = [_item_error(items[place], *error) for place, error in errors.items()]
        kept = [item for place, item in enumerate(items) if place not in errors]
        if not kept:
            return Answer(orjson.dumps(refusals if is_batch else refusals[0]), refused=len(errors))
        for item in kept:
            self._limit(item)
        body = orjson.dumps(kept if is_batch else kept[0])
        return Forward(body, lambda reply: self._merged(reply, refusals), len(errors))

    def _refusal(self, item: Any) -> tuple[int, str] | None:
        if not isinstance(item, dict) or item.get("method") != "eth_call":
            return None
        params = item.get("params", [])
        if self._conditions.overrides == "refused" and len(params) > 2:
            return _TOO_MANY_ARGUMENTS
        if not self._conditions.deployless and not params[0].get("to"):
            return _NO_TARGET
        return None

    def _limit(self, item: Any) -> None:
        """What an endpoint does to a call before it runs it."""
        if not isinstance(item, dict) or item.get("method") != "eth_call":
            return
        params = item["params"]
        if self._conditions.overrides == "ignored":
            del params[2:]
        cap = self._conditions.gas
        if cap is not None:
            params[0]["gas"] = hex(min(cap, int(params[0].get("gas", hex(cap)), 16)))

    def _merged(self, reply: bytes, refusals: list[Any]) -> bytes:
        """The node's answer in geth's words, with the endpoint's refusals among it."""
        cap = self._conditions.gas
        if cap is not None and b"OutOfGas" in reply:
            answered = orjson.loads(reply)
            for item in answered if isinstance(answered, list) else [answered]:
                if "OutOfGas" in str(item.get("error", {}).get("message")):
                    item["error"] = {"code": -32000, "message": f"out of gas (supplied gas {cap})"}
            reply = orjson.dumps(answered)
        if refusals:
            reply = orjson.dumps([*orjson.loads(reply), *refusals])
        return reply


def _item_error(item: Any, code: int, message: str) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": item.get("id"), "error": {"code": code, "message": message}}


def _error(number: Any, code: int, message: str) -> bytes:
    return orjson.dumps({"jsonrpc": "2.0", "id": number, "error": {"code": code, "message": message}})
