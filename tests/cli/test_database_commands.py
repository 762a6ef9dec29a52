"""``balance-tracker db``, and commands whose database is not as they need it."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from tests.cli.conftest import Run

from balance_tracker.storage.migrating import head

AWAY = "postgresql://tracker:pw-that-is-secret@127.0.0.1:1/tracker"


def test_the_schema_is_made_and_shown(run: Run) -> None:
    shown = run("db", "current")
    assert (shown.code, shown.out) == (0, "none\n")
    assert run("db", "current", "--check").code == 2

    made = run("db", "upgrade")
    assert (made.code, made.out) == (0, "")
    assert f"from nothing to schema {head()}" in made.err

    assert "already" in run("db", "upgrade").err
    checked = run("db", "current", "--check")
    assert (checked.code, checked.out, checked.err) == (0, f"{head()}\n", "")


def test_a_revision_that_is_not_there_is_refused(run: Run) -> None:
    run("db", "upgrade")
    refused = run("db", "downgrade", "1234")
    assert refused.code == 2
    assert f"Hint: Those that this version knows are {head()}" in refused.err
    assert run("db", "downgrade", head()).code == 0


def test_a_backup_is_a_database(run: Run, tmp_path: Path) -> None:
    run("db", "upgrade")
    backup = tmp_path / "copy.db"

    assert run("db", "backup", str(backup)).code == 0
    with closing(sqlite3.connect(backup)) as copy:
        assert copy.execute("SELECT version_num FROM alembic_version").fetchall() == [(head(),)]

    again = run("db", "backup", str(backup))
    assert (again.code, again.err.splitlines()[0]) == (2, "Error: There is a file copy.db already.")


@pytest.mark.parametrize(
    "words", [("serve", "--port", "0"), ("db", "upgrade"), ("db", "current"), ("keys", "list")]
)
def test_a_database_that_is_away_stops_the_start_in_one_sentence(
    run: Run, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    monkeypatch.setenv("DATABASE_URL", AWAY)

    refused = run(*words)

    assert (refused.code, refused.out) == (2, "")
    error, hint = refused.err.splitlines()
    assert error == "Error: The database did not answer (ConnectionRefusedError)."
    assert hint.startswith("Hint: Look whether it runs")


def test_a_newer_schema_stops_the_start(run: Run) -> None:
    run("db", "upgrade")
    with closing(sqlite3.connect("data/tracker.db")) as database, database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")

    refused = run("serve", "--port", "0")

    assert refused.code == 2
    assert refused.err.startswith("Error: The database's schema 9999 is not known to this version.\nHint: ")


def test_a_place_that_can_not_be_written_stops_the_start(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "sqlite:////proc/nowhere/tracker.db")

    refused = run("serve", "--port", "0")

    assert refused.code == 2
    assert "tracker.db can't be made in /proc/nowhere" in refused.err
