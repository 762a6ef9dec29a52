"""The shapes of batches, for the specification."""

from typing import Any, Literal

from pydantic import Field

from balance_tracker.api.schemas import Shape
from balance_tracker.services.serialise import Json


class Counts(Shape):
    """How many addresses; `done` is `ok`, `partial` and `failed` together."""

    total: int
    done: int
    ok: int
    partial: int
    failed: int


class BatchShape(Shape):
    """A batch and how far it is."""

    id: str
    status: Literal["queued", "running", "done", "partial", "failed", "cancelled"]
    counts: Counts
    estimated_seconds_left: int | None
    created_at: str
    started_at: str | None
    ended_at: str | None
    error: str | None = Field(description="Why it failed as a whole.")
    results: str


class Batches(Shape):
    """A page of batches, the newest first."""

    batches: list[BatchShape]
    next_cursor: str | None


class ResultProblem(Shape):
    """Why an address has no portfolio."""

    code: str
    detail: str
    hint: str | None


class ResultShape(Shape):
    """What became of one address."""

    position: int = Field(description="Its place in the list of addresses, from 0.")
    status: Literal["ok", "partial", "failed"]
    address: str = Field(description="As it was given.")
    portfolio: dict[str, Any] | None = Field(
        description="As `/balances` answers, or `/portfolio` where positions or collections are included."
    )
    problem: ResultProblem | None


class Results(Shape):
    """A page of results, in the order of the addresses."""

    results: list[ResultShape]
    next_cursor: str | None


BATCH: Json = {
    "id": "bat_01kdvdna000000000000000001",
    "status": "running",
    "counts": {"total": 1000, "done": 400, "ok": 398, "partial": 1, "failed": 1},
    "estimated_seconds_left": 3,
    "created_at": "2026-11-22T05:00:00Z",
    "started_at": "2026-11-22T05:00:01Z",
    "ended_at": None,
    "error": None,
    "results": "/batch/bat_01kdvdna000000000000000001/results",
}
BATCHES: Json = {"batches": [BATCH], "next_cursor": None}
RESULTS: Json = {
    "results": [
        {
            "position": 0,
            "status": "failed",
            "address": "0x123",
            "portfolio": None,
            "problem": {
                "code": "invalid_address",
                "detail": "'0x123' is no EVM address.",
                "hint": "It has 0x and 40 hexadecimal digits.",
            },
        }
    ],
    "next_cursor": None,
}
