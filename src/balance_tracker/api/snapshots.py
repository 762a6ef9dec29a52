"""``/snapshots`` and ``/performance``: kept portfolios, what changed, and what was earned."""

import re
from datetime import datetime, timedelta
from typing import Annotated, Literal
from urllib.parse import urlencode

import orjson
from fastapi import APIRouter, Depends, Header, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from balance_tracker.api import history_schemas as shapes
from balance_tracker.api.calling import Reading, Writing
from balance_tracker.api.documented import GENERAL, answers_of, problems_of
from balance_tracker.api.exports import FORMAT, Format, as_files, file_of
from balance_tracker.api.guard import charge
from balance_tracker.api.queries import NoQuery, StrictInt, once_each
from balance_tracker.api.tracking import Serving
from balance_tracker.core.errors import InputError
from balance_tracker.core.snapshots import SnapshotHead
from balance_tracker.ports.snapshots import HeadPlace
from balance_tracker.services.exporting import (
    flows_table,
    heads_table,
    lines_table,
    periods_table,
    profits_table,
    series_table,
)
from balance_tracker.services.pages import DEFAULT_LIMIT, MOST_PER_PAGE, key_in, page_of
from balance_tracker.services.serialise import Json
from balance_tracker.services.serialise_history import (
    comparison_json,
    head_json,
    performance_json,
    series_json,
    snapshot_json,
)
from balance_tracker.services.snapshots import SeriesRequest, SnapshotRequest
from balance_tracker.services.wallets import every_of

router = APIRouter(dependencies=[Depends(once_each)], tags=["history"])

_LIST = "snapshots"
_UNITS_OF_A_SNAPSHOT = 4
"""What keeping one of an address costs beyond one unit: balances, positions, collections, prices."""

_UNITS_OF_A_PERFORMANCE = 4
"""What reading hundreds of snapshots whole costs beyond the one unit of each request."""

_KEY = re.compile(r"[!-~]{1,80}")
_ONE = problems_of(s404=("Not Found", "not_found", "There is no such snapshot."))
_WALLET_OR_NONE = problems_of(s404=("Not Found", "not_found", "There is no such wallet."))
_TAKEN = problems_of(
    s403=("Forbidden", "scope_missing", "This key may not do that: it has no scope 'write'."),
    s404=("Not Found", "not_found", "There is no such wallet."),
    s409=("Conflict", "idempotency_conflict", "This Idempotency-Key was used for another snapshot."),
    s422=("Unprocessable Entity", "invalid_body", "'address' is too long."),
    s502=("Bad Gateway", "nothing_obtained", "Not one network could be read, so there is nothing to keep."),
)

type SnapshotId = Annotated[str, Path(description="The snapshot's id, `snp_…`.", max_length=40)]
type _Slug = Annotated[str, Field(min_length=1, max_length=60)]

_ADDRESS = Field(default=None, max_length=300, description="Of this address or name.")
_WALLET = Field(default=None, max_length=40, description="Of this wallet, by its id.")
_FROM = Field(default=None, alias="from", max_length=64, description="Taken at this time or later.")
_TO = Field(default=None, alias="to", max_length=64, description="Taken at this time or earlier.")
_CURRENCY = Field(default="usd", max_length=20, description="Snapshots of this currency.")


class SnapshotBody(BaseModel):
    """What is to be kept."""

    model_config = ConfigDict(extra="forbid")

    address: str | None = Field(
        default=None,
        min_length=1,
        max_length=300,
        description="Of this address or name; or else name a `wallet`.",
        examples=["0xd8dA6BF26964aF9D7eEd9e03E53415D37aA96045"],
    )
    wallet: str | None = Field(default=None, min_length=1, max_length=40, description="Of this wallet.")
    networks: list[_Slug] | None = Field(default=None, min_length=1, max_length=100)
    name: str | None = Field(default=None, min_length=1, max_length=100, examples=["end of the quarter"])
    currency: str | None = Field(default=None, max_length=20, description="`usd`, or the wallet's.")
    at: str | None = Field(
        default=None,
        max_length=64,
        description="A past time, where an archive endpoint knows it; now without it.",
        examples=["2025-12-31T23:59:59Z"],
    )


class _OfQuery(BaseModel):
    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    address: str | None = _ADDRESS
    wallet: str | None = _WALLET
    start: str | None = _FROM
    end: str | None = _TO


class SnapshotsQuery(_OfQuery):
    """What `GET /snapshots` takes."""

    limit: StrictInt = Field(default=DEFAULT_LIMIT, ge=1, le=MOST_PER_PAGE, description="Snapshots per page.")
    cursor: str | None = Field(default=None, max_length=200, description="`next_cursor` of the page before.")
    format: Format = FORMAT


class SeriesQuery(_OfQuery):
    """What `GET /snapshots/series` takes."""

    currency: str = _CURRENCY
    every: str | None = Field(
        default=None,
        max_length=20,
        description="The last known of each span, as `1h` or `1d`; without it, what fits in 1,000 points.",
    )
    format: Format = FORMAT


class CompareQuery(BaseModel):
    """What `GET /snapshots/compare` takes."""

    model_config = ConfigDict(extra="forbid")

    from_id: str = Field(max_length=40, description="The earlier snapshot.")
    to_id: str = Field(max_length=40, description="The later snapshot.")


class PerformanceQuery(_OfQuery):
    """What `GET /performance` takes."""

    currency: str = _CURRENCY
    every: str | None = Field(
        default=None,
        max_length=20,
        description="From the last known of each span, as `1d`; without it, from what fits in 400 snapshots.",
    )
    format: Format = FORMAT
    part: Literal["periods", "flows", "assets"] = Field(
        default="periods", description="What a file holds; JSON holds all of it."
    )


class SnapshotQuery(BaseModel):
    """What `GET /snapshots/{id}` takes."""

    model_config = ConfigDict(extra="forbid")

    format: Format = FORMAT


@router.post(
    "/snapshots",
    status_code=201,
    summary="Keep a portfolio",
    responses={
        201: {
            "model": shapes.SnapshotShape,
            "content": {"application/json": {"example": shapes.SNAPSHOT}},
            "headers": {"Location": {"description": "The snapshot.", "schema": {"type": "string"}}},
        },
        **GENERAL,
        **_TAKEN,
    },
)
async def take(
    request: Request,
    body: SnapshotBody,
    _query: Annotated[NoQuery, Query()],
    caller: Writing,
    service: Serving,
    idempotency_key: Annotated[
        str | None, Header(description="Asked again with the same, the answer is the same snapshot.")
    ] = None,
) -> Response:
    """Read all that an address or a wallet has and keep it, with blocks, prices and what was missing."""
    if idempotency_key is not None and not _KEY.fullmatch(idempotency_key):
        raise InputError(
            "The Idempotency-Key is empty, too long or no plain text.",
            code="invalid_idempotency_key",
            hint="Use up to 80 printable ASCII characters without spaces, such as a UUID.",
        )
    addresses = 1
    if body.address is None and body.wallet is not None:
        addresses = len((await service.wallets.get(caller, body.wallet)).addresses)
    await charge(request, (1 + _UNITS_OF_A_SNAPSHOT) * addresses - 1)
    kept = await service.snapshots.take(
        caller,
        SnapshotRequest(
            address=body.address,
            wallet_id=body.wallet,
            networks=None if body.networks is None else tuple(body.networks),
            name=body.name,
            currency=body.currency,
            at=body.at,
            idempotency_key=idempotency_key,
        ),
    )
    return _json(snapshot_json(kept), 201, {"Location": f"/snapshots/{kept.snapshot_id}"})


@router.get(
    "/snapshots",
    summary="The snapshots",
    responses=as_files(answers_of(shapes.Snapshots, shapes.SNAPSHOTS, _WALLET_OR_NONE)),
)
async def snapshots(query: Annotated[SnapshotsQuery, Query()], caller: Reading, service: Serving) -> Response:
    """Snapshots, the newest first; of an address or a wallet, or all of the caller's.

    A file holds one page; its `Link` header leads to the next.
    """
    asked = SeriesRequest(query.address, query.wallet, start=query.start, end=query.end)
    place = _place_in(key_in(_LIST, query.cursor))
    found = await service.snapshots.heads(caller, asked, query.limit + 1, place)
    page = page_of(found, query.limit, _LIST, _place_of)
    if query.format == "json":
        return _json({"snapshots": [head_json(one) for one in page.items], "next_cursor": page.next_cursor})
    return await file_of(heads_table(page.items), query.format, _next_page(query, page.next_cursor))


@router.get(
    "/snapshots/series",
    summary="Values over time",
    responses=as_files(answers_of(shapes.SeriesShape, shapes.SERIES, _WALLET_OR_NONE)),
)
async def series(query: Annotated[SeriesQuery, Query()], caller: Reading, service: Serving) -> Response:
    """The value of each snapshot in the order of time; long series hold the last known of each span.

    An incomplete snapshot has no `value`; its `known_value` is what of it is known.
    """
    asked = SeriesRequest(
        query.address, query.wallet, query.currency, query.start, query.end, _every(query.every)
    )
    found = await service.snapshots.series(caller, asked)
    if query.format == "json":
        return _json(series_json(found))
    return await file_of(series_table(found), query.format)


@router.get(
    "/snapshots/compare",
    summary="What changed between two snapshots",
    responses=answers_of(shapes.ComparisonShape, shapes.COMPARISON, _ONE),
)
async def compare(query: Annotated[CompareQuery, Query()], caller: Reading, service: Serving) -> Response:
    """By asset, split into what came or went and what prices did; the two add up exactly."""
    return _json(comparison_json(await service.snapshots.compare(caller, query.from_id, query.to_id)))


@router.get(
    "/snapshots/{snapshot_id}",
    summary="One snapshot",
    responses=as_files(answers_of(shapes.SnapshotShape, shapes.SNAPSHOT, _ONE)),
)
async def snapshot(
    snapshot_id: SnapshotId, query: Annotated[SnapshotQuery, Query()], caller: Reading, service: Serving
) -> Response:
    """All that was kept; a file holds its lines."""
    found = await service.snapshots.get(caller, snapshot_id)
    if query.format == "json":
        return _json(snapshot_json(found))
    return await file_of(lines_table(found), query.format)


@router.delete(
    "/snapshots/{snapshot_id}",
    status_code=204,
    summary="Forget a snapshot",
    responses={204: {"description": "It is gone."}, **GENERAL, **_ONE, 403: _TAKEN[403]},
)
async def forget(
    snapshot_id: SnapshotId, _query: Annotated[NoQuery, Query()], caller: Writing, service: Serving
) -> Response:
    """Forget one."""
    await service.snapshots.delete(caller, snapshot_id)
    return Response(status_code=204)


@router.get(
    "/performance",
    summary="What was earned",
    responses=as_files(answers_of(shapes.PerformanceShape, shapes.PERFORMANCE, _WALLET_OR_NONE)),
)
async def performance(
    request: Request, query: Annotated[PerformanceQuery, Query()], caller: Reading, service: Serving
) -> Response:
    """Values over time, returns, and flows told from price moves, from the snapshots that were kept.

    A return over a time with a gap is `null`, and `gaps` says why.
    """
    await charge(request, _UNITS_OF_A_PERFORMANCE)
    asked = SeriesRequest(
        query.address, query.wallet, query.currency, query.start, query.end, _every(query.every)
    )
    found = await service.performance.performance(caller, asked)
    if query.format == "json":
        return _json(performance_json(found))
    return await file_of(_PARTS[query.part](found), query.format)


_PARTS = {"periods": periods_table, "flows": flows_table, "assets": profits_table}


def _every(text: str | None) -> timedelta | None:
    return None if text is None else every_of(text)


def _place_of(head: SnapshotHead) -> str:
    """Where a snapshot stands in the list, so that the list goes on also when it is deleted."""
    return f"{head.taken_at.isoformat()} {head.snapshot_id}"


def _place_in(key: str | None) -> HeadPlace | None:
    if key is None:
        return None
    taken_at, _, snapshot_id = key.partition(" ")
    try:
        moment = datetime.fromisoformat(taken_at)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise InputError(
            "The cursor is not one of this list.",
            code="invalid_cursor",
            hint="Go on with next_cursor as it was given, and the same question.",
        )
    return moment, snapshot_id


def _next_page(query: SnapshotsQuery, cursor: str | None) -> dict[str, str]:
    if cursor is None:
        return {}
    again = query.model_dump(by_alias=True, exclude_none=True) | {"cursor": cursor}
    return {"Link": f'</snapshots?{urlencode(again)}>; rel="next"'}


def _json(body: Json, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(orjson.dumps(body), status, headers, "application/json")
