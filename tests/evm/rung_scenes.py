"""Endpoints that take a read down the ladder, refusing what is above in the ways of real ones."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

from tests.fakes.bad_endpoint import BadEndpoint, Exchange, Fault

from balance_tracker.demo.contracts import MULTICALL3_ADDRESS
from balance_tracker.evm.scanner_code import PROGRAM

type RungOrBelow = Literal["override", "deployless", "multicall3", "batch", "singles"]

RUNGS: tuple[RungOrBelow, ...] = ("override", "deployless", "multicall3", "batch", "singles")
REFUSALS: dict[str, dict[str, Any]] = {
    "too many arguments": {"error": {"code": -32602, "message": "too many arguments, want at most 2"}},
    "invalid params": {"error": {"code": -32602, "message": "Invalid params"}},
    "ignored": {"result": "0x"},
    "reverted": {"error": {"code": 3, "message": "execution reverted", "data": "0x"}},
    "invalid opcode": {"error": {"code": -32000, "message": "invalid opcode: SHR"}},
    "unsupported": {"error": {"code": -32000, "message": "state override is not supported"}},
}
FAULT = {"error": {"code": -32603, "message": "Internal error"}}
"""May be a refusal, and may be a fault of the moment."""
PLAIN_REFUSAL = "too many arguments"


@dataclass
class Narrow:
    """What an endpoint takes; a test may change it on the way.

    Attributes:
        rung: The best rung that it serves.
        refusal: How it refuses what is above.
        gas: Gas that it gives a call; ``None`` for what the node gives.
        body_bytes: The longest body that it takes.
        batch: Calls in a batch that it takes.
        nonsense: A result that it gives to every ``eth_call`` instead.
        scans: The sizes of the batches with the scanner in them, as they came.
    """

    rung: RungOrBelow = "override"
    refusal: str = PLAIN_REFUSAL
    gas: int | None = None
    body_bytes: int | None = None
    batch: int | None = None
    nonsense: str | None = None
    scans: list[int] = field(default_factory=list)

    async def act(self, exchange: Exchange) -> None:
        """Answer one request."""
        calls = exchange.calls
        if self.body_bytes is not None and len(exchange.request.body) > self.body_bytes:
            await exchange.reply(b"", 413)
            return
        most = 1 if self.rung == "singles" else self.batch
        if exchange.is_batch and most is not None and len(calls) > most:
            error = {"code": -32600, "message": f"batch limit is {most}" if most > 1 else "no batches"}
            await exchange.reply_json({"jsonrpc": "2.0", "id": None, "error": error})
            return
        self.scans += [len(calls) for call in calls if _brings_code(call)]
        refused = {call["id"]: answer for call in calls if (answer := self._refused(call)) is not None}
        passed = [self._passed(call) for call in calls if call["id"] not in refused]
        replies = await _ask(exchange, passed) if passed else {}
        replies |= {number: {"jsonrpc": "2.0", "id": number, **answer} for number, answer in refused.items()}
        ordered = [replies[call["id"]] for call in calls]
        await exchange.reply_json(ordered if exchange.is_batch else ordered[0])

    def _refused(self, call: dict[str, Any]) -> dict[str, Any] | None:
        above = RUNGS.index(self.rung)
        if call["method"] == "eth_getCode":
            missing = above > 2 and call["params"][0].lower() == MULTICALL3_ADDRESS.lower()
            return {"result": "0x"} if missing else None
        if call["method"] != "eth_call":
            return None
        if self.nonsense is not None:
            return {"result": self.nonsense}
        params = call["params"]
        if (above > 0 and len(params) > 2) or (above > 1 and "to" not in params[0]):
            return FAULT if self.refusal == "fault" else REFUSALS[self.refusal]
        if above > 2 and params[0].get("to", "").lower() == MULTICALL3_ADDRESS.lower():
            return {"result": "0x"}
        return None

    def _passed(self, call: dict[str, Any]) -> dict[str, Any]:
        if self.gas is None or call["method"] != "eth_call":
            return call
        first, *rest = call["params"]
        return {**call, "params": [{**first, "gas": hex(self.gas)}, *rest]}


def _brings_code(call: dict[str, Any]) -> bool:
    return call["method"] == "eth_call" and PROGRAM[:64] in str(call["params"])


async def _ask(exchange: Exchange, calls: list[dict[str, Any]]) -> dict[Any, dict[str, Any]]:
    answer = json.loads(await exchange.good(calls))
    return {reply["id"]: reply for reply in answer}


@asynccontextmanager
async def narrow(node_url: str, takes: Narrow) -> AsyncIterator[BadEndpoint]:
    """The node behind an endpoint that takes no more than that."""
    async with BadEndpoint(Fault("narrow", takes.act, frozenset()), node_url) as endpoint:
        yield endpoint
