"""Jobs: the truth about work that outlives its request, whoever does it."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from secrets import randbits, token_hex
from typing import Any

from sqlalchemy import ColumnElement, RowMapping, and_, func, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from balance_tracker.core.jobs import Job, JobState, NewJob
from balance_tracker.core.kept import new_id
from balance_tracker.storage.database import Database
from balance_tracker.storage.tables import JOBS

WORKER_LOST = "worker_lost"
"""Why a job failed whose workers died at every try."""

_MOST_ERROR_CHARACTERS = 500
_WAITING = JOBS.c.state == JobState.QUEUED.value
_RUNNING = JOBS.c.state == JobState.RUNNING.value


class SqlJobStore:
    """Implements :class:`balance_tracker.ports.keeping.JobStore`.

    Args:
        database: Where they are kept.
        now: The time, in UTC; the same for every process, since leases are compared with it.
    """

    def __init__(self, database: Database, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._database = database
        self._now = now

    async def add(self, jobs: Sequence[NewJob]) -> Sequence[str]:
        """Keep jobs; their ids, of one that was kept before for its unique key that one's."""
        async with self._database.writing() as connection:
            return await insert_jobs(connection, jobs, self._now())

    async def claim(
        self, lease_seconds: float, kinds: Sequence[str], job_id: str | None = None
    ) -> Job | None:
        """Take the job that is due the longest, or this one, unless another worker has it."""
        now = self._now()
        question = (
            select(JOBS)
            .where(and_(_due(now), JOBS.c.kind.in_(list(kinds))))
            .order_by(JOBS.c.run_at, JOBS.c.id)
            .limit(1)
            .with_for_update(skip_locked=True)
        )
        if job_id is not None:
            question = question.where(JOBS.c.id == job_id)
        while True:
            async with self._database.writing() as connection:
                row = (await connection.execute(question)).mappings().first()
                if row is None:
                    return None
                if row["attempt"] < row["most_attempts"]:
                    return await _taken(connection, row, now, now + timedelta(seconds=lease_seconds))
                await connection.execute(_ended(row["id"], JobState.FAILED, now, WORKER_LOST))

    async def extend(self, job: Job, lease_seconds: float) -> bool:
        """Keep a job for longer; whether it is still this worker's."""
        until = self._now() + timedelta(seconds=lease_seconds)
        return await self._change(job, lease_until=until)

    async def finish(self, job: Job) -> bool:
        """It is done; whether it was still this worker's."""
        return await self._end(job, JobState.DONE, None)

    async def fail(self, job: Job, error: str, retry_at: datetime | None) -> bool:
        """A try failed: again at a time, or for good."""
        if retry_at is None:
            return await self._end(job, JobState.FAILED, error)
        return await self._change(
            job,
            state=JobState.QUEUED.value,
            run_at=retry_at,
            lease=None,
            lease_until=None,
            error=_shown(error),
        )

    async def give_back(self, job: Job) -> bool:
        """Another worker may take it at once; the try does not count."""
        return await self._change(
            job,
            state=JobState.QUEUED.value,
            run_at=self._now(),
            lease=None,
            lease_until=None,
            attempt=JOBS.c.attempt - 1,
        )

    async def cancel(self, job_id: str) -> bool:
        """Nobody shall do it any more; whether it was not at its end yet."""
        async with self._database.writing() as connection:
            return await cancel_job(connection, job_id, self._now())

    async def due(self, limit: int) -> Sequence[str]:
        """Ids of jobs that wait for a worker now, the longest first."""
        question = select(JOBS.c.id).where(_due(self._now())).order_by(JOBS.c.run_at).limit(limit)
        async with self._database.reading() as connection:
            return list(await connection.scalars(question))

    async def counts(self) -> Mapping[tuple[str, str], int]:
        """How many jobs there are by kind and state, of those not at their end."""
        question = (
            select(JOBS.c.kind, JOBS.c.state, func.count())
            .where(or_(_WAITING, _RUNNING))
            .group_by(JOBS.c.kind, JOBS.c.state)
        )
        async with self._database.reading() as connection:
            return {(kind, state): count for kind, state, count in await connection.execute(question)}

    async def oldest_due_seconds(self) -> float:
        """How long the job that is due the longest has waited; 0 where none waits."""
        now = self._now()
        question = select(func.min(JOBS.c.run_at)).where(_due(now))
        async with self._database.reading() as connection:
            since = await connection.scalar(question)
        return 0.0 if since is None else max(0.0, (now - since).total_seconds())

    async def state(self, job_id: str) -> tuple[JobState, str | None] | None:
        """Where a job is, and why it failed; ``None`` if there is none."""
        question = select(JOBS.c.state, JOBS.c.error).where(JOBS.c.id == job_id)
        async with self._database.reading() as connection:
            row = (await connection.execute(question)).first()
        return None if row is None else (JobState(row.state), row.error)

    async def _end(self, job: Job, state: JobState, error: str | None) -> bool:
        async with self._database.writing() as connection:
            return await end_job(connection, job, state, self._now(), error)

    async def _change(self, job: Job, **values: Any) -> bool:
        async with self._database.writing() as connection:
            changed = await connection.execute(update(JOBS).where(_held(job)).values(**values))
        return changed.rowcount > 0


async def insert_jobs(connection: AsyncConnection, jobs: Sequence[NewJob], now: datetime) -> list[str]:
    """Keep jobs in the transaction of what they are about; their ids."""
    insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    ids: list[str] = []
    for job in jobs:
        row = insert(JOBS).values(
            id=new_id("job", now, randbits),
            kind=job.kind,
            state=JobState.QUEUED.value,
            payload=dict(job.payload),
            unique_key=job.unique_key,
            run_at=job.run_at or now,
            attempt=0,
            most_attempts=job.most_attempts,
            created_at=now,
        )
        kept = row.on_conflict_do_nothing(index_elements=[JOBS.c.unique_key]).returning(JOBS.c.id)
        job_id = (await connection.execute(kept)).scalar()
        if job_id is None:
            earlier = select(JOBS.c.id).where(JOBS.c.unique_key == job.unique_key)
            job_id = (await connection.execute(earlier)).scalar_one()
        ids.append(job_id)
    return ids


async def got_further(connection: AsyncConnection, job: Job) -> None:
    """A job that keeps parts of its work counts its tries from the last part that was kept.

    One that ends its workers at the same point each time ends; one whose workers are ended by
    something else goes on for as long as it gets further.
    """
    await connection.execute(update(JOBS).where(_held(job)).values(attempt=1))


async def holds(connection: AsyncConnection, job: Job) -> bool:
    """Whether a job is still its worker's, for the transaction that writes what it does in effect.

    The row is locked until the transaction ends: nobody takes the job over in between.
    """
    question = select(JOBS.c.id).where(_held(job)).with_for_update()
    return (await connection.execute(question)).first() is not None


async def end_job(
    connection: AsyncConnection, job: Job, state: JobState, now: datetime, error: str | None = None
) -> bool:
    """End a job in the transaction of its last effect; whether it was still its worker's."""
    ended = await connection.execute(_ended(job.job_id, state, now, error).where(_held(job)))
    return ended.rowcount > 0


async def cancel_job(connection: AsyncConnection, job_id: str, now: datetime) -> bool:
    """Cancel a job in the transaction of what it is about; whether it was not at its end yet."""
    ended = await connection.execute(
        _ended(job_id, JobState.CANCELLED, now, None).where(or_(_WAITING, _RUNNING))
    )
    return ended.rowcount > 0


async def _taken(connection: AsyncConnection, row: RowMapping, now: datetime, until: datetime) -> Job:
    lease = token_hex(16)
    await connection.execute(
        update(JOBS)
        .where(JOBS.c.id == row["id"])
        .values(
            state=JobState.RUNNING.value,
            attempt=row["attempt"] + 1,
            lease=lease,
            lease_until=until,
            run_at=now,
        )
    )
    return Job(row["id"], row["kind"], row["payload"], row["attempt"] + 1, row["most_attempts"], lease)


def _due(now: datetime) -> ColumnElement[bool]:
    """Waiting and its time has come, or taken by a worker that is gone."""
    return or_(and_(_WAITING, JOBS.c.run_at <= now), and_(_RUNNING, JOBS.c.lease_until < now))


def _held(job: Job) -> ColumnElement[bool]:
    """Still the worker's that took it: a lease that ran out but was not taken by another still counts."""
    return and_(JOBS.c.id == job.job_id, JOBS.c.lease == job.lease, _RUNNING)


def _ended(job_id: str, state: JobState, now: datetime, error: str | None) -> Any:
    return (
        update(JOBS)
        .where(JOBS.c.id == job_id)
        .values(
            state=state.value,
            ended_at=now,
            lease=None,
            lease_until=None,
            error=None if error is None else _shown(error),
        )
    )


def _shown(error: str) -> str:
    """As much of an error as is kept; PostgreSQL takes no NUL, which a stranger's text may hold."""
    return error.replace("\0", "")[:_MOST_ERROR_CHARACTERS]
