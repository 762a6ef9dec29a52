"""Deleting what has been kept as long as the operator wants it."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

from balance_tracker.ports.cleaning import KeptStore
from balance_tracker.telemetry.logging import get_logger
from balance_tracker.telemetry.metrics import METRICS

PART = 20_000
"""So many rows are looked for at a time."""

DAILY_KEPT_TIMES = 10
"""The last snapshot of a day is kept so many times as long as the others."""

_MOST_PARTS = 100
_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Keep:
    """How many days things are kept.

    Attributes:
        jobs_days: Jobs and batches, from their end.
        usage_days: The usage of API keys.
        snapshots_days: Snapshots; the last of each day ten times as long; ``None``: for ever.
    """

    jobs_days: int
    usage_days: int
    snapshots_days: int | None


class Cleaning:
    """Deletes in small parts what is past its time; to do it twice, or half, does no harm.

    Args:
        store: Where things are kept.
        keep: How long.
        now: The time, in UTC.
    """

    def __init__(
        self, store: KeptStore, keep: Keep, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._store = store
        self._keep = keep
        self._now = now

    async def clean(self) -> Mapping[str, int]:
        """Delete what is past its time; how many of each kind.

        Raises:
            StorageError: The database can't be reached or refused; the rest is deleted the next time.
        """
        now, keep, store = self._now(), self._keep, self._store
        ended_before = now - timedelta(days=keep.jobs_days)
        usage_before = now.date() - timedelta(days=keep.usage_days)
        deleted = {
            "batches": await _all("batches", lambda part: store.delete_batches(ended_before, part)),
            "jobs": await _all("jobs", lambda part: store.delete_jobs(ended_before, part)),
            "usage": await _all("usage", lambda part: store.delete_usage(usage_before, part)),
            "snapshots": 0 if keep.snapshots_days is None else await self._snapshots(keep.snapshots_days),
        }
        if any(deleted.values()):
            _log.info("old_things_deleted", **deleted)
        return deleted

    async def _snapshots(self, days: int) -> int:
        # Whole days only: the last one of a day is known when the day is over.
        thin_before = _midnight(self._now() - timedelta(days=days))
        delete_before = _midnight(self._now() - timedelta(days=min(days * DAILY_KEPT_TIMES, 365_000)))
        return await _all(
            "snapshots", lambda part: self._store.delete_snapshots(delete_before, part)
        ) + await _all("snapshots", lambda part: self._store.thin_snapshots(thin_before, part))


async def _all(kind: str, delete: Callable[[int], Awaitable[int]]) -> int:
    """Delete part by part until there is no more, or enough for this time."""
    total = 0
    for _ in range(_MOST_PARTS):
        deleted = await delete(PART)
        METRICS.storage.observe_deleted(kind, deleted)
        total += deleted
        if deleted < PART:
            break
    return total


def _midnight(moment: datetime) -> datetime:
    return datetime.combine(moment.date(), time(), UTC)
