"""A cache in this process: bounded, and one load however many ask at once."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, cast

from balance_tracker.telemetry.metrics import METRICS

_JUST_KEPT_SECONDS = 1e-9
"""Least age of a kept value, so that an age of exactly zero always means "loaded now"."""


@dataclass(slots=True)
class _Entry:
    value: Any
    kept_at: float


@dataclass(slots=True, eq=False)
class _Flight:
    task: asyncio.Task[Any]
    waiting: int = 0


class MemoryCache:
    """Keeps the values used last; implements :class:`balance_tracker.ports.Cache`.

    An entry stays after its time to live, as the last good value, until newer ones
    push it out. Closing it (``async with``) ends the loads still under way.

    Args:
        name: Its label in the metrics.
        max_entries: How many values are kept before the one unused longest goes.
        clock: Seconds that never go backwards.
    """

    def __init__(
        self, name: str, *, max_entries: int = 4096, clock: Callable[[], float] = time.monotonic
    ) -> None:
        if max_entries < 1:
            raise ValueError(f"max_entries must be at least 1, not {max_entries}")
        self._name = name
        self._max_entries = max_entries
        self._clock = clock
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
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
        self, key: str, ttl_seconds: float, load: Callable[[], Awaitable[T]], keep: Callable[[T], bool]
    ) -> tuple[T, float]:
        """The value and its age in seconds; see :meth:`balance_tracker.ports.Cache.get_or_load`.

        Freshness is judged when asking: one value may be fresh enough for one asker
        and too old for another. An exception of ``load`` goes to all who wait and is
        not kept. A load goes on as long as one asker waits, whoever started it.
        """
        entry = self._entries.get(key)
        if entry is not None and self._age(entry) < ttl_seconds:
            self._entries.move_to_end(key)
            METRICS.observe_cache(self._name, "hit")
            return cast("T", entry.value), self._age(entry)
        flight = self._flights.get(key)
        METRICS.observe_cache(self._name, "miss" if flight is None else "shared")
        if flight is None:
            flight = self._start(key, load, keep if ttl_seconds > 0 else _keep_nothing)
        return cast("T", await self._wait(key, flight)), 0.0

    def last_good[T](self, key: str, kind: type[T]) -> tuple[T, float] | None:
        """The last kept value of a key, however old, and its age in seconds."""
        entry = self._entries.get(key)
        if entry is None or not isinstance(entry.value, kind):
            return None
        METRICS.observe_cache(self._name, "stale")
        return entry.value, self._age(entry)

    def fresh[T](self, key: str, ttl_seconds: float, kind: type[T]) -> tuple[T, float] | None:
        """A kept value younger than the ttl; see :meth:`balance_tracker.ports.Cache.fresh`."""
        entry = self._entries.get(key)
        if entry is None or not isinstance(entry.value, kind) or self._age(entry) >= ttl_seconds:
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

    def _start[T](self, key: str, load: Callable[[], Awaitable[T]], keep: Callable[[T], bool]) -> _Flight:
        flight = _Flight(asyncio.create_task(self._run(key, load, keep), name=f"{self._name} load"))
        self._flights[key] = flight
        return flight

    async def _run[T](self, key: str, load: Callable[[], Awaitable[T]], keep: Callable[[T], bool]) -> T:
        try:
            value = await load()
        finally:
            self._forget(key)
        if keep(value):
            self._store(key, value)
        return value

    async def _wait(self, key: str, flight: _Flight) -> Any:
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

    def _store(self, key: str, value: Any) -> None:
        self._entries[key] = _Entry(value, self._clock())
        self._entries.move_to_end(key)
        while len(self._entries) > self._max_entries:
            self._entries.popitem(last=False)

    def _age(self, entry: _Entry) -> float:
        return max(self._clock() - entry.kept_at, _JUST_KEPT_SECONDS)


def _keep_nothing(_value: object) -> bool:
    return False
