"""The schema: made once however many ask, the same as the tables, refused where it is another one."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, insert, inspect, select, text
from tests.nodes.servers import PostgresServer

from balance_tracker.core.errors import ConfigurationError, StorageError
from balance_tracker.storage import migrating
from balance_tracker.storage.database import Database
from balance_tracker.storage.tables import METADATA, WALLET_ADDRESSES, WALLETS

NOW = datetime(2026, 11, 22, 5, 0, tzinfo=UTC)
REPLICAS = 8
NEXT = '''"""Change a table that others point to."""

import sqlalchemy as sa
from alembic import op

revision = "9000"
down_revision = "{head}"
branch_labels = None
depends_on = None


def upgrade():
    with op.batch_alter_table("wallets", recreate="auto") as batch:
        batch.add_column(sa.Column("color", sa.String(10), nullable=False, server_default="blue"))
        batch.alter_column("name", type_=sa.String(50), existing_type=sa.String(100))


def downgrade():
    with op.batch_alter_table("wallets") as batch:
        batch.drop_column("color")
'''
BROKEN = '''"""Stop half-way."""

import sqlalchemy as sa
from alembic import op

revision = "9000"
down_revision = "{head}"
branch_labels = None
depends_on = None


def upgrade():
    op.create_table("half", sa.Column("id", sa.String(10), primary_key=True))
    op.execute("INSERT INTO nowhere VALUES (1)")


def downgrade():
    op.drop_table("half")
'''


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.integration)])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database without any table."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'empty.db'}"
        return
    postgres: PostgresServer = request.getfixturevalue("postgres")
    name = postgres.fresh()
    yield postgres.url(name)
    postgres.drop(name)


@pytest.fixture
def release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """Release a version with one more migration; it gives the newest revision before it."""
    folder = tmp_path / "migrations"
    shutil.copytree(migrating.MIGRATIONS, folder, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(migrating, "MIGRATIONS", folder)

    def released(migration: str) -> str:
        before = migrating.head()
        (folder / "versions" / "9000.py").write_text(migration.format(head=before))
        return before

    return released


async def put_wallet(database: Database) -> None:
    wallet = {"id": "wal_1", "owner": "", "name": "Treasury", "currency": "usd"}
    async with database.writing() as connection:
        await connection.execute(insert(WALLETS).values(**wallet, created_at=NOW, updated_at=NOW))
        await connection.execute(insert(WALLET_ADDRESSES).values(wallet_id="wal_1", position=0, address="0x"))


async def addresses(database: Database) -> int:
    async with database.reading() as connection:
        return len((await connection.execute(select(WALLET_ADDRESSES))).all())


def tables_of(connection: Connection) -> set[str]:
    return set(inspect(connection).get_table_names())


def test_replicas_that_start_at_once_make_the_schema_once(empty_url: str) -> None:
    script = Path(__file__).with_name("migrating_process.py")
    done = subprocess.run(
        [sys.executable, script, empty_url, str(REPLICAS)],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "src")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert sorted(done.stdout.split()) == [*[migrating.head()] * (REPLICAS - 1), "None"]


async def test_migrations_make_the_tables_as_they_are_written(database: Database) -> None:
    async with database.reading() as connection:
        assert await connection.run_sync(migrating.differences) == []
        made = await connection.run_sync(tables_of)
    assert made == {*METADATA.tables, "alembic_version"}


def test_every_migration_is_a_file_of_its_revision_in_one_row() -> None:
    config = Config()
    config.set_main_option("script_location", str(migrating.MIGRATIONS))
    scripts = ScriptDirectory.from_config(config)

    assert [script.revision for script in scripts.walk_revisions()][::-1] == migrating.revisions()
    assert scripts.get_heads() == [migrating.head()]


async def test_upgrading_twice_changes_nothing(empty_url: str) -> None:
    async with Database(empty_url) as database:
        assert await migrating.upgrade(database) == (None, migrating.head())
        assert await migrating.upgrade(database) == (migrating.head(), migrating.head())
        await migrating.check(database)


async def test_an_empty_database_is_refused_with_what_to_run(empty_url: str) -> None:
    async with Database(empty_url) as database:
        with pytest.raises(ConfigurationError, match="schema is empty") as caught:
            await migrating.check(database)
    assert caught.value.code == "schema_outdated"
    assert caught.value.hint == "Run: balance-tracker db upgrade"


async def test_an_older_schema_is_refused_until_it_is_upgraded(
    database: Database, release: Callable[[str], str]
) -> None:
    older = release(NEXT)

    with pytest.raises(ConfigurationError, match=f"schema is {older}, and this version needs 9000"):
        await migrating.check(database)
    assert await migrating.upgrade(database) == (older, "9000")
    await migrating.check(database)


async def test_a_newer_schema_is_refused_and_left_as_it_is(database: Database) -> None:
    async with database.writing() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))

    for refused in (migrating.check(database), migrating.upgrade(database)):
        with pytest.raises(ConfigurationError, match="9999 is not known to this version") as caught:
            await refused
        assert caught.value.code == "schema_unknown"
        assert "newer version" in str(caught.value.hint)
    assert await migrating.current(database) == "9999"


async def test_a_table_can_change_without_losing_what_points_to_it(
    database: Database, release: Callable[[str], str]
) -> None:
    await put_wallet(database)
    before = release(NEXT)

    await migrating.upgrade(database)
    async with database.reading() as connection:
        assert (await connection.execute(text("SELECT name, color FROM wallets"))).all() == [
            ("Treasury", "blue")
        ]
    assert await addresses(database) == 1

    assert await migrating.downgrade(database, before) == ("9000", before)
    assert await addresses(database) == 1
    # Foreign keys hold again on the connections that serve.
    async with database.writing() as connection:
        await connection.execute(WALLETS.delete())
    assert await addresses(database) == 0


async def test_a_migration_that_fails_changes_nothing(
    database: Database, release: Callable[[str], str]
) -> None:
    before = release(BROKEN)

    with pytest.raises(StorageError):
        await migrating.upgrade(database)

    assert await migrating.current(database) == before
    async with database.reading() as connection:
        assert "half" not in await connection.run_sync(tables_of)


async def test_a_revision_that_is_not_there_is_refused(database: Database) -> None:
    with pytest.raises(ConfigurationError, match="no revision 1234") as caught:
        await migrating.downgrade(database, "1234")
    assert migrating.head() in str(caught.value.hint)
