"""Which process does what only one may do at a time."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from sqlalchemy import or_
from sqlalchemy.dialects import postgresql, sqlite

from balance_tracker.storage.database import Database
from balance_tracker.storage.tables import LEADERS


class SqlLeaders:
    """Leases of tasks: the process that has one keeps it as long as it takes it again in time.

    Args:
        database: Open.
        now: The time, in UTC; processes on several machines agree on it to within a lease.
    """

    def __init__(
        self, database: Database, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._database = database
        self._now = now

    async def take(self, task: str, holder: str, seconds: float) -> bool:
        """Whether the holder may do the task for so long: nobody else may meanwhile.

        Raises:
            StorageError: The database can't be reached or refused.
        """
        now = self._now()
        insert = sqlite.insert if self._database.is_sqlite else postgresql.insert
        lasts = timedelta(seconds=seconds)
        row = insert(LEADERS).values(task=task, holder=holder, until=now + lasts)
        # One that lasts longer than any is from a clock that was ahead: nobody waits for that.
        is_over = or_(LEADERS.c.until <= now, LEADERS.c.until > now + 2 * lasts)
        taken = row.on_conflict_do_update(
            index_elements=[LEADERS.c.task],
            set_={"holder": row.excluded.holder, "until": row.excluded.until},
            where=or_(is_over, LEADERS.c.holder == holder),
        )
        async with self._database.writing() as connection:
            return (await connection.execute(taken.returning(LEADERS.c.task))).first() is not None
