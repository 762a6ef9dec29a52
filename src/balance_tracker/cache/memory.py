"""A cache in this process: bounded, and one load however many ask at once."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, cast

from balance_tracker.telemetry.metrics import METRICS

JUST_KEPT_SECONDS = 1e-9
"""Least age of a kept value, so that an age of exactly zero always means "loaded now"."""

MOST_WEIGHT = 128 * 1024 * 1024
"""Values that were decoded share nothing with others; so many bytes of their text are kept."""


@dataclass(frozen=True, slots=True)
class Obtained:
    """A value that a load gave.

    Attributes:
        age_seconds: 0.0 where it was loaded now.
        kept: Whether it is kept.
        weight: How much of the room for heavy values it takes, in bytes.
    """

    value: Any
    age_seconds: float
    kept: bool
    weight: int = 0


@dataclass(slots=True)
class Entry:
    """A kept value."""

    value: Any
    kept_at: float
    weight: int = 0


@dataclass(slots=True, eq=False)
class _Flight:
    task: asyncio.Task[Obtained]
    waiting: int = 0


class MemoryCache:
    """Keeps the values used last; implements :class:`balance_tracker.ports.Cache`.

    An entry stays after its time to live, as the last good value, until newer ones
    push it out. Closing it (``async with``) ends the loads still under way.

    Args:
        name: Its label in the metrics.
        max_entries: How many values are kept before the one unused longest goes.
        max_weight: How much those that have a weight may weigh together, in bytes.
        clock: Seconds that never go backwards.
    """

    def __init__(
        self,
        name: str,
        *,
        max_entries: int = 4096,
        max_weight: int = MOST_WEIGHT,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if max_entries < 1:
            raise ValueError(f"max_entries must be at least 1, not {max_entries}")
        self._name = name
        self._max_entries = max_entries
        self._max_weight = max_weight
        self._weight = 0
        self._clock = clock
        self._entries: OrderedDict[str, Entry] = OrderedDict()
        self._flights: dict[str, _Flight] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def __len__(self) -> int:
        return len(self._entries)

    async def get_or_load[T](
        self,
        key: str,
        ttl_seconds: float,
        load: Callable[[], Awaitable[T]],
        keep: Callable[[T], bool],
        kind: Any = None,
    ) -> tuple[T, float]:
        """The value and its age in seconds; see :meth:`balance_tracker.ports.Cache.get_or_load`.

        Freshness is judged when asking: one value may be fresh enough for one asker
        and too old for another. An exception of ``load`` goes to all who wait and is
        not kept. A load goes on as long as one asker waits, whoever started it.
        """
        while True:
            entry = self._entries.get(key)
            if entry is not None and self._age(entry) < ttl_seconds and self._opened(key, entry):
                self._entries.move_to_end(key)
                METRICS.observe_cache(self._name, "hit")
                return cast("T", entry.value), self._age(entry)
            flight = self._flights.get(key)
            METRICS.observe_cache(self._name, "miss" if flight is None else "shared")
            if flight is None:
                flight = self._start(key, lambda: self._obtain(key, ttl_seconds, load, keep, kind))
            got = await self._wait(key, flight)
            if got.age_seconds == 0 or got.age_seconds < ttl_seconds:
                return cast("T", got.value), got.age_seconds

    def last_good[T](self, key: str, kind: type[T]) -> tuple[T, float] | None:
        """The last kept value of a key, however old, and its age in seconds."""
        entry = self._entries.get(key)
        if entry is None or not self._opened(key, entry) or not isinstance(entry.value, kind):
            return None
        METRICS.observe_cache(self._name, "stale")
        return entry.value, self._age(entry)

    def fresh[T](self, key: str, ttl_seconds: float, kind: type[T]) -> tuple[T, float] | None:
        """A kept value younger than the ttl; see :meth:`balance_tracker.ports.Cache.fresh`."""
        entry = self._entries.get(key)
        if entry is None or self._age(entry) >= ttl_seconds or not self._opened(key, entry):
            return None
        if not isinstance(entry.value, kind):
            return None
        METRICS.observe_cache(self._name, "hit")
        return entry.value, self._age(entry)

    async def close(self) -> None:
        """End the loads under way and wait until they have ended."""
        tasks = [flight.task for flight in self._flights.values()]
        self._flights.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _obtain[T](
        self,
        key: str,
        ttl_seconds: float,
        load: Callable[[], Awaitable[T]],
        keep: Callable[[T], bool],
        kind: Any,
    ) -> Obtained:
        """What this cache does not have: loaded; a second level looks there first."""
        del key, kind
        value = await load()
        return Obtained(value, 0.0, ttl_seconds > 0 and keep(value))

    def _opened(self, _key: str, _entry: Entry) -> bool:
        """Whether the entry has its value; a second level may have to unpack it."""
        return True

    def _start(self, key: str, obtain: Callable[[], Awaitable[Obtained]]) -> _Flight:
        flight = _Flight(asyncio.create_task(self._run(key, obtain), name=f"{self._name} load"))
        self._flights[key] = flight
        return flight

    async def _run(self, key: str, obtain: Callable[[], Awaitable[Obtained]]) -> Obtained:
        try:
            got = await obtain()
        finally:
            self._forget(key)
        if got.kept:
            self._store(key, got)
        return got

    async def _wait(self, key: str, flight: _Flight) -> Obtained:
        flight.waiting += 1
        try:
            return await asyncio.shield(flight.task)
        finally:
            flight.waiting -= 1
            if flight.waiting == 0 and not flight.task.done():
                if self._flights.get(key) is flight:
                    del self._flights[key]
                flight.task.cancel()

    def _forget(self, key: str) -> None:
        """Let the next asker start anew, unless another load has taken this one's place."""
        flight = self._flights.get(key)
        if flight is not None and flight.task is asyncio.current_task():
            del self._flights[key]

    def _store(self, key: str, got: Obtained) -> None:
        self._drop(key)
        self._entries[key] = Entry(got.value, self._clock() - got.age_seconds, got.weight)
        self._weight += got.weight
        while len(self._entries) > self._max_entries or (
            self._weight > self._max_weight and len(self._entries) > 1
        ):
            self._drop(next(iter(self._entries)))

    def _weigh(self, entry: Entry, weight: int) -> None:
        self._weight += weight - entry.weight
        entry.weight = weight

    def _drop(self, key: str) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            self._weight -= entry.weight

    def _age(self, entry: Entry) -> float:
        return max(self._clock() - entry.kept_at, JUST_KEPT_SECONDS)
