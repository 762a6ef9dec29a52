"""Making, changing and ending API keys."""

import base64
import re
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta

from balance_tracker.core.access import ApiKey, Limit, Scope
from balance_tracker.core.errors import InputError, NotFoundError
from balance_tracker.core.kept import Owner, new_id
from balance_tracker.ports.access import KeyChange, KeyStore, Usage
from balance_tracker.services.access import PREFIX_LENGTH, digest_of
from balance_tracker.services.labels import checked_name

DEFAULT_SCOPES = frozenset({Scope.READ, Scope.WRITE})
DEFAULT_OVERLAP = timedelta(days=1)
LONGEST_OVERLAP = timedelta(days=30)
MOST_USAGE_DAYS = 400

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_KEY_ID = re.compile(r"key_[0-9a-z]{26}")


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key just made, with the secret that is shown this once."""

    key: ApiKey
    secret: str


class KeyService:
    """Manages keys.

    Args:
        store: Where they are kept.
        random_bytes: So many bytes that nobody can foretell (``secrets.token_bytes``).
        told: Awaited after each change, so that every process reads its keys again.
        now: The time, in UTC.
    """

    def __init__(
        self,
        store: KeyStore,
        random_bytes: Callable[[int], bytes],
        told: Callable[[], Awaitable[None]],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._store = store
        self._random_bytes = random_bytes
        self._told = told
        self._now = now

    async def create(
        self,
        name: str,
        *,
        scopes: Collection[Scope] = DEFAULT_SCOPES,
        limit: Limit | None = None,
        expires_at: datetime | None = None,
    ) -> NewKey:
        """Make a key.

        Raises:
            InputError: ``invalid_name``, ``invalid_scopes`` or ``invalid_expiry``.
        """
        now = self._now()
        secret = self._secret()
        key = ApiKey(
            key_id=Owner(new_id("key", now, self._random_bits)),
            name=checked_name(name),
            prefix=secret[:PREFIX_LENGTH],
            scopes=_checked_scopes(scopes),
            limit=limit,
            created_at=now,
            expires_at=_checked_expiry(expires_at, now),
        )
        await self._store.add(key, digest_of(secret))
        await self._told()
        return NewKey(key, secret)

    async def keys(self, limit: int, before: str | None = None) -> Sequence[ApiKey]:
        """Keys, the newest first; those made before one of this id."""
        return await self._store.keys(limit, before)

    async def get(self, key_id: str) -> ApiKey:
        """One key.

        Raises:
            NotFoundError: There is none.
        """
        return _found(await self._store.get(_checked_id(key_id)))

    async def change(self, key_id: str, change: KeyChange) -> ApiKey:
        """Change a key's name, scopes, limit or end.

        Raises:
            InputError: As for :meth:`create`, or ``invalid_rate_limit``.
            NotFoundError: There is none, or it is revoked.
        """
        if change.name is not None:
            change = replace(change, name=checked_name(change.name))
        if change.scopes is not None:
            _checked_scopes(change.scopes)
        if change.limit:
            Limit.parse(change.limit)
        change = replace(change, expires_at=_checked_expiry(change.expires_at, self._now()))
        key = _found(await self._store.change(_checked_id(key_id), change))
        await self._told()
        return key

    async def rotate(self, key_id: str, overlap: timedelta = DEFAULT_OVERLAP) -> NewKey:
        """A new secret for a key; the one it had works on for the overlap.

        Raises:
            InputError: ``invalid_overlap``.
            NotFoundError: There is none, or it is revoked.
        """
        if not timedelta(0) <= overlap <= LONGEST_OVERLAP:
            raise InputError(
                "The overlap is out of range.",
                code="invalid_overlap",
                hint=f"It may be 0 to {int(LONGEST_OVERLAP.total_seconds())} seconds.",
            )
        now, secret = self._now(), self._secret()
        key = await self._store.rotate(
            _checked_id(key_id), secret[:PREFIX_LENGTH], digest_of(secret), now, now + overlap
        )
        made = NewKey(_found(key), secret)
        await self._told()
        return made

    async def revoke(self, key_id: str) -> ApiKey:
        """Refuse a key from now on, in every process.

        Raises:
            NotFoundError: There is none.
        """
        key = _found(await self._store.revoke(_checked_id(key_id), self._now()))
        await self._told()
        return key

    async def usage(self, key_id: str, since: date | None, until: date | None) -> Sequence[Usage]:
        """What a key asked for, by day and route; the last 30 days if nothing is said.

        Raises:
            InputError: ``invalid_period``.
            NotFoundError: There is no such key.
        """
        last = until or self._now().date()
        first = since or last - min(timedelta(days=29), last - date.min)
        if not timedelta(0) <= last - first < timedelta(days=MOST_USAGE_DAYS):
            raise InputError(
                "The period is out of range.",
                code="invalid_period",
                hint=f"'from' comes before 'to', and they are at most {MOST_USAGE_DAYS} days apart.",
            )
        key = _found(await self._store.get(_checked_id(key_id)))
        return await self._store.usage(key.key_id, first, last)

    def _secret(self) -> str:
        seen = "".join(_LETTERS[self._random_bits(6) % 62] for _ in range(12))
        hidden = base64.urlsafe_b64encode(self._random_bytes(32)).rstrip(b"=").decode("ascii")
        return f"bt_{seen}_{hidden}"

    def _random_bits(self, bits: int) -> int:
        return int.from_bytes(self._random_bytes((bits + 7) // 8)) & ((1 << bits) - 1)


def _found(key: ApiKey | None) -> ApiKey:
    if key is None:
        raise NotFoundError("There is no such key.", hint="GET /keys lists them.")
    return key


def _checked_id(key_id: str) -> Owner:
    if not _KEY_ID.fullmatch(key_id):
        raise NotFoundError("There is no such key.", hint="GET /keys lists them.")
    return Owner(key_id)


def _checked_scopes(scopes: Collection[Scope]) -> frozenset[Scope]:
    if not scopes:
        raise InputError("A key needs a scope.", code="invalid_scopes", hint="They are read, write, admin.")
    return frozenset(scopes)


def _checked_expiry(expires_at: datetime | None, now: datetime) -> datetime | None:
    if expires_at is None:
        return None
    with suppress(OverflowError):  # in the last hours of the year 9999, east of it
        expires_at = expires_at.astimezone(UTC)
        if expires_at > now:
            return expires_at
    raise InputError(
        "The expiry has passed or is too far.", code="invalid_expiry", hint="Give a time to come."
    )
