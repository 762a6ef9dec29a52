"""The seam for deleting what has been kept long enough."""

from datetime import date, datetime
from typing import Protocol


class KeptStore(Protocol):
    """Deletes what is old, a bounded part at a time, so that nobody waits long behind it."""

    async def delete_batches(self, ended_before: datetime, limit: int) -> int:
        """Batches that have ended, with their results; how many."""

    async def delete_jobs(self, ended_before: datetime, limit: int) -> int:
        """Jobs that have ended; how many."""

    async def delete_usage(self, before: date, limit: int) -> int:
        """The usage of keys, of whole days; how many rows."""

    async def delete_snapshots(self, before: datetime, limit: int) -> int:
        """Every snapshot taken before; how many."""

    async def thin_snapshots(self, before: datetime, limit: int) -> int:
        """Snapshots taken before that are not the last of their subject on their day (UTC); how many."""
