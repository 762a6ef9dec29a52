"""Transactions and connections: what holds on both databases, and what each does when it is in trouble."""

import asyncio
import logging
import os
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, closing
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import Column, ColumnElement, MetaData, String, Table, event, insert, select, text
from tests.nodes.servers import PASSWORD, PostgresServer

from balance_tracker.core.errors import ConfigurationError, InputError, StorageError
from balance_tracker.storage.columns import Document, Money, UtcTime
from balance_tracker.storage.database import Database
from balance_tracker.storage.tables import EPOCHS
from balance_tracker.telemetry.metrics import METRICS

SECRET = "what-nobody-may-read"
THINGS = Table(
    "things",
    MetaData(),
    Column("id", String(20), primary_key=True),
    Column("at", UtcTime),
    Column("money", Money),
    Column("document", Document),
)


async def put(database: Database, name: str, value: int = 1) -> None:
    async with database.writing() as connection:
        await connection.execute(insert(EPOCHS).values(name=name, value=value))


async def names(database: Database) -> list[str]:
    async with database.reading() as connection:
        return list(await connection.scalars(select(EPOCHS.c.name).order_by(EPOCHS.c.name)))


@pytest.fixture
async def postgres_database(postgres_url: str) -> AsyncIterator[Database]:
    async with Database(postgres_url, connections=3) as database:
        yield database


async def test_what_failed_half_way_leaves_nothing(database: Database) -> None:
    async def write() -> None:
        async with database.writing() as connection:
            await connection.execute(insert(EPOCHS).values(name="half", value=1))
            raise ValueError("half way")

    with pytest.raises(ValueError, match="half way"):
        await write()

    assert await names(database) == []


async def test_a_cancelled_write_leaves_nothing_and_gives_its_connection_back(database: Database) -> None:
    for _ in range(12):
        began = asyncio.Event()

        async def write(began: asyncio.Event = began) -> None:
            async with database.writing() as connection:
                await connection.execute(insert(EPOCHS).values(name="cancelled", value=1))
                began.set()
                await asyncio.sleep(60)

        task = asyncio.create_task(write())
        await began.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    assert await names(database) == []
    assert database.in_use == 0
    await put(database, "after")


async def test_a_reader_sees_one_state_of_things(database: Database) -> None:
    await put(database, "first")
    async with database.reading() as connection:
        before = list(await connection.scalars(select(EPOCHS.c.name)))
        await put(database, "second")
        after = list(await connection.scalars(select(EPOCHS.c.name)))

    assert before == after == ["first"]
    assert await names(database) == ["first", "second"]


async def test_writers_of_one_row_take_turns(database: Database) -> None:
    await put(database, "counter", 0)

    async def count() -> None:
        async with database.writing() as connection:
            await connection.execute(
                EPOCHS.update().where(EPOCHS.c.name == "counter").values(value=EPOCHS.c.value + 1)
            )

    await asyncio.gather(*(count() for _ in range(20)))

    async with database.reading() as connection:
        assert await connection.scalar(select(EPOCHS.c.value)) == 20


async def test_times_money_and_documents_come_back_exactly(database: Database) -> None:
    moment = datetime(2026, 11, 22, 5, 0, 0, 123_456, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    money = Decimal("123456789012345678901234567890.000000000000000001")
    document = {"amount": "0.1", "raw": 2**200, "text": "\u0000é", "none": None}
    async with database.writing() as connection:
        await connection.run_sync(THINGS.create)
        await connection.execute(
            insert(THINGS), [{"id": "1", "at": moment, "money": money, "document": document}]
        )
        row = (await connection.execute(select(THINGS))).mappings().one()

    assert row["at"] == moment
    assert row["at"].tzinfo == UTC
    assert row["money"] == money
    assert row["document"] == document


async def test_a_time_without_a_zone_is_not_kept(database: Database) -> None:
    async with database.writing() as connection:
        await connection.run_sync(THINGS.create)

    async def write() -> None:
        async with database.writing() as connection:
            await connection.execute(insert(THINGS).values(id="1", at=datetime(2026, 1, 1)))

    with pytest.raises(StorageError):
        await write()


@pytest.mark.parametrize(
    "place",
    [
        THINGS.c.id == "nul \0",
        THINGS.c.at < datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14))),
        THINGS.c.at > datetime(9999, 12, 31, 23, tzinfo=timezone(-timedelta(hours=14))),
    ],
    ids=["nul", "early", "late"],
)
async def test_a_question_that_no_database_can_take_is_the_askers_fault(
    database: Database, place: ColumnElement[bool]
) -> None:
    async with database.writing() as connection:
        await connection.run_sync(THINGS.create)

    try:
        async with database.reading() as connection:
            assert (await connection.execute(select(THINGS).where(place))).all() == []
    except InputError:
        assert not database.is_sqlite

    assert database.answers


async def test_what_contradicts_is_refused_without_its_values(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="balance_tracker")
    await put(database, SECRET)

    with pytest.raises(StorageError, match="contradicts") as caught:
        await put(database, SECRET)

    shown = f"{caught.value} {caught.value.hint} {caught.value.__cause__} {caplog.text}"
    assert SECRET not in shown
    assert str(database.url.database) not in shown
    assert caught.value.__suppress_context__


async def test_no_more_connections_are_used_than_allowed_and_who_waits_is_counted(database_url: str) -> None:
    waits = METRICS.registry.get_sample_value("tracker_database_waits_total")
    async with Database(database_url, connections=2) as database:
        most = 0

        async def read() -> None:
            nonlocal most
            async with database.reading() as connection:
                most = max(most, database.in_use)
                await connection.execute(text("SELECT 1"))
                await asyncio.sleep(0.01)

        await asyncio.gather(*(read() for _ in range(8)))
        assert most == 2
        assert METRICS.registry.get_sample_value("tracker_database_connections_limit") == 2
    assert METRICS.registry.get_sample_value("tracker_database_waits_total") == (waits or 0) + 6


async def test_who_finds_no_free_connection_is_told(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("balance_tracker.storage.database._WAIT_SECONDS", 0.1)
    async with Database(database_url, connections=1) as database, database.reading():
        with pytest.raises(StorageError, match="no free connection"):
            await database.ping()


@pytest.mark.parametrize(
    "url",
    [
        "mysql://me:pw-secret@host/name",
        "no url at all pw-secret",
        "sqlite://",
        "sqlite:///:memory:",
        "sqlite:///file:x?mode=memory&uri=true",
        "",
    ],
)
def test_a_url_of_no_known_database_is_refused_and_not_shown(url: str) -> None:
    with pytest.raises(ConfigurationError, match="DATABASE_URL is wrong") as caught:
        Database(url)
    assert "pw-secret" not in f"{caught.value}{caught.value.hint}"


class TestSqlite:
    """The file, its locks and its disk."""

    async def test_any_path_is_a_path(self, tmp_path: Path) -> None:
        path = tmp_path / "new folder" / "a?b=c#d%20.db"
        async with Database(path) as database:
            await database.ping()
        assert path.stat().st_mode & 0o777 == 0o600

    async def test_a_commit_is_on_the_disk_and_readers_do_not_wait(self, sqlite_url: str) -> None:
        async with Database(sqlite_url) as database, database.reading() as connection:
            settings = [
                (await connection.exec_driver_sql(f"PRAGMA {name}")).scalar()
                for name in ("journal_mode", "synchronous", "foreign_keys")
            ]
        assert settings == ["wal", 2, 1]

    async def test_a_file_that_another_program_locks_too_long_is_told(
        self, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async with Database(sqlite_url) as database:
            event.listen(database.engine.sync_engine, "connect", _impatient)
            with closing(sqlite3.connect(str(database.url.database), isolation_level=None)) as other:
                other.execute("BEGIN IMMEDIATE")
                assert await names(database) == []
                with pytest.raises(StorageError, match=r"busy with other writers.*SQLITE_BUSY"):
                    await put(database, "x")
                other.execute("ROLLBACK")
            await put(database, "x")

    async def test_a_full_disk_is_told_and_nothing_is_half_written(self, sqlite_url: str) -> None:
        async with Database(sqlite_url) as database:
            event.listen(database.engine.sync_engine, "connect", _without_room)

            async def write() -> None:
                rows = [{"name": f"{number}".rjust(40), "value": number} for number in range(5000)]
                async with database.writing() as connection:
                    for start in range(0, len(rows), 100):
                        await connection.execute(insert(EPOCHS), rows[start : start + 100])

            with pytest.raises(StorageError, match=r"no room left.*SQLITE_FULL"):
                await write()
            assert await names(database) == []

    async def test_what_is_no_database_is_told(self, tmp_path: Path) -> None:
        path = tmp_path / "notes.db"
        path.write_bytes(b"Dear diary, " * 1000)
        async with Database(path) as database:
            with pytest.raises(StorageError, match=r"can't be read as one.*SQLITE_NOTADB") as caught:
                await database.ping()
        assert "backup" in str(caught.value.hint)

    def test_a_read_only_file_can_be_read_and_not_written(self, sqlite_url: str, tmp_path: Path) -> None:
        """In a process that is not root, to whom nothing is read-only."""
        program = (
            "import asyncio, sys\n"
            "from balance_tracker.core.errors import StorageError\n"
            "from balance_tracker.storage.database import Database\n"
            "async def main():\n"
            "    async with Database(sys.argv[1]) as database:\n"
            "        await database.ping()\n"
            "        try:\n"
            "            async with database.writing() as connection:\n"
            "                await connection.exec_driver_sql(\"INSERT INTO epochs VALUES ('x', 1)\")\n"
            "        except StorageError as error:\n"
            "            print(error)\n"
            "asyncio.run(main())\n"
        )
        (tmp_path / "tracker.db").chmod(0o444)
        prefix = ["unshare", "--user", "--map-user=1000"] if os.getuid() == 0 else []
        done = subprocess.run(
            [*prefix, sys.executable, "-c", program, sqlite_url],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "src")},
        )
        assert done.stdout.startswith("The database can't be written (SQLITE_READONLY")


@pytest.mark.integration
class TestPostgres:
    """The server, away and back."""

    async def test_a_restart_of_the_server_is_not_noticed_by_who_comes_after(
        self, postgres: PostgresServer, postgres_database: Database
    ) -> None:
        await put(postgres_database, "before")
        async with AsyncExitStack() as stack:  # three connections that are idle afterwards
            for _ in range(3):
                await stack.enter_async_context(postgres_database.reading())
        postgres.stop()
        postgres.start()

        assert await names(postgres_database) == ["before"]
        await put(postgres_database, "after")

    async def test_connections_to_a_server_that_became_a_standby_are_given_up(
        self, postgres_database: Database
    ) -> None:
        async with AsyncExitStack() as stack:
            for _ in range(3):
                connection = await stack.enter_async_context(postgres_database.writing())
                await connection.execute(text("SET default_transaction_read_only = on"))

        with pytest.raises(StorageError, match="can't be written"):
            await put(postgres_database, "refused")

        await put(postgres_database, "elsewhere")  # a new connection is to the server that leads now
        assert await names(postgres_database) == ["elsewhere"]

    async def test_what_was_under_way_when_the_server_was_killed_is_told_and_not_kept(
        self, postgres: PostgresServer, postgres_database: Database
    ) -> None:
        async def write() -> None:
            async with postgres_database.writing() as connection:
                await connection.execute(insert(EPOCHS).values(name="lost", value=1))
                postgres.kill()
                await connection.execute(insert(EPOCHS).values(name="lost too", value=1))

        with pytest.raises(StorageError, match="did not answer"):
            await write()
        with pytest.raises(StorageError, match="did not answer") as caught:
            await postgres_database.ping()
        postgres.start()

        assert await names(postgres_database) == []
        assert PASSWORD not in f"{caught.value}{caught.value.hint}"

    async def test_a_server_that_hangs_is_given_up(
        self, postgres: PostgresServer, postgres_url: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("balance_tracker.storage.database._WAIT_SECONDS", 0.3)
        async with Database(postgres_url, answer_seconds=0.3) as database:
            await database.ping()
            postgres.freeze()
            try:
                with pytest.raises(StorageError):
                    async with asyncio.timeout(5):
                        await database.ping()
            finally:
                postgres.thaw()
            await database.ping()

    async def test_a_statement_that_takes_too_long_is_given_up(self, postgres_url: str) -> None:
        async with Database(postgres_url, answer_seconds=0.2) as database:
            with pytest.raises(StorageError, match="did not answer"):
                async with database.reading() as connection:
                    await connection.execute(text("SELECT pg_sleep(30)"))
            await database.ping()

    async def test_a_wrong_password_is_told_and_not_shown(
        self, postgres: PostgresServer, postgres_url: str
    ) -> None:
        async with Database(postgres_url.replace(PASSWORD, SECRET)) as database:
            with pytest.raises(StorageError, match=r"refused \(28P01\)") as caught:
                await database.ping()
        assert SECRET not in f"{caught.value}{caught.value.hint}{caught.value.__cause__}"

    async def test_a_database_that_is_not_there_is_told(self, postgres: PostgresServer) -> None:
        async with Database(postgres.url("nowhere")) as database:
            with pytest.raises(StorageError, match="3D000"):
                await database.ping()

    async def test_reading_can_not_write(self, postgres_database: Database) -> None:
        with pytest.raises(StorageError, match=r"can't be written \(25006\)"):
            async with postgres_database.reading() as connection:
                await connection.execute(insert(EPOCHS).values(name="x", value=1))


def _impatient(connection: object, _record: object) -> None:
    connection.execute("PRAGMA busy_timeout=50")  # type: ignore[attr-defined]


def _without_room(connection: object, _record: object) -> None:
    cursor = connection.cursor()  # type: ignore[attr-defined]
    cursor.execute("PRAGMA page_count")
    (pages,) = cursor.fetchone()
    cursor.execute(f"PRAGMA max_page_count={pages + 3}")
    cursor.close()
