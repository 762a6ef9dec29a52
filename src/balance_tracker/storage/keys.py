"""API keys and their usage."""

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    RowMapping,
    Select,
    and_,
    case,
    func,
    insert,
    literal,
    or_,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from balance_tracker.core.access import ApiKey, Limit, Scope
from balance_tracker.core.kept import Owner
from balance_tracker.ports.access import KeptSecret, KeyChange, Usage
from balance_tracker.storage.columns import UtcTime
from balance_tracker.storage.database import Database
from balance_tracker.storage.epochs import KEYS, bump
from balance_tracker.storage.tables import API_KEYS, KEY_SECRETS, KEY_USAGE


class SqlKeyStore:
    """Implements :class:`balance_tracker.ports.access.KeyStore`."""

    def __init__(self, database: Database, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._database = database
        self._now = now

    async def add(self, key: ApiKey, digest: bytes) -> None:
        """Keep a new key with its first secret."""
        async with self._database.writing() as connection:
            await connection.execute(
                insert(API_KEYS).values(
                    id=key.key_id,
                    name=key.name,
                    scopes=_scopes_text(key.scopes),
                    rate_limit=None if key.limit is None else str(key.limit),
                    created_at=key.created_at,
                    expires_at=key.expires_at,
                )
            )
            await connection.execute(_secret(key.key_id, key.prefix, digest, key.created_at))
            await bump(connection, KEYS)

    async def by_prefix(self, prefix: str) -> KeptSecret | None:
        """The secret that begins like this, and its key."""
        question = (
            select(
                API_KEYS,
                KEY_SECRETS.c.prefix,
                KEY_SECRETS.c.digest,
                KEY_SECRETS.c.expires_at.label("secret_expires_at"),
            )
            .join(API_KEYS, API_KEYS.c.id == KEY_SECRETS.c.key_id)
            .where(KEY_SECRETS.c.prefix == prefix)
        )
        async with self._database.reading() as connection:
            row = (await connection.execute(question)).mappings().first()
        if row is None:
            return None
        return KeptSecret(_key(row), row["digest"], row["secret_expires_at"])

    async def get(self, key_id: Owner) -> ApiKey | None:
        """One key."""
        async with self._database.reading() as connection:
            return await _one(connection, key_id)

    async def keys(self, limit: int, before: str | None) -> Sequence[ApiKey]:
        """Keys, the newest first."""
        question = _newest_secrets().order_by(API_KEYS.c.id.desc()).limit(limit)
        if before is not None:
            question = question.where(API_KEYS.c.id < before)
        async with self._database.reading() as connection:
            return [_key(row) for row in (await connection.execute(question)).mappings()]

    async def change(self, key_id: Owner, change: KeyChange) -> ApiKey | None:
        """Change a key that is not revoked."""
        values: dict[str, Any] = {}
        if change.name is not None:
            values["name"] = change.name
        if change.scopes is not None:
            values["scopes"] = _scopes_text(change.scopes)
        if change.limit is not None:
            values["rate_limit"] = change.limit or None
        if change.never_expires or change.expires_at is not None:
            values["expires_at"] = change.expires_at
        async with self._database.writing() as connection:
            if values:
                await connection.execute(update(API_KEYS).where(_standing(key_id)).values(values))
                await bump(connection, KEYS)
            key = await _one(connection, key_id)
        return None if key is None or key.revoked_at is not None else key

    async def rotate(
        self, key_id: Owner, prefix: str, digest: bytes, now: datetime, old_until: datetime
    ) -> ApiKey | None:
        """Give a key that is not revoked a new secret."""
        async with self._database.writing() as connection:
            # The row is locked first, so that two rotations at once leave one newest secret each in turn.
            locked = select(API_KEYS.c.id).where(_standing(key_id)).with_for_update()
            if (await connection.execute(locked)).first() is None:
                return None
            expires = KEY_SECRETS.c.expires_at
            await connection.execute(
                update(KEY_SECRETS)
                .where(and_(KEY_SECRETS.c.key_id == key_id, or_(expires.is_(None), expires > old_until)))
                .values(expires_at=old_until)
            )
            await connection.execute(_secret(key_id, prefix, digest, now))
            await bump(connection, KEYS)
            return await _one(connection, key_id)

    async def revoke(self, key_id: Owner, at: datetime) -> ApiKey | None:
        """Refuse a key from now on."""
        async with self._database.writing() as connection:
            await connection.execute(update(API_KEYS).where(_standing(key_id)).values(revoked_at=at))
            await bump(connection, KEYS)
            return await _one(connection, key_id)

    async def add_usage(self, usage: Sequence[Usage], used_at: datetime) -> None:
        """Add to what is kept of each key, day and route."""
        used = sorted({one.key_id for one in usage})
        async with self._database.writing() as connection:
            known = set(
                await connection.scalars(
                    select(API_KEYS.c.id).where(API_KEYS.c.id.in_(used)).order_by(API_KEYS.c.id)
                )
            )
            if not known:
                return
            # In one order everywhere, so that two processes that add at once never wait for each other.
            rows = sorted(
                (_usage_row(one) for one in usage if one.key_id in known),
                key=lambda row: (row["key_id"], row["day"], row["route"]),
            )
            await connection.execute(_adding(connection), rows)
            now = literal(used_at, UtcTime)
            last = func.coalesce(API_KEYS.c.last_used_at, now)
            await connection.execute(
                update(API_KEYS)
                .where(API_KEYS.c.id.in_(known))
                .values(last_used_at=case((last > now, last), else_=now))
            )

    async def usage(self, key_id: Owner, since: date, until: date) -> Sequence[Usage]:
        """What is kept, by day and route."""
        day = KEY_USAGE.c.day
        question = (
            select(KEY_USAGE)
            .where(and_(KEY_USAGE.c.key_id == key_id, day >= since, day <= until))
            .order_by(day, KEY_USAGE.c.route)
        )
        async with self._database.reading() as connection:
            return [Usage(**row) for row in (await connection.execute(question)).mappings()]


def _standing(key_id: Owner) -> ColumnElement[bool]:
    return and_(API_KEYS.c.id == key_id, API_KEYS.c.revoked_at.is_(None))


def _secret(key_id: Owner, prefix: str, digest: bytes, now: datetime) -> Any:
    return insert(KEY_SECRETS).values(prefix=prefix, digest=digest, key_id=key_id, created_at=now)


def _newest_secrets() -> Select[Any]:
    """Every key with the prefix of its newest secret: the one that ends last, or never."""
    newest = (
        select(KEY_SECRETS.c.prefix)
        .where(KEY_SECRETS.c.key_id == API_KEYS.c.id)
        .order_by(KEY_SECRETS.c.created_at.desc(), KEY_SECRETS.c.prefix)
        .limit(1)
        .scalar_subquery()
    )
    return select(API_KEYS, newest.label("prefix"))


async def _one(connection: AsyncConnection, key_id: Owner) -> ApiKey | None:
    question = _newest_secrets().where(API_KEYS.c.id == key_id)
    row = (await connection.execute(question)).mappings().first()
    return None if row is None else _key(row)


def _key(row: RowMapping) -> ApiKey:
    return ApiKey(
        key_id=Owner(row["id"]),
        name=row["name"],
        prefix=row["prefix"],
        scopes=frozenset(Scope(word) for word in row["scopes"].split()),
        limit=None if row["rate_limit"] is None else Limit.parse(row["rate_limit"]),
        created_at=row["created_at"],
        expires_at=row["expires_at"],
        revoked_at=row["revoked_at"],
        last_used_at=row["last_used_at"],
    )


def _scopes_text(scopes: frozenset[Scope]) -> str:
    return " ".join(scope for scope in Scope if scope in scopes)


def _usage_row(usage: Usage) -> dict[str, Any]:
    return {
        "key_id": usage.key_id,
        "day": usage.day,
        "route": usage.route,
        "requests": usage.requests,
        "units": usage.units,
        "refused": usage.refused,
        "errors": usage.errors,
    }


def _adding(connection: AsyncConnection) -> Any:
    row = (sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert)(KEY_USAGE)
    sums = {
        name: KEY_USAGE.c[name] + row.excluded[name] for name in ("requests", "units", "refused", "errors")
    }
    return row.on_conflict_do_update(
        index_elements=[KEY_USAGE.c.key_id, KEY_USAGE.c.day, KEY_USAGE.c.route], set_=sums
    )
