"""The seams of access: where keys are kept, and how processes learn that they changed."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Protocol

from balance_tracker.core.access import ApiKey, Scope
from balance_tracker.core.kept import Owner


@dataclass(frozen=True, slots=True)
class KeptSecret:
    """One secret of a key, as its SHA-256; a secret rotated out has an end of its own."""

    key: ApiKey
    digest: bytes
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class KeyChange:
    """What is to be another way; ``limit`` as text, empty for the operator's default."""

    name: str | None = None
    scopes: frozenset[Scope] | None = None
    limit: str | None = None
    expires_at: datetime | None = None
    never_expires: bool = False


@dataclass(frozen=True, slots=True)
class Usage:
    """What one key asked for on one route in one day (UTC).

    Attributes:
        requests: All that were let through.
        units: What they cost of its rate limit.
        refused: Those that its rate limit refused.
        errors: Those answered with a status of 500 or more.
    """

    key_id: Owner
    day: date
    route: str
    requests: int = 0
    units: int = 0
    refused: int = 0
    errors: int = 0


class KeyStore(Protocol):
    """Keeps API keys, never the secrets themselves."""

    async def add(self, key: ApiKey, digest: bytes) -> None:
        """Keep a new key with its first secret, found by ``key.prefix``."""

    async def by_prefix(self, prefix: str) -> KeptSecret | None:
        """The secret that begins like this, and its key."""

    async def get(self, key_id: Owner) -> ApiKey | None:
        """One key."""

    async def keys(self, limit: int, before: str | None) -> Sequence[ApiKey]:
        """Keys, the newest first; those older than the id ``before``."""

    async def change(self, key_id: Owner, change: KeyChange) -> ApiKey | None:
        """Change a key that is not revoked."""

    async def rotate(
        self, key_id: Owner, prefix: str, digest: bytes, now: datetime, old_until: datetime
    ) -> ApiKey | None:
        """Give a key that is not revoked a new secret; its others end at a time, or when they would have."""

    async def revoke(self, key_id: Owner, at: datetime) -> ApiKey | None:
        """Refuse a key from now on; one that was revoked stays so since then."""

    async def add_usage(self, usage: Sequence[Usage], used_at: datetime) -> None:
        """Add to what is kept of each key, day and route; keys that are gone are left out."""

    async def usage(self, key_id: Owner, since: date, until: date) -> Sequence[Usage]:
        """What is kept, by day and route."""


class KeyEpoch(Protocol):
    """Tells at once whether keys changed in any process."""

    def current(self) -> str | None:
        """Another text after every change; ``None`` where it can't be known without waiting."""
