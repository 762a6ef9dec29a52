"""Batches and their results; what a worker writes is written only while its job's lease holds."""

from collections.abc import AsyncIterator, Callable, Collection, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, exists, func, insert, literal, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from balance_tracker.core.batches import Batch, BatchQuestion, BatchState, ResultStatus, state_at_end
from balance_tracker.core.errors import ConflictError
from balance_tracker.core.jobs import Job, JobState, NewJob
from balance_tracker.core.kept import Owner
from balance_tracker.ports.batches import BatchResult, IdempotencyKey
from balance_tracker.storage.columns import UtcTime
from balance_tracker.storage.database import Database
from balance_tracker.storage.jobs import cancel_job, got_further, holds, insert_jobs
from balance_tracker.storage.tables import BATCH_RESULTS, BATCHES, JOBS

BATCH_JOB = "batch"

_MOST_ERROR_CHARACTERS = 500
_PAGE = 200
_TURNS = 6_001
"""Sets locks of this store apart from others' in the same database."""

_COLUMNS = [
    column for column in BATCHES.c if column.name not in {"question", "idempotency_key", "fingerprint"}
]
_AT_WORK = (JobState.QUEUED.value, JobState.RUNNING.value)
_NOBODY = "Nobody works on it any more."
_STANDING = BATCHES.c.state.in_((BatchState.QUEUED.value, BatchState.RUNNING.value))


class SqlBatchStore:
    """Implements :class:`balance_tracker.ports.batches.BatchStore`."""

    def __init__(self, database: Database, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._database = database
        self._now = now

    async def add(
        self, batch: Batch, question: BatchQuestion, key: IdempotencyKey | None, most: int
    ) -> Batch:
        """Keep a new batch and its job in one transaction."""
        async with self._database.writing() as connection:
            await self._take_turns(connection, batch.owner)
            if key is not None and (earlier := await _earlier(connection, batch.owner, key)) is not None:
                return earlier
            await _refuse_too_many(connection, batch.owner, most)
            job = NewJob(BATCH_JOB, {"batch_id": batch.batch_id}, unique_key=f"batch:{batch.batch_id}")
            job_id = (await insert_jobs(connection, [job], self._now()))[0]
            kept = replace(batch, job_id=job_id)
            await connection.execute(insert(BATCHES).values(_row(kept, question, key)))
            return kept

    async def _take_turns(self, connection: AsyncConnection, owner: Owner) -> None:
        """One new batch of an owner after the other, so that counts and keys are exact.

        On SQLite writers take turns anyway.
        """
        if not self._database.is_sqlite:
            turn = func.pg_advisory_xact_lock(_TURNS, func.hashtext(owner))
            await connection.execute(select(turn))

    async def get(self, batch_id: str, owners: Collection[Owner] | None) -> Batch | None:
        """One of these owners' batches."""
        async with self._database.reading() as connection:
            return await _one(connection, batch_id, owners)

    async def batches(
        self, owners: Collection[Owner] | None, limit: int, before: str | None
    ) -> Sequence[Batch]:
        """These owners' batches, the newest first."""
        question = select(*_COLUMNS).order_by(BATCHES.c.id.desc()).limit(limit)
        if owners is not None:
            question = question.where(BATCHES.c.owner.in_(list(owners)))
        if before is not None:
            question = question.where(BATCHES.c.id < before)
        async with self._database.reading() as connection:
            return [_batch(row) for row in await connection.execute(question)]

    async def begin(self, batch_id: str, job: Job) -> tuple[BatchQuestion, frozenset[int]] | None:
        """It is worked on: the question, and the places that have results."""
        async with self._database.writing() as connection:
            if not await holds(connection, job):
                return None
            begun = (
                update(BATCHES)
                .where(and_(BATCHES.c.id == batch_id, _STANDING))
                .values(
                    state=BatchState.RUNNING.value,
                    started_at=func.coalesce(BATCHES.c.started_at, literal(self._now(), UtcTime)),
                )
            )
            if (await connection.execute(begun)).rowcount == 0:
                return None
            document: Any = await connection.scalar(
                select(BATCHES.c.question).where(BATCHES.c.id == batch_id)
            )
            there = await connection.scalars(
                select(BATCH_RESULTS.c.position).where(BATCH_RESULTS.c.batch_id == batch_id)
            )
            return _question(document), frozenset(there)

    async def keep(self, batch_id: str, job: Job, results: Sequence[BatchResult]) -> bool:
        """Keep results, those that are there already as they are."""
        async with self._database.writing() as connection:
            if not await holds(connection, job):
                return False
            row = (sqlite.insert if self._database.is_sqlite else postgresql.insert)(BATCH_RESULTS)
            await connection.execute(
                row.on_conflict_do_nothing(), [_result_row(batch_id, result) for result in results]
            )
            await connection.execute(await _counted(connection, batch_id))
            await got_further(connection, job)
        return True

    async def end(self, batch_id: str, job: Job, error: str | None = None) -> bool:
        """Nothing more comes of it."""
        async with self._database.writing() as connection:
            if not await holds(connection, job):
                return False
            batch = await _one(connection, batch_id, None)
            if batch is None or batch.state.ended:
                return True
            state = BatchState.FAILED
            if error is None:
                state = state_at_end(batch.total, batch.failed, batch.incomplete)
            ended = {"state": state.value, "ended_at": self._now(), "error": _shortened(error)}
            await connection.execute(update(BATCHES).where(BATCHES.c.id == batch_id).values(**ended))
        return True

    async def end_abandoned(self) -> int:
        """End those that nobody will work on any more, their job having failed for good; how many."""
        job_id, own = JOBS.c.id, BATCHES.c.job_id
        works = select(job_id).where(and_(job_id == own, JOBS.c.state.in_(_AT_WORK)))
        why = select(JOBS.c.error).where(job_id == own).scalar_subquery()
        ended = (
            update(BATCHES)
            .where(and_(_STANDING, ~exists(works)))
            .values(
                state=BatchState.FAILED.value,
                ended_at=literal(self._now(), UtcTime),
                error=func.coalesce(why, _NOBODY),
            )
        )
        async with self._database.writing() as connection:
            return (await connection.execute(ended)).rowcount

    async def cancel(self, batch_id: str, owners: Collection[Owner] | None) -> Batch | None:
        """Work on it no more; what is kept stays."""
        now = self._now()
        async with self._database.writing() as connection:
            batch = await _one(connection, batch_id, owners)
            if batch is None or batch.state.ended:
                return batch
            # The job first, as workers lock it first too: they and we never wait for each other.
            await cancel_job(connection, batch.job_id, now)
            await connection.execute(
                update(BATCHES)
                .where(and_(BATCHES.c.id == batch_id, _STANDING))
                .values(state=BatchState.CANCELLED.value, ended_at=now)
            )
            return await _one(connection, batch_id, owners)

    async def results(self, batch_id: str, after: int, limit: int) -> Sequence[BatchResult]:
        """Results in the order of their places, those behind a place."""
        own = BATCH_RESULTS.c
        question = (
            select(own.position, own.status, own.document)
            .where(and_(own.batch_id == batch_id, own.position > after))
            .order_by(own.position)
            .limit(limit)
        )
        async with self._database.reading() as connection:
            return [
                BatchResult(row.position, ResultStatus(row.status), row.document)
                for row in await connection.execute(question)
            ]

    async def all_results(self, batch_id: str) -> AsyncIterator[BatchResult]:
        """All that are there, some at a time."""
        after = -1
        while page := await self.results(batch_id, after, _PAGE):
            for result in page:
                yield result
            after = page[-1].position


async def _earlier(connection: AsyncConnection, owner: Owner, key: IdempotencyKey) -> Batch | None:
    """The batch that was kept under a key.

    Raises:
        ConflictError: It asked something else.
    """
    question = select(*_COLUMNS, BATCHES.c.fingerprint).where(
        and_(BATCHES.c.owner == owner, BATCHES.c.idempotency_key == key.text)
    )
    row = (await connection.execute(question)).first()
    if row is None:
        return None
    if row.fingerprint != key.fingerprint:
        raise ConflictError(
            "This Idempotency-Key was used for another question.",
            code="idempotency_conflict",
            hint="Choose a new key for a new question.",
        )
    return _batch(row)


async def _refuse_too_many(connection: AsyncConnection, owner: Owner, most: int) -> None:
    question = select(func.count()).select_from(BATCHES).where(and_(BATCHES.c.owner == owner, _STANDING))
    if (await connection.scalar(question) or 0) >= most:
        raise ConflictError(
            f"{most} batches are waiting or running already.",
            code="too_many_batches",
            hint="Wait for one to end, or cancel one.",
        )


async def _counted(connection: AsyncConnection, batch_id: str) -> Any:
    """The batch's counts set to what is kept: they can't drift from it."""
    question = (
        select(BATCH_RESULTS.c.status, func.count().label("count"))
        .where(BATCH_RESULTS.c.batch_id == batch_id)
        .group_by(BATCH_RESULTS.c.status)
    )
    counts = {row.status: row.count for row in await connection.execute(question)}
    return (
        update(BATCHES)
        .where(BATCHES.c.id == batch_id)
        .values(
            done=sum(counts.values()),
            failed=counts.get(ResultStatus.FAILED.value, 0),
            incomplete=counts.get(ResultStatus.PARTIAL.value, 0),
        )
    )


async def _one(connection: AsyncConnection, batch_id: str, owners: Collection[Owner] | None) -> Batch | None:
    condition: ColumnElement[bool] = BATCHES.c.id == batch_id
    if owners is not None:
        condition = and_(condition, BATCHES.c.owner.in_(list(owners)))
    row = (await connection.execute(select(*_COLUMNS).where(condition))).first()
    return None if row is None else _batch(row)


def _row(batch: Batch, question: BatchQuestion, key: IdempotencyKey | None) -> dict[str, Any]:
    return {
        "id": batch.batch_id,
        "owner": batch.owner,
        "job_id": batch.job_id,
        "state": batch.state.value,
        "question": {
            "addresses": list(question.addresses),
            "networks": None if question.networks is None else list(question.networks),
            "include": list(question.include),
            "currency": question.currency,
        },
        "total": batch.total,
        "done": 0,
        "failed": 0,
        "incomplete": 0,
        "created_at": batch.created_at,
        "idempotency_key": None if key is None else key.text,
        "fingerprint": None if key is None else key.fingerprint,
    }


def _question(document: dict[str, Any]) -> BatchQuestion:
    networks = document["networks"]
    return BatchQuestion(
        addresses=tuple(document["addresses"]),
        networks=None if networks is None else tuple(networks),
        include=tuple(document["include"]),
        currency=document["currency"],
    )


def _batch(row: Any) -> Batch:
    return Batch(
        batch_id=row.id,
        owner=Owner(row.owner),
        job_id=row.job_id,
        state=BatchState(row.state),
        total=row.total,
        done=row.done,
        failed=row.failed,
        incomplete=row.incomplete,
        created_at=row.created_at,
        started_at=row.started_at,
        ended_at=row.ended_at,
        error=row.error,
    )


def _result_row(batch_id: str, result: BatchResult) -> dict[str, Any]:
    return {
        "batch_id": batch_id,
        "position": result.position,
        "status": result.status.value,
        "document": result.document,
    }


def _shortened(error: str | None) -> str | None:
    return None if error is None else error.replace("\0", "")[:_MOST_ERROR_CHARACTERS]
