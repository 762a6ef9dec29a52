"""The commands of ``balance-tracker db`` and their options."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from balance_tracker.cli.exits import guarded

db_app = typer.Typer(help="The database that DATABASE_URL names.", no_args_is_help=True)


@db_app.command("upgrade")
def upgrade() -> None:
    """Bring the database to the schema of this version; safe to run from several machines at once."""

    def command() -> int:
        from balance_tracker.cli import databases  # noqa: PLC0415 - only when it is run

        return databases.upgrade()

    sys.exit(guarded(command))


@db_app.command("current")
def current(
    check: Annotated[
        bool, typer.Option("--check", help="Exit with 2 if it is not the one that this version needs.")
    ] = False,
) -> None:
    """Show the schema that the database has."""

    def command() -> int:
        from balance_tracker.cli import databases  # noqa: PLC0415 - only when it is run

        return databases.current(check=check)

    sys.exit(guarded(command))


@db_app.command("downgrade")
def downgrade(
    revision: Annotated[str, typer.Argument(metavar="REVISION", help="Of the schema, for example 0001.")],
) -> None:
    """Bring the database back to an older schema, before an older version is started; back it up first."""

    def command() -> int:
        from balance_tracker.cli import databases  # noqa: PLC0415 - only when it is run

        return databases.downgrade(revision)

    sys.exit(guarded(command))


@db_app.command("backup")
def backup(
    target: Annotated[Path, typer.Argument(metavar="FILE", help="The new file; it must not be there yet.")],
) -> None:
    """Copy a SQLite database, also while it is in use. PostgreSQL has pg_dump for this."""

    def command() -> int:
        from balance_tracker.cli import databases  # noqa: PLC0415 - only when it is run

        return databases.back_up(target)

    sys.exit(guarded(command))
