"""The database that the settings name: opened, brought to its schema, copied."""

import asyncio
from pathlib import Path
from urllib.parse import urlsplit

from balance_tracker.bootstrap.readiness import ComponentStatus
from balance_tracker.core.errors import StorageError
from balance_tracker.settings import Settings
from balance_tracker.storage import migrating
from balance_tracker.storage.backing_up import back_up
from balance_tracker.storage.database import ANSWER_SECONDS, DEFAULT_FILE, Database
from balance_tracker.telemetry.logging import get_logger
from balance_tracker.telemetry.redact import protect

LOG = get_logger(__name__)
PING_SECONDS = 2.0


def open_database(settings: Settings, *, answer_seconds: float | None = ANSWER_SECONDS) -> Database:
    """The database that the settings name, to be entered."""
    url = settings.database_url
    if url is None:
        return Database(
            (settings.data_dir / DEFAULT_FILE).absolute(), connections=settings.database_connections
        )
    protect([_with_password_only(url)])
    return Database(url, connections=settings.database_connections, answer_seconds=answer_seconds)


def _with_password_only(url: str) -> str:
    """The rest is no secret, and names such as ``balance_tracker`` are in many a line of the log."""
    _, _, password = urlsplit(url).netloc.rpartition("@")[0].partition(":")
    return f"postgresql://:{password}@host" if password else ""


async def ready_schema(database: Database) -> None:
    """SQLite is brought to the newest schema; a shared database must be there already.

    Raises:
        ConfigurationError: The schema is not the one that this version knows.
        StorageError: The database does not answer.
    """
    if not database.is_sqlite:
        await migrating.check(database)
        return
    before, after = await migrating.upgrade(database)
    if before != after:
        LOG.info("database_migrated", schema_before=before, schema=after)


async def check_database(settings: Settings) -> None:
    """Open it once, so that what is wrong with it is told before a server starts; SQLite is migrated.

    Raises:
        ConfigurationError: The schema is not the one that this version knows.
        StorageError: The database does not answer.
    """
    async with open_database(settings) as database:
        await ready_schema(database)


async def upgrade_database(settings: Settings) -> tuple[str | None, str]:
    """Bring it to the newest schema; the revisions before and after.

    Raises:
        ConfigurationError: A newer version made it.
        StorageError: It does not answer.
    """
    async with open_database(settings, answer_seconds=None) as database:
        return await migrating.upgrade(database)


async def downgrade_database(settings: Settings, revision: str) -> tuple[str | None, str]:
    """Bring it back to an older schema; the revisions before and after.

    Raises:
        ConfigurationError: There is no such revision, or a newer version made the database.
        StorageError: It does not answer.
    """
    async with open_database(settings, answer_seconds=None) as database:
        return await migrating.downgrade(database, revision)


async def database_revisions(settings: Settings) -> tuple[str | None, str]:
    """The schema that it has, and the one that this version needs.

    Raises:
        StorageError: It does not answer.
    """
    async with open_database(settings) as database:
        return await migrating.current(database), migrating.head()


async def back_up_database(settings: Settings, target: Path) -> int:
    """Copy a SQLite database that may be in use; the bytes of the copy.

    Raises:
        ConfigurationError: It is PostgreSQL.
        InputError: The file can't be made.
        StorageError: The database can't be read.
    """
    async with open_database(settings) as database:
        return await back_up(database, target)


async def asked(database: Database) -> ComponentStatus:
    """Whether the database answers now, within two seconds."""
    try:
        async with asyncio.timeout(PING_SECONDS):
            await database.ping()
    except (StorageError, TimeoutError):
        return "failed"
    return "ok"


def last_known(database: Database) -> ComponentStatus:
    """Whether the database answered when it was last asked."""
    return "unknown" if database.answers is None else "ok" if database.answers else "failed"
