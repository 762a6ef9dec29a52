"""The shapes of ``/keys``, for the specification; ``serialise_kept`` writes them."""

from datetime import date
from typing import Literal

from pydantic import Field

from balance_tracker.api.schemas import Shape
from balance_tracker.services.serialise import Json

type _Scope = Literal["read", "write", "admin"]


class KeyShape(Shape):
    """A key as it may be seen."""

    id: str
    name: str
    prefix: str = Field(description="The first characters of its newest secret, to find it by.")
    scopes: list[_Scope]
    rate_limit: str | None = Field(description="Its own limit; null: the operator's default.")
    created_at: str
    expires_at: str | None
    revoked_at: str | None
    last_used_at: str | None = Field(description="To within some seconds.")


class NewKeyShape(KeyShape):
    """A key just made."""

    key: str = Field(description="The key itself, shown this once.")


class Keys(Shape):
    """A page of keys, the newest first."""

    keys: list[KeyShape]
    next_cursor: str | None


class UsageRow(Shape):
    """One route on one day (UTC)."""

    day: date
    route: str
    requests: int = Field(description="Those let through.")
    units: int = Field(description="What they cost of the rate limit.")
    refused: int = Field(description="Those that the rate limit refused.")
    errors: int = Field(description="Those answered with a status of 500 or more.")


class UsageShape(Shape):
    """What a key asked for."""

    key_id: str
    usage: list[UsageRow]


KEY: Json = {
    "id": "key_01kdvsbb00e8vx1s8v2m4k9c7t",
    "name": "treasury report",
    "prefix": "bt_f3Kq81ZbPw0d",
    "scopes": ["read", "write"],
    "rate_limit": "600/minute",
    "created_at": "2026-11-22T05:00:00Z",
    "expires_at": None,
    "revoked_at": None,
    "last_used_at": "2026-11-22T05:10:00Z",
}
NEW_KEY: Json = {**KEY, "last_used_at": None, "key": "bt_f3Kq81ZbPw0d_…"}
KEYS: Json = {"keys": [KEY], "next_cursor": None}
USAGE: Json = {
    "key_id": KEY["id"],
    "usage": [
        {"day": "2026-11-22", "route": "/balances", "requests": 41, "units": 41, "refused": 0, "errors": 0}
    ],
}
