"""``/batch``: many addresses, answered in the background."""

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal

import orjson
from fastapi import APIRouter, Depends, Header, Path, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from balance_tracker.api import batch_schemas as shapes
from balance_tracker.api.calling import Reading, Writing
from balance_tracker.api.documented import GENERAL, answers_of, problems_of
from balance_tracker.api.guard import charge
from balance_tracker.api.queries import NoQuery, StrictInt, once_each
from balance_tracker.api.tracking import Serving
from balance_tracker.core.batches import Batch, BatchQuestion
from balance_tracker.core.errors import InputError
from balance_tracker.ports.batches import BatchResult
from balance_tracker.services.batches import MOST_ADDRESSES, result_json
from balance_tracker.services.pages import DEFAULT_LIMIT, MOST_PER_PAGE, cursor_of, key_in, page_of
from balance_tracker.services.serialise import Json, time_text

router = APIRouter(prefix="/batch", dependencies=[Depends(once_each)], tags=["batch"])

ADDRESSES_PER_UNIT = 10
"""Balances are read as a matrix, which costs less than one by one: so many addresses are one unit of the
limit. With positions or collections each address is one."""

NDJSON = "application/x-ndjson"

_LIST = "batches"
_KEY = re.compile(r"[!-~]{1,255}")
_ONE = problems_of(s404=("Not Found", "not_found", "There is no such batch."))
_WRITE = problems_of(
    s403=("Forbidden", "scope_missing", "This key may not do that: it has no scope 'write'.")
)
_MADE = problems_of(
    s409=("Conflict", "idempotency_conflict", "This Idempotency-Key was used for another question."),
    s413=("Content Too Large", "body_too_large", "The body is too large."),
    s422=("Unprocessable Entity", "invalid_body", "'addresses' is missing."),
)

type BatchId = Annotated[str, Path(description="The batch's id, `bat_…`.", max_length=40)]
type _Address = Annotated[str, Field(max_length=300)]
type _Slug = Annotated[str, Field(min_length=1, max_length=60)]


class BatchBody(BaseModel):
    """What is asked of each address."""

    model_config = ConfigDict(extra="forbid")

    addresses: list[_Address] = Field(
        min_length=1,
        max_length=MOST_ADDRESSES,
        description="Addresses or names; one that is wrong is a failed result, not the end of the batch.",
        examples=[["0xd8dA6BF26964aF9D7eEd9e03E53415D37aA96045", "vitalik.eth"]],
    )
    networks: list[_Slug] | None = Field(default=None, min_length=1, max_length=100)
    include: list[Literal["balances", "defi", "nfts"]] = Field(
        default=["balances"],
        min_length=1,
        max_length=3,
        description="`balances` alone is quickest; with `defi` or `nfts` each result is a whole portfolio.",
    )
    currency: str = Field(default="usd", max_length=20)


class BatchesQuery(BaseModel):
    """What `GET /batch` takes."""

    model_config = ConfigDict(extra="forbid")

    limit: StrictInt = Field(default=DEFAULT_LIMIT, ge=1, le=MOST_PER_PAGE, description="Batches per page.")
    cursor: str | None = Field(default=None, max_length=200, description="`next_cursor` of the page before.")


class ResultsQuery(BaseModel):
    """What `GET /batch/{id}/results` takes."""

    model_config = ConfigDict(extra="forbid")

    limit: StrictInt = Field(default=DEFAULT_LIMIT, ge=1, le=MOST_PER_PAGE, description="Results per page.")
    cursor: str | None = Field(default=None, max_length=200, description="`next_cursor` of the page before.")


@router.post(
    "",
    status_code=202,
    summary="Ask for many addresses",
    responses={
        202: {
            "model": shapes.BatchShape,
            "content": {"application/json": {"example": shapes.BATCH}},
            "headers": {"Location": {"description": "The batch.", "schema": {"type": "string"}}},
        },
        **GENERAL,
        **_WRITE,
        **_MADE,
    },
)
async def create(
    request: Request,
    body: BatchBody,
    _query: Annotated[NoQuery, Query()],
    caller: Writing,
    service: Serving,
    idempotency_key: Annotated[
        str | None, Header(description="Asked again with the same, the answer is the same batch.")
    ] = None,
) -> Response:
    """Up to 10,000 addresses, read in the background; it goes on after a restart.

    Ten addresses cost one unit of the rate limit; with positions or collections each costs one.
    """
    if idempotency_key is not None and not _KEY.fullmatch(idempotency_key):
        raise InputError(
            "The Idempotency-Key is empty, too long or no plain text.",
            code="invalid_idempotency_key",
            hint="Use up to 255 printable ASCII characters without spaces, such as a UUID.",
        )
    each = ADDRESSES_PER_UNIT if body.include == ["balances"] else 1
    await charge(request, (len(body.addresses) - 1) // each)
    question = BatchQuestion(
        addresses=tuple(body.addresses),
        networks=None if body.networks is None else tuple(body.networks),
        include=tuple(dict.fromkeys(body.include)),
        currency=body.currency,
    )
    batch = await service.batches.create(caller, question, idempotency_key)
    return _json(_batch(batch), 202, {"Location": f"/batch/{batch.batch_id}", "Retry-After": "1"})


@router.get("", summary="The batches", responses=answers_of(shapes.Batches, shapes.BATCHES, {}))
async def batches(query: Annotated[BatchesQuery, Query()], caller: Reading, service: Serving) -> Response:
    """The caller's batches, the newest first."""
    found = await service.batches.batches(caller, query.limit + 1, key_in(_LIST, query.cursor))
    page = page_of(found, query.limit, _LIST, lambda batch: batch.batch_id)
    return _json({"batches": [_batch(one) for one in page.items], "next_cursor": page.next_cursor})


@router.get("/{batch_id}", summary="One batch", responses=answers_of(shapes.BatchShape, shapes.BATCH, _ONE))
async def batch(
    batch_id: BatchId, _query: Annotated[NoQuery, Query()], caller: Reading, service: Serving
) -> Response:
    """How far it is, with an estimate of the time it still takes."""
    return _json(_batch(await service.batches.get(caller, batch_id)))


@router.get(
    "/{batch_id}/results",
    summary="The results of a batch",
    responses={
        **answers_of(shapes.Results, shapes.RESULTS, _ONE),
        200: {
            "model": shapes.Results,
            "content": {
                "application/json": {"example": shapes.RESULTS},
                NDJSON: {"schema": {"type": "string", "description": "One result on each line."}},
            },
        },
    },
)
async def results(
    request: Request,
    batch_id: BatchId,
    query: Annotated[ResultsQuery, Query()],
    caller: Reading,
    service: Serving,
) -> Response:
    """Results so far, in the order of the addresses: pages, or lines with `Accept: application/x-ndjson`."""
    if NDJSON in request.headers.get("accept", ""):
        found = await service.batches.get(caller, batch_id)
        return StreamingResponse(_lines(service.batches.all_results(found)), media_type=NDJSON)
    kind = f"results:{batch_id}"
    after = key_in(kind, query.cursor)
    page = await service.batches.results(caller, batch_id, _place(after), query.limit + 1)
    more = len(page) > query.limit
    shown = page[: query.limit]
    return _json(
        {
            "results": [result_json(one) for one in shown],
            "next_cursor": cursor_of(kind, str(shown[-1].position)) if more else None,
        }
    )


@router.delete(
    "/{batch_id}",
    summary="Cancel a batch",
    responses=answers_of(shapes.BatchShape, shapes.BATCH, {**_ONE, **_WRITE}),
)
async def cancel(
    batch_id: BatchId, _query: Annotated[NoQuery, Query()], caller: Writing, service: Serving
) -> Response:
    """Work on it no more. Results so far stay; a batch that has ended stays as it is."""
    return _json(_batch(await service.batches.cancel(caller, batch_id)))


def _batch(found: Batch) -> Json:
    left = found.left(datetime.now(UTC))
    return {
        "id": found.batch_id,
        "status": found.state.value,
        "counts": {
            "total": found.total,
            "done": found.done,
            "ok": found.done - found.failed - found.incomplete,
            "partial": found.incomplete,
            "failed": found.failed,
        },
        "estimated_seconds_left": None if left is None else left // timedelta(seconds=1),
        "created_at": time_text(found.created_at),
        "started_at": None if found.started_at is None else time_text(found.started_at),
        "ended_at": None if found.ended_at is None else time_text(found.ended_at),
        "error": found.error,
        "results": f"/batch/{found.batch_id}/results",
    }


async def _lines(found: AsyncIterator[BatchResult]) -> AsyncIterator[bytes]:
    async for result in found:
        yield orjson.dumps(result_json(result)) + b"\n"


def _place(after: str | None) -> int:
    if after is None:
        return -1
    if not after.isdigit() or len(after) > 9:
        raise InputError("The cursor is not one of this list.", code="invalid_cursor")
    return int(after)


def _json(body: Json, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(orjson.dumps(body), status, headers, "application/json")
