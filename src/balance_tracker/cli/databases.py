"""``balance-tracker db``: the schema of the database, and copies of it."""

import asyncio
from pathlib import Path

from balance_tracker.bootstrap.databases import (
    back_up_database,
    database_revisions,
    downgrade_database,
    upgrade_database,
)
from balance_tracker.cli.exits import ALL_ANSWERED, WRONG_USE, say
from balance_tracker.cli.session import prepare, write


def upgrade() -> int:
    """Bring the database to the schema of this version."""
    _tell(*asyncio.run(upgrade_database(prepare())))
    return ALL_ANSWERED


def downgrade(revision: str) -> int:
    """Bring the database back to an older schema."""
    _tell(*asyncio.run(downgrade_database(prepare(), revision)))
    return ALL_ANSWERED


def current(*, check: bool) -> int:
    """Show the schema that the database has; with ``check``, its being another one is an error."""
    found, needed = asyncio.run(database_revisions(prepare()))
    write(found or "none")
    if found == needed:
        return ALL_ANSWERED
    say(f"This version needs schema {needed}. Hint: balance-tracker db upgrade")
    return WRONG_USE if check else ALL_ANSWERED


def back_up(target: Path) -> int:
    """Copy a SQLite database into a new file."""
    size = asyncio.run(back_up_database(prepare(), target))
    say(f"Copied into {target} ({size} bytes).")
    return ALL_ANSWERED


def _tell(before: str | None, after: str) -> None:
    if before == after:
        say(f"The database is at schema {after} already.")
    else:
        say(f"The database was brought from {f'schema {before}' if before else 'nothing'} to schema {after}.")
