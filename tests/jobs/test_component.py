"""What the service tells of its jobs."""

from datetime import UTC, datetime, timedelta

import pytest
from fastapi.testclient import TestClient
from tests.fakes.tracker import ScriptedTracker, opened, three_networks
from tests.nodes.servers import free_port

from balance_tracker.api.app import create_app
from balance_tracker.bootstrap.working import LATE_SECONDS, Working
from balance_tracker.core.jobs import NewJob
from balance_tracker.settings import Settings
from balance_tracker.storage.database import Database
from balance_tracker.storage.jobs import SqlJobStore
from balance_tracker.storage.tables import JOBS


def due_for(seconds: float) -> NewJob:
    return NewJob("nobody_does_it", run_at=datetime.now(UTC) - timedelta(seconds=seconds))


async def test_jobs_that_wait_too_long_are_told(database: Database) -> None:
    working = Working(Settings(), database)
    assert working.last_known == "unknown"

    assert await working.asked() == "ok"
    await working.store.add([due_for(LATE_SECONDS / 2)])
    assert await working.asked() == "ok"
    await working.store.add([due_for(LATE_SECONDS + 1)])
    assert await working.asked() == "degraded"


async def test_a_broker_that_is_away_is_told(database: Database, caplog: pytest.LogCaptureFixture) -> None:
    working = Working(Settings(celery_broker_url=f"redis://127.0.0.1:{free_port()}/0"), database)
    assert await working.asked() == "ok"

    await working.queue.wake(["job_1"])
    assert working.celery is not None
    await working.celery.close()

    assert await working.asked() == "degraded"
    assert "jobs_not_sent" in caplog.text


async def test_jobs_that_nobody_does_make_nothing_unready(sqlite_url: str) -> None:
    async with Database(sqlite_url) as database:
        await SqlJobStore(database).add([due_for(LATE_SECONDS + 1)])
    tracker = ScriptedTracker(three_networks(), settings=Settings(database_url=sqlite_url))
    with TestClient(create_app(open_tracker=lambda: opened(tracker))) as api:
        ready, health = api.get("/ready"), api.get("/health")

    assert (ready.status_code, ready.json()["components"]["jobs"]) == (200, "degraded")
    assert health.json()["components"]["jobs"] == "degraded"


async def test_what_was_known_is_forgotten_while_the_database_does_not_answer(sqlite_url: str) -> None:
    async with Database(sqlite_url) as database:
        working = Working(Settings(), database)
        assert await working.asked() == "ok"
        async with database.writing() as connection:
            await connection.run_sync(JOBS.drop)

        assert await working.asked() == "unknown"
