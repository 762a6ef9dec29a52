"""Counts changes of what processes keep in memory, so that all of them notice at once."""

import sqlite3
from types import TracebackType
from typing import Self

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from balance_tracker.storage.database import Database
from balance_tracker.storage.tables import EPOCHS

KEYS = "keys"

_WAIT_SECONDS = 0.2


async def bump(connection: AsyncConnection, name: str) -> None:
    """Count one more change, in the transaction that makes it."""
    insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    row = insert(EPOCHS).values(name=name, value=1)
    await connection.execute(
        row.on_conflict_do_update(index_elements=[EPOCHS.c.name], set_={"value": EPOCHS.c.value + 1})
    )


class FileEpoch:
    """Reads one counter of an SQLite file in microseconds, at every request and without a thread.

    By the driver itself: SQLAlchemy takes several times what the question takes.

    A database on another machine is not read like that: there it is always ``None``.
    """

    def __init__(self, database: Database, name: str = KEYS) -> None:
        self._file = database.url.database if database.is_sqlite else None
        self._question = str(
            select(EPOCHS.c.value)
            .where(EPOCHS.c.name == name)
            .compile(dialect=sqlite.dialect(), compile_kwargs={"literal_binds": True})
        )
        self._connection: sqlite3.Connection | None = None

    def __enter__(self) -> Self:
        if self._file:
            connection = sqlite3.connect(
                self._file, timeout=_WAIT_SECONDS, isolation_level=None, check_same_thread=False
            )
            connection.execute("PRAGMA query_only=ON")
            self._connection = connection
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def current(self) -> str | None:
        """The counter; ``None`` where it can't be read like that, or not now."""
        if self._connection is None:
            return None
        try:
            row = self._connection.execute(self._question).fetchone()
        except sqlite3.Error:
            return None
        return "0" if row is None else str(row[0])
