"""Deletes what is old, in transactions that are short."""

from datetime import date, datetime, timedelta

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Select,
    Table,
    case,
    delete,
    func,
    select,
    tuple_,
    type_coerce,
)

from balance_tracker.core.snapshots import SnapshotState
from balance_tracker.storage.database import Database
from balance_tracker.storage.tables import BATCHES, JOBS, KEY_USAGE, SNAPSHOTS

_PART = 500
_BATCHES_PART = 2  # each has up to 10,000 results
_DAY_MICROSECONDS = timedelta(days=1) // timedelta(microseconds=1)


class SqlKeptStore:
    """What may be deleted, in one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def delete_batches(self, ended_before: datetime, limit: int) -> int:
        """Batches that have ended, with their results; how many."""
        old = select(BATCHES.c.id).where(BATCHES.c.ended_at < ended_before)
        return await self._delete(BATCHES, old.limit(limit), _BATCHES_PART)

    async def delete_jobs(self, ended_before: datetime, limit: int) -> int:
        """Jobs that have ended; how many."""
        old = select(JOBS.c.id).where(JOBS.c.ended_at < ended_before)
        return await self._delete(JOBS, old.limit(limit))

    async def delete_usage(self, before: date, limit: int) -> int:
        """The usage of keys, of whole days; how many rows."""
        key = (KEY_USAGE.c.key_id, KEY_USAGE.c.day, KEY_USAGE.c.route)
        async with self._database.reading() as connection:
            old = await connection.execute(select(*key).where(KEY_USAGE.c.day < before).limit(limit))
            rows = [tuple(row) for row in old]
        for start in range(0, len(rows), _PART):
            async with self._database.writing() as connection:
                is_old = tuple_(*key).in_(rows[start : start + _PART])
                await connection.execute(delete(KEY_USAGE).where(is_old))
        return len(rows)

    async def delete_snapshots(self, before: datetime, limit: int) -> int:
        """Every snapshot taken before; how many."""
        old = select(SNAPSHOTS.c.id).where(SNAPSHOTS.c.taken_at < before)
        return await self._delete(SNAPSHOTS, old.limit(limit))

    async def thin_snapshots(self, before: datetime, limit: int) -> int:
        """Snapshots taken before that are not the one of their day (UTC), of each series; how many.

        The one is the last that is known: an incomplete one stays only where the day has no other.
        """
        is_known = case((SNAPSHOTS.c.state == SnapshotState.INCOMPLETE.value, 0), else_=1)
        place = func.row_number().over(
            partition_by=(SNAPSHOTS.c.owner, SNAPSHOTS.c.subject, SNAPSHOTS.c.currency, self._day()),
            order_by=(is_known.desc(), SNAPSHOTS.c.taken_at.desc(), SNAPSHOTS.c.id.desc()),
        )
        placed = (
            select(SNAPSHOTS.c.id, place.label("place"))
            .where(SNAPSHOTS.c.taken_at < before)
            .subquery("placed")
        )
        return await self._delete(SNAPSHOTS, select(placed.c.id).where(placed.c.place > 1).limit(limit))

    def _day(self) -> ColumnElement[object]:
        """The day in UTC on which a snapshot was taken."""
        if self._database.is_sqlite:  # microseconds since 1970
            return type_coerce(SNAPSHOTS.c.taken_at, BigInteger).op("/")(_DAY_MICROSECONDS)
        return func.date_trunc("day", SNAPSHOTS.c.taken_at, "UTC")

    async def _delete(self, table: Table, old: Select[tuple[str]], part: int = _PART) -> int:
        """Find first, then delete a part at a time: only that keeps other writers waiting, and not long."""
        async with self._database.reading() as connection:
            ids = list(await connection.scalars(old))
        for start in range(0, len(ids), part):
            async with self._database.writing() as connection:
                await connection.execute(delete(table).where(table.c.id.in_(ids[start : start + part])))
        return len(ids)
