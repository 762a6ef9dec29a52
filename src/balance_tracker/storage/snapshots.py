"""Snapshots: a few columns to find and add up, and the rest as one document."""

from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Row,
    RowMapping,
    Select,
    and_,
    case,
    delete,
    func,
    or_,
    select,
    type_coerce,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from balance_tracker.core.kept import Owner
from balance_tracker.core.snapshots import Snapshot, SnapshotHead, SnapshotState
from balance_tracker.ports.snapshots import Extent, HeadPlace, SnapshotFilter
from balance_tracker.storage.database import Database
from balance_tracker.storage.snapshot_documents import (
    addresses_in,
    collections_in,
    document_of,
    lines_in,
    networks_in,
)
from balance_tracker.storage.tables import SNAPSHOTS

_HEAD = [
    SNAPSHOTS.c[name]
    for name in (
        "id",
        "owner",
        "subject",
        "wallet_id",
        "name",
        "currency",
        "taken_at",
        "state",
        "total_value",
        "known_value",
        "unpriced",
    )
]
_MOST_IDS = 50
"""So many documents are read at once: others have their turn in between."""


class SqlSnapshotStore:
    """Implements :class:`balance_tracker.ports.snapshots.SnapshotStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def keep(self, snapshot: Snapshot, unique_key: str | None = None) -> Snapshot:
        """Keep it; the one that was kept before under its unique key, if there is one."""
        async with self._database.writing() as connection:
            insert = sqlite.insert if self._database.is_sqlite else postgresql.insert
            row = insert(SNAPSHOTS).values(row_of(snapshot, unique_key))
            row = row.on_conflict_do_nothing(index_elements=[SNAPSHOTS.c.unique_key])
            kept = (await connection.execute(row.returning(SNAPSHOTS.c.id))).first()
            if kept is not None or unique_key is None:
                return snapshot
            earlier = await _first(connection, select(SNAPSHOTS).where(SNAPSHOTS.c.unique_key == unique_key))
        assert earlier is not None  # noqa: S101 - it stood in the way just now, in this transaction
        return earlier

    async def get(self, snapshot_id: str, owners: Collection[Owner] | None) -> Snapshot | None:
        """One of these owners' snapshots."""
        question = select(SNAPSHOTS).where(_mine(owners, SNAPSHOTS.c.id == snapshot_id))
        async with self._database.reading() as connection:
            return await _first(connection, question)

    async def by_key(self, unique_key: str) -> Snapshot | None:
        """The snapshot that was kept under a unique key."""
        async with self._database.reading() as connection:
            return await _first(connection, select(SNAPSHOTS).where(SNAPSHOTS.c.unique_key == unique_key))

    async def last(self, which: SnapshotFilter) -> Snapshot | None:
        """The newest that fits."""
        newest = (SNAPSHOTS.c.taken_at.desc(), SNAPSHOTS.c.id.desc())
        question = select(SNAPSHOTS).where(_fits(which)).order_by(*newest).limit(1)
        async with self._database.reading() as connection:
            return await _first(connection, question)

    async def heads(
        self, which: SnapshotFilter, limit: int, before: HeadPlace | None
    ) -> Sequence[SnapshotHead]:
        """Those that fit, the newest first, older than that place."""
        question = select(*_HEAD).where(_fits(which)).limit(limit)
        question = question.order_by(SNAPSHOTS.c.taken_at.desc(), SNAPSHOTS.c.id.desc())
        if before is not None:
            taken_at, snapshot_id = before
            at = SNAPSHOTS.c.taken_at
            question = question.where(at <= taken_at, or_(at < taken_at, SNAPSHOTS.c.id < snapshot_id))
        async with self._database.reading() as connection:
            return [_head(row) for row in await connection.execute(question)]

    async def extent(self, which: SnapshotFilter) -> Extent | None:
        """How many fit, and from when to when; ``None`` where none does."""
        at = SNAPSHOTS.c.taken_at
        question = select(func.count(), func.min(at), func.max(at)).where(_fits(which))
        async with self._database.reading() as connection:
            count, first, last = (await connection.execute(question)).one()
        return Extent(count, first, last) if count else None

    async def series(self, which: SnapshotFilter, every: timedelta | None) -> Sequence[SnapshotHead]:
        """Those that fit, the oldest first; of each span of time the last that is known."""
        question = series_of(which, every, is_sqlite=self._database.is_sqlite)
        async with self._database.reading() as connection:
            return [_head(row) for row in await connection.execute(question)]

    async def snapshots(self, ids: Sequence[str]) -> Sequence[Snapshot]:
        """These, in the order of time."""
        found: list[Snapshot] = []
        async with self._database.reading() as connection:
            for start in range(0, len(ids), _MOST_IDS):
                some = ids[start : start + _MOST_IDS]
                rows = await connection.execute(select(SNAPSHOTS).where(SNAPSHOTS.c.id.in_(some)))
                found += [_snapshot(row) for row in rows.mappings()]
        return sorted(found, key=lambda one: (one.taken_at, one.snapshot_id))

    async def delete(self, snapshot_id: str, owners: Collection[Owner] | None) -> bool:
        """Forget one; whether there was one."""
        async with self._database.writing() as connection:
            gone = await connection.execute(
                delete(SNAPSHOTS).where(_mine(owners, SNAPSHOTS.c.id == snapshot_id))
            )
        return gone.rowcount > 0


def series_of(which: SnapshotFilter, every: timedelta | None, *, is_sqlite: bool) -> Select[Any]:
    """The question for the heads in order; where a span is given, the database picks one of each."""
    order = (SNAPSHOTS.c.taken_at, SNAPSHOTS.c.id)
    if every is None:
        return select(*_HEAD).where(_fits(which)).order_by(*order)
    if is_sqlite:
        microseconds = type_coerce(SNAPSHOTS.c.taken_at, BigInteger)
        bucket: ColumnElement[Any] = microseconds.op("/")(every // timedelta(microseconds=1))
    else:
        bucket = func.floor(func.extract("epoch", SNAPSHOTS.c.taken_at) / every.total_seconds())
    is_known = case((SNAPSHOTS.c.state == SnapshotState.INCOMPLETE.value, 0), else_=1)
    place = func.row_number().over(
        partition_by=bucket, order_by=(is_known.desc(), SNAPSHOTS.c.taken_at.desc(), SNAPSHOTS.c.id.desc())
    )
    ranked = select(SNAPSHOTS.c.id, place.label("place")).where(_fits(which)).subquery()
    chosen = select(ranked.c.id).where(ranked.c.place == 1)
    return select(*_HEAD).where(SNAPSHOTS.c.id.in_(chosen)).order_by(*order)


def _mine(owners: Collection[Owner] | None, condition: ColumnElement[bool]) -> ColumnElement[bool]:
    return condition if owners is None else and_(condition, SNAPSHOTS.c.owner.in_(list(owners)))


def _fits(which: SnapshotFilter) -> ColumnElement[bool]:
    taken_at = SNAPSHOTS.c.taken_at
    conditions = [
        None if which.owners is None else SNAPSHOTS.c.owner.in_(list(which.owners)),
        None if which.subject is None else SNAPSHOTS.c.subject == which.subject,
        None if which.states is None else SNAPSHOTS.c.state.in_([state.value for state in which.states]),
        None if which.currency is None else SNAPSHOTS.c.currency == which.currency,
        None if which.start is None else taken_at >= which.start,
        None if which.end is None else taken_at <= which.end,
    ]
    given = [condition for condition in conditions if condition is not None]
    return and_(SNAPSHOTS.c.id.is_not(None), *given)


async def _first(connection: AsyncConnection, question: Select[Any]) -> Snapshot | None:
    row = (await connection.execute(question)).mappings().first()
    return None if row is None else _snapshot(row)


def row_of(snapshot: Snapshot, unique_key: str | None = None) -> dict[str, Any]:
    """The row that a snapshot is kept as."""
    return {
        "id": snapshot.snapshot_id,
        "owner": snapshot.owner,
        "subject": snapshot.subject,
        "wallet_id": snapshot.wallet_id,
        "name": snapshot.name,
        "currency": snapshot.currency,
        "taken_at": snapshot.taken_at,
        "state": snapshot.state.value,
        "total_value": snapshot.total_value,
        "known_value": snapshot.known_value,
        "unpriced": snapshot.unpriced,
        "document": document_of(snapshot),
        "unique_key": unique_key,
    }


def _snapshot(row: RowMapping) -> Snapshot:
    document = row["document"]
    return Snapshot(
        snapshot_id=row["id"],
        owner=Owner(row["owner"]),
        subject=row["subject"],
        addresses=addresses_in(document),
        wallet_id=row["wallet_id"],
        name=row["name"],
        currency=row["currency"],
        taken_at=row["taken_at"],
        state=SnapshotState(row["state"]),
        lines=lines_in(document),
        networks=networks_in(document),
        collections=collections_in(document),
    )


def _head(row: Row[Any]) -> SnapshotHead:
    return SnapshotHead(
        snapshot_id=row.id,
        owner=Owner(row.owner),
        subject=row.subject,
        wallet_id=row.wallet_id,
        name=row.name,
        currency=row.currency,
        taken_at=row.taken_at,
        state=SnapshotState(row.state),
        total_value=row.total_value,
        known_value=row.known_value,
        unpriced=row.unpriced,
    )
