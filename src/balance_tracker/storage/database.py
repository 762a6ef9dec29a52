"""One database, opened: connections, transactions, and what differs between SQLite and PostgreSQL."""

import time
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from sqlalchemy import event, make_url, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import QueuePool

from balance_tracker.core.errors import ConfigurationError
from balance_tracker.storage.failures import reason_of, translated
from balance_tracker.telemetry.logging import get_logger
from balance_tracker.telemetry.metrics import METRICS
from balance_tracker.telemetry.storage_metrics import Access

SCHEMES = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg", "postgres": "postgresql+asyncpg"}
DEFAULT_FILE = "tracker.db"
ANSWER_SECONDS = 30.0
"""How long one statement may take on PostgreSQL."""

LOG = get_logger(__name__)

_WAIT_SECONDS = 10
_IDLE_MILLISECONDS = 60_000
_AWAY = frozenset({"lost", "damaged", "refused"})
_SQLITE_PRAGMAS = (
    f"PRAGMA busy_timeout={_WAIT_SECONDS * 1000}",
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",  # a commit that was answered is on the disk, also after a power cut
    "PRAGMA foreign_keys=ON",
)
_BEGIN: dict[Access, dict[str, Any]] = {
    "read": {
        "sqlite_begin": "BEGIN",
        # Several statements see one state of things, as they do on SQLite; a write is refused.
        "isolation_level": "REPEATABLE READ",
        "postgresql_readonly": True,
    },
    "write": {"sqlite_begin": "BEGIN IMMEDIATE"},
    "restructure": {"sqlite_begin": "BEGIN IMMEDIATE", "sqlite_foreign_keys": False},
}


class Database:
    """A pool of connections to one database.

    Args:
        url: ``postgresql://user:password@host/name`` or ``sqlite:///path``, or the path of a SQLite file.
        connections: At most so many at once in this process.
        answer_seconds: How long one statement may take on PostgreSQL; ``None``: as long as it needs.

    Raises:
        ConfigurationError: The URL is of no database that is known here; it is not shown.
    """

    def __init__(
        self, url: str | Path, *, connections: int = 10, answer_seconds: float | None = ANSWER_SECONDS
    ) -> None:
        self.url = driver_url(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self._connections = connections
        self._answer_seconds = answer_seconds
        self._engine: AsyncEngine | None = None
        self._answers: bool | None = None
        self._stack = ExitStack()
        # What a driver raises while it connects is not wrapped by SQLAlchemy.
        self._errors: tuple[type[Exception], ...] = (
            SQLAlchemyError,
            OSError,
            *_driver_errors(self.is_sqlite),
        )

    async def __aenter__(self) -> Self:
        self._engine = self._made()
        self._stack.enter_context(METRICS.storage.watching(lambda: (self.in_use, self._connections)))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        engine, self._engine = self._engine, None
        self._stack.close()
        if engine is not None:
            await engine.dispose()

    @property
    def engine(self) -> AsyncEngine:
        """The engine, for what needs it as a whole."""
        if self._engine is None:
            raise RuntimeError("Database is used outside its 'async with'")
        return self._engine

    @property
    def answers(self) -> bool | None:
        """Whether it did when it was last asked; ``None`` before."""
        return self._answers

    @property
    def in_use(self) -> int:
        """How many connections serve a transaction now."""
        pool = self.engine.pool if self._engine else None
        return pool.checkedout() if isinstance(pool, QueuePool) else 0

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that only reads, and sees one state of things however long it takes.

        Raises:
            InputError: A value is one that no database holds, such as text with U+0000.
            StorageError: The database can't be reached or refused.
        """
        async with self._begun("read") as connection:
            yield connection

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that writes: all of it, or nothing.

        On SQLite it waits for its turn at the beginning, so that two writers never meet half-way.

        Raises:
            InputError: A value is one that no database holds, such as text with U+0000.
            StorageError: The database can't be reached or refused.
        """
        async with self._begun("write") as connection:
            yield connection

    @asynccontextmanager
    async def restructuring(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that changes tables, on a connection that is closed after it.

        SQLite changes a table by replacing it, and with foreign keys on it would delete what points to the
        old one; they can be turned off only before a transaction begins.

        Raises:
            StorageError: The database can't be reached or refused.
        """
        async with self._begun("restructure") as connection:
            yield connection

    @asynccontextmanager
    async def _begun(self, access: Access) -> AsyncIterator[AsyncConnection]:
        is_crowded = self.in_use >= self._connections
        asked = began = time.perf_counter()
        try:
            async with self.engine.connect() as connection:
                began = time.perf_counter()
                if is_crowded:
                    METRICS.storage.observe_wait(began - asked)
                await connection.execution_options(**self._options(access))
                async with connection.begin():
                    yield connection
                if access == "restructure":
                    await connection.invalidate()
            self._answers = True
        except self._errors as error:
            METRICS.storage.observe_error(reason_of(error))
            self._answers = reason_of(error) not in _AWAY
            # The statement without its values; the driver's own text would hold some of them.
            LOG.debug("database_failed", reason=reason_of(error), statement=getattr(error, "statement", None))
            if access != "read" and reason_of(error) == "read_only" and not self.is_sqlite:
                # The server became a standby: it answers pings, and would refuse writes for ever.
                await self.engine.dispose()
            raise translated(error) from None
        finally:
            METRICS.storage.observe_transaction(access, time.perf_counter() - began)

    def _options(self, access: Access) -> dict[str, Any]:
        options = _BEGIN[access]
        if self.is_sqlite:
            return {name: value for name, value in options.items() if name.startswith("sqlite_")}
        return options

    async def ping(self) -> None:
        """Ask it for nothing.

        Raises:
            StorageError: It does not answer.
        """
        async with self.reading() as connection:
            await connection.execute(text("SELECT 1"))

    def _made(self) -> AsyncEngine:
        if not self.is_sqlite:
            return self._postgres()
        _make_room(Path(self.url.database or ""))
        engine = create_async_engine(self.url, **self._limits())
        event.listen(engine.sync_engine, "connect", _set_up_sqlite)
        event.listen(engine.sync_engine, "begin", _begin_sqlite)
        return engine

    def _postgres(self) -> AsyncEngine:
        return create_async_engine(
            self.url,
            **self._limits(),
            pool_pre_ping=True,
            pool_recycle=1800,
            connect_args={
                "timeout": _WAIT_SECONDS,
                "command_timeout": self._answer_seconds,
                "server_settings": {
                    "application_name": "balance-tracker",
                    "timezone": "UTC",
                    # A process that hangs in the middle of a transaction does not hold its locks for ever.
                    "idle_in_transaction_session_timeout": str(_IDLE_MILLISECONDS),
                },
            },
        )

    def _limits(self) -> dict[str, Any]:
        return {
            "pool_size": self._connections,
            "max_overflow": 0,
            "pool_timeout": _WAIT_SECONDS,
            "hide_parameters": True,
        }


def driver_url(url: str | Path) -> URL:
    """The URL with the driver that is used here.

    Raises:
        ConfigurationError: It is of no database that is known here.
    """
    if isinstance(url, Path):
        return URL.create(SCHEMES["sqlite"], database=str(url))
    try:
        made = make_url(url)
        made = made.set(drivername=SCHEMES[made.get_backend_name()])
    except (ArgumentError, KeyError, ValueError):
        raise ConfigurationError(
            "DATABASE_URL is wrong: it must begin with sqlite:/// or postgresql://.",
            hint="For example sqlite:///data/tracker.db or postgresql://tracker:…@localhost/tracker.",
        ) from None
    if made.get_backend_name() == "sqlite" and _is_no_file(made.database):
        raise ConfigurationError(
            "DATABASE_URL is wrong: SQLite needs a file, which several connections can open.",
            hint="For example sqlite:///data/tracker.db.",
        )
    return made


def _is_no_file(name: str | None) -> bool:
    return not name or name == ":memory:" or name.startswith("file:")


def _make_room(path: Path) -> None:
    """Make the file, which only its user may read: it holds what keys are told by.

    Raises:
        ConfigurationError: It can't be made.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            path.touch(mode=0o600)
    except OSError as error:
        raise ConfigurationError(
            f"The database's file {path.name} can't be made in {path.parent} ({error.strerror}).",
            hint="Set DATABASE_URL or TRACKER_DATA_DIR to a place that can be written.",
        ) from error


def _driver_errors(is_sqlite: bool) -> tuple[type[Exception], ...]:
    if is_sqlite:
        return ()
    import asyncpg  # noqa: PLC0415 - who uses SQLite needs none of it

    return (asyncpg.PostgresError, asyncpg.InterfaceError)


def _set_up_sqlite(connection: Any, _record: Any) -> None:
    # Transactions begin where we say so (below), not where the driver guesses.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in _SQLITE_PRAGMAS:
        cursor.execute(pragma)
    cursor.close()


def _begin_sqlite(connection: Any) -> None:
    options = connection.get_execution_options()
    if not options.get("sqlite_foreign_keys", True):
        connection.exec_driver_sql("PRAGMA foreign_keys=OFF")
    connection.exec_driver_sql(options.get("sqlite_begin", "BEGIN"))
