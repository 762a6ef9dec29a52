"""``/wallets``: named sets of addresses, with snapshots at intervals."""

from typing import Annotated

import orjson
from fastapi import APIRouter, Depends, Path, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from balance_tracker.api import history_schemas as shapes
from balance_tracker.api.calling import Reading, Writing
from balance_tracker.api.documented import GENERAL, answers_of, problems_of
from balance_tracker.api.queries import NoQuery, StrictInt, once_each
from balance_tracker.api.tracking import Serving
from balance_tracker.services.pages import DEFAULT_LIMIT, MOST_PER_PAGE, key_in, page_of
from balance_tracker.services.serialise import Json
from balance_tracker.services.serialise_history import wallet_json
from balance_tracker.services.wallets import WalletEdit, WalletRequest
from balance_tracker.services.whole import MOST_ADDRESSES

router = APIRouter(prefix="/wallets", dependencies=[Depends(once_each)], tags=["history"])

_LIST = "wallets"
_ONE = problems_of(s404=("Not Found", "not_found", "There is no such wallet."))
_BODY = problems_of(
    s403=("Forbidden", "scope_missing", "This key may not do that: it has no scope 'write'."),
    s409=("Conflict", "too_many_wallets", "There are 1000 wallets already."),
    s422=("Unprocessable Entity", "invalid_body", "'name' is missing."),
)

type WalletId = Annotated[str, Path(description="The wallet's id, `wal_…`.", max_length=40)]
type _Address = Annotated[str, Field(min_length=1, max_length=300)]
type _Slug = Annotated[str, Field(min_length=1, max_length=60)]

_EVERY = Field(
    default=None,
    max_length=20,
    description="How often a snapshot is kept: `30m`, `1h`, `1d`, from `5m` to `30d`; null: never by itself.",
    examples=["1h"],
)


class WalletBody(BaseModel):
    """What a new wallet is to be."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=100, examples=["treasury"])
    addresses: list[_Address] = Field(
        min_length=1,
        max_length=MOST_ADDRESSES,
        description="Addresses or names; a name is the address that it has now.",
        examples=[["0xd8dA6BF26964aF9D7eEd9e03E53415D37aA96045"]],
    )
    networks: list[_Slug] | None = Field(
        default=None, min_length=1, max_length=100, description="Slugs; all of each address's family without."
    )
    currency: str = Field(default="usd", max_length=20)
    snapshot_every: str | None = _EVERY


class WalletEditBody(BaseModel):
    """What is to be another way; what is left out stays. `null` means all networks, or no snapshots."""

    model_config = ConfigDict(extra="forbid")

    name: str | None = Field(default=None, min_length=1, max_length=100)
    addresses: list[_Address] | None = Field(default=None, min_length=1, max_length=MOST_ADDRESSES)
    networks: list[_Slug] | None = Field(default=None, min_length=1, max_length=100)
    currency: str | None = Field(default=None, max_length=20)
    snapshot_every: str | None = _EVERY


class WalletsQuery(BaseModel):
    """What `GET /wallets` takes."""

    model_config = ConfigDict(extra="forbid")

    limit: StrictInt = Field(default=DEFAULT_LIMIT, ge=1, le=MOST_PER_PAGE, description="Wallets per page.")
    cursor: str | None = Field(default=None, max_length=200, description="`next_cursor` of the page before.")


@router.post(
    "",
    status_code=201,
    summary="Follow addresses",
    responses={
        201: {
            "model": shapes.WalletShape,
            "content": {"application/json": {"example": shapes.WALLET}},
            "headers": {"Location": {"description": "The wallet.", "schema": {"type": "string"}}},
        },
        **GENERAL,
        **_BODY,
    },
)
async def create(
    body: WalletBody, _query: Annotated[NoQuery, Query()], caller: Writing, service: Serving
) -> Response:
    """A named set of addresses; with `snapshot_every`, the first snapshot is taken at once."""
    request = WalletRequest(
        name=body.name,
        addresses=tuple(body.addresses),
        networks=None if body.networks is None else tuple(body.networks),
        currency=body.currency,
        snapshot_every=body.snapshot_every,
    )
    wallet = await service.wallets.create(caller, request)
    return _json(wallet_json(wallet), 201, {"Location": f"/wallets/{wallet.wallet_id}"})


@router.get("", summary="The wallets", responses=answers_of(shapes.Wallets, shapes.WALLETS, {}))
async def wallets(query: Annotated[WalletsQuery, Query()], caller: Reading, service: Serving) -> Response:
    """The caller's wallets, the newest first."""
    found = await service.wallets.wallets(caller, query.limit + 1, key_in(_LIST, query.cursor))
    page = page_of(found, query.limit, _LIST, lambda wallet: wallet.wallet_id)
    return _json({"wallets": [wallet_json(one) for one in page.items], "next_cursor": page.next_cursor})


@router.get(
    "/{wallet_id}", summary="One wallet", responses=answers_of(shapes.WalletShape, shapes.WALLET, _ONE)
)
async def wallet(
    wallet_id: WalletId, _query: Annotated[NoQuery, Query()], caller: Reading, service: Serving
) -> Response:
    """One wallet."""
    return _json(wallet_json(await service.wallets.get(caller, wallet_id)))


@router.patch(
    "/{wallet_id}",
    summary="Change a wallet",
    responses=answers_of(shapes.WalletShape, shapes.WALLET, {**_ONE, **_BODY}),
)
async def change(
    wallet_id: WalletId,
    body: WalletEditBody,
    _query: Annotated[NoQuery, Query()],
    caller: Writing,
    service: Serving,
) -> Response:
    """Change its name, addresses, networks, currency or how often snapshots are kept."""
    given = body.model_fields_set
    edit = WalletEdit(
        name=body.name,
        addresses=None if body.addresses is None else tuple(body.addresses),
        networks=None if body.networks is None else tuple(body.networks),
        all_networks="networks" in given and body.networks is None,
        currency=body.currency,
        snapshot_every=body.snapshot_every,
        never_snapshot="snapshot_every" in given and body.snapshot_every is None,
    )
    return _json(wallet_json(await service.wallets.change(caller, wallet_id, edit)))


@router.delete(
    "/{wallet_id}",
    status_code=204,
    summary="Forget a wallet",
    responses={204: {"description": "It is gone; its snapshots stay."}, **GENERAL, **_ONE, 403: _BODY[403]},
)
async def forget(
    wallet_id: WalletId, _query: Annotated[NoQuery, Query()], caller: Writing, service: Serving
) -> Response:
    """Follow it no more. Its snapshots stay."""
    await service.wallets.delete(caller, wallet_id)
    return Response(status_code=204)


def _json(body: Json, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(orjson.dumps(body), status, headers, "application/json")
