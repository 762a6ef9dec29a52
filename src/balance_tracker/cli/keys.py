"""``balance-tracker keys``: API keys, made and ended where the database is."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from rich.console import Console
from rich.table import Table

from balance_tracker.bootstrap import load_settings
from balance_tracker.bootstrap.guarding import opened_keys
from balance_tracker.cli.exits import ALL_ANSWERED, say
from balance_tracker.cli.session import put
from balance_tracker.core.access import ApiKey, Limit, Scope
from balance_tracker.core.errors import InputError
from balance_tracker.services.keys import DEFAULT_SCOPES, KeyService, NewKey
from balance_tracker.services.pages import MOST_PER_PAGE
from balance_tracker.services.serialise_kept import key_json, new_key_json

type Act = Callable[[KeyService], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class NewKeyRequest:
    """What was typed for ``keys create``."""

    name: str
    scopes: tuple[str, ...] = ()
    rate_limit: str | None = None
    expires_in_days: int | None = None
    as_json: bool = field(default=False)


def create(request: NewKeyRequest) -> int:
    """Make a key and show it this once."""
    scopes = _scopes(request.scopes)
    limit = None if request.rate_limit is None else Limit.parse(request.rate_limit)
    days = request.expires_in_days
    expires_at = None if days is None else datetime.now(UTC) + timedelta(days=days)

    async def act(keys: KeyService) -> None:
        made = await keys.create(request.name, scopes=scopes, limit=limit, expires_at=expires_at)
        _show_new(made, as_json=request.as_json)

    return _run(act)


def show(*, as_json: bool) -> int:
    """List the keys, the newest first."""

    async def act(keys: KeyService) -> None:
        found: list[ApiKey] = []
        while page := await keys.keys(MOST_PER_PAGE, found[-1].key_id if found else None):
            found += page
        if as_json:
            put(json.dumps([key_json(key) for key in found], indent=2) + "\n")
        elif found:
            Console(markup=False, emoji=False, highlight=False).print(_table(found))
        else:
            say('There are no keys. Make one: balance-tracker keys create "my script"')

    return _run(act)


def revoke(key: str) -> int:
    """Refuse a key from now on."""

    async def act(keys: KeyService) -> None:
        revoked = await keys.revoke(await _key_id(keys, key))
        say(f"Revoked: {revoked.name} ({revoked.prefix}…). Every process refuses it from now on.")

    return _run(act)


def rotate(key: str, overlap_seconds: int, *, as_json: bool) -> int:
    """Give a key a new secret and show it this once."""

    async def act(keys: KeyService) -> None:
        made = await keys.rotate(await _key_id(keys, key), timedelta(seconds=overlap_seconds))
        _show_new(made, as_json=as_json)
        say(f"The old one works on for {overlap_seconds} seconds.")

    return _run(act)


def _run(act: Act) -> int:
    async def opened() -> None:
        async with opened_keys(load_settings()) as keys:
            await act(keys)

    asyncio.run(opened())
    return ALL_ANSWERED


async def _key_id(keys: KeyService, text: str) -> str:
    """The id of a key that was typed as its id or as the first characters that are shown of it."""
    if text.startswith("key_"):
        return text
    found: list[ApiKey] = []
    before: str | None = None
    while page := await keys.keys(MOST_PER_PAGE, before):
        found += [key for key in page if text and key.prefix.startswith(text.rstrip("…"))]
        before = page[-1].key_id
    if len(found) != 1:
        raise InputError(
            f"{'No key begins' if not found else 'Several keys begin'} with '{text[:20]}'.",
            code="not_found",
            hint="balance-tracker keys list shows them.",
        )
    return found[0].key_id


def _scopes(words: tuple[str, ...]) -> frozenset[Scope]:
    try:
        return frozenset(Scope(word.strip().lower()) for word in words) or DEFAULT_SCOPES
    except ValueError:
        raise InputError(
            "There is no such scope.", code="invalid_scopes", hint="They are read, write and admin."
        ) from None


def _show_new(made: NewKey, *, as_json: bool) -> None:
    if as_json:
        put(json.dumps(new_key_json(made), indent=2) + "\n")
        return
    put(f"{made.secret}\n")
    say(f"This is the key '{made.key.name}' ({made.key.key_id}). It is shown this once: keep it now.")


def _table(keys: list[ApiKey]) -> Table:
    table = Table(box=None, pad_edge=False)
    for title in ("begins with", "name", "scopes", "limit", "last used", "state"):
        table.add_column(title, no_wrap=title != "name", overflow="fold")
    now = datetime.now(UTC)
    for key in keys:
        table.add_row(
            f"{key.prefix}…",
            key.name,
            " ".join(scope for scope in Scope if scope in key.scopes),
            "default" if key.limit is None else str(key.limit),
            "never" if key.last_used_at is None else f"{key.last_used_at:%m-%d %H:%M}",
            _state(key, now),
        )
    return table


def _state(key: ApiKey, now: datetime) -> str:
    if key.revoked_at is not None:
        return f"revoked {key.revoked_at:%Y-%m-%d}"
    if key.expires_at is None:
        return "valid"
    return f"{'expired' if key.expires_at <= now else 'valid until'} {key.expires_at:%Y-%m-%d}"
