"""The database that the settings name, as an entry point opens it."""

import logging
from pathlib import Path

import pytest
from tests.nodes.servers import PASSWORD, PostgresServer

from balance_tracker.bootstrap.databases import check_database, open_database, upgrade_database
from balance_tracker.core.errors import ConfigurationError
from balance_tracker.settings import Settings
from balance_tracker.storage.migrating import head
from balance_tracker.telemetry.redact import redact_text


def test_without_a_setting_it_is_a_file_in_the_data_directory(tmp_path: Path) -> None:
    database = open_database(Settings(data_dir=tmp_path / "a?b"))

    assert database.url.database == str(tmp_path / "a?b" / "tracker.db")


async def test_sqlite_is_migrated_at_the_start_with_one_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="balance_tracker")
    settings = Settings(data_dir=tmp_path / "new")

    await check_database(settings)
    await check_database(settings)

    lines = [record.getMessage() for record in caplog.records if "database_migrated" in record.getMessage()]
    assert len(lines) == 1
    assert head() in lines[0]


@pytest.mark.integration
async def test_postgresql_is_migrated_by_hand_only(postgres: PostgresServer) -> None:
    name = postgres.fresh()
    settings = Settings(database_url=postgres.url(name))

    with pytest.raises(ConfigurationError, match="schema is empty") as caught:
        await check_database(settings)
    assert caught.value.hint == "Run: balance-tracker db upgrade"
    assert await upgrade_database(settings) == (None, head())
    await check_database(settings)
    postgres.drop(name)


def test_the_password_is_struck_out_and_common_names_are_not() -> None:
    open_database(
        Settings(database_url=f"postgresql://balance_tracker:{PASSWORD}@db.example/balance_tracker")
    )

    assert redact_text(f"balance_tracker said {PASSWORD}") == "balance_tracker said [redacted]"
