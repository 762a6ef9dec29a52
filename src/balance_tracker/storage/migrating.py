"""Brings a database to the tables that this version knows, and tells whether it is there."""

from pathlib import Path

from sqlalchemy import Connection, inspect, text

from balance_tracker.core.errors import ConfigurationError
from balance_tracker.storage.database import Database
from balance_tracker.storage.tables import METADATA

MIGRATIONS = Path(__file__).parent / "migrations"

_LOCK = 7_261_148_207_315_209
"""Any number that no other program asks PostgreSQL to lock by."""


async def upgrade(database: Database) -> tuple[str | None, str]:
    """Bring it to the newest schema; the revisions before and after.

    Several processes may do so at once: one does it, the others find it done. All of it is done, or
    nothing.

    Raises:
        ConfigurationError: ``schema_unknown``: a newer version of this program made it.
        StorageError: The database can't be reached or refused.
    """
    before, newest = await current(database), head()
    if before == newest:
        return before, newest
    return await _moved(database, newest)


async def downgrade(database: Database, revision: str) -> tuple[str | None, str]:
    """Bring it back to an older schema, for an older version of this program; what is newer is lost.

    Raises:
        ConfigurationError: There is no such revision, or a newer version made what is there.
        StorageError: The database can't be reached or refused.
    """
    known = revisions()
    if revision not in known:
        raise ConfigurationError(
            f"There is no revision {revision[:40]} of the schema.",
            code="schema_unknown",
            hint=f"Those that this version knows are {', '.join(known)}.",
        )
    return await _moved(database, revision)


async def check(database: Database) -> None:
    """Refuse a schema that is not the one that this version knows.

    Raises:
        ConfigurationError: ``schema_outdated`` or ``schema_unknown``.
        StorageError: The database can't be reached or refused.
    """
    is_at, newest = await current(database), head()
    if is_at != newest:
        _refuse_unknown(is_at)
        raise ConfigurationError(
            f"The database's schema is {is_at or 'empty'}, and this version needs {newest}.",
            code="schema_outdated",
            hint="Run: balance-tracker db upgrade",
        )


async def current(database: Database) -> str | None:
    """The revision of its schema; ``None`` where there is none yet.

    Raises:
        StorageError: The database can't be reached or refused.
    """
    async with database.reading() as connection:
        return await connection.run_sync(_current)


def head() -> str:
    """The newest revision that this version knows."""
    return revisions()[-1]


def revisions() -> list[str]:
    """All revisions that this version knows, the oldest first: each is a file of its name."""
    return sorted(path.stem for path in (MIGRATIONS / "versions").glob("[0-9]*.py"))


def differences(connection: Connection) -> list[object]:
    """What migrations made otherwise than the tables are written; nothing, a test says."""
    from alembic.autogenerate import compare_metadata  # noqa: PLC0415 - only when it is compared
    from alembic.runtime.migration import MigrationContext  # noqa: PLC0415

    return list(compare_metadata(MigrationContext.configure(connection), METADATA))


async def _moved(database: Database, revision: str) -> tuple[str | None, str]:
    async with database.restructuring() as connection:
        if not database.is_sqlite:
            await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        return await connection.run_sync(_move, revision)


def _move(connection: Connection, revision: str) -> tuple[str | None, str]:
    """Run what lies between, with the lock that keeps others away.

    Raises:
        ConfigurationError: What is there is not known here, or what was made contradicts itself.
    """
    before = _current(connection)
    if before == revision:
        return before, revision
    _refuse_unknown(before)
    _run(connection, before, revision)
    if connection.dialect.name == "sqlite" and connection.execute(text("PRAGMA foreign_key_check")).first():
        raise ConfigurationError(
            f"The database can't be brought to schema {revision}: rows point to what is not there.",
            code="schema_outdated",
            hint="Restore a backup; nothing was changed.",
        )
    return before, revision


def _run(connection: Connection, before: str | None, revision: str) -> None:
    from alembic import command  # noqa: PLC0415 - a tenth of a second, for a database that is not current
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    is_older = before is not None and revision < before
    (command.downgrade if is_older else command.upgrade)(config, revision)


def _current(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return found


def _refuse_unknown(revision: str | None) -> None:
    if revision is not None and revision not in revisions():
        raise ConfigurationError(
            f"The database's schema {revision} is not known to this version.",
            code="schema_unknown",
            hint="It was made by a newer version: run that one, or restore a backup.",
        )
