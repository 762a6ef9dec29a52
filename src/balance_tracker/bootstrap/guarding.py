"""Settings turned into who may ask and how often."""

import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from balance_tracker.bootstrap.databases import open_database, ready_schema
from balance_tracker.bootstrap.opening import open_sharing
from balance_tracker.core.access import Limit
from balance_tracker.ports.keeping import RateLimiter
from balance_tracker.services.access import REMEMBERED_SECONDS, AccessService
from balance_tracker.services.keys import KeyService
from balance_tracker.services.usage import UsageBook
from balance_tracker.settings import Settings
from balance_tracker.storage.database import Database
from balance_tracker.storage.epochs import FileEpoch
from balance_tracker.storage.keys import SqlKeyStore
from balance_tracker.telemetry.logging import get_logger
from balance_tracker.telemetry.redact import protect

LOG = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Guarding:
    """The use cases of access."""

    access: AccessService
    keys: KeyService
    usage: UsageBook


async def open_guarding(
    stack: AsyncExitStack,
    settings: Settings,
    database: Database,
    limiter: RateLimiter,
    told: Callable[[], Awaitable[None]],
) -> Guarding:
    """Open what guards the API.

    Args:
        stack: Closes it.
        settings: The operator's.
        database: Where keys are kept; its schema is current.
        limiter: Counts work.
        told: Awaited after each change of keys.
    """
    protect([settings.admin_key] if settings.admin_key else [])
    store = SqlKeyStore(database)
    access = AccessService(
        store,
        limiter,
        stack.enter_context(FileEpoch(database)),
        admin_key=settings.admin_key,
        key_limit=limit_of(settings.rate_limit_key),
        anonymous_limit=limit_of(settings.rate_limit_anonymous),
        require_key=settings.require_api_key,
        clock=time.monotonic,
    )
    usage = await stack.enter_async_context(UsageBook(store))
    return Guarding(access, KeyService(store, secrets.token_bytes, told), usage)


@asynccontextmanager
async def opened_keys(settings: Settings) -> AsyncIterator[KeyService]:
    """The keys alone, for the command line: nothing is opened but the database, and Redis to tell others.

    Raises:
        ConfigurationError: The database's schema is not the one that this version knows.
        StorageError: It does not answer.
    """
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(open_database(settings))
        await ready_schema(database)
        sharing = await open_sharing(stack, settings)

        async def told() -> None:
            await sharing.keys_changed()
            if sharing.redis == "degraded":
                LOG.warning("keys_changed_untold", seconds=REMEMBERED_SECONDS)

        yield KeyService(SqlKeyStore(database), secrets.token_bytes, told)


def limit_of(text: str) -> Limit | None:
    """A limit as the settings write it; ``none`` is none.

    >>> limit_of("none"), str(limit_of("60/minute"))
    (None, '60/minute')
    """
    return None if text == "none" else Limit.parse(text)
