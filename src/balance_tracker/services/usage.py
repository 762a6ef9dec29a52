"""Usage of keys, summed in memory and kept every few seconds."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, date, datetime
from types import TracebackType
from typing import Self

from balance_tracker.core.errors import StorageError
from balance_tracker.core.kept import Owner
from balance_tracker.ports.access import KeyStore, Usage
from balance_tracker.telemetry.logging import get_logger

EVERY_SECONDS = 10.0
MOST_ROWS = 20_000
"""So many rows wait while the database is away; then those used least recently are let go."""

_log = get_logger(__name__)


class UsageBook:
    """Notes what keys ask for.

    What was noted is kept every few seconds and when it is closed, so that a crash loses at most
    the last seconds of it; requests never wait for it.

    Args:
        store: Where it is kept.
        every_seconds: How often.
        now: The time, in UTC.
    """

    def __init__(
        self,
        store: KeyStore,
        *,
        every_seconds: float = EVERY_SECONDS,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._store = store
        self._every_seconds = every_seconds
        self._now = now
        self._rows: dict[tuple[Owner, date, str], Usage] = {}
        self._ending = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run(), name="usage")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ending.set()  # never cancelled: what is half kept would be counted twice
        if self._task is not None:
            await self._task

    def note(self, key_id: Owner, route: str, units: int, *, refused: bool, error: bool) -> None:
        """One request of a key.

        Args:
            key_id: Whose.
            route: The route's template.
            units: What it cost, also where its limit refused more.
            refused: Whether its limit refused it.
            error: Whether it was answered with a status of 500 or more.
        """
        at = (key_id, self._now().date(), route)
        row = self._rows.pop(at, None) or Usage(*at)
        self._rows[at] = Usage(
            *at,
            requests=row.requests + (not refused),
            units=row.units + units,
            refused=row.refused + refused,
            errors=row.errors + error,
        )
        self._bound()

    async def keep(self) -> None:
        """Keep what was noted; what can't be kept now is kept with the next."""
        rows, self._rows = self._rows, {}
        if not rows:
            return
        try:
            await self._store.add_usage(list(rows.values()), self._now())
        except StorageError as error:
            self._put_back(rows)
            _log.warning("usage_not_kept", rows=len(rows), reason=error.message)

    def _put_back(self, rows: dict[tuple[Owner, date, str], Usage]) -> None:
        newer, self._rows = self._rows, rows
        for at, row in newer.items():
            older = self._rows.get(at)
            self._rows[at] = row if older is None else _sum(older, row)
        self._bound()

    def _bound(self) -> None:
        while len(self._rows) > MOST_ROWS:
            del self._rows[next(iter(self._rows))]

    async def _run(self) -> None:
        while not self._ending.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(self._ending.wait(), self._every_seconds)
            await self.keep()
        await self.keep()  # what was noted meanwhile


def _sum(one: Usage, other: Usage) -> Usage:
    return replace(
        one,
        requests=one.requests + other.requests,
        units=one.units + other.units,
        refused=one.refused + other.refused,
        errors=one.errors + other.errors,
    )
