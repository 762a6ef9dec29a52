"""Keys and their guard over a real database, at a time that stands still until it is moved."""

import secrets
from datetime import UTC, datetime, timedelta

from tests.fakes.service import Clock

from balance_tracker.cache.limiter import MemoryLimiter
from balance_tracker.core.access import Limit
from balance_tracker.ports.access import KeptSecret, KeyEpoch
from balance_tracker.ports.keeping import RateLimiter
from balance_tracker.services.access import AccessService
from balance_tracker.services.keys import KeyService
from balance_tracker.services.usage import UsageBook
from balance_tracker.storage.database import Database
from balance_tracker.storage.keys import SqlKeyStore

ADMIN_KEY = "operator-key-of-the-tests"
CLIENT = "198.51.100.7"


class NoEpoch:
    """Of a database on another machine."""

    def current(self) -> str | None:
        return None


class CountingStore(SqlKeyStore):
    """Counts how often keys are read."""

    reads = 0

    async def by_prefix(self, prefix: str) -> KeptSecret | None:
        self.reads += 1
        return await super().by_prefix(prefix)


class Gate:
    """One process of the service, as far as keys go.

    Args:
        database: Open.
        epoch: How it learns that keys changed; from the limiter only, if not given.
        limiter: Counts work; in process by a clock that stands still, if not given.
        key_limit: Of keys without one.
        anonymous_limit: Of clients without a key.
        require_key: Whether one is needed.
        admin_key: The operator's.
    """

    def __init__(
        self,
        database: Database,
        *,
        epoch: KeyEpoch | None = None,
        limiter: RateLimiter | None = None,
        key_limit: Limit | None = None,
        anonymous_limit: Limit | None = None,
        require_key: bool = False,
        admin_key: str | None = ADMIN_KEY,
    ) -> None:
        self.now = datetime(2026, 11, 22, 5, tzinfo=UTC)
        self.clock = Clock()
        self.store = CountingStore(database)
        self.told = 0
        here = MemoryLimiter(clock=lambda: int(self.clock.now * 1_000_000))
        self.limiter = here if limiter is None else limiter
        self.keys = KeyService(self.store, secrets.token_bytes, self._told, lambda: self.now)
        self.usage = UsageBook(self.store, now=lambda: self.now)
        self.access = AccessService(
            self.store,
            self.limiter,
            epoch or NoEpoch(),
            admin_key=admin_key,
            key_limit=key_limit,
            anonymous_limit=anonymous_limit,
            require_key=require_key,
            clock=self.clock,
            now=lambda: self.now,
        )

    def pass_time(self, seconds: float) -> None:
        """Move both clocks on."""
        self.clock.now += seconds
        self.now += timedelta(seconds=seconds)

    async def _told(self) -> None:
        self.told += 1
