"""What only one process may do is done by one, also when all ask at once."""

import asyncio
from datetime import UTC, datetime, timedelta

from balance_tracker.storage.database import Database
from balance_tracker.storage.leaders import SqlLeaders

NOW = datetime(2026, 11, 22, 5, 0, tzinfo=UTC)


async def test_of_many_that_ask_at_once_one_may(database: Database) -> None:
    leaders = SqlLeaders(database)

    answers = await asyncio.gather(*(leaders.take("cleaning", f"process {n}", 60) for n in range(20)))

    assert sum(answers) == 1


async def test_who_has_a_task_keeps_it_by_asking_again(database: Database) -> None:
    clock = [NOW]
    leaders = SqlLeaders(database, now=lambda: clock[0])
    assert await leaders.take("cleaning", "one", 60)

    clock[0] += timedelta(seconds=59)
    assert await leaders.take("cleaning", "one", 60)
    clock[0] += timedelta(seconds=59)

    assert not await leaders.take("cleaning", "another", 60)
    assert await leaders.take("scheduling", "another", 60)


async def test_the_task_of_a_process_that_is_gone_goes_to_another(database: Database) -> None:
    clock = [NOW]
    leaders = SqlLeaders(database, now=lambda: clock[0])
    assert await leaders.take("cleaning", "one", 60)

    clock[0] += timedelta(seconds=60)

    assert await leaders.take("cleaning", "another", 60)
    assert not await leaders.take("cleaning", "one", 60)


async def test_a_process_whose_clock_was_ahead_does_not_keep_a_task_from_others(database: Database) -> None:
    assert await SqlLeaders(database, now=lambda: NOW + timedelta(days=1)).take("cleaning", "ahead", 60)
    assert await SqlLeaders(database, now=lambda: NOW).take("cleaning", "another", 60)

    assert await SqlLeaders(database, now=lambda: NOW + timedelta(seconds=100)).take("cleaning", "ahead", 60)
    assert not await SqlLeaders(database, now=lambda: NOW + timedelta(seconds=50)).take("cleaning", "x", 60)
