"""``/keys``: management of API keys, for the operator."""

from datetime import date, timedelta
from typing import Annotated

import orjson
from fastapi import APIRouter, Depends, Path, Query, Request, Response
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from balance_tracker.api import key_schemas
from balance_tracker.api.calling import caller_of
from balance_tracker.api.documented import GENERAL, answers_of, problems_of
from balance_tracker.api.queries import NoQuery, StrictInt, once_each
from balance_tracker.api.tracking import Serving
from balance_tracker.core.access import Limit, Scope
from balance_tracker.core.errors import AccessError
from balance_tracker.core.kept import ANYONE
from balance_tracker.ports.access import KeyChange
from balance_tracker.services.keys import DEFAULT_OVERLAP, DEFAULT_SCOPES, LONGEST_OVERLAP
from balance_tracker.services.pages import DEFAULT_LIMIT, MOST_PER_PAGE, key_in, page_of
from balance_tracker.services.serialise import Json
from balance_tracker.services.serialise_kept import key_json, new_key_json, usage_json

_LIST = "keys"


async def managing(request: Request, service: Serving) -> None:
    """Let only whoever manages keys through.

    Raises:
        AccessError: ``key_missing``, ``management_closed`` or ``scope_missing``.
    """
    caller = caller_of(request)
    if caller.may(Scope.ADMIN):
        return
    if caller.owner == ANYONE and service.access.has_admin_key:
        raise AccessError(
            "Managing keys needs the admin key.", code="key_missing", hint="Send it in the header X-API-Key."
        )
    if caller.owner == ANYONE:
        raise AccessError(
            "Keys can't be managed here: no admin key is set.",
            code="management_closed",
            hint="Set TRACKER_ADMIN_KEY, or use: balance-tracker keys",
        )
    raise AccessError(
        "This key may not manage keys.", code="scope_missing", hint="Use the admin key, or one with 'admin'."
    )


router = APIRouter(prefix="/keys", dependencies=[Depends(once_each), Depends(managing)], tags=["keys"])

_REFUSED = problems_of(
    s401=("Unauthorized", "key_missing", "Managing keys needs the admin key."),
    s403=("Forbidden", "management_closed", "Keys can't be managed here: no admin key is set."),
)
_ONE = {**_REFUSED, **problems_of(s404=("Not Found", "not_found", "There is no such key."))}
_BODY = problems_of(s422=("Unprocessable Entity", "invalid_body", "'name' is missing."))

type KeyId = Annotated[str, Path(description="The key's id, `key_…`.", max_length=40)]


class NewKeyBody(BaseModel):
    """What a new key is to be."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=100, description="For people.", examples=["treasury report"])
    scopes: list[Scope] = Field(
        default=sorted(DEFAULT_SCOPES),
        min_length=1,
        max_length=3,
        description="`read`: ask; `write`: also keep and change things; `admin`: also manage keys, see all.",
    )
    rate_limit: str | None = Field(
        default=None,
        max_length=30,
        description="Its own rate limit; without it, the operator's default.",
        examples=["600/minute"],
    )
    expires_at: AwareDatetime | None = Field(
        default=None, description="From then on it is refused; without it, never."
    )


class KeyChangeBody(BaseModel):
    """What is to be another way; what is left out stays. `null` ends an own limit or an expiry."""

    model_config = ConfigDict(extra="forbid")

    name: str | None = Field(default=None, min_length=1, max_length=100)
    scopes: list[Scope] | None = Field(default=None, min_length=1, max_length=3)
    rate_limit: str | None = Field(default=None, max_length=30)
    expires_at: AwareDatetime | None = None


class RotationBody(BaseModel):
    """How long the old secret works on."""

    model_config = ConfigDict(extra="forbid")

    overlap_seconds: int = Field(
        default=int(DEFAULT_OVERLAP.total_seconds()),
        strict=True,
        ge=0,
        le=int(LONGEST_OVERLAP.total_seconds()),
    )


class KeysQuery(BaseModel):
    """What `GET /keys` takes."""

    model_config = ConfigDict(extra="forbid")

    limit: StrictInt = Field(default=DEFAULT_LIMIT, ge=1, le=MOST_PER_PAGE, description="Keys per page.")
    cursor: str | None = Field(default=None, max_length=200, description="`next_cursor` of the page before.")


class UsageQuery(BaseModel):
    """What `GET /keys/{id}/usage` takes."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    since: date | None = Field(default=None, alias="from", description="The first day (UTC), 30 ago without.")
    until: date | None = Field(default=None, alias="to", description="The last day (UTC), today without.")


@router.post(
    "",
    status_code=201,
    summary="Make a key",
    responses={
        201: {
            "model": key_schemas.NewKeyShape,
            "content": {"application/json": {"example": key_schemas.NEW_KEY}},
            "headers": {"Location": {"description": "The key.", "schema": {"type": "string"}}},
        },
        **GENERAL,
        **_REFUSED,
        **_BODY,
    },
)
async def create(body: NewKeyBody, _query: Annotated[NoQuery, Query()], service: Serving) -> Response:
    """A new key. The answer holds the key itself, this once: only its SHA-256 is kept."""
    made = await service.keys.create(
        body.name,
        scopes=body.scopes,
        limit=None if body.rate_limit is None else Limit.parse(body.rate_limit),
        expires_at=body.expires_at,
    )
    return _json(new_key_json(made), 201, {"Location": f"/keys/{made.key.key_id}"})


@router.get("", summary="The keys", responses=answers_of(key_schemas.Keys, key_schemas.KEYS, _REFUSED))
async def keys(query: Annotated[KeysQuery, Query()], service: Serving) -> Response:
    """Keys, the newest first, page by page; those revoked too."""
    found = await service.keys.keys(query.limit + 1, key_in(_LIST, query.cursor))
    page = page_of(found, query.limit, _LIST, lambda key: key.key_id)
    return _json({"keys": [key_json(key) for key in page.items], "next_cursor": page.next_cursor})


@router.get("/{key_id}", summary="One key", responses=answers_of(key_schemas.KeyShape, key_schemas.KEY, _ONE))
async def key(key_id: KeyId, _query: Annotated[NoQuery, Query()], service: Serving) -> Response:
    """What is known of a key; the key itself is not."""
    return _json(key_json(await service.keys.get(key_id)))


@router.patch(
    "/{key_id}",
    summary="Change a key",
    responses=answers_of(key_schemas.KeyShape, key_schemas.KEY, {**_ONE, **_BODY}),
)
async def change(
    key_id: KeyId, body: KeyChangeBody, _query: Annotated[NoQuery, Query()], service: Serving
) -> Response:
    """Change its name, scopes, limit or end; every process knows at its next request."""
    given = body.model_fields_set
    wanted = KeyChange(
        name=body.name,
        scopes=None if body.scopes is None else frozenset(body.scopes),
        limit=(body.rate_limit or "") if "rate_limit" in given else None,
        expires_at=body.expires_at,
        never_expires="expires_at" in given and body.expires_at is None,
    )
    return _json(key_json(await service.keys.change(key_id, wanted)))


@router.delete(
    "/{key_id}", summary="Revoke a key", responses=answers_of(key_schemas.KeyShape, key_schemas.KEY, _ONE)
)
async def revoke(key_id: KeyId, _query: Annotated[NoQuery, Query()], service: Serving) -> Response:
    """Refused from now on, in every process. What belongs to it is kept and shown to admins."""
    return _json(key_json(await service.keys.revoke(key_id)))


@router.post(
    "/{key_id}/rotate",
    summary="Give a key a new secret",
    responses=answers_of(key_schemas.NewKeyShape, key_schemas.NEW_KEY, {**_ONE, **_BODY}),
)
async def rotate(
    key_id: KeyId, service: Serving, _query: Annotated[NoQuery, Query()], body: RotationBody | None = None
) -> Response:
    """A new secret, shown this once; the old one works on for the overlap, a day if nothing is said."""
    overlap = timedelta(seconds=(body or RotationBody()).overlap_seconds)
    return _json(new_key_json(await service.keys.rotate(key_id, overlap)))


@router.get(
    "/{key_id}/usage",
    summary="What a key asked for",
    responses=answers_of(key_schemas.UsageShape, key_schemas.USAGE, _ONE),
)
async def usage(key_id: KeyId, query: Annotated[UsageQuery, Query()], service: Serving) -> Response:
    """Requests by day and route; those of the last seconds may not be in it yet."""
    found = await service.keys.usage(key_id, query.since, query.until)
    return _json({"key_id": key_id, "usage": usage_json(found)})


def _json(body: Json, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(orjson.dumps(body), status, headers, "application/json")
