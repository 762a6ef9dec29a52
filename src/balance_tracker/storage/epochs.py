"""Counts changes of what processes keep in memory, so that all of them notice at once."""

from types import TracebackType
from typing import Self

from sqlalchemy import Connection, Engine, create_engine, event, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.pool import StaticPool

from balance_tracker.storage.database import Database
from balance_tracker.storage.tables import EPOCHS

KEYS = "keys"


async def bump(connection: AsyncConnection, name: str) -> None:
    """Count one more change, in the transaction that makes it."""
    insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    row = insert(EPOCHS).values(name=name, value=1)
    await connection.execute(
        row.on_conflict_do_update(index_elements=[EPOCHS.c.name], set_={"value": EPOCHS.c.value + 1})
    )


class FileEpoch:
    """Reads one counter of an SQLite file in microseconds, at every request and without a thread.

    A database on another machine is not read like that: there it is always ``None``.
    """

    def __init__(self, database: Database, name: str = KEYS) -> None:
        self._file = database.url.database if database.is_sqlite else None
        self._question = str(
            select(EPOCHS.c.value)
            .where(EPOCHS.c.name == name)
            .compile(dialect=sqlite.dialect(), compile_kwargs={"literal_binds": True})
        )
        self._engine: Engine | None = None
        self._connection: Connection | None = None

    def __enter__(self) -> Self:
        if self._file:
            self._engine = create_engine(
                f"sqlite:///{self._file}",
                poolclass=StaticPool,
                isolation_level="AUTOCOMMIT",
                connect_args={"check_same_thread": False, "timeout": 0.2},
            )
            event.listen(self._engine, "connect", _read_only)
            self._connection = self._engine.connect()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
        if self._engine is not None:
            self._engine.dispose()

    def current(self) -> str | None:
        """The counter; ``None`` where it can't be read like that, or not now."""
        if self._connection is None:
            return None
        try:
            row = self._connection.exec_driver_sql(self._question).first()
        except SQLAlchemyError:
            return None
        return "0" if row is None else str(row[0])


def _read_only(connection: object, _record: object) -> None:
    cursor = connection.cursor()  # type: ignore[attr-defined] # the driver's, which has no type of its own
    cursor.execute("PRAGMA query_only=ON")
    cursor.close()
