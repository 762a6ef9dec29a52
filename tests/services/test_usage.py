"""Usage is summed in memory and kept, also where the database is away for a while."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest
from tests.fakes.access import Gate

from balance_tracker.core.errors import StorageError
from balance_tracker.core.kept import Owner
from balance_tracker.ports.access import Usage
from balance_tracker.services import usage as usage_module
from balance_tracker.services.usage import UsageBook
from balance_tracker.storage.database import Database
from balance_tracker.storage.keys import SqlKeyStore


class FailingStore(SqlKeyStore):
    """Away until it is told otherwise."""

    is_away = True

    async def add_usage(self, usage: Sequence[Usage], used_at: datetime) -> None:
        if self.is_away:
            raise StorageError("The database does not answer.")
        await super().add_usage(usage, used_at)


async def test_usage_is_summed_by_key_route_and_day(database: Database) -> None:
    gate = Gate(database)
    one, other = [(await gate.keys.create(name)).key.key_id for name in ("one", "other")]

    gate.usage.note(one, "/balances", 1, refused=False, error=False)
    gate.usage.note(one, "/balances", 5, refused=False, error=True)
    gate.usage.note(one, "/balances", 0, refused=True, error=False)
    gate.usage.note(one, "/nfts", 1, refused=False, error=False)
    gate.usage.note(other, "/nfts", 1, refused=False, error=False)
    await gate.usage.keep()
    gate.usage.note(one, "/balances", 1, refused=False, error=False)
    gate.pass_time(86_400)
    gate.usage.note(one, "/balances", 1, refused=False, error=False)
    await gate.usage.keep()

    today, before = gate.now.date(), gate.now.date() - timedelta(days=1)
    assert await gate.keys.usage(one, None, None) == [
        Usage(one, before, "/balances", requests=3, units=7, refused=1, errors=1),
        Usage(one, before, "/nfts", requests=1, units=1),
        Usage(one, today, "/balances", requests=1, units=1),
    ]
    assert (await gate.keys.get(one)).last_used_at == gate.now
    assert await gate.keys.usage(other, today, None) == []


async def test_what_is_noted_is_kept_at_the_end(database: Database) -> None:
    gate = Gate(database)
    key = (await gate.keys.create("one")).key.key_id
    async with UsageBook(gate.store, every_seconds=3600, now=lambda: gate.now) as book:
        book.note(key, "/balances", 1, refused=False, error=False)
    assert [row.requests for row in await gate.keys.usage(key, None, None)] == [1]


async def test_it_is_kept_while_the_service_runs(database: Database) -> None:
    gate = Gate(database)
    key = (await gate.keys.create("one")).key.key_id
    async with UsageBook(gate.store, every_seconds=0.01, now=lambda: gate.now) as book:
        book.note(key, "/balances", 1, refused=False, error=False)
        async with asyncio.timeout(5):
            while not await gate.keys.usage(key, None, None):  # noqa: ASYNC110 - a database tells nobody
                await asyncio.sleep(0.01)


async def test_while_the_database_is_away_it_waits(database: Database) -> None:
    gate, store = Gate(database), FailingStore(database)
    key = (await gate.keys.create("one")).key.key_id
    async with UsageBook(store, every_seconds=3600, now=lambda: gate.now) as book:
        book.note(key, "/balances", 1, refused=False, error=False)
        await book.keep()
        book.note(key, "/balances", 1, refused=True, error=False)
        book.note(key, "/nfts", 1, refused=False, error=False)
        await book.keep()
        store.is_away = False
    rows = await gate.keys.usage(key, None, None)
    assert [(row.route, row.requests, row.refused) for row in rows] == [("/balances", 1, 1), ("/nfts", 1, 0)]


async def test_what_waits_is_bounded_and_the_newest_stays(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(usage_module, "MOST_ROWS", 3)
    gate, store = Gate(database), FailingStore(database)
    key = (await gate.keys.create("one")).key.key_id
    book = UsageBook(store, now=lambda: gate.now)
    for number in range(3):
        book.note(key, f"/old-{number}", 1, refused=False, error=False)
    await book.keep()
    for number in range(2):
        book.note(key, f"/new-{number}", 1, refused=False, error=False)
    await book.keep()
    store.is_away = False
    await book.keep()
    assert [row.route for row in await gate.keys.usage(key, None, None)] == ["/new-0", "/new-1", "/old-2"]


async def test_usage_of_a_key_that_is_gone_is_left_out(database: Database) -> None:
    gate = Gate(database)
    gate.usage.note(Owner("key_gone"), "/balances", 1, refused=False, error=False)
    await gate.usage.keep()
