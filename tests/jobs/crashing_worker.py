"""A worker process for the tests to kill: each job writes its steps into a table, each in one transaction.

Run: ``python crashing_worker.py URL`` (in process) or ``… URL JOB_ID`` (one job, as a message names it).
"""

import asyncio
import sys

from sqlalchemy import text

from balance_tracker.core.jobs import Job
from balance_tracker.jobs.runner import JobDoer, JobRunner, Work
from balance_tracker.storage.database import Database
from balance_tracker.storage.jobs import SqlJobStore, holds

STEPS = 4
LEASE_SECONDS = 0.6
KIND = "steps"


class Steps:
    """Goes on where another worker was cut off; writes only while the job is its own."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def __call__(self, job: Job) -> None:
        for step in range(STEPS):
            async with self._database.writing() as connection:
                if not await holds(connection, job):
                    return
                question = text("SELECT count(*) FROM effects WHERE job_id = :job AND step = :step")
                at = {"job": job.job_id, "step": step}
                if await connection.scalar(question, at):
                    continue
                await connection.execute(text("INSERT INTO effects VALUES (:job, :step)"), at)
            await asyncio.sleep(0.02)


def doer_of(database: Database) -> JobDoer:
    return JobDoer(SqlJobStore(database), {KIND: Work(Steps(database), 30)}, lease_seconds=LEASE_SECONDS)


async def main(url: str) -> None:
    async with Database(url) as database, JobRunner(doer_of(database), at_once=3, idle_seconds=0.1):
        print("ready", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
