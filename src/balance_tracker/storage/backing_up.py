"""A copy of a SQLite database that is in use, as one moment's state."""

import asyncio
import os
import sqlite3
from contextlib import closing
from pathlib import Path
from secrets import token_hex

from balance_tracker.core.errors import ConfigurationError, InputError
from balance_tracker.storage.database import Database
from balance_tracker.storage.failures import translated


async def back_up(database: Database, target: Path) -> int:
    """Copy the whole database into a new file, while others read and write it; the bytes it has.

    The file is complete and checked when it gets its name, and only its user may read it.

    Raises:
        ConfigurationError: It is PostgreSQL, which has programs of its own for this.
        InputError: The file is there already, or can't be made.
        StorageError: The database can't be read, or the copy is not whole.
    """
    if not database.is_sqlite:
        raise ConfigurationError(
            "PostgreSQL is backed up by its own programs.",
            code="backup_elsewhere",
            hint="For example: pg_dump --format=custom --file=tracker.dump followed by the database's URL.",
        )
    return await asyncio.to_thread(_copied, Path(database.url.database or ""), target)


def _copied(source: Path, target: Path) -> int:
    """Write beside the target first, so that half a copy never has its name.

    Raises:
        InputError: The file is there already, or can't be made.
        StorageError: The database can't be read, or the copy is not whole.
    """
    half = target.with_name(f".{target.name}.{token_hex(4)}")
    try:
        if target.exists():
            raise InputError(
                f"There is a file {target.name} already.", code="file_exists", hint="Give another name."
            )
        half.touch(mode=0o600, exist_ok=False)
        _write(source, half)
        os.link(half, target)  # fails where a file of this name came up meanwhile
        return target.stat().st_size
    except sqlite3.Error as error:
        raise translated(error) from None
    except OSError as error:
        raise InputError(
            f"The file {target.name} can't be made ({error.strerror}).",
            code="file_not_made",
            hint="Give a place that can be written and has room.",
        ) from None
    finally:
        half.unlink(missing_ok=True)


def _write(source: Path, half: Path) -> None:
    """Copy and check.

    Raises:
        sqlite3.Error: The database can't be read, or the copy is not whole.
    """
    with closing(sqlite3.connect(source, timeout=10)) as connection:
        connection.execute("VACUUM INTO ?", (str(half),))
    with closing(sqlite3.connect(half)) as copy:
        found = copy.execute("PRAGMA integrity_check(1)").fetchone()
    if found != ("ok",):
        raise sqlite3.DatabaseError("the copy is not whole")
    descriptor = os.open(half, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
