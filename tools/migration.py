"""Write the next migration from the difference between the tables and the newest schema.

Run: ``python tools/migration.py "Say what changes"`` (and read what it wrote).
"""

import asyncio
import subprocess
import sys
import tempfile
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection

from balance_tracker.storage import migrating
from balance_tracker.storage.database import Database

MIGRATIONS = Path(migrating.__file__).parent / "migrations"


def _write(connection: Connection, message: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("file_template", "%%(rev)s")
    config.attributes["connection"] = connection
    number = len(list((MIGRATIONS / "versions").glob("[0-9]*.py"))) + 1
    command.upgrade(config, "head")
    command.revision(config, message, autogenerate=True, rev_id=f"{number:04}")


async def _main(message: str) -> None:
    with tempfile.TemporaryDirectory() as directory:
        async with Database(f"sqlite:///{directory}/empty.db") as database, database.writing() as connection:
            await connection.run_sync(_write, message)


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1]))
    subprocess.run([sys.executable, "-m", "ruff", "format", MIGRATIONS / "versions"], check=True)
    subprocess.run([sys.executable, "-m", "ruff", "check", "--fix", MIGRATIONS / "versions"], check=True)
