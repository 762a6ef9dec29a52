"""Wallets as they are kept, and their snapshots: one job for each due time, whoever schedules it."""

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy import func, insert, select, update
from tests.fakes.history import DAY, HOUR, T0
from tests.fakes.readers import ALICE

from balance_tracker.core.ids import Address, Slug
from balance_tracker.core.kept import Owner
from balance_tracker.core.snapshots import Wallet
from balance_tracker.ports.snapshots import WalletChange
from balance_tracker.storage.database import Database
from balance_tracker.storage.tables import API_KEYS, JOBS, WALLET_ADDRESSES
from balance_tracker.storage.wallets import SqlWalletStore, next_time

MINE, THEIRS = Owner("key_mine"), Owner("key_theirs")
BOB = Address("0x0000000000000000000000000000000000000B0b")


def wallet(number: int = 1, every: timedelta | None = None, due: datetime | None = None) -> Wallet:
    return Wallet(
        wallet_id=f"wal_{number:04d}",
        owner=MINE,
        name="treasury",
        addresses=(BOB, Address(ALICE)),
        networks=(Slug("base"), Slug("ethereum")),
        currency="usd",
        snapshot_every=every,
        next_snapshot_at=due,
        created_at=T0,
        updated_at=T0,
    )


async def jobs(database: Database) -> int:
    async with database.reading() as connection:
        return await connection.scalar(select(func.count()).select_from(JOBS)) or 0


async def test_a_wallet_is_found_again_with_its_addresses_in_order(database: Database) -> None:
    store = SqlWalletStore(database)
    assert await store.add(wallet(), 10)
    assert await store.get("wal_0001", (MINE,)) == wallet()
    assert await store.get("wal_0001", (THEIRS,)) is None
    assert await store.get("wal_0001", None) == wallet()


async def test_no_more_than_so_many_of_one_owner(database: Database) -> None:
    store = SqlWalletStore(database)
    assert [await store.add(wallet(n), 2) for n in range(3)] == [True, True, False]
    assert await store.add(replace(wallet(7), owner=THEIRS), 2)


async def test_pages_hold_the_owners_own_the_newest_first(database: Database) -> None:
    store = SqlWalletStore(database)
    for n in range(4):
        await store.add(replace(wallet(n), owner=THEIRS if n == 2 else MINE), 10)
    first = await store.wallets((MINE,), 2, None)
    assert [one.wallet_id for one in first] == ["wal_0003", "wal_0001"]
    rest = await store.wallets((MINE,), 2, first[-1].wallet_id)
    assert [one.wallet_id for one in rest] == ["wal_0000"]
    assert len(await store.wallets(None, 10, None)) == 4


async def test_only_what_is_named_changes(database: Database) -> None:
    store = SqlWalletStore(database)
    await store.add(wallet(), 10)
    later = T0 + HOUR
    changed = await store.change("wal_0001", (MINE,), WalletChange(name="other", addresses=(BOB,)), later)
    assert changed == replace(wallet(), name="other", addresses=(BOB,), updated_at=later)
    changed = await store.change("wal_0001", None, WalletChange(all_networks=True, currency="eur"), later)
    assert changed is not None
    assert (changed.networks, changed.currency) == (None, "eur")
    followed = await store.change("wal_0001", None, WalletChange(snapshot_every=HOUR), later)
    assert followed is not None
    assert (followed.snapshot_every, followed.next_snapshot_at) == (HOUR, later)
    alone = await store.change("wal_0001", None, WalletChange(never_snapshot=True), later)
    assert alone is not None
    assert alone.snapshot_every is alone.next_snapshot_at is None
    assert await store.change("wal_0001", (THEIRS,), WalletChange(name="x"), later) is None


async def test_a_wallet_that_is_gone_leaves_no_addresses(database: Database) -> None:
    store = SqlWalletStore(database)
    await store.add(wallet(), 10)
    assert not await store.delete("wal_0001", (THEIRS,))
    assert await store.delete("wal_0001", (MINE,))
    async with database.reading() as connection:
        assert await connection.scalar(select(func.count()).select_from(WALLET_ADDRESSES)) == 0


async def test_each_due_time_has_one_job_and_times_missed_are_not_made_up(database: Database) -> None:
    store = SqlWalletStore(database)
    await store.add(wallet(1, HOUR, T0), 10)
    await store.add(wallet(2, HOUR, T0 + DAY), 10)
    await store.add(wallet(3), 10)
    assert len(await store.schedule(T0, 10)) == 1
    assert await store.schedule(T0, 10) == []
    # Nobody looked for five hours and a half: one snapshot, and then on the grid of before.
    assert len(await store.schedule(T0 + 5.5 * HOUR, 10)) == 1
    found = await store.get("wal_0001", None)
    assert found is not None
    assert found.next_snapshot_at == T0 + 6 * HOUR
    assert await jobs(database) == 2


async def test_processes_that_schedule_at_once_make_one_job_each_due_time(
    database: Database, database_url: str
) -> None:
    store = SqlWalletStore(database)
    for n in range(12):
        await store.add(wallet(n, HOUR, T0), 20)
    async with Database(database_url) as other:
        stores = [store, SqlWalletStore(other)] * 3
        for hours in range(3):
            scheduled = await asyncio.gather(*(one.schedule(T0 + hours * HOUR, 5) for one in stores))
            for one in stores:
                scheduled.append(await one.schedule(T0 + hours * HOUR, 5))
            ids = [job for some in scheduled for job in some]
            assert len(ids) == len(set(ids)) == 12
    assert await jobs(database) == 36


def test_the_grid_of_times_is_kept_and_never_in_the_past() -> None:
    assert next_time(T0, HOUR, T0) == T0 + HOUR
    assert next_time(T0, HOUR, T0 - 5 * HOUR) == T0 + HOUR
    assert next_time(T0, HOUR, T0 + 100 * HOUR) == T0 + 101 * HOUR
    assert next_time(T0, None, T0) is None


async def test_the_wallets_of_a_key_that_opens_nothing_wait(database: Database) -> None:
    store = SqlWalletStore(database)
    await store.add(wallet(every=HOUR, due=T0), 10)
    async with database.writing() as connection:
        row = {"id": MINE, "name": "x", "scopes": "write", "created_at": T0, "revoked_at": T0}
        await connection.execute(insert(API_KEYS), row)
    assert await store.schedule(T0, 10) == []

    async with database.writing() as connection:
        await connection.execute(update(API_KEYS).values(revoked_at=None, expires_at=T0 + DAY))
    assert len(await store.schedule(T0, 10)) == 1
    assert await store.schedule(T0 + 2 * DAY, 10) == []
