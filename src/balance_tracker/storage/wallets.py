"""Wallets: named sets of addresses, and when their next snapshot is due."""

import json
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, RowMapping, and_, delete, exists, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from balance_tracker.core.ids import Address, Slug
from balance_tracker.core.jobs import NewJob
from balance_tracker.core.kept import Owner
from balance_tracker.core.snapshots import Wallet
from balance_tracker.ports.snapshots import WalletChange
from balance_tracker.storage.database import Database
from balance_tracker.storage.jobs import insert_jobs
from balance_tracker.storage.tables import API_KEYS, WALLET_ADDRESSES, WALLETS

SNAPSHOT_JOB = "snapshot"


class SqlWalletStore:
    """Implements :class:`balance_tracker.ports.snapshots.WalletStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, wallet: Wallet, most: int) -> bool:
        """Keep a new one, unless its owner has so many; whether it was kept."""
        counted = select(func.count()).select_from(WALLETS).where(WALLETS.c.owner == wallet.owner)
        async with self._database.writing() as connection:
            if (await connection.scalar(counted) or 0) >= most:
                return False
            await connection.execute(insert(WALLETS).values(_row(wallet)))
            await _set_addresses(connection, wallet.wallet_id, wallet.addresses)
        return True

    async def get(self, wallet_id: str, owners: Collection[Owner] | None) -> Wallet | None:
        """One of these owners' wallets."""
        async with self._database.reading() as connection:
            return await _one(connection, wallet_id, owners)

    async def wallets(
        self, owners: Collection[Owner] | None, limit: int, before: str | None
    ) -> Sequence[Wallet]:
        """These owners' wallets, the newest first."""
        question = select(WALLETS).order_by(WALLETS.c.id.desc()).limit(limit)
        if owners is not None:
            question = question.where(WALLETS.c.owner.in_(list(owners)))
        if before is not None:
            question = question.where(WALLETS.c.id < before)
        async with self._database.reading() as connection:
            rows = (await connection.execute(question)).mappings().all()
            return await _with_addresses(connection, rows)

    async def change(
        self, wallet_id: str, owners: Collection[Owner] | None, change: WalletChange, now: datetime
    ) -> Wallet | None:
        """Change one; its next snapshot is due at once if it is to be followed from now on."""
        async with self._database.writing() as connection:
            changed = update(WALLETS).where(_mine(wallet_id, owners)).values(_changes(change, now))
            if (await connection.execute(changed)).rowcount == 0:
                return None
            if change.addresses is not None:
                await connection.execute(
                    delete(WALLET_ADDRESSES).where(WALLET_ADDRESSES.c.wallet_id == wallet_id)
                )
                await _set_addresses(connection, wallet_id, change.addresses)
            return await _one(connection, wallet_id, owners)

    async def delete(self, wallet_id: str, owners: Collection[Owner] | None) -> bool:
        """Forget one; whether there was one."""
        async with self._database.writing() as connection:
            gone = await connection.execute(delete(WALLETS).where(_mine(wallet_id, owners)))
        return gone.rowcount > 0

    async def schedule(self, now: datetime, limit: int) -> Sequence[str]:
        """Keep a job for each wallet whose snapshot is due, and set its next time; the jobs' ids."""
        due = WALLETS.c.next_snapshot_at
        own = API_KEYS.c
        is_over = or_(own.revoked_at.is_not(None), own.expires_at <= now)
        nobody = exists(select(own.id).where(and_(own.id == WALLETS.c.owner, is_over)))
        # Nobody could see the snapshots of a key that opens nothing any more, and they cost as much.
        question = select(WALLETS).where(and_(due <= now, ~nobody)).order_by(due).limit(limit)
        async with self._database.writing() as connection:
            locked = question.with_for_update(skip_locked=True)
            rows = (await connection.execute(locked)).mappings().all()
            wallets = await _with_addresses(connection, rows)
            taken = [(wallet, at) for wallet in wallets if (at := wallet.next_snapshot_at) is not None]
            job_ids = await insert_jobs(connection, [_job(wallet, at) for wallet, at in taken], now)
            for wallet, at in taken:
                await connection.execute(
                    update(WALLETS)
                    .where(WALLETS.c.id == wallet.wallet_id)
                    .values(next_snapshot_at=next_time(at, wallet.snapshot_every, now))
                )
        return job_ids


def next_time(due: datetime, every: timedelta | None, now: datetime) -> datetime | None:
    """The first time after now on the grid that a wallet's snapshots keep to.

    >>> str(next_time(datetime(2026, 1, 1, 5), timedelta(hours=1), datetime(2026, 1, 1, 9, 30)))
    '2026-01-01 10:00:00'
    """
    if every is None:
        return None
    missed = max(0, (now - due) // every)
    return due + (missed + 1) * every


def _job(wallet: Wallet, due: datetime) -> NewJob:
    """One job for each due time: whoever schedules it a second time finds it there."""
    return NewJob(
        SNAPSHOT_JOB,
        {"wallet_id": wallet.wallet_id, "due": due.isoformat()},
        unique_key=f"snapshot:{wallet.wallet_id}:{due.isoformat()}",
        most_attempts=5,
    )


def _changes(change: WalletChange, now: datetime) -> dict[str, Any]:
    values: dict[str, Any] = {"updated_at": now}
    if change.name is not None:
        values["name"] = change.name
    if change.currency is not None:
        values["currency"] = change.currency
    if change.networks is not None or change.all_networks:
        values["networks"] = _networks_text(change.networks)
    if change.never_snapshot:
        values |= {"snapshot_every_seconds": None, "next_snapshot_at": None}
    elif change.snapshot_every is not None:
        values |= {"snapshot_every_seconds": _seconds(change.snapshot_every), "next_snapshot_at": now}
    return values


def _mine(wallet_id: str, owners: Collection[Owner] | None) -> ColumnElement[bool]:
    condition = WALLETS.c.id == wallet_id
    return condition if owners is None else and_(condition, WALLETS.c.owner.in_(list(owners)))


async def _set_addresses(connection: AsyncConnection, wallet_id: str, addresses: Sequence[Address]) -> None:
    rows = [
        {"wallet_id": wallet_id, "position": position, "address": address}
        for position, address in enumerate(addresses)
    ]
    await connection.execute(insert(WALLET_ADDRESSES), rows)


async def _one(
    connection: AsyncConnection, wallet_id: str, owners: Collection[Owner] | None
) -> Wallet | None:
    question = select(WALLETS).where(_mine(wallet_id, owners))
    found = await _with_addresses(connection, (await connection.execute(question)).mappings().all())
    return found[0] if found else None


async def _with_addresses(connection: AsyncConnection, rows: Sequence[RowMapping]) -> list[Wallet]:
    by_wallet: dict[str, list[Address]] = {row["id"]: [] for row in rows}
    own = WALLET_ADDRESSES.c
    question = select(own.wallet_id, own.address).where(own.wallet_id.in_(list(by_wallet)))
    for wallet_id, address in await connection.execute(question.order_by(own.wallet_id, own.position)):
        by_wallet[wallet_id].append(Address(address))
    return [_wallet(row, by_wallet[row["id"]]) for row in rows]


def _row(wallet: Wallet) -> dict[str, Any]:
    return {
        "id": wallet.wallet_id,
        "owner": wallet.owner,
        "name": wallet.name,
        "networks": _networks_text(wallet.networks),
        "currency": wallet.currency,
        "snapshot_every_seconds": None if wallet.snapshot_every is None else _seconds(wallet.snapshot_every),
        "next_snapshot_at": wallet.next_snapshot_at,
        "created_at": wallet.created_at,
        "updated_at": wallet.updated_at,
    }


def _wallet(row: RowMapping, addresses: Sequence[Address]) -> Wallet:
    every = row["snapshot_every_seconds"]
    networks = row["networks"]
    return Wallet(
        wallet_id=row["id"],
        owner=Owner(row["owner"]),
        name=row["name"],
        addresses=tuple(addresses),
        networks=None if networks is None else tuple(Slug(slug) for slug in json.loads(networks)),
        currency=row["currency"],
        snapshot_every=None if every is None else timedelta(seconds=every),
        next_snapshot_at=row["next_snapshot_at"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )


def _networks_text(networks: Sequence[Slug] | None) -> str | None:
    return None if networks is None else json.dumps(list(networks))


def _seconds(span: timedelta) -> int:
    return span // timedelta(seconds=1)
