"""A backup is one moment's state, whole, and can be restored the way the documents say."""

import asyncio
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import func, insert, select
from tests.nodes.servers import PostgresServer

from balance_tracker.core.errors import ConfigurationError, InputError, StorageError
from balance_tracker.storage.backing_up import back_up
from balance_tracker.storage.database import Database
from balance_tracker.storage.migrating import check
from balance_tracker.storage.tables import EPOCHS


async def put_pair(database: Database, number: int) -> None:
    """Two rows that are there both or not at all."""
    rows = [{"name": f"{side} {number}", "value": number} for side in ("left", "right")]
    async with database.writing() as connection:
        await connection.execute(insert(EPOCHS), rows)


def lose(path: Path) -> None:
    path.write_bytes(b"nothing that can be read")


def restore(backup: Path, path: Path) -> None:
    for leftover in (f"{path}-wal", f"{path}-shm"):
        Path(leftover).unlink(missing_ok=True)
    shutil.copyfile(backup, path)


def damage(path: Path) -> None:
    """Keep the first page, which says that it is a database, and no other."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    content = bytearray(path.read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    path.write_bytes(content)


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


async def rows_of(database: Database) -> int:
    async with database.reading() as connection:
        return int(await connection.scalar(select(func.count()).select_from(EPOCHS)) or 0)


async def test_a_backup_while_others_write_is_one_moments_state(sqlite_url: str, tmp_path: Path) -> None:
    target = tmp_path / "backup.db"
    async with Database(sqlite_url) as database:
        await put_pair(database, 0)
        ended = asyncio.Event()

        async def write() -> None:
            number = 1
            while not ended.is_set():
                await put_pair(database, number)
                number += 1

        writer = asyncio.create_task(write())
        await asyncio.sleep(0.05)
        size = await back_up(database, target)
        ended.set()
        await writer
        written = await rows_of(database)

    assert size == target.stat().st_size
    assert target.stat().st_mode & 0o777 == 0o600
    async with Database(target) as restored:
        await check(restored)
        kept = await rows_of(restored)
        assert kept % 2 == 0
        assert 2 <= kept <= written
        await put_pair(restored, -1)


async def test_a_backup_put_in_place_of_a_lost_file_is_served(sqlite_url: str, tmp_path: Path) -> None:
    """As docs/storage.md says: stop, copy, remove what belongs to the old file, start."""
    backup = tmp_path / "backup.db"
    async with Database(sqlite_url) as database:
        await put_pair(database, 1)
        await back_up(database, backup)
        await put_pair(database, 2)
        path = Path(str(database.url.database))
    lose(path)

    restore(backup, path)

    async with Database(sqlite_url) as database:
        await check(database)
        assert await rows_of(database) == 2


async def test_a_file_that_is_there_is_not_replaced(sqlite_url: str, tmp_path: Path) -> None:
    target = tmp_path / "backup.db"
    target.write_text("last week's")
    async with Database(sqlite_url) as database:
        with pytest.raises(InputError, match=r"backup\.db already"):
            await back_up(database, target)

    assert target.read_text() == "last week's"
    assert names_in(tmp_path) == {"backup.db", "tracker.db"}


async def test_a_place_that_can_not_be_written_is_told(sqlite_url: str, tmp_path: Path) -> None:
    async with Database(sqlite_url) as database:
        with pytest.raises(InputError, match="can't be made"):
            await back_up(database, tmp_path / "nowhere" / "backup.db")


async def test_a_damaged_database_gives_no_backup(sqlite_url: str, tmp_path: Path) -> None:
    target = tmp_path / "backup.db"
    async with Database(sqlite_url) as database:
        await put_pair(database, 1)
        path = Path(str(database.url.database))
    damage(path)

    async with Database(sqlite_url) as database:
        with pytest.raises(StorageError):
            await back_up(database, target)
    assert not target.exists()


@pytest.mark.integration
async def test_postgresql_is_backed_up_and_restored_by_its_own_programs(
    postgres_server: PostgresServer, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """As docs/storage.md says: ``pg_dump --format=custom``, then ``pg_restore`` into an empty database."""
    is_older = postgres_server.binaries != request.getfixturevalue("postgres").binaries
    url: str = request.getfixturevalue("older_postgres_url" if is_older else "postgres_url")
    async with Database(url) as database:
        await put_pair(database, 1)
        with pytest.raises(ConfigurationError, match="its own programs"):
            await back_up(database, tmp_path / "backup.db")
    dump = tmp_path / "tracker.dump"
    postgres_server.run("pg_dump", "--format=custom", f"--file={dump}", "-d", url.rpartition("/")[2])
    empty = postgres_server.fresh()

    postgres_server.run("pg_restore", "--no-owner", "--exit-on-error", "-d", empty, str(dump))

    async with Database(postgres_server.url(empty)) as restored:
        await check(restored)
        assert await rows_of(restored) == 2
    postgres_server.drop(empty)
